"""The believed history of an entity that was told of late, as it was folded.

A module of its own, since it knows neither rows in a table nor appends: only which facts are
believed, what they come to step by step, and copies of the entity to go on from. So a late fact
costs what comes behind it in the history, and not the whole.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence, Set
from copy import copy
from itertools import compress, count
from operator import attrgetter, ne
from typing import Any, Final, NamedTuple

from salesflow.adapters.projector.interval_tables import TableHistory
from salesflow.domain.event import Event, order_key
from salesflow.domain.state import State
from salesflow.projections.table import CopyableRows, StateRows

__all__ = [
    "ChangedHistory",
    "FoldedHistory",
    "HistoryRewrite",
    "changed_history",
    "chunks",
    "with_late",
]


CHECKPOINT_EVERY = 16
"""After so many facts what an entity is then is kept, to be gone on from."""


Entity = tuple[State, list[StateRows[Any, Any]]]
"""What is gone on from: the state, and the rows by the number of the table."""


class Checkpoint(NamedTuple):
    """What an entity was after so many facts; it is copied to go on from."""

    facts: int
    steps: list[int]
    """By the number of the table, how many steps its rows had taken."""
    state: State
    rows: list[StateRows[Any, Any]]


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

    def is_due(self) -> bool:
        """Return whether the next checkpoint is due."""
        last = self.checkpoints[-1].facts if self.checkpoints else 0
        return len(self.facts) - last >= CHECKPOINT_EVERY

    def keep(self, state: State, rows: Sequence[StateRows[Any, Any]]) -> None:
        """Keep a copy of what an entity is now, when one is due and if it can be copied."""
        if self.is_due() and all(isinstance(each, CopyableRows) for each in rows):
            steps = [len(table.steps) for table in self.tables]
            now = Checkpoint(len(self.facts), steps, *_copied(state, rows))
            self.checkpoints.append(now)


class ChangedHistory(NamedTuple):
    """Another believed history, and how much of it is like the one before."""

    facts: Sequence[Event]
    same_first: int
    """So many facts from the beginning are the same, or more."""
    same_last: int
    """So many facts from the end are the same, or more."""


class HistoryRewrite:
    """A history on its way from the last checkpoint that it has in common with another one."""

    __slots__ = (
        *("_facts", "_more", "_since", "_taken"),
        *("folded", "going", "later", "rows", "state"),
    )

    def __init__(
        self,
        folded: FoldedHistory,
        changed: ChangedHistory,
        concerned: Set[int],
        begin: Callable[[], Entity],
    ) -> None:
        """Take back the facts that come behind that checkpoint, or all.

        Only tables that are concerned need go; all do where a checkpoint may be due.
        """
        self.folded, self._facts = folded, changed.facts
        self._more = len(changed.facts) - len(folded.facts)
        first = bisect_right(folded.checkpoints, changed.same_first, key=_facts)
        same_again = len(folded.facts) - changed.same_last
        later = folded.checkpoints[first:]
        self.later: Final = [each for each in later if each.facts >= same_again]
        """The checkpoints behind which the facts are the same again."""
        del folded.checkpoints[first:]
        last = folded.checkpoints[-1] if folded.checkpoints else None
        self.state, self.rows = begin() if last is None else _copied(last.state, last.rows)
        self._since = [0] * len(folded.tables) if last is None else last.steps
        del folded.facts[0 if last is None else last.facts :]
        pairs = zip(folded.tables, self._since, strict=True)
        self._taken = [table.take_back(length) for table, length in pairs]
        self.going: Final = {*range(len(folded.tables))}
        """The numbers of the tables that are not known to be what they were."""
        if len(self.next(self.later[0] if self.later else None)) < 2 * CHECKPOINT_EVERY:
            for number in self.going - concerned:
                self._leave(number, self._taken[number])

    def next(self, through: Checkpoint | None) -> Sequence[Event]:
        """Return the facts up to a checkpoint or the end that are to be folded next."""
        end = len(self._facts) if through is None else through.facts + self._more
        return self._facts[len(self.folded.facts) : end]

    def is_like(self, then: Checkpoint, number: int) -> bool:
        """Return whether the rows of a table go on as they did, but for those held open."""
        rows = then.rows[number]
        return isinstance(rows, CopyableRows) and rows.holds_the_same(self.rows[number])

    def steps(
        self, number: int, through: Checkpoint | None
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return the steps that a table took and takes up to a checkpoint, or to the end.

        There are none where they are the same.
        """
        since, taken = self._since[number], self._taken[number]
        before = taken if through is None else taken[: through.steps[number] - since]
        after = self.folded.tables[number].steps[since:]
        return ((), ()) if before == after else (before, after)

    def leave(self, number: int, then: Checkpoint) -> None:
        """Let a table take the steps behind a checkpoint that it took before."""
        self._leave(number, self._taken[number][then.steps[number] - self._since[number] :])

    def _leave(self, number: int, steps: Sequence[Any]) -> None:
        self.going.remove(number)
        self.folded.tables[number].redo(steps)

    def keep(self, then: Checkpoint) -> None:
        """Keep what the entity is now in the place of a checkpoint, when one is due."""
        if self.folded.is_due():
            going = self.going
            rows = [self.rows[n] if n in going else each for n, each in enumerate(then.rows)]
            self.folded.checkpoints.append(
                Checkpoint(
                    len(self.folded.facts), self._steps_at(then), *_copied(self.state, rows)
                )
            )

    def finish(self, then: Checkpoint) -> None:
        """Go on as before from a checkpoint at which every table is what it was."""
        self.folded.facts += self.next(None)
        for each in self.later[self.later.index(then) + 1 :]:
            moved = each._replace(facts=each.facts + self._more, steps=self._steps_at(each))
            self.folded.checkpoints.append(moved)

    def _steps_at(self, then: Checkpoint) -> list[int]:
        """Return how many steps the tables have taken where a checkpoint was."""
        found = []
        for number, table in enumerate(self.folded.tables):
            more = len(table.steps) - self._since[number] - len(self._taken[number])
            is_going = number in self.going
            found.append(len(table.steps) if is_going else then.steps[number] + more)
        return found


_facts = attrgetter("facts")
_position = attrgetter("position")


def _copied(state: State, rows: Sequence[StateRows[Any, Any]]) -> Entity:
    """Return an entity that is what this one is now."""
    return copy(state), [copy(each) for each in rows]


def chunks(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Cut events where something may be kept."""
    for first in range(0, len(events), CHECKPOINT_EVERY):
        yield events[first : first + CHECKPOINT_EVERY]


def with_late(history: Sequence[Event], append: Sequence[Event]) -> ChangedHistory:
    """Put the facts of an append where they belong, behind what opens the history."""
    facts, opened = [*history], 0 if history[0].fact.is_entry else 1
    for event in append:
        insort(facts, event, opened, key=order_key)
    first, last = min(append, key=order_key), max(append, key=order_key)
    return ChangedHistory(
        facts,
        bisect_left(facts, order_key(first), opened, key=order_key),
        len(facts) - bisect_right(facts, order_key(last), opened, key=order_key),
    )


def changed_history(before: Sequence[Event], after: Sequence[Event]) -> ChangedHistory:
    """Compare two believed histories from both ends."""
    old, new = [*map(_position, before)], [*map(_position, after)]
    return ChangedHistory(after, _same(old, new), _same(old[::-1], new[::-1]))


def _same(old: Sequence[int], new: Sequence[int]) -> int:
    """Return how many numbers are the same until the first that is not."""
    return next(compress(count(), map(ne, old, new)), min(len(old), len(new)))
