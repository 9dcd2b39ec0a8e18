"""The lines that the books of a flow are added up from, and whose team each of them is of.

A line sums the legs of one event in one part of the pipeline (of all events, in the opening).
By team a movement belongs to the team its owner was in when it happened, and what stood with
an owner goes along when they change: that is `reorganised`. So what stands in a team's books
at any instant is what the reps have who are in it then. What became known later counts for
the team of the opening; where it is the team itself that was not known, all that stood with
the owner is restated.

All lines stand in columns. It is a module of its own: it knows how lines come to be and where
they belong, and nothing of the question that lays them out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self
from uuid import UUID

import numpy as np

from salesflow.domain.ids import UuidSequence
from salesflow.domain.time import Instant
from salesflow.projections.core.balances import Cells, CellSums
from salesflow.projections.core.column_figures import exact_products, exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import (
    EVENT_ID,
    NOTHING,
    Column,
    Flags,
    HeldRows,
    Words,
)
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.pipeline import KINDS, PIPELINE
from salesflow.projections.scope import Teams

__all__ = [
    "FIGURES",
    "MOVEMENTS",
    "OPENING",
    "REORGANISED",
    "RESTATED",
    "FlowLines",
    "FlowNames",
    "InTeams",
    "Opening",
    "lines_of",
]

OPENING, RESTATED, REORGANISED = "opening", "restated", "reorganised"
MOVEMENTS: Final = (*KINDS, REORGANISED, RESTATED, OPENING)
"""All kinds of lines; each is held as its place here."""
AT_ONCE: Final = 1 << 15
"""So many movements are added up at a time."""
AS_BYTES: Final = "S16"
"""Ids of events as numpy sorts them; they mostly lie in order, so the sort is a stable one."""
FIGURES: Final = 3
"""Deals, their amount, and what is likely of it."""


class Opening(NamedTuple):
    """The instant at which books are opened, and what is known of it: up to another one."""

    at: Instant
    known_at: Instant


class FlowNames(Words):
    """What lines name: words by their codes, and the events behind them by their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[Column] = []
        self._count = 0

    def numbered(self, ids: Column) -> Column:
        """Return numbers for the ids of events, which are new."""
        self._ids.append(ids)
        self._count += len(ids)
        return np.arange(self._count - len(ids), self._count)

    def number(self, id: UUID | None) -> int:
        """Return a number for one event; that of nothing for None."""
        if id is None:
            return NOTHING
        return int(self.numbered(np.frombuffer(id.bytes, EVENT_ID))[0])

    def sorted_ids(self, numbers: Column) -> UuidSequence:
        """Return the ids of some events in their order."""
        if len(self._ids) > 1:
            self._ids = [np.concatenate(self._ids)]
        ids = self._ids[0][numbers].view(AS_BYTES)
        return UuidSequence(np.sort(ids, kind="stable").tobytes())


class FlowLines(NamedTuple):
    """The legs of one event that lie in one part of the pipeline, added up: a row for each."""

    event: Column
    """Its number among the events of the flow, in whose order the lines mostly are."""
    process: Column
    """By its code among the names of the flow, as are group, currency and owner."""
    group: Column
    currency: Column
    kind: Column
    """Its place among `MOVEMENTS`."""
    owner: Column
    """Whose it was; read for books of teams alone, as is when it happened."""
    occurred: Column
    """The opening where it happened before that."""
    version: Column
    deals: Column
    units: Column
    """The sum of the amounts, in millionths; a number of any length."""
    likely: Column
    """The sum of amount x probability, in millionths of millionths; of any length too."""
    share: Column
    """The probability; legs of different ones are different lines."""

    def at(self, rows: Column | Flags) -> Self:
        """Return some of the lines."""
        return type(self)(*(column[rows] for column in self))

    def with_others(self, *others: "FlowLines") -> "FlowLines":
        """Return these lines and others behind them."""
        columns = zip(self, *others, strict=True)
        return FlowLines(*(np.concatenate(each) for each in columns))

    def put_together(self) -> Self:
        """Return these lines with those that are alike added up."""
        which = (self.event, self.process, self.group, self.currency, self.kind, self.owner)
        alike = grouped(*which, self.occurred, self.share)
        count, first = len(alike.first), self.at(alike.first)
        deals, units, likely = self.added_up(alike.of, count)
        version = self.versions(alike.of, count)
        return first._replace(version=version, deals=deals, units=units, likely=likely)

    @property
    def counts(self) -> Flags:
        """Whether the legs of each line do not cancel one another."""
        found: Flags = (self.deals != 0) | (self.units != 0) | (self.likely != 0)
        return found

    @classmethod
    def opening(
        cls, found: Mapping[Cells, CellSums], by: str | None, at: Instant, names: FlowNames
    ) -> Self:
        """Return what stood in cells of the pipeline at the opening."""
        places = [dict(zip(PIPELINE.cells, cell, strict=True)) for cell in found]
        rows = len(places)

        def named(name: str | None) -> Column:
            return names.codes([None if name is None else place[name] for place in places])

        return cls(
            process=named("process" if by == "stage" else None),
            group=named(by),
            currency=named("currency"),
            kind=np.full(rows, MOVEMENTS.index(OPENING)),
            event=np.full(rows, NOTHING),
            owner=np.full(rows, NOTHING),
            occurred=np.full(rows, at),
            version=np.array([place["process_version"] for place in places], np.int64),
            deals=np.array([sums.deals for sums in found.values()], np.int64),
            units=_numbers([sums.amount for sums in found.values()]),
            likely=_numbers([sums.weighted for sums in found.values()]),
            share=np.zeros(rows, np.int64),
        )

    def into(self, exchange: CurrencyConverter, end: Instant, names: FlowNames) -> Self:
        """Return them in the currency asked for; without a rate one has no amount."""
        if exchange.currency is None:
            return self
        currencies = self.currency.copy()
        units, likely = (figures.astype(object) for figures in (self.units, self.likely))
        day, counts = exchange.day(end, event=None, closing=None), self.counts
        for code in np.unique(self.currency[counts]).tolist():
            here = counts & (self.currency == code)
            times = int(np.maximum(np.abs(self.deals[here]), 1).sum())
            into = exchange.into(names[code], day, times=times)
            currencies[here] = names.codes([into.currency])[0]
            for figures in (units, likely):
                figures[here] = [into.millionths(figure) or 0 for figure in figures[here]]
        return self._replace(currency=currencies, units=units, likely=likely)

    def added_up(self, groups: Column, count: int) -> list[Column]:
        """Return deals, units and what is likely by the number of a group: a row for each."""
        figures = (self.deals, self.units, self.likely)
        return [exact_sums(column, groups, count) for column in figures]

    def versions(self, groups: Column, count: int) -> Column:
        """Return the newest process version by the number of a group."""
        newest = np.zeros(count, np.int64)
        np.maximum.at(newest, groups, self.version)
        return newest


def _numbers(numbers: Sequence[int]) -> Column:
    """Return a column of numbers of any length, in 64 bits where all are so short."""
    try:
        return np.array(numbers, np.int64)
    except OverflowError:
        return np.array(numbers, object)


class Legs:
    """The legs of movements that lie in one part of the pipeline, and what they come to."""

    def __init__(
        self, rows: HeldRows, inside: Callable[[HeldRows, str], Flags], names: FlowNames
    ) -> None:
        self._rows = rows
        self._names = names
        sides = {side: np.flatnonzero(inside(rows, side)) for side in ("left", "entered")}
        self._sides = sides
        self._movements = np.concatenate([*sides.values()])
        """The movement of each leg."""

    def lines(self, group: str | None, opening: Opening, *, by_owner: bool) -> FlowLines:
        """Add up legs by what they are, group, currency, probability and event.

        What happened by the opening and was known then is the opening; what happened by then
        and was not known is restated.
        """
        nothing = np.full(len(self._movements), NOTHING)
        occurred = self._of_movement("occurred")
        before = occurred <= opening.at
        opens = before & (self._of_movement("recorded") <= opening.known_at)
        kinds = np.where(before, MOVEMENTS.index(RESTATED), self._kinds())
        share, sign = self._of_leg("probability"), self._signs()
        by = [
            self._events(~opens),
            self._named("process") if group == "stage" else nothing,
            self._named(group) if group is not None else nothing,
            self._named("currency"),
            np.where(opens, MOVEMENTS.index(OPENING), kinds),
            self._named("owner") if by_owner else nothing,
            np.maximum(occurred, opening.at) if by_owner else nothing,
        ]
        groups = grouped(*by, share)
        version = groups.greatest(self._of_leg("process_version"))
        units, share = groups.sums(sign * self._of_leg("amount")), share[groups.first]
        likely = exact_products(units, share)
        lines = [column[groups.first] for column in by]
        return FlowLines._make((*lines, version, groups.sums(sign), units, likely, share))

    def _of_movement(self, name: str) -> Column:
        found: Column = self._rows[name][self._movements]
        return found

    def _of_leg(self, name: str) -> Column:
        found = [self._rows[f"{side}_{name}"][rows] for side, rows in self._sides.items()]
        return np.concatenate(found)

    def _signs(self) -> Column:
        """Return what each leg counts: left ones against a cell, entered ones for it."""
        left = np.repeat([-1, 1], [len(rows) for rows in self._sides.values()])
        signs: Column = self._of_movement("sign") * left
        return signs

    def _named(self, name: str) -> Column:
        """Return a column of words by their codes among the names of the flow."""
        column = self._of_leg(name)
        groups = grouped(column)
        words = self._rows.words[f"entered_{name}"]
        codes = self._names.codes(words.of(column[groups.first]))
        return codes[groups.of]

    def _kinds(self) -> Column:
        kinds = self._of_movement("kind")
        words = self._rows.words["kind"]
        groups = grouped(kinds)
        places = [*map(MOVEMENTS.index, words.of(kinds[groups.first]))]
        return np.array(places, np.int64)[groups.of]

    def _events(self, named: Flags) -> Column:
        """Return the number of the event of each leg, of some of them; each has a position."""
        found = np.full(len(named), NOTHING)
        position = self._of_movement("position")[named]
        if len(position):
            events = grouped(position - position.min())
            ids = self._of_movement("event_id")[named][events.first]
            found[named] = self._names.numbered(ids)[events.of]
        return found


def lines_of(
    movements: HeldRows,
    inside: Callable[[HeldRows, str], Flags],
    names: FlowNames,
    group: str | None,
    opening: Opening,
    *,
    by_owner: bool,
) -> FlowLines:
    """Add up the legs of movements that are inside, see `Legs.lines`.

    Those of the opening are mostly all that ever happened: so many are added up at a time.
    """
    opens = movements["occurred"] <= opening.at
    opens &= movements["recorded"] <= opening.known_at
    pieces = [*movements.where(opens).pieces(AT_ONCE), movements.where(~opens)]
    found = [
        Legs(piece, inside, names).lines(group, opening, by_owner=by_owner) for piece in pieces
    ]
    return found[0].with_others(*found[1:]).put_together() if found[1:] else found[0]


class InTeams:
    """Puts lines into the books of teams, as known at the opening and at the moment."""

    def __init__(self, then: Teams, now: Teams, *, opening: Instant, closing: Instant) -> None:
        self._then = then
        self._now = now
        self._opening = opening
        self._closing = closing
        self._early: set[str] = set()

    @classmethod
    def read(cls, reader: Reader, books: Opening, closing: Instant) -> Self:
        """Read the teams as known at the opening and at the moment."""
        now = then = Teams.read(reader)
        if books.known_at != reader.read_point.known_at:
            then = Teams.read(reader, known_at=books.known_at)
        return cls(then, now, opening=books.at, closing=closing)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it."""
        return len(self._early)

    def all(
        self, lines: FlowLines, team: str | None, names: FlowNames, *, grouped_by: bool
    ) -> FlowLines:
        """Return every line and what goes from team to team, or those of one team; by team."""
        lines = lines.at(lines.counts)
        found = [lines.at(np.zeros(len(lines.kind), bool))]
        for rows in grouped(lines.owner).rows():
            mine = lines.at(rows)
            owner = names[int(mine.owner[0])]
            for whose, part in self._of_owner(owner, mine, names):
                chosen = np.ones(len(whose), bool)
                if team is not None:
                    chosen = whose == names.codes([team])[0]
                part = part.at(chosen)
                self._note(owner, part)
                found.append(part._replace(group=whose[chosen]) if grouped_by else part)
        return found[0].with_others(*found[1:])

    def _of_owner(
        self, owner: str | None, lines: FlowLines, names: FlowNames
    ) -> Iterator[tuple[Column, FlowLines]]:
        """Yield the lines of an owner, and the team each of them counts for."""
        opened = lines.kind == MOVEMENTS.index(OPENING)
        restated = lines.kind == MOVEMENTS.index(RESTATED)
        then, now = (teams.of(owner, self._opening) for teams in (self._then, self._now))
        of_then, of_now = names.codes([then, now]).tolist()
        whose: Column = np.where(opened, of_then, of_now)
        moved = np.flatnonzero(~opened & ~restated)
        teams = self._now.numbers(lines.owner[moved], names, lines.occurred[moved])
        whose[moved] = np.append(names.codes(self._now.names), NOTHING)[teams]
        yield whose, lines
        if then != now:
            behind = names.number(self._behind(owner))
            yield from _taken(lines.at(opened), names.codes([then, now]), RESTATED, behind)
        for at, left, entered, event in self._now.changes(owner, self._opening, self._closing):
            stood = lines.at(lines.occurred < at)
            stood = stood._replace(occurred=np.full(len(stood.occurred), at))
            sides = names.codes([left, entered])
            yield from _taken(stood, sides, REORGANISED, names.number(event))

    def _behind(self, owner: str | None) -> UUID | None:
        """Name the fact that put a rep elsewhere, or the one that stands no more."""
        then, now = (teams.stay(owner, self._opening) for teams in (self._then, self._now))
        known = None if now is None else self._then.stay(owner, now.start)
        if now is not None and (known is None or known.event_id != now.event_id):
            return now.event_id
        return None if then is None else then.event_id

    def _note(self, owner: str | None, lines: FlowLines) -> None:
        """Note an owner some of whose lines are of a time before they joined any team."""
        opened = lines.kind == MOVEMENTS.index(OPENING)
        for teams, some in ((self._then, opened), (self._now, ~opened)):
            if owner is not None and some.any():
                first = int(lines.occurred[some].min())
                stay = teams.stay(owner, first)
                if stay is not None and first < stay.start:
                    self._early.add(owner)


def _taken(
    lines: FlowLines, sides: Column, kind: str, event: int
) -> Iterator[tuple[Column, FlowLines]]:
    """Take what stands with an owner from one team to another."""
    groups = grouped(lines.process, lines.group, lines.currency)
    of, count = groups.of, len(groups.first)
    deals, units, likely = lines.added_up(of, count)
    stands = lines.at(groups.first)._replace(
        version=lines.versions(of, count),
        deals=deals.astype(np.int64),
        units=units,
        likely=likely,
    )
    stands = stands.at(stands.counts)
    count = len(stands.kind)
    gone = stands._replace(
        kind=np.full(count, MOVEMENTS.index(kind)), event=np.full(count, event)
    )
    left, entered = sides
    yield np.full(count, entered), gone
    less = gone._replace(deals=-gone.deals, units=-gone.units, likely=-gone.likely)
    yield np.full(count, left), less
