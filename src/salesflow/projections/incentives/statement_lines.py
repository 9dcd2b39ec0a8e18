"""What a commission statement is made of: its lines, differences, totals and disputes.

The values that answers show. A module of its own: how they are laid out for people stands with
the statement.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from salesflow.domain.process import VersionNumber
from salesflow.domain.statement import DifferenceReason, DisputeOutcome, PartKind
from salesflow.domain.values import Currency, Personal, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.incentives.commission_book import NoCredit
from salesflow.projections.incentives.exchange_shown import ExchangeShown

__all__ = [
    "AccrualReached",
    "CommissionDifference",
    "CommissionLine",
    "CommissionTotals",
    "DisputeShown",
    "NotCreditedShown",
    "PartShown",
    "StatementAsIssued",
    "VersionInForce",
]

Trait: Final = FieldRole.TRAIT


class PartShown(Value):
    """One step of how a line was worked out: base x rate x factor."""

    step: Annotated[int, FieldRole.KEY]
    part: Annotated[PartKind, Trait]
    tier: Annotated[int | None, Trait]
    spiff: Annotated[SafeText | None, Trait]
    base: Decimal | None
    rate: Annotated[Decimal | None, Trait]
    factor: Annotated[Decimal | None, Trait]
    amount: Decimal


class CommissionLine(Value):
    """What one event paid, or took back."""

    line: Annotated[int, FieldRole.KEY]
    occurred_at: datetime
    deal: UUID
    event_id: UUID
    """The booking, invoice or payment it rests on."""
    event: SafeText
    """What happened: won, amended, refunded, reopened, repeated, invoiced, paid …"""
    plan_version: Annotated[VersionNumber, Trait]
    """The version in force when the sale was credited."""
    share: Annotated[Decimal, Trait]
    """The rep's part of the sale, as of its win."""
    credited: Decimal
    """What of it was credited to the rep, in the plan's currency; less than nothing where it
    was taken back."""
    exchanges: tuple[ExchangeShown, ...]
    """What it was in the currency it was sold in, and at which rate; none in the plan's own."""
    parts: tuple[PartShown, ...]
    commission: Decimal


class CommissionDifference(Value):
    """What an earlier statement would say otherwise by now."""

    line: Annotated[int, FieldRole.KEY]
    first_day: Annotated[date, Trait]
    """The first day of the period whose statement it is about."""
    deal: UUID | None
    event_id: UUID
    reason: DifferenceReason
    causes: tuple[UUID, ...]
    """The events that made the difference."""
    settled_in: Annotated[date | None, Trait]
    """The first day of the period whose statement paid it; None while none has."""
    commission: Decimal


class CommissionTotals(Value):
    """What the lines come to, and what is paid out."""

    from_sales: Decimal
    from_differences: Decimal
    earned: Decimal
    guaranteed: Decimal
    advanced: Decimal
    recovered: Decimal
    agreed: Decimal
    """What was corrected by hand or agreed in disputes since the statement was issued: a later
    statement pays it, beside draw and guarantee."""
    payable: Decimal
    draw_balance: Decimal


class AccrualReached(Value):
    """How much has accrued, and which rate that has reached."""

    first_day: date
    accrued: Decimal
    tier: Annotated[int | None, Trait]
    """The number of the tier reached; 0 for the base rate, None below the threshold."""
    rate: Annotated[Decimal, Trait]
    factor: Annotated[Decimal, Trait]
    next_starts_at: Annotated[Decimal | None, Trait]
    """From which accrual another rate is paid; None where none is."""


class VersionInForce(Value):
    """A version of the plan that was in force on some day of the period."""

    plan_version: Annotated[VersionNumber, FieldRole.KEY]
    starts: Annotated[date, Trait]
    acknowledged: Annotated[bool, Trait]
    """Whether the rep has acknowledged it by the moment."""
    is_for_rep: Annotated[bool, Trait]
    """Whether it was for the rep on any of these days."""


class NotCreditedShown(Value):
    """What happened in the period and counts for nothing, and why."""

    number: Annotated[int, FieldRole.KEY]
    occurred_at: datetime
    deal: UUID
    event_id: UUID
    event: SafeText
    amount: Decimal | None
    currency: Annotated[Currency | None, Trait]
    reason: NoCredit


class DisputeShown(Value):
    """A line of the issued statement that the rep disputed, and what became of it."""

    line: Annotated[int, FieldRole.KEY]
    time: Annotated[int, FieldRole.KEY]
    """1 for the first dispute of the line, 2 for the second …"""
    missing_deal: UUID | None
    """The deal of a sale that has no line, which the rep misses."""
    objection: Personal | None
    outcome: DisputeOutcome | None
    """None while it is not answered."""
    answer: Personal | None
    agreed: Decimal | None


class StatementAsIssued(Value):
    """The statement as it was issued; it never changes."""

    event_id: UUID
    issued_at: datetime
    figures_as_of: datetime
    figures_known_at: datetime
    """The moment of its figures: asked at it, the question gives these very lines."""
    totals: CommissionTotals
    lines: tuple[CommissionLine, ...]
