"""The runner makes any fold bitemporal: tried in memory, with a fold made for this test.

The fold keeps one row for the owner of a deal and one for each collaborator, which is all a
fold can do: rows with and without a key, that begin, change, end and come back.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain, groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.deals import deal_at
from oracle.rows import seen
from properties.agreement import said_by_row, said_of_row
from properties.effort import TALLY, examples
from properties.histories import Append, Book, appends, raw_of
from properties.mistakes import late_facts_as_they_come
from properties.people_fold import PEOPLE, people
from properties.readable import shown
from properties.world import PROCESSES, deal_id
from salesflow.adapters.projector import entity_updates as refolding
from salesflow.adapters.projector.entity_updates import EntityUpdater
from salesflow.adapters.projector.interval_tables import (
    BEFORE_ALL,
    IntervalBatch,
    PendingRow,
)
from salesflow.domain import event as event_module
from salesflow.domain.event import Event
from salesflow.domain.event import believed_history as believed_facts
from salesflow.domain.time import FOREVER
from salesflow.projections.folds.deal_state import DEAL_STATES
from salesflow.projections.table import IntervalFold

Mistake = Callable[[pytest.MonkeyPatch], None]

WORDS = ("owner", "owner", "joined", "joined", "left", "opened")


class MemoryTable:
    """An interval table in memory that takes batches as the database does."""

    collapsed_mark = 1

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, batch: IntervalBatch) -> None:
        for row, valid_to in batch.collapsed:
            self._live(row).update(valid_to=valid_to, collapsed=self.collapsed_mark)
        for row, known_to in batch.closed:
            self._live(row)["known_to"] = known_to
        for row in chain.from_iterable(batch.opened.values()):
            if row[5] == row[3]:  # never believed
                continue
            self._add(row)
        names = [(r["at"], r["known_from"]) for r in self.rows]
        assert len(names) == len(set(names)), "two rows of one primary key"

    def _live(self, held: PendingRow) -> dict[str, Any]:
        at = tuple(held[:3])
        (row,) = (r for r in self.rows if r["at"] == at and r["known_to"] == FOREVER)
        return row

    def _add(self, row: PendingRow) -> None:
        entity, key, valid_from, known_from, valid_to, known_to, collapsed, attributes = row
        self.rows.append(
            {
                "at": (entity, key, valid_from),
                "entity": entity,
                "key": key,
                "valid_from": valid_from,
                "valid_to": valid_to,
                "known_from": known_from,
                "known_to": known_to,
                "collapsed": collapsed,
                "attributes": attributes,
            }
        )

    def content(self) -> Counter[tuple[Any, ...]]:
        return Counter(tuple(row.values()) for row in self.rows)


def folded(
    fold: IntervalFold,
    events: list[Event],
    processes: Mapping[Any, Any],
    cuts: set[int],
    cold: bool,
) -> MemoryTable:
    """Fold a log into a table, a batch ending where `cuts` says; cold forgets in between.

    Of a batch what is told of an entity is taken in one go.
    """
    table, batch = MemoryTable(), IntervalBatch(BEFORE_ALL + 1)
    through = 0
    wanted = [
        e for e in events if type(e.fact) in fold.facts or e.fact.kind == "fact.retracted"
    ]
    updater = EntityUpdater(
        [fold],
        processes,
        lambda entity: [e for e in wanted if e.stream_id == entity and e.position <= through],
        lambda entity: entity,
    )
    ends = sorted(cuts)
    for _, page in groupby(wanted, lambda event: bisect_left(ends, event.recorded)):
        told = list(page)
        through = told[-1].position
        for entity in dict.fromkeys(event.stream_id for event in told):
            of_entity = [e for e in told if e.stream_id == entity]
            assert not updater.apply(entity, of_entity, [batch])
        table.write(batch)
        batch = IntervalBatch(told[-1].recorded + 1)
        if cold:
            updater.forget()
    return table


def histories() -> st.SearchStrategy[list[Append]]:
    return appends(2, themes=(WORDS,))


def booked(history: list[Append]) -> Book:
    book = Book()
    for append in history:
        book.append(append)
    return book


def check(history: list[Append]) -> None:
    """Compare the rows seen with the naive answer at every moment that could matter."""
    book = booked(history)
    raw = [raw_of(event) for event in book.events]
    recorded = sorted({event.recorded for event in book.events})
    table = folded(PEOPLE, book.events, {}, set(recorded), cold=False)
    for stream in (deal_id(0), deal_id(1)):
        rows = [row for row in table.rows if row["entity"] == stream]
        own = book.of(stream)
        times = sorted(
            {t + d for e in own for t in (e.occurred, e.effective, e.recorded) for d in (-1, 0)}
        )
        for known_at in recorded:
            for as_of in times:
                found = {
                    row["key"][0]: row["attributes"][0]
                    for row in rows
                    if seen(row, as_of, known_at)
                }
                TALLY["moments of rows in memory"] += 1
                wanted = people(raw, str(stream), as_of, known_at)
                assert found == wanted, (as_of, known_at, shown(raw))


@examples(100)
@given(histories())
def test_the_rows_seen_at_any_moment_are_what_a_naive_replay_says(
    history: list[Append],
) -> None:
    check(history)


@examples(100)
@given(histories(), st.integers(1, 5), st.booleans())
def test_rows_do_not_depend_on_where_batches_end_or_what_is_at_hand(
    history: list[Append], size: int, cold: bool
) -> None:
    events = booked(history).events
    recorded = sorted({event.recorded for event in events})
    one_by_one = folded(PEOPLE, events, {}, set(recorded), cold=False)
    in_batches = folded(PEOPLE, events, {}, set(recorded[::size]), cold=cold)
    at_once = folded(PEOPLE, events, {}, set(), cold=False)
    assert one_by_one.content() == in_batches.content() == at_once.content()


def check_states(history: list[Append]) -> None:
    """The same for the states of deals, which have one row at a time."""
    book = booked(history)
    raw = [raw_of(event) for event in book.events]
    recorded = sorted({event.recorded for event in book.events})
    processes = {(process.key, process.version): process for process in PROCESSES}
    fold = DEAL_STATES
    names = [column.name for column in fold.table.attributes]
    rows = folded(fold, book.events, processes, set(recorded), cold=False).rows
    own = book.of(deal_id(0))
    times = sorted(
        {t + d for e in own for t in (e.occurred, e.effective, e.recorded) for d in (-1, 0)}
    )
    for known_at in recorded:
        for as_of in times:
            found = [
                said_by_row(dict(zip(names, row["attributes"], strict=True)))
                for row in rows
                if seen(row, as_of, known_at)
            ]
            state = deal_at(raw, str(deal_id(0)), as_of, known_at)
            TALLY["moments of rows in memory"] += 1
            wanted = [] if state is None else [said_of_row(state)]
            assert found == wanted, (as_of, known_at, shown(raw))


@examples(60)
@given(appends(1))
def test_the_state_of_a_deal_at_any_moment_is_what_a_naive_replay_says(
    history: list[Append],
) -> None:
    check_states(history)


def _deaf_to_retractions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        event_module, "without_retracted", lambda events, _=FOREVER: list(events)
    )


def _never_collapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryTable, "collapsed_mark", 0)


def _in_order_of_occurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        refolding,
        "believed_history",
        lambda events: sorted(
            believed_facts(events), key=lambda e: (not e.fact.is_opening, e.occurred)
        ),
    )


@pytest.mark.parametrize(
    "mistake",
    [
        _deaf_to_retractions,
        late_facts_as_they_come,
        _never_collapsed,
        _in_order_of_occurrence,
    ],
)
def test_a_runner_with_a_mistake_in_it_would_be_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _always_agrees()


@examples(250, shrink=False)
@given(histories())
def _always_agrees(history: list[Append]) -> None:
    check(history)
