"""Quotes: priced offers, from draft to acceptance, rejection, withdrawal or expiry.

Any number may be open at a time; at most one accepted quote stands. A quote expires at the
end of its `valid_until` without anybody recording it. Quotes never move the deal's amount or
outcome, and their paperwork may go on after the deal is closed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import ClassVar, Literal, NamedTuple, Self, assert_never, get_args
from zoneinfo import ZoneInfo

from pydantic import model_validator

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import DealCommands, DealCore, require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import EMPTY, with_item
from salesflow.domain.time import Instant, Time, from_instant, start_of_next_day, to_instant
from salesflow.domain.values import (
    EXACT,
    MOST,
    Day,
    Money,
    Number,
    Personal,
    Reason,
    Reference,
    SafeText,
    Share,
    Value,
    tidy,
    trimmed,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, QuoteError

__all__ = [
    "Quote",
    "QuoteAccepted",
    "QuoteDrafted",
    "QuoteExpired",
    "QuoteFact",
    "QuoteIssued",
    "QuoteLine",
    "QuoteRejected",
    "QuoteRevised",
    "QuoteState",
    "QuoteWithdrawn",
    "Quotes",
    "QuotesState",
    "addable_lines",
    "expiry_of",
    "product_parts",
    "total_of",
]


# Lines: what is offered or agreed, how many, at which price.

MILLIONTH = Decimal("0.000001")
NOTHING_OFF = Decimal(0)


class QuoteLine(Value):
    """A product, how many of it, the price of one, and the discount as a part of one.

    Raises:
        InputError: also when the line is worth more than an amount can hold.
    """

    product: SafeText
    quantity: Number = Decimal(1)
    unit_price: Money
    discount: Share = NOTHING_OFF

    @model_validator(mode="after")
    def _check(self) -> Self:
        digits = self.quantity.adjusted() + self.unit_price.amount.adjusted() + 2
        if digits > MOST.adjusted() and abs(self.amount) > MOST:
            raise ValueError(Message("a line cannot be worth that much"))
        return self

    @property
    def amount(self) -> Decimal:
        """Quantity x unit price x (1 - discount), rounded half even to a millionth."""
        gross = EXACT.multiply(self.quantity, self.unit_price.amount)
        exact = EXACT.multiply(gross, EXACT.subtract(1, self.discount))
        return exact.quantize(MILLIONTH, ROUND_HALF_EVEN, EXACT)

    @property
    def total(self) -> Money:
        """What the line comes to, in its currency."""
        return Money.recorded(tidy(self.amount), self.unit_price.currency)


def total_of(lines: Sequence[QuoteLine]) -> Money | None:
    """Add lines up; None when there are none, currencies differ, or the sum has no room."""
    currencies = {line.unit_price.currency for line in lines}
    amount = sum([line.amount for line in lines], Decimal(0))
    if len(currencies) != 1 or abs(amount) > MOST:
        return None
    return Money.recorded(tidy(amount), currencies.pop())


def product_parts(lines: Sequence[QuoteLine]) -> dict[str, Fraction]:
    """Return which part of what lines come to each product is.

    None of any where they come to nothing, or are in several currencies.
    """
    total = sum((Fraction(line.amount) for line in lines), Fraction(0))
    can_be = total and len({line.unit_price.currency for line in lines}) == 1
    parts: dict[str, Fraction] = defaultdict(Fraction)
    for line in lines if can_be else ():
        parts[line.product] += Fraction(line.amount) / total
    return parts


def addable_lines(lines: Sequence[QuoteLine]) -> tuple[QuoteLine, ...]:
    """Return lines that can be added up.

    Raises:
        InputError: when there is no line, not one currency, or too great a sum or one below 0.
    """
    if not lines:
        raise InputError("name at least one line")
    currencies = sorted({line.unit_price.currency for line in lines})
    if len(currencies) > 1:
        raise InputError(f"the lines are in {' and '.join(currencies)}; they must share one")
    total = total_of(lines)
    if total is None:
        raise InputError("the lines add up to more than an amount can hold")
    if total.amount < 0:
        raise InputError(
            f"the lines add up to {total}, less than nothing; a line below 0 takes off what the"
            " others come to, at most"
        )
    return tuple(lines)


QuoteState = Literal[
    "drafted", "issued", "revised", "accepted", "rejected", "withdrawn", "expired", "superseded"
]
"""`superseded`: accepted once, but a later acceptance of another quote stands."""

WITH_CUSTOMER: frozenset[QuoteState] = frozenset({"issued", "revised"})


class QuoteDrafted(Fact):
    """An offer was prepared; the customer has not seen it yet."""

    kind: ClassVar[str] = "deal.quote_drafted"
    name_zh: ClassVar[str] = "报价草拟"
    quote: Reference
    lines: tuple[QuoteLine, ...] = ()
    total: Money | None = None
    """Where a source knows the total only; the sum of the lines otherwise."""


class QuoteIssued(Fact):
    """A priced offer was sent to the customer; it is the offer from now on."""

    kind: ClassVar[str] = "deal.quote_issued"
    name_zh: ClassVar[str] = "报价发出"
    quote: Reference
    lines: tuple[QuoteLine, ...] = ()
    total: Money | None = None
    valid_until: Day | None = None
    expires_at: Time | None = None
    """The first instant at which it no longer holds: the midnight that ends `valid_until` in
    the business time zone, settled when it was issued."""


class QuoteRevised(Fact):
    """A changed offer under the same number was sent; it replaces the one before."""

    kind: ClassVar[str] = "deal.quote_revised"
    name_zh: ClassVar[str] = "报价修订"
    quote: Reference
    lines: tuple[QuoteLine, ...] = ()
    total: Money | None = None
    valid_until: Day | None = None
    expires_at: Time | None = None
    because: Reason | None = None


class QuoteAccepted(Fact):
    """The customer accepted the offer; an acceptance that stood before is superseded."""

    kind: ClassVar[str] = "deal.quote_accepted"
    name_zh: ClassVar[str] = "报价接受"
    quote: Reference
    note: Personal | None = None


class QuoteRejected(Fact):
    """The customer turned the offer down."""

    kind: ClassVar[str] = "deal.quote_rejected"
    name_zh: ClassVar[str] = "报价拒绝"
    quote: Reference
    because: Reason | None = None


class QuoteWithdrawn(Fact):
    """We took the offer (or its draft) back."""

    kind: ClassVar[str] = "deal.quote_withdrawn"
    name_zh: ClassVar[str] = "报价撤回"
    quote: Reference
    because: Reason | None = None


class QuoteExpired(Fact):
    """The offer ran out, and somebody or some system said so."""

    kind: ClassVar[str] = "deal.quote_expired"
    name_zh: ClassVar[str] = "报价过期"
    quote: Reference


QuoteFact = (
    QuoteDrafted
    | QuoteIssued
    | QuoteRevised
    | QuoteAccepted
    | QuoteRejected
    | QuoteWithdrawn
    | QuoteExpired
)


class Quote(NamedTuple):
    """One offer as it stands."""

    key: str
    state: QuoteState
    lines: tuple[QuoteLine, ...]
    total: Money | None
    valid_until: date | None = None
    expires_at: datetime | None = None
    revisions: int = 0

    def at(self, now: Instant | None) -> "Quote":
        """Return it as it stands at an instant: expired when it has run out by then."""
        if now is None or self.expires_at is None or self.state not in WITH_CUSTOMER:
            return self
        return self._replace(state="expired") if to_instant(self.expires_at) <= now else self


class QuotesState(DealCore):
    """The offers of a deal."""

    offers: Mapping[str, Quote] = EMPTY
    """By their number, as last told; one that has run out since is not marked as expired."""
    ever_issued: bool = False

    @property
    def accepted_quote(self) -> Quote | None:
        """The accepted offer that stands."""
        return next((q for q in self.offers.values() if q.state == "accepted"), None)

    def _evolve_quotes(self, fact: QuoteFact, _: Event) -> Message | None:
        before = self.offers.get(fact.quote)
        if before is None and not isinstance(fact, QuoteDrafted | QuoteIssued):
            return Message("there is no quote {quote}", quote=repr(fact.quote))
        match fact:
            case QuoteDrafted():
                total = fact.total or total_of(fact.lines)
                self._put(Quote(fact.quote, "drafted", fact.lines, total))
            case QuoteIssued() | QuoteRevised():
                self._put(_offer(fact, before, self._runs_out(fact)))
                self.ever_issued = True
            case QuoteAccepted():
                self._supersede()
                self._mark(before, "accepted")
            case QuoteRejected():
                self._mark(before, "rejected")
            case QuoteWithdrawn():
                self._mark(before, "withdrawn")
            case QuoteExpired():
                self._mark(before, "expired")
            case _:
                assert_never(fact)
        return None

    def _mark(self, quote: Quote | None, state: QuoteState) -> None:
        if quote is not None:
            self._put(quote._replace(state=state))

    def _put(self, quote: Quote) -> None:
        self.offers = with_item(self.offers, quote.key, quote)

    def _supersede(self) -> None:
        self._mark(self.accepted_quote, "superseded")

    def _runs_out(self, fact: QuoteIssued | QuoteRevised) -> datetime | None:
        """Return when an offer runs out; one told by its last day, at the end of that."""
        if fact.valid_until is None or fact.expires_at or not self._context.knows_days:
            return fact.expires_at
        return expiry_of(fact.valid_until, self._context.timezone)


class Quotes(DealCommands, QuotesState):
    """What a rep offers, and what becomes of it."""

    @property
    def quotes(self) -> dict[str, Quote]:
        """The offers by their number, as they stand at the time this deal is read at."""
        now = self._now()
        return {key: quote.at(now) for key, quote in self.offers.items()}

    def draft_quote(
        self,
        lines: Sequence[QuoteLine],
        *,
        quote: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> str:
        """Prepare an offer; gives its number."""
        key = self._number(quote)
        self._record(QuoteDrafted(quote=key, lines=addable_lines(lines)), occurred_at)
        return key

    def issue_quote(
        self,
        quote: str | None = None,
        *,
        lines: Sequence[QuoteLine] | None = None,
        valid_until: date | None = None,
        occurred_at: OccurredAt = None,
    ) -> str:
        """Send an offer: a draft by its number, or a new one by its lines; gives its number."""
        then = self._at(occurred_at)
        drafted = then.offers.get(quote) if quote is not None else None
        if drafted is None:
            if lines is None:
                raise QuoteError(f"deal {self.id} has no quote {quoted(quote)}; name its lines")
            key = self._number(quote)
        else:
            key = drafted.key
            then._ensure_quote(key, "issue", {"drafted"})
            lines = drafted.lines if lines is None else lines
        self._record(
            QuoteIssued(
                quote=key,
                lines=addable_lines(lines),
                valid_until=valid_until,
                expires_at=self._expiry(valid_until, occurred_at),
            ),
            occurred_at,
        )
        return key

    def revise_quote(
        self,
        quote: str,
        *,
        lines: Sequence[QuoteLine],
        valid_until: date | None = None,
        because: str,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Send a changed offer under the same number; an expired one comes to life again."""
        then = self._at(occurred_at)
        then._ensure_quote(quote, "revise", {"issued", "revised", "expired"})
        self._record(
            QuoteRevised(
                quote=quote,
                lines=addable_lines(lines),
                valid_until=valid_until,
                expires_at=self._expiry(valid_until, occurred_at),
                because=require_reason(because, "revising a quote"),
            ),
            occurred_at,
        )

    def accept_quote(
        self, quote: str, *, note: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that the customer accepted; refused once it has expired."""
        then = self._at(occurred_at)
        then._ensure_quote(quote, "accept", WITH_CUSTOMER)
        standing = then.accepted_quote
        if standing is not None:
            raise QuoteError(
                f"quote {standing.key!r} of deal {self.id} stands accepted;"
                f" {quoted(quote)} cannot be accepted beside it"
            )
        self._record(QuoteAccepted(quote=quote, note=note), occurred_at)

    def reject_quote(
        self, quote: str, *, because: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that the customer turned it down, and why if they said so."""
        self._at(occurred_at)._ensure_quote(quote, "reject", {*WITH_CUSTOMER, "expired"})
        self._record(QuoteRejected(quote=quote, because=because), occurred_at)

    def withdraw_quote(
        self, quote: str, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Take an offer or a draft back."""
        self._at(occurred_at)._ensure_quote(quote, "withdraw", {"drafted", *WITH_CUSTOMER})
        self._record(
            QuoteWithdrawn(quote=quote, because=require_reason(because, "withdrawing a quote")),
            occurred_at,
        )

    def expire_quote(self, quote: str, *, occurred_at: OccurredAt = None) -> None:
        """Say that an offer has run out; one with a last valid day does so by itself."""
        self._at(occurred_at)._ensure_quote(quote, "expire", WITH_CUSTOMER)
        self._record(QuoteExpired(quote=quote), occurred_at)

    def _ensure_quote(
        self, quote: str, action: str, wanted: frozenset[QuoteState] | set[QuoteState]
    ) -> None:
        found = self.quotes.get(quote)
        if found is None:
            raise QuoteError(f"deal {self.id} has no quote {quoted(quote)}; cannot {action} it")
        if found.state not in wanted:
            raise QuoteError(
                f"quote {quoted(quote)} of deal {self.id} is {found.state}; cannot {action} it"
            )

    def _number(self, quote: str | None) -> str:
        kinds = get_args(QuoteFact)
        taken = {e.fact.quote for e in self._log if isinstance(e.fact, kinds)}
        if quote in taken:
            raise QuoteError(f"deal {self.id} has a quote {quoted(quote)} already")
        return self._fresh_key("Q", taken) if quote is None else trimmed(quote)

    def _expiry(self, valid_until: date | None, occurred_at: OccurredAt) -> datetime | None:
        if valid_until is None:
            return None
        expires = expiry_of(valid_until, self.context.timezone)
        issued = self._now() if occurred_at is None else self._instant(occurred_at)[0]
        if issued is not None and to_instant(expires) <= issued:
            raise InputError(f"a quote valid until {valid_until} would have expired already")
        return expires


def expiry_of(valid_until: date, timezone: ZoneInfo) -> datetime:
    """Return the time from which an offer has run out: the end of its last day."""
    return from_instant(start_of_next_day(valid_until, timezone))


def _offer(
    fact: QuoteIssued | QuoteRevised, before: Quote | None, expires_at: datetime | None
) -> Quote:
    lines = fact.lines or (before.lines if before else ())
    total = fact.total or total_of(lines) or (before.total if before else None)
    revised = isinstance(fact, QuoteRevised)
    revisions = (before.revisions if before else 0) + revised
    return Quote(
        fact.quote,
        "revised" if revised else "issued",
        lines,
        total,
        fact.valid_until,
        expires_at,
        revisions,
    )
