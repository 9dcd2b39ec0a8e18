"""Amounts in one currency at any moment: at the rates known then, by the rule that is named."""

from datetime import date
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.facts import THEMES
from properties.histories import Told
from properties.moments import Pick, instants, knowledge, moment_of, picks
from properties.playing import Act, Player, acts
from properties.rates import Publication, publications, publish, publish_all
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at
from salesflow.projections.core.currency import MoneyQuestion
from salesflow.projections.core.question import PeriodQuestion, Question, View
from salesflow.projections.registry import QUESTIONS

MONEY = ("flow", "forecast", "funnel", "funnel-trend", "kpis", "leaderboard", "win-loss")
PAGE = Path(__file__).parents[2] / "docs" / "one-currency.md"
ELSEWHERE = ("improvement-effect", "rep-card", "stage-kpis", "training-effect")
"""Those whose naive replays know no rates: what they measure are metrics, as `kpis` does."""
OF_RANGES = ("forecast-backtest", "forecast-range")
"""Those that `test_forecast_ranges` asks, in one currency too."""
SOLD = tuple(theme for theme in THEMES if "won" in theme)
BEGUN = (
    Act("record", 2, (Told(0, "opened", 16), Told(1, "opened", 22), Told(2, "opened", 31))),
    Act("record", 6, (Told(0, "won", 0), Told(1, "lost", 0))),
)
"""Three deals in dollars and euros, one of them won and one lost."""
YEAR = {"from_": date(2023, 12, 1), "to": date(2025, 1, 1)}


def asked(name: str) -> st.SearchStrategy[Any]:
    """Draw a question in one currency, now and then about all there is."""
    return st.builds(in_one, CASES[name].questions, st.booleans())


def in_one(question: Question[View], everything: bool) -> Question[View]:
    period = YEAR if everything and isinstance(question, PeriodQuestion) else {}
    currency = {} if getattr(question, "report_currency", None) else {"report_currency": "CNY"}
    unnamed = {name: None for name in ("deal", "team") if hasattr(question, name)}
    return question.model_copy(update={**period, **currency, **unnamed})


@examples(5)
@given(
    history=acts(3, least=8, themes=SOLD),
    published=publications(),
    moments=picks(least=2, most=2),
    questions=st.tuples(*map(asked, MONEY)),
)
def test_amounts_in_one_currency_are_those_of_a_naive_replay(
    database_url: str,
    history: list[Act],
    published: list[Publication],
    moments: list[Pick],
    questions: tuple[Any, ...],
) -> None:
    with Player(database_url) as player:
        publish_all(player.flow)
        player.play_all(BEGUN)
        for act, each in zip_longest(history, published):
            if each is not None:
                publish(player.flow, each)
            if act is not None:
                player.play(act)
        raw = raw_log(player.flow)
        end = (instants(raw)[-1], knowledge(raw)[-1])
        for as_of, known_at in [end, *(moment_of(pick, raw) for pick in moments)]:
            for name, question in zip(MONEY, questions, strict=True):
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                converted = view.rates is not None and view.rates.newest is not None
                TALLY[f"{name} at rates"] += converted
                wanted = CASES[name].wanted(raw, question, as_of, known_at)
                assert CASES[name].said(view) == wanted, (question, as_of, known_at, shown(raw))
                assert player.flow.ask(question, at=view.moment) == view


def test_every_question_in_one_currency_is_asked_here_or_said_to_be_elsewhere() -> None:
    in_one = {name for name, each in QUESTIONS.items() if issubclass(each, MoneyQuestion)}
    assert {*MONEY, *ELSEWHERE, *OF_RANGES} == in_one
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in sorted(in_one) if f"`{name}`" not in page] == []
