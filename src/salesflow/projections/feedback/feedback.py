"""What customers say of us: NPS, CSAT and CES of a period, who answered, and their own words.

Answers "how satisfied are customers, with which stage, rep or product, and what do they say?"
for any past moment, the period before beside it. Feedback counts whatever became of the deal,
lost or merged. Scales are never mixed: each score counts on the scale it names. Leaves out
what follows from it: that is for the drivers of winning and for retrospectives.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BeforeValidator, Field

from salesflow.domain.deal.after_sales import FeedbackReceived, Scale
from salesflow.domain.time import Instant, Moment, Period, from_instant
from salesflow.domain.values import Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    days_text,
    estimate_text,
    local_day,
    short_id,
)
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, HeldRows
from salesflow.projections.core.question import (
    Limit,
    PeriodQuestion,
    Reader,
    View,
    ensure_no_flag,
)
from salesflow.projections.core.statistics import mean, net_promoters, share
from salesflow.projections.feedback.follow_up import (
    DetractorCase,
    DetractorFollowUps,
    FeedbackTheme,
    detractor_cases,
    feedback_themes,
    follow_up_tables,
    follow_ups,
)
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.scope import stage_name

__all__ = [
    "FIGURE_COLUMNS",
    "GROUPED_BY",
    "Answers",
    "Feedback",
    "FeedbackFigures",
    "FeedbackGroup",
    "FeedbackView",
    "Verbatim",
    "WordedRow",
    "answers_alike",
    "counted",
    "feedback_groups",
    "figures_text",
    "newest_words",
    "read_words",
]


# Scores of customers as figures: NPS, CSAT, CES and response rate, each with its interval.
#
# Whoever counts scores (feedback, key figures) counts them here, so that one scale is never
# taken for another: NPS is made of scores from 0 to 10 alone, CSAT of 1 to 5, CES of 1 to 7.

PROMOTER, PASSIVE, SATISFIED = 9, 7, 4
"""The lowest score of a promoter, of a passive (both of 10) and of the top box (of 5)."""

FIGURE_COLUMNS: Final = (
    "Feedback received", "NPS", "Promoters", "Passives", "Detractors", "CSAT top box",
    "CSAT mean", "CES mean", "Surveys sent", "Surveys answered", "Response rate",
)  # fmt: skip


class FeedbackFigures(Value):
    """What was said on each scale, and how many of those asked said something."""

    responses: int
    """All feedback, words without a score included."""
    promoters: int
    passives: int
    detractors: int
    nps: Estimate | None
    """Share of promoters less that of detractors, x 100; None without a score from 0 to 10."""
    csat_scores: int
    satisfied: int
    csat_top_box: Estimate | None
    """Share of 4 and 5 among the scores from 1 to 5."""
    csat_mean: Estimate | None
    ces_scores: int
    ces_mean: Estimate | None
    """Mean of the scores from 1 to 7."""
    sent: int
    answered: int
    """How many of the surveys sent in the period have been answered by the moment."""
    response_rate: Estimate | None


class Answers(NamedTuple):
    """So many rows alike: surveys sent, or feedback with one score on one scale."""

    rows: int
    process_version: int
    """The newest of theirs, to name stages by."""
    kind: str
    scale: Scale | None
    score: int | None
    answered: int
    group: tuple[str | None, ...]


def counted(answers: Iterable[Answers]) -> FeedbackFigures:
    """Work out the figures of some answers."""
    scores: dict[str | None, Counter[int]] = defaultdict(Counter)
    responses = sent = answered = 0
    for each in answers:
        if each.kind == "sent":
            sent += each.rows
            answered += each.rows * each.answered
            continue
        responses += each.rows
        if each.score is not None:
            scores[each.scale][each.score] += each.rows
    nps, csat, ces = scores["nps"], scores["csat"], scores["ces"]
    promoters, satisfied = _at_least(PROMOTER, nps), _at_least(SATISFIED, csat)
    passives = _at_least(PASSIVE, nps) - promoters
    detractors = nps.total() - promoters - passives
    return FeedbackFigures(
        responses=responses,
        promoters=promoters,
        passives=passives,
        detractors=detractors,
        nps=net_promoters(promoters, detractors, nps.total()),
        csat_scores=csat.total(),
        satisfied=satisfied,
        csat_top_box=share(satisfied, csat.total()),
        csat_mean=mean(csat),
        ces_scores=ces.total(),
        ces_mean=mean(ces),
        sent=sent,
        answered=answered,
        response_rate=share(answered, sent),
    )


def figures_text(figures: FeedbackFigures) -> tuple[str, ...]:
    """Write the figures for people, in the order of `FIGURE_COLUMNS`."""
    return (
        f"{figures.responses:,}",
        estimate_text(figures.nps),
        f"{figures.promoters:,}",
        f"{figures.passives:,}",
        f"{figures.detractors:,}",
        estimate_text(figures.csat_top_box, percent=True),
        estimate_text(figures.csat_mean, places=2),
        estimate_text(figures.ces_mean, places=2),
        f"{figures.sent:,}",
        f"{figures.answered:,}",
        estimate_text(figures.response_rate, percent=True),
    )


def _at_least(lowest: int, scores: Counter[int]) -> int:
    return sum(times for score, times in scores.items() if score >= lowest)


By = Literal["stage", "owner", "product"]
GROUPED_BY: Final[Mapping[By, tuple[str, ...]]] = {
    "stage": ("process", "stage"),
    "owner": ("owner",),
    "product": ("products",),
}
"""The columns by which each kind of groups is told apart."""
LISTED = 20
FOLLOW_UP_DAYS: Final = 7
FollowUpDays = Annotated[int, BeforeValidator(ensure_no_flag), Field(ge=1, le=3_650)]
WORDS = ("Time", "Deal", "Stage", "Owner", "Scale", "Score", "Text")


class FeedbackGroup(Value):
    """The figures of one stage, owner or product; `key` is None where it is not known."""

    key: SafeText | None
    process: Reference | None
    """The stage's process; None in groups by owner or product."""
    name_en: SafeText | None
    name_zh: SafeText | None
    figures: FeedbackFigures


class Verbatim(Value):
    """What a customer said in their own words, and where the deal stood then."""

    position: Annotated[int, FieldRole.KEY]
    deal: UUID
    occurred_at: datetime
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    owner: Reference | None
    products: tuple[SafeText, ...]
    survey: Reference | None
    scale: Scale | None
    score: int | None
    text: Personal


class FeedbackView(View):
    """The figures of a period and of the one before, group by group, and the newest words."""

    population: ClassVar[str] = (
        "feedback received, and surveys sent, in the period by the moment, on any deal whatever"
        " became of it; stage, owner and products are those of the deal at that time; a deal"
        " of several products counts for each"
    )
    formula: ClassVar[str] = (
        "NPS = (share of 9-10 less share of 0-6 of 0-10 scores) x 100; CSAT top box = share of"
        " 4-5 of 1-5 scores; CES = mean of 1-7 scores; response rate = surveys answered / sent,"
        " an answer settles the last unanswered survey of its name; in brackets 95% intervals:"
        " shares Wilson, means Student's t, NPS normal with variance (p + d - (p - d)^2) / n;"
        " in time = detractors (0-6 of 10) followed up within so many days / those and the"
        " detractors whose days are over; a follow-up is of the feedback it names, else of the"
        " latest detractor of the deal that nobody had followed up"
    )
    period: Period
    before: Period
    by: By | None
    total: FeedbackFigures
    total_before: FeedbackFigures
    groups: tuple[FeedbackGroup, ...]
    verbatims: tuple[Verbatim, ...]
    verbatims_total: int
    """How many there are in all, the listed ones included."""
    within: int
    """After how many days a follow-up is late."""
    follow_up: DetractorFollowUps
    follow_up_before: DetractorFollowUps
    themes: tuple[FeedbackTheme, ...]
    """What feedback is about, as somebody tagged it; the most frequent first."""
    detractor_cases: tuple[DetractorCase, ...]
    """Those nobody came back to first."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: a row per period and group, then the words, newest first."""
        zone = ZoneInfo(self.timezone)
        days, before = days_text(self.period, zone), days_text(self.before, zone)
        if self.by is not None:
            days = say("All, {days}", language, days=days)
            before = say("All, prior period {days}", language, days=before)
        rows = [
            (days, *figures_text(self.total)),
            (before, *figures_text(self.total_before)),
            *((_name(group, language), *figures_text(group.figures)) for group in self.groups),
        ]
        listed = (
            f"{in_language('listed', language)} {len(self.verbatims):,}"
            f" · {in_language('in all', language)} {self.verbatims_total:,}"
        )
        said = tuple(_words(verbatim, zone, language) for verbatim in self.verbatims)
        first = (self.by or "period").capitalize()
        told = self.follow_up, self.follow_up_before
        done = follow_up_tables(
            told, self.themes, self.detractor_cases, self.within, (zone, language)
        )
        return [
            TableOfView("Feedback", (first, *FIGURE_COLUMNS), tuple(rows)),
            *(table for table in done if table.rows),
            TableOfView("Verbatims", WORDS, said, notes=(listed,)),
        ]


class Feedback(PeriodQuestion[FeedbackView]):
    """How satisfied are customers, and what do they say?"""

    name: ClassVar[str] = "feedback"
    folds: ClassVar[tuple[str, ...]] = (FEEDBACK.name, DEAL_STATE.name)
    by: By | None = None
    """Also group by stage, owner or product, as they were at the time."""
    process: Reference | None = None
    """Only deals that were of this process (its key) at the time; all when left out."""
    owner: Reference | None = None
    """Only deals that were owned by this rep at the time; all when left out."""
    survey: Reference | None = None
    """Only this survey; all, and feedback nobody asked for, when left out."""
    limit: Limit = LISTED
    """How many verbatims and detractors to list at most. Default: 20."""
    within: FollowUpDays = FOLLOW_UP_DAYS
    """Within how many days a detractor is to be followed up. Default: 7."""

    def answer(self, reader: Reader, moment: Moment) -> FeedbackView:
        """Count the rows that hold at the moment; fetch the words of those listed."""
        span, before = self.spans(reader)
        rows = self._asked_about(reader)
        said = rows.between("occurred", span.start, span.end)
        earlier = rows.between("occurred", before.start, before.end)
        columns = GROUPED_BY[self.by] if self.by is not None else ()
        answers = answers_alike(said, columns)
        as_of = reader.read_point.as_of
        worded = said.where(said.has("kind", "received") & said.say("worded"))
        return FeedbackView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            by=self.by,
            total=counted(answers),
            total_before=counted(answers_alike(earlier, columns)),
            groups=tuple(feedback_groups(answers, self.by, reader)),
            verbatims=tuple(read_words(reader, newest_words(worded, self.limit))),
            verbatims_total=len(worded),
            within=self.within,
            follow_up=follow_ups(said, self.within, as_of),
            follow_up_before=follow_ups(earlier, self.within, as_of),
            themes=tuple(feedback_themes(said, earlier)),
            detractor_cases=tuple(detractor_cases(said, reader, self.limit)),
        )

    def _asked_about(self, reader: Reader) -> HeldRows:
        rows = reader.columns(FEEDBACK)
        wanted = {"process": self.process, "owner": self.owner, "survey": self.survey}
        return rows.where(rows.fitting(wanted))


class WordedRow(NamedTuple):
    """A row of feedback that was given in words."""

    entity_id: UUID
    position: int
    occurred: Instant
    process: str
    process_version: int
    stage: str
    owner: str | None
    products: str | None
    survey: str | None
    scale: Scale | None
    score: int | None


def newest_words(rows: HeldRows, limit: int) -> list[WordedRow]:
    """Return so many rows of feedback at most, the newest first."""
    newest = rows.ordered(np.lexsort([-rows["position"], -rows["occurred"]])[:limit])
    cells = zip(*map(newest.cells, WordedRow._fields), strict=True)
    return [*map(WordedRow._make, cells)]


def read_words(reader: Reader, rows: Sequence[WordedRow]) -> list[Verbatim]:
    """Read from the log what was said in rows of feedback: it is personal, and only there."""
    streams = reader.streams({row.entity_id for row in rows}, FeedbackReceived)
    said = {
        event.position: event.fact.text
        for events in streams.values()
        for event in events
        if isinstance(event.fact, FeedbackReceived)
    }
    return [_verbatim(row, said.get(row.position) or "", reader) for row in rows]


def answers_alike(rows: HeldRows, by: Sequence[str]) -> list[Answers]:
    """Put rows of feedback together that are alike, and of one group by some columns."""
    score = np.where(rows.known("score"), rows["score"], NOTHING)
    alike = grouped(score, *(rows[name] for name in ("kind", "scale", "answered", *by)))
    newest = alike.greatest(rows["process_version"])
    names = ("kind", "scale", "score", "answered", *by)
    cells = zip(*map(rows.ordered(alike.first).cells, names), strict=True)
    counts = zip(alike.counts().tolist(), newest.tolist(), cells, strict=True)
    return [
        Answers(times, version, kind, scale, score, answered, tuple(group))
        for times, version, (kind, scale, score, answered, *group) in counts
    ]


def feedback_groups(
    answers: Sequence[Answers], by: By | None, reader: Reader
) -> Iterable[FeedbackGroup]:
    """Count group by group: stages in the order of their process, others by name."""
    found: dict[tuple[str | None, ...], list[Answers]] = defaultdict(list)
    for each in answers:
        for key in _keys_of(each, by):
            found[key].append(each)
    groups = []
    for key, members in found.items():
        process, name = (key[0], key[1]) if by == "stage" else (None, key[0])
        order, name_en, name_zh = 0, name, name
        if process is not None and name is not None:
            version = max(member.process_version for member in members)
            order, name_en, name_zh = stage_name(name, process, version, reader.processes)
        group = FeedbackGroup(
            key=name,
            process=process,
            name_en=name_en,
            name_zh=name_zh,
            figures=counted(members),
        )
        groups.append(((process or "", order, name is None, name or ""), group))
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def _keys_of(answers: Answers, by: By | None) -> list[tuple[str | None, ...]]:
    """Name the groups rows belong to: one, or each of several products."""
    if by is None:
        return []
    if by == "product":
        return [(product,) for product in _products(answers.group[0])] or [(None,)]
    return [answers.group]


def _products(lines: str | None) -> tuple[str, ...]:
    return () if lines is None else tuple(lines.split("\n"))


def _verbatim(row: WordedRow, text: str, reader: Reader) -> Verbatim:
    stage = stage_name(row.stage, row.process, row.process_version, reader.processes)
    return Verbatim(
        position=row.position,
        deal=row.entity_id,
        occurred_at=from_instant(row.occurred),
        stage=row.stage,
        stage_en=stage.name_en,
        stage_zh=stage.name_zh,
        owner=row.owner,
        products=_products(row.products),
        survey=row.survey,
        scale=row.scale,
        score=row.score,
        text=text,
    )


def _name(group: FeedbackGroup, language: Language) -> str:
    return (group.name_zh if language == "zh" else group.name_en) or NO_VALUE


def _words(verbatim: Verbatim, zone: ZoneInfo, language: Language) -> tuple[str, ...]:
    return (
        local_day(verbatim.occurred_at, zone),
        short_id(verbatim.deal),
        verbatim.stage_zh if language == "zh" else verbatim.stage_en,
        verbatim.owner or NO_VALUE,
        (verbatim.scale or NO_VALUE).upper(),
        NO_VALUE if verbatim.score is None else str(verbatim.score),
        verbatim.text,
    )
