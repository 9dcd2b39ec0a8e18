"""The base of all read tables: rows that are true over a span of both time axes.

An *interval* row says: from `valid_from` to `valid_to` this held, and we believed so from
`known_from` to `known_to` (all half-open, microseconds UTC). Where an open belief ends
exactly with the append that ended it, one row is enough: it is `collapsed`, open-ended for
whoever asks before that append and ended for whoever asks after it.

A fold is a table and a pure state machine. It sees one entity's believed history, fact by
fact, and answers each with the rows that changed. It knows nothing of late facts,
retractions, batches or databases; the runner does.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.facts import Event, Fact
from salesflow.domain.moments import FOREVER, Instant
from salesflow.domain.processes import ProcessVersion

__all__ = [
    "AMOUNT_SCALE",
    "Cell",
    "Change",
    "Cut",
    "Fold",
    "FoldState",
    "IntervalTable",
    "Key",
    "Processes",
]

AMOUNT_SCALE = 1_000_000
"""Amounts and shares are stored as whole millionths."""

Cell = str | int | UUID | None
"""What one column of a row holds, as every database driver takes it."""
Key = tuple[Cell, ...]
"""Tells apart the rows of one entity that hold at the same time; `()` where there is one."""
Change = tuple[Key, tuple[Cell, ...] | None]
"""A row of the entity from now on, or None when it holds no more."""
Processes = Mapping[tuple[str, int], ProcessVersion]


class FoldState(Protocol):
    """One entity on its way through its history."""

    def apply(self, event: Event) -> Iterable[Change]:
        """Take the next believed fact, give the rows it changed; never raise on old facts."""


@dataclass(frozen=True)
class Fold:
    """A table, and the state machine that fills it from one entity's believed history."""

    table: "IntervalTable"
    facts: frozenset[type[Fact]]
    """The facts it listens to; retractions of them reach it without being named."""
    start: Callable[[Processes], FoldState]
    """Begins an entity that nothing has happened to."""


class Cut(NamedTuple):
    """A moment in the units of the tables, for one tenant."""

    tenant: str
    as_of: Instant
    known_at: Instant


@dataclass(frozen=True)
class IntervalTable:
    """A read table of interval rows: the entity, the key, the two time axes, the attributes.

    Every `revision` of a fold has a table of its own, so that a new one is filled while the
    old one is still read: raise it whenever the rows would come out differently.
    """

    label: str
    revision: int
    keys: tuple[sa.Column[Cell], ...] = ()
    attributes: tuple[sa.Column[Cell], ...] = ()
    keeps_moments: bool = False
    """Whether a row that ended in the instant in which it began is kept; its key must tell it
    from all others of its entity. No moment sees it, but it can be counted (see `valid_by`)."""
    table: sa.Table = field(init=False)

    def __post_init__(self) -> None:
        """Build the table from its parts."""
        object.__setattr__(self, "table", self.shaped(self.name, sa.MetaData()))

    @property
    def name(self) -> str:
        """The table's name in the database, which it may share with a service's own tables."""
        return f"salesflow_{self.label}_{self.revision}"

    def shaped(self, name: str, metadata: sa.MetaData) -> sa.Table:
        """Give a table of this shape under another name, to be filled beside the live one."""
        return sa.Table(
            name,
            metadata,
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("entity_id", sa.Uuid, primary_key=True),
            *(sa.Column(c.name, c.type, primary_key=True) for c in self.keys),
            sa.Column("valid_from", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("known_from", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("valid_to", sa.BigInteger, nullable=False),
            sa.Column("known_to", sa.BigInteger, nullable=False),
            sa.Column("collapsed", sa.SmallInteger, nullable=False),
            *(sa.Column(c.name, c.type) for c in self.attributes),
            sqlite_with_rowid=False,
        )

    @property
    def c(self) -> sa.ColumnCollection[str, sa.Column[Cell]]:
        """The columns, for selects."""
        return self.table.c

    def seen(self, cut: Cut) -> sa.ColumnElement[bool]:
        """Say which rows hold at a moment."""
        return sa.and_(self.valid_by(cut), self._still_valid(cut))

    def valid_by(self, cut: Cut) -> sa.ColumnElement[bool]:
        """Say which rows had begun at a moment, also those that have ended by then."""
        c = self.table.c
        return sa.and_(
            c.tenant == cut.tenant,
            c.known_from <= cut.known_at,
            c.known_to > cut.known_at,
            c.valid_from <= cut.as_of,
        )

    def _still_valid(self, cut: Cut) -> sa.ColumnElement[bool]:
        c = self.table.c
        return sa.or_(
            c.valid_to > cut.as_of, sa.and_(c.collapsed == 1, c.valid_to > cut.known_at)
        )

    def valid_to(self, cut: Cut) -> sa.ColumnElement[int]:
        """Give the end of a row as believed at a moment; FOREVER while it was open."""
        c = self.table.c
        open_then = sa.and_(c.collapsed == 1, c.valid_to > cut.known_at)
        return sa.case((open_then, FOREVER), else_=c.valid_to)
