"""What a plan pays one rep in its periods: the lines of each, and the draw and guarantee due.

The same of a moment as it is known, and as it would be without some events: so it is found
which of them made a difference.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from salesflow.domain.calendar import Days
from salesflow.domain.event import Event
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import (
    IncentivePlan,
    IncentivePlanState,
    PlanVersion,
    plan_id,
)
from salesflow.domain.settings import SETTINGS_ID
from salesflow.domain.time import end_of_day
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import state_of
from salesflow.projections.incentives.commission_book import CommissionBook, EarnedLine
from salesflow.projections.incentives.commission_reading import PlanSchedule, SalesOnRecord
from salesflow.projections.incentives.reader_without import ReaderWithout
from salesflow.projections.incentives.settlement import Due, Earned, due_of, guaranteed_for
from salesflow.projections.scope import Teams

__all__ = ["RepPlan", "SalesAndPlan"]

NOTHING: Final = Decimal(0)


class RepPlan:
    """A plan as it is for one rep, day by day."""

    def __init__(self, reader: Reader, schedule: PlanSchedule, rep: str, teams: Teams) -> None:
        self.schedule: Final = schedule
        self._timezone = reader.timezone
        self._rep = rep
        self._teams = teams

    def version_for(self, day: date) -> PlanVersion | None:
        """Return the version that is for the rep on a day; None where the rep is gone."""
        at = end_of_day(day, self._timezone)
        stay = self._teams.stay(self._rep, at)
        if stay is None:  # nobody said when they joined
            return self.schedule.in_force(day, self._rep, None)
        if stay.team is None or at < stay.start:
            return None
        return self.schedule.in_force(day, self._rep, stay.team)

    def due(self, period: Days) -> Due:
        """Return the draw and the guarantee of a period."""
        versions = self.schedule.plan.versions.values()
        if not any(v.terms.draw or v.terms.guarantee for v in versions):
            return Due()
        return due_of(period, self.version_for)

    def of(self, lines: Iterable[EarnedLine], period: Days) -> list[EarnedLine]:
        """Return the lines of a period."""
        day = self.schedule.day
        return [line for line in lines if period.first <= day(line.at) <= period.last]

    def earned(self, lines: Iterable[EarnedLine]) -> Earned:
        """Return what the lines of a period come to."""
        found = Earned()
        for line in lines:
            found = found._replace(
                of_period=found.of_period + line.amount - line.of_earlier,
                of_earlier=found.of_earlier + line.of_earlier,
            )
        return found

    def guaranteed(self, lines: Iterable[EarnedLine], period: Days) -> Decimal:
        """Return what the guarantee adds to the lines of a period."""
        return guaranteed_for(self.earned(lines), self.due(period))


class SalesAndPlan:
    """What a plan and the sales of a rep come to without some events."""

    def __init__(
        self, reader: Reader, schedule: PlanSchedule, rep: str, sales: SalesOnRecord
    ) -> None:
        self._reader = reader
        self._schedule = schedule
        self._rep = rep
        self._sales = sales

    @property
    def steps(self) -> int:
        """How many things happened to the sales."""
        return len(self._sales.all.changes)

    def amounts_without(
        self,
        left_out: Iterable[UUID],
        streams: Mapping[UUID, list[Event]],
        period: Days,
        statement: UUID,
    ) -> dict[UUID, Decimal]:
        """Return what each event pays in a period, and under a statement's id its guarantee.

        That is as if those left out, which stand in the streams, had never been recorded.
        """
        reader = ReaderWithout(self._reader, streams, left_out)
        schedule = self._schedule_without(reader)
        if schedule is None:
            return {}
        sales, teams = self._sales.without(reader), reader.teams(self._rep, self._sales.teams)
        book = CommissionBook(self._rep, schedule, sales.sales)
        day = schedule.day
        plan = RepPlan(reader, schedule, self._rep, teams)
        by_then = [each for each in sales.changes if day(each.at) <= period.last]
        lines = plan.of(book.lines(by_then), period)
        found = {statement: plan.guaranteed(lines, period)}
        for line in lines:
            found[line.event_id] = found.get(line.event_id, NOTHING) + line.amount
        return found

    def _schedule_without(self, reader: ReaderWithout) -> PlanSchedule | None:
        stream = plan_id(self._schedule.key)
        if not reader.touched & {stream, RATES_ID, SETTINGS_ID}:
            return self._schedule
        if stream not in reader.touched:
            return PlanSchedule(reader, self._schedule.plan)
        state = state_of(IncentivePlan, IncentivePlanState, reader.events(stream), reader)
        return PlanSchedule(reader, state) if state.versions else None
