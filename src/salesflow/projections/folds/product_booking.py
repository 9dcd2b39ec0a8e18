"""Sales by product: every booking of a sale, shared out among the products it is of.

Answers "how much of this product did we sell, and who is credited with it?" for any moment.
What a sale is of is said by the lines that stood agreed when it was won, else by those of the
accepted quote. By what each line comes to, a booking is shared out in whole millionths, so that
the parts add up to it; what changes the sale afterwards changes all of its products alike.
Leaves out sales whose lines nobody told, and repeat orders, which have none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.quotes import (
    QuoteDrafted,
    QuoteFact,
    QuoteIssued,
    QuoteLine,
    QuoteRevised,
    product_parts,
)
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.projections.deal_bookings import BOOKED_COLUMNS, BOOKING_FACTS, Booking, Credit
from salesflow.projections.table import Cell, Ledger, LedgerTable, OnState, Row

__all__ = ["PRODUCT_BOOKING", "PRODUCT_BOOKINGS"]

COLUMNS: Final = tuple(column.name for column in BOOKED_COLUMNS)
AMOUNT: Final = COLUMNS.index("amount")
CURRENCY: Final = COLUMNS.index("currency")
KIND: Final = COLUMNS.index("kind")
ROLE: Final = COLUMNS.index("role")

PRODUCT_BOOKING: Final = LedgerTable(
    "product_booking",
    2,
    attributes=(sa.Column("product", sa.Text), *BOOKED_COLUMNS),
)
"""A row per booking, person and product: `amount` is the product's part of the booking, and
everything else what the booking says; see `booking`."""


class ProductBooking(Booking):
    """One deal on its way through its bookings, and the lines that it is about."""

    __slots__ = ("_agreed", "_of", "_offered", "_shared", "_upto")

    def __init__(self) -> None:
        super().__init__()
        self._agreed: Sequence[QuoteLine] = ()
        self._offered: dict[str, Sequence[QuoteLine]] = {}
        """The lines of each quote, by its number."""
        self._of: Credit | None = None
        """The win that is shared out."""
        self._upto: Mapping[str, Fraction] = {}
        """Which part of it each product and those before it are."""
        self._shared: dict[str, int] = {}
        """What of it is shared out by now, per currency."""

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Row]:
        """Take the next fact that counts, share out its bookings."""
        self._note_lines(event)
        rows = super().apply(event, deal)
        if self.credit is not self._of:
            self._of, self._shared = self.credit, {}
            parts = sorted(product_parts(self._lines(deal)).items())
            upto = accumulate(part for _, part in parts)
            self._upto = {product: end for (product, _), end in zip(parts, upto, strict=True)}
        return [*self._shared_out(rows)] if self._upto else ()

    def _note_lines(self, event: Event) -> None:
        match event.fact:
            case LineItemsAgreed(lines=lines):
                self._agreed = lines
            case QuoteDrafted(quote=quote, lines=lines):
                self._offered[quote] = lines
            case QuoteIssued(quote=quote, lines=lines) | QuoteRevised(quote=quote, lines=lines):
                self._offered[quote] = lines or self._offered.get(quote, ())
            case _:
                pass

    def _lines(self, deal: DealSummary) -> Sequence[QuoteLine]:
        accepted = deal.accepted_quote
        return self._agreed or (self._offered.get(accepted.key, ()) if accepted else ())

    def _shared_out(self, rows: Iterable[Row]) -> Iterator[Row]:
        parts: list[tuple[str, int | None]] = []
        for row in rows:
            if row[KIND] == "repeated":
                continue
            if row[ROLE] == "owner":  # the first row of each booking
                parts = [*self._parts(row[AMOUNT], row[CURRENCY])]
            for product, amount in parts:
                yield product, *row[:AMOUNT], amount, *row[AMOUNT + 1 :]

    def _parts(self, amount: Cell, currency: Cell) -> Iterator[tuple[str, int | None]]:
        """Yield what of an amount each product is.

        They add up to it; and once all that is booked is taken back, nothing is left of any.
        """
        if not isinstance(amount, int) or not isinstance(currency, str):
            yield from ((product, None) for product in self._upto)
            return
        before = self._shared.get(currency, 0)
        self._shared[currency] = after = before + amount
        given = 0
        for product, upto in self._upto.items():
            due = round(after * upto) - round(before * upto)
            yield product, due - given
            given = due


PRODUCT_BOOKINGS: Final = Ledger(
    PRODUCT_BOOKING,
    BOOKING_FACTS | frozenset(get_args(QuoteFact)) | {LineItemsAgreed},
    OnState(DealSummary, ProductBooking),
)
