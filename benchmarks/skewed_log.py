"""A log that no report likes: some deals change all the time, some never, much comes late.

Six and a half years of one company. Of a hundred deals one changes a thousand times, one is
opened early and has not been touched for five years or more, and the others go their way, from
two facts to some twenty. Of one deal in ten, about every second fact after its opening is told
months after it happened, so that what was recorded meanwhile has to be believed anew.

Every fact is appended to the log by a clock that stands at the time of its recording: when it
happened, or months later with the time at which it happened beside. Something happens three
times a day; what is recorded then goes into the log together, each deal's facts as an append
of its own.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import cache
from heapq import heappop, heappush
from itertools import count, groupby
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from salesflow import STANDARD, Money, Rep, SalesFlow, Team
from salesflow.adapters.event_store.external_events import ExternalEvent, new_events_of
from salesflow.demo.office import SeededIds
from salesflow.demo.world import ZONE, TurnedClock
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import FeedbackReceived, RepeatOrderPlaced, SurveySent
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact

__all__ = ["skewed_log"]

BEGINS: Final = datetime(2020, 1, 1, 8, tzinfo=ZONE)
ENDS: Final = datetime(2026, 6, 30, 18, tzinfo=ZONE)
DEALS_FROM: Final = BEGINS + timedelta(days=7)
UNTOUCHED_UNTIL: Final = datetime(2021, 6, 1, tzinfo=ZONE)
"""By then deals are opened that stay as they are: five years before the end, and more."""
SECOND: Final = 1_000_000
FACTS_A_DEAL: Final = 20
"""So many there are on the average, those of its customer included."""
CHANGES: Final = 1_000
IN_A_HUNDRED: Final = 100
CHANGING, UNTOUCHED = 50, 51
"""Which deal of a hundred changes all the time, and which one never."""
LATE: Final = 0.1
"""Such a part of the other deals is told late."""
DAYS_LATE: Final = (60, 240)
DEALS_A_CUSTOMER: Final = 3
STAGES: Final = tuple(stage.key for stage in STANDARD.open_stages)
REASONS: Final = tuple(reason.key for reason in STANDARD.loss_reasons)
CHANNELS: Final = ("call", "visit", "email", "chat")
SOURCES: Final = ("website", "referral", "fair", "advertisement")
CURRENCIES: Final = ("CNY",) * 8 + ("USD", "EUR")
REPS: Final = tuple(f"rep-{number:02}" for number in range(40))
TEAMS: Final = ("north", "south", "east", "west")
HOURS: Final = (9, 13, 17)

Happening = tuple[datetime, Fact]


class Told(NamedTuple):
    """A fact on its way into the log."""

    recorded: datetime
    number: int
    """In which order facts of the same hour are told."""
    stream: UUID
    fact: Fact
    occurred: datetime | None
    """None for the time of recording."""


def skewed_log(url: str, tenant: str, events: int, seed: int = 1) -> None:
    """Fill the log of a new tenant with about so many events."""
    clock = TurnedClock(BEGINS)
    ids = SeededIds(clock, seed)
    with SalesFlow(url, tenant=tenant, timezone=ZONE.key, clock=clock, event_ids=ids) as flow:
        _hire(flow)
        versions: dict[UUID, int] = {}
        deals = max(1, events // FACTS_A_DEAL)
        for recorded, hour in groupby(_told(deals, ids, seed), lambda each: each.recorded):
            clock.now = recorded
            appends = [
                new_events_of(
                    [ExternalEvent(stream, each.fact, each.occurred) for each in told],
                    versions,
                    None,
                )
                for stream, told in groupby(
                    sorted(hour, key=lambda each: (each.stream, each.number)),
                    lambda each: each.stream,
                )
            ]
            flow.log.append_many(appends)


def _hire(flow: SalesFlow) -> None:
    with flow.session(actor="office") as s:
        for team in TEAMS:
            s.add(Team.form(team, name_en=team.capitalize(), name_zh=team))
        for number, rep in enumerate(REPS):
            s.add(Rep.join(rep, team=TEAMS[number % len(TEAMS)], name=rep.capitalize()))


def _told(deals: int, ids: Callable[[], UUID], seed: int) -> Iterator[Told]:
    """Yield the facts of all deals in the order of their recording, up to the end."""
    waiting: list[Told] = []
    numbers = count()
    for place, (opened, deal) in enumerate(_openings(deals, seed)):
        while waiting and waiting[0].recorded < opened:
            yield heappop(waiting)
        stream, chance = ids(), Random(f"{seed}/{deal}")
        customer, is_new = _customer(place, seed)
        if is_new:
            new = CustomerRegistered(name=f"Customer {place}", region=chance.choice(TEAMS))
            heappush(waiting, Told(opened, next(numbers), customer, new, None))
        may_be_late = deal % IN_A_HUNDRED not in (CHANGING, UNTOUCHED)
        is_late = may_be_late and chance.random() < LATE
        for occurred, fact in _life(deal, opened, customer, chance):
            number, recorded, said = next(numbers), occurred, None
            if is_late and occurred > opened and chance.random() < 1 / 2:
                recorded = occurred + timedelta(days=chance.randint(*DAYS_LATE))
                said = occurred + timedelta(microseconds=number % SECOND)
            if recorded <= ENDS:
                heappush(waiting, Told(recorded, number, stream, fact, said))
    while waiting:
        yield heappop(waiting)


def _openings(deals: int, seed: int) -> list[tuple[datetime, int]]:
    """Return when each deal is opened, the first one first."""
    chance = Random(f"{seed}/openings")
    found = []
    for deal in range(deals):
        until = UNTOUCHED_UNTIL if deal % IN_A_HUNDRED == UNTOUCHED else ENDS
        at = DEALS_FROM + (until - DEALS_FROM) * chance.random()
        found.append((_at_work(at, chance), deal))
    return sorted(found)


def _customer(place: int, seed: int) -> tuple[UUID, bool]:
    """Return the customer of a deal by its place, and whether it is the customer's first."""
    chance = Random(f"{seed}/customer/{place}")
    if place >= DEALS_A_CUSTOMER and chance.random() > 1 / DEALS_A_CUSTOMER:
        return _customer(chance.randrange(place), seed)[0], False
    return UUID(int=chance.getrandbits(128), version=4), True


def _at_work(at: datetime, chance: Random) -> datetime:
    """Return an hour at which somebody is at work, on the same day."""
    return at.replace(hour=chance.choice(HOURS), minute=0, second=0, microsecond=0)


def _life(deal: int, opened: datetime, customer: UUID, chance: Random) -> Iterator[Happening]:
    """Yield what happens to a deal, and when."""
    currency, is_known = chance.choice(CURRENCIES), chance.random() < 0.9
    yield (
        opened,
        DealOpened(
            process=STANDARD.key,
            process_version=STANDARD.version,
            stage=STAGES[0],
            title=f"Deal {deal}",
            owner=chance.choice(REPS),
            customer_id=customer,
            amount=_money(chance.randrange(1, 1_000), currency) if is_known else None,
            expected_close=_day(opened, chance.randrange(30, 200)),
            lead_source=chance.choice(SOURCES),
        ),
    )
    kind = deal % IN_A_HUNDRED
    if kind == CHANGING:
        yield from _changes(opened, currency, chance)
    elif kind == UNTOUCHED:
        yield opened, _contact(chance.choice(CHANNELS), "out")
    else:
        yield from _usual(opened, currency, chance)


def _changes(at: datetime, currency: str, chance: Random) -> Iterator[Happening]:
    """Yield a thousand changes: to and fro between stages, amounts, closing dates, contacts."""
    stage = 0
    for _ in range(CHANGES - 2):
        if days := chance.choice((0, 1, 1, 1, 2)):
            at = _at_work(at + timedelta(days=days), chance)
        match chance.randrange(4):
            case 0:
                stage = max(0, min(len(STAGES) - 1, stage + chance.choice((-1, 1))))
                yield at, _move(STAGES[stage])
            case 1:
                yield at, ForecastGiven(amount=_money(chance.randrange(1, 1_000), currency))
            case 2:
                yield at, ForecastGiven(expected_close=_day(at, chance.randrange(10, 100)))
            case _:
                yield at, _contact(chance.choice(CHANNELS), chance.choice(("in", "out")))
    yield at, DealLost(because=chance.choice(REASONS))


def _usual(at: datetime, currency: str, chance: Random) -> Iterator[Happening]:
    """Yield contacts and moves from stage to stage, then how it ended, if it did."""
    for stage in STAGES[1:]:
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            at = _later(at, chance, 6)
            yield at, _contact(chance.choice(CHANNELS), chance.choice(("in", "out", "out")))
        if chance.random() < 0.3:
            amount = _money(chance.randrange(1, 1_000), currency)
            yield at, ForecastGiven(amount=amount, expected_close=_day(at, 60))
        if chance.random() < 0.15:
            yield from _lost(_later(at, chance, 20), chance)
            return
        at = _later(at, chance, 12)
        yield at, _move(stage)
    at = _later(at, chance, 20)
    if chance.random() < 0.3:
        yield from _lost(at, chance)
    elif chance.random() < 0.9:
        yield from _won(at, currency, chance)


def _lost(at: datetime, chance: Random) -> Iterator[Happening]:
    if chance.random() < 0.1:
        yield at, DealDisqualified(because=None)
        return
    competitor = f"Competitor {chance.randrange(8)}" if chance.random() < 0.4 else None
    yield at, DealLost(because=chance.choice(REASONS), competitor=competitor)
    if chance.random() < 0.03:
        yield _later(at, chance, 60), DealReopened(stage=STAGES[1])


def _won(at: datetime, currency: str, chance: Random) -> Iterator[Happening]:
    yield at, DealWon(amount=_money(chance.randrange(1, 1_000), currency))
    if chance.random() < 0.5:
        at = _later(at, chance, 20)
        yield at, SurveySent(survey="after-sales", scale="csat")
        if chance.random() < 0.6:
            score = chance.choice((2, 3, 4, 4, 5, 5))
            at = _later(at, chance, 10)
            yield at, FeedbackReceived(survey="after-sales", scale="csat", score=score)
    if chance.random() < 0.2:
        amount = _money(chance.randrange(1, 300), currency)
        yield _later(at, chance, 200), RepeatOrderPlaced(amount=amount)


def _later(at: datetime, chance: Random, days: int) -> datetime:
    return _at_work(at + timedelta(days=chance.randint(1, days)), chance)


def _day(at: datetime, days: int) -> date:
    return at.date() + timedelta(days=days)


@cache
def _money(thousands: int, currency: str) -> Money:
    return Money(f"{thousands * 1_000}.50", currency)


@cache
def _move(target: str) -> StageMoved:
    return StageMoved(target=target)


@cache
def _contact(channel: str, direction: str) -> ContactLogged:
    return ContactLogged(channel=channel, direction=direction)  # type: ignore[arg-type]
