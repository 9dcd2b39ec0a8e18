"""What we did about feedback: detractors followed up in time, and what feedback is about.

What was said is counted by `feedback`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.deal.after_sales import (
    DETRACTOR_MAX,
    FeedbackFollowedUp,
    FeedbackReceived,
)
from salesflow.domain.event import Event
from salesflow.domain.time import DAY, from_instant
from salesflow.domain.values import Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    estimate_text,
    local_day,
    number_text,
    short_id,
)
from salesflow.presentation.messages import Language, in_language, say, word_known
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NO_NUMBER, HeldRows
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import decimal_of, share

__all__ = [
    "DetractorCase",
    "DetractorFollowUps",
    "FeedbackTheme",
    "detractor_cases",
    "feedback_themes",
    "follow_up_tables",
    "follow_ups",
]


PROMOTER_MIN: Final = 9


class DetractorFollowUps(Value):
    """How many detractors somebody came back to, and in time."""

    detractors: int
    followed_up: int
    """By the moment, however late."""
    within: int
    """So many days after their feedback at most."""
    due: int
    """Those within, and those whose days are over: of the others nothing can be said yet."""
    within_share: Estimate | None
    """within ÷ due, with its Wilson interval; None while none is due."""


class FeedbackTheme(Value):
    """How often feedback was about one thing, and by whom."""

    theme: Annotated[Reference, FieldRole.KEY]
    responses: int
    responses_before: int
    promoters: int
    """Of those with a score from 0 to 10; so are the detractors."""
    detractors: int


class DetractorCase(Value):
    """A customer who would not recommend us, and who came back to them."""

    position: Annotated[int, FieldRole.KEY]
    event_id: Annotated[UUID | None, FieldRole.TRAIT]
    """By which the feedback is named in a follow-up."""
    deal: Annotated[UUID, FieldRole.TRAIT]
    received_at: datetime
    owner: Annotated[Reference | None, FieldRole.TRAIT]
    score: Annotated[int, FieldRole.TRAIT]
    text: Personal | None
    themes: tuple[SafeText, ...]
    followed_up_at: datetime | None
    followed_up_by: Annotated[Reference | None, FieldRole.TRAIT]
    days: Decimal
    """From the feedback to the follow-up, or to the moment while there is none."""
    result: Personal | None
    """What came of it."""


def _low(rows: HeldRows) -> HeldRows:
    rows = rows.among("kind", "received").among("scale", "nps")
    return rows.where(rows.known("score") & (rows["score"] <= DETRACTOR_MAX))


def follow_ups(rows: HeldRows, days: int, as_of: int) -> DetractorFollowUps:
    """Count the detractors among rows of feedback, and who came back to them in time."""
    low = _low(rows)
    occurred, followed = low["occurred"], low["followed_up"]
    is_followed = followed != NO_NUMBER
    within = is_followed & (followed - occurred <= days * DAY)
    due = within | (as_of - occurred > days * DAY)
    counts = [int(np.count_nonzero(each)) for each in (is_followed, within, due)]
    return DetractorFollowUps(
        detractors=len(low),
        followed_up=counts[0],
        within=counts[1],
        due=counts[2],
        within_share=share(counts[1], counts[2]),
    )


def feedback_themes(rows: HeldRows, before: HeldRows) -> list[FeedbackTheme]:
    """Count feedback by what it is about, the most frequent first; it may be about several."""
    now, earlier = (_by_theme(each) for each in (rows, before))
    found = [
        FeedbackTheme(
            theme=theme,
            responses=now.get(theme, NONE)[0],
            responses_before=earlier.get(theme, NONE)[0],
            promoters=now.get(theme, NONE)[1],
            detractors=now.get(theme, NONE)[2],
        )
        for theme in {**now, **earlier}
    ]
    return sorted(found, key=lambda it: (-it.responses, -it.responses_before, it.theme))


NONE: Final = (0, 0, 0)


def _by_theme(rows: HeldRows) -> dict[str, tuple[int, int, int]]:
    rows = rows.among("kind", "received")
    rows = rows.where(rows.known("themes"))
    score = np.where(rows.known("score") & rows.has("scale", "nps"), rows["score"], -1)
    alike = grouped(rows["themes"], score)
    counts = alike.counts().tolist()
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    lines = rows.cells("themes", alike.first)
    for themes, given, count in zip(lines, score[alike.first].tolist(), counts, strict=True):
        for theme in themes.split("\n"):
            found[theme][0] += count
            found[theme][1] += count * (given >= PROMOTER_MIN)
            found[theme][2] += count * (0 <= given <= DETRACTOR_MAX)
    return {theme: (its[0], its[1], its[2]) for theme, its in found.items()}


DETRACTOR: Final = (
    *("entity_id", "position", "occurred", "owner", "score", "themes"),
    *("followed_up", "followed_up_by", "followed_up_position"),
)


def detractor_cases(rows: HeldRows, reader: Reader, limit: int) -> list[DetractorCase]:
    """Name so many detractors at most: first those nobody came back to, the longest ago."""
    low = _low(rows)
    is_followed = low["followed_up"] != NO_NUMBER
    order = np.lexsort([low["position"], low["occurred"], is_followed])[:limit]
    chosen = [*low.ordered(order).records(*DETRACTOR)]
    streams = reader.streams({row[0] for row in chosen}, FeedbackReceived, FeedbackFollowedUp)
    events = {event.position: event for its in streams.values() for event in its}
    return [_detractor(row, events, reader) for row in chosen]


def _detractor(
    row: tuple[Any, ...], events: Mapping[int, Event], reader: Reader
) -> DetractorCase:
    deal, position, occurred, owner, score, themes, followed, by, place = row
    said, answer = events.get(position), events.get(place)
    until = reader.read_point.as_of if followed is None else followed
    return DetractorCase(
        position=position,
        event_id=None if said is None else said.event_id,
        deal=deal,
        received_at=from_instant(occurred),
        owner=owner,
        score=score,
        text=getattr(said and said.fact, "text", None),
        themes=() if themes is None else tuple(themes.split("\n")),
        followed_up_at=None if followed is None else from_instant(followed),
        followed_up_by=by,
        days=decimal_of(Fraction(until - occurred, DAY)),
        result=getattr(answer and answer.fact, "result", None),
    )


def follow_up_tables(
    told: tuple[DetractorFollowUps, DetractorFollowUps],
    themes: Iterable[FeedbackTheme],
    cases: Sequence[DetractorCase],
    days: int,
    written: tuple[ZoneInfo, Language],
) -> list[TableOfView]:
    """Lay out who was followed up, and what feedback is about."""
    zone, language = written
    columns = (
        "Time", "Deal", "Owner", "Score", "Followed up at", "By whom", "Days", "Result", "Text",
        "Feedback event",
    )  # fmt: skip
    listed = tuple(_case_row(each, zone) for each in cases)
    counted = tuple(
        (
            word_known(each.theme, language),
            *(f"{count:,}" for count in (each.responses, each.responses_before)),
            *(f"{count:,}" for count in (each.promoters, each.detractors)),
        )
        for each in themes
    )
    heads = "Theme", "Responses", "Responses, prior", "Promoters", "Detractors"
    return [
        _figures_table(told, days, language),
        TableOfView("Detractors", columns, listed),
        TableOfView("Feedback by theme", heads, counted),
    ]


def _figures_table(
    told: tuple[DetractorFollowUps, DetractorFollowUps], days: int, language: Language
) -> TableOfView:
    rows = tuple(
        (
            in_language(name, language),
            *(f"{count:,}" for count in (its.detractors, its.followed_up, its.within)),
            estimate_text(its.within_share, percent=True),
        )
        for name, its in zip(("This period", "Prior period"), told, strict=True)
        if any(side.detractors for side in told)
    )
    note = say("in time = within {days} days", language, days=days)
    heads = "Period", "Detractors", "Followed up", "In time", "Share in time"
    return TableOfView("Follow-up on detractors", heads, rows, notes=(note,))


def _case_row(each: DetractorCase, zone: ZoneInfo) -> tuple[str, ...]:
    followed = each.followed_up_at
    return (
        local_day(each.received_at, zone),
        short_id(each.deal),
        each.owner or NO_VALUE,
        f"{each.score}",
        NO_VALUE if followed is None else local_day(followed, zone),
        each.followed_up_by or NO_VALUE,
        number_text(each.days),
        each.result or NO_VALUE,
        each.text or NO_VALUE,
        str(each.event_id),
    )
