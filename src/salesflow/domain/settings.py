"""The tenant's settings: time zone, fiscal calendar, working days, report currency.

Facts, not arguments: what a report meant last year can still be read. They have no time of
validity of their own; a question reads them at its `known_at` alone. ClockAccepted is here
too: somebody decided to go on although the clock stands behind the log.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final, Self, assert_never, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field, Strict

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.event import Event, Fact, believed_history
from salesflow.domain.state import State
from salesflow.domain.time import zone
from salesflow.domain.values import GivenCurrency, Reason, Reference
from salesflow.errors import InputError

__all__ = [
    "SETTINGS_ID",
    "ClockAccepted",
    "Settings",
    "SettingsChanged",
    "SettingsFact",
    "SettingsState",
    "WorkingDays",
    "settings_after",
]

SETTINGS_ID: Final = UUID("5e771465-0000-5000-8000-000000000001")
"""The stream of a tenant's settings; the same in every database."""

MONDAY_TO_FRIDAY: Final = (1, 2, 3, 4, 5)

WorkingDays = tuple[Annotated[int, Strict(), Field(ge=1, le=7)], ...]
"""ISO weekdays: 1 is Monday, 7 is Sunday."""


class SettingsChanged(Fact):
    """The books are kept differently from now on; what is not named stays as it was."""

    kind: ClassVar[str] = "settings.changed"
    retraction_error: ClassVar[str | None] = (
        "settings are changed and never taken back; record the right ones"
    )
    name_zh: ClassVar[str] = "设置变更"
    is_opening: ClassVar[bool] = True
    timezone: Reference | None = None
    fiscal_calendar: FiscalCalendar | None = None
    working_days: WorkingDays | None = None
    report_currency: GivenCurrency | None = None


class ClockAccepted(Fact):
    """Somebody accepted a clock behind the log; recording goes on one microsecond at a time."""

    kind: ClassVar[str] = "settings.clock_accepted"
    name_zh: ClassVar[str] = "时钟确认"
    because: Reason | None = None


SettingsFact = SettingsChanged | ClockAccepted


class SettingsState(State):
    """How the books are kept by now."""

    timezone: ZoneInfo = zone("UTC")
    fiscal_calendar: FiscalCalendar = FiscalCalendar()
    working_days: tuple[int, ...] = MONDAY_TO_FRIDAY
    report_currency: str | None = None

    def evolve(self, event: Event) -> str | None:
        """Take in the next believed fact; every one counts."""
        fact: SettingsFact = event.fact  # type: ignore[assignment]
        match fact:
            case SettingsChanged():
                if fact.timezone is not None:
                    self.timezone = _zone_or_utc(fact.timezone)
                self.fiscal_calendar = fact.fiscal_calendar or self.fiscal_calendar
                self.working_days = fact.working_days or self.working_days
                self.report_currency = fact.report_currency or self.report_currency
            case ClockAccepted():
                pass  # it says why times stand still; it sets nothing
            case _:
                assert_never(fact)
        return None


def settings_after(events: Iterable[Event]) -> SettingsState:
    """Return how the books are kept after some events, for whoever does not change that."""
    state = SettingsState()
    for event in believed_history(events):
        if isinstance(event.fact, SettingsFact):
            state.evolve(event)
    return state


class Settings(Aggregate, SettingsState):
    """How one tenant keeps its books."""

    noun: ClassVar[str] = "settings"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(SettingsFact)
    exists_without_events: ClassVar[bool] = True

    @classmethod
    def begin(
        cls,
        *,
        timezone: str = "UTC",
        fiscal_calendar: FiscalCalendar | None = None,
        working_days: tuple[int, ...] | None = None,
        report_currency: str | None = None,
    ) -> Self:
        """Set up a new tenant's books."""
        self = cls.new(SETTINGS_ID)
        self._change(timezone, fiscal_calendar, working_days, report_currency)
        return self

    def change(
        self,
        *,
        timezone: str | None = None,
        fiscal_calendar: FiscalCalendar | None = None,
        working_days: tuple[int, ...] | None = None,
        report_currency: str | None = None,
    ) -> None:
        """Keep the books differently from now on; what is not named stays as it is."""
        named = (timezone, fiscal_calendar, working_days, report_currency)
        if all(each is None for each in named):
            raise InputError("name at least one setting to change")
        self._change(timezone, fiscal_calendar, working_days, report_currency)

    def accept_clock(self, *, because: str) -> None:
        """Go on recording although the clock of this host is behind the log."""
        if not because.strip():
            raise InputError("accepting a clock needs a reason")
        self._record(ClockAccepted(because=because), None)

    def _change(
        self,
        timezone: str | None,
        fiscal_calendar: FiscalCalendar | None,
        working_days: tuple[int, ...] | None,
        report_currency: str | None,
    ) -> None:
        if timezone is not None:
            zone(timezone)
        days = None if working_days is None else tuple(sorted(set(working_days)))
        if days == ():
            raise InputError("name at least one working day, 1 (Monday) to 7 (Sunday)")
        self._record(
            SettingsChanged(
                timezone=timezone,
                fiscal_calendar=fiscal_calendar,
                working_days=days,
                report_currency=report_currency,
            ),
            None,
        )


def _zone_or_utc(name: str) -> ZoneInfo:
    """Read a recorded time zone; one this host does not know counts as UTC."""
    try:
        return zone(name)
    except InputError:
        return zone("UTC")
