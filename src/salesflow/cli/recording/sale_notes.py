"""What whoever records money or people of a deal should know: what that does to its sale.

A payment beyond the contract, a refund, a share that is changed after the win: each is recorded
as it is told, and here stands what sales and commission make of it.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from salesflow.cli.recording.commands import Prepared
from salesflow.domain.deal import Deal
from salesflow.domain.deal.billing import RefundGiven
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event, believed_history
from salesflow.domain.time import from_instant
from salesflow.domain.values import Money
from salesflow.presentation.format import local_day, money_text
from salesflow.presentation.messages import Language, say
from salesflow.projections.deal_bookings import BOOKED_COLUMNS, Booking
from salesflow.projections.table import AMOUNT_SCALE, Row

__all__ = ["MONEY_RECEIVED", "PEOPLE_CHANGED", "REFUND_GIVEN"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, object]
AMOUNT: Final = [column.name for column in BOOKED_COLUMNS].index("amount")
ROLE: Final = [column.name for column in BOOKED_COLUMNS].index("role")


class BookedDeal(NamedTuple):
    """What is booked of a deal by its whole history, and by the fact recorded last."""

    booking: Booking
    status: str
    last: Event
    rows: tuple[Row, ...]
    """What that fact booked."""


def _booked(flow: "SalesFlow", values: Given) -> BookedDeal | None:
    """Book all that is known of the deal of a command; None where its last fact is gone."""
    id = values["id"]
    assert isinstance(id, UUID)
    events = flow.history(id)
    last = max(events, key=lambda event: event.position)
    deal, booking = DealSummary(flow.get(Deal, id).context), Booking()
    found: tuple[Row, ...] | None = None
    for event in believed_history(events):
        if deal.evolve(event) is None:
            rows = (*booking.apply(event, deal),)
            found = rows if event is last else found
    return None if found is None else BookedDeal(booking, deal.status, last, found)


def _received(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    amount, found = values["amount"], _booked(flow, values)
    assert isinstance(amount, Money)
    if found is None:
        return
    beyond = found.booking.received_beyond(amount.currency)
    if found.status == "won" and beyond:
        yield say(
            "{beyond} more has come in than is sold: it counts for no sale; retract a payment"
            " that was recorded twice, and record what goes back with `salesflow deal"
            " give-refund`, which takes nothing back of the sale then",
            language,
            beyond=money_text(beyond, amount.currency),
        )


def _refunded(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    found = _booked(flow, values)
    if found is None or not isinstance(found.last.fact, RefundGiven):
        return
    amount, whole = found.last.fact.amount, [r for r in found.rows if r[ROLE] == "owner"]
    booked = sum((Decimal(str(row[AMOUNT] or 0)) for row in whole), Decimal(0))
    lost = -booked / AMOUNT_SCALE
    told = {
        "lost": money_text(lost, amount.currency),
        "returned": money_text(amount.amount - lost, amount.currency),
    }
    if lost and lost != amount.amount:
        said = (
            "{returned} of it had come in beyond what is sold, and is no loss; sales fall by"
            " {lost}, and so does what is credited inside its clawback window"
        )
    elif lost:
        said = "sales fall by {lost}, and so does what is credited inside its clawback window"
    else:
        said = (
            "all of it had come in beyond what is sold: sales and commission stay as they are"
        )
    yield say(said, language, **told)


def _credited(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a win belongs to whom it belonged when it was won."""
    found = _booked(flow, values)
    credit = None if found is None else found.booking.credit
    if found is None or credit is None or found.status != "won":
        return
    if found.last.effective >= credit.at:
        yield say(
            "the deal was won on {day}: its sale and commission stay with owner and shares of"
            " that time, and what changes after it counts for repeat orders alone; where it was"
            " otherwise at the win already, retract this and record it with an --occurred-at"
            " before the win",
            language,
            day=local_day(from_instant(credit.at), flow.settings().timezone),
        )


MONEY_RECEIVED: Final = Prepared(notes=_received)
REFUND_GIVEN: Final = Prepared(notes=_refunded)
PEOPLE_CHANGED: Final = Prepared(notes=_credited)
