"""The buyer's reason beside the seller's: who was asked after the decision, and what they said.

An interview counts for a closing if it was held at it or later. The seller's reason is that of
a loss. It is a module of its own, since `win_loss` counts what the seller knows alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np

from salesflow.domain.time import DAY
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, RowOfValues, estimate_text, written_rows
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.names import Names
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import share
from salesflow.projections.folds.interview import INTERVIEW

__all__ = [
    "BuyerAnswers",
    "BuyerCompetitor",
    "BuyerReason",
    "Interviews",
    "buyer_side",
    "buyer_tables",
]


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


class BuyerCompetitor(Value):
    """Whom buyers name beside us, and how often the seller had named them too."""

    competitor: Annotated[SafeText, FieldRole.KEY]
    lost: int
    """Lost deals in which the buyer named it."""
    seller_too: int
    """Those of them that the seller says were lost to it."""
    seller_alone: int
    """Lost deals, to it as the seller says, in which the buyer named another one alone."""
    won: int
    """Won deals in which the buyer named it."""


class BuyerAnswers(NamedTuple):
    """Who was asked after the decision, and what they said."""

    interviews: Interviews
    reasons: tuple[BuyerReason, ...]
    competitors: tuple[BuyerCompetitor, ...]


class _InterviewedDeal(NamedTuple):
    """One closed deal with interviews: what its seller and its buyer named."""

    outcome: str
    seller: str | None
    buyer: frozenset[str]


class _Named(NamedTuple):
    """In how many deals a reason or a competitor was named, and by whom."""

    name: str
    lost: int
    seller_too: int
    seller_alone: int
    won: int

    @property
    def counts(self) -> dict[str, int]:
        """All but the name, as the views have them."""
        fields = self._asdict()
        del fields["name"]
        return fields


def buyer_side(deals: HeldRows, reader: Reader, days: int) -> BuyerAnswers:
    """Count the interviews of closed deals, and what buyers say beside what sellers said."""
    rows = reader.columns(INTERVIEW)
    deal = places_among(deals["entity_id"], rows["entity_id"])
    rows, deal = rows.where(deal >= 0), deal[deal >= 0]
    after = rows["occurred"] >= deals["closed"][deal]
    rows, deal = rows.where(after), deal[after]
    first = np.full(len(deals), NEVER)
    np.minimum.at(first, deal, rows["occurred"])
    by_reason = [*_asked(deals, deal, "because", rows.cells("reasons"))]
    by_competitor = _asked(deals, deal, "competitor", rows.cells("competitor"))
    return BuyerAnswers(
        _interviews(deals, first, by_reason, days, reader),
        tuple(BuyerReason(reason=each.name, **each.counts) for each in _named(by_reason)),
        tuple(
            BuyerCompetitor(competitor=each.name, **each.counts)
            for each in _named(by_competitor)
        ),
    )


def _asked(
    deals: HeldRows, deal: Column, by_seller: str, by_buyer: Sequence[str | None]
) -> Iterator[_InterviewedDeal]:
    """Yield the closed deals with interviews, and what their buyers named in any of them."""
    named: dict[int, set[str]] = {}
    for number, lines in zip(deal.tolist(), by_buyer, strict=True):
        named.setdefault(number, set()).update((lines or "").split("\n"))
    places = np.array([*named], np.int64)
    told = deals.records("outcome", by_seller, rows=places)
    for (outcome, seller), buyer in zip(told, named.values(), strict=True):
        yield _InterviewedDeal(outcome, seller, frozenset(buyer - {""}))


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


def _named(asked: Iterable[_InterviewedDeal]) -> list[_Named]:
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
        _Named(name, lost[name], too[name], alone[name], won[name])
        for name in {*lost, *alone, *won}
    ]
    return sorted(found, key=lambda it: (-it.lost, -it.seller_alone, -it.won, it.name))


def buyer_tables(
    side: BuyerAnswers, days: int, written: tuple[Names, Language]
) -> list[TableOfView]:
    """Lay out who was asked, and what buyers say beside what sellers said."""
    names, language = written
    if not side.interviews.interviewed:
        return []
    reasons = ((names.label(each.reason, language), each) for each in side.reasons)
    competitors = ((each.competitor, each) for each in side.competitors)
    return [
        _asked_table(side.interviews, days, language),
        _named_table("Reasons of buyers and sellers", "Reason", reasons),
        _named_table("Competitors of buyers and sellers", "Competitor", competitors),
    ]


def _named_table(
    title: str, what: str, named: Iterable[tuple[str, BuyerReason | BuyerCompetitor]]
) -> TableOfView:
    columns = (
        what, "Lost, buyer says so", "Seller too", "Lost, seller alone", "Won, buyer says so",
    )  # fmt: skip
    rows: list[RowOfValues] = [
        (name, each.lost, each.seller_too, each.seller_alone, each.won) for name, each in named
    ]
    return TableOfView(title, columns, written_rows(rows))


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
