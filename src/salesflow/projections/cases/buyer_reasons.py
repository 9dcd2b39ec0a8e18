"""The buyer's reason beside the seller's: who was asked after the decision, and what they said.

An interview counts for a closing if it was held at it or later. The seller's reason is that of
a loss. It is a module of its own, since `win_loss` counts what the seller knows alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np

from salesflow.domain.time import DAY
from salesflow.domain.values import Reference, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, estimate_text
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.names import Names
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import share
from salesflow.projections.folds.interview import INTERVIEW

__all__ = ["BuyerReason", "Interviews", "buyer_side", "buyer_tables"]


FEW: Final = 10
"""Of fewer deals nothing is concluded."""
NEVER: Final = np.iinfo(np.int64).max


class Interviews(Value):
    """How many closed deals were looked into by asking the buyer, and how often both agree."""

    closed: int
    """Won and lost deals of the period."""
    interviewed: int
    """Those of them with an interview by the moment, however late."""
    within: int
    """Those with one so many days after the closing at most."""
    due: int
    """Those within, and those whose days are over."""
    within_share: Estimate | None
    """within ÷ due, with its Wilson interval; None while none is due."""
    compared: int
    """Lost deals with a reason of the seller and one of the buyer at least."""
    agree: int
    """Those in which the buyer names the seller's reason, perhaps among others."""
    agreement: Estimate | None
    """agree ÷ compared, with its Wilson interval."""
    few: bool
    """Whether fewer than ten deals are compared."""


class BuyerReason(Value):
    """What buyers say it was decided by, and how often the seller had said so too."""

    reason: Annotated[Reference, FieldRole.KEY]
    lost: int
    """Lost deals in which the buyer named it."""
    seller_too: int
    """Those of them in which it is the seller's reason."""
    seller_alone: int
    """Lost deals with an interview in which only the seller names it."""
    won: int
    """Won deals in which the buyer named it."""


class _InterviewedDeal(NamedTuple):
    """One closed deal with interviews."""

    outcome: str
    seller: str | None
    buyer: frozenset[str]


def buyer_side(
    deals: HeldRows, reader: Reader, days: int
) -> tuple[Interviews, tuple[BuyerReason, ...]]:
    """Count the interviews of closed deals, and what buyers say beside what sellers said."""
    rows = reader.columns(INTERVIEW)
    deal = places_among(deals["entity_id"], rows["entity_id"])
    rows, deal = rows.where(deal >= 0), deal[deal >= 0]
    after = rows["occurred"] >= deals["closed"][deal]
    rows, deal = rows.where(after), deal[after]
    first = np.full(len(deals), NEVER)
    np.minimum.at(first, deal, rows["occurred"])
    asked = [*_asked(deals, deal, rows.cells("reasons"))]
    return _interviews(deals, first, asked, days, reader), tuple(_reasons(asked))


def _asked(
    deals: HeldRows, deal: Column, reasons: Sequence[str | None]
) -> Iterable[_InterviewedDeal]:
    """Yield the closed deals with interviews, and what their buyers named in any of them."""
    named: dict[int, set[str]] = {}
    for number, lines in zip(deal.tolist(), reasons, strict=True):
        named.setdefault(number, set()).update((lines or "").split("\n"))
    places = np.array([*named], np.int64)
    told = deals.records("outcome", "because", rows=places)
    for (outcome, because), buyer in zip(told, named.values(), strict=True):
        yield _InterviewedDeal(outcome, because, frozenset(buyer - {""}))


def _interviews(
    deals: HeldRows, first: Column, asked: Sequence[_InterviewedDeal], days: int, reader: Reader
) -> Interviews:
    there = first != NEVER
    within = there & (np.where(there, first, 0) - deals["closed"] <= days * DAY)
    due = within | (reader.read_point.as_of - deals["closed"] > days * DAY)
    held, timely, whole = (int(np.count_nonzero(each)) for each in (there, within, due))
    both = [it for it in asked if it.outcome == "lost" and it.seller and it.buyer]
    agree = sum(it.seller in it.buyer for it in both)
    return Interviews(
        closed=len(deals),
        interviewed=held,
        within=timely,
        due=whole,
        within_share=share(timely, whole),
        compared=len(both),
        agree=agree,
        agreement=share(agree, len(both)),
        few=len(both) < FEW,
    )


def _reasons(asked: Sequence[_InterviewedDeal]) -> list[BuyerReason]:
    lost, too, alone, won = (Counter[str]() for _ in range(4))
    for outcome, seller, buyer in asked:
        if outcome == "won":
            won.update(buyer)
            continue
        lost.update(buyer)
        if seller in buyer:
            too[seller or ""] += 1
        elif seller and buyer:
            alone[seller] += 1
    found = [
        BuyerReason(
            reason=reason,
            lost=lost[reason],
            seller_too=too[reason],
            seller_alone=alone[reason],
            won=won[reason],
        )
        for reason in {*lost, *alone, *won}
    ]
    return sorted(found, key=lambda it: (-it.lost, -it.seller_alone, -it.won, it.reason))


def buyer_tables(
    interviews: Interviews,
    reasons: Iterable[BuyerReason],
    days: int,
    written: tuple[Names, Language],
) -> list[TableOfView]:
    """Lay out who was asked, and what buyers say beside what sellers said."""
    names, language = written
    if not interviews.interviewed:
        return []
    rows = tuple(
        (
            names.label(each.reason, language),
            *(f"{count:,}" for count in (each.lost, each.seller_too, each.seller_alone)),
            f"{each.won:,}",
        )
        for each in reasons
    )
    columns = (
        "Reason", "Lost, buyer says so", "Seller too", "Lost, seller alone",
        "Won, buyer says so",
    )  # fmt: skip
    return [
        _asked_table(interviews, days, language),
        TableOfView("Reasons of buyers and sellers", columns, rows),
    ]


def _asked_table(interviews: Interviews, days: int, language: Language) -> TableOfView:
    counts = interviews.closed, interviews.interviewed, interviews.within
    figures = (
        *(f"{count:,}" for count in counts),
        estimate_text(interviews.within_share, percent=True),
        f"{interviews.compared:,}",
        estimate_text(interviews.agreement, percent=True),
    )
    few = in_language("fewer than ten deals are compared: too few to conclude", language)
    notes = (say("in time = within {days} days", language, days=days),)
    heads = (
        "Closed", "Interviewed", "In time", "Share in time", "Compared",
        "Buyer and seller agree",
    )  # fmt: skip
    return TableOfView(
        "Interviews after the decision",
        heads,
        (figures,),
        notes=(*notes, few) if interviews.few else notes,
    )
