"""Stage times: how long deals stay in each stage, which stand too long, when deals end.

Answers "where do our deals get stuck?" and "how long until a deal is won or lost?" for any
past moment. Visits of no length count; an open visit counts up to the moment. A visit that
goes on, or was ended by a merge or by a migration to another stage, tells no more than that
it lasted so long: it is censored. So is a deal that is open at the moment, and one that is
merged, from when it was.

Between two facts of which only the day is known there are calendar days; everything else is
measured to the microsecond, also what one deal's times add up to. Leaves out which deals move
on: that is Conversion.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from typing import Annotated, ClassVar, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BeforeValidator, Field

from salesflow.domain.time import Moment
from salesflow.domain.values import Reference
from salesflow.errors import NotFoundError
from salesflow.presentation.format import (
    NO_VALUE,
    Percent,
    RowOfValues,
    local_day,
    local_time,
    number_text,
    short_id,
    written_rows,
)
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.columns import Column, Flags
from salesflow.projections.core.question import Question, Reader, View, ensure_no_flag
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.metrics.visits import (
    StageKey,
    StageNames,
    Steps,
    names_of_stages,
    read_steps,
)
from salesflow.projections.stages.stage_time_figures import (
    DealTime,
    StageTime,
    StalledDeal,
    TimeToEvent,
    causes_of,
    deal_time,
    describe_stalled,
    endings_of,
    read_stalled,
    stage_times,
    time_to_event,
)
from salesflow.projections.table import Processes

__all__ = ["StageTimes", "StageTimesView"]


Days = Annotated[int, BeforeValidator(ensure_no_flag), Field(gt=0, le=36_500)]
DAYS = (30, 60, 90)
LISTED = 50


class StageTimesView(View):
    """Days per stage, stalled deals, and the time to leave a stage or to end a deal."""

    population: ClassVar[str] = (
        "every visit of a deal to a stage that had begun by the moment, also those of no"
        " length and those of deals closed or merged since"
    )
    formula: ClassVar[str] = (
        "a visit lasts from entering to leaving, or to the moment; last visit = the latest one"
        " of each deal, all visits = their days added up; percentiles of type 7; stalled ="
        " moment - entered > the stage limit; time to an event: Kaplan-Meier and"
        " Aalen-Johansen, open and merged deals censored; days between two facts of which only"
        " the day is known are calendar days"
    )
    stages: tuple[StageTime, ...]
    stalled: tuple[StalledDeal, ...]
    """Those that stand longest come first."""
    leaving: tuple[TimeToEvent, ...]
    """Per stage: of its visits."""
    ending: tuple[TimeToEvent, ...]
    """Per process: of its deals, until their standing outcome."""
    deals: tuple[DealTime, ...]
    """Only when one deal was asked about."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: stages, stalled deals, chances over time."""
        return [*_StageTimesLayout(self, language).tables()]


class StageTimes(Question[StageTimesView]):
    """How long do deals stay in each stage, and how long until they end?"""

    name: ClassVar[str] = "stage-times"
    folds: ClassVar[tuple[str, ...]] = (STAGE_VISIT.name, DEAL_STATE.name)
    process: Reference | None = None
    """Only stages of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only visits that began while this rep owned the deal; stalled deals: who owns it now."""
    start: Reference | None = None
    """Time the end of deals from their first entry into this open stage; else their opening."""
    days: tuple[Days, ...] = DAYS
    """After how many days to give chances. Default: 30, 60, 90."""
    deal: UUID | None = None
    """Only this deal, with what its time went to."""

    def answer(self, reader: Reader, moment: Moment) -> StageTimesView:
        """Time every way of a deal up to the moment.

        Raises:
            NotFoundError: when no such stage or deal is believed to exist then.
        """
        steps = read_steps(reader, self.deal)
        if self.deal is not None and not len(steps):
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        self._ensure_known_start(steps.versions, reader.processes)
        names = names_of_stages(steps.versions, steps.visited, reader.processes)
        stalled = self._stalled(steps, names, reader)
        counts = Counter((deal.process, deal.stage) for deal in stalled)
        wanted = steps.rows.fitting({"process": self.process, "owner": self.owner})
        visits = self._visits(steps, names, wanted)
        return StageTimesView(
            moment=moment,
            stages=tuple(stage_times(visits, names, steps, counts)),
            stalled=tuple(stalled),
            leaving=tuple(self._leaving(steps, visits)),
            ending=tuple(self._ending(steps, wanted)),
            deals=() if self.deal is None else (deal_time(steps),),
        )

    def _visits(
        self, steps: Steps, stages: Collection[StageKey], wanted: Flags
    ) -> dict[StageKey, Column]:
        """Return which of the steps wanted are visits to each stage of that process."""
        numbers = np.where(wanted, steps.stage_numbers(stages), -1)
        return {
            key: np.flatnonzero(numbers == number)
            for number, key in enumerate(stages)
            if self.process in (None, key[0])
        }

    def _leaving(
        self, steps: Steps, visits: Mapping[StageKey, Column]
    ) -> Iterator[TimeToEvent]:
        causes = causes_of(steps)
        for key, these in visits.items():
            if len(these):
                yield time_to_event(key, steps.lasted[these], causes[these], self.days)

    def _ensure_known_start(self, versions: Set[tuple[str, int]], processes: Processes) -> None:
        if self.start is None or not versions:
            return
        mine = [v for v in sorted(versions) if self.process in (None, v[0])]
        known = dict.fromkeys(s.key for v in mine for s in processes[v].open_stages)
        if mine and self.start not in known:
            raise NotFoundError(
                f"there is no open stage {self.start!r}; deals have passed {', '.join(known)}"
            )

    def _ending(self, steps: Steps, wanted: Flags) -> Iterator[TimeToEvent]:
        if not len(steps):
            return
        starts = self._starts(steps)
        starts[(starts >= 0) & ~wanted[starts]] = -1
        found = endings_of(steps, starts)
        processes, words = steps.rows["process"][found.starts], steps.rows.words["process"]
        for process, code in sorted((words[code], code) for code in set(processes.tolist())):
            mine = processes == code
            of = (process, self.start)
            yield time_to_event(of, found.lasted[mine], found.causes[mine], self.days)

    def _starts(self, steps: Steps) -> Column:
        """Return the step from which each deal is timed; -1 for none."""
        if self.start is None:
            return steps.firsts.copy()
        begins = steps.stage == steps.rows.code("stage", self.start)
        begins &= steps.outcome == steps.rows.code("outcome", "open")
        number = np.where(begins, np.arange(len(steps)), len(steps))
        first = np.minimum.reduceat(number, steps.firsts)
        return np.where(first < len(steps), first, -1)

    def _stalled(
        self, steps: Steps, names: Mapping[StageKey, StageNames], reader: Reader
    ) -> list[StalledDeal]:
        stalled = read_stalled(steps, reader, self.deal)
        found = [
            deal
            for deal in describe_stalled(stalled, steps, lambda visit: names[visit.key])
            if self.process in (None, deal.process) and self.owner in (None, deal.owner)
        ]
        return sorted(found, key=lambda deal: (-deal.days, deal.deal.int))


class _StageTimesLayout(NamedTuple):
    """Lays a view out for people in a language."""

    view: StageTimesView
    language: Language

    def tables(self) -> Iterator[TableOfView]:
        """Yield the tables that have anything to show."""
        yield self._stages()
        if self.view.stalled:
            yield self._stalled()
        if self.view.leaving:
            yield self._leaving()
        if self.view.ending:
            yield self._ending()
        if self.view.deals:
            yield self._deals()

    def _stages(self) -> TableOfView:
        columns = (
            "Stage", "Deals", "Visits", "Open visits", "Median days, last visit",
            "Mean days, last visit", "P90 days, last visit", "Median days, all visits",
            "Mean days, all visits", "P90 days, all visits", "Stalled",
        )  # fmt: skip
        rows: list[RowOfValues] = [
            (
                self._stage(s.process, s.stage),
                s.deals,
                s.visits,
                s.open_visits,
                *(s.latest.days_median, s.latest.days_mean, s.latest.days_p90),
                *(s.cumulative.days_median, s.cumulative.days_mean, s.cumulative.days_p90),
                s.stalled or "",
            )
            for s in self.view.stages
        ]
        return TableOfView("Days in each stage", columns, written_rows(rows))

    def _stalled(self) -> TableOfView:
        zone = ZoneInfo(self.view.timezone)
        rows = tuple(
            (
                short_id(s.deal),
                self._stage(s.process, s.stage),
                s.owner or NO_VALUE,
                local_day(s.entered_at, zone),
                number_text(s.days),
                str(s.days_max),
            )
            for s in self.view.stalled[:LISTED]
        )
        listed = (
            f"{in_language('listed', self.language)} {len(rows):,}"
            f" · {in_language('in all', self.language)} {len(self.view.stalled):,}"
        )
        if len(rows) < len(self.view.stalled):
            listed += f" · {in_language('all of them with --json', self.language)}"
        columns = ("Deal", "Stage", "Owner", "Entered at", "Days", "Stage limit (days)")
        return TableOfView("Stalled deals", columns, rows, notes=(listed,))

    def _leaving(self) -> TableOfView:
        days = tuple(f"% over {chance.days} days" for chance in self.view.leaving[0].chances)
        rows: list[RowOfValues] = [
            (
                self._stage(each.process, each.stage),
                each.count,
                each.count - each.censored,
                each.days_median,
                *(Percent(chance.lasting) for chance in each.chances),
            )
            for each in self.view.leaving
        ]
        columns = ("Stage", "Visits", "Visits ended", "Median days (est.)", *days)
        title = "Time to leave a stage (estimated, incl. deals still there)"
        return TableOfView(title, columns, written_rows(rows))

    def _ending(self) -> TableOfView:
        rows: list[RowOfValues] = [
            (
                each.process,
                each.count,
                each.days_median,
                str(chance.days),
                chance.at_risk,
                *map(Percent, (chance.lasting, chance.won, chance.lost, chance.disqualified)),
            )
            for each in self.view.ending
            for chance in each.chances
        ]
        columns = (
            "Process", "Deals", "Median days to end", "Days since start",
            "Deals tracked this long", "Open", "Won", "Lost", "Disqualified",
        )  # fmt: skip
        return TableOfView("Deal outcomes by age (estimated)", columns, written_rows(rows))

    def _deals(self) -> TableOfView:
        zone = ZoneInfo(self.view.timezone)
        rows = tuple(
            (
                short_id(deal.deal),
                local_time(deal.first_at, zone),
                local_time(deal.last_at, zone),
                f"{deal.visits_seconds:,} s",
                f"{deal.closed_seconds:,} s",
                f"{deal.first_to_last_seconds:,} s",
            )
            for deal in self.view.deals
        )
        columns = (
            "Deal", "From", "To", "Time in stages", "Time closed before reopening",
            "Total time",
        )  # fmt: skip
        return TableOfView("Time breakdown of the deal", columns, rows)

    def _stage(self, process: str, key: str | None) -> str:
        found = next(s for s in self.view.stages if (s.process, s.stage) == (process, key))
        several = len({stage.process for stage in self.view.stages}) > 1
        name = found.stage_zh if self.language == "zh" else found.stage_en
        return f"{process}: {name}" if several else name
