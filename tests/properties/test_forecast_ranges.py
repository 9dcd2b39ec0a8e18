"""Ranges of forecasts where deals are won over half a year: as plain loops draw them.

The histories of all questions last some weeks, which is less than a past window takes. Here
every deal is opened, moved and closed over months, some of it told late or taken back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.histories import Told, told
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player
from properties.rates import publish_all
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, at
from salesflow.errors import InputError
from salesflow.projections.core.question import Question, View
from salesflow.projections.forecast import (
    conversions_by_age,
    quarter_pace,
    range_model,
    wins_in_doubt,
)
from salesflow.projections.forecast.forecast_backtest import ForecastBacktest
from salesflow.projections.forecast.forecast_range import ForecastRange, ForecastRangeView

Mistake = Callable[[pytest.MonkeyPatch], None]
DEALS, TEN_DAYS = 4, 7
WORDS = ("moved", "moved", "won", "won", "lost", "reopened", "forecast", "owner", "opened")
QUESTIONS = (
    ForecastRange(by="owner"),
    ForecastRange(by="team", report_currency="CNY"),
    ForecastRange.model_validate({"from_": "2024-03-20", "to": "2024-03-24"}),
    ForecastRange.model_validate({"from_": "2024-08-01", "to": "2024-08-15", "by": "owner"}),
)


RUSH = {
    0: [Told(deal, "opened", 2) for deal in range(DEALS, DEALS + 5)],
    5: [Told(DEALS + 5, "opened", 2)],
    7: [Told(deal, "won", 47) for deal in range(DEALS, DEALS + 4)],
    9: [Told(DEALS, "retract", 0)],
    10: [Told(DEALS, "won", 2)],
    11: [Told(DEALS + 4, "won", 47), Told(DEALS + 5, "won", 47)],
}
"""Deals that are won together, before a quarter ends and long after it, for far more than they
stood at; one of them by mistake. By the number of the act."""


def with_rush(history: list[Act]) -> list[Act]:
    """Let that happen beside what is told of the other deals."""
    return [
        act._replace(told=(*act.told, *RUSH.get(number, ())))
        for number, act in enumerate(history)
    ]


def half_a_year() -> st.SearchStrategy[list[Act]]:
    """Draw what is told of four deals, ten days after ten days."""
    opening = st.tuples(*(st.integers(0, 59) for _ in range(DEALS))).map(
        lambda found: [
            Act("append", TEN_DAYS, (Told(d, "opened", n),)) for d, n in enumerate(found)
        ]
    )
    several = st.lists(told(DEALS, WORDS), min_size=1, max_size=3).map(tuple)
    turns = st.lists(
        st.builds(Act, st.just("append"), st.just(TEN_DAYS), several), min_size=8, max_size=14
    )
    return st.tuples(opening, turns).map(lambda parts: with_rush([*parts[0], *parts[1]]))


def check(url: str, history: list[Act], moments: Sequence[Pick]) -> None:
    """Compare ranges at some moments, the end among them."""
    with Player(url) as player:
        publish_all(player.flow)
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        for as_of, known_at in [*(moment_of(pick, raw) for pick in moments), (last, last)]:
            for question in QUESTIONS:
                compare(player, "forecast-range", question, (as_of, known_at), raw)


def compare(
    player: Player,
    name: str,
    question: Question[View],
    moment: tuple[int, int],
    raw: list[Raw],
) -> None:
    """Ask a question and the oracle."""
    (as_of, known_at), case = moment, CASES[name]
    try:
        view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
    except InputError:  # the only thing that can be refused here
        TALLY["amounts too large in another currency"] += 1
        with pytest.raises(OverflowError):
            case.wanted(raw, question, as_of, known_at)
        return
    if isinstance(view, ForecastRangeView):
        TALLY["past windows drawn from"] += view.windows
        TALLY["wins in doubt"] += len(view.in_doubt)
        TALLY["ranges wider than nothing"] += sum(li.low < li.high for li in view.lines)
    assert case.said(view) == case.wanted(raw, question, *moment), (
        question,
        moment,
        shown(raw),
    )


@examples(6, shrink=False)
@given(history=half_a_year(), moments=picks(least=1, most=1))
def test_a_range_is_what_plain_loops_draw(
    database_url: str, history: list[Act], moments: list[Pick]
) -> None:
    check(database_url, history, moments)


@examples(3, shrink=False)
@given(history=half_a_year())
def test_what_held_in_past_quarters_is_what_plain_loops_find(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        publish_all(player.flow)
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(event["recorded"] for event in raw) + 90 * DELTAS[6]
        for asked in ({"known": "moment"}, {"report_currency": "CNY"}):
            question = ForecastBacktest.model_validate({"quarters": 1, **asked})
            compare(player, "forecast-backtest", question, (last, last), raw)


def _prior_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conversions_by_age, "PRIOR", 5)


def _windows_not_over(patch: pytest.MonkeyPatch) -> None:
    """Draw from windows of which the last week is not seen yet."""
    patch.setattr(range_model, "WINDOW_STEP", range_model.WINDOW_STEP + DELTAS[6])


def _one_stage_for_all(patch: pytest.MonkeyPatch) -> None:
    right = conversions_by_age.ConversionsByAge.likely

    def wrong(self: Any, process: Any, stage: Any, age: Any, said: Any = None) -> Any:  # noqa: ANN401
        return right(self, process, np.zeros_like(stage), age, said)

    patch.setattr(conversions_by_age.ConversionsByAge, "likely", wrong)


def _no_rush(patch: pytest.MonkeyPatch) -> None:
    always = lambda _, since, __: np.ones(np.shape(since))  # noqa: E731
    patch.setattr(quarter_pace.QuarterPace, "over", always)


def _nothing_in_doubt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wins_in_doubt, "FAR_OFF", 1 << 40)


@pytest.mark.parametrize(
    "mistake",
    [_no_rush, _nothing_in_doubt, _prior_forgotten, _windows_not_over, _one_stage_for_all],
)
def test_a_mistake_in_ranges_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, mistake: Mistake
) -> None:
    mistake(monkeypatch)

    @examples(10, shrink=False)
    @given(history=half_a_year(), moments=picks(least=1, most=1))
    def _agree(history: list[Act], moments: list[Pick]) -> None:
        check(sqlite_url, history, moments)

    with pytest.raises(AssertionError):
        _agree()
