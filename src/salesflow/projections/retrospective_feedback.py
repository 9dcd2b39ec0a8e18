"""What customers said in a period: scores by survey, themes, and the words of detractors.

A theme is a stage or a product, as the deal stood when the customer answered; nothing is read
out of the words themselves. The figures are those of the question `Feedback`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import sqlalchemy as sa

from salesflow.domain.deal.service import Scale
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.estimates import Estimate
from salesflow.projections.feedback import FeedbackGroup, Verbatim, feedback_groups, read_words
from salesflow.projections.feedback_figures import (
    PASSIVE,
    Answers,
    FeedbackFigures,
    counted,
)
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.periods import Span
from salesflow.projections.questions import Reader
from salesflow.projections.records import Role
from salesflow.projections.retrospective_part import Part
from salesflow.projections.stage_names import stage_name

__all__ = ["ScoreMoved", "Theme", "Voices"]

Kind = Literal["stage", "product"]
KINDS: Final[tuple[Kind, ...]] = ("stage", "product")
Row = sa.Row[Any]


class ScoreMoved(Value):
    """The score of one survey on one scale, and what it was in the period before."""

    survey: Annotated[Reference | None, Role.KEY]
    """None for feedback that no survey asked for."""
    scale: Annotated[Scale, Role.KEY]
    score: Estimate | None
    """NPS; the top box of CSAT; the mean of CES. None where nobody answered."""
    score_before: Estimate | None
    difference: Decimal | None


class Theme(Value):
    """What was said on deals in one stage, or about one product."""

    kind: Annotated[Kind, Role.KEY]
    process: Annotated[Reference | None, Role.KEY]
    """The stage's process; None for a product."""
    key: Annotated[SafeText | None, Role.KEY]
    """None where no product is known."""
    name_en: SafeText | None
    name_zh: SafeText | None
    figures: FeedbackFigures
    figures_before: FeedbackFigures


class Voices:
    """The feedback on a part of sales in a period and in the one before."""

    def __init__(self, now: Sequence[Row], before: Sequence[Row], reader: Reader) -> None:
        self._now = now
        self._before = before
        self._reader = reader

    @classmethod
    def read(cls, periods: tuple[Span, Span], part: Part, reader: Reader) -> "Voices":
        """Read surveys sent and feedback received in two periods that follow one another."""
        c, (span, before) = FEEDBACK.c, periods
        select = sa.select(FEEDBACK.table).where(
            FEEDBACK.seen(reader.cut), c.occurred >= before.start, c.occurred < span.end
        )
        rows = [
            row for row in reader.rows(select) if part.has(row.owner, row.process, row.occurred)
        ]
        now = [row for row in rows if span.holds(row.occurred)]
        return cls(now, [row for row in rows if before.holds(row.occurred)], reader)

    def scores(self) -> Iterator[ScoreMoved]:
        """Give the score of each survey on each scale it was answered on."""
        now, before = _by_survey(self._now), _by_survey(self._before)
        for key in sorted({*now, *before}, key=lambda key: (key[0] is None, *key)):
            survey, scale = key
            here, there = (_score(rows.get(key, ()), scale) for rows in (now, before))
            yield ScoreMoved(
                survey=survey,
                scale=scale,
                score=here,
                score_before=there,
                difference=None if here is None or there is None else here.value - there.value,
            )

    def themes(self) -> Iterator[Theme]:
        """Give what was said by stage, in the order of their process, then by product."""
        for kind in KINDS:
            now, before, every = (
                _themes(rows, kind, self._reader)
                for rows in (self._now, self._before, (*self._now, *self._before))
            )
            for key, group in every.items():
                yield Theme(
                    kind=kind,
                    process=group.process,
                    key=group.key,
                    name_en=group.name_en,
                    name_zh=group.name_zh,
                    figures=now[key].figures if key in now else counted(()),
                    figures_before=before[key].figures if key in before else counted(()),
                )

    def detractors(self, limit: int) -> tuple[list[Verbatim], int]:
        """Give the newest words of detractors, by stage, and how many there are in all."""
        worded = [row for row in self._now if _is_detractor(row) and row.worded]
        worded.sort(key=lambda row: (-row.occurred, -row.position))
        newest = worded[:limit]
        newest.sort(key=self._place)
        return read_words(self._reader, newest), len(worded)

    def _place(self, row: Row) -> tuple[str, int, str]:
        """Say where a stage stands; of one stage the newest stay first."""
        place = (row.stage, row.process, row.process_version)
        return row.process, stage_name(*place, self._reader.processes).order, row.stage


def _is_detractor(row: Row) -> bool:
    scored = row.kind == "received" and row.scale == "nps" and row.score is not None
    return bool(scored and row.score < PASSIVE)


def _by_survey(rows: Iterable[Row]) -> Mapping[tuple[str | None, Scale], list[Row]]:
    found: dict[tuple[str | None, Scale], list[Row]] = defaultdict(list)
    for row in rows:
        if row.score is not None:
            found[row.survey, row.scale].append(row)
    return found


def _score(rows: Iterable[Row], scale: Scale) -> Estimate | None:
    figures = counted(_answers(row, ()) for row in rows)
    of: dict[Scale, Estimate | None] = {
        "nps": figures.nps,
        "csat": figures.csat_top_box,
        "ces": figures.ces_mean,
    }
    return of[scale]


def _themes(
    rows: Iterable[Row], kind: Kind, reader: Reader
) -> dict[tuple[str | None, str | None], FeedbackGroup]:
    answers = [
        _answers(row, (row.process, row.stage) if kind == "stage" else (row.products,))
        for row in rows
    ]
    groups = feedback_groups(answers, kind, reader)
    return {(group.process, group.key): group for group in groups}


def _answers(row: Row, group: tuple[str | None, ...]) -> Answers:
    said = (row.kind, row.scale, row.score, row.answered)
    return Answers(1, row.process_version, *said, group)
