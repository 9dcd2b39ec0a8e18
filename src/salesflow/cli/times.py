"""Options that take a day or a time: what is none is refused with the name of the option."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from salesflow.domain.moments import instant_of, read_day
from salesflow.errors import InputError

__all__ = ["day_of", "moment_said", "time_of", "two_times"]

Check = Callable[[str | None], str | None]


def time_of(flag: str) -> Check:
    """Make what refuses a text that is no moment: a day, or a time with its zone."""
    return _checked(flag, lambda text: instant_of(text, ZoneInfo("UTC")))


def day_of(flag: str) -> Check:
    """Make what refuses a text that is no day."""
    return _checked(flag, read_day)


def two_times(flag: str) -> Check:
    """Make what refuses a text that is no AS_OF[@KNOWN_AT]."""

    def read(text: str) -> None:
        for time in moment_said(text):
            if time is not None:
                instant_of(time, ZoneInfo("UTC"))

    return _checked(flag, read)


def moment_said(text: str) -> tuple[str, str | None]:
    """Read AS_OF[@KNOWN_AT], as `--compare-to` takes it.

    Raises:
        InputError: when a side of it is empty.
    """
    as_of, at, known_at = text.partition("@")
    if not as_of.strip() or (at and not known_at.strip()) or "@" in known_at:
        raise InputError(
            f"{text!r} is not a moment to compare with; write 2026-03-31, or"
            " 2026-03-31@2026-03-31 for what was known on that day"
        )
    return as_of, known_at or None


def _checked(flag: str, read: Callable[[str], object]) -> Check:
    def check(text: str | None) -> str | None:
        try:
            if text is not None:
                read(text)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from error
        return text

    return check
