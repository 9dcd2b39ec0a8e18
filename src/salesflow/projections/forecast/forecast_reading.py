"""What a forecast is worked out from: what was open, booked, closed and changed, in sums.

A `ForecastPoint` is a moment at which a forecast of a period is made; those of several points
are read together. Leaves out what the sums mean: that is `forecast_figures`.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Instant
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.column_groups import Groups, grouped
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.scope import Teams
from salesflow.projections.table import ReadPoint

__all__ = [
    "ChangeRow",
    "ClosedRow",
    "ForecastPoint",
    "KnowledgeOf",
    "OneTeam",
    "OpenRow",
    "OutcomeRow",
    "PastForecastKey",
    "Scope",
    "SlippedRow",
    "When",
    "WonRow",
    "read_changes",
    "read_closed",
    "read_open",
    "read_outcomes",
    "read_slipped",
    "read_won",
]


When = Literal["start", "middle"]
"""At which point of its period a forecast was made."""
KnowledgeOf = Literal["then", "moment"]
"""Whether from what was known when it was made, or from what is known at the moment."""
SLIPPED: Final = ("moved", "overdue")
FATES: Final = ("won", "otherwise", "pending", *SLIPPED)
"""What becomes of deals that were expected in a period."""
WHOSE: Final = ("owner", "process")
"""The columns that say whose a deal is."""
NO_DAY: Final = 0
"""The ordinal of no day."""


class ForecastPoint(NamedTuple):
    """Where a forecast stands: the moment at which it is made, and the period it is of."""

    read_point: ReadPoint
    span: Span


class PastForecastKey(NamedTuple):
    """A forecast of an earlier period, and the point that tells what came of it, by number."""

    point: int
    actual: int
    made: When
    known: KnowledgeOf


class OneTeam:
    """Says what belongs to a team: what its members of the time had, as known at a moment."""

    def __init__(self, team: str, reader: Reader) -> None:
        self.team: Final = team
        self._reader = reader
        self._known: dict[Instant, Teams] = {}

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it, so far."""
        return max((teams.before_joining for teams in self._known.values()), default=0)

    def holds(self, rows: HeldRows, rep: str, at: Column, known_at: Instant) -> Flags:
        """Return which rows were of the team, each at an instant."""
        teams = self._known.get(known_at)
        if teams is None:
            teams = self._known[known_at] = Teams.read(self._reader, known_at=known_at)
        return teams.are_in((self.team,), rows[rep], rows.words[rep], at)


class Scope(NamedTuple):
    """Which deals are asked about, and by what they are grouped."""

    by: Literal["owner", "process"] | None
    process: str | None
    owner: str | None
    team: OneTeam | None = None

    def holds(
        self, rows: HeldRows, owner: str, process: str, at: Column, known_at: Instant
    ) -> Flags:
        """Return which rows are asked about, each as it was at an instant.

        Named are the columns that say whose they are; teams are those known at a moment.
        """
        found: Flags = rows.fitting({owner: self.owner, process: self.process})
        if self.team is not None:
            found &= self.team.holds(rows, owner, at, known_at)
        return found

    def groups(self, rows: HeldRows, owner: str, process: str) -> Column:
        """Return the group of each row, by its code; see `holds`."""
        if self.by is None:
            return np.full(len(rows), NOTHING)
        return rows[owner if self.by == "owner" else process]


class OpenRow(NamedTuple):
    """Open deals expected to close in the period of a forecast point."""

    point: int
    group: str | None
    currency: str | None
    category: str
    probability: int
    deals: int
    millionths: int

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts."""
        return unscaled(self.millionths)


class WonRow(NamedTuple):
    """Bookings in the period of a forecast point, of one share in whole millionths."""

    point: int
    group: str | None
    currency: str
    share: int
    millionths: int

    @property
    def amount(self) -> Decimal:
        """The sum of the whole bookings."""
        return unscaled(self.millionths)


class ClosedRow(NamedTuple):
    """Deals that closed, won or lost."""

    group: str | None
    currency: str
    outcome: str
    millionths: int

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts."""
        return unscaled(self.millionths)


class OutcomeRow(NamedTuple):
    """Deals open and expected at the start of the period, by what became of them."""

    group: str | None
    currency: str | None
    fate: str
    deals: int
    millionths: int

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts at the start."""
        return unscaled(self.millionths)


class SlippedRow(NamedTuple):
    """A deal expected at the start that slipped: what it was then, and what it is now."""

    deal: UUID
    owner: str | None
    currency: str | None
    amount: int | None
    expected: str
    fate: str
    process: str
    process_version: int
    stage: str
    expected_after: str | None
    outcome: str | None


class ChangeRow(NamedTuple):
    """How often closing dates or amounts were changed, and of how many deals."""

    group: str | None
    currency: str | None
    kind: str
    times: int
    deals: int
    deals_again: int


def read_open(
    reader: Reader, points: Sequence[ForecastPoint], scope: Scope
) -> Iterator[OpenRow]:
    """Sum up the open deals expected to close in the period of each forecast point."""
    opened = {at: _deals(reader, at).among("outcome", "open") for at, _ in points}
    for number, (read_point, span) in enumerate(points):
        rows = _expected(opened[read_point], read_point, span, scope)
        of = (scope.groups(rows, *WHOSE), rows["currency"])
        alike = grouped(*of, rows["forecast_category"], rows["probability"])
        words, first = rows.words["owner"], alike.first
        cells = (
            *(words.of(column[first]) for column in (*of, rows["forecast_category"])),
            rows["probability"][first].tolist(),
            alike.counts().tolist(),
            alike.sums(rows.amounts()).tolist(),
        )
        for *key, deals, millionths in zip(*cells, strict=True):
            yield OpenRow._make((number, *key, deals, millionths))


def read_won(reader: Reader, points: Sequence[ForecastPoint], scope: Scope) -> Iterator[WonRow]:
    """Sum up what was booked in the period of each forecast point."""
    for number, ((_, as_of, known_at), span) in enumerate(points):
        rows = reader.columns(BOOKING, as_of=as_of, known_at=known_at)
        rows = rows.between("occurred", span.start, span.end)
        wanted = scope.holds(rows, "person", "process", rows["credited"], known_at)
        rows = rows.where(rows.known("currency") & wanted)
        of = (scope.groups(rows, "person", "process"), rows["currency"])
        alike = grouped(*of, rows["share"])
        words, first = rows.words["person"], alike.first
        cells = (
            *(words.of(column[first]) for column in of),
            rows["share"][first].tolist(),
            alike.sums(rows["sign"] * rows["amount"]).tolist(),
        )
        for *key, millionths in zip(*cells, strict=True):
            yield WonRow._make((number, *key, millionths))


def read_closed(reader: Reader, since: Instant, scope: Scope) -> Iterator[ClosedRow]:
    """Sum up the deals that stand won or lost at the moment and closed since an instant."""
    rows = reader.columns(CLOSING)
    counts = (rows["closed"] >= since) & rows.has("outcome", *WIN_RATE) & rows.known("currency")
    rows = rows.where(counts)
    known_at = reader.read_point.known_at
    rows = rows.where(scope.holds(rows, *WHOSE, rows["closed"], known_at))
    of = (scope.groups(rows, *WHOSE), rows["currency"], rows["outcome"])
    alike = grouped(*of)
    cells = [rows.words["owner"].of(column[alike.first]) for column in of]
    sums = alike.sums(rows["amount"]).tolist()
    for *key, millionths in zip(*cells, sums, strict=True):
        yield ClosedRow._make((*key, millionths))


def read_outcomes(
    reader: Reader, start: ForecastPoint, end: ReadPoint, past: date, scope: Scope
) -> Iterator[OutcomeRow]:
    """Return what became of the deals expected by a forecast; days up to `past` are over."""
    opened, now = _deals(reader, start.read_point).among("outcome", "open"), _deals(reader, end)
    then = _expected(opened, start.read_point, start.span, scope)
    outcome = _slippage_outcome(then, now, start.span, past)
    of = (scope.groups(then, *WHOSE), then["currency"])
    alike = grouped(*of, outcome)
    cells = (
        *(then.words["owner"].of(column[alike.first]) for column in of),
        [FATES[each] for each in outcome[alike.first].tolist()],
        alike.counts().tolist(),
        alike.sums(then.amounts()).tolist(),
    )
    for *key, millionths in zip(*cells, strict=True):
        yield OutcomeRow._make((*key, millionths))


def read_slipped(
    reader: Reader, start: ForecastPoint, end: ReadPoint, past: date, scope: Scope
) -> Iterator[SlippedRow]:
    """Name the deals expected by a forecast that slipped by the end; also how they are now."""
    opened, now = _deals(reader, start.read_point).among("outcome", "open"), _deals(reader, end)
    then = _expected(opened, start.read_point, start.span, scope)
    outcome = _slippage_outcome(then, now, start.span, past)
    slipped = np.isin(outcome, [FATES.index(each) for each in SLIPPED])
    then, fates = then.where(slipped), [FATES[each] for each in outcome[slipped].tolist()]
    now = now.ordered(places_among(now["entity_id"], then["entity_id"]))
    standing = reader.columns(DEAL_STATE)
    today = places_among(standing["entity_id"], then["entity_id"])
    codes = np.where(today < 0, NOTHING, standing["outcome"][today]) if len(standing) else today
    cells = (
        *map(then.cells, ("entity_id", "owner", "currency", "amount", "expected_close")),
        fates,
        *map(now.cells, ("process", "process_version", "stage", "expected_close")),
        standing.words["outcome"].of(codes),
    )
    return map(SlippedRow._make, zip(*cells, strict=True))


def read_changes(reader: Reader, span: Span, scope: Scope) -> Iterator[ChangeRow]:
    """Count the changes of closing dates and amounts of open deals in the period.

    An amount that is the first one, that is taken away, that changes its currency, or that is
    signed when the deal is won, is no change of a forecast up or down. Everything counts in the
    currency that the deal had before the fact, also where that changed it at once.
    """
    rows = reader.columns(PIPELINE).between("occurred", span.start, span.end)
    whose = ("left_owner", "left_process", rows["occurred"], reader.read_point.known_at)
    kept = rows.has("left_outcome", "open") & scope.holds(rows, *whose)
    kept &= rows.has("kind", "pushed") | _are_forecasts_of_amount(rows)
    currency, rows = _currencies_left(rows)[kept], rows.where(kept)
    of = (scope.groups(rows, "left_owner", "left_process"), currency, rows["kind"])
    each = grouped(rows["entity_id"], *of)
    times = _net(rows["sign"], each)
    there = each.first[times > 0]
    alike, times = grouped(*(column[there] for column in of)), times[times > 0]
    cells = (
        *(rows.words["kind"].of(column[there][alike.first]) for column in of),
        alike.sums(times).tolist(),
        alike.counts().tolist(),
        alike.sums(times > 1).tolist(),
    )
    return map(ChangeRow._make, zip(*cells, strict=True))


def _currencies_left(rows: HeldRows) -> Column:
    """Return in which currency each deal was before the fact that moved it."""
    left, position = rows["left_currency"], rows["position"]
    other = np.flatnonzero(left != rows["entered_currency"])
    fact = grouped(position).of
    alike = grouped(fact[other], left[other])
    changed = other[alike.first[_net(rows["sign"][other], alike) > 0]]
    row = places_among(fact[changed], fact)
    return np.where(row < 0, left, left[changed][row]) if len(changed) else left


def _are_forecasts_of_amount(rows: HeldRows) -> Flags:
    """Return which movements change an amount in its currency, and come with no win."""
    position = rows["position"]
    apart = np.flatnonzero(rows.has("kind", "won", "redenominated"))
    alike = grouped(position[apart])
    facts = position[apart[alike.first[_net(rows["sign"][apart], alike) > 0]]]
    is_forecast: Flags = rows.has("kind", "increased", "decreased")
    is_forecast &= rows.known("left_currency")
    is_forecast &= rows["left_currency"] == rows["entered_currency"]
    return is_forecast & ~np.isin(position, facts)


def _deals(reader: Reader, at: ReadPoint) -> HeldRows:
    return reader.columns(DEAL_STATE, as_of=at.as_of, known_at=at.known_at)


def _expected(opened: HeldRows, point: ReadPoint, span: Span, scope: Scope) -> HeldRows:
    """Return which open deals are asked about and expected to close in a period."""
    day = _close_days(opened)
    expected = (day >= span.first.toordinal()) & (day <= span.last.toordinal())
    opened = opened.where(expected)
    at = np.full(len(opened), point.as_of)
    return opened.where(scope.holds(opened, *WHOSE, at, point.known_at))


def _slippage_outcome(then: HeldRows, now: HeldRows, span: Span, past: date) -> Column:
    """Return what became of deals expected in a period, each as a place among the fates."""
    place = places_among(now["entity_id"], then["entity_id"])
    known = place >= 0
    found = now.ordered(place[known])
    close = _close_days(found)
    fates = np.full(len(found), FATES.index("pending"))
    fates[(close == NO_DAY) | (close > span.last.toordinal())] = FATES.index("moved")
    fates[(close != NO_DAY) & (close <= past.toordinal())] = FATES.index("overdue")
    fates[~found.has("outcome", "open")] = FATES.index("otherwise")
    fates[found.has("outcome", "won")] = FATES.index("won")
    outcome = np.full(len(then), FATES.index("otherwise"))
    outcome[known] = fates
    return outcome


def _close_days(rows: HeldRows) -> Column:
    """Return on which day each deal is expected to close, as an ordinal."""
    alike = grouped(rows["expected_close"])
    days = rows.cells("expected_close", alike.first)
    ordinals = [NO_DAY if day is None else date.fromisoformat(day).toordinal() for day in days]
    return np.array(ordinals, np.int64)[alike.of]


def _net(sign: Column, groups: Groups) -> Column:
    """Return how often the movements of each group stand, less those taken back."""
    return groups.sums(sign)
