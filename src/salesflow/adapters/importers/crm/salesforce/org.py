"""What an export of Salesforce says of the org: its users, currencies and fiscal years.

A module of its own, to keep that from what opportunities mean.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from salesflow.adapters.importers.crm.reading import ValueReader
from salesflow.adapters.importers.crm.records import CrmPeriod, CrmRate, CrmRep, CrmTeam
from salesflow.adapters.importers.crm.salesforce.tables import first
from salesflow.adapters.importers.errors import RowError, needed

__all__ = [
    "FIRST_DAY",
    "OLD_RATES",
    "BaseCurrency",
    "holds_from_long_ago",
    "period_of",
    "rate_of",
    "team_of",
    "user_of",
]


FIRST_DAY: Final = date(1900, 1, 2)
"""Rates that hold from before it on, as the first ones of an org do, hold from it on here."""
OLD_RATES: Final = "exchange rates that hold from a day before 1900 on are told from {day} on"
PERIODS: Final = ("year", "quarter", "month")


def user_of(read: ValueReader, values: Mapping[str, Any]) -> CrmRep:
    """Return a user, with the role as the team."""
    names = (read.text(values, "firstname"), read.text(values, "lastname"))
    name = read.text(values, "name") or " ".join(each for each in names if each)
    return CrmRep(
        name or None,
        read.time(values, "createddate"),
        read.text(values, "userroleid"),
        read.time(values, "lastmodifieddate"),
    )


def team_of(read: ValueReader, values: Mapping[str, Any]) -> CrmTeam:
    """Return a role as a team."""
    name = needed(read.text(values, "name"), "name")
    return CrmTeam(name)


def rate_of(read: ValueReader, values: Mapping[str, Any]) -> CrmRate:
    """Return a rate: units of a currency for one of the org's own, from a day on."""
    code = needed(read.text(values, "isocode"), "isocode")
    rate = needed(read.number(values, "conversionrate"), "conversionrate")
    column = "startdate" if "startdate" in values else "lastmodifieddate"
    day = needed(read.day(values, column), column)
    day = max(day, FIRST_DAY)
    at = read.time({column: day.isoformat()}, column)
    assert at is not None, "it is a day"
    return CrmRate(at, code, rate)


def holds_from_long_ago(values: Mapping[str, Any]) -> bool:
    """Return whether a rate holds from a day before any that is taken here."""
    year = str(values.get("startdate", ""))[:4]
    return year.isdecimal() and int(year) < FIRST_DAY.year


def period_of(read: ValueReader, values: Mapping[str, Any]) -> CrmPeriod | None:
    """Return a fiscal year, quarter or month; None of a week, which follows from them."""
    kind = str(first(values, "type") or "").casefold()
    if kind == "week":
        return None
    if kind not in PERIODS:
        raise RowError("is no year, quarter, month or week", "type", kind)
    begins = needed(read.day(values, "startdate"), "startdate")
    ends = needed(read.day(values, "enddate"), "enddate")
    return CrmPeriod(kind, begins, ends)


class BaseCurrency:
    """Finds the currency of an org: the one marked so, else the only one that is always 1."""

    def __init__(self) -> None:
        self._marked: str | None = None
        self._always_one: dict[str, bool] = {}

    def see(self, values: Mapping[str, Any], *, is_base: bool) -> None:
        """Note a rate, and whether its currency is marked as the org's own."""
        code, rate = values.get("isocode"), str(values.get("conversionrate", ""))
        if not code:
            return
        if is_base:
            self._marked = code
        one = rate.replace("0", "").rstrip(".") == "1" and rate.lstrip("0").startswith("1")
        self._always_one[code] = self._always_one.get(code, True) and one

    @property
    def code(self) -> str | None:
        """The currency; None where nothing says which it is."""
        ones = [code for code, one in self._always_one.items() if one]
        return self._marked or (ones[0] if len(ones) == 1 else None)
