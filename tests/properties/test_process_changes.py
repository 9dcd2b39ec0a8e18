"""Bottlenecks and versions of a process over half a year, as a naive replay has them."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.asked.bottlenecks import PARTS
from properties.asked.process_diff import ASKED
from properties.effort import TALLY, examples
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.test_forecast import Said
from properties.test_retrospective import DAY, DEALS, LASTS, PERIODS, tell
from properties.test_retrospective import history_of as deal_history
from properties.world import START, at, instant
from salesflow.errors import NotFoundError
from salesflow.projections.core.question import Question, View
from salesflow.projections.core.statistics import spread
from salesflow.projections.improvement import process_diff
from salesflow.projections.stages import bottlenecks
from salesflow.projections.stages.bottlenecks import Bottlenecks, BottlenecksView

QUESTIONS = 8
Mistake = Callable[[pytest.MonkeyPatch], None]


def history_of(seed: int) -> list[Said]:
    """Let deals move and migrate more often than they do elsewhere."""
    chance = Random(seed)
    more = [
        Said(chance.randrange(DEALS), what, chance.randrange(60), chance.randrange(LASTS), 0)
        for what in ("moved",) * 14 + ("migrated",) * 8
    ]
    return [*deal_history(seed), *more]


def question_of(chance: Random) -> Question[View]:
    if chance.randrange(3) == 0:
        return chance.choice(ASKED)
    first, after = chance.choice(PERIODS)
    return Bottlenecks.model_validate({"from_": first, "to": after, **chance.choice(PARTS)})


def check(player: Player, seed: int, met: Counter[str]) -> None:
    raw, chance = raw_log(player.flow), Random(seed)
    instants = knowledge(raw)
    for _ in range(QUESTIONS):
        question = question_of(chance)
        as_of = instant(START) + chance.randrange(60, LASTS + 40) * DAY
        known_at = chance.choice((instants[-1], chance.choice(instants)))
        case = CASES[question.name]
        wanted = case.wanted(raw, question, as_of, known_at)
        TALLY["process changes asked at a moment"] += 1
        said = None
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            said = case.said(view)
            met.update(noted(view))
        except NotFoundError:
            met["refused"] += 1
        assert said == wanted, (question, as_of, known_at, shown(raw))


def noted(view: View) -> set[str]:
    found = {name for name, value in view if value}
    if isinstance(view, BottlenecksView):
        for each in view.stages:
            found |= {name for name, value in each if value}
            found |= {f"{name} of a stage" for name, value in each.figures if value}
    if found & {"migrated", "migrated_back"}:
        found.add("went over")
    return found


EXPECTED = {
    "stages", "changes", "went over", "versions", "deals", "deals_overdue", "amounts",
    "stay_change", "conversion of a stage", "days_median of a stage", "refused",
}  # fmt: skip


def agree(url: str, count: int, met: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=st.integers(0, 2**32).map(history_of), asked=st.integers(0, 2**32))
    def changes(history: list[Said], asked: int) -> None:
        with Player(url) as player:
            tell(player, history)
            check(player, asked, met)

    changes()


def test_bottlenecks_and_versions_are_what_a_naive_replay_says(database_url: str) -> None:
    met: Counter[str] = Counter()
    agree(database_url, 8, met)
    assert set(met) >= EXPECTED, "of the others this property says nothing"


def _the_median_is_the_mean(patch: pytest.MonkeyPatch) -> None:
    right = spread
    patch.setattr(
        bottlenecks,
        "spread",
        lambda lasted: right(lasted).model_copy(
            update={"days_median": right(lasted).days_mean}
        ),
    )


def _nobody_went_over(patch: pytest.MonkeyPatch) -> None:
    right = process_diff._moves
    patch.setattr(
        process_diff, "_moves", lambda rows, process: right(rows, process)._replace(between={})
    )


@pytest.mark.parametrize("mistake", [_the_median_is_the_mean, _nobody_went_over])
def test_a_change_of_process_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 12, Counter(), shrink=False)
