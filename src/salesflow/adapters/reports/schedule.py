"""When a report is due: a schedule as people write it, by the clocks of the business time zone.

    schedule = read_schedule("every Monday 08:00")
    schedule.due(after, until, settings)         # instants, first to last
    schedule.latest(until, settings)             # the last one that is not later

A schedule is a phrase, in English or Chinese, or a cron expression of five fields; a phrase
stands for an expression, which `cronsim` evaluates. Where the clocks skip the time it names, it
is due at the first moment that they show again; where they show it twice, the first time.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.settings import SettingsState
from salesflow.domain.time import Instant, from_instant, to_instant
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, SalesflowError

if TYPE_CHECKING:
    from types import ModuleType

    from cronsim import CronSim

__all__ = ["Schedule", "TimeBefore", "read_schedule", "read_time_before"]


CRON_FIELDS: Final = 5
DAYS_IN_ALL_MONTHS: Final = 28
HOURS, MINUTES, WEEK_DAYS = 24, 60, 7
WORKING_DAYS: Final = "{working days}"
"""What stands in an expression for the days that the settings name."""
PROBED: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - by the clocks of any zone
EXAMPLES: Final = (
    '"every day 08:00", "every working day 08:00", "every Monday 08:00",'
    ' "every Monday and Thursday 08:00", "every month on day 1 at 08:00",'
    ' "every month on the last day at 18:00", or a cron expression such as "0 8 * * MON"'
)
NAMES_OF_DAYS: Final = (
    "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
)  # fmt: skip
WEEKDAYS: Final = {
    written: number
    for number, name in enumerate(NAMES_OF_DAYS)
    for written in (name, f"{name}s", name[:3])
}
"""As cron numbers them, by how they are written."""
CHINESE_WEEKDAYS: Final = "日一二三四五六"
TIME: Final = r"(?:at )?(?P<hour>\d{1,2})[:：](?P<minute>\d{2})"
DAILY: Final = re.compile(rf"(?:every day|daily|每天|每日) ?{TIME}")
WEEKDAYS_ONLY: Final = re.compile(rf"every weekday ?{TIME}")
WORKDAYS: Final = re.compile(rf"(?:every (?:working|business) day|每个?工作日) ?{TIME}")
WEEKLY: Final = re.compile(rf"every (?P<days>[a-z]+(?:(?:,| and|, and) [a-z]+)*) {TIME}")
CHINESE_WEEKLY: Final = re.compile(
    r"每(?:周|星期)(?P<days>[一二三四五六日天](?:[、和,， ]*(?:周|星期)?[一二三四五六日天])*)"
    rf" ?{TIME}"
)
MONTHLY: Final = re.compile(
    r"every month on (?:the )?"
    rf"(?:day (?P<day>\d{{1,2}})|(?P<nth>\d{{1,2}})(?:st|nd|rd|th)|(?P<last>last day)) {TIME}"
)
CHINESE_MONTHLY: Final = re.compile(
    rf"每月(?:(?P<day>\d{{1,2}})[日号]|(?P<last>最后一天|月末)) ?{TIME}"
)
BEFORE: Final = re.compile(
    r"(?P<number>\d{1,4}) ?(?P<unit>day|week|month|year)s?|(?P<chinese_number>\d{1,4}) ?(?:个)?"
    r"(?P<chinese>天|周|星期|月|年)"
)
CHINESE_UNITS: Final = {"天": "day", "周": "week", "星期": "week", "月": "month", "年": "year"}
MONTHS_OF_A_YEAR: Final = 12


class Schedule(NamedTuple):
    """The times at which something is due."""

    text: str
    """As it was written."""
    cron: str
    """The cron expression that it stands for; its last field, where the settings say it."""

    def due(self, after: Instant, until: Instant, settings: SettingsState) -> Iterator[Instant]:
        """Yield the times it is due after an instant, up to another one, in order."""
        times = _instants(self._from(after, settings))
        return takewhile(lambda at: at <= until, times)

    def latest(self, until: Instant, settings: SettingsState) -> Instant | None:
        """Return the last time that it was due by an instant; None where there was none."""
        return next(_instants(self._from(until + 1, settings, back=True)), None)

    def _from(self, at: Instant, settings: SettingsState, *, back: bool = False) -> "CronSim":
        local = from_instant(at).astimezone(settings.timezone)
        days = ",".join(str(day % WEEK_DAYS) for day in settings.working_days)
        cron = self.cron.replace(WORKING_DAYS, days)
        found: CronSim = _cronsim().CronSim(cron, local, reverse=back)
        return found


def _instants(times: "CronSim") -> Iterator[Instant]:
    return (to_instant(at) for at in times)


def read_schedule(text: str) -> Schedule:
    """Read a phrase or a cron expression.

    Raises:
        InputError: when it is neither, with examples.
    """
    plain = " ".join(text.split())
    phrases: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...] = (
        (DAILY, lambda *_: "* * *"),
        (WEEKDAYS_ONLY, lambda *_: "* * 1-5"),
        (WORKDAYS, lambda *_: f"* * {WORKING_DAYS}"),
        (MONTHLY, _monthly),
        (CHINESE_MONTHLY, _monthly),
        (CHINESE_WEEKLY, _weekly_in_chinese),
        (WEEKLY, _weekly),
    )
    for pattern, days in phrases:
        found = pattern.fullmatch(plain.lower())
        if found is not None:
            cron = f"{_time(found, text)} {days(found, text)}"
            return Schedule(text, _checked(text, cron))
    if len(plain.split()) != CRON_FIELDS:
        raise InputError(f"{quoted(text)} is no schedule; write {EXAMPLES}")
    return Schedule(text, _checked(text, plain))


def _checked(text: str, cron: str) -> str:
    """Refuse an expression that says nothing."""
    library = _cronsim()
    try:
        next(library.CronSim(cron.replace(WORKING_DAYS, "1"), PROBED))
    except StopIteration as error:
        raise InputError(f"{quoted(text)} is never due; write {EXAMPLES}") from error
    except library.CronSimError as error:
        raise InputError(
            f"{quoted(text)} is no schedule ({error}); write {EXAMPLES}"
        ) from error
    return cron


def _time(found: re.Match[str], text: str) -> str:
    hour, minute = int(found["hour"]), int(found["minute"])
    if hour >= HOURS or minute >= MINUTES:
        raise InputError(
            f"{quoted(text)} names {hour}:{minute:02}, which no clock shows; write 00:00 to"
            " 23:59"
        )
    return f"{minute} {hour}"


def _weekly(found: re.Match[str], text: str) -> str:
    names = [each for each in re.split(r"[, ]+(?:and )?", found["days"]) if each]
    return _on_weekdays({_weekday(each, text) for each in names})


def _weekday(name: str, text: str) -> int:
    if name not in WEEKDAYS:
        raise InputError(
            f"{quoted(name)} in {quoted(text)} is no day of the week; write {EXAMPLES}"
        )
    return WEEKDAYS[name]


def _weekly_in_chinese(found: re.Match[str], _: str) -> str:
    named = found["days"].replace("天", "日")
    return _on_weekdays({*map(CHINESE_WEEKDAYS.find, named)} - {-1})


def _on_weekdays(numbers: Iterable[int]) -> str:
    return f"* * {','.join(map(str, sorted(numbers)))}"


def _monthly(found: re.Match[str], text: str) -> str:
    if found["last"]:
        return "L * *"
    named = found.groupdict()
    day = int(named["day"] or named["nth"])
    if not 1 <= day <= DAYS_IN_ALL_MONTHS:
        raise InputError(
            f"{quoted(text)}: not every month has a day {day}; name one of 1 to"
            f' {DAYS_IN_ALL_MONTHS}, or "every month on the last day"'
        )
    return f"{day} * *"


@cache
def _cronsim() -> "ModuleType":
    """Load the library that evaluates schedules.

    Raises:
        SalesflowError: when it is not installed.
    """
    try:
        return import_module("cronsim")
    except ImportError as error:
        raise SalesflowError(
            "schedules are evaluated by cronsim; run: pip install 'salesflow[outbox]'"
        ) from error


# How long before something is: so many days, weeks, months or years by the calendar.


class TimeBefore(NamedTuple):
    """How long before, by the calendar and the clocks of the business time zone."""

    number: int
    unit: str
    """day, week, month or year."""

    def of(self, at: Instant, timezone: ZoneInfo) -> Instant:
        """Return when it was so long before: the same time by the clocks of that day.

        Where that month has no such day it is its last one. A time that the clocks skipped is
        as much later as they were put forward.

        Raises:
            InputError: when that lies before 1900.
        """
        local = from_instant(at).astimezone(timezone)
        return to_instant(self._by_the_calendar(local).replace(tzinfo=timezone, fold=0))

    def _by_the_calendar(self, local: datetime) -> datetime:
        naive = local.replace(tzinfo=None)
        if self.unit in ("day", "week"):
            return naive - timedelta(**{f"{self.unit}s": self.number})
        months = self.number * (MONTHS_OF_A_YEAR if self.unit == "year" else 1)
        index = naive.year * MONTHS_OF_A_YEAR + naive.month - 1 - months
        first = naive.replace(
            year=max(index // MONTHS_OF_A_YEAR, 1), month=index % MONTHS_OF_A_YEAR + 1, day=1
        )
        after = (first + timedelta(days=31)).replace(day=1)
        return first + timedelta(days=min(naive.day, (after - first).days) - 1)


def read_time_before(text: str) -> TimeBefore:
    """Read how long before: 7 days, 1 week, 3 months, 1 year.

    Raises:
        InputError: when it is none of that.
    """
    found = BEFORE.fullmatch(" ".join(text.lower().split()))
    number = 0 if found is None else int(found["number"] or found["chinese_number"])
    if found is None or not number:
        raise InputError(
            f'{quoted(text)} is no time before; write one like "7 days", "1 week", "3 months"'
            ' or "1 year"'
        )
    return TimeBefore(number, found["unit"] or CHINESE_UNITS[found["chinese"]])
