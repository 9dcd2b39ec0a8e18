"""Closed deals like another: found by a plain score, and the one deal beside them.

    score = stages both passed ÷ stages either passed
          + 1 where the amounts are in one currency and the greater is at most twice the other
          + 1 where they came from the same lead source
          + 1 where the customers are of the same segment

Candidates are the other deals of the process that stand won or lost; those of the highest score
are taken, of equal ones the latest to close. A stage was passed when the deal stood in it while
open. All is as of the closing (of a deal that is still open, as of the moment), but for the
customers' segments, which are those of the moment. Leaves out disqualified deals, which never
were a chance.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import compress
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.deal.activities import ContactLogged, ObjectionRaised
from salesflow.domain.deal.quotes import QuoteDrafted, QuoteIssued, QuoteLine, QuoteRevised
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, FactRetracted, believed_history
from salesflow.domain.process import WIN_RATE, ProcessVersion
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import DAY, Instant, from_instant, microseconds_between
from salesflow.domain.values import Currency, Money, Reference, SafeText, Value
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.column_groups import foremost, grouped
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import decimal_of
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.table import Processes

__all__ = [
    "CaseDifference",
    "ClosedDeal",
    "DealSnapshot",
    "HistoryStep",
    "Likeness",
    "OfferAtTime",
    "SimilarDeal",
    "StagePath",
    "days_between",
    "days_of",
    "differences",
    "discount_of",
    "like",
    "list_value_of",
    "offers_of",
    "path_figures",
    "path_to_closing",
    "read_closed",
    "read_deal",
    "similar_deal",
    "similar_deals",
    "walk",
]


# One deal's facts in order, each with where the deal stood before it and after.
#
# What case studies are told from, and what deals are compared by: figures of the way up to the
# standing closing. Irregular facts are passed over. Leaves out all wording.


class DealSnapshot(NamedTuple):
    """Where a deal stood at one point of its history."""

    outcome: str
    stage: str
    process: ProcessVersion | None
    owner: str | None
    amount: Money | None
    expected_close: date | None


class HistoryStep(NamedTuple):
    """A fact that counts, and where the deal stood around it; nowhere before its opening."""

    event: Event
    before: DealSnapshot | None
    after: DealSnapshot


class OfferAtTime(NamedTuple):
    """A draft or an offer at the time of one of its facts."""

    quote: str
    sent: Event | None
    """The fact with which it was sent; None for a draft."""
    lines: tuple[QuoteLine, ...]


class StagePath(NamedTuple):
    """What is counted of a deal on its way, to lay it beside others."""

    contacts: int
    quote_revisions: int
    discount: Fraction | None
    """Of the last offer sent; None where none was, or no list value is known of it."""
    objections: int


def walk(history: Iterable[Event], processes: Processes) -> list[HistoryStep]:
    """Go through a believed history; irregular facts are left out."""
    deal = DealState(ReplayContext(processes))
    found: list[HistoryStep] = []
    for event in history:
        if deal.evolve(event) is None:
            before = found[-1].after if found else None
            found.append(HistoryStep(event, before, _stood(deal)))
    return found


def path_to_closing(path: Sequence[HistoryStep]) -> Sequence[HistoryStep]:
    """Return the way up to the fact that brought the standing outcome about, with that fact."""
    changes = (
        number
        for number, step in enumerate(path)
        if step.before is None or step.before.outcome != step.after.outcome
    )
    return path[: max(changes, default=-1) + 1]


def path_figures(path: Iterable[HistoryStep]) -> StagePath:
    """Count what happened on a way."""
    contacts = revisions = objections = 0
    discount: Fraction | None = None
    for offer in offers_of(path):
        if offer.sent is not None:
            discount = discount_of(offer.lines)
    for step in path:
        contacts += isinstance(step.event.fact, ContactLogged)
        revisions += isinstance(step.event.fact, QuoteRevised)
        objections += isinstance(step.event.fact, ObjectionRaised)
    return StagePath(contacts, revisions, discount, objections)


def offers_of(path: Iterable[HistoryStep]) -> Iterator[OfferAtTime]:
    """Yield every draft and offer with its lines; an offer without any keeps those before."""
    known: dict[str, tuple[QuoteLine, ...]] = {}
    for step in path:
        match step.event.fact:
            case QuoteDrafted(quote=quote, lines=lines):
                known[quote] = lines
                yield OfferAtTime(quote, None, lines)
            case QuoteIssued(quote=quote, lines=lines) | QuoteRevised(quote=quote, lines=lines):
                known[quote] = lines or known.get(quote, ())
                yield OfferAtTime(quote, step.event, known[quote])
            case _:
                pass


def list_value_of(lines: Sequence[QuoteLine]) -> Fraction | None:
    """Return what lines cost without discount; None without lines or in two currencies."""
    if len({line.unit_price.currency for line in lines}) != 1:
        return None
    return sum((_listed(line) for line in lines), Fraction(0))


def discount_of(lines: Sequence[QuoteLine]) -> Fraction | None:
    """Return the part of the list value that is taken off; None without a list value."""
    value = list_value_of(lines)
    if not value:
        return None
    off = sum((_listed(line) * Fraction(line.discount) for line in lines), Fraction(0))
    return off / value


def days_between(
    start: tuple[Instant, bool], end: tuple[Instant, bool], timezone: ZoneInfo
) -> Fraction:
    """Return the days between two instants, each with whether only its day is known.

    Between two such days there are calendar days, between other times what has passed.
    """
    days_only = start[1] and end[1]
    return Fraction(microseconds_between(start[0], end[0], timezone, days_only=days_only), DAY)


def days_of(start: Event, end: Event, timezone: ZoneInfo) -> Decimal:
    """Return the days between two events."""
    first, last = ((e.effective, e.precision == "day") for e in (start, end))
    return decimal_of(days_between(first, last, timezone))


def _listed(line: QuoteLine) -> Fraction:
    return Fraction(line.quantity) * Fraction(line.unit_price.amount)


def _stood(deal: DealState) -> DealSnapshot:
    return DealSnapshot(
        deal.status,
        deal.stage,
        deal.version_in_force,
        deal.owner,
        deal.amount,
        deal.expected_close,
    )


Reason = Literal[
    "same_stage_path", "shared_stages", "similar_amount", "same_lead_source", "same_segment"
]
AMOUNT_FACTOR_MAX: Final = 2
STANDING: Final = ("process", "owner", "customer_id", "lead_source", "amount", "currency")
"""What is read of an open deal as it stands, besides the segment of its customer."""
FIGURES: Final = ("days", "contacts", "quote_revisions", "discount", "objections")


class ClosedDeal(NamedTuple):
    """A deal as it stood when its standing outcome came about."""

    deal: UUID
    opened: Instant
    opened_day_only: int
    outcome: str
    closed: Instant
    closed_day_only: int
    process: str
    process_version: int
    owner: str | None
    customer_id: UUID | None
    lead_source: str | None
    amount: int | None
    currency: str | None
    because: str | None
    competitor: str | None
    segment: str | None

    def days(self, timezone: ZoneInfo) -> Fraction:
        """Return the days from opening to closing."""
        return days_between(
            (self.opened, bool(self.opened_day_only)),
            (self.closed, bool(self.closed_day_only)),
            timezone,
        )

    @property
    def worth(self) -> Decimal | None:
        """What it was worth, in its currency."""
        return None if self.amount is None else unscaled(self.amount)


class Likeness(NamedTuple):
    """Why and how much a deal is like the one that is told of."""

    other: ClosedDeal
    stages_shared: int
    stages_all: int
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> Fraction:
        """The sum of the parts of the module's formula, from 0 to 4."""
        alike = sum(
            reason not in ("same_stage_path", "shared_stages") for reason in self.reasons
        )
        path = Fraction(self.stages_shared, self.stages_all or 1)
        return path + alike


class SimilarDeal(Value):
    """Another closed deal, how much it is like this one, and why."""

    deal: Annotated[UUID, FieldRole.KEY]
    title: SafeText
    outcome: Reference
    closed_at: datetime
    days: Decimal
    amount: Decimal | None
    currency: Currency | None
    score: Decimal
    stages_shared: int
    stages_all: int
    reasons: tuple[Reason, ...]


class CaseDifference(Value):
    """A figure of this deal beside those of its similar deals."""

    figure: Annotated[Reference, FieldRole.KEY]
    value: Decimal | None
    count: int
    """Of how many similar deals it is known."""
    mean: Decimal | None
    median: Decimal | None
    difference: Decimal | None
    """The value less the median; None where one is unknown."""


def read_closed(reader: Reader, deal: UUID) -> ClosedDeal | None:
    """Read a deal as it stood when it closed; None when it is not believed to exist."""
    rows = reader.columns(CLOSING, of=deal)
    if not len(rows):
        return None
    [customer] = rows.cells("customer_id")
    return _one_by_one(rows, [_segment(reader, customer)])[0]


def read_deal(reader: Reader, deal: UUID) -> ClosedDeal:
    """Read a deal as it stood when it closed, or as it stands where it is open.

    Raises:
        NotFoundError: when no such deal is believed to exist at the moment.
        DealClosedError: when it is merged into another then.
    """
    found = read_closed(reader, deal)
    if found is None:
        raise NotFoundError(f"no deal {deal} is believed to exist at that moment")
    if found.outcome == "merged":
        raise DealClosedError(
            f"deal {deal} is merged at that moment; ask about the one it was merged into"
        )
    if found.outcome != "open":
        return found
    rows = reader.columns(DEAL_STATE, of=deal)
    standing = {name: rows.cells(name)[0] for name in STANDING}
    segment = _segment(reader, standing["customer_id"])
    return found._replace(**standing, segment=segment)


def _one_by_one(rows: HeldRows, segments: Sequence[str | None]) -> list[ClosedDeal]:
    """Return closings deal by deal, with the segments of their customers."""
    cells = map(rows.cells, ("entity_id", *ClosedDeal._fields[1:-1]))
    return [ClosedDeal._make(each) for each in zip(*cells, segments, strict=True)]


def _segment(reader: Reader, customer: UUID | None) -> str | None:
    """Return the segment of a customer at the moment; None where nobody knows of it."""
    if customer is None:
        return None
    return next(iter(reader.columns(CUSTOMER, of=customer).cells("segment")), None)


def like(reader: Reader, this: ClosedDeal, at_most: int) -> list[Likeness]:
    """Find the deals most like this one; those with nothing in common are none."""
    closings = reader.columns(CLOSING)
    others = closings.where(
        closings.has("process", this.process)
        & closings.has("outcome", *WIN_RATE)
        & ~closings.has("entity_id", this.deal)
    )
    alike = _alike(reader, this, others)
    shared, every = _stages_passed(reader, this, others)
    # Stages are few: as floats, shares of their counts differ where they differ at all.
    score = np.sum([shared / np.maximum(every, 1), *alike.values()], axis=0)
    some = np.flatnonzero(score)
    some = some[foremost(at_most, -score[some], -others["closed"][some])]
    found = _one_by_one(others.ordered(some), [None] * len(some))
    stages = zip(shared[some].tolist(), every[some].tolist(), strict=True)
    flags = np.transpose([its[some] for its in alike.values()]).tolist()
    likely = [
        Likeness(other, *counts, _reasons(counts, [*compress(alike, its)]))
        for other, counts, its in zip(found, stages, flags, strict=True)
    ]
    likely.sort(key=lambda it: (-it.score, -it.other.closed, it.other.deal))
    return likely[:at_most]


def _alike(reader: Reader, this: ClosedDeal, others: HeldRows) -> dict[Reason, Flags]:
    """Return in what other deals are like one, beside the stages."""
    customers = reader.columns(CUSTOMER)
    segment_of = np.full(len(customers.words["entity_id"]) + 1, NOTHING)
    segment_of[customers["entity_id"]] = customers["segment"]
    segment = segment_of[others["customer_id"]]  # of no customer it is the last, which is none
    return {
        "similar_amount": _within_factor(this, others),
        "same_lead_source": others.known("lead_source")
        & others.has("lead_source", this.lead_source),
        "same_segment": (segment != NOTHING)
        & (segment == customers.code("segment", this.segment)),
    }


def _within_factor(this: ClosedDeal, others: HeldRows) -> Flags:
    """Return which deals are of an amount in the same currency that is like that of one."""
    if this.amount is None or this.amount <= 0:
        return np.zeros(len(others), np.bool_)
    least = -(-this.amount // AMOUNT_FACTOR_MAX)
    amount, most = others["amount"], this.amount * AMOUNT_FACTOR_MAX
    found: Flags = others.has("currency", this.currency) & (amount >= least) & (amount <= most)
    return found


def _stages_passed(reader: Reader, this: ClosedDeal, others: HeldRows) -> tuple[Column, Column]:
    """Return how many stages a deal and each of others both passed, and how many either did.

    Those of its process in which they stood while they were open.
    """
    visits = reader.columns(STAGE_VISIT, ended=True)
    visits = visits.where(
        visits.has("process", this.process)
        & visits.has("outcome", "open")
        & visits.known("stage")
    )
    stages = grouped(visits["stage"])
    passed = np.zeros((len(visits.words["entity_id"]), len(stages.first)), np.bool_)
    passed[visits["entity_id"], stages.of] = True
    mine, theirs = passed[visits.code("entity_id", this.deal)], passed[others["entity_id"]]
    return (mine & theirs).sum(axis=1), (mine | theirs).sum(axis=1)


def _reasons(stages: tuple[int, int], alike: Iterable[Reason]) -> tuple[Reason, ...]:
    shared, every = stages
    if not shared:
        return tuple(alike)
    return "same_stage_path" if shared == every else "shared_stages", *alike


def similar_deals(reader: Reader, this: ClosedDeal, at_most: int) -> tuple[SimilarDeal, ...]:
    """Find the closed deals most like a deal and write them down, the most alike first."""
    found = like(reader, this, at_most)
    deals = [each.other.deal for each in found]
    openings = reader.streams(deals, DealOpened, FactRetracted)

    def title(each: Likeness) -> str:
        return _title(
            believed_history(openings.get(each.other.deal, []), reader.read_point.known_at)
        )

    return tuple(similar_deal(each, title(each), reader.timezone) for each in found)


def _title(history: Sequence[Event]) -> str:
    opened = history[0].fact if history else None  # its opening cannot be read any more
    return (opened.title or "") if isinstance(opened, DealOpened) else ""


def similar_deal(found: Likeness, title: str, timezone: ZoneInfo) -> SimilarDeal:
    """Write a similar deal down."""
    other = found.other
    return SimilarDeal(
        deal=other.deal,
        title=title,
        outcome=other.outcome,
        closed_at=from_instant(other.closed),
        days=decimal_of(other.days(timezone)),
        amount=other.worth,
        currency=other.currency,
        score=decimal_of(found.score),
        stages_shared=found.stages_shared,
        stages_all=found.stages_all,
        reasons=found.reasons,
    )


def differences(
    this: tuple[Fraction, StagePath], others: Sequence[tuple[Fraction, StagePath]]
) -> tuple[CaseDifference, ...]:
    """Lay each figure of this deal beside the mean and the median of the others."""
    mine, theirs = _row(this), [_row(other) for other in others]
    return tuple(
        _difference(figure, mine[number], [row[number] for row in theirs])
        for number, figure in enumerate(FIGURES)
    )


def _row(figures: tuple[Fraction, StagePath]) -> tuple[Fraction | None, ...]:
    days, on_way = figures
    return days, *(None if each is None else Fraction(each) for each in on_way)


def _difference(
    figure: str, value: Fraction | None, others: Sequence[Fraction | None]
) -> CaseDifference:
    known = sorted(each for each in others if each is not None)
    mean = median = None
    if known:
        mean = sum(known, Fraction(0)) / len(known)
        median = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
    apart = None if value is None or median is None else value - median
    return CaseDifference(
        figure=figure,
        value=_written(value),
        count=len(known),
        mean=_written(mean),
        median=_written(median),
        difference=_written(apart),
    )


def _written(exact: Fraction | None) -> Decimal | None:
    return None if exact is None else decimal_of(exact)
