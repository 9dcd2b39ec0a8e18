"""The believed history of an entity that was told of late, as it was folded.

A module of its own, since it knows neither rows in a table nor appends: only which facts are
believed, what they come to step by step, and copies of the entity to go on from. So a late fact
costs what comes behind it in the history, and not the whole.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from copy import copy
from itertools import compress, count
from operator import attrgetter, ne
from typing import Any, NamedTuple

from salesflow.adapters.projector.interval_tables import TableHistory
from salesflow.domain.event import Event, order_key
from salesflow.domain.state import State
from salesflow.projections.table import CopyableRows, StateRows

__all__ = [
    "ChangedHistory",
    "FoldedHistory",
    "TakenBack",
    "changed_history",
    "chunks",
    "with_late",
]


CHECKPOINT_EVERY = 16
"""After so many facts what an entity is then is kept, to be gone on from."""


class Checkpoint(NamedTuple):
    """What an entity was after so many facts; it is copied to go on from."""

    facts: int
    steps: list[int]
    """By the number of the table, how many steps its rows had taken."""
    state: State
    rows: list[StateRows[Any, Any]]

    def is_like(self, state: State, rows: Sequence[StateRows[Any, Any]]) -> bool:
        """Return whether the same comes of both from here on, but for the rows held open."""
        return self.state.holds_the_same(state) and all(
            isinstance(then, CopyableRows) and then.holds_the_same(now)
            for then, now in zip(self.rows, rows, strict=True)
        )


class TakenBack(NamedTuple):
    """The end of a history that is believed otherwise now."""

    facts: int
    """So many facts it was in all."""
    since: Sequence[int]
    """By the number of the table, how many steps are left."""
    steps: Sequence[Sequence[Any]]
    checkpoints: Sequence[Checkpoint]


class FoldedHistory:
    """A believed history, fact by fact, and what it comes to in each table, step by step."""

    __slots__ = ("checkpoints", "facts", "tables")

    def __init__(self, tables: list[TableHistory]) -> None:
        self.facts: list[Event] = []
        self.tables: list[Any] = tables
        self.checkpoints: list[Checkpoint] = []

    def weight(self, checkpoint: int) -> int:
        """Return about how much memory it takes, given what a checkpoint takes."""
        steps = sum(len(table.steps) for table in self.tables)
        return len(self.facts) + steps + len(self.checkpoints) * checkpoint

    def keep(self, state: State, rows: Sequence[StateRows[Any, Any]]) -> None:
        """Keep a copy of what an entity is now, when one is due and if it can be copied."""
        last = self.checkpoints[-1].facts if self.checkpoints else 0
        due = len(self.facts) - last >= CHECKPOINT_EVERY
        if due and all(isinstance(each, CopyableRows) for each in rows):
            steps = [len(table.steps) for table in self.tables]
            now = Checkpoint(len(self.facts), steps, *_copied(state, rows))
            self.checkpoints.append(now)

    def copy_last(self) -> tuple[State, list[StateRows[Any, Any]]] | None:
        """Return what the entity was at the last checkpoint; None when there is none."""
        if not self.checkpoints:
            return None
        return _copied(self.checkpoints[-1].state, self.checkpoints[-1].rows)

    def take_back(self, facts: int) -> TakenBack:
        """Go back to the last checkpoint among so many facts, or to the beginning."""
        number, length = bisect_right(self.checkpoints, facts, key=_facts), len(self.facts)
        later = self.checkpoints[number:]
        del self.checkpoints[number:]
        start = self.checkpoints[-1] if self.checkpoints else None
        del self.facts[0 if start is None else start.facts :]
        since = [0] * len(self.tables) if start is None else start.steps
        steps = [t.take_back(left) for t, left in zip(self.tables, since, strict=True)]
        return TakenBack(length, since, steps, later)

    def redo(self, facts: Sequence[Event], taken: TakenBack, number: int) -> None:
        """Go on as before from one of the checkpoints that were taken back."""
        last = taken.checkpoints[number]
        more = len(self.facts) - last.facts
        shifts = []
        for n, table in enumerate(self.tables):
            shifts.append(len(table.steps) - last.steps[n])
            table.redo(taken.steps[n][last.steps[n] - taken.since[n] :])
        self.facts += facts
        for each in taken.checkpoints[number + 1 :]:
            steps = [n + shift for n, shift in zip(each.steps, shifts, strict=True)]
            self.checkpoints.append(each._replace(facts=each.facts + more, steps=steps))


class ChangedHistory(NamedTuple):
    """Another believed history, and how much of it is like the one before."""

    facts: Sequence[Event]
    same_first: int
    """So many facts from the beginning are the same, or more."""
    same_last: int
    """So many facts from the end are the same, or more."""


_facts = attrgetter("facts")
_position = attrgetter("position")


def _copied(
    state: State, rows: Sequence[StateRows[Any, Any]]
) -> tuple[State, list[StateRows[Any, Any]]]:
    """Return an entity that is what this one is now."""
    return copy(state), [copy(each) for each in rows]


def chunks(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Cut events where something may be kept."""
    for first in range(0, len(events), CHECKPOINT_EVERY):
        yield events[first : first + CHECKPOINT_EVERY]


def with_late(history: Sequence[Event], append: Sequence[Event]) -> ChangedHistory:
    """Put the facts of an append where they belong, behind the opening."""
    facts = [*history]
    for event in append:
        insort(facts, event, 1, key=order_key)
    first, last = min(append, key=order_key), max(append, key=order_key)
    return ChangedHistory(
        facts,
        bisect_left(facts, order_key(first), 1, key=order_key),
        len(facts) - bisect_right(facts, order_key(last), 1, key=order_key),
    )


def changed_history(before: Sequence[Event], after: Sequence[Event]) -> ChangedHistory:
    """Compare two believed histories from both ends."""
    old, new = [*map(_position, before)], [*map(_position, after)]
    return ChangedHistory(after, _same(old, new), _same(old[::-1], new[::-1]))


def _same(old: Sequence[int], new: Sequence[int]) -> int:
    """Return how many numbers are the same until the first that is not."""
    return next(compress(count(), map(ne, old, new)), min(len(old), len(new)))
