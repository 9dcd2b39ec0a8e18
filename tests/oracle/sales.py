"""Sales and closings of one deal, naively: walk its believed history and write down the money.

A booking is (effect, kind, event, role, person, share, amount, currency, process, version,
customer, lead source, credited); a person's part of it is amount x share. Everything is kept
per win: whose it was, what was signed, what has been booked of it by now. A refund of an
overpayment takes back nothing.
"""

from decimal import Decimal
from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import State, replay

__all__ = ["Booked", "bookings_of", "closing_at", "opening_of"]

Booked = tuple[Any, ...]
Win = dict[str, Any]


def bookings_of(events: list[Raw], stream: str, known_at: int) -> list[Booked]:
    """Give every booking of a deal that is believed at an instant."""
    found: list[Booked] = []
    shares: dict[str, Decimal] = {}
    source: str | None = None
    win: Win | None = None
    was = "nothing"
    for event, state in replay(events, stream, known_at):
        if event["event_id"] in state["irregular"]:
            continue
        fact = event["payload"]
        if was == "nothing":
            source = fact.get("lead_source")
        _share(event, shares)
        stands, here = state["standing"], (effect_of(event), event["event_id"])
        whose = _whose(state, shares, source, here[0])
        if stands == "won" and was != "won" and not (was == "merged" and win is not None):
            win = {"whose": whose, "signed": state["amount"], "booked": {}}
            kind = "unmerged" if was == "merged" else "won"
            found += _booked(win, here, kind, state["amount"])
        elif win is not None:
            found += _after_the_win(win, here, event, (was, stands), whose)
        if state["outcome"] != "won":
            win = None
        was = stands
    return found


def _after_the_win(
    win: Win, here: tuple[int, str], event: Raw, standing: tuple[str, str], whose: Win
) -> list[Booked]:
    was, stands = standing
    if was == "won" and stands != "won":
        return _all_back(win, here, "reopened" if stands == "open" else stands)
    if stands == "won" and was == "merged":
        return _all_again(win, here)
    return _changed(win, here, event, whose) if stands == "won" else []


def _share(event: Raw, shares: dict[str, Decimal]) -> None:
    fact = event["payload"]
    if event["kind"] == "deal.collaborator_joined":
        shares[fact["person"]] = Decimal(fact.get("credit", "0"))
    elif event["kind"] == "deal.collaborator_left":
        shares.pop(fact["person"], None)


def _changed(win: Win, here: tuple[int, str], event: Raw, whose: Win) -> list[Booked]:
    kind, fact = event["kind"], event["payload"]
    if kind == "deal.contract_amended" and fact.get("amount"):
        amount, currency = Decimal(fact["amount"]["amount"]), fact["amount"]["currency"]
        signed = win["signed"]
        win["signed"] = (amount, currency)
        if signed is None:
            return _booked(win, here, "amended", (amount, currency))
        if signed[1] == currency:
            return _booked(win, here, "amended", (amount - signed[0], currency))
        back = _booked(win, here, "amended", (-signed[0], signed[1]))
        return back + _booked(win, here, "amended", (amount, currency))
    if kind == "deal.refund_given":
        amount, currency = Decimal(fact["amount"]["amount"]), fact["amount"]["currency"]
        is_lost = not fact.get("overpayment")
        return _booked(win, here, "refunded", (-amount, currency)) if is_lost else []
    if kind == "deal.repeat_order_placed":
        money = fact.get("amount")
        worth = None if money is None else (Decimal(money["amount"]), money["currency"])
        return _rows(here, "repeated", worth, whose)
    return []


def _booked(
    win: Win, here: tuple[int, str], kind: str, money: tuple[Decimal, str] | None
) -> list[Booked]:
    if money is not None:
        win["booked"][money[1]] = win["booked"].get(money[1], Decimal(0)) + money[0]
    return _rows(here, kind, money, win["whose"])


def _all_back(win: Win, here: tuple[int, str], kind: str) -> list[Booked]:
    found = []
    for currency, amount in win["booked"].items():
        if amount != 0:
            found += _rows(here, kind, (-amount, currency), win["whose"])
    return found


def _all_again(win: Win, here: tuple[int, str]) -> list[Booked]:
    found = []
    for currency, amount in win["booked"].items():
        found += _rows(here, "unmerged", (amount, currency), win["whose"])
    return found


def _rows(
    here: tuple[int, str], kind: str, money: tuple[Decimal, str] | None, whose: Win
) -> list[Booked]:
    effect, event = here
    worth = (None, None) if money is None else money
    return [
        (effect, kind, event, role, person, share, *worth, *whose["about"])
        for role, person, share in whose["people"]
    ]


def _whose(state: State, shares: dict[str, Decimal], source: str | None, at: int) -> Win:
    others = [(person, share) for person, share in shares.items() if share != 0]
    rest = Decimal(1) - sum(share for _, share in others)
    return {
        "people": [
            ("owner", state["owner"], rest),
            *(("collaborator", person, share) for person, share in others),
        ],
        "about": (state["process"], state["process_version"], state["customer"], source, at),
    }


def opening_of(events: list[Raw], stream: str, known_at: int) -> dict[str, Any]:
    """Give what the believed opening of a deal says; nothing where there is none."""
    for event, _ in replay(events, stream, known_at):
        found: dict[str, Any] = event["payload"]
        return found
    return {}


def closing_at(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Say how a deal began and how it stands ended at a moment; None where there is none.

    The attributes are those after the fact that brought the standing outcome about; `stage`
    is the one before it. A deal that is unmerged stands as closed by its own fact, or open.
    """
    found: dict[str, Any] | None = None
    own: dict[str, Any] | None = None
    opened: tuple[Any, ...] | None = None
    before: State | None = None
    for event, state in replay(events, stream, known_at):
        effect = effect_of(event)
        if effect > as_of or event["occurred"] > as_of:
            if before is None:
                return None
            break
        when = (effect, event["precision"] == "day")
        opened = opened or (*when, state["process"], state["owner"], state["customer"])
        is_open = state["outcome"] == "open" and state["standing"] != "merged"
        reason = event["payload"] if event["kind"] in _REASONED else {}
        ended = {
            "opened": opened,
            "outcome": state["standing"],
            "closed": (None, None) if is_open else when,
            "process": state["process"],
            "process_version": state["process_version"],
            "stage": (before or state)["stage"],
            "owner": state["owner"],
            "customer": state["customer"],
            "amount": state["amount"],
            "because": reason.get("because"),
            "competitor": reason.get("competitor"),
        }
        if before is None or state["outcome"] != before["outcome"]:
            own = ended | {"outcome": state["outcome"]}
            if state["outcome"] == "open":
                own["closed"] = (None, None)
        if before is None or state["standing"] != before["standing"]:
            found = ended if state["standing"] == "merged" else own
        before = state
    return found


_REASONED = ("deal.lost", "deal.disqualified")
