"""Rows of read tables as columns: whole sets that questions compute with at once.

A column is an array with a value for each row. Numbers stand in it as they are, words and ids
as codes: small whole numbers that mean the same in every column; ids of events as their bytes.
`HeldRows` count at a moment; a column of them is cut when it is asked for. Rows of an interval
table stand with those of the same entity, in order of their beginning. Movements of a ledger
stand in no order that holds for all of them.

It knows no database: how columns are filled and kept level is said in
`adapters/projector/columns.py`.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.ids import uuid_of_int, uuids_of_bytes
from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.table import ReadPoint

__all__ = [
    "EVENT_ID",
    "NOTHING",
    "NO_LIST",
    "NO_NUMBER",
    "UNKNOWN",
    "Column",
    "Flags",
    "Having",
    "HeldRows",
    "HexadecimalIds",
    "Kind",
    "Part",
    "Places",
    "RowsRead",
    "TableColumns",
    "Words",
    "columns_of",
    "narrowed",
]

Column = NDArray[Any]
"""Whole numbers of any size: codes, instants, amounts in millionths, counts."""
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
"""Which rows of a part."""

NO_LIST: Final[Column] = np.empty(0, np.int64)
EVENT_ID: Final = np.dtype("V16")
"""How an id of an event is held."""
HEXADECIMAL: Final = 16
DIGITS: Final = 32
IS_DIGIT: Final = np.array([*str(UUID(int=0))]) != "-"
"""Which characters of an id as it is written are digits; the others are hyphens."""
NARROW: Final = (np.int8, np.int16, np.int32)
UNKNOWN: Final = -2
NOTHING: Final = -1
"""The code of no word."""
NO_NUMBER: Final = np.iinfo(np.int64).min
"""Stands in a column of numbers where there is none."""


Having = Mapping[str, str | UUID | tuple[str | UUID, ...] | None]
"""Which word or id rows are to have in columns, or which of several; None for whatever."""


class Words:
    """Words or ids that columns hold, each by its code, which it keeps."""

    def __init__(self) -> None:
        self._words: list[Any] = []
        self._codes = _Codes(self._words)
        self.lock = RLock()
        """Held while words get their codes."""

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, code: int) -> Any:  # noqa: ANN401 - as it was put in
        """Return the word of a code; None for `NOTHING`."""
        return None if code == NOTHING else self._words[code]

    def code(self, word: object) -> int | None:
        """Return the code of a word; None for one that no column holds."""
        return self._codes.get(word)

    def codes(self, words: Sequence[object]) -> NDArray[np.int32]:
        """Return the codes of words; those that are new get one."""
        with self.lock:
            return np.fromiter(map(self._codes.__getitem__, words), np.int32, len(words))

    def of(self, codes: Column) -> list[Any]:
        """Return the word of each of some codes."""
        return [self[code] for code in codes.tolist()]

    def texts(self, codes: Column) -> list[str | None]:
        """Return the same as text, as which ids are told from one another in answers."""
        return self.of(codes)

    def as_put_in(self, codes: Column) -> list[Any]:
        """Return the same as words were put in, of codes of which none is `NOTHING`."""
        return [self._words[code] for code in codes.tolist()]


class _Codes(dict[object, int]):
    """The code of each word, which is its place in a list; one that is new gets the next."""

    def __init__(self, words: list[Any]) -> None:
        super().__init__({None: NOTHING})
        self._words = words

    def __missing__(self, word: object) -> int:
        code = len(self._words)
        self._words.append(word)  # first, so that no interruption leaves a code without a word
        self[word] = code
        return code


class HexadecimalIds(Words):
    """Ids, kept as 32 hexadecimal digits, which are read when one is asked for."""

    def __getitem__(self, code: int) -> UUID | None:
        """Return the id of a code."""
        digits = super().__getitem__(code)
        return None if digits is None else uuid_of_int(int(digits, HEXADECIMAL))

    def code(self, word: object) -> int | None:
        """Return the code of an id; None for one that no column holds."""
        return super().code(word.hex if isinstance(word, UUID) else word)

    def of(self, codes: Column) -> list[UUID | None]:
        """Return the id of each of some codes, all of them at once."""
        digits = map(super().__getitem__, codes.tolist())
        there = [*map(bytes.fromhex, self.as_put_in(codes[codes != NOTHING]))]
        ids = iter(uuids_of_bytes(there))
        return [None if it is None else next(ids) for it in digits]

    def texts(self, codes: Column) -> list[str | None]:
        """Return ids as they are written, in five groups of digits, all of them at once."""
        digits = "".join(self.as_put_in(codes[codes != NOTHING])).encode()
        written = np.full((len(digits) // DIGITS, len(IS_DIGIT)), ord("-"), np.uint8)
        written[:, IS_DIGIT] = np.frombuffer(digits, np.uint8).reshape(-1, DIGITS)
        text, length = written.tobytes().decode(), len(IS_DIGIT)
        there = iter([text[at : at + length] for at in range(0, len(text), length)])
        return [None if code == NOTHING else next(there) for code in codes.tolist()]


Kind = Words | np.dtype[Any]
"""What a column holds: codes of words or of ids, numbers, or ids of events."""


RowsRead = Sequence[Sequence[Any]]
"""Rows as a driver gives them, ids as hexadecimal digits."""


def columns_of(rows: RowsRead, kinds: Mapping[str, Kind]) -> dict[str, Column]:
    """Return the columns of some rows by name, each as narrow as what it holds.

    Words and ids that are new get a code.
    """
    cells = zip(*rows, strict=True) if rows else [()] * len(kinds)
    found = map(_column, cells, kinds.values())
    return {name: narrowed(column) for name, column in zip(kinds, found, strict=True)}


def _column(cells: Sequence[Any], kind: Kind) -> Column:
    if isinstance(kind, Words):
        return kind.codes(cells)
    if kind == EVENT_ID:
        return np.frombuffer(bytes.fromhex("".join(cells)), EVENT_ID)
    try:
        return np.fromiter(cells, kind, len(cells))
    except TypeError:
        return np.fromiter([NO_NUMBER if c is None else c for c in cells], kind, len(cells))


def narrowed(column: Column) -> Column:
    """Return a column of whole numbers in the smallest type that holds them.

    The least number of a type is never used.
    """
    if column.dtype.kind != "i" or not len(column):
        return column
    low, high = int(column.min()), int(column.max())
    for kind in NARROW:
        if np.iinfo(kind).min < low and high <= np.iinfo(kind).max:
            return column.astype(kind, copy=False)
    return column


def _as_narrow_places(places: Column) -> Column:
    """Return places in a list in the smallest type that holds them."""
    return places.astype(np.min_scalar_type(int(places.max()) + 1), copy=False)


def _distinct(numbers: Column) -> Column:
    """Return the numbers there are in their order, each once."""
    numbers = np.sort(numbers)
    differs = np.append(True, numbers[1:] != numbers[:-1])  # from the one before it
    found: Column = numbers[differs[: len(numbers)]]
    return found


def _long_numbers(parts: "Sequence[Part]") -> tuple[frozenset[str], Column]:
    """Return the names of the columns that hold long numbers, and these in order, each once."""
    names = parts[0].columns
    long = frozenset(name for name in names if any(part.has_long(name) for part in parts))
    numbers = [part.listed for part in parts]
    for part in parts:
        numbers += [_distinct(part.columns[name]) for name in long - part.by_place]
    return long, _distinct(np.concatenate(numbers))


class Part(NamedTuple):
    """Rows of one table, in an order of their own, and as narrow as what they hold.

    Of an interval table those of an entity stand next to one another, in order of their
    beginning; movements stand in order of their occurrence.
    """

    columns: Mapping[str, Column]
    """A dict where they are its own."""
    rows: int
    listed: Column = NO_LIST
    """Long numbers in their order, each once: the instants and amounts of all rows."""
    by_place: frozenset[str] = frozenset()
    """The columns that hold places in that list, and no numbers."""

    @classmethod
    def read(
        cls, batches: Iterable[RowsRead], kinds: Mapping[str, Kind], keys: Iterable[str]
    ) -> "Part":
        """Return rows that come so many at a time, packed and in order of some columns.

        They are packed as they come, so that few numbers stand there as wide as they are read.
        """
        read = [cls.packed([cls(columns_of(rows, kinds), len(rows))]) for rows in batches]
        return cls.packed(read or [cls(columns_of((), kinds), 0)]).in_order(keys)

    @classmethod
    def packed(cls, parts: Sequence["Part"]) -> "Part":
        """Return the rows of parts behind one another, as narrow as what they hold.

        Long numbers stand in a list where that takes less room: most instants are in many
        rows, as where one ends and the next one begins, or with all rows of one append. The
        parts are used up: their columns are put together one after the other, so that few are
        there twice.
        """
        rows, (long, listed) = sum(part.rows for part in parts), _long_numbers(parts)
        kind = np.min_scalar_type(len(listed))
        if len(listed) + len(long) * rows * kind.itemsize // 8 >= len(long) * rows:
            long, listed = frozenset(), NO_LIST
        columns = {}
        for name in [*parts[0].columns]:
            cut = (part.taken(name) for part in parts)
            if name in long:
                places = [np.searchsorted(listed, each).astype(kind) for each in cut]
                columns[name] = _as_narrow_places(np.concatenate(places))
            else:
                columns[name] = narrowed(np.concatenate([*cut]))
        return cls(columns, rows, listed, long)

    def taken(self, name: str) -> Column:
        """Return a column, of numbers as they are, and hold it no longer."""
        found = self.cut(name, slice(None))
        assert isinstance(self.columns, dict), "only columns of one's own are taken away"
        del self.columns[name]
        return found

    def has_long(self, name: str) -> bool:
        """Return whether a column holds numbers that no smaller type holds."""
        column = self.columns[name]
        if column.dtype != np.int64:
            return name in self.by_place
        return self.rows > 0 and narrowed(column).dtype == np.int64

    def cut(self, name: str, rows: Places | Flags | slice) -> Column:
        """Return a column of some rows, of numbers as they are."""
        found: Column = self.columns[name][rows]
        return self.listed.take(found) if name in self.by_place else found

    def after(self, name: str, instant: Instant) -> Flags:
        """Return in which rows a column of instants lies behind an instant."""
        column = self.columns[name]
        if name not in self.by_place:
            return np.asarray(column > instant)
        return np.asarray(column >= int(np.searchsorted(self.listed, instant, "right")))

    def matching(self, read_point: ReadPoint, *, ended: bool) -> Flags:
        """Return which rows hold at a moment, with `ended` also those that held before."""
        as_of, known_at = read_point.as_of, read_point.known_at
        begun = ~self.after("known_from", known_at)
        begun &= self.after("known_to", known_at)
        begun &= ~self.after("valid_from", as_of)
        if ended:
            return begun
        held = self.after("valid_to", as_of)
        if as_of > known_at:  # else what was open then ends behind the moment anyway
            collapsed = self.cut("collapsed", slice(None)) == 1
            held |= collapsed & self.after("valid_to", known_at)
        return begun & held

    def posted_by(self, read_point: ReadPoint) -> Places:
        """Return which movements had happened and were recorded at a moment."""
        late = self.after("recorded", read_point.known_at)
        return np.flatnonzero(~late[: self.happened_by(read_point.as_of)])

    def happened_by(self, instant: Instant) -> int:
        """Return how many movements had happened at an instant; they are the first ones."""
        column = self.columns["occurred"]
        if "occurred" in self.by_place:
            instant = int(np.searchsorted(self.listed, instant, "right")) - 1
        return bisect_right(column, instant)

    def joined(self, then: "Part") -> "Part":
        """Return these rows and others behind them."""
        found = {
            name: np.concatenate([part.cut(name, slice(None)) for part in (self, then)])
            for name in self.columns
        }
        return Part(found, self.rows + then.rows)

    def in_order(self, keys: Iterable[str]) -> "Part":
        """Return these rows in order of some columns, put so in place, one after the other."""
        columns = self.columns
        assert isinstance(columns, dict)
        order = np.lexsort([columns[key] for key in keys][::-1])
        if (order[1:] < order[:-1]).any():
            for name in columns:
                columns[name] = columns[name][order]
        return self

    def where(self, kept: Flags) -> "Part":
        """Return some of these rows, in the same order."""
        found = {name: column[kept] for name, column in self.columns.items()}
        return self._replace(columns=found, rows=int(np.count_nonzero(kept)))


class HeldTable(Protocol):
    """A table or a ledger, all rows of it; see `TableColumns`."""

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> "HeldRows": ...


class TableColumns(NamedTuple):
    """A table as columns: its rows, and in the tail those of entities that changed since."""

    base: Part
    words: Mapping[str, Words]
    """By the name of each column of words or ids, what its codes stand for."""
    replaced: Flags | None = None
    """Which rows of the base are of entities that stand in the tail; None for none."""
    tail: Part | None = None

    def at(self, read_point: ReadPoint, *, ended: bool = False) -> "HeldRows":
        """Return the rows that hold at a moment, with `ended` also those that held before."""
        found = self.base.matching(read_point, ended=ended)
        if self.replaced is not None:
            found &= ~self.replaced
        chosen = [(self.base, np.flatnonzero(found))]
        if self.tail is not None:
            tail = self.tail.matching(read_point, ended=ended)
            chosen.append((self.tail, np.flatnonzero(tail)))
        return HeldRows(chosen, self.words)


class HeldRows(dict[str, Column]):
    """Rows of a table that count at a moment: their columns by name.

    A column is cut when it is first asked for.
    """

    def __init__(
        self, chosen: Sequence[tuple[Part, Places]], words: Mapping[str, Words]
    ) -> None:
        super().__init__()
        self.words: Final = words
        self._chosen = chosen
        self.count: Final = sum(len(places) for _, places in chosen)
        """How many they are."""

    def __len__(self) -> int:
        return self.count

    @property
    def names(self) -> Collection[str]:
        """The names of their columns."""
        return self._chosen[0][0].columns.keys()

    def __missing__(self, name: str) -> Column:
        """Cut a column out of all rows of the table, and keep it."""
        found = self[name] = self.once(name)
        return found

    def once(self, name: str) -> Column:
        """Return a column that is not asked for again: it is not kept."""
        if name in self:
            return self[name]
        cut = [part.cut(name, places) for part, places in self._chosen]
        found = cut[0] if len(cut) == 1 else np.concatenate(cut)
        if found.dtype == EVENT_ID:
            return found
        return found.astype(np.int32 if name in self.words else np.int64, copy=False)

    def cut(self, *names: str) -> list[Column]:
        """Return some columns of these rows."""
        return [self[name] for name in names]

    def code(self, name: str, word: str | UUID | None) -> int:
        """Return the code of a word or an id in a column; one that no row has if it is new."""
        code = self.words[name].code(word)
        return UNKNOWN if code is None else code

    def numbers(self, name: str, words: Iterable[str | UUID | None]) -> Column:
        """Return which of some words or ids rows have in a column, by number; -1 for none."""
        known = self.words[name]
        codes = [*map(known.code, words)]  # before it is counted: others may add to them
        number = np.full(len(known) + 1, -1)  # the code of nothing stands last
        for place, code in enumerate(codes):
            if code is not None:
                number[code] = place
        return number.take(self[name])

    def distinct(self, name: str) -> tuple[Column, list[Any]]:
        """Return by number which word or id each row has in a column, and those there are."""
        column, words = self[name], self.words[name]
        nothing = len(words)
        there = np.zeros(nothing + 1, np.bool_)  # that of nothing stands last
        there[column] = True
        codes = np.flatnonzero(there)
        number = np.empty(nothing + 1, np.int64)
        number[codes] = np.arange(len(codes))
        return number.take(column), words.of(np.where(codes == nothing, NOTHING, codes))

    def has(self, name: str, *words: str | UUID | None) -> Flags:
        """Return which rows have one of some words or ids in a column."""
        found: Flags = self.numbers(name, words) >= 0
        return found

    def fitting(self, wanted: Having) -> Flags:
        """Return which rows have in columns what they are to have."""
        found: Flags = np.ones(self.count, np.bool_)
        for name, word in wanted.items():
            if isinstance(word, tuple):
                found &= self.has(name, *word)
            elif word is not None:
                found &= self[name] == self.code(name, word)
        return found

    def known(self, name: str) -> Flags:
        """Return which rows have anything in a column."""
        found: Flags = self[name] != (NOTHING if name in self.words else NO_NUMBER)
        return found

    def say(self, *names: str) -> Flags:
        """Return which rows say yes in all of some columns of yes and no."""
        found: Flags = np.ones(self.count, np.bool_)
        for name in names:
            cut = [part.cut(name, places) == 1 for part, places in self._chosen]
            found &= np.concatenate(cut)
        return found

    def where(self, wanted: Flags) -> "HeldRows":
        """Return some of them, in the same order."""
        ends = np.cumsum([len(places) for _, places in self._chosen])
        parts = zip(self._chosen, np.split(wanted, ends[:-1]), strict=True)
        return HeldRows([(part, places[here]) for (part, places), here in parts], self.words)

    def pieces(self, most: int) -> Iterator["HeldRows"]:
        """Yield these rows, so many at a time."""
        for part, places in self._chosen:
            for first in range(0, len(places), most):
                yield HeldRows([(part, places[first : first + most])], self.words)

    def among(self, name: str, *words: str | UUID | None) -> "HeldRows":
        """Return those that have one of some words or ids in a column."""
        return self.where(self.has(name, *words))

    def between(
        self, name: str, start: Instant, end: Instant, wanted: Having | None = None
    ) -> "HeldRows":
        """Return those that fit what is wanted, of which an instant lies in `[start, end)`."""
        column = self[name]
        within = (column >= start) & (column < end) & self.fitting(wanted or {})
        found = self.where(within)
        found[name] = column[within]
        return found

    def held_at(
        self,
        instants: Column,
        known_at: Instant,
        wanted: Having,
        *,
        after: Mapping[str, Column] | None = None,
    ) -> tuple["HeldRows", Flags]:
        """Return those that fit and held at any of some instants, and which did at each.

        As was known at another instant; where columns in `after` lie no earlier than that.
        """
        rows = self.where(self.fitting(wanted))
        since, until, at = rows["valid_from"], rows.until(known_at), instants[:, None]
        held = (since <= at) & (until > at)
        for name, begun in (after or {}).items():
            held &= rows[name] >= begun[:, None]
        at_any = np.logical_or.reduce(held)
        return rows.where(at_any), held[:, at_any]

    def until(self, known_at: Instant) -> Column:
        """Return when each row ends, as was known at an instant; FOREVER while it was open."""
        ends = self["valid_to"]
        return np.where(self.say("collapsed") & (ends > known_at), FOREVER, ends)

    def ordered(self, order: Places) -> "HeldRows":
        """Return rows of these by their numbers, in that order."""
        part = Part(_OrderedColumns(self, order), len(order))
        return HeldRows([(part, np.arange(len(order)))], self.words)

    def amounts(self) -> Column:
        """Return the amounts, with 0 where none is known."""
        column = self["amount"]
        return np.where(column == NO_NUMBER, 0, column)

    def cells(self, name: str, rows: Column | None = None) -> list[Any]:
        """Return a column as Python has it, or some rows of it.

        It holds words, ids or numbers, and None where there is none.
        """
        column = self[name] if rows is None else self[name][rows]
        words = self.words.get(name)
        if words is not None:
            codes = np.unique(column)
            meant = dict(zip(codes.tolist(), words.of(codes), strict=True))
            return [meant[code] for code in column.tolist()]
        if column.dtype == EVENT_ID:
            return uuids_of_bytes(column.tolist())
        cells: list[Any] = column.tolist()
        if NO_NUMBER not in cells:
            return cells
        return [None if each == NO_NUMBER else each for each in cells]

    def records(self, *names: str, rows: Column | None = None) -> Iterable[tuple[Any, ...]]:
        """Return some columns as Python has them, row by row or of some rows; see `cells`."""
        return zip(*(self.cells(name, rows) for name in names), strict=True)


class _OrderedColumns(Mapping[str, Column]):
    """Columns of rows in another order, each made when it is asked for."""

    def __init__(self, rows: HeldRows, order: Places) -> None:
        self._rows = rows
        self._order = order

    def __getitem__(self, name: str) -> Column:
        return self._rows.once(name)[self._order]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows.names)

    def __len__(self) -> int:
        return len(self._rows.names)
