"""Money: the forecast, agreed lines and terms, the contract, invoices, payments, refunds.

The amount of a deal is the latest of what it was opened with, forecast, agreed in lines,
signed or amended; quotes and terms never move it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import takewhile
from typing import ClassVar, Final, Literal, assert_never

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.after_sales import AfterSalesState
from salesflow.domain.deal.core import (
    DealCommands,
    DealCore,
    require_positive,
    require_reason,
    require_text,
    require_worth,
)
from salesflow.domain.deal.quotes import QuoteLine, addable_lines, total_of
from salesflow.domain.event import Event, Fact, PlannedFact, in_effect
from salesflow.domain.process import ForecastCategory
from salesflow.domain.state import appended
from salesflow.domain.values import (
    Count,
    Day,
    Flag,
    Money,
    Personal,
    Reason,
    Reference,
    Share,
    number,
)
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "Billing",
    "BillingFact",
    "BillingState",
    "ContractAmended",
    "ForecastGiven",
    "ForecastPart",
    "InvoiceIssued",
    "LineItemsAgreed",
    "PaymentReceived",
    "RefundGiven",
    "TermsAgreed",
]

NOTHING: Final = Decimal(0)

ForecastPart = Literal["amount", "expected_close", "category", "probability"]


class ForecastGiven(Fact):
    """A new view of amount, closing date, category or probability; the rest stays as it was.

    Category and probability stand in for those of the stage until they are cleared.
    """

    kind: ClassVar[str] = "deal.forecast_given"
    name_zh: ClassVar[str] = "更新预计金额 / 成交日期"
    changes_summary: ClassVar[bool] = True
    amount: Money | None = None
    expected_close: Day | None = None
    category: ForecastCategory | None = None
    probability: Share | None = None
    cleared: tuple[ForecastPart, ...] = ()
    """What is not known any more, or goes by the stage again."""
    because: Reason | None = None


class LineItemsAgreed(Fact):
    """Customer and rep agreed what is to be bought; the sum is the amount of the deal."""

    kind: ClassVar[str] = "deal.line_items_agreed"
    name_zh: ClassVar[str] = "商定产品明细"
    changes_summary: ClassVar[bool] = True
    lines: tuple[QuoteLine, ...] = ()


class TermsAgreed(Fact):
    """Contract terms were settled; replaces terms agreed before."""

    kind: ClassVar[str] = "deal.terms_agreed"
    name_zh: ClassVar[str] = "商定合同条款"
    terms: Personal | None = None
    """What was agreed."""
    payment_days: Count | None = None
    contract: Reference | None = None


class ContractAmended(PlannedFact):
    """The signed contract was changed; from then on the deal is worth the new amount."""

    kind: ClassVar[str] = "deal.contract_amended"
    name_zh: ClassVar[str] = "合同变更"
    changes_summary: ClassVar[bool] = True
    amount: Money | None = None
    contract: Reference | None = None
    because: Reason | None = None


class InvoiceIssued(Fact):
    """The customer was billed."""

    kind: ClassVar[str] = "deal.invoice_issued"
    name_zh: ClassVar[str] = "开票"
    invoice: Reference | None = None
    amount: Money
    due: Day | None = None


class PaymentReceived(Fact):
    """The customer paid."""

    kind: ClassVar[str] = "deal.payment_received"
    name_zh: ClassVar[str] = "回款"
    amount: Money
    invoice: Reference | None = None


class RefundGiven(Fact):
    """Money went back to the customer."""

    kind: ClassVar[str] = "deal.refund_given"
    name_zh: ClassVar[str] = "退款"
    amount: Money
    invoice: Reference | None = None
    because: Reason | None = None
    overpayment: Flag = False
    """Whether it sends back what came in beyond the sale, as when a payment was made twice;
    nothing of the sale is lost then."""


BillingFact = (
    ForecastGiven
    | LineItemsAgreed
    | TermsAgreed
    | ContractAmended
    | InvoiceIssued
    | PaymentReceived
    | RefundGiven
)


class BillingState(DealCore):
    """What was agreed and paid."""

    line_items: tuple[QuoteLine, ...] = ()
    terms: TermsAgreed | None = None
    invoices: Sequence[InvoiceIssued] = ()
    payments: Sequence[PaymentReceived] = ()
    refunds: Sequence[RefundGiven] = ()

    def _evolve_billing(self, fact: BillingFact, _: Event) -> Message | None:
        match fact:
            case ContractAmended() | RefundGiven() if irregular := self._needs_win():
                return irregular
            case ForecastGiven():
                self._forecast(fact)
            case LineItemsAgreed():
                self.line_items = fact.lines
                self.amount = total_of(fact.lines) or self.amount
            case TermsAgreed():
                self.terms = fact
            case ContractAmended():
                self.amount = fact.amount or self.amount
            case InvoiceIssued():
                self.invoices = appended(self.invoices, fact)
            case PaymentReceived():
                self.payments = appended(self.payments, fact)
            case RefundGiven():
                self.refunds = appended(self.refunds, fact)
            case _:
                assert_never(fact)
        return None

    def _forecast(self, fact: ForecastGiven) -> None:
        if fact.amount is not None or "amount" in fact.cleared:
            self.amount = fact.amount
        if fact.expected_close is not None or "expected_close" in fact.cleared:
            self.expected_close = fact.expected_close
        if fact.category is not None or "category" in fact.cleared:
            self.category_given = fact.category
        if fact.probability is not None or "probability" in fact.cleared:
            self.probability_given = fact.probability


class Billing(DealCommands, BillingState, AfterSalesState):
    """What a deal is worth, and what was paid."""

    def forecast(
        self,
        *,
        amount: Money | None = None,
        expected_close: date | None = None,
        category: ForecastCategory | None = None,
        probability: Decimal | str | None = None,
        clear: Sequence[ForecastPart] = (),
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Say what you now think: how much, when, how sure, or what is open again."""
        require_worth(amount, what="what a deal may bring")
        self._at(occurred_at)._ensure_open("forecast it")
        share = None if probability is None else number(probability)
        given: dict[ForecastPart, object] = {
            "amount": amount,
            "expected_close": expected_close,
            "category": category,
            "probability": share,
        }
        named = {part for part, value in given.items() if value is not None}
        if not named and not clear:
            raise InputError("a forecast names an amount, a date, a category or a probability")
        both = sorted(named & set(clear))
        if both:
            raise InputError(f"{both[0]} cannot be given and cleared at once")
        self._record(
            ForecastGiven(
                amount=amount,
                expected_close=expected_close,
                category=category,
                probability=share,
                cleared=tuple(clear),
                because=because,
            ),
            occurred_at,
        )

    def agree_line_items(
        self, lines: Sequence[QuoteLine], *, occurred_at: OccurredAt = None
    ) -> None:
        """Note what is to be bought; the sum becomes the amount."""
        self._at(occurred_at)._ensure_open("agree line items")
        self._record(LineItemsAgreed(lines=addable_lines(lines)), occurred_at)

    def agree_terms(
        self,
        terms: str,
        *,
        payment_days: int | None = None,
        contract: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note the terms of the contract."""
        self._at(occurred_at)._ensure_unmerged("agree terms")
        fact = TermsAgreed(
            terms=require_text(terms, "terms"), payment_days=payment_days, contract=contract
        )
        self._record(fact, occurred_at)

    def amend_contract(
        self,
        amount: Money,
        *,
        because: str,
        contract: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that the signed contract is worth another amount, perhaps from a later day."""
        self._at(occurred_at)._ensure_won("amend its contract")
        require_worth(amount, what="what a contract is worth")
        self._record(
            ContractAmended(
                amount=amount,
                contract=contract,
                because=require_reason(because, "amending a contract"),
                effective_from=self._effective(effective_from),
            ),
            occurred_at,
        )

    def issue_invoice(
        self,
        amount: Money,
        *,
        invoice: str | None = None,
        due: date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that the customer was billed."""
        self._at(occurred_at)._ensure_was_won("bill it")
        fact = InvoiceIssued(amount=require_positive(amount), invoice=invoice, due=due)
        self._record(fact, occurred_at)

    def receive_payment(
        self, amount: Money, *, invoice: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that the customer paid."""
        self._at(occurred_at)._ensure_was_won("take a payment for it")
        self._record(
            PaymentReceived(amount=require_positive(amount), invoice=invoice), occurred_at
        )

    def give_refund(
        self,
        amount: Money,
        *,
        because: str,
        invoice: str | None = None,
        overpayment: bool = False,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that money went back to the customer, and why.

        It takes so much back of the sale, unless it sends an overpayment back.

        Raises:
            RuleError: when it is more than was sold or paid and not refunded before, an
                overpayment of more than came in beyond the sale, or takes back of the sale in
                a currency in which nothing was sold.
        """
        then = self._at(occurred_at)
        then._ensure_won("refund it")
        require_positive(amount)
        if not overpayment:
            then._ensure_sold_in(amount)
        then._ensure_refundable(amount)
        if overpayment:
            then._ensure_overpaid(amount)
        self._record(
            RefundGiven(
                amount=amount,
                invoice=invoice,
                because=require_reason(because, "a refund"),
                overpayment=overpayment,
            ),
            occurred_at,
        )

    def paid_beyond(self, currency: str) -> Decimal | None:
        """Return how much came in beyond what is sold and did not go back; None if unknown."""
        sold = self._sold
        if sold is None:
            return None
        paid = _sum_of((payment.amount for payment in self.payments), currency)
        back = (given.amount for given in self.refunds if given.overpayment)
        return max(paid - _sum_of(back, currency) - _sum_of(sold, currency), NOTHING)

    def _ensure_overpaid(self, refund: Money) -> None:
        beyond = self.paid_beyond(refund.currency)
        if beyond is not None and refund.amount > beyond:
            raise RuleError(
                f"{beyond:,} {refund.currency} came in beyond what is sold of deal {self.id}"
                f" ({self._sold_for}) and did not go back, not {refund}; a refund that takes"
                " back of the sale is no overpayment"
            )

    def _ensure_sold_in(self, refund: Money) -> None:
        """Refuse to take back of a sale in a currency in which nothing was sold."""
        sold = self.sold_in
        if sold and refund.currency not in sold:
            raise RuleError(
                f"deal {self.id} was sold for {self._sold_for}, so {refund} cannot be taken"
                f" back of it: say how much of the sale that is in {' or '.join(sold)}; where"
                " it sends back what came in beyond the sale, say that it is an overpayment"
            )

    @property
    def sold_in(self) -> tuple[str, ...]:
        """The currencies it was sold in; none where an amount is not known."""
        return tuple(dict.fromkeys(money.currency for money in self._sold or ()))

    @property
    def _sold_for(self) -> str:
        """What it was sold for, in each currency."""
        sold = self._sold or []
        return " and ".join(f"{_sum_of(sold, each):,} {each}" for each in self.sold_in)

    def _ensure_refundable(self, refund: Money) -> None:
        """Refuse to give back more than was sold, or paid, and is not given back by now.

        A customer may have paid more than was sold, with taxes or twice. Of an earlier win what
        was sold is taken back as a whole, so its refunds do not count against the standing one.
        """
        sold = self._sold
        if sold is None:
            return
        of_win = _sum_of(sold, refund.currency), _sum_of(self._refunds_of_win, refund.currency)
        in_all = (
            _sum_of((payment.amount for payment in self.payments), refund.currency),
            _sum_of((given.amount for given in self.refunds), refund.currency),
        )
        left = max(of_win[0] - of_win[1], in_all[0] - in_all[1], NOTHING)
        if refund.amount > left:
            paid, given_back = (f"{each:,} {refund.currency}" for each in in_all)
            raise RuleError(
                f"{refund} is more than deal {self.id} can be refunded at that time,"
                f" {left:,} {refund.currency}: it was sold for {self._sold_for}, {paid} was"
                f" paid, {given_back} was refunded before; if the customer paid more, record"
                " that payment first"
            )

    @property
    def _sold(self) -> list[Money] | None:
        """What it was sold for, with its repeat orders; None where an amount is not known."""
        sold = [self.amount, *(order.amount for order in self.repeat_orders)]
        known = [each for each in sold if each is not None]
        return known if len(known) == len(sold) else None

    @property
    def _refunds_of_win(self) -> Iterator[Money]:
        """What was given back of the sale since it was won, as it stands won."""
        latest_first = reversed(in_effect([*self._history], self._as_of))
        since = takewhile(lambda event: event != self._closing, latest_first)
        given = (event.fact for event in since if isinstance(event.fact, RefundGiven))
        return (fact.amount for fact in given if not fact.overpayment)


def _sum_of(amounts: Iterable[Money], currency: str) -> Decimal:
    """Add up the amounts that are in a currency."""
    of_it = (money.amount for money in amounts if money.currency == currency)
    return sum(of_it, NOTHING)
