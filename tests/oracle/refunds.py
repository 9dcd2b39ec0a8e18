"""What can be given back of one deal at a moment, by walking its raw events.

`refundable(events, stream, as_of, known_at, currency)` is the larger of what was sold and not
given back of it since it was won, and what was paid and not given back at all; None where it
was sold for nobody knows how much.
"""

from decimal import Decimal

from oracle.beliefs import Raw, effect_of
from oracle.deals import replay

__all__ = ["refundable"]

ORDER, PAYMENT, REFUND = (
    *("deal.repeat_order_placed", "deal.payment_received", "deal.refund_given"),
)
NOTHING = Decimal(0)


def refundable(
    events: list[Raw], stream: str, as_of: int, known_at: int, currency: str
) -> Decimal | None:
    """Add up what was sold, paid and given back in a currency, fact by fact."""
    amount, is_known, outcome = None, True, "open"
    moved = dict.fromkeys((ORDER, PAYMENT, REFUND, "of the win"), NOTHING)
    for event, deal in replay(events, stream, known_at):
        if event["occurred"] > as_of or effect_of(event) > as_of:
            break
        if deal["outcome"] == "won" and outcome != "won":
            moved["of the win"] = NOTHING
        outcome, amount = deal["outcome"], deal["amount"]
        if event["kind"] not in moved or event["event_id"] in deal["irregular"]:
            continue
        given = event["payload"].get("amount")
        is_known = is_known and given is not None
        moved[event["kind"]] += _in(currency, given)
        if event["kind"] == REFUND and not event["payload"].get("overpayment"):
            moved["of the win"] += _in(currency, given)
    if amount is None or not is_known:
        return None
    sold = moved[ORDER] + (amount[0] if amount[1] == currency else NOTHING)
    return max(sold - moved["of the win"], moved[PAYMENT] - moved[REFUND], NOTHING)


def _in(currency: str, given: dict[str, str] | None) -> Decimal:
    is_of_it = given is not None and given["currency"] == currency
    return Decimal(given["amount"]) if given is not None and is_of_it else NOTHING
