"""The base of all read tables: rows that are true over a span of both time axes.

An *interval* row says: from `valid_from` to `valid_to` this held, and we believed so from
`known_from` to `known_to` (all half-open, microseconds UTC). Where an open belief ends
exactly with the append that ended it, one row is enough: it is `collapsed`, open-ended for
whoever asks before that append and ended for whoever asks after it.

A *ledger* row is a movement: posted once, at the instant of its effect, and never changed.
What later knowledge takes back is reversed by the same movement with its sign turned, so that
the sum of all movements that happened by `as_of` and were recorded by `known_at` is what was
believed then.

A fold is a table and a pure state machine. It sees one entity's believed history, fact by
fact, and answers each with the rows that changed or the movements to post. It knows nothing
of late facts, retractions, batches or databases; the runner does. Folds whose rows follow from
one state of the entity begin `OnState`, which is evolved once for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.computed_once import computed_once
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import ProcessVersion
from salesflow.domain.state import ReplayContext, State
from salesflow.domain.time import FOREVER, Instant

__all__ = [
    "AMOUNT_SCALE",
    "FIGURES",
    "Cell",
    "Change",
    "CopyableRows",
    "EventIds",
    "Fold",
    "FoldState",
    "Instants",
    "IntervalFold",
    "IntervalTable",
    "Key",
    "Ledger",
    "LedgerTable",
    "Millionths",
    "OnState",
    "Processes",
    "ReadPoint",
    "ReadTable",
    "Row",
    "Shares",
    "StateRows",
    "changes_by",
    "millionths",
]


# What a column of whole numbers holds: instants, or amounts and shares in millionths.
#
# In the tables these are whole numbers, exact on every database. A fold names the kind of a
# column so that the SQL views beside the tables can show timestamps and decimals to people.
# Ids of events are so many that tables in memory do not number them as they do other ids.


class Instants(sa.BigInteger):
    """Microseconds since 1970-01-01 UTC."""


class Millionths(sa.BigInteger):
    """Amounts in whole millionths of their currency."""


class Shares(sa.Integer):
    """Parts of one in whole millionths: shares, probabilities."""


class EventIds(sa.Uuid[UUID]):
    """Ids of events, each of them in few rows."""


AMOUNT_SCALE = 1_000_000
"""Amounts and shares are stored as whole millionths."""
FIGURES = ("deals", "amount", "amount_rest", "weighted", "weighted_rest", "weighted_rest_rest")
"""What balances hold of a cell; a rest is in millionths of what stands before it."""
Cell = str | int | UUID | None
"""What one column of a row holds, as every database driver takes it."""
Key = tuple[Cell, ...]
"""Tells apart the rows of one entity that hold at the same time; `()` where there is one."""
Row = tuple[Cell, ...]
"""Cells in the order of their columns: a whole row, or the attributes that a fold gives."""
Change = tuple[Key, Row | None]
"""A row of the entity from now on, or None when it holds no more."""
Processes = Mapping[tuple[str, int], ProcessVersion]


TableT_co = TypeVar("TableT_co", bound="ReadTable", covariant=True)
ChangeT_co = TypeVar("ChangeT_co", covariant=True)
StateT = TypeVar("StateT", bound=State)
StateT_contra = TypeVar("StateT_contra", bound=State, contravariant=True)


class FoldState(Protocol[ChangeT_co]):
    """One entity on its way through its history."""

    def apply(self, event: Event) -> Iterable[ChangeT_co]:
        """Take the next believed fact, say what it changed; never raise on old facts."""


class StateRows(Protocol[StateT_contra, ChangeT_co]):
    """The rows of one entity, made from its state as that evolves."""

    def apply(self, event: Event, state: StateT_contra, /) -> Iterable[ChangeT_co]:
        """Take the next fact that counts and the state after it, say what it changed.

        The state is read and never changed, and not kept: it goes on with the next fact.
        Rows that are `CopyableRows` need not be made from the beginning for a late fact.
        """


GROWING: Final = (list, dict, set)


class CopyableRows:
    """The base of rows that an entity can be folded on from once more, as after any fact.

    So a late fact costs what comes after it in the history, and not all of it. Lists, dicts
    and sets that such rows hold are their own, and a copy has others; what is in them, and
    all else, is never changed, only replaced. A class names what it holds in its own
    `__slots__`, or nowhere.
    """

    __slots__: tuple[str, ...] = ()
    _held: ClassVar[tuple[str, ...]] = ()
    """All that its class and those above it name in their slots."""

    def __init_subclass__(cls, **arguments: object) -> None:
        """Note what a class holds beside what the class above it does."""
        super().__init_subclass__(**arguments)
        cls._held = (*cls._held, *cls.__dict__.get("__slots__", ()))

    def __copy__(self) -> Self:
        """Return rows that keep what these hold now."""
        other = object.__new__(type(self))
        for name, value in self.values().items():
            setattr(other, name, value.copy() if isinstance(value, GROWING) else value)
        return other

    def holds_the_same(self, other: object) -> bool:
        """Return whether both hold the same, so that the same follows from what comes next."""
        return isinstance(other, type(self)) and self.values() == other.values()

    def values(self) -> dict[str, Any]:
        """Return all that is held, by name."""
        if self._held:
            return {name: getattr(self, name) for name in self._held}
        return vars(self) if hasattr(self, "__dict__") else {}


@dataclass(frozen=True)
class OnState(Generic[StateT, ChangeT_co]):
    """How the rows of an entity begin that follow from its state; the `start` of a fold.

    Folds on one kind of state that are kept together have it evolved once for all of them, by
    the facts that any of them names. So a fold names all facts that what it reads depends on.
    """

    state: type[StateT]
    rows: Callable[[], StateRows[StateT, ChangeT_co]]
    """Begins an entity that nothing has happened to."""

    def __call__(self, processes: Processes) -> FoldState[ChangeT_co]:
        """Begin an entity with a state of its own."""
        return _RowsAndState(self.state(ReplayContext(processes)), self.rows())


class _Following(CopyableRows, Generic[StateT, ChangeT_co]):
    """Rows of which none has to be remembered: they follow from the state and the fact."""

    __slots__ = ("apply",)

    def __init__(self, changes: Callable[[Event, StateT], Iterable[ChangeT_co]]) -> None:
        self.apply = changes


def changes_by(
    state: type[StateT], changes: Callable[[Event, StateT], Iterable[ChangeT_co]]
) -> OnState[StateT, ChangeT_co]:
    """Begin entities whose rows follow from their state after a fact, and from that fact.

    `changes` is given each fact that counts and the state after it.
    """

    def begin() -> _Following[StateT, ChangeT_co]:
        return _Following(changes)

    begin.__module__ = changes.__module__  # a fold is at home where its changes are
    return OnState(state, begin)


class _RowsAndState(Generic[StateT, ChangeT_co]):
    """One entity of a fold that is kept by itself."""

    __slots__ = ("_rows", "_state")

    def __init__(self, state: StateT, rows: StateRows[StateT, ChangeT_co]) -> None:
        self._state = state
        self._rows = rows

    def apply(self, event: Event) -> Iterable[ChangeT_co]:
        """Take the next believed fact; an irregular one changes nothing."""
        return (
            ()
            if self._state.evolve(event) is not None
            else self._rows.apply(event, self._state)
        )


@dataclass(frozen=True)
class _Fold(Generic[TableT_co, ChangeT_co]):
    """A table, and the state machine that fills it from one entity's believed history."""

    table: TableT_co
    facts: frozenset[type[Fact]]
    """The facts it listens to; retractions of them reach it without being named."""
    start: Callable[[Processes], FoldState[ChangeT_co]]
    """Begins an entity that nothing has happened to."""


class IntervalFold(_Fold["IntervalTable", Change]):
    """A fold of intervals: each fact is answered with the rows it changed."""


class Ledger(_Fold["LedgerTable", Row]):
    """A fold of movements: each fact is answered with the movements to post."""


Fold = IntervalFold | Ledger


class ReadPoint(NamedTuple):
    """A moment in the units of the tables, for one tenant."""

    tenant: str
    as_of: Instant
    known_at: Instant


@dataclass(frozen=True)
class ReadTable(ABC):
    """A table that a fold fills.

    Every `revision` of a fold has a table of its own, so that a new one is filled while the
    old one is still read: raise it whenever the rows would come out differently.
    """

    label: str
    revision: int
    table: sa.Table = field(init=False)
    name: str = field(init=False, compare=False)
    """The table's name in the database, which it may share with a service's own tables."""
    view: str = field(init=False, compare=False)
    """The name of its view, which is the same for every revision."""
    parts: sa.MetaData = field(init=False, repr=False, compare=False)
    """The live table, and whatever is kept beside it."""
    c: sa.ColumnCollection[str, sa.Column[Cell]] = field(init=False, repr=False, compare=False)
    """The columns, for selects."""

    def __post_init__(self) -> None:
        """Build the table from its parts."""
        object.__setattr__(self, "view", f"salesflow_{self.label}")
        object.__setattr__(self, "name", f"{self.view}_{self.revision}")
        object.__setattr__(self, "parts", self.shape_all(self.name))
        object.__setattr__(self, "table", self.parts.tables[self.name])
        object.__setattr__(self, "c", self.table.c)

    @abstractmethod
    def shaped(self, name: str, metadata: sa.MetaData) -> sa.Table:
        """Return a table of this shape under another name, to be filled beside the live one."""

    def shape_all(self, name: str) -> sa.MetaData:
        """Describe this table under another name, and whatever is kept beside it."""
        metadata = sa.MetaData()
        self.shaped(name, metadata)
        return metadata

    def named(self, name: str) -> sa.Table:
        """Return the live table, or one of this shape under another name."""
        return self.table if name == self.name else self.shaped(name, sa.MetaData())


@dataclass(frozen=True)
class IntervalTable(ReadTable):
    """A read table of interval rows: the entity, the key, the two time axes, the attributes."""

    keys: tuple[sa.Column[Cell], ...] = ()
    attributes: tuple[sa.Column[Cell], ...] = ()
    keeps_zero_length: bool = False
    """Whether a row that ended in the instant in which it began is kept; its key must tell it
    from all others of its entity. No moment sees it, but it can be counted (see
    `started_by`)."""

    def shaped(self, name: str, metadata: sa.MetaData) -> sa.Table:
        """Return a table of this shape under another name, to be filled beside the live one."""
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

    def visible_at(self, read_point: ReadPoint) -> sa.ColumnElement[bool]:
        """Return which rows hold at a moment."""
        return sa.and_(self.started_by(read_point), self._still_valid(read_point))

    def started_by(self, read_point: ReadPoint) -> sa.ColumnElement[bool]:
        """Return which rows had begun at a moment, also those that have ended by then."""
        c = self.c
        return sa.and_(
            c.tenant == read_point.tenant,
            c.known_from <= read_point.known_at,
            c.known_to > read_point.known_at,
            c.valid_from <= read_point.as_of,
        )

    def _still_valid(self, read_point: ReadPoint) -> sa.ColumnElement[bool]:
        c = self.c
        return sa.or_(
            c.valid_to > read_point.as_of,
            sa.and_(c.collapsed == 1, c.valid_to > read_point.known_at),
        )

    def valid_to(self, read_point: ReadPoint) -> sa.ColumnElement[int]:
        """Return the end of a row as believed at a moment; FOREVER while it was open."""
        c = self.c
        open_then = sa.and_(c.collapsed == 1, c.valid_to > read_point.known_at)
        return sa.case((open_then, FOREVER), else_=c.valid_to)


@dataclass(frozen=True)
class LedgerTable(ReadTable):
    """A read table of movements: the entity, what posted them and when, the attributes.

    `sign` is 1 where a movement is posted and -1 where it is taken back; a sum over movements
    multiplies by it. `occurred` is the instant of the effect, `recorded` that of the append
    with which the movement was posted or taken back, `position` that of the fact behind it.
    """

    attributes: tuple[sa.Column[Cell], ...] = ()
    cells: tuple[str, ...] = ()
    """The attributes of a leg by which balances are kept; where it is empty none are kept."""

    def shaped(self, name: str, metadata: sa.MetaData) -> sa.Table:
        """Return a table of this shape under another name, to be filled beside the live one."""
        return sa.Table(
            name,
            metadata,
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("occurred", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
            sa.Column("recorded", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("sign", sa.SmallInteger, primary_key=True, autoincrement=False),
            sa.Column("entity_id", sa.Uuid, nullable=False),
            sa.Column("event_id", EventIds, nullable=False),
            *(sa.Column(c.name, c.type) for c in self.attributes),
            sa.Index(f"{name}_recorded", "tenant", "recorded"),
            sqlite_with_rowid=False,
        )

    def shape_all(self, name: str) -> sa.MetaData:
        """Describe this table under another name, and its balances where they are kept."""
        metadata = super().shape_all(name)
        if self.cells:
            self.balances(name, metadata)
        return metadata

    @computed_once
    def balance(self) -> sa.Table:
        """The balances kept beside the live table."""
        return self.balances(self.name, sa.MetaData())

    def balances(self, name: str, metadata: sa.MetaData) -> sa.Table:
        """Describe the balances of the ledger of this name: see `core.balances`."""
        types = {column.name: column.type for column in self.attributes}
        cells = [sa.Column(c, types[f"entered_{c}"], primary_key=True) for c in self.cells]
        return sa.Table(
            f"{name}_balance",
            metadata,
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
            sa.Column("upto", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
            *cells,
            *(sa.Column(figure, sa.BigInteger, nullable=False) for figure in FIGURES),
            sqlite_with_rowid=False,
        )

    def posted_by(self, read_point: ReadPoint) -> sa.ColumnElement[bool]:
        """Return which movements had happened and were recorded at a moment."""
        c = self.c
        return sa.and_(
            c.tenant == read_point.tenant,
            c.occurred <= read_point.as_of,
            c.recorded <= read_point.known_at,
        )


@lru_cache(4_096)
def millionths(number: Decimal) -> int:
    """Return an amount or a share as it is stored: exactly, since it has six places at most."""
    return int(number * AMOUNT_SCALE)
