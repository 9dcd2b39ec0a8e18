"""The figures of one stage: how many deals entered it and went on, and how long they stayed.

Counted on the ways of all deals, but for those that stand merged. What is counted belongs to
whoever had the deal when the step was taken: on entering for conversion and for the stay.

It is a module of its own, beside `metric_values`: it walks ways and knows no period's rows.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NO_LIST, Column, Flags, HeldRows
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.statistics import ratios
from salesflow.projections.metrics.conversion_figures import Passages, Wanted
from salesflow.projections.metrics.kpi_figures import Lines
from salesflow.projections.metrics.kpi_rows import KpiTables, cells_of
from salesflow.projections.metrics.visits import Steps, names_of_stages
from salesflow.projections.scope import Attribution, Grouping

__all__ = ["StageRows"]

VISITED: Final = Attribution("valid_from", "owner", "customer_id", "process")
CENSORING: Final = ("merged", "migrated")
"""What ends a visit without anybody knowing how long it would have been."""


class StageRows:
    """The entries into a stage and the stays in it, in some spans, which may overlap."""

    def __init__(
        self, reader: Reader, tables: KpiTables, spans: Sequence[Span], grouping: Grouping
    ) -> None:
        self._reader = reader
        self._tables = tables
        self._spans = spans
        self._grouping = grouping

    @property
    def _steps(self) -> Steps:
        return self._tables.steps

    @computed_once
    def _asked(self) -> Flags:
        """Which steps are of whom is asked about."""
        rows = self._steps.rows
        asked = rows.fitting(self._grouping.wanted(VISITED))
        in_team = self._grouping.in_team(rows, VISITED)
        return asked if in_team is None else asked & in_team

    @computed_once
    def _passages(self) -> Passages:
        """The steps, of which those into the stage count, in whichever process it is."""
        steps, asked, stage = self._steps, self._asked, self._grouping.within.stage
        named = names_of_stages(steps.versions, steps.visited, self._reader.processes)
        names = {key: named[key] for key in named if key[1] == stage}
        every = np.ones(len(steps), np.bool_)
        return Passages(
            steps, names, Wanted(every, lambda chosen: asked[chosen]), self._reader.processes
        )

    @computed_once
    def _groups(self) -> Column:
        return self._grouping.of(self._steps.rows, VISITED)

    def rows_of(self, part: str, number: int) -> tuple[HeldRows, Column]:
        """Return the entries in a span, or the visits that ended in it, and when that was."""
        steps, ends = self._steps, self._steps.ends
        if part == "entries":
            chosen = self._passages.entries(self._spans[number])
            chosen = chosen[self._passages.stages[chosen] >= 0]
            return steps.rows.ordered(chosen), steps.at[chosen]
        chosen = self._ended[number]
        return steps.rows.ordered(chosen), steps.at[ends[chosen]]

    @computed_once
    def entries(self) -> tuple[Lines, dict[str, Sequence[Any]]]:
        """Count entries, and what became of the deals that entered."""
        passages = self._passages
        found = [passages.entries(span) for span in self._spans]
        span, entries = _numbered(found)
        here = passages.stages[entries] >= 0
        span, entries = span[here], entries[here]
        group = self._groups[entries]
        deals, stages = passages.steps.deal[entries], passages.stages[entries]
        first = grouped(span, group, deals, stages).first
        entered = entries[first]
        moved_on = passages.moved_on(entered)
        left = ~moved_on & ~passages.still_there(entered)
        lines = Lines([cells_of(span, group)], len(self._spans), self._grouping)
        line = lines.of(span, group)
        cohort, on, off = (
            lines.counts(line[first][some])
            for some in (np.ones(len(first), np.bool_), moved_on, left)
        )
        resolved = [*map(sum, zip(on, off, strict=True))]
        return lines, {
            "stage_entries": lines.counts(line),
            "stage_conversion": ratios(on, cohort),
            "stage_conversion_resolved": ratios(on, resolved),
            "cohort": cohort,
            "resolved": resolved,
        }

    @computed_once
    def _ended(self) -> list[Column]:
        """The visits that ended in each span, of which anybody knows how long they were."""
        steps, ends = self._steps, self._steps.ends
        known = (ends >= 0) & ~steps.rows.has("entered", *CENSORING)[ends]
        visits = np.flatnonzero(known & self._asked & (self._passages.stages >= 0))
        ended = steps.at[ends[visits]]
        return [visits[(ended >= span.start) & (ended < span.end)] for span in self._spans]

    @computed_once
    def stays(self) -> tuple[Lines, dict[str, Sequence[Any]]]:
        """Spread the days of the visits that ended in each span, as far as anybody knows."""
        steps = self._steps
        span, chosen = _numbered(self._ended)
        group = self._groups[chosen]
        lines = Lines([cells_of(span, group)], len(self._spans), self._grouping)
        line = lines.of(span, group)
        spreads = lines.spreads(line, steps.lasted[chosen])
        return lines, {
            "stage_days": [each.days_median for each in spreads],
            "stays": lines.counts(line),
        }


def _numbered(lists: Sequence[Column]) -> tuple[Column, Column]:
    """Return the items of lists behind one another, and of which list each is."""
    number = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
    return number, np.concatenate([NO_LIST, *lists])
