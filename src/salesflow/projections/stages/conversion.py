"""Conversion: how many deals go on from each stage, how far deals come, where exits lead.

Answers "at which stage do we lose deals?" for a period, by count and by value. Cohort
conversion follows the deals that entered a stage in the period up to the moment; period
conversion sets what happened in the period side by side, whichever deals it happened to. Reach
follows the deals created in the period. The transition matrix shares out the exits.

A later stage is later by the order of the process version. Every event counts for the rep who
owned the deal then, with the amount it had then. Leaves out how long anything took: that is
StageTimes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Percent,
    RowOfValues,
    amount_text,
    days_text,
    estimate_text,
    percent_text,
    written_rows,
)
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import PeriodQuestion, Reader, View
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.metrics.conversion_figures import (
    Passages,
    StageConversion,
    StageReach,
    Transition,
    Wanted,
    conversions,
    reaches,
    transitions,
)
from salesflow.projections.metrics.visits import names_of_stages, read_steps

__all__ = ["Conversion", "ConversionView"]


KINDS: Final = ("advanced", "skipped", "returned", "won", "lost", "disqualified")


class ConversionView(View):
    """Conversion and reach per stage in the order of the process, and the exits."""

    population: ClassVar[str] = (
        "deals that entered a stage in the period, entries and exits of the period, deals"
        " created in the period; without deals merged into others at the moment"
    )
    formula: ClassVar[str] = (
        "conversion to date = moved on ÷ entered; conversion of deals that left = moved on ÷"
        " (moved on + left without moving on); moved on = later entered any later stage or"
        " won, by the moment; onward ÷ entries in period = entries to later stages ÷ entries,"
        " whichever deals they are of, may exceed 100%; reached = entered or skipped; exits by"
        " destination = exits by target ÷ exits; amounts as at the event; intervals of 95%"
    )
    period: Period
    before: Period
    """The period to compare with."""
    stages: tuple[StageConversion, ...]
    stages_before: tuple[StageConversion, ...]
    """The same of the period before, followed up to the same moment."""
    reach: tuple[StageReach, ...]
    transitions: tuple[Transition, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: conversion by count and by value, reach, exits."""
        return [*_ConversionLayout(self, language).tables()]


class Conversion(PeriodQuestion[ConversionView]):
    """How many deals go on from each stage?"""

    name: ClassVar[str] = "conversion"
    folds: ClassVar[tuple[str, ...]] = (STAGE_VISIT.name, DEAL_STATE.name)
    process: Reference | None = None
    """Only stages of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only what happened while this rep owned the deal."""

    def answer(self, reader: Reader, moment: Moment) -> ConversionView:
        """Count on the way of every deal up to the moment."""
        span, before = self.spans(reader)
        steps = read_steps(reader)
        steps = steps.where(~steps.merged)
        named = names_of_stages(steps.versions, steps.visited, reader.processes)
        names = {key: named[key] for key in named if self.process in (None, key[0])}
        of_process = steps.rows.fitting({"process": self.process})
        owned = steps.rows.fitting({"owner": self.owner})
        wanted = Wanted(of_process, lambda chosen: owned[chosen])
        passages = Passages(steps, names, wanted, reader.processes)
        return ConversionView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            stages=conversions(passages, span),
            stages_before=conversions(passages, before),
            reach=reaches(passages, span),
            transitions=tuple(transitions(passages, span)),
        )


class _ConversionLayout(NamedTuple):
    """Lays a view out for people in a language."""

    view: ConversionView
    language: Language

    def tables(self) -> Iterator[TableOfView]:
        """Yield the tables that have anything to show."""
        yield self._stages()
        if any(stage.values for stage in self.view.stages):
            yield self._values()
        if self.view.reach:
            yield self._reach()
        if self.view.transitions:
            yield self._matrix()

    def _stages(self) -> TableOfView:
        rows: list[RowOfValues] = [
            (
                self._stage(now),
                *(now.entered, now.moved_on, now.left, now.still_there),
                _percent(now.to_date),
                _percent(now.resolved),
                _percent(before.to_date),
                Percent(now.in_period),
            )
            for now, before in zip(self.view.stages, self.view.stages_before, strict=True)
        ]
        columns = (
            "Stage", "Entered", "Moved on", "Left without moving on", "Still there",
            "Conversion to date", "Conversion of deals that left",
            "Conversion to date, prior period", "Onward ÷ entries in period",
        )  # fmt: skip
        days = days_text(self.view.period, ZoneInfo(self.view.timezone))
        return TableOfView("Conversion", columns, written_rows(rows), about=days)

    def _values(self) -> TableOfView:
        rows = tuple(
            (
                self._stage(stage),
                " + ".join(amount_text(each.entered, each.currency) for each in stage.values),
                " + ".join(amount_text(each.moved_on, each.currency) for each in stage.values),
                _shares((each.to_date, each.currency) for each in stage.values),
                _shares((each.resolved, each.currency) for each in stage.values),
                _shares((each.in_period, each.currency) for each in stage.values),
            )
            for stage in self.view.stages
            if stage.values
        )
        columns = (
            "Stage", "Entered", "Moved on", "Conversion to date",
            "Conversion of deals that left", "Onward ÷ entries in period",
        )  # fmt: skip
        return TableOfView("Conversion by value", columns, rows)

    def _reach(self) -> TableOfView:
        rows: list[RowOfValues] = [
            (
                self._stage(stage),
                stage.created,
                stage.entered,
                stage.reached,
                _percent(stage.entered_share),
                _percent(stage.reached_share),
            )
            for stage in self.view.reach
        ]
        columns = (
            "Stage", "Created", "Entered", "Reached, incl. skipped", "% entered", "% reached",
        )  # fmt: skip
        title = "Stage reach of deals created in the period"
        return TableOfView(title, columns, written_rows(rows))

    def _matrix(self) -> TableOfView:
        """Sum up the exits from each stage by kind."""
        exits: dict[tuple[str, str], tuple[str, Counter[str]]] = {}
        for each in self.view.transitions:
            key = (each.process, each.stage)
            _, counts = exits.setdefault(key, (self._stage(each), Counter()))
            counts[each.kind] += each.exits
        rows: list[RowOfValues] = [
            (
                stage,
                counts.total(),
                *(Percent(Decimal(counts[kind]) / counts.total()) for kind in KINDS),
            )
            for stage, counts in exits.values()
        ]
        columns = ("Stage", "Exits", *(kind.capitalize() for kind in KINDS))
        return TableOfView("Stage exits by destination", columns, written_rows(rows))

    def _stage(self, row: StageConversion | StageReach | Transition) -> str:
        several = len({stage.process for stage in self.view.stages}) > 1
        name = row.stage_zh if self.language == "zh" else row.stage_en
        return f"{row.process}: {name}" if several else name


def _percent(estimate: Estimate | None) -> str:
    return estimate_text(estimate, percent=True)


def _shares(found: Iterable[tuple[Decimal | None, str]]) -> str:
    """Write a share of each currency; where it is undefined, nothing."""
    told = (f"{percent_text(share)} ({its})" for share, its in found if share is not None)
    return " + ".join(told) or NO_VALUE
