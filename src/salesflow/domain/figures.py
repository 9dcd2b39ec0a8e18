"""Figures from outside: market share, a market survey, whatever nobody can work out from deals.

A figure has a key, by which metrics name it (`figure:market-share`), a unit, and a value for
each period that is reported, with the source that says so. A later report for the same period
replaces the one before it; one that was wrong is retracted.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple, Self, assert_never
from uuid import UUID

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import internal
from salesflow.domain.event import Event, Fact, ensure_readable
from salesflow.domain.metric import FIGURE
from salesflow.domain.smart import ensure_share
from salesflow.domain.state import EMPTY, OpenedState, with_item
from salesflow.domain.time import ensure_period
from salesflow.domain.values import Day, Key, Number, Personal, SafeName, number
from salesflow.domain.wording import Message
from salesflow.errors import RuleError

__all__ = ["FIGURES_ID", "FigureFact", "FigureReported", "Figures", "Reported"]

FIGURES_ID: Final = UUID("5e771465-0000-5000-8000-000000000003")
"""The stream of a tenant's outside figures; the same in every database."""


class FigureReported(Fact):
    """Somebody outside said how high a figure was in a period; it replaces what was said."""

    kind: ClassVar[str] = "figure.reported"
    name_zh: ClassVar[str] = "外部指标上报"
    is_opening: ClassVar[bool] = True
    is_entry: ClassVar[bool] = True
    figure: Key
    """The key of the figure, such as market-share; metrics name it figure:market-share."""
    value: Number
    unit: Key
    """What it is counted in: share (0.12 is 12%), points, or a currency such as CNY. It stays
    the same for ever."""
    first_day: Day
    """The first day of the period it is of."""
    last_day: Day
    """The last day of that period, included."""
    source: SafeName
    """Who says so: an institute, a survey, a report."""
    note: Personal | None = None


FigureFact = FigureReported


class Reported(NamedTuple):
    """The value of a figure in one period, as last reported."""

    value: Decimal
    unit: str
    source: str


class FiguresState(OpenedState):
    """What is reported from outside by now."""

    reports: Mapping[tuple[str, date, date], Reported] = EMPTY
    """The last report of each figure and period, by key and by the first and the last day."""
    units: Mapping[str, str] = EMPTY
    """In which unit each figure was first reported."""

    def _change(self, event: Event, _: Event) -> Message | None:
        fact: FigureFact = event.fact  # type: ignore[assignment]
        match fact:
            case FigureReported() if fact.last_day < fact.first_day:
                return Message("its period ends before it begins")
            case FigureReported():
                unit = self.units.get(fact.figure, fact.unit)
                if unit != fact.unit:
                    return Message(
                        "{figure} is reported in {unit}, and not in {other}",
                        figure=repr(fact.figure),
                        unit=unit,
                        other=fact.unit,
                    )
                self.units = with_item(self.units, fact.figure, fact.unit)
                key = (fact.figure, fact.first_day, fact.last_day)
                said = Reported(fact.value, fact.unit, fact.source)
                self.reports = with_item(self.reports, key, said)
            case _:
                assert_never(fact)
        return None


class Figures(Aggregate, FiguresState):
    """All outside figures of a tenant; `session.get(Figures, FIGURES_ID)` takes reports."""

    noun: ClassVar[str] = "book of outside figures"
    facts: ClassVar[tuple[type[Fact], ...]] = (FigureReported,)
    exists_without_events: ClassVar[bool] = True

    @internal
    def ensure_exists(self) -> None:
        """Raise HistoryError when a part of its history cannot be read.

        Nobody has to open the book before the first report.
        """
        if self._history:
            super().ensure_exists()
        else:
            ensure_readable(self._log)

    @classmethod
    def begin(
        cls,
        figure: str,
        *,
        value: Decimal | int | str,
        unit: str,
        first_day: date,
        last_day: date,
        source: str,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Report the first figure of a new tenant; `report` does that as well."""
        self = cls.new(FIGURES_ID)
        self.report(
            figure,
            value=value,
            unit=unit,
            first_day=first_day,
            last_day=last_day,
            source=source,
            note=note,
            occurred_at=occurred_at,
        )
        return self

    def report(
        self,
        figure: str,
        *,
        value: Decimal | int | str,
        unit: str,
        first_day: date,
        last_day: date,
        source: str,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Report how high a figure was in a period; a later report of it replaces this one.

        Reports of earlier times may be told later, in whatever order.
        """
        ensure_period(first_day, last_day)
        fact = FigureReported(
            figure=figure.removeprefix(FIGURE),
            value=number(value),
            unit=unit,
            first_day=first_day,
            last_day=last_day,
            source=source,
            note=note,
        )
        ensure_share(f"{FIGURE}{fact.figure}", fact.unit, fact.value)
        known = self.units.get(fact.figure, fact.unit)  # by then, and by what came later
        if known != fact.unit:
            raise RuleError(
                f"{fact.figure!r} is reported in {known}, not in {fact.unit}; report it in"
                f" {known}, or another figure under a key of its own"
            )
        self._record(fact, occurred_at)
