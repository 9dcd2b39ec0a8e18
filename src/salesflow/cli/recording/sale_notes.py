"""What whoever records money or people of a deal should know: what that does to its sale.

A payment beyond the contract, a refund, a share that is changed after the win: each is recorded
as it is told, and here stands what sales and commission make of it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.cli.recording.commands import Prepared
from salesflow.domain.deal import Deal
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import believed_history
from salesflow.domain.time import from_instant
from salesflow.domain.values import Money
from salesflow.presentation.format import local_day, money_text
from salesflow.presentation.messages import Language, say
from salesflow.projections.deal_bookings import Booking

__all__ = ["INVOICED", "MONEY_RECEIVED", "PEOPLE_CHANGED", "REFUND_GIVEN", "SOLD"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, object]


def _received(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say how much has come in beyond the sale."""
    amount = values["amount"]
    assert isinstance(amount, Money)
    deal = _deal(flow, values)
    yield from _unlike(deal, amount, language)
    beyond = _paid_beyond(deal, amount.currency)
    if beyond is not None:
        yield say(
            "{beyond} more has come in than is sold: it counts for no sale; retract a payment"
            " that was recorded twice; where it goes back, record that with `salesflow deal"
            " give-refund --overpayment`, which takes nothing back of the sale",
            language,
            beyond=beyond,
        )


def _invoiced(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that an invoice is in a currency in which nothing was sold."""
    amount = values["amount"]
    assert isinstance(amount, Money)
    yield from _unlike(_deal(flow, values), amount, language)


def _unlike(deal: Deal, amount: Money, language: Language) -> Iterator[str]:
    """Say that money is in a currency in which nothing was sold."""
    sold = deal.sold_in
    if sold and amount.currency not in sold:
        yield say(
            "the deal is sold in {sold}, not in {currency}: {amount} counts for nothing where a"
            " plan credits what is invoiced or paid; where it stands for a part of the sale,"
            " retract it and record how much that is in {sold}; where the contract is in"
            " {currency} by now, record that with `salesflow deal amend-contract`",
            language,
            sold="/".join(sold),
            currency=amount.currency,
            amount=money_text(amount.amount, amount.currency),
        )


def _resold(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a deal is sold in another currency than it was worth before."""
    amount = values.get("amount")
    if not isinstance(amount, Money):
        return
    deal = _deal(flow, values)
    events = flow.history(deal.id)
    last = max(events, key=lambda event: event.position)
    before = DealSummary(deal.context)
    for event in believed_history(events):
        if event is last:
            break
        before.evolve(event)
    was = before.amount
    if was is not None and was.currency != amount.currency:
        yield say(
            "the deal was worth {was} before: it is sold for {amount} from then on, and what is"
            " invoiced, paid or refunded of it counts in {currency} alone; where the currency"
            " is a slip, retract this and record it in {other}",
            language,
            was=money_text(was.amount, was.currency),
            amount=money_text(amount.amount, amount.currency),
            currency=amount.currency,
            other=was.currency,
        )


def _refunded(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say what a refund does to the sale, and that it may be one of an overpayment."""
    amount = values["amount"]
    assert isinstance(amount, Money)
    if values.get("overpayment"):
        yield say("sales and commission stay as they are", language)
        return
    yield say(
        "sales fall by {lost}, and so does what is credited inside its clawback window",
        language,
        lost=money_text(amount.amount, amount.currency),
    )
    beyond = _paid_beyond(_deal(flow, values), amount.currency)
    if beyond is not None:
        yield say(
            "{beyond} more has come in than is sold; where this refund sends that back, retract"
            " it and record it with --overpayment, which takes nothing back of the sale",
            language,
            beyond=beyond,
        )


def _paid_beyond(deal: Deal, currency: str) -> str | None:
    """Return how much came in beyond the sale; None where nothing did, or none can say."""
    is_comparable = deal.amount is not None and deal.amount.currency == currency
    beyond = deal.paid_beyond(currency) if deal.outcome == "won" and is_comparable else None
    return money_text(beyond, currency) if beyond else None


def _deal(flow: "SalesFlow", values: Given) -> Deal:
    id = values["id"]
    assert isinstance(id, UUID)
    return flow.get(Deal, id)


def _credited(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a win belongs to whom it belonged when it was won."""
    deal = _deal(flow, values)
    events = flow.history(deal.id)
    last = max(events, key=lambda event: event.position)
    summary, booking = DealSummary(deal.context), Booking()
    for event in believed_history(events):
        if summary.evolve(event) is None:
            _ = list(booking.apply(event, summary))
    credit = booking.credit
    if credit is not None and summary.status == "won" and last.effective >= credit.at:
        yield say(
            "the deal was won on {day}: its sale and commission stay with owner and shares of"
            " that time, and what changes after it counts for repeat orders alone; where it was"
            " otherwise at the win already, retract this and record it with an --occurred-at"
            " before the win",
            language,
            day=local_day(from_instant(credit.at), flow.settings().timezone),
        )


MONEY_RECEIVED: Final = Prepared(notes=_received)
INVOICED: Final = Prepared(notes=_invoiced)
SOLD: Final = Prepared(notes=_resold)
REFUND_GIVEN: Final = Prepared(notes=_refunded)
PEOPLE_CHANGED: Final = Prepared(notes=_credited)
