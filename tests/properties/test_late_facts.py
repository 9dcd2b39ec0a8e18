"""A late fact is folded from where the history is another one, and comes to the same rows."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.effort import TALLY, examples
from properties.histories import Append, appends
from properties.test_refolding import MemoryTable, booked
from properties.world import PROCESSES, deal_id
from salesflow.adapters.projector import folded_history
from salesflow.adapters.projector.entity_updates import EntityUpdater
from salesflow.adapters.projector.folded_history import ChangedHistory
from salesflow.adapters.projector.interval_tables import Batch, IntervalPart, part_of
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.state import State
from salesflow.domain.values import Money
from salesflow.projections.folds.deal_state import DEAL_STATE, DealStateRows
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import CopyableRows, Fold, IntervalFold, OnState

ON_DEALS = [
    fold
    for fold in FOLDS.values()
    if isinstance(fold.start, OnState) and fold.start.state is DealSummary
]
WANTED = frozenset[Any]({FactRetracted}).union(*(fold.facts for fold in ON_DEALS))
NEVER = 1_000_000
EACH = {(process.key, process.version): process for process in PROCESSES}


class Told:
    """Appends of one entity on their way to the rows of some tables."""

    def __init__(self, folds: Sequence[Fold], *, forgets: bool = False) -> None:
        self.rows = [MemoryTable() for _ in folds]
        self.movements: list[Counter[Any]] = [Counter() for _ in folds]
        self._folds, self._parts, self._forgets = folds, [*map(part_of, folds)], forgets
        self._known: list[Event] = []
        self._updater = EntityUpdater(folds, EACH, lambda _: self._known, lambda id: id)

    def append(self, events: Sequence[Event]) -> None:
        """Take an append, and write what it comes to."""
        self._known += events
        batches: list[Batch] = [part.new_batch(events[0].recorded) for part in self._parts]
        assert not self._updater.apply(events[0].stream_id, events, batches)
        for batch, table, movements in zip(batches, self.rows, self.movements, strict=True):
            if isinstance(batch, list):
                movements.update(batch)
            else:
                table.write(batch)
        if self._forgets:
            self._updater.forget()

    def content(self) -> list[tuple[Counter[Any], Counter[Any]]]:
        tables = (table.content() for table in self.rows)
        return [*zip(tables, self.movements, strict=True)]


def all_told(events: Sequence[Event], *, forgets: bool) -> Told:
    told = Told(ON_DEALS, forgets=forgets)
    for _, append in groupby(events, key=lambda event: event.recorded):
        told.append([*append])
    return told


def check(history: list[Append], every: int, patch: pytest.MonkeyPatch) -> None:
    """Compare an entity gone on with from checkpoints with one folded from its beginning."""
    own = booked(history).of(deal_id(0))
    events = [event for event in own if type(event.fact) in WANTED]
    if not events:
        return
    patch.setattr(folded_history, "CHECKPOINT_EVERY", NEVER)
    wanted = all_told(events, forgets=True).content()
    patch.setattr(folded_history, "CHECKPOINT_EVERY", every)
    TALLY["late facts gone on with"] += len(events)
    assert all_told(events, forgets=False).content() == wanted


@examples(75)
@given(appends(1, most=20), st.integers(1, 4))
def test_rows_do_not_depend_on_where_a_history_is_folded_on_from(
    history: list[Append], every: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        check(history, every, patch)


def _states_that_share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(State, "__copy__", lambda state: state)


def _rows_that_share(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CopyableRows, "__copy__", lambda rows: rows)


def _always_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folded_history.HistoryRewrite, "is_like", lambda *_: True)


def _open_rows_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IntervalPart, "end_alike", lambda *_: True)


def _states_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(State, "holds_the_same", lambda *_: True)


def _from_a_fact_too_late(patch: pytest.MonkeyPatch) -> None:
    right = folded_history.with_late

    def wrong(history: Sequence[Event], append: Sequence[Event]) -> ChangedHistory:
        changed = right(history, append)
        return changed._replace(same_first=changed.same_first + 1)

    patch.setattr(f"{EntityUpdater.__module__}.with_late", wrong)


@pytest.mark.parametrize(
    "mistake",
    [
        _states_that_share,
        _rows_that_share,
        _always_alike,
        _open_rows_alike,
        _states_alike,
        _from_a_fact_too_late,
    ],
)
def test_an_entity_gone_on_with_wrongly_would_be_noticed(
    mistake: Callable[[pytest.MonkeyPatch], None],
) -> None:
    @examples(400, shrink=False)
    @given(appends(1, most=20), st.integers(1, 3))
    def always_agrees(history: list[Append], every: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            mistake(patch)
            check(history, every, patch)

    with pytest.raises((AssertionError, KeyError)):
        always_agrees()


class CountedSummary(DealSummary):
    """A deal's state that counts what is taken in."""

    evolved = 0

    def evolve(self, event: Event) -> str | None:
        CountedSummary.evolved += 1
        return super().evolve(event)


COUNTED = IntervalFold(
    DEAL_STATE, frozenset({DealOpened, ForecastGiven}), OnState(CountedSummary, DealStateRows)
)


def forecast(number: int, occurred: int, recorded: int) -> Event:
    amount = Money(str(number), "EUR")
    return _event(ForecastGiven(amount=amount), number, occurred, recorded)


def _event(fact: Fact, number: int, occurred: int, recorded: int) -> Event:
    return Event(fact, deal_id(0), number, number, occurred, recorded, deal_id(number))


@pytest.mark.parametrize("length", [300, 1_200])
@pytest.mark.parametrize("back", [2, 100])
def test_a_late_fact_costs_what_comes_behind_it_however_long_the_history(
    length: int, back: int
) -> None:
    """The next amount makes the deal what it was: so what comes behind is some tens at most."""
    told = Told([COUNTED])
    opening = DealOpened(process="p", process_version=1, stage="a", title="t", owner="o")
    told.append([_event(opening, 1, 10, 10)])
    for n in range(2, length):
        told.append([forecast(n, n * 10, n * 10)])
    told.append([forecast(length, (length - back) * 10 + 5, length * 10)])  # folds it all
    CountedSummary.evolved = 0
    now = (length + 1) * 10
    told.append([forecast(length + 1, (length - back) * 10 + 6, now)])
    assert 0 < CountedSummary.evolved <= 4 * folded_history.CHECKPOINT_EVERY
