"""Makes facts of a quote as a CRM keeps it: when it was made, its lines, and where it stands.

That it was made, and when, every system says. Of what became of it systems keep only the last
state: that is so since the quote was changed last at the latest, and marked as inferred.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Literal, NamedTuple

from salesflow.adapters.importers.crm.deal_facts import AS_EXPORTED, SEEN
from salesflow.adapters.importers.crm.exports import plain_name
from salesflow.adapters.importers.crm.reading import ValueReader
from salesflow.adapters.importers.crm.records import ToldFact
from salesflow.adapters.importers.errors import RowError, needed
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteFact,
    QuoteIssued,
    QuoteLine,
    QuoteRejected,
    QuoteWithdrawn,
)
from salesflow.domain.values import Money

__all__ = ["QUOTE_LABELS", "CrmQuote", "QuoteStanding", "line_of", "lines_of", "quote_facts"]


QuoteStanding = Literal["drafted", "issued", "accepted", "rejected", "withdrawn", "expired"]
QUOTE_LABELS: Final = (
    "quote_drafted",
    *(f"quote_{each}{SEEN}" for each in ("issued", "accepted", "rejected", "withdrawn")),
    f"quote_expired{SEEN}",
)
"""The rules by which quotes are read."""
MILLIONTH: Final = Decimal("0.000001")
PRODUCT: Final = (
    "product",
    "productname",
    "productid",
    "productidr",
    "name",
    "产品名称",
    "产品",
)
QUANTITY: Final = ("quantity", "数量")
PRICE: Final = ("listprice", "unitprice", "price", "salesprice", "productprice", "价格", "单价")
DISCOUNT: Final = ("discount",)


class CrmQuote(NamedTuple):
    """A quote as an export has it."""

    place: int
    id: str
    number: str
    """What people call it."""
    standing: QuoteStanding
    created: ReadTime | None
    modified: ReadTime | None
    lines: tuple[QuoteLine, ...] = ()
    total: Money | None = None
    valid_until: Any = None
    """The last day on which it can be accepted."""
    actor: str | None = None


def quote_facts(quote: CrmQuote) -> Iterator[ToldFact]:
    """Yield that a quote was made, and what became of it."""
    drafted = QuoteDrafted(quote=quote.number, lines=quote.lines, total=quote.total)
    yield ToldFact(quote.place, quote.id, "quote_drafted", drafted, quote.created, quote.actor)
    fact = _outcome(quote)
    if fact is not None:
        label = f"quote_{quote.standing}{SEEN}"
        at = quote.modified or quote.created
        yield ToldFact(quote.place, quote.id, label, fact, at)


def _outcome(quote: CrmQuote) -> QuoteFact | None:
    told: dict[str, Any] = {"quote": quote.number, "inferred": AS_EXPORTED}
    match quote.standing:
        case "issued":
            offer: dict[str, Any] = {"lines": quote.lines, "total": quote.total}
            return QuoteIssued(**told, **offer, valid_until=quote.valid_until)
        case "accepted":
            return QuoteAccepted(**told)
        case "rejected":
            return QuoteRejected(**told)
        case "withdrawn":
            return QuoteWithdrawn(**told)
        case "expired":
            return QuoteExpired(**told)
        case _:
            return None


def line_of(read: ValueReader, values: Mapping[str, Any], currency: str | None) -> QuoteLine:
    """Return a line of a quote or deal; a discount is an amount off the line.

    Raises:
        RowError: when it names no product or price, or one that cannot be read.
    """
    plain = {plain_name(name): value for name, value in values.items()}
    product = next(
        (name for name in (_name(plain.get(each)) for each in PRODUCT) if name), None
    )
    product = needed(product, "product")
    price = next((each for each in PRICE if read.text(plain, each) is not None), None)
    amount = None if price is None else read.amount(plain, price, currency)
    amount = needed(amount, "price", product)
    quantities = (read.number(plain, each) for each in QUANTITY)
    quantity = next((each for each in quantities if each is not None), Decimal(1))
    discount = _share(read, plain, quantity * amount.amount)
    return QuoteLine(product=product, quantity=quantity, unit_price=amount, discount=discount)


def _share(read: ValueReader, plain: Mapping[str, Any], gross: Decimal) -> Decimal:
    """Return which part of a line is taken off."""
    off = next((read.number(plain, each) for each in DISCOUNT if plain.get(each)), None)
    if not off:
        return Decimal(0)
    if not 0 < off <= gross:
        raise RowError("is more than the line comes to", "discount", str(off))
    return (off / gross).quantize(MILLIONTH, ROUND_HALF_EVEN)


def _name(value: object) -> str | None:
    """Return the name of a product, which may be a lookup."""
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("label") or value.get("id")
    return str(value) if value else None


def lines_of(
    read: ValueReader, rows: Sequence[object], currency: str | None
) -> tuple[QuoteLine, ...]:
    """Return the lines of a table within a record."""
    return tuple(line_of(read, row, currency) for row in rows if isinstance(row, Mapping))
