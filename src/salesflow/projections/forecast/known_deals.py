"""What was known of all deals at a moment: what ranges of forecasts are drawn from.

Open deals in order of their ids, how all deals closed, and the visits of deals to stages, as
known then; amounts in the currency asked for, at the rates of the period's last day. Leaves out
what may come of it: that is `range_model`.
"""

from datetime import date
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.time import Instant
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import (
    NO_NUMBER,
    Column,
    HeldRows,
)
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.forecast.conversions_by_age import ConversionsByAge, VisitsSeen
from salesflow.projections.forecast.converted_rows import rows_in_currency
from salesflow.projections.forecast.quarter_pace import QuarterPace, StageDays
from salesflow.projections.forecast.wins_in_doubt import WinsInDoubt, wins_in_doubt
from salesflow.projections.scope import Teams
from salesflow.projections.table import IntervalTable, ReadPoint

__all__ = [
    "FOLDS_OF_RANGES",
    "Horizon",
    "KnownDeals",
    "RangeBasis",
    "RangeScope",
    "closed_deals",
    "known_deals",
    "order_of_ids",
    "valid_members",
    "valid_team",
    "won_in",
]

FOLDS_OF_RANGES: Final = tuple(
    table.name for table in (CLOSING, DEAL_STATE, MEMBERSHIP, STAGE_VISIT)
)


class RangeScope(NamedTuple):
    """Which deals are asked about."""

    process: str | None
    owner: str | tuple[str, ...] | None
    """A rep, or several."""


class RangeBasis(NamedTuple):
    """What ranges are made of: which deals, in which currency, and by which teams."""

    scope: RangeScope
    exchange: CurrencyConverter
    with_teams: bool = True


class Horizon(NamedTuple):
    """The span ahead: it begins and ends so long after the moment."""

    at: Instant
    opens: int
    lasts: int

    @classmethod
    def of(cls, span: Span, at: Instant) -> "Horizon":
        """Return the part of a period that lies behind a moment."""
        return cls(at, max(0, span.opening - at), max(0, span.end - 1 - at))


class KnownDeals(NamedTuple):
    """What was known of all deals at a moment."""

    horizon: Horizon
    span: Span
    open: HeldRows
    """The open deals that are asked about, in order of their ids."""
    entered: Column
    """When each of them came where it stands."""
    visits: HeldRows
    """All visits of open deals to stages, of the process asked about."""
    until: Column
    won_at: Column
    """When the deal of each visit was won, where it stands won; else `NO_NUMBER`."""
    conversions: ConversionsByAge
    pace: QuarterPace
    closing: HeldRows
    """How all deals of the process asked about closed."""
    scope: RangeScope
    in_doubt: WinsInDoubt
    """The wins of the period so far whose amounts may be wrong."""
    teams: Teams | None
    """Who is in which team; None where nobody asks."""

    def team_of(self, rep: str | None) -> str | None:
        """Return in which team a rep is at the moment; None for in none."""
        return None if self.teams is None else valid_team(self.teams, rep, self.horizon.at)


def valid_team(teams: Teams, rep: str | None, at: Instant) -> str | None:
    """Return in which team a rep is at an instant; None for in none."""
    stay = teams.stay(rep, at)
    return None if stay is None or stay.start > at else stay.team


def valid_members(teams: Teams, team: str, at: Instant) -> tuple[str, ...]:
    """Return who is in a team at an instant."""
    return tuple(rep for rep in teams.reps if valid_team(teams, rep, at) == team)


def known_deals(reader: Reader, at: ReadPoint, span: Span, basis: RangeBasis) -> KnownDeals:
    """Read what was known at a moment; amounts at the rates of the period's last day."""
    scope, exchange = basis.scope, basis.exchange
    day = exchange.day(span.end - 1, event=None, closing=None)
    deals, recorded = _open(reader, at, basis, day), _closed(reader, at, scope)
    recently = won_in(recorded, scope.owner, span, at.as_of)
    in_doubt = wins_in_doubt(recently, reader, at, scope.process)
    closing = _in_currency(recorded, exchange, day)
    visits = _rows(reader, STAGE_VISIT, at, ended=True)
    mine = visits.fitting({"process": scope.process}) & visits.has("outcome", "open")
    visits = visits.where(mine)
    until = np.minimum(visits.until(at.known_at), at.as_of)
    stands = np.flatnonzero(visits.until(at.known_at) > at.as_of)
    place = places_among(visits["entity_id"][stands], deals["entity_id"])
    row = places_among(closing["entity_id"], visits["entity_id"])
    won_at = np.full(len(visits), NO_NUMBER)
    if len(closing):
        is_won = (row >= 0) & closing.has("outcome", "won")[row]
        won_at = np.where(is_won, closing["closed"][row], NO_NUMBER)
    horizon = Horizon.of(span, at.as_of)
    start = visits["valid_from"]
    won = (until == won_at) & (until > start)
    days = StageDays(visits["process"], visits["stage"], start, until, won)
    return KnownDeals(
        horizon,
        span,
        deals,
        start[stands][place],
        visits,
        until,
        won_at,
        ConversionsByAge(_seen(visits, until, won_at, horizon)),
        QuarterPace.of(days, at.as_of, span, reader),
        closing,
        scope,
        in_doubt.converted(exchange, day),
        Teams.read(reader, known_at=at.known_at) if basis.with_teams else None,
    )


def closed_deals(reader: Reader, at: ReadPoint, span: Span, basis: RangeBasis) -> HeldRows:
    """Read how all deals of the process asked about closed, as `known_deals` does."""
    day = basis.exchange.day(span.end - 1, event=None, closing=None)
    return _in_currency(_closed(reader, at, basis.scope), basis.exchange, day)


def _closed(reader: Reader, at: ReadPoint, scope: RangeScope) -> HeldRows:
    closing = _rows(reader, CLOSING, at)
    return closing.where(closing.fitting({"process": scope.process}))


def _in_currency(closing: HeldRows, exchange: CurrencyConverter, day: date) -> HeldRows:
    return rows_in_currency(closing, closing.has("outcome", "won"), exchange, day)[0]


def _open(reader: Reader, at: ReadPoint, basis: RangeBasis, day: date) -> HeldRows:
    """Return the open deals that are asked about, in order of their ids."""
    deals = _rows(reader, DEAL_STATE, at)
    wanted = deals.fitting({"process": basis.scope.process, "owner": basis.scope.owner})
    deals = deals.where(wanted & deals.has("outcome", "open"))
    had = deals.known("currency")
    deals, _ = rows_in_currency(deals, had, basis.exchange, day)
    deals = deals.where(deals.known("currency") == had)
    return deals.ordered(order_of_ids(deals))


def _seen(visits: HeldRows, until: Column, won_at: Column, horizon: Horizon) -> VisitsSeen:
    """Return from which to which age each visit is looked at, and was won in time."""
    (at, opens, lasts), start = horizon, visits["valid_from"]
    seen, is_won = np.minimum(until - start, at - lasts - start + 1), won_at != NO_NUMBER
    in_time, early = (np.where(is_won, won_at - start - each, seen) for each in (lasts, opens))
    return VisitsSeen(visits["process"], visits["stage"], seen, in_time, early)


def order_of_ids(rows: HeldRows) -> Column:
    """Return the order of rows by the ids of their deals."""
    digits = rows.words["entity_id"].as_put_in(rows["entity_id"])
    halves = np.frombuffer(bytes.fromhex("".join(digits)), ">u8").reshape(-1, 2)
    return np.lexsort([halves[:, 1], halves[:, 0]])


def _rows(
    reader: Reader, table: IntervalTable, at: ReadPoint, *, ended: bool = False
) -> HeldRows:
    return reader.columns(table, as_of=at.as_of, known_at=at.known_at, ended=ended)


def won_in(
    closing: HeldRows, owner: str | tuple[str, ...] | None, span: Span, until: Instant
) -> HeldRows:
    """Return the deals that stand won and closed in a period by an instant, of some owners."""
    found = closing.has("outcome", "won") & closing.fitting({"owner": owner})
    found &= (closing["closed"] >= span.start) & (closing["closed"] <= min(span.end - 1, until))
    return closing.where(found)
