"""The lines that the books of a flow are added up from, and whose team each of them is of.

A line sums the legs of one event in one part of the pipeline (of all events, in the opening).
By team a movement belongs to the team its owner was in when it happened, and what stood with
an owner goes along when they change: that is `reorganised`. So what stands in a team's books
at any instant is what the reps have who are in it then. What became known later counts for
the team of the opening; where it is the team itself that was not known, all that stood with
the owner is restated.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Self
from uuid import UUID

from salesflow.domain.moments import Instant
from salesflow.domain.values import EXACT
from salesflow.projections.amounts import AMOUNT_PLACES, unscaled
from salesflow.projections.balances import Cells, Sums
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.one_currency import Exchange
from salesflow.projections.questions import Reader
from salesflow.projections.tables import AMOUNT_SCALE
from salesflow.projections.teams import Teams

__all__ = ["OPENING", "REORGANISED", "RESTATED", "InTeams", "Line"]

OPENING, RESTATED, REORGANISED = "opening", "restated", "reorganised"
Place = tuple[str | None, str | None, str | None]
TeamLine = tuple[str | None, "Line"]
"""A team and what counts in its books."""


class Line(NamedTuple):
    """The legs of one event that lie in one part of the pipeline, added up."""

    process: str | None
    group: str | None
    currency: str | None
    kind: str
    event_id: UUID | None
    owner: str | None
    """Whose it was; read for books of teams alone, as is when it happened."""
    occurred: Instant
    """The opening where it happened before that."""
    version: int
    deals: int
    units: int
    """The sum of the amounts, in millionths."""
    likely: int
    """The sum of amount x probability, in millionths of millionths."""

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """Read a line of one probability, whose amount comes as an exact sum does."""
        *cells, probability, deals, whole, millionths = row
        units = (whole or 0) * AMOUNT_SCALE + (millionths or 0)
        return cls._make((*cells, deals, units, units * probability))

    @classmethod
    def opening(cls, cell: Cells, sums: Sums, by: str | None, at: Instant) -> Self:
        """Give what stood in a cell of the pipeline at the opening."""
        place = dict(zip(PIPELINE.cells, cell, strict=True))
        return cls(
            process=place["process"] if by == "stage" else None,
            group=None if by is None else place[by],
            currency=place["currency"],
            kind=OPENING,
            event_id=None,
            owner=None,
            occurred=at,
            version=place["process_version"],
            deals=sums.deals,
            units=_scaled(sums.amount, AMOUNT_PLACES),
            likely=_scaled(sums.weighted, 2 * AMOUNT_PLACES),
        )

    def into(self, exchange: Exchange, end: Instant) -> Self:
        """Give it in the currency asked for; without a rate it has no amount."""
        if not self.counts:
            return self
        day = exchange.day(end, event=None, closing=None)
        into = exchange.into(self.currency, day, times=abs(self.deals) or 1)
        units, likely = (into.millionths(sum) or 0 for sum in (self.units, self.likely))
        return self._replace(currency=into.currency, units=units, likely=likely)

    @property
    def amount(self) -> Decimal:
        """The sum of the amounts."""
        return unscaled(self.units)

    @property
    def weighted(self) -> Decimal:
        """The sum of what is likely of them."""
        return unscaled(self.likely, places=2 * AMOUNT_PLACES)

    @property
    def counts(self) -> bool:
        """Whether its legs do not cancel one another."""
        return bool(self.deals or self.units or self.likely)

    @property
    def place(self) -> Place:
        """Where lines of one owner add up."""
        return self.process, self.group, self.currency


class InTeams:
    """Puts lines into the books of teams, as known at the opening and at the moment."""

    def __init__(self, then: Teams, now: Teams, *, opening: Instant, closing: Instant) -> None:
        self._then = then
        self._now = now
        self._opening = opening
        self._closing = closing
        self._early: set[str] = set()

    @classmethod
    def read(
        cls, reader: Reader, *, opening: Instant, closing: Instant, known_then: Instant
    ) -> Self:
        """Read the teams as known at the opening and at the moment."""
        now = then = Teams.read(reader)
        if known_then != reader.cut.known_at:
            then = Teams.read(reader, known_at=known_then)
        return cls(then, now, opening=opening, closing=closing)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it."""
        return len(self._early)

    def all(self, lines: Iterable[Line], team: str | None, *, grouped: bool) -> Iterator[Line]:
        """Give every line and what goes from team to team, or those of one team; by team."""
        by_owner: dict[str | None, list[Line]] = defaultdict(list)
        for line in lines:
            if line.counts:
                by_owner[line.owner].append(line)
        for owner, found in by_owner.items():
            for whose, line in self._of_owner(owner, found):
                if team in (None, whose):
                    self._note(line)
                    yield line._replace(group=whose) if grouped else line

    def _of_owner(self, owner: str | None, lines: list[Line]) -> Iterator[TeamLine]:
        opened = [line for line in lines if line.kind == OPENING]
        restated = [line for line in lines if line.kind == RESTATED]
        moved = [line for line in lines if line.kind not in (OPENING, RESTATED)]
        then = self._then.of(owner, self._opening)
        now = self._now.of(owner, self._opening)
        yield from ((then, line) for line in opened)
        if then != now:
            yield from _taken(opened, then, now, RESTATED, self._behind(owner))
        yield from ((now, line) for line in restated)
        yield from ((self._now.of(owner, line.occurred), line) for line in moved)
        for at, left, entered, event in self._now.changes(owner, self._opening, self._closing):
            stood = [line._replace(occurred=at) for line in lines if line.occurred < at]
            yield from _taken(stood, left, entered, REORGANISED, event)

    def _behind(self, owner: str | None) -> UUID | None:
        """Name the fact that put a rep elsewhere, or the one that stands no more."""
        then, now = (teams.stay(owner, self._opening) for teams in (self._then, self._now))
        known = None if now is None else self._then.stay(owner, now.start)
        if now is not None and (known is None or known.event_id != now.event_id):
            return now.event_id
        return None if then is None else then.event_id

    def _note(self, line: Line) -> None:
        teams = self._then if line.kind == OPENING else self._now
        stay = teams.stay(line.owner, line.occurred)
        if line.owner is not None and stay is not None and line.occurred < stay.start:
            self._early.add(line.owner)


def _taken(
    lines: Sequence[Line], left: str | None, entered: str | None, kind: str, event: UUID | None
) -> Iterator[TeamLine]:
    """Take what stands with an owner from one team to another."""
    stands: dict[Place, Line] = {}
    for line in lines:
        before = stands.get(line.place)
        if before is not None:
            line = line._replace(
                version=max(line.version, before.version),
                deals=line.deals + before.deals,
                units=line.units + before.units,
                likely=line.likely + before.likely,
            )
        stands[line.place] = line
    for line in stands.values():
        if line.counts:
            gone = line._replace(kind=kind, event_id=event)
            yield entered, gone
            yield (
                left,
                gone._replace(deals=-gone.deals, units=-gone.units, likely=-gone.likely),
            )


def _scaled(figure: Decimal, places: int) -> int:
    """Write an exact figure as a whole number of its smallest parts."""
    return int(figure.scaleb(places, EXACT))
