"""Goals at any moment of both axes are what a naive replay says, however they are told."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts, goal_acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at
from salesflow.domain.goal import GoalState
from salesflow.errors import NotFoundError
from salesflow.projections.metrics.attainment import WorkDays

Mistake = Callable[[pytest.MonkeyPatch], None]
THEMES = (("won", "won", "lost", "owner", "contact"), ("won", "reopened", "customer"))
HISTORIES = st.tuples(
    acts(2, least=3, most=8, themes=THEMES, reps=1, goals=4),
    st.lists(goal_acts(4), min_size=2, max_size=10),
).map(lambda parts: [*parts[0], *parts[1]])


def check(
    url: str, history: list[Act], moments: list[Pick], questions: tuple[Any, ...]
) -> None:
    case = CASES["goal-attainment"]
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        asked = [*(moment_of(pick, raw) for pick in moments), (last, last)]
        for (as_of, known_at), question in zip(asked, questions, strict=True):
            wanted = case.wanted(raw, question, as_of, known_at)
            found = None
            try:
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                found = case.said(view)
            except NotFoundError:
                pass
            TALLY["goals measured"] += len(wanted["goals"]) if wanted else 0
            assert found == wanted, (question, as_of, known_at, shown(raw))


@examples(14, shrink=False)
@given(
    history=HISTORIES,
    moments=picks(least=2, most=2),
    questions=st.tuples(*(CASES["goal-attainment"].questions for _ in range(3))),
)
def test_goals_of_any_moment_are_what_a_naive_replay_says(
    database_url: str, history: list[Act], moments: list[Pick], questions: tuple[Any, ...]
) -> None:
    check(database_url, history, moments, questions)


def takes_revisions_for_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GoalState, "_revise", lambda *_: None)


def counts_days_that_go_on(patch: pytest.MonkeyPatch) -> None:
    right = WorkDays.over
    patch.setattr(WorkDays, "over", lambda *given: (right(*given)[1], right(*given)[1]))


@pytest.mark.parametrize("mistake", [takes_revisions_for_nothing, counts_days_that_go_on])
def test_goals_read_with_a_mistake_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        goals_agree(sqlite_url)


@examples(60, shrink=False)
@given(
    history=HISTORIES,
    moments=picks(least=2, most=2),
    questions=st.tuples(*(CASES["goal-attainment"].questions for _ in range(3))),
)
def goals_agree(
    url: str, history: list[Act], moments: list[Pick], questions: tuple[Any, ...]
) -> None:
    check(url, history, moments, questions)
