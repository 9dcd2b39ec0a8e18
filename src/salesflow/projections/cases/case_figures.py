"""What a case study says of one deal: chapters, quotes, objections, people, turning points.

Each function takes the steps of the deal (`walk`) and gives frozen rows. Leaves out other
deals: those are in `similar_cases`.

It is a module of its own, since what is found in a history can be tested without its tables.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import (
    CompetitorNamed,
    ContactLogged,
    Direction,
    ObjectionRaised,
    ObjectionResolved,
)
from salesflow.domain.deal.people import HelpGiven, HelpRequested
from salesflow.domain.deal.quotes import QuoteState
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Event
from salesflow.domain.time import DAY, from_instant
from salesflow.domain.values import Currency, Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import amount_text
from salesflow.projections.cases.similar_cases import (
    DealSnapshot,
    HistoryStep,
    days_of,
    discount_of,
    list_value_of,
    offers_of,
)
from salesflow.projections.core.statistics import decimal_of
from salesflow.projections.metrics.visits import StageVisit, Steps
from salesflow.projections.pipeline.deal_timeline import TimelineFact, timeline_facts
from salesflow.projections.scope import stage_name
from salesflow.projections.table import Processes

__all__ = [
    "CaseSummary",
    "Chapter",
    "ChapterContacts",
    "CompetitorSeen",
    "CreditShare",
    "HelpSought",
    "ObjectionMet",
    "OwnerSpan",
    "QuoteMade",
    "TeamMember",
    "Turn",
    "TurningPoint",
    "chapters",
    "competitors",
    "credit_shares",
    "help_sought",
    "objections",
    "owners",
    "quotes",
    "team",
    "turning_points",
]


# Turning points: the facts after which a deal stood quite differently, each with its figure.
#
# A return to an earlier stage or a skip (by how many stages), reopening (after how many days),
# another owner (which one it is), an amount changed by a quarter or more, an expected close put
# off by 30 days or more, the first competitor and the first objection (on which day). Amounts
# in two currencies, or from nothing, are not compared. Leaves out what to make of them.

Turn = Literal[
    "returned",
    "skipped",
    "reopened",
    "owner_changed",
    "amount_changed",
    "close_pushed",
    "first_competitor",
    "first_objection",
]
Unit = Literal["stages", "days", "owners", "part"]

AMOUNT_CHANGE_MIN: Final = Fraction(1, 4)
PUSH_DAYS_MIN: Final = 30


class TurningPoint(Value):
    """A fact that changed where the deal stood, and the figure that makes it one."""

    position: Annotated[int, FieldRole.KEY]
    turn: Annotated[Turn, FieldRole.KEY]
    at: datetime
    fact: Annotated[Reference, FieldRole.TRAIT]
    """The stored kind of the fact."""
    figure: Decimal | None
    """In its unit: stages passed, days, the number of the owner, the part of the amount before;
    None where the stages are not of one process version."""
    unit: Unit
    before: SafeText | None
    after: SafeText | None


def turning_points(
    path: Sequence[HistoryStep], steps: Iterable[StageVisit], timezone: ZoneInfo
) -> Iterator[TurningPoint]:
    """Yield the turning points in the order in which they came about."""
    entered = {step.begun: step.entered for step in steps}
    seen: set[Turn] = set()
    closed = path[0].event if path else None
    owned = 1
    for each in path:
        was, now = each.before, each.after
        if was is None:
            continue
        yield from _moved(each, was, entered.get(each.event.position))
        if entered.get(each.event.position) == "reopened" and closed is not None:
            days = days_of(closed, each.event, timezone)
            yield _turn(each, "reopened", days, "days", (was.outcome, now.outcome))
        if was.outcome != now.outcome:
            closed = each.event
        if was.owner is not None and was.owner != now.owner:
            owned += 1
            between = (was.owner, now.owner)
            yield _turn(each, "owner_changed", Decimal(owned), "owners", between)
        yield from _worth(each, was)
        for turn, kind in FIRSTS.items():
            if isinstance(each.event.fact, kind) and turn not in seen:
                seen.add(turn)
                days = days_of(path[0].event, each.event, timezone)
                yield _turn(each, turn, days, "days", (None, _named(each.event)))


FIRSTS: Final[dict[Turn, type[CompetitorNamed | ObjectionRaised]]] = {
    "first_competitor": CompetitorNamed,
    "first_objection": ObjectionRaised,
}


def _moved(step: HistoryStep, was: DealSnapshot, entered: str | None) -> Iterator[TurningPoint]:
    """Count the stages between for a return or a skip."""
    if not isinstance(step.event.fact, StageMoved) or entered not in ("returned", "skipped"):
        return
    turn: Turn = "returned" if entered == "returned" else "skipped"
    process, now = step.after.process, step.after
    figure = None
    if process is not None:
        left, target = process.order(was.stage), process.order(now.stage)
        if left >= 0 and target >= 0:
            figure = Decimal(left - target if turn == "returned" else target - left - 1)
    yield _turn(step, turn, figure, "stages", (was.stage, now.stage))


def _worth(step: HistoryStep, was: DealSnapshot) -> Iterator[TurningPoint]:
    """Compare amount and expected close with those before the fact."""
    old, new = was.amount, step.after.amount
    if old is not None and new is not None and old.currency == new.currency and old.amount:
        change = Fraction(new.amount - old.amount) / abs(Fraction(old.amount))
        if abs(change) >= AMOUNT_CHANGE_MIN:
            between = tuple(amount_text(each.amount, each.currency) for each in (old, new))
            figure = decimal_of(change)
            yield _turn(step, "amount_changed", figure, "part", (between[0], between[1]))
    first, then = was.expected_close, step.after.expected_close
    if first is not None and then is not None and (then - first).days >= PUSH_DAYS_MIN:
        between = (first.isoformat(), then.isoformat())
        yield _turn(step, "close_pushed", Decimal((then - first).days), "days", between)


def _turn(
    step: HistoryStep,
    turn: Turn,
    figure: Decimal | None,
    unit: Unit,
    between: tuple[str | None, str | None],
) -> TurningPoint:
    return TurningPoint(
        position=step.event.position,
        turn=turn,
        at=from_instant(step.event.effective),
        fact=step.event.fact.kind,
        figure=figure,
        unit=unit,
        before=between[0],
        after=between[1],
    )


def _named(event: Event) -> str | None:
    match event.fact:
        case CompetitorNamed(competitor=name):
            return name
        case ObjectionRaised(topic=topic):
            return topic
        case _:
            return None


class CaseSummary(Value):
    """The deal as it stood when its standing outcome came about."""

    deal: UUID
    title: SafeText
    process: Reference
    outcome: Reference
    opened_at: datetime
    closed_at: datetime
    days: Decimal
    """From opening to closing."""
    amount: Decimal | None
    currency: Currency | None
    owner: Reference | None
    customer_id: UUID | None
    lead_source: SafeText | None
    because: SafeText | None
    """The reason of a loss or a disqualification."""
    competitor: SafeText | None
    """To whom it was lost."""


class ChapterContacts(Value):
    """How often there was contact by one channel in one direction."""

    channel: Annotated[Reference | None, FieldRole.KEY]
    direction: Annotated[Direction | None, FieldRole.KEY]
    count: int


class Chapter(Value):
    """A visit to a stage, and all that happened in it; without a stage, time spent closed."""

    position: Annotated[int, FieldRole.KEY]
    """Of the fact with which it begins."""
    process: Reference
    stage: Reference | None
    stage_en: SafeText | None
    stage_zh: SafeText | None
    outcome: Reference
    entered: Reference
    entered_at: datetime
    left_at: datetime | None
    """None while it goes on at the moment."""
    days: Decimal
    days_max: int | None
    """Of the stage, in the process version under which it was entered."""
    overdue: bool
    contacts: tuple[ChapterContacts, ...]
    facts: tuple[TimelineFact, ...]


class QuoteMade(Value):
    """An offer as it stands at the moment."""

    quote: Annotated[Reference, FieldRole.KEY]
    state: QuoteState
    issued_at: datetime | None
    """When it was first sent; None for a draft."""
    total: Decimal | None
    currency: Currency | None
    list_value: Decimal | None
    """What its lines would cost without discount; None where no lines are known."""
    discount: Decimal | None
    """The part of the list value that is taken off."""
    revisions: int


class ObjectionMet(Value):
    """A doubt of the customer, and how and how soon it was answered."""

    objection: Annotated[Reference, FieldRole.KEY]
    topic: SafeText | None
    doubt: Personal | None
    raised_at: datetime
    resolved: bool
    resolved_at: datetime | None
    days: Decimal | None
    """From raising to resolving; None while it is unresolved."""
    answer: Personal | None


class CompetitorSeen(Value):
    """Another who was after the deal."""

    competitor: Annotated[SafeText, FieldRole.KEY]
    named_at: datetime
    """For the first time."""


class OwnerSpan(Value):
    """Who owned the deal from one fact on."""

    position: Annotated[int, FieldRole.KEY]
    owner: Reference | None
    start: datetime
    end: datetime | None
    """None for the owner at the moment."""


class TeamMember(Value):
    """Somebody who worked on the deal beside its owner when it closed."""

    person: Annotated[Reference, FieldRole.KEY]
    department: SafeText | None
    role: SafeText | None
    credit: Decimal


class CreditShare(Value):
    """Who is credited with which part of the deal."""

    person: Annotated[Reference, FieldRole.KEY]
    credit: Decimal


class HelpSought(Value):
    """A call for help, and who answered it when."""

    request: Annotated[Reference, FieldRole.KEY]
    department: SafeText | None
    question: Personal | None
    asked_at: datetime
    given_at: datetime | None
    """When somebody first helped; None while nobody has."""
    days: Decimal | None
    """From asking to the first help."""
    given_by: Reference | None
    answer: Personal | None


class _StepAndEvents(NamedTuple):
    """A step of the deal, and what happened in it."""

    step: StageVisit
    facts: list[TimelineFact]
    contacts: Counter[tuple[str | None, Direction | None]]


def chapters(
    history: Sequence[Event],
    steps: Steps,
    visits: Sequence[StageVisit],
    processes: Processes,
) -> Iterator[Chapter]:
    """Cut a believed history at the facts with which the steps of the deal begin."""
    numbers = {visit.begun: number for number, visit in enumerate(visits)}
    parts: dict[int, _StepAndEvents] = {}
    number = 0
    for event, fact in zip(history, timeline_facts(list(history), processes), strict=True):
        number = numbers.get(event.position, number)
        part = parts.setdefault(number, _StepAndEvents(visits[number], [], Counter()))
        part.facts.append(fact)
        if isinstance(event.fact, ContactLogged) and fact.irregular is None:
            part.contacts[event.fact.channel, event.fact.direction] += 1
    ends = [*list(parts)[1:], -1]
    lasted = steps.between(np.array([*parts]), np.array(ends)).tolist()
    for part, end, its in zip(parts.values(), ends, lasted, strict=True):
        yield _chapter(part, None if end < 0 else visits[end], its, processes)


def _chapter(
    steps: _StepAndEvents, end: StageVisit | None, lasted: int, processes: Processes
) -> Chapter:
    step, name, days_max = steps.step, None, None
    if step.stage is not None:
        name = stage_name(step.stage, step.process, step.version, processes)
        process = processes.get((step.process, step.version))
        stage = None if process is None else process.by_key.get(step.stage)
        days_max = None if stage is None else stage.max_days
    return Chapter(
        position=step.begun,
        process=step.process,
        stage=step.stage,
        stage_en=None if name is None else name.name_en,
        stage_zh=None if name is None else name.name_zh,
        outcome=step.outcome,
        entered=step.entered,
        entered_at=from_instant(step.at),
        left_at=None if end is None else from_instant(end.at),
        days=decimal_of(Fraction(lasted, DAY)),
        days_max=days_max,
        overdue=days_max is not None and lasted > days_max * DAY,
        contacts=tuple(_counted(steps.contacts)),
        facts=tuple(steps.facts),
    )


def _counted(
    contacts: Counter[tuple[str | None, Direction | None]],
) -> Iterator[ChapterContacts]:
    ordered = sorted(contacts.items(), key=lambda it: (-it[1], it[0][0] or "", it[0][1] or ""))
    for (channel, direction), count in ordered:
        yield ChapterContacts(channel=channel, direction=direction, count=count)


def quotes(path: Sequence[HistoryStep], deal: Deal) -> Iterator[QuoteMade]:
    """Yield the offers in the order in which they were first heard of."""
    issued: dict[str, datetime] = {}
    for offer in offers_of(path):
        if offer.sent is not None:
            issued.setdefault(offer.quote, offer.sent.occurred_at)
    for key, quote in deal.quotes.items():
        value, discount = list_value_of(quote.lines), discount_of(quote.lines)
        yield QuoteMade(
            quote=key,
            state=quote.state,
            issued_at=issued.get(key),
            total=None if quote.total is None else quote.total.amount,
            currency=None if quote.total is None else quote.total.currency,
            list_value=None if value is None else decimal_of(value),
            discount=None if discount is None else decimal_of(discount),
            revisions=quote.revisions,
        )


def objections(path: Sequence[HistoryStep], timezone: ZoneInfo) -> Iterator[ObjectionMet]:
    """Yield the objections as they stand; one raised again under its key begins anew."""
    met: dict[str, tuple[Event, ObjectionRaised, list[Event]]] = {}
    for step in path:
        fact = step.event.fact
        if isinstance(fact, ObjectionRaised):
            met[fact.objection] = (step.event, fact, [])
        elif isinstance(fact, ObjectionResolved) and fact.objection in met:
            met[fact.objection][2].append(step.event)
    for key, (raised, said, answers) in met.items():
        first = answers[0] if answers else None
        answer = answers[-1].fact if answers else None
        yield ObjectionMet(
            objection=key,
            topic=said.topic,
            doubt=said.doubt,
            raised_at=raised.occurred_at,
            resolved=first is not None,
            resolved_at=None if first is None else first.occurred_at,
            days=None if first is None else days_of(raised, first, timezone),
            answer=answer.answer if isinstance(answer, ObjectionResolved) else None,
        )


def competitors(path: Sequence[HistoryStep]) -> Iterator[CompetitorSeen]:
    """Yield the competitors in the order in which they were named."""
    named: dict[str, datetime] = {}
    for step in path:
        if isinstance(step.event.fact, CompetitorNamed):
            named.setdefault(step.event.fact.competitor, step.event.occurred_at)
    for competitor, at in named.items():
        yield CompetitorSeen(competitor=competitor, named_at=at)


def owners(path: Sequence[HistoryStep]) -> Iterator[OwnerSpan]:
    """Yield the owners one after the other."""
    begun = [
        step for step in path if step.before is None or step.before.owner != step.after.owner
    ]
    starts = [from_instant(step.event.effective) for step in begun]
    for step, start, end in zip(begun, starts, [*starts[1:], None], strict=True):
        yield OwnerSpan(
            position=step.event.position, owner=step.after.owner, start=start, end=end
        )


def team(closing: Deal) -> Iterator[TeamMember]:
    """Yield those who worked on the deal, as of its closing."""
    for _, each in sorted(closing.collaborators.items()):
        yield TeamMember(
            person=each.person, department=each.department, role=each.role, credit=each.credit
        )


def credit_shares(closing: Deal) -> Iterator[CreditShare]:
    """Yield who is credited with what, as of the closing."""
    shares: Mapping[str, Decimal] = closing.credits
    for person, credit in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        yield CreditShare(person=person, credit=credit)


def help_sought(path: Sequence[HistoryStep], timezone: ZoneInfo) -> Iterator[HelpSought]:
    """Yield the calls for help; one repeated under its key begins anew."""
    sought: dict[str, tuple[Event, HelpRequested, list[Event]]] = {}
    for step in path:
        fact = step.event.fact
        if isinstance(fact, HelpRequested):
            sought[fact.request] = (step.event, fact, [])
        elif isinstance(fact, HelpGiven) and fact.request in sought:
            sought[fact.request][2].append(step.event)
    for key, (asked, said, given) in sought.items():
        last = given[-1].fact if given else None
        yield HelpSought(
            request=key,
            department=said.department,
            question=said.question,
            asked_at=asked.occurred_at,
            given_at=given[0].occurred_at if given else None,
            days=days_of(asked, given[0], timezone) if given else None,
            given_by=last.by if isinstance(last, HelpGiven) else None,
            answer=last.answer if isinstance(last, HelpGiven) else None,
        )
