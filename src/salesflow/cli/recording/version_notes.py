"""Whether a deal is opened or migrated before its process version was published.

A version has no say over which time a deal may go by it: facts of the past may name any that is
known by now. So what was meant may be an earlier one, which is noted. A module of its own: it
keeps what it looked up, and knows no command.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from salesflow.domain.process import (
    ProcessPublished,
    ProcessVersion,
    SalesProcess,
    process_id,
)
from salesflow.domain.time import Instant, from_instant, start_of_day, to_instant
from salesflow.errors import NotFoundError
from salesflow.presentation.messages import Language, say

__all__ = ["VersionNotes"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


class VersionNotes:
    """When the versions of each process were published, each process looked up once."""

    def __init__(self, flow: "SalesFlow", language: Language) -> None:
        self._flow, self._language = flow, language
        self._times: dict[str, Mapping[int, Instant]] = {}

    def note_of(self, version: ProcessVersion, occurred_at: object) -> str | None:
        """Return the note that a version was published later, and which was there then.

        Nothing is said of a process of one version: no other could be meant.
        """
        times = self._published(version.key)
        if not isinstance(occurred_at, date) or len(times) < 2 or version.version not in times:
            return None
        zone = self._flow.settings().timezone
        at = (
            to_instant(occurred_at)
            if isinstance(occurred_at, datetime)
            else start_of_day(occurred_at, zone)
        )
        published = times[version.version]
        if published <= at:
            return None
        there = [number for number, time in times.items() if time <= at]
        day = from_instant(published).astimezone(zone).date()
        said = (
            "{at} is before version {version} of the process {process} was published"
            " ({day}); name another with {way_out}"
            if there
            else "{at} is before version {version} of the process {process} was published"
            " ({day}), and before any other"
        )
        return say(
            said,
            self._language,
            at=from_instant(at).astimezone(zone).date(),
            version=version.version,
            process=version.key,
            day=day,
            way_out=f"{version.key}:{max(there)}" if there else "",
        )

    def _published(self, key: str) -> Mapping[int, Instant]:
        if key not in self._times:
            found: dict[int, Instant] = {}
            try:
                history = self._flow.get(SalesProcess, process_id(key)).history
            except NotFoundError:  # the built-in one, which is published when it is used
                history = ()
            for event in history:
                if isinstance(event.fact, ProcessPublished):
                    found.setdefault(event.fact.process.version, event.effective)
            self._times[key] = found
        return self._times[key]
