"""Cases as they are read: their deals at the moment, at their own moment, and at the closing.

It is a module of its own: what is read of a case, and nothing of how it is asked for or shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.case import Case, CaseState, Tendency, case_id
from salesflow.domain.deal.activities import CompetitorNamed, ContactLogged, ObjectionRaised
from salesflow.domain.deal.after_sales import InterviewHeld
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.quotes import QuoteIssued, QuoteLine, QuoteRevised
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import Currency, Heard, Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.cases.case_texts import CaseMatch
from salesflow.projections.cases.similar_cases import offers_of, walk
from salesflow.projections.core.columns import NOTHING, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.scope import stage_name
from salesflow.projections.table import Processes

__all__ = [
    "CaseAtMoment",
    "CaseChange",
    "CaseDeal",
    "LibraryCase",
    "LibraryFactor",
    "LibraryLesson",
    "PublishedCase",
    "at_moments",
    "buyer_side_of",
    "case_reader",
    "changes_since",
    "library_case_of",
    "products_of",
    "read_cases",
    "read_deal_of",
    "read_deals",
]


class CaseDeal(NamedTuple):
    """A deal as it stands closed, or open, at a moment."""

    deal: UUID
    outcome: str
    closed: Instant | None
    process: str
    process_version: int
    stage: str
    owner: str | None
    customer_id: UUID | None
    amount: int | None
    currency: str | None
    because: str | None
    competitor: str | None
    segment: str | None


OF_CLOSING: Final = (
    *("entity_id", "outcome", "closed", "process", "process_version", "stage", "owner"),
    *("customer_id", "amount", "currency", "because", "competitor"),
)


class BuyerSide(NamedTuple):
    """What the buyer of a deal said it was decided by, asked after the closing."""

    reasons: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()


class PublishedCase(NamedTuple):
    """A case, its facts replayed, and its deal at the moment."""

    case: CaseState
    deal: CaseDeal | None
    """None where no such deal is believed to exist at the moment."""


class LibraryFactor(Value):
    """What a deal was decided by, as somebody judged."""

    position: Annotated[int, FieldRole.KEY]
    factor: Annotated[Reference, FieldRole.TRAIT]
    tendency: Tendency | None
    text: Personal | None


class LibraryLesson(Value):
    """What is to be learned, as somebody said."""

    position: Annotated[int, FieldRole.KEY]
    text: Personal


class LibraryCase(Value):
    """One case: its deal as known at the moment, and what people made of it."""

    case: Annotated[Reference, FieldRole.KEY]
    deal: Annotated[UUID, FieldRole.TRAIT]
    title: SafeText | None
    """What the case is called; None where it goes by its deal."""
    summary: Personal | None
    state: Literal["published", "withdrawn"]
    published_at: datetime
    withdrawn_because: Personal | None
    outcome: Reference | None
    """None where no such deal is believed to exist at the moment; so below."""
    outcome_published: Reference | None
    """As known at the case's own moment."""
    because: SafeText | None
    because_published: SafeText | None
    closed_at: datetime | None
    process: Reference | None
    stage: Reference | None
    """Where the deal stood before it closed."""
    stage_en: SafeText | None
    stage_zh: SafeText | None
    owner: Reference | None
    customer_id: UUID | None
    segment: SafeText | None
    competitor: SafeText | None
    buyer_reasons: tuple[SafeText, ...]
    """What the buyer says the deal was decided by, in interviews after its closing."""
    buyer_competitors: tuple[SafeText, ...]
    """To whom it went, or who else was looked at, as the buyer says there."""
    amount: Decimal | None
    currency: Currency | None
    products: tuple[SafeText, ...]
    """Of the agreed lines, else of the last offer."""
    audience: tuple[SafeText, ...]
    trainings: tuple[SafeText, ...]
    factors: tuple[LibraryFactor, ...]
    lessons: tuple[LibraryLesson, ...]
    found: tuple[CaseMatch, ...]
    """Where the words asked for stand; none where none were."""
    events: int
    """How many facts of the deal are known at the moment."""


class CaseAtMoment(Value):
    """The deal of a case as it was known at one moment."""

    known: Annotated[Literal["at_closing", "as_published", "now"], FieldRole.KEY]
    as_of: datetime
    known_at: datetime
    outcome: Reference | None
    """None where no such deal was believed to exist; so below."""
    closed_at: datetime | None
    stage: Annotated[Reference | None, FieldRole.TRAIT]
    stage_en: SafeText | None
    stage_zh: SafeText | None
    owner: Reference | None
    because: Annotated[SafeText | None, FieldRole.TRAIT]
    competitor: Annotated[SafeText | None, FieldRole.TRAIT]
    amount: Decimal | None
    currency: Annotated[Currency | None, FieldRole.TRAIT]
    events: int
    contacts: int
    offers: int
    """Offers sent, revisions among them."""
    objections: int
    competitors: int


class CaseChange(Value):
    """A fact of the deal that was not known in the case, or is no more believed."""

    position: Annotated[int, FieldRole.KEY]
    change: Annotated[Literal["happened_since", "told_since", "taken_back"], FieldRole.TRAIT]
    kind: Annotated[Reference, FieldRole.TRAIT]
    occurred_at: datetime
    recorded_at: datetime
    event_id: Annotated[UUID, FieldRole.TRAIT]
    actor: Heard | None


def read_cases(reader: Reader, wanted: HeldRows) -> list[CaseState]:
    """Replay cases whose rows hold at the moment, the newest first."""
    streams = reader.streams([case_id(key) for key in wanted.cells("case_key")])
    found = [state_of(Case, CaseState, events, reader) for events in streams.values()]
    return sorted(found, key=_newest_first)


def _newest_first(case: CaseState) -> tuple[int, str]:
    assert case.opening is not None, "its row holds"
    return -case.opening.effective, case.key


def read_deals(reader: Reader, deals: Sequence[UUID]) -> dict[UUID, CaseDeal]:
    """Return deals as they stand closed at the moment; those not there are left out."""
    rows = reader.columns(CLOSING)
    rows = rows.where(rows.has("entity_id", *deals))
    customers = reader.columns(CUSTOMER)
    segment_of = np.full(len(customers.words["entity_id"]) + 1, NOTHING)
    segment_of[customers["entity_id"]] = customers["segment"]
    segments = customers.words["segment"].of(segment_of[rows["customer_id"]])
    return {each.deal: each for each in _deals(rows, segments)}


def read_deal_of(reader: Reader, deal: UUID) -> CaseDeal | None:
    """Return one deal as it stands closed at the moment; None where it is not there."""
    rows = reader.columns(CLOSING, of=deal)
    segments = [
        None
        if customer is None
        else next(iter(reader.columns(CUSTOMER, of=customer).cells("segment")), None)
        for customer in rows.cells("customer_id")
    ]
    return next(_deals(rows, segments), None)


def _deals(rows: HeldRows, segments: Sequence[str | None]) -> Iterator[CaseDeal]:
    cells = zip(*map(rows.cells, OF_CLOSING), segments, strict=True)
    return map(CaseDeal._make, cells)


def case_reader(case: CaseState, reader: Reader) -> EarlierReader:
    """Return the snapshot as it is read for what was known in a case."""
    assert case.opening is not None, "its row holds"
    return EarlierReader.fixed_by(
        reader, case.opening, as_of=case.as_of, known_at=case.known_at
    )


def products_of(history: Iterable[Event], processes: Processes) -> tuple[str, ...]:
    """Name the products a deal is about: of the agreed lines, else of the last offer."""
    path = walk(history, processes)
    lines: Sequence[QuoteLine] = ()
    for offer in offers_of(path):
        lines = offer.lines or lines
    for step in path:
        if isinstance(step.event.fact, LineItemsAgreed):
            lines = step.event.fact.lines
    return tuple(sorted({line.product for line in lines}))


def buyer_side_of(deal: CaseDeal | None, history: Iterable[Event]) -> BuyerSide:
    """Return what the buyer said in interviews at the closing or later; each thing once."""
    if deal is None or deal.closed is None:
        return BuyerSide()
    held = [
        event.fact
        for event in history
        if isinstance(event.fact, InterviewHeld) and event.occurred >= deal.closed
    ]
    reasons = {reason for fact in held for reason in fact.reasons}
    competitors = {fact.competitor for fact in held if fact.competitor is not None}
    return BuyerSide(tuple(sorted(reasons)), tuple(sorted(competitors)))


def library_case_of(
    published: PublishedCase,
    then: CaseDeal | None,
    beside: tuple[Sequence[Event], Sequence[CaseMatch]],
    processes: Processes,
) -> LibraryCase:
    """Write a case down, with its deal as known in the case beside it."""
    case, deal = published
    history, found = beside
    opening, buyer = case.opening, buyer_side_of(deal, history)
    assert opening is not None, "its row holds"
    assert case.deal is not None, "its row holds"
    return LibraryCase(
        case=case.key,
        deal=case.deal,
        title=case.title,
        summary=case.summary,
        state="published" if case.withdrawn is None else "withdrawn",
        published_at=from_instant(opening.effective),
        withdrawn_because=case.withdrawn_because,
        outcome_published=then and then.outcome,
        because_published=then and then.because,
        **_of_deal(deal, processes),
        customer_id=deal and deal.customer_id,
        process=deal and deal.process,
        segment=deal and deal.segment,
        buyer_reasons=buyer.reasons,
        buyer_competitors=buyer.competitors,
        products=products_of(history, processes),
        audience=tuple(case.audience),
        trainings=tuple(case.trainings),
        **_said_in(case),
        found=tuple(found),
        events=len(history),
    )


def _said_in(case: CaseState) -> dict[str, Any]:
    return {
        "factors": tuple(
            LibraryFactor(
                position=each.event.position,
                factor=each.factor,
                tendency=each.tendency,
                text=each.text,
            )
            for each in case.factors
        ),
        "lessons": tuple(
            LibraryLesson(position=each.event.position, text=each.text) for each in case.lessons
        ),
    }


def _of_deal(deal: CaseDeal | None, processes: Processes) -> dict[str, Any]:
    names = ("outcome", "owner", "because", "competitor", "currency", "stage")
    if deal is None:
        nothing = ("closed_at", "amount", "stage_en", "stage_zh")
        return dict.fromkeys((*names, *nothing))
    stage = stage_name(deal.stage, deal.process, deal.process_version, processes)
    return {
        **{name: getattr(deal, name) for name in names},
        "stage_en": stage.name_en,
        "stage_zh": stage.name_zh,
        "closed_at": None if deal.closed is None else from_instant(deal.closed),
        "amount": None if deal.amount is None else unscaled(deal.amount),
    }


def at_moments(case: CaseState, deal: CaseDeal | None, reader: Reader) -> list[CaseAtMoment]:
    """Tell what was known of the deal when it closed, in the case, and what is known now."""
    assert case.deal is not None, "its row holds"
    readers: list[tuple[Literal["at_closing", "as_published", "now"], Reader]] = [
        ("as_published", case_reader(case, reader)),
        ("now", reader),
    ]
    if deal is not None and deal.closed is not None:
        then = EarlierReader(reader, as_of=deal.closed, known_at=deal.closed)
        readers.insert(0, ("at_closing", then))
    return [_at_moment(known, case.deal, each) for known, each in readers]


COUNTED: Final[dict[str, tuple[type[Fact], ...]]] = {
    "contacts": (ContactLogged,),
    "offers": (QuoteIssued, QuoteRevised),
    "objections": (ObjectionRaised,),
}


def _at_moment(
    known: Literal["at_closing", "as_published", "now"], id: UUID, reader: Reader
) -> CaseAtMoment:
    history = believed(reader.events(id), reader)
    facts = [event.fact for event in history]
    named = {fact.competitor for fact in facts if isinstance(fact, CompetitorNamed)}
    counts: dict[str, Any] = {
        name: sum(isinstance(fact, kinds) for fact in facts) for name, kinds in COUNTED.items()
    }
    return CaseAtMoment(
        known=known,
        as_of=from_instant(reader.read_point.as_of),
        known_at=from_instant(reader.read_point.known_at),
        **_of_deal(read_deal_of(reader, id), reader.processes),
        events=len(history),
        **counts,
        competitors=len(named),
    )


def changes_since(case: CaseState, reader: Reader) -> Iterator[CaseChange]:
    """Yield the facts in which what is known now differs from what was known in a case."""
    assert case.deal is not None, "its row holds"
    then = case_reader(case, reader)
    events = reader.events(case.deal)
    before, now = (
        {event.event_id: event for event in believed(events, each)} for each in (then, reader)
    )
    for id, event in sorted({**before, **now}.items(), key=lambda it: it[1].position):
        if id in before and id in now:
            continue
        ahead = event.effective > then.read_point.as_of
        told: Literal["happened_since", "told_since", "taken_back"] = (
            "taken_back" if id in before else "happened_since" if ahead else "told_since"
        )
        yield CaseChange(
            position=event.position,
            change=told,
            kind=event.fact.kind,
            occurred_at=from_instant(event.occurred),
            recorded_at=from_instant(event.recorded),
            event_id=event.event_id,
            actor=event.actor,
        )
