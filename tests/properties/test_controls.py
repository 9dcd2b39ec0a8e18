"""The harness itself: an engine with one mistake in it must not pass the same properties.

The mistakes are the ones a reader would fear: late facts taken as they come, retractions
overheard, what is known mixed up with what has happened, batches that change the rows.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.effort import examples
from properties.mistakes import late_facts_as_they_come
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.test_books import check_books
from properties.test_tables import check_states, content, rebuilt
from properties.world import at
from salesflow.adapters.projector import entity_updates as refolding
from salesflow.adapters.projector.entity_updates import EntityUpdater
from salesflow.adapters.projector.interval_tables import (
    COLLAPSED,
    IntervalBatch,
    LedgerBatch,
    LedgerPart,
    Movement,
    PendingRow,
)
from salesflow.adapters.projector.whole_streams import StreamFolding
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, believed_history
from salesflow.domain.time import FOREVER
from salesflow.errors import ProjectionError
from salesflow.projections.core.columns import Flags, Part
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.table import Cell, ReadPoint

Mistake = Callable[[pytest.MonkeyPatch], None]


@examples(4 * 60, shrink=False)
@given(history=acts(2))
def states_agree(url: str, history: list[Act]) -> None:
    with Player(url) as player:
        player.play_kept_up(history, DEAL_STATE, every=1)
        check_states(player.flow)


@examples(60, shrink=False)
@given(history=acts(2), every=st.integers(2, 4))
def rebuilding_changes_nothing(url: str, history: list[Act], every: int) -> None:
    with Player(url) as player:
        player.play_kept_up(history, every=every)
        kept = content(player.flow)
        assert rebuilt(player.flow) == kept


@examples(60, shrink=False)
@given(history=acts(2), moments=picks(least=8, most=12))
def answers_agree(url: str, history: list[Act], moments: list[Pick]) -> None:
    case, question = CASES["deals"], Deals()
    with Player(url) as player:
        player.play_kept_up(history)
        raw = raw_log(player.flow)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            assert case.said(view) == case.wanted(raw, question, as_of, known_at)


@examples(60, shrink=False)
@given(history=acts(2, least=6))
def taking_turns_changes_nothing(url: str, history: list[Act]) -> None:
    with Player(url) as player, player.beside() as other:
        for number, act in enumerate(history):
            player.play(act)
            (player.flow if number % 2 else other).catch_up()
        player.flow.catch_up()
        kept = content(player.flow)
        assert rebuilt(player.flow) == kept


@examples(60, shrink=False)
@given(history=acts(2, least=6))
def books_agree(url: str, history: list[Act]) -> None:
    with Player(url) as player:
        player.play_kept_up(history, PIPELINE, every=1)
        check_books(player.flow)


def overhears_retractions(patch: pytest.MonkeyPatch) -> None:
    def deaf(events: list[Event]) -> list[Event]:
        return believed_history([e for e in events if e.fact.kind != "fact.retracted"])

    patch.setattr(refolding, "believed_history", deaf)


def takes_recorded_for_occurred(patch: pytest.MonkeyPatch) -> None:
    def late(events: list[Event]) -> list[Event]:
        return believed_history([event._replace(occurred=event.recorded) for event in events])

    patch.setattr(refolding, "believed_history", late)


def counts_irregular_facts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DealState, "_needs_win", lambda _: None)


def forgets_that_it_did_not_know_the_end(patch: pytest.MonkeyPatch) -> None:
    right = Part.matching

    def held(self: Part, read_point: ReadPoint, *, ended: bool) -> Flags:
        begun = right(self, read_point, ended=True)
        return begun if ended else begun & (self.columns["valid_to"] > read_point.as_of)

    patch.setattr(Part, "matching", held)


def knows_what_was_recorded_later(patch: pytest.MonkeyPatch) -> None:
    def known(self: Part, read_point: ReadPoint, *, ended: bool) -> Flags:
        c, as_of = self.columns, read_point.as_of
        begun: Flags = (c["known_to"] == FOREVER) & (c["valid_from"] <= as_of)
        return begun if ended else begun & (c["valid_to"] > as_of)

    patch.setattr(Part, "matching", known)


def collapses_only_across_batches(patch: pytest.MonkeyPatch) -> None:
    right = IntervalBatch.end

    def wrong(self: IntervalBatch, row: PendingRow, valid_to: int, now: int) -> None:
        right(self, row, valid_to, now)
        row[COLLAPSED] = 0

    patch.setattr(IntervalBatch, "end", wrong)


def goes_on_from_where_it_left_the_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EntityUpdater, "forget", lambda _: None)


def takes_nothing_back_from_the_books(patch: pytest.MonkeyPatch) -> None:
    right = LedgerPart.correct

    def wrong(
        self: LedgerPart,
        entity: Cell,
        before: frozenset[Movement],
        after: frozenset[Movement],
        now: int,
        batch: LedgerBatch,
    ) -> None:
        posted: LedgerBatch = []
        right(self, entity, before, after, now, posted)
        batch += [each for each in posted if each.sign > 0]

    patch.setattr(LedgerPart, "correct", wrong)


def forgets_what_was_told_of_a_deal_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StreamFolding, "_at_hand", lambda _self, _id: ())


CONTROLS = [
    (overhears_retractions, states_agree),
    (late_facts_as_they_come, states_agree),
    (takes_recorded_for_occurred, states_agree),
    (counts_irregular_facts, states_agree),
    (forgets_that_it_did_not_know_the_end, answers_agree),
    (knows_what_was_recorded_later, answers_agree),
    (collapses_only_across_batches, rebuilding_changes_nothing),
    (forgets_what_was_told_of_a_deal_before, rebuilding_changes_nothing),
    (goes_on_from_where_it_left_the_rows, taking_turns_changes_nothing),
    (takes_nothing_back_from_the_books, books_agree),
]


@pytest.mark.parametrize(("mistake", "agrees"), CONTROLS)
def test_an_engine_with_one_mistake_would_be_noticed(
    sqlite_url: str,
    mistake: Mistake,
    agrees: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By an answer that differs, or by the engine itself, whose rows are not those it left."""
    mistake(monkeypatch)
    with pytest.raises((AssertionError, ProjectionError)):
        agrees(sqlite_url)
