"""Retrospectives of half a year in which deals stand too long, slip, are lost and spoken of.

The common histories are over before a deal has stood anywhere for too long, and nobody is in a
team in most of them; these last as long as the periods that are asked about.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.retrospective import CASE
from properties.effort import TALLY, examples
from properties.facts import fact_of
from properties.merges import Telling
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.reps import rep_fact
from properties.test_forecast import Said, append
from properties.test_forecast import fact as forecast_fact
from properties.world import HOUR, OWNERS, START, at, deal_id, instant
from salesflow.domain.event import Fact, FactRetracted
from salesflow.domain.rep import rep_id
from salesflow.errors import NotFoundError
from salesflow.projections.core import question
from salesflow.projections.core.question import Span
from salesflow.projections.review import (
    retrospective_deals,
    retrospective_stages,
    retrospective_voices,
)
from salesflow.projections.review.retrospective import Retrospective, RetrospectiveView
from salesflow.projections.review.review_scope import ReviewScope

DAY = 24 * HOUR
LASTS = 180
DEALS, TOLD, QUESTIONS = 4, 30, 8
MONTHS = [date(2024, month, 1) for month in range(1, 8)]
PERIODS = (
    *pairwise(MONTHS),
    (date(2024, 1, 1), date(2024, 4, 1)),
    (date(2024, 4, 1), date(2024, 7, 1)),
    (date(2024, 4, 1), date(2024, 7, 1)),
    (date(2024, 2, 10), date(2024, 3, 5)),
    (None, None),
)
PARTS: tuple[dict[str, Any], ...] = (
    {},
    {"limit": 1},
    {"owner": "ann"},
    {"process": "standard"},
    {"team": "east"},
    {"team": "south"},
    {"team": "west", "process": "standard"},
)
FORECASTS = ("close", "close", "close", "amount", "category", "chance")
WAYS = ("moved", "moved", "moved", "won", "won", "lost", "lost", "reopened", "reopened")
WORDS = (
    *FORECASTS,
    *WAYS,
    *("feedback", "feedback", "feedback", "survey", "lines", "contact"),
    *("merged", "unmerged", "migrated", "owner", "joined", "repeat", "retract"),
)
REP_WORDS = ("moved", "moved", "left", "opened")
Mistake = Callable[[pytest.MonkeyPatch], None]


class Asked(NamedTuple):
    """What is asked, as of which day, and after which telling of the last ones."""

    period: tuple[date | None, date | None]
    part: dict[str, Any]
    day: int
    shift: int
    known: int


def history_of(seed: int) -> list[Said]:
    """Tell a history by chance: every deal is opened early on, every rep soon joins a team."""
    chance = Random(seed)

    def one(number: int, what: str, lasts: int) -> Said:
        late = chance.choice((0, 0, 0, 1, 20, 60))
        return Said(number, what, chance.randrange(60), chance.randrange(lasts), late)

    openings = [one(deal, "open", LASTS // 3) for deal in range(DEALS)]
    rest = [one(chance.randrange(DEALS), chance.choice(WORDS), LASTS) for _ in range(TOLD)]
    reps = range(DEALS, DEALS + len(OWNERS))
    joinings = [one(rep, "opened", LASTS // 6) for rep in reps]
    staff = [one(chance.choice(reps), chance.choice(REP_WORDS), LASTS) for _ in range(3)]
    return [*openings, *rest, *joinings, *staff]


def questions_of(seed: int) -> list[Asked]:
    """Ask by chance: at the end of a day, at its edge, just before or after it."""
    chance = Random(seed)
    return [
        Asked(
            chance.choice(PERIODS),
            chance.choice(PARTS),
            chance.randrange(60, LASTS + 40),
            chance.choice((-1, 0, 1, 12 * HOUR)),
            chance.randrange(40),
        )
        for _ in range(QUESTIONS)
    ]


SEEDS = st.integers(0, 2**32)


def fact(said: Said) -> Fact:
    """Make the fact that is told."""
    if said.deal >= DEALS:
        return rep_fact(said.deal - DEALS, said.what, said.n, None)
    forecast = said.what in (*FORECASTS, "open")
    return forecast_fact(said) if forecast else fact_of(said.what, said.n)


def stream_of(said: Said) -> UUID:
    """Name the stream of a deal or a rep."""
    return deal_id(said.deal) if said.deal < DEALS else rep_id(OWNERS[said.deal - DEALS])


def tell(player: Player, history: list[Said]) -> None:
    """Tell it all in the order in which it became known, whatever the rules say of it."""
    begin = instant(START)
    for said in sorted(history, key=lambda one: (one.day + one.late, one.day)):
        player.clock.now = at(begin + (said.day + said.late) * DAY + 1)
        stored = player.flow.log.stream(stream_of(said))
        if said.what != "retract":
            happened = begin + said.day * DAY
            append(player, Telling(stream_of(said), fact(said), happened), said.n)
        elif stored:
            wrong = stored[-1 - said.n % len(stored)].event_id
            taken_back = FactRetracted(event_id=wrong, because="wrong")
            append(player, Telling(stream_of(said), taken_back, None), said.n)


def check(player: Player, asked: list[Asked], seen: Counter[str]) -> None:
    """Compare every answer with the oracle's."""
    raw = raw_log(player.flow)
    instants = knowledge(raw)
    for one in asked:
        first, after = one.period
        question = Retrospective.model_validate({"from_": first, "to": after, **one.part})
        as_of = instant(START) + one.day * DAY + one.shift
        known_at = instants[-1] if one.known % 2 else instants[-1 - one.known % len(instants)]
        TALLY["retrospectives of half a year"] += 1
        wanted = CASE.wanted(raw, question, as_of, known_at)
        said = None
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            said = CASE.said(view)
            seen.update(met(view))
        except NotFoundError:
            seen["refused"] += 1
        assert said == wanted, (question, as_of, known_at, shown(raw))


def met(view: RetrospectiveView) -> set[str]:
    """Name what an answer has something to say of."""
    names = {name for name, value in view if value}
    names |= {movement.movement for movement in view.movements}
    names |= {f"{deal.slipped} out" for deal in view.slipped}
    if any(each.accuracy for each in view.forecasts):
        names.add("accuracy")
    if view.team is not None and view.bottleneck is not None:
        names.add("bottleneck of a team")
    return names


EXPECTED = {
    "bottleneck", "bottleneck_before", "bottleneck of a team", "slipped", "moved out",
    "overdue out", "stalled", "losses", "losses_before", "forecasts", "accuracy", "scores",
    "themes", "detractors", "reorganised", "transferred", "reopened", "before_joining",
    "refused",
}  # fmt: skip


def agree(url: str, count: int, seen: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=SEEDS.map(history_of), asked=SEEDS.map(questions_of))
    def retrospectives(history: list[Said], asked: list[Asked]) -> None:
        with Player(url) as player:
            tell(player, history)
            check(player, asked, seen)

    retrospectives()


def test_every_retrospective_is_what_a_naive_replay_says_of_it(database_url: str) -> None:
    seen: Counter[str] = Counter()
    agree(database_url, 8, seen)
    assert set(seen) >= EXPECTED, "of the others this property says nothing"


def _a_visit_is_too_long_a_day_later(patch: pytest.MonkeyPatch) -> None:
    right = retrospective_stages._over
    patch.setattr(
        retrospective_stages,
        "_over",
        lambda start, until, begun, limit: right(start, until - DAY, begun, limit),
    )


def _the_team_is_that_of_today(patch: pytest.MonkeyPatch) -> None:
    right = ReviewScope.has_rep
    patch.setattr(ReviewScope, "has_rep", lambda part, rep, _: right(part, rep, 2**61))


def _the_period_before_is_the_period(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(question, "span_before", lambda span, _: span)


def _passives_are_detractors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retrospective_voices, "PASSIVE", 9)


def _the_start_is_the_first_instant(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Span, "opening", property(lambda span: span.start))


def _stalled_deals_are_worth_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retrospective_deals, "unscaled", lambda _: Decimal(0))


@pytest.mark.parametrize(
    "mistake",
    [
        _a_visit_is_too_long_a_day_later,
        _the_team_is_that_of_today,
        _the_period_before_is_the_period,
        _passives_are_detractors,
        _the_start_is_the_first_instant,
        _stalled_deals_are_worth_nothing,
    ],
)
def test_a_retrospective_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 40, Counter(), shrink=False)
