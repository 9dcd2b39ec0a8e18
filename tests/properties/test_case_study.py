"""Case studies of deals about which much is told and of which most are closed.

In the common histories few deals close, and fewer that are like one another. Here all are of
few processes, days are told as days, and most of them end.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from properties.asked.case_study import CASE
from properties.customers import customer_fact
from properties.effort import TALLY, examples
from properties.facts import fact_of
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import CUSTOMERS, DEALS, HOUR, START, at, customer_id, deal_id, instant
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact, FactRetracted
from salesflow.domain.values import Money
from salesflow.engine import ExternalEvent
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.projections.cases import case_figures, case_study
from salesflow.projections.cases import case_figures as case_turns
from salesflow.projections.cases import similar_cases as case_similar
from salesflow.projections.cases import similar_cases as case_walk
from salesflow.projections.cases.case_study import CaseStudy

DAY = 24 * HOUR
LASTS = 60
AMOUNTS = ("100", "120", "200", "300", "98000")
TALK = (
    "contact",
    "contact",
    *("doubted", "assured", "assured") * 2,
    "rivalled",
    "asked",
    "helped",
)
MONEY = (
    "offered",
    "offered",
    "cheapened",
    "quote_accepted",
    "quote_drafted",
    *("forecast",) * 3,
)
MOVES = ("moved", "moved", "moved", "owner", "joined", "left", "customer", "migrated")
ENDS = ("won", "lost", "won", "lost", "reopened", "disqualified")
WORDS = (*TALK, *MONEY, *MOVES, *ENDS)
Mistake = Callable[[pytest.MonkeyPatch], None]


class Said(NamedTuple):
    """What is told of a deal, on which day it happened, and whether no more is known."""

    deal: int
    what: str
    n: int
    day: int
    day_only: bool


class Lived(NamedTuple):
    """A history: how each deal was opened, what was told at first, and what was told later."""

    openings: tuple[int, ...]
    first: list[Said]
    ends: list[Said]
    later: list[Said]


def lived() -> st.SearchStrategy[Lived]:
    """Draw a history of a few deals."""
    deals, days, n = st.sampled_from((0, 0, 1, 2, 3)), st.integers(1, LASTS), st.integers(0, 59)
    said = st.builds(Said, deals, st.sampled_from(WORDS), n, days, st.booleans())
    ends = st.tuples(
        *(
            st.builds(
                Said,
                st.just(deal),
                st.sampled_from(("won", "lost")),
                n,
                st.integers(LASTS // 2, LASTS + 5),
                st.booleans(),
            )
            for deal in range(DEALS)
        )
    )
    return st.builds(
        Lived,
        st.tuples(*(st.integers(0, 59) for _ in range(DEALS))),
        st.lists(said, min_size=24, max_size=40),
        ends.map(list),
        st.lists(said, min_size=1, max_size=6),
    )


def opening(n: int) -> Fact:
    """Open most deals under the standard process, some for amounts that are alike."""
    fact = fact_of("opened", n - n % 3 if n % 4 else n)
    assert isinstance(fact, DealOpened)
    about = {"amount": Money(AMOUNTS[n % len(AMOUNTS)], "CNY"), "expected_close": START.date()}
    return fact.model_copy(
        update=about | ({"customer_id": customer_id(n // 4)} if n % 5 else {})
    )


def live(player: Player, history: Lived) -> None:
    """Tell a history in two parts; what comes later may take back what came first."""
    flow, start = player.flow, instant(START)
    player.clock.turn((LASTS + 10) * DAY)
    flow.record(
        [
            *(
                ExternalEvent(customer_id(number), customer_fact("opened", number), start)
                for number in range(CUSTOMERS)
            ),
            *(
                ExternalEvent(
                    deal_id(number), opening(n), start + (n % 3) * DAY, precision="day"
                )
                for number, n in enumerate(history.openings)
            ),
        ]
    )
    flow.record([foreign(said, start) for said in (*history.first, *history.ends)])
    player.clock.turn(DAY)
    flow.record([foreign(said, start) for said in history.later])
    gone = history.later[0]
    events = flow.history(deal_id(gone.deal))
    target = events[gone.n % len(events)]
    retracted = FactRetracted(event_id=target.event_id, because="it was wrong")
    player.clock.turn(DAY)
    flow.record([ExternalEvent(deal_id(gone.deal), retracted, None)])


def foreign(said: Said, start: int) -> ExternalEvent:
    """Make a fact of what was told; where more than a day is known, its number is the hour."""
    fact, day = fact_of(said.what, said.n), start + said.day * DAY
    if said.day_only:
        return ExternalEvent(deal_id(said.deal), fact, day, precision="day")
    return ExternalEvent(deal_id(said.deal), fact, day + said.n % 24 * HOUR)


@examples(15)
@given(history=lived(), days=st.lists(st.integers(0, LASTS + 20), min_size=2, max_size=2))
def test_a_case_is_told_as_a_naive_replay_tells_it(
    sqlite_url: str, history: Lived, days: list[int]
) -> None:
    with Player(sqlite_url) as player:
        live(player, history)
        raw = raw_log(player.flow)
        known = knowledge(raw)
        for number, day in enumerate([LASTS + 6, *days]):
            as_of = instant(START) + day * DAY
            check(player, raw, as_of, known[-1 - number * 3])


def check(player: Player, raw: list[Raw], as_of: int, known_at: int) -> None:
    """Ask for the case of every deal, and compare with the oracle."""
    for deal in range(DEALS):
        question = CaseStudy(deal=deal_id(deal), similar=(5, 2)[deal % 2])
        wanted = CASE.wanted(raw, question, as_of, known_at)
        said: dict[str, Any] | None = None
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
        except (NotFoundError, DealClosedError):
            TALLY["cases refused"] += 1
        else:
            said = CASE.said(view)
            TALLY["cases told"] += 1
            TALLY["similar deals found"] += len(view.similar)
            for each in view.turning_points:
                TALLY[f"cases that turned: {each.turn}"] += 1
        assert said == wanted, (question, as_of, known_at, shown(raw))


def counts_what_came_after(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(case_study, "path_to_closing", lambda way: way)


def takes_any_amounts_for_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(case_similar, "AMOUNT_FACTOR_MAX", 3)


def overlooks_pushes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(case_turns, "PUSH_DAYS_MIN", 45)


def counts_the_last_day_too(patch: pytest.MonkeyPatch) -> None:
    right = case_walk.days_of
    patch.setattr(case_figures, "days_of", lambda start, end, zone: right(start, end, zone) + 1)


@pytest.mark.parametrize(
    "mistake",
    [
        counts_what_came_after,
        takes_any_amounts_for_alike,
        overlooks_pushes,
        counts_the_last_day_too,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_a_mistake_in_the_case_study_is_found(
    mistake: Mistake, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        cases_agree(sqlite_url)


@examples(60, shrink=False)
@given(history=lived())
def cases_agree(url: str, history: Lived) -> None:
    with Player(url) as player:
        live(player, history)
        raw = raw_log(player.flow)
        check(player, raw, instant(START) + (LASTS + 20) * DAY, knowledge(raw)[-1])
