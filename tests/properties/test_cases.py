"""The case library at any moment: what a naive replay finds in it, by whatever is asked for."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.case_library import ASKED, CASE
from properties.effort import TALLY, examples
from properties.keyed import KeyedFact, Saying, keyed_history, tell_all
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.test_retrospective import DAY, LASTS
from properties.world import START, at, deal_id, instant
from salesflow.domain import case as cases
from salesflow.domain.case import (
    CaseAddressed,
    CaseLinked,
    CasePublished,
    CaseWithdrawn,
    FactorNoted,
    LessonNoted,
    case_id,
)
from salesflow.errors import NotFoundError
from salesflow.projections.cases import case_texts, library_cases
from salesflow.projections.cases.case_library import CaseLibraryView
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.replaying import believed

KEYS = ("c0", "c1", "c2")
QUESTIONS = 14
Mistake = Callable[[pytest.MonkeyPatch], None]


def published(number: int) -> Callable[[Random], KeyedFact]:
    def make(chance: Random) -> KeyedFact:
        fact: dict[str, Any] = {"case": KEYS[number], "deal": deal_id(number)}
        fact["title"] = chance.choice((None, "Deal of slow answers", "价格 战"))
        fact["audience"] = chance.choice(((), ("east",), ("west",)))
        for name in ("as_of", "known_at"):
            if chance.randrange(3) == 0:
                fact[name] = at(instant(START) + chance.randrange(LASTS) * DAY)
        return KeyedFact(case_id(KEYS[number]), CasePublished.model_validate(fact))

    return make


def other(chance: Random) -> KeyedFact:
    facts = (
        FactorNoted(factor="price", tendency="hindered", text="slow to answer"),
        FactorNoted(factor="timing", tendency="helped"),
        LessonNoted(text="Answer at once: 价格"),
        CaseAddressed(audience=chance.choice(((), ("east", "south")))),
        CaseLinked(training=f"t{chance.randrange(2)}"),
        CaseWithdrawn(because="outdated"),
        CasePublished(case=chance.choice(KEYS), deal=deal_id(3)),
    )
    return KeyedFact(case_id(chance.choice(KEYS)), chance.choice(facts))


def history_of(seed: int) -> list[Saying]:
    return keyed_history(seed, [published(number) for number in range(3)], [other], count=20)


def check(player: Player, seed: int, met: Counter[str]) -> None:
    raw, chance = raw_log(player.flow), Random(seed)
    instants = knowledge(raw)
    for question in chance.sample(ASKED, QUESTIONS):
        as_of = instant(START) + chance.choice((60, 100, 140, 180, 220)) * DAY
        known_at = chance.choice((instants[-1], chance.choice(instants)))
        wanted = CASE.wanted(raw, question, as_of, known_at)
        TALLY["case libraries asked at a moment"] += 1
        said = None
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            said = CASE.said(view)
            met.update(noted(view))
        except NotFoundError:
            met["refused"] += 1
        assert said == wanted, (question, as_of, known_at, shown(raw))


def noted(view: CaseLibraryView) -> set[str]:
    found = {name for name, value in view if value}
    for hit in view.cases:
        found |= {name for name, value in hit if value}
        found.add("changed" if hit.outcome != hit.outcome_published else "as it was")
    return found | {each.change for each in view.changes}


EXPECTED = {
    "cases", "then_and_now", "changes", "study", "study_published", "found", "factors",
    "lessons", "trainings", "products", "because", "changed", "as it was", "refused",
    "happened_since", "told_since", "withdrawn_because",
}  # fmt: skip


def agree(url: str, count: int, met: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=st.integers(0, 2**32).map(history_of), asked=st.integers(0, 2**32))
    def libraries(history: list[Saying], asked: int) -> None:
        with Player(url) as player:
            tell_all(player, history)
            check(player, asked, met)

    libraries()


def test_a_case_library_at_any_moment_is_what_a_naive_replay_finds(database_url: str) -> None:
    met: Counter[str] = Counter()
    agree(database_url, 8, met)
    assert set(met) >= EXPECTED, "of the others this property says nothing"


def _a_withdrawn_case_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cases.CaseState, "withdrawn", property(lambda _: None, lambda *_: None))


def _a_case_shows_today(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        EarlierReader, "fixed_by", classmethod(lambda cls, reader, *_, **__: cls(reader))
    )


def _names_are_not_searched(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(case_texts, "_names", lambda _: {})


def _what_was_taken_back_is_told_since(patch: pytest.MonkeyPatch) -> None:
    def history(events: Any, reader: Any) -> Any:  # noqa: ANN401
        return believed(events, reader) if isinstance(reader, EarlierReader) else events

    patch.setattr(library_cases, "believed", history)


@pytest.mark.parametrize(
    "mistake",
    [
        _a_withdrawn_case_stays,
        _a_case_shows_today,
        _names_are_not_searched,
        _what_was_taken_back_is_told_since,
    ],
)
def test_a_case_library_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 20, Counter(), shrink=False)
