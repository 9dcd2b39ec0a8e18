"""Sales as a ledger of bookings: what each person sold, amended, gave back and sold again.

Answers "how much did we sell in this period, and who is credited with it?" for any moment. How
bookings come about says `deal_bookings`; what of them each product is, `product_booking`.
"""

from typing import Final

from salesflow.domain.deal.state import DealSummary
from salesflow.projections.deal_bookings import BOOKED_COLUMNS, BOOKING_FACTS, Booking
from salesflow.projections.table import Ledger, LedgerTable, OnState

__all__ = ["BOOKING", "BOOKINGS"]

BOOKING: Final = LedgerTable(
    "booking",
    2,
    attributes=BOOKED_COLUMNS,
)
"""A row per booking and person: `role` is owner or collaborator, `share` their part of it in
whole millionths; the shares of a booking add up to one. `amount` is the whole booking in
millionths (null, like `currency`, where no amount is known), so a person's sales are the sum
of amount x share. `credited` is the instant that decides to whom it belongs: that of the win
it changes, or of the repeat order. `kind` is won, reopened, lost, disqualified or merged (what
undid a win), unmerged, amended, refunded or repeated."""

BOOKINGS: Final = Ledger(BOOKING, BOOKING_FACTS, OnState(DealSummary, Booking))
