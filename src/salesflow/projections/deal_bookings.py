"""How bookings come about: what each win sells, what changes it and what takes it back.

The rows of `booking` and of `product_booking` are made of it. A booking stands at the instant
of its own occurrence, so a real change lands where it happened: winning books the signed
amount, leaving won takes back all that was booked of it (repeat orders excepted), an amended
contract books the difference, a refund takes back so much of the sale. What amends or undoes a
sale belongs to the owner, the shares and the customer of the win it changes; a repeat order
belongs to those of its own time.

Money that came in beyond what is booked, as when a payment was made twice, is no sale, and a
refund that is said to send an overpayment back is no loss.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import ContractAmended, RefundGiven
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import Instant
from salesflow.domain.values import MOST, Money
from salesflow.projections.table import (
    AMOUNT_SCALE,
    CopyableRows,
    Instants,
    Millionths,
    Row,
    Shares,
    millionths,
)

__all__ = ["BOOKED_COLUMNS", "BOOKING_FACTS", "Booking", "Credit"]

BOOKED_COLUMNS: Final[tuple[sa.Column[Any], ...]] = (
    sa.Column("kind", sa.String(20)),
    sa.Column("role", sa.String(20)),
    sa.Column("person", sa.Text),
    sa.Column("share", Shares),
    sa.Column("amount", Millionths),
    sa.Column("currency", sa.String(3)),
    sa.Column("process", sa.Text),
    sa.Column("process_version", sa.Integer),
    sa.Column("customer_id", sa.Uuid),
    sa.Column("lead_source", sa.Text),
    sa.Column("credited", Instants),
)
"""What a booking says of itself, in the order of its rows."""

WHOLE: Final = AMOUNT_SCALE
MOST_STORED: Final = millionths(MOST)
"""The largest amount of a row, in millionths; the smallest is its opposite."""


class Credit(NamedTuple):
    """To whom a sale belongs: owner and shares, customer, process, lead source."""

    owner: str | None
    shares: tuple[tuple[str, int], ...]
    process: str
    process_version: int
    customer_id: UUID | None
    lead_source: str | None
    at: Instant


class Booking(CopyableRows):
    """One deal on its way through its bookings."""

    __slots__ = (
        "_booked",
        "_credit",
        "_merged",
        "_signed",
        "_status",
    )

    def __init__(self) -> None:
        self._status = "open"
        self._credit: Credit | None = None
        """To whom the standing win belongs."""
        self._signed: Money | None = None
        self._booked: dict[str, Decimal] = defaultdict(Decimal)
        """What is booked of the standing win by now, per currency."""
        self._merged: dict[str, Decimal] | None = None
        """What was booked of the win when it was merged; None when that win stands no more."""

    @property
    def credit(self) -> Credit | None:
        """To whom the standing win belongs; None before any."""
        return self._credit

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Row]:
        """Take the next fact that counts, post its bookings."""
        before, after = self._status, deal.status
        self._status = after
        if deal.outcome != "won":
            self._merged = None
        if after == "won" and before == "merged":
            return list(self._unmerge(deal, event.effective))
        if after == "won" and before != "won":
            return list(self._win("won", deal, event.effective))
        if before == "won" and after != "won":
            return list(self._undo("reopened" if after == "open" else after))
        return list(self._change(event.fact, deal, event.effective)) if after == "won" else ()

    def _win(self, kind: str, deal: DealSummary, at: Instant) -> Iterator[Row]:
        self._credit = _credited(deal, at)
        self._signed = deal.amount
        self._booked.clear()
        yield from self._book(kind, *_parts(self._signed), self._credit)

    def _unmerge(self, deal: DealSummary, at: Instant) -> Iterator[Row]:
        """Book again what was booked when it was merged, to whom it belonged then."""
        if self._merged is None or self._credit is None:
            yield from self._win("unmerged", deal, at)
            return
        for currency, amount in sorted(self._merged.items()):
            yield from self._book("unmerged", amount, currency, self._credit)

    def _undo(self, kind: str) -> Iterator[Row]:
        """Take back all that is booked of the win, in every currency."""
        credit = self._credit
        assert credit is not None
        self._merged = dict(self._booked) if kind == "merged" else None
        for currency, amount in sorted(self._booked.items()):
            if amount:
                yield from _rows(kind, -amount, currency, credit)
        self._booked.clear()

    def _change(self, fact: Fact, deal: DealSummary, at: Instant) -> Iterator[Row]:
        credit = self._credit
        match fact:
            case ContractAmended(amount=amount) if amount is not None and credit is not None:
                before, self._signed = self._signed, amount
                if before is not None and before.currency == amount.currency:
                    yield from self._book(
                        "amended", amount.amount - before.amount, amount.currency, credit
                    )
                else:
                    if before is not None:
                        yield from self._book(
                            "amended", -before.amount, before.currency, credit
                        )
                    yield from self._book("amended", amount.amount, amount.currency, credit)
            case RefundGiven(amount=amount, overpayment=False) if credit is not None:
                yield from self._book("refunded", -amount.amount, amount.currency, credit)
            case RepeatOrderPlaced(amount=amount):
                yield from _rows("repeated", *_parts(amount), _credited(deal, at))
            case _:
                pass

    def _book(
        self, kind: str, amount: Decimal | None, currency: str | None, credit: Credit
    ) -> Iterator[Row]:
        if amount is not None and currency is not None:
            self._booked[currency] += amount
        yield from _rows(kind, amount, currency, credit)


def _credited(deal: DealSummary, at: Instant) -> Credit:
    return Credit(
        deal.owner,
        _shares(deal),
        deal.process,
        deal.process_version,
        deal.customer_id,
        deal.lead_source,
        at,
    )


def _shares(deal: DealSummary) -> tuple[tuple[str, int], ...]:
    shares = ((c.person, millionths(c.credit)) for c in deal.collaborators.values())
    return tuple(sorted((person, share) for person, share in shares if share))


def _parts(money: Money | None) -> tuple[Decimal | None, str | None]:
    return (None, None) if money is None else (money.amount, money.currency)


def _rows(
    kind: str, amount: Decimal | None, currency: str | None, credit: Credit
) -> Iterator[Row]:
    """Yield a row to the owner, with what the collaborators leave over, and one to each.

    An amount that no row can hold, the sum or the difference of some that each can, is booked
    in several.
    """
    rest = WHOLE - sum(share for _, share in credit.shares)
    for worth in [None] if amount is None else _stored_in_rows(millionths(amount)):
        about = (
            *(worth, currency, credit.process, credit.process_version),
            *(credit.customer_id, credit.lead_source, credit.at),
        )
        yield kind, "owner", credit.owner, rest, *about
        for person, share in credit.shares:
            yield kind, "collaborator", person, share, *about


def _stored_in_rows(amount: int) -> list[int]:
    """Return numbers that a column can hold and that add up to an amount, one at least."""
    whole_rows, rest = divmod(abs(amount), MOST_STORED)
    sign = -1 if amount < 0 else 1
    return [sign * MOST_STORED] * whole_rows + [sign * rest] * (rest > 0 or not whole_rows)


BOOKING_FACTS: Final[frozenset[type[Fact]]] = STATE_FACTS | {
    CollaboratorJoined,
    CollaboratorLeft,
    RefundGiven,
    RepeatOrderPlaced,
}
"""The facts that bookings follow from."""
