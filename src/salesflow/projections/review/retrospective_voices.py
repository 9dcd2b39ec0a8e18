"""What customers said in a period: scores by survey, themes, and the words of detractors.

A theme is a stage or a product, as the deal stood when the customer answered; nothing is read
out of the words themselves. The figures are those of the question `Feedback`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from salesflow.domain.deal.after_sales import Scale
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.feedback.feedback import (
    GROUPED_BY,
    PASSIVE,
    Answers,
    FeedbackFigures,
    Verbatim,
    WordedRow,
    answers_alike,
    counted,
    feedback_groups,
    newest_words,
    read_words,
)
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.review.review_scope import ReviewScope
from salesflow.projections.scope import stage_name

__all__ = [
    "ScoreMoved",
    "Theme",
    "Voices",
]


Kind = Literal["stage", "product"]
THEME_KINDS: Final[tuple[Kind, ...]] = ("stage", "product")


class ScoreMoved(Value):
    """The score of one survey on one scale, and what it was in the period before."""

    survey: Annotated[Reference | None, FieldRole.KEY]
    """None for feedback that no survey asked for."""
    scale: Annotated[Scale, FieldRole.KEY]
    score: Estimate | None
    """NPS; the top box of CSAT; the mean of CES. None where nobody answered."""
    score_before: Estimate | None
    difference: Decimal | None


class Theme(Value):
    """What was said on deals in one stage, or about one product."""

    kind: Annotated[Kind, FieldRole.KEY]
    process: Annotated[Reference | None, FieldRole.KEY]
    """The stage's process; None for a product."""
    key: Annotated[SafeText | None, FieldRole.KEY]
    """None where no product is known."""
    name_en: SafeText | None
    name_zh: SafeText | None
    figures: FeedbackFigures
    figures_before: FeedbackFigures


class Voices:
    """The feedback on a part of sales in a period and in the one before."""

    def __init__(self, now: HeldRows, before: HeldRows, reader: Reader) -> None:
        self._now = now
        self._before = before
        self._reader = reader

    @classmethod
    def read(cls, periods: tuple[Span, Span], part: ReviewScope, reader: Reader) -> "Voices":
        """Read surveys sent and feedback received in two periods that follow one another."""
        rows, (span, before) = reader.columns(FEEDBACK), periods
        rows = rows.between("occurred", before.start, span.end)
        rows = rows.where(part.of_process(rows))
        rows = rows.where(part.owned(rows, rows["occurred"]))
        now, earlier = (rows.between("occurred", its.start, its.end) for its in periods)
        return cls(now, earlier, reader)

    def scores(self) -> Iterator[ScoreMoved]:
        """Yield the score of each survey on each scale it was answered on."""
        now, before = _by_survey(self._now), _by_survey(self._before)
        for key in sorted({*now, *before}, key=lambda key: (key[0] is None, *key)):
            survey, scale = key
            current, earlier = (_score(its.get(key, ()), scale) for its in (now, before))
            yield ScoreMoved(
                survey=survey,
                scale=scale,
                score=current,
                score_before=earlier,
                difference=None
                if current is None or earlier is None
                else current.value - earlier.value,
            )

    def themes(self) -> Iterator[Theme]:
        """Yield what was said by stage, in the order of their process, then by product."""
        for kind in THEME_KINDS:
            current, earlier = (
                answers_alike(rows, GROUPED_BY[kind]) for rows in (self._now, self._before)
            )
            now, before, every = (
                {
                    (group.process, group.key): group
                    for group in feedback_groups(answers, kind, self._reader)
                }
                for answers in (current, earlier, [*current, *earlier])
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
        """Return the newest words of detractors, by stage, and how many there are in all."""
        rows = self._now.among("kind", "received").among("scale", "nps")
        is_low = rows.known("score") & (rows["score"] < PASSIVE) & rows.say("worded")
        rows = rows.where(is_low)
        newest = newest_words(rows, limit)
        newest.sort(key=self._place)
        return read_words(self._reader, newest), len(rows)

    def _place(self, row: WordedRow) -> tuple[str, int, str]:
        """Return where a stage stands; of one stage the newest stay first."""
        place = (row.stage, row.process, row.process_version)
        return row.process, stage_name(*place, self._reader.processes).order, row.stage


def _by_survey(rows: HeldRows) -> Mapping[tuple[str | None, Scale], list[Answers]]:
    found: dict[tuple[str | None, Scale], list[Answers]] = defaultdict(list)
    for each in answers_alike(rows.where(rows.known("score")), ("survey",)):
        if each.scale is not None:
            found[each.group[0], each.scale].append(each)
    return found


def _score(answers: Iterable[Answers], scale: Scale) -> Estimate | None:
    figures = counted(answers)
    of: dict[Scale, Estimate | None] = {
        "nps": figures.nps,
        "csat": figures.csat_top_box,
        "ces": figures.ces_mean,
    }
    return of[scale]
