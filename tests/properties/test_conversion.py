"""Conversion of deals that move, migrate, return and are merged, and mistakes in it."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.conversion import CASE
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at
from salesflow.projections.metrics import conversion_figures
from salesflow.projections.metrics.conversion_figures import Passages
from salesflow.projections.metrics.visits import Steps
from salesflow.projections.stages.conversion import Conversion

MOVES = ("moved", "moved", "moved", "migrated", "migrated", "reopened", "won", "lost", "owner")
MERGES = ("merged", "unmerged", "moved", "moved", "won", "reopened", "owner", "forecast")
HISTORIES = {
    "history": acts(3, least=10, most=24, themes=(MOVES, MOVES, MERGES)),
    "moments": picks(least=3, most=6),
    "question": st.sampled_from(
        [
            Conversion(from_=date(2023, 1, 1), to=date(2025, 1, 1)),
            Conversion(from_=date(2024, 1, 1), to=date(2024, 1, 9)),
            Conversion(from_=date(2023, 1, 1), to=date(2025, 1, 1), owner="ann"),
            Conversion(from_=date(2023, 1, 1), to=date(2025, 1, 1), process="standard"),
        ]
    ),
}
Mistake = Callable[[pytest.MonkeyPatch], None]


def agree(url: str, history: list[Act], moments: list[Pick], question: Conversion) -> None:
    """Compare the answers at all moments with the oracle's."""
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            wanted = CASE.wanted(raw, question, as_of, known_at)
            TALLY["deals that moved on"] += sum(stage.moved_on for stage in view.stages)
            assert CASE.said(view) == wanted, (question, as_of, known_at, shown(raw))


@examples(13)
@given(**HISTORIES)
def test_conversion_at_any_moment_is_what_a_naive_replay_counts(
    database_url: str, history: list[Act], moments: list[Pick], question: Conversion
) -> None:
    agree(database_url, history, moments, question)


def every_other_stage_is_a_later_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conversion_figures, "is_later", lambda *_: True)


def deals_merged_into_others_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Steps, "merged", property(lambda steps: np.zeros(len(steps), np.bool_)))


def passages_are_of_who_owned_the_step_before(patch: pytest.MonkeyPatch) -> None:
    owned = Passages._owned
    patch.setattr(
        Passages,
        "_owned",
        lambda it, chosen: np.array(
            [row for row in chosen.tolist() if len(owned(it, np.array([max(row - 1, 0)])))],
            np.int64,
        ),
    )


def only_the_stage_itself_is_passed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conversion_figures, "_passed", lambda standing, _: {standing.stage})


@pytest.mark.parametrize(
    "mistake",
    [
        every_other_stage_is_a_later_one,
        deals_merged_into_others_count,
        passages_are_of_who_owned_the_step_before,
        only_the_stage_itself_is_passed,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_a_mistake_in_conversion_is_found(
    mistake: Mistake, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree_often(sqlite_url)


@examples(200, shrink=False)
@given(**HISTORIES)
def agree_often(
    url: str, history: list[Act], moments: list[Pick], question: Conversion
) -> None:
    agree(url, history, moments, question)
