"""Strategy reviews at any moment: every part is what its own question answers then."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.strategy_review import ASKED, CASE
from properties.effort import TALLY, examples
from properties.keyed import KeyedFact, Saying, keyed_history, tell_all
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.test_cases import other as of_case
from properties.test_cases import published
from properties.test_improvements import other as of_improvement
from properties.test_improvements import proposed
from properties.test_retrospective import DAY
from properties.test_reviews import opened
from properties.test_reviews import other as of_review
from properties.world import START, at, instant
from salesflow import GoalAttainment, Retrospective
from salesflow.domain.figures import FIGURES_ID, FigureReported
from salesflow.projections.review import strategy_review
from salesflow.projections.review.strategy_review import StrategyReviewView

QUESTIONS = 3


def reported(chance: Random) -> KeyedFact:
    month = chance.randrange(1, 7)
    fact = FigureReported.model_validate(
        {
            "figure": chance.choice(("market-share", "awareness")),
            "value": f"0.{chance.randrange(10, 60)}",
            "unit": "share",
            "first_day": f"2024-0{month}-01",
            "last_day": f"2024-0{month}-28",
            "source": "institute",
        }
    )
    return KeyedFact(FIGURES_ID, fact)


def history_of(seed: int) -> list[Saying]:
    openings = [opened(0), published(0), published(1), proposed(0), reported]
    others = [of_review, of_review, of_case, of_improvement, reported]
    return keyed_history(seed, openings, others, count=30)


def check(player: Player, seed: int, met: Counter[str]) -> None:
    raw, chance = raw_log(player.flow), Random(seed)
    instants = knowledge(raw)
    for _ in range(QUESTIONS):
        question = chance.choice(ASKED)
        as_of = at(instant(START) + chance.choice((100, 140, 180, 220)) * DAY)
        known_at = at(chance.choice((instants[-1], chance.choice(instants))))
        wanted = CASE.wanted(raw, question, instant(as_of), instant(known_at))
        view = player.flow.ask(question, as_of=as_of, known_at=known_at)
        TALLY["strategy reviews asked at a moment"] += 1
        assert CASE.said(view) == wanted, (question, as_of, known_at, shown(raw))
        compare(player, view, {"from_": question.from_, "to": question.to}, (as_of, known_at))
        met.update(name for name, value in view if value)


def compare(player: Player, view: StrategyReviewView, days: Any, when: Any) -> None:  # noqa: ANN401
    """Figures and goals are those of the questions about them."""
    moment = {"as_of": when[0], "known_at": when[1]}
    alone = player.flow.ask(Retrospective.model_validate(days), **moment)
    assert view.figures == alone.figures
    goals = player.flow.ask(GoalAttainment.model_validate(days), **moment)
    assert view.goals == goals.goals


EXPECTED = {"figures", "funnel", "feedback", "cases", "market", "improvements", "actions"}


def agree(url: str, count: int, met: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=st.integers(0, 2**32).map(history_of), asked=st.integers(0, 2**32))
    def reviews(history: list[Saying], asked: int) -> None:
        with Player(url) as player:
            tell_all(player, history)
            check(player, asked, met)

    reviews()


def test_a_strategy_review_is_what_its_parts_say_by_themselves(database_url: str) -> None:
    met: Counter[str] = Counter()
    agree(database_url, 4, met)
    assert set(met) >= EXPECTED, "of the others this property says nothing"


def test_a_funnel_of_today_in_the_review_of_a_past_month_is_found_out(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setattr(strategy_review, "EarlierReader", lambda reader, **_: reader)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 10, Counter(), shrink=False)
