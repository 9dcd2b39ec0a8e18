"""Commission statements: what a rep was told to be paid for a period, and never changes.

A statement is issued once for a plan, a rep and a period, with the moment of its figures, so
that it can be worked out again for ever and be the same. What becomes known later is a
difference line of the next statement; a line can be disputed, and what is agreed (or corrected
by hand) becomes a difference line too. The figures come from the question
`commission-statement`, whose answer gives them as `figures`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, assert_never, get_args
from uuid import UUID

from pydantic import model_validator

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.currency_codes import smallest_coin
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import VersionNumber
from salesflow.domain.state import EMPTY, OpenedState, appended, with_item
from salesflow.domain.time import Time
from salesflow.domain.values import (
    Count,
    Currency,
    Day,
    Exact,
    Key,
    Money,
    Number,
    Reason,
    Reference,
    Share,
    Value,
    id_of_key,
    number,
    shown,
)
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "AgreedDifference",
    "DifferenceLine",
    "DifferenceReason",
    "Dispute",
    "DisputeAnswered",
    "DisputeOutcome",
    "HandCorrection",
    "LineDisputed",
    "LineExchange",
    "LinePart",
    "PartKind",
    "Precise",
    "Statement",
    "StatementCorrected",
    "StatementFact",
    "StatementFigures",
    "StatementIssued",
    "StatementLine",
    "StatementState",
    "statement_id",
]


STATEMENTS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a12")

Precise = Annotated[Decimal, Exact(25, 24)]
"""An exact product of amount, share, rate and factor, each of six places."""
PartKind = Literal["threshold", "rate", "tier", "cap", "spiff_rate", "spiff_bonus"]
DifferenceReason = Literal["late", "retracted", "changed", "corrected", "dispute"]
DisputeOutcome = Literal["accepted", "rejected"]


class LinePart(Value):
    """One step of how a line was worked out."""

    kind: PartKind
    """`rate` is the base rate; what lies below the `threshold` pays nothing, `cap` takes back
    what rates would pay above it."""
    tier: Count | None = None
    """The number of the tier, from 1."""
    spiff: Key | None = None
    base: Precise | None = None
    """What the rate is paid on; less than nothing where it is no longer paid on that."""
    rate: Number | None = None
    factor: Number | None = None
    """That of an accelerator or decelerator; None where it is 1."""
    amount: Precise
    """Base x rate x factor, not rounded; lines are."""


class LineExchange(Value):
    """What of a line was credited in another currency than the plan's, and at which rate."""

    currency: Currency
    amount: Precise
    """The rep's part, in the currency it was sold in; less than nothing where it was taken
    back."""
    rate: Precise
    """How much of the plan's currency one of the other is, rounded to twelve places."""
    rate_day: Day
    """The day of the rate; of two that make it one, the older day."""
    credited_on: Day
    """The crediting date, whose rate it is: the last one published until then."""


class StatementLine(Value):
    """What one event paid, or took back."""

    line: Count
    """Its number, by which it is disputed."""
    event_id: UUID
    """The booking, invoice or payment that it rests on."""
    occurred_at: Time
    deal: UUID
    kind: Key
    """What happened: won, amended, refunded, reopened, repeated, invoiced, paid …"""
    plan_version: VersionNumber
    """The version in force when the sale was credited."""
    share: Share
    """The rep's part of the sale."""
    base: Precise
    """What was credited to the rep, in the plan's currency."""
    exchanges: tuple[LineExchange, ...] = ()
    """Where it was sold in another currency, in which, for how much and at which rate."""
    parts: tuple[LinePart, ...] = ()
    amount: Number


class DifferenceLine(Value):
    """What an earlier statement would say otherwise by now."""

    line: Count
    first_day: Day
    """The first day of the period whose statement it is about."""
    event_id: UUID
    """The booking, invoice or payment whose line differs; the agreement where one does; the
    statement itself where its guarantee does."""
    deal: UUID | None = None
    reason: DifferenceReason
    """`late`: not known when the statement was issued; `retracted`: no longer believed;
    `changed`: figured otherwise, by what the causes say; `corrected` by hand; or by a
    `dispute` that was accepted. What was paid of the last two and was retracted since is taken
    back under the same reason."""
    causes: tuple[UUID, ...] = ()
    """The events that became known since, and made the difference."""
    amount: Number


class StatementFigures(Value):
    """All that a statement says: its moment, its lines and what they come to."""

    plan: Key
    rep: Reference
    first_day: Day
    last_day: Day
    currency: Currency
    as_of: Time
    """Up to when things had happened that it counts."""
    known_at: Time
    """Up to when the log had learned of them."""
    lines: tuple[StatementLine, ...] = ()
    differences: tuple[DifferenceLine, ...] = ()
    earned: Number
    """The sum of all lines."""
    guaranteed: Number = Decimal(0)
    """What the guarantee adds."""
    advanced: Number = Decimal(0)
    """What the draw adds, to be recovered later."""
    recovered: Number = Decimal(0)
    """What is kept back of draws that were advanced."""
    payable: Number
    draw_balance: Number = Decimal(0)
    """What is still to be recovered after it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError(Message("the period ends before it begins"))
        if self.as_of.date() < self.last_day:  # in no time zone is it over by then
            raise ValueError(Message("the period is not over at the moment of the figures"))
        return self

    @property
    def amounts(self) -> Mapping[int, Decimal]:
        """The amount of each line by its number."""
        amounts = {each.line: each.amount for each in self.lines}
        return {**amounts, **{each.line: each.amount for each in self.differences}}


class StatementIssued(Fact):
    """A rep was told what is paid for a period; it never changes."""

    kind: ClassVar[str] = "statement.issued"
    name_zh: ClassVar[str] = "佣金对账单发出"
    is_opening: ClassVar[bool] = True
    retraction_error: ClassVar[str | None] = (
        "a statement that was issued is never taken back; correct it, and the next one pays"
        " the difference"
    )
    figures: StatementFigures

    @property
    def figures_seen(self) -> tuple[datetime | None, datetime | None]:
        """The moment of the figures that it rests on."""
        return self.figures.as_of, self.figures.known_at


class StatementCorrected(Fact):
    """Somebody put an issued statement right by hand; the next one pays the difference."""

    kind: ClassVar[str] = "statement.corrected"
    name_zh: ClassVar[str] = "佣金对账单更正"
    amount: Number
    because: Reason | None = None
    causes: tuple[UUID, ...] = ()
    """The events that it rests on, where there are any."""


class LineDisputed(Fact):
    """The rep does not agree with a line, or misses a sale that has none."""

    kind: ClassVar[str] = "statement.line_disputed"
    name_zh: ClassVar[str] = "佣金明细异议"
    line: Count
    """The number of the line; of a sale that has none, the next that nothing else has had."""
    deal: UUID | None = None
    """The deal of the sale that is missing; left out where a line is disputed."""
    because: Reason | None = None


class DisputeAnswered(Fact):
    """A dispute was accepted or rejected; what was agreed is paid with the next statement."""

    kind: ClassVar[str] = "statement.dispute_answered"
    name_zh: ClassVar[str] = "佣金异议答复"
    line: Count
    outcome: DisputeOutcome
    amount: Number | None = None
    """What is paid in difference (or, below nothing, taken back), as '500 CNY' or a number in
    the currency of the statement; 0 where the facts were put right instead, from which the
    difference follows by itself."""
    because: Reason | None = None


StatementFact = StatementIssued | StatementCorrected | LineDisputed | DisputeAnswered


class Dispute(NamedTuple):
    """What became of a dispute about a line."""

    line: int
    because: str | None
    outcome: DisputeOutcome | None
    """None while it is not answered."""
    amount: Decimal | None
    answer: str | None
    deal: UUID | None = None
    """Of a sale that is missing, its deal."""


class AgreedDifference(NamedTuple):
    """A difference that was agreed on, by a correction or an accepted dispute."""

    event_id: UUID
    reason: DifferenceReason
    line: int | None
    amount: Decimal
    causes: tuple[UUID, ...]


class HandCorrection(NamedTuple):
    """By how much a statement was corrected by hand, and why."""

    amount: Decimal
    because: str | None


class StatementState(OpenedState):
    """What an issued statement says, and what became of it by now."""

    figures: StatementFigures | None = None
    disputes: Mapping[int, Dispute] = EMPTY
    """The last dispute about each line, by its number."""
    earlier_disputes: Sequence[Dispute] = ()
    """Those that another one about the same line followed."""
    agreed: Sequence[AgreedDifference] = ()
    corrections: Sequence[HandCorrection] = ()

    @property
    def all_disputes(self) -> Sequence[Dispute]:
        """Every dispute, those about one line in their order."""
        return (*self.earlier_disputes, *self.disputes.values())

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: StatementFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return Message("before it was issued")
        match fact:
            case StatementIssued(figures=figures):
                if self.figures is not None:
                    return Message("the statement was issued before")
                its = statement_id(figures.plan, figures.rep, figures.first_day)
                if its != event.stream_id:
                    return Message("it is of another plan, rep or period")
                self.figures = fact.figures
            case StatementCorrected():
                told = HandCorrection(fact.amount, fact.because)
                self.corrections = appended(self.corrections, told)
                self._agree(event, "corrected", None, fact.amount, fact.causes)
            case LineDisputed(line=line, deal=deal):
                if line in self.disputes:
                    earlier = self.disputes[line]
                    self.earlier_disputes = appended(self.earlier_disputes, earlier)
                disputed = Dispute(line, fact.because, None, None, None, deal)
                self.disputes = with_item(self.disputes, line, disputed)
            case DisputeAnswered(line=line):
                return self._answer(event, fact, self.disputes.get(line))
            case _:
                assert_never(fact)
        return None

    def _answer(
        self, event: Event, fact: DisputeAnswered, dispute: Dispute | None
    ) -> Message | None:
        if dispute is None or dispute.outcome is not None:
            return Message("line {line} is not in dispute", line=fact.line)
        answered = dispute._replace(
            outcome=fact.outcome, amount=fact.amount, answer=fact.because
        )
        self.disputes = with_item(self.disputes, fact.line, answered)
        if fact.outcome == "accepted" and fact.amount:
            self._agree(event, "dispute", fact.line, fact.amount, ())
        return None

    def _agree(
        self,
        event: Event,
        reason: DifferenceReason,
        line: int | None,
        amount: Decimal,
        causes: tuple[UUID, ...],
    ) -> None:
        found = AgreedDifference(event.event_id, reason, line, amount, causes)
        self.agreed = appended(self.agreed, found)


class Statement(Aggregate, StatementState):
    """A statement of one plan, rep and period; `statement_id("ae", "ann", day)` finds it."""

    noun: ClassVar[str] = "statement"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(StatementFact)

    @classmethod
    def issue(cls, figures: StatementFigures, *, occurred_at: OccurredAt = None) -> Self:
        """Tell a rep what is paid for a period, by the figures of `commission-statement`."""
        _ensure_adding_up(figures)
        self = cls.new(statement_id(figures.plan, figures.rep, figures.first_day))
        self._record(StatementIssued(figures=figures), occurred_at)
        return self

    def correct(
        self,
        amount: Decimal | str | Money,
        *,
        because: str,
        causes: tuple[UUID, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> None:
        """Put the statement right by hand: the next one pays (or takes back) so much.

        By the same amount for the same reason it is corrected once, or it would be paid twice.
        """
        then = self._at(occurred_at)
        given = then._in_its_currency(amount)
        if not given:
            raise InputError("a correction of nothing corrects nothing; name an amount")
        then._ensure_payable(given)
        fact = StatementCorrected(
            amount=given, because=require_reason(because, "a correction"), causes=causes
        )
        if (fact.amount, fact.because) in self.corrections:
            raise RuleError(
                f"the statement is corrected by {given:,} for this reason already, and it would"
                " be paid twice; where it is another correction, give another reason"
            )
        self._record(fact, occurred_at)

    def dispute(self, line: int, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Say that a line is not right, and why."""
        then = self._at(occurred_at)
        then._ensure_line(line)
        found = then.disputes.get(line)
        if found is not None and found.outcome is None:
            raise RuleError(f"line {line} is in dispute already, and waits for an answer")
        require_reason(because, "a dispute")
        deal = None if found is None else found.deal
        self._record(LineDisputed(line=line, deal=deal, because=because), occurred_at)

    def dispute_missing_sale(
        self, deal: UUID, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that a sale is missing, by its deal, and why it belongs to the statement.

        It is disputed under a number of its own, by which it is answered.
        """
        then = self._at(occurred_at)
        assert then.figures is not None
        lines: list[StatementLine | DifferenceLine] = [*then.figures.lines]
        lines += then.figures.differences
        there = [each.line for each in lines if each.deal == deal]
        if there:
            raise RuleError(f"the deal has line {there[0]} in the statement; dispute that line")
        asked = [each.line for each in self.disputes.values() if each.deal == deal]
        if asked:
            raise RuleError(f"the sale is in dispute already, as line {asked[0]}")
        require_reason(because, "a dispute")
        line = self._line_of_missing(deal, then.figures)
        self._record(LineDisputed(line=line, deal=deal, because=because), occurred_at)

    def _line_of_missing(self, deal: UUID, figures: StatementFigures) -> int:
        """Return the number under which a sale that is missing is disputed, always the same.

        No other deal ever has it: what happened later or was retracted holds its number too,
        or an answer would be about two sales.
        """
        told = [each.fact for each in self._log if isinstance(each.fact, LineDisputed)]
        its = next((fact.line for fact in told if fact.deal == deal), None)
        return its or max((*figures.amounts, *(fact.line for fact in told)), default=0) + 1

    def answer_dispute(
        self,
        line: int,
        *,
        outcome: DisputeOutcome,
        because: str,
        amount: Decimal | str | Money | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Accept or reject a dispute; the amount agreed is paid with the next statement.

        Where the facts were put right the difference follows from them: accept it with an
        amount of 0 then, or it would be paid twice.
        """
        then = self._at(occurred_at)
        then._ensure_line(line)
        found = then.disputes.get(line)
        if found is None:
            raise RuleError(f"line {line} is not in dispute; there is nothing to answer")
        if found.outcome is not None:
            raise RuleError(
                f"the dispute of line {line} was {found.outcome} already; where that is wrong,"
                " retract the answer, or dispute the line again"
            )
        if outcome == "rejected" and amount is not None:
            raise InputError("a dispute that is rejected pays nothing; leave the amount out")
        if outcome == "accepted" and amount is None:
            raise InputError(
                "an accepted dispute needs the amount that is paid in difference; where the"
                " facts were put right and the difference follows from them, an amount of 0"
            )
        agreed = None if amount is None else then._in_its_currency(amount)
        then._ensure_payable(agreed or Decimal(0))
        fact = DisputeAnswered(
            line=line,
            outcome=outcome,
            amount=agreed,
            because=require_reason(because, "an answer to a dispute"),
        )
        self._record(fact, occurred_at)

    def _ensure_payable(self, amount: Decimal) -> None:
        """Refuse an amount that no coins make up."""
        assert self.figures is not None
        coin = smallest_coin(self.figures.currency)
        if amount % coin:
            raise InputError(
                f"{amount:,} {self.figures.currency} cannot be paid; name an amount in steps"
                f" of {coin} {self.figures.currency}"
            )

    def _in_its_currency(self, amount: Decimal | str | Money) -> Decimal:
        """Return an amount as a number in the currency of the statement."""
        assert self.figures is not None
        if not isinstance(amount, Money):
            return number(amount)
        if amount.currency != self.figures.currency:
            raise InputError(
                f"the statement is in {self.figures.currency}, not in {amount.currency}; name"
                f" the amount in {self.figures.currency}"
            )
        return amount.amount

    def _ensure_line(self, line: int) -> None:
        assert self.figures is not None
        lines = {*self.figures.amounts, *self.disputes}
        if line not in lines:
            there = f"1 to {max(lines)}" if lines else "none"
            raise RuleError(
                f"the statement has no line {line}; there are {there}. A sale that is missing"
                " is disputed by its deal, with `salesflow statement dispute-missing-sale`"
            )


def _ensure_adding_up(figures: StatementFigures) -> None:
    """Refuse figures that do not add up, as those that were typed may not.

    Raises:
        InputError: saying what they come to.
    """
    if len(figures.amounts) < len(figures.lines) + len(figures.differences):
        raise InputError("two lines of the statement share a number")
    earned = sum(figures.amounts.values(), Decimal(0))
    if earned != figures.earned:
        raise InputError(f"the lines come to {earned:,}, not to {figures.earned:,} earned")
    added = figures.guaranteed + figures.advanced - figures.recovered
    if earned + added != figures.payable:
        raise InputError(
            f"earned, guaranteed and advanced less recovered come to {earned + added:,}, not to"
            f" {figures.payable:,} payable"
        )


@lru_cache(maxsize=4096)
def statement_id(plan: str, rep: str, first_day: date) -> UUID:
    """Return the stream id of the statement of a plan, a rep and the period that begins so."""
    day: object = first_day
    if not isinstance(day, date):
        raise InputError(f"{shown(day)} is no day; write a date")
    return id_of_key(STATEMENTS, plan, rep, first_day.isoformat())
