"""Every question, at any moment: stored rows == naive replay == what was answered then."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at
from salesflow.engine import SalesFlow
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.projections.core.question import Question, View


@examples(13)
@given(
    history=acts(3, least=8, customers=2, reps=2),
    moments=picks(least=3, most=3),
    questions=st.tuples(*(case.questions for case in CASES.values())),
)
def test_every_question_at_any_moment_is_answered_as_a_naive_replay_answers_it(
    database_url: str,
    history: list[Act],
    moments: list[Pick],
    questions: Sequence[Question[View]],
) -> None:
    with Player(database_url) as player:
        half = len(history) // 2
        player.play_all(history[:half])
        early = answers(player.flow, questions, moments[:1], raw_log(player.flow))
        player.play_kept_up(history[half:])
        answers(player.flow, questions, moments[1:], raw_log(player.flow))
        for question, view in early:
            TALLY["answers of all questions asked again"] += 1
            assert player.flow.ask(question, at=view.moment) == view, question


def answers(
    flow: SalesFlow, questions: Sequence[Question[View]], moments: list[Pick], raw: list[Raw]
) -> list[tuple[Question[View], View]]:
    """Ask every question at the moments and compare each answer with the oracle's."""
    found = []
    for pick in moments:
        as_of, known_at = moment_of(pick, raw)
        for (name, case), question in zip(CASES.items(), questions, strict=True):
            TALLY[f"{name} asked at a moment"] += 1
            wanted = case.wanted(raw, question, as_of, known_at)
            view: View | None = None
            said: Any = None
            try:
                view = flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                said = case.said(view)
            except (NotFoundError, DealClosedError):
                pass
            assert said == wanted, (name, question, as_of, known_at, shown(raw))
            if view is not None:
                found.append((question, view))
    return found
