"""What customers were billed, what they paid, and what they got back: a movement of each.

Answers "how much of what was sold is invoiced, and how much is paid?" for any moment; a plan
that credits sales as they are invoiced or paid goes by it. A refund stands here whether it
takes back of a sale, and stands among the bookings too, or sends an overpayment back.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.billing import InvoiceIssued, PaymentReceived, RefundGiven
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.table import (
    CopyableRows,
    Ledger,
    LedgerTable,
    Millionths,
    OnState,
    Row,
    millionths,
)

__all__ = ["RECEIPT", "RECEIPTS"]

RECEIPT: Final = LedgerTable(
    "receipt",
    2,
    attributes=(
        sa.Column("kind", sa.String(8)),
        sa.Column("invoice", sa.Text),
        sa.Column("amount", Millionths),
        sa.Column("currency", sa.String(3)),
    ),
)
"""`kind` is invoiced, paid or refunded (what went back), `invoice` the number of the invoice
where one is named."""


class ReceiptRows(CopyableRows):
    """One deal on its way through its invoices and payments."""

    __slots__ = ()

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Row]:
        """Take the next fact that counts, post what was billed, paid or given back."""
        match event.fact:
            case InvoiceIssued(amount=money, invoice=invoice):
                yield "invoiced", invoice, millionths(money.amount), money.currency
            case PaymentReceived(amount=money, invoice=invoice):
                yield "paid", invoice, millionths(money.amount), money.currency
            case RefundGiven(amount=money, invoice=invoice) if deal.status == "won":
                yield "refunded", invoice, millionths(money.amount), money.currency
            case _:
                pass  # no other fact bills, pays or pays back


RECEIPTS: Final = Ledger(
    RECEIPT,
    STATE_FACTS | {InvoiceIssued, PaymentReceived, RefundGiven},
    OnState(DealSummary, ReceiptRows),
)
