"""What an aggregate may read beside its own history, handed in by the session."""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from salesflow.domain.moments import FOREVER, Instant
from salesflow.errors import InputError

__all__ = ["World"]


class World:
    """What an aggregate may read beside its own history, handed in by the session.

    `processes` are the published process versions by (key, version); `timezone` is the
    tenant's business time zone (or a callable that finds it when it is needed; None before a
    session has said it); `now` is when the session began and `clock` says how late it is by
    then (without one, times ahead of `now` are left for the log to judge). `end` says when the
    log was last written, which another clock may have put ahead of this one.
    """

    __slots__ = ("_clock", "_end", "_timezone", "now", "processes")

    def __init__(
        self,
        processes: Mapping[tuple[str, int], Any] | None = None,
        timezone: ZoneInfo | Callable[[], ZoneInfo] | None = None,
        now: Instant = FOREVER,
        clock: Callable[[], Instant] | None = None,
        end: Callable[[], Instant] | None = None,
    ) -> None:
        self.processes = {} if processes is None else processes
        self.now = now
        self._timezone = timezone
        self._clock = clock
        self._end = end

    @property
    def latest(self) -> Instant:
        """The latest time a command may name; later than everything where nobody knows it."""
        return FOREVER if self._clock is None else max(self.now, self._clock())

    def latest_known(self, wanted: Instant) -> Instant:
        """Give the latest time a command may name; the log's last where the clock is behind."""
        latest = self.latest
        return latest if wanted <= latest or self._end is None else max(latest, self._end())

    @property
    def knows_days(self) -> bool:
        """Whether the business time zone is known, in which days are cut."""
        return self._timezone is not None

    @property
    def timezone(self) -> ZoneInfo:
        """The business time zone.

        Raises:
            InputError: before a session has said it.
        """
        if self._timezone is None:
            raise InputError(
                "a day is cut in the business time zone, which the session knows: add it to"
                " the session first, or name an aware time"
            )
        if not isinstance(self._timezone, ZoneInfo):
            self._timezone = self._timezone()
        return self._timezone
