"""Improvements at any moment: which teams are compared, and what that comes to."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.improvement_effect import CASE, IMPROVEMENTS
from properties.effort import TALLY, examples
from properties.keyed import KeyedFact, Saying, keyed_history, tell_all
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.reps import TEAMS
from properties.test_retrospective import DAY, LASTS
from properties.world import START, at, instant
from salesflow.domain.improvement import (
    ImprovementConcluded,
    ImprovementProposed,
    ImprovementStaggered,
    ImprovementStarted,
    TeamStart,
    improvement_id,
)
from salesflow.errors import NotFoundError
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.improvement import improvement_figures
from salesflow.projections.improvement.improvement_effect import (
    ImprovementEffect,
    ImprovementEffectView,
)

QUESTIONS = 5
METRICS = ("contacts", "contacts", "created", "won", "win_rate")
Mistake = Callable[[pytest.MonkeyPatch], None]


def proposed(number: int) -> Callable[[Random], KeyedFact]:
    def make(chance: Random) -> KeyedFact:
        fact = ImprovementProposed.model_validate(
            {
                "improvement": IMPROVEMENTS[number],
                "hypothesis": "it helps",
                "change": "process",
                "metric": chance.choice(METRICS),
                "process": chance.choice((None, None, "standard")),
            }
        )
        return KeyedFact(improvement_id(IMPROVEMENTS[number]), fact)

    return make


def other(chance: Random) -> KeyedFact:
    key, day = chance.choice(IMPROVEMENTS), date(2024, 3, 1)
    ahead = at(instant(START) + chance.randrange(LASTS) * DAY)
    starts = tuple(
        TeamStart(team=team, day=day + timedelta(days=chance.randrange(90))) for team in TEAMS
    )
    facts = (
        *(ImprovementStarted(team=team) for team in TEAMS),
        *(ImprovementStarted(team=team) for team in TEAMS),
        ImprovementStarted(team=chance.choice(TEAMS), effective_from=ahead),
        ImprovementStarted(),
        ImprovementStaggered(seed=7, starts=starts),
        ImprovementConcluded(outcome="adopted", because="it did"),
        ImprovementProposed(
            improvement=chance.choice(IMPROVEMENTS),
            hypothesis="again",
            change="strategy",
            metric="won",
        ),
    )
    return KeyedFact(improvement_id(key), chance.choice(facts))


def history_of(seed: int) -> list[Saying]:
    openings = [proposed(number) for number in range(len(IMPROVEMENTS))]
    return keyed_history(seed, openings, [other], count=24)


def check(player: Player, seed: int, met: Counter[str]) -> None:
    raw, chance = raw_log(player.flow), Random(seed)
    instants = knowledge(raw)
    for _ in range(QUESTIONS):
        window = chance.choice((7, 20, 30))
        question = ImprovementEffect(improvement=chance.choice(IMPROVEMENTS), window=window)
        as_of = instant(START) + chance.choice((60, 100, 140, 180, 220)) * DAY
        known_at = chance.choice((instants[-1], instants[-1], chance.choice(instants)))
        wanted = CASE.wanted(raw, question, as_of, known_at)
        TALLY["improvements asked at a moment"] += 1
        said = None
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            said = CASE.said(view)
            met.update(noted(view))
        except NotFoundError:
            met["refused"] += 1
        assert said == wanted, (question, as_of, known_at, shown(raw))


def noted(view: ImprovementEffectView) -> set[str]:
    found = {name for name, value in view if value} | {view.verdict}
    return found | {each.group for each in view.units}


EXPECTED = {
    "units", "before_after", "starts", "concluded", "started", "not_yet_started", "effect",
    "too_few", "window_not_over",
}  # fmt: skip


def agree(url: str, count: int, met: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=st.integers(0, 2**32).map(history_of), asked=st.integers(0, 2**32))
    def improvements(history: list[Saying], asked: int) -> None:
        with Player(url) as player:
            tell_all(player, history)
            check(player, asked, met)

    improvements()


def test_an_improvement_at_any_moment_is_what_a_naive_count_says(database_url: str) -> None:
    met: Counter[str] = Counter()
    agree(database_url, 8, met)
    assert set(met) >= EXPECTED, "of the others this property says nothing"


def _everybody_is_everywhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(improvement_figures, "_was_there", lambda _, __, spans: [True for _ in spans])


def _a_conclusion_knows_today(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        EarlierReader, "fixed_by", classmethod(lambda cls, reader, *_, **__: cls(reader))
    )


@pytest.mark.parametrize("mistake", [_everybody_is_everywhere, _a_conclusion_knows_today])
def test_an_improvement_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 20, Counter(), shrink=False)
