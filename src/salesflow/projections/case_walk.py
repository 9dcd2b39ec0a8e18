"""One deal's facts in order, each with where the deal stood before it and after.

What case studies are told from, and what deals are compared by: figures of the way up to the
standing closing. Facts without ground are passed over. Leaves out all wording.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.deal.lines import QuoteLine
from salesflow.domain.deal.quotes import QuoteDrafted, QuoteIssued, QuoteRevised
from salesflow.domain.deal.standing import Standing
from salesflow.domain.deal.talks import ContactLogged, ObjectionRaised
from salesflow.domain.facts import Event
from salesflow.domain.moments import DAY, Instant, microseconds_between
from salesflow.domain.processes import ProcessVersion
from salesflow.domain.values import Money
from salesflow.projections.estimates import decimal_of
from salesflow.projections.tables import Processes

__all__ = [
    "Happened",
    "Offer",
    "Stood",
    "WayFigures",
    "days_between",
    "days_of",
    "discount_of",
    "list_value_of",
    "offers_of",
    "walked",
    "way_figures",
    "way_to_closing",
]


class Stood(NamedTuple):
    """Where a deal stood at one point of its history."""

    outcome: str
    stage: str
    process: ProcessVersion | None
    owner: str | None
    amount: Money | None
    expected_close: date | None


class Happened(NamedTuple):
    """A fact with ground, and where the deal stood around it; nowhere before its opening."""

    event: Event
    before: Stood | None
    after: Stood


class Offer(NamedTuple):
    """A draft or an offer at the time of one of its facts."""

    quote: str
    sent: Event | None
    """The fact with which it was sent; None for a draft."""
    lines: tuple[QuoteLine, ...]


class WayFigures(NamedTuple):
    """What is counted of a deal on its way, to lay it beside others."""

    contacts: int
    quote_revisions: int
    discount: Fraction | None
    """Of the last offer sent; None where none was, or no list value is known of it."""
    objections: int


def walked(history: Iterable[Event], processes: Processes) -> list[Happened]:
    """Go through a believed history; facts without ground are left out."""
    standing = Standing(processes)
    found: list[Happened] = []
    for event in history:
        if standing.take(event):
            before = found[-1].after if found else None
            found.append(Happened(event, before, _stood(standing)))
    return found


def way_to_closing(way: Sequence[Happened]) -> Sequence[Happened]:
    """Give the way up to the fact that brought the standing outcome about, with that fact."""
    changes = (
        number
        for number, here in enumerate(way)
        if here.before is None or here.before.outcome != here.after.outcome
    )
    return way[: max(changes, default=-1) + 1]


def way_figures(way: Iterable[Happened]) -> WayFigures:
    """Count what happened on a way."""
    contacts = revisions = objections = 0
    discount: Fraction | None = None
    for offer in offers_of(way):
        if offer.sent is not None:
            discount = discount_of(offer.lines)
    for here in way:
        contacts += isinstance(here.event.fact, ContactLogged)
        revisions += isinstance(here.event.fact, QuoteRevised)
        objections += isinstance(here.event.fact, ObjectionRaised)
    return WayFigures(contacts, revisions, discount, objections)


def offers_of(way: Iterable[Happened]) -> Iterator[Offer]:
    """Give every draft and offer with its lines; an offer without any keeps those before."""
    known: dict[str, tuple[QuoteLine, ...]] = {}
    for here in way:
        match here.event.fact:
            case QuoteDrafted(quote=quote, lines=lines):
                known[quote] = lines
                yield Offer(quote, None, lines)
            case QuoteIssued(quote=quote, lines=lines) | QuoteRevised(quote=quote, lines=lines):
                known[quote] = lines or known.get(quote, ())
                yield Offer(quote, here.event, known[quote])
            case _:
                pass


def list_value_of(lines: Sequence[QuoteLine]) -> Fraction | None:
    """Give what lines would cost without discount; None without lines or in two currencies."""
    if len({line.unit_price.currency for line in lines}) != 1:
        return None
    return sum((_listed(line) for line in lines), Fraction(0))


def discount_of(lines: Sequence[QuoteLine]) -> Fraction | None:
    """Give the part of the list value that is taken off; None where there is no list value."""
    value = list_value_of(lines)
    if not value:
        return None
    off = sum((_listed(line) * Fraction(line.discount) for line in lines), Fraction(0))
    return off / value


def days_between(
    start: tuple[Instant, bool], end: tuple[Instant, bool], timezone: ZoneInfo
) -> Fraction:
    """Give the days between two instants, each with whether only its day is known.

    Between two such days there are calendar days, between other times what has passed.
    """
    days_only = start[1] and end[1]
    return Fraction(microseconds_between(start[0], end[0], timezone, days_only=days_only), DAY)


def days_of(start: Event, end: Event, timezone: ZoneInfo) -> Decimal:
    """Give the days between two events."""
    first, last = ((e.effect, e.precision == "day") for e in (start, end))
    return decimal_of(days_between(first, last, timezone))


def _listed(line: QuoteLine) -> Fraction:
    return Fraction(line.quantity) * Fraction(line.unit_price.amount)


def _stood(standing: Standing) -> Stood:
    return Stood(
        standing.outcome,
        standing.ground.stage,
        standing.ground.process,
        standing.owner,
        standing.worth.amount,
        standing.worth.expected_close,
    )
