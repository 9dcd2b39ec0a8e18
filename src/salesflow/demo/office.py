"""The office and the deals it works on: what a deal's life needs at hand in every stage.

What is done in a stage is told in `work`, how a stage ends in `endings`, what comes after
winning in `after_sales`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import Connection

from salesflow.demo.buyers import Buyers
from salesflow.demo.offers import CHANNELS, CONTACT_NOTES, LEAD_SOURCES, NEXT_STEPS, DemoOffer
from salesflow.demo.world import Agenda, Company, DemoRep, Life, TurnedClock, office_time
from salesflow.domain.deal import Deal
from salesflow.domain.process import ProcessVersion
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.values import Money
from salesflow.engine import SalesFlow, Session
from salesflow.errors import DealClosedError

__all__ = [
    "MANAGERS",
    "Correction",
    "DealLife",
    "DealPlan",
    "Office",
    "Pace",
    "SeededIds",
    "Workplace",
]


# How quickly things happen, and how late they are written down.
#
# A `Pace` walks one life through time. `after(days)` lets days pass and gives the time at which
# what happened then is recorded: mostly at once, sometimes the same evening, now and then days
# or weeks later. `when` is what the record should say: None when it was prompt.

PROMPT: Final = 0.6
"""Of what is not tardy, the share that is recorded on the spot; the rest hours later."""
VERY_LATE: Final = 0.15
"""Of what is tardy, the share that comes weeks late."""
SOON = timedelta(minutes=7)


class Pace:
    """One life's way through time."""

    def __init__(self, chance: Random, begins: datetime, tardiness: float) -> None:
        self.chance = chance
        self.happened = begins
        """When the last thing happened."""
        self.when: datetime | None = None
        """What the record says of it; None for the time of recording."""
        self._recorded = begins
        self._tardiness = tardiness

    def after(self, days: float, *, prompt: bool = False) -> datetime:
        """Let about so many days pass; give the time at which that is recorded."""
        passed = days * self.chance.uniform(0.4, 1.6)
        earliest = max(self.happened, self._recorded if self.when is None else self.happened)
        self.happened = office_time(self.chance, earliest + SOON + timedelta(days=passed))
        late = timedelta(0) if prompt else self.lateness()
        told = self.happened if late == timedelta(0) else self._told(late)
        self._recorded = max(told, self._recorded + SOON)
        self.when = None if self._recorded == self.happened else self.happened
        return self._recorded

    def lateness(self) -> timedelta:
        """Return how long after the fact somebody gets round to recording it."""
        roll = self.chance.random()
        if roll > self._tardiness:
            hours = self.chance.uniform(0.2, 7) if self.chance.random() > PROMPT else 0.0
            return timedelta(hours=hours)
        if roll > self._tardiness * VERY_LATE:
            return timedelta(days=self.chance.uniform(0.6, 4))
        return timedelta(days=self.chance.uniform(5, 26))

    def _told(self, late: timedelta) -> datetime:
        told = self.happened + late
        return told if late < timedelta(hours=12) else office_time(self.chance, told)


# Where the simulation happens: a log, the clock that is turned, and seeded chance.
#
# Lives record through `session` like any embedding does. Ids and chances derive from
# the seed and a name, so that one life never disturbs another.

SIMULATION = uuid5(NAMESPACE_URL, "salesflow:simulation")


class SeededIds:
    """Event ids as UUID version 7 by the turned clock and a seeded chance."""

    def __init__(self, clock: TurnedClock, seed: int) -> None:
        self._clock = clock
        self._chance = Random(f"{seed}/events")

    def __call__(self) -> UUID:
        """Make the next id."""
        milliseconds = int(self._clock.now.timestamp() * 1000)
        high = milliseconds << 80 | 0x7 << 76 | self._chance.getrandbits(12) << 64
        return UUID(int=high | 0b10 << 62 | self._chance.getrandbits(62))


@dataclass
class Workplace:
    """A log that is worked on by the turned clock."""

    flow: SalesFlow
    clock: TurnedClock
    seed: int
    agenda: Agenda = field(init=False)
    connection: Connection | None = None
    """The transaction that several days' sessions share; None between two of them."""
    _transaction: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Set up the agenda over the same clock."""
        self.agenda = Agenda(self.clock)

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection = None
        self._transaction.__exit__(kind, error, trace)

    def settle(self) -> None:
        """Commit what was recorded since the last time; every append keeps its own instant."""
        with self.apart():
            pass

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Do something outside the shared transaction."""
        self.connection = None
        self._transaction.close()
        yield
        self._begin()

    def _begin(self) -> None:
        self._transaction = ExitStack()
        begun = self.flow.log.database.begin()
        self.connection = self._transaction.enter_context(begun)

    def chance(self, *name: object) -> Random:
        """Return a chance of its own to a life, by its name."""
        return Random("/".join(map(str, (self.seed, *name))))

    def id(self, *name: object) -> UUID:
        """Return the id of a thing by its name."""
        return uuid5(SIMULATION, "/".join(map(str, (self.seed, *name))))

    @contextmanager
    def session(self, actor: str) -> Iterator[Session]:
        """Open a session of somebody, now."""
        with self.flow.session(actor=actor, connection=self.connection) as session:
            yield session


MANAGERS: Final = {"east": "lead-east", "south": "lead-south"}
KNOWN_AT_OPENING: Final = 0.7
TRAINED_MORE: Final = 0.15
"""By how much the skill of a rep grows who completed the training."""


@dataclass(frozen=True)
class Correction:
    """A win that was recorded wrongly and put right later; the story tells one."""

    deal: UUID
    wrong: Money
    right: Money
    mended: datetime


@dataclass
class Office(Workplace):
    """One sales organisation under simulation, and what it remembers."""

    process: ProcessVersion = STANDARD
    """The version new deals are opened under."""
    owners: dict[UUID, str] = field(default_factory=dict)
    """Who owns which deal."""
    lives: list["DealLife"] = field(default_factory=list)
    """Every deal's life, in the order in which they began."""
    customers: dict[str, UUID] = field(default_factory=dict)
    wins: dict[str, int] = field(default_factory=dict)
    """Deals won per customer."""
    won: list[UUID] = field(default_factory=list)
    """Deals that were won, in that order; some were lost again."""
    corrections: list[Correction] = field(default_factory=list)
    numbers: int = 0
    trained: set[str] = field(default_factory=set)
    """The reps who completed the training that lets them sell better."""

    def next_number(self) -> int:
        """Number the next deal."""
        self.numbers += 1
        return self.numbers

    @contextmanager
    def deal(
        self, id: UUID, *, actor: str | None = None, any_outcome: bool = False
    ) -> Iterator[Deal]:
        """Work on a deal, as its owner when nobody is named.

        Raises:
            DealClosedError: when it is not open any more.
        """
        with self.session(actor or self.owners.get(id, "system")) as session:
            deal = session.get(Deal, id)
            if deal.merged_into is not None or not (any_outcome or deal.is_open):
                raise DealClosedError(f"deal {id} was closed meanwhile")
            yield deal


class DealPlan(NamedTuple):
    """What is settled about a deal when it begins."""

    number: int
    company: Company
    rep: DemoRep
    offer: DemoOffer


class DealLife:
    """One deal, lived."""

    def __init__(self, office: Office, plan: DealPlan) -> None:
        self.office = office
        self.plan = plan
        self.id: UUID = office.id("deal", plan.number)
        self.chance = office.chance("deal", plan.number)
        self.pace = Pace(self.chance, office.clock.now, plan.rep.tardiness)
        apart = office.chance("buyers", plan.number)
        self.buyers = Buyers(plan.company, plan.rep.skill, apart, office.id)
        """Who decides at the customer."""
        self.stage = ""
        """Where it stands; empty when nobody works on it any more."""
        self.given_up = False
        """Whether the record of it is being put right, so that nobody works on it."""
        self.misplaced = False
        """Whether somebody moved it by mistake, which is not put right yet."""
        self.came_back = False
        """Whether it was reopened after a loss."""
        self.lost = False
        """Whether it was recorded lost and nobody works on it."""
        self.quote: str | None = None
        """The offer that is with the customer."""

    @property
    def when(self) -> datetime | None:
        """What the record says of the time; None for now."""
        return self.pace.when

    @property
    def skill(self) -> float:
        """How well its rep sells by now."""
        rep = self.plan.rep
        return rep.skill + (TRAINED_MORE if rep.id in self.office.trained else 0)

    @property
    def manager(self) -> str:
        """Who leads the team."""
        return MANAGERS[self.plan.rep.team]

    def maybe(self, share: float) -> bool:
        """Throw the dice."""
        return self.chance.random() < share

    @contextmanager
    def deal(self, *, actor: str | None = None, any_outcome: bool = False) -> Iterator[Deal]:
        """Work on the deal.

        Raises:
            DealClosedError: when it is not open any more, or was given up.
        """
        if self.given_up:
            raise DealClosedError(f"deal {self.id} was given up")
        with self.office.deal(self.id, actor=actor, any_outcome=any_outcome) as deal:
            yield deal

    def open(self) -> None:
        """Take it on."""
        company, rep, offer = self.plan.company, self.plan.rep, self.plan.offer
        known = self.maybe(KNOWN_AT_OPENING)
        closes = (self.pace.happened + timedelta(days=self.chance.randint(50, 120))).date()
        with self.office.session(rep.id) as session:
            deal = session.add(
                Deal.open(
                    self.office.process,
                    customer=self.office.customers[company.name],
                    title=offer.title,
                    owner=rep.id,
                    amount=offer.rough(self.chance) if known else None,
                    expected_close=closes if known else None,
                    lead_source=self.chance.choice(LEAD_SOURCES),
                    occurred_at=self.when,
                    id=self.id,
                )
            )
            self.stage = deal.stage
        self.office.owners[self.id] = rep.id
        self.office.lives.append(self)

    def contact(self, deal: Deal, direction: str, channel: str | None = None) -> None:
        """Note a contact."""
        deal.log_contact(
            channel=channel or self.chance.choice(CHANNELS),
            direction="in" if direction == "in" else "out",
            summary=self.chance.choice(CONTACT_NOTES),
            participants=(self.plan.company.contact,) if self.maybe(0.5) else (),
            next_step=self.chance.choice(NEXT_STEPS),
            contact_people=self.buyers.met(),
            occurred_at=self.when,
        )

    def expect(self, deal: Deal, days: int) -> None:
        """Look at the forecast again: push a date that cannot be held, refine the amount."""
        then = deal.at(self.when)
        closes = self.pace.happened.date() + timedelta(days=days)
        late = then.expected_close is None or then.expected_close < closes
        moved = closes + timedelta(days=self.chance.randint(0, 21)) if late else None
        amount = self.plan.offer.rough(self.chance) if self.maybe(0.25) else None
        category = self.chance.choice(("commit", "best_case")) if self.maybe(0.12) else None
        probability = (
            self.chance.choice(("0.35", "0.5", "0.65", "0.9")) if self.maybe(0.1) else None
        )
        if moved or amount or category or probability:
            deal.forecast(
                amount=amount,
                expected_close=moved,
                category="commit"
                if category == "commit"
                else ("best_case" if category else None),
                probability=probability,
                because="客户内部流程延长 / their approval takes longer" if moved else None,
                occurred_at=self.when,
            )
        elif then.probability_given is not None and self.maybe(0.4):
            deal.forecast(clear=("probability", "category"), occurred_at=self.when)

    def forget_a_contact(self) -> None:
        """Let a rep who is behind with the paperwork note a contact weeks later."""
        if self.maybe(self.plan.rep.tardiness * 0.6):
            happened = self.pace.happened + timedelta(minutes=20)
            late = happened + timedelta(days=self.chance.uniform(9, 50))
            self.office.agenda.begin(self._remember(happened, late), happened)

    def _remember(self, happened: datetime, late: datetime) -> Life:
        yield office_time(self.office.chance("forgotten", self.plan.number), late)
        with self.deal(any_outcome=True) as deal:
            deal.log_contact(
                channel="call",
                direction="out",
                summary="补录 / entered later",
                by=self.plan.rep.id,
                occurred_at=happened,
            )
