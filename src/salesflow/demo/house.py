"""What the house itself does: people, customers, books, rates, versions, its clock.

It is a module of its own: it happens once a month or once in all, and not to a deal.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final
from uuid import UUID

from salesflow.demo.offers import cny_per
from salesflow.demo.office import MANAGERS, Office
from salesflow.demo.world import (
    CUSTOMERS,
    END,
    REPS,
    START,
    ZONE,
    Company,
    DemoRep,
    Life,
    office_time,
)
from salesflow.domain import rep as reps
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.process import Label, ProcessVersion, SalesProcess, Stage, process_id
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.team import Team, team_id

__all__ = [
    "NEW_VERSION",
    "customer_lives",
    "house_lives",
    "register",
    "staff_lives",
]


# Who sells in the simulated house: its teams, and who joins, moves between them and leaves.
#
# Teams here are what reports count by. A rep's deals come from the region of `REPS` throughout,
# also after a move.

PEOPLE: Final = "hr-01"
TEAMS: Final = {"east": ("East", "华东团队"), "south": ("South", "华南团队")}
NAMES: Final = {
    "east-01": "周岚",
    "east-02": "陈立群",
    "east-03": "何静",
    "east-04": "许航",
    "south-01": "梁川",
    "south-02": "罗敏仪",
    "south-03": "黄岳",
    "south-04": "邓晴",
}
HIRED_BEFORE: Final = timedelta(days=20)
"""How long before the first day a contract is signed."""

MOVES: Final = REPS[3]
"""The rep who goes over to the other team in the middle of 2025."""
MOVE_AGREED = datetime(2025, 6, 16, 15, 30, tzinfo=ZONE)
MOVE_HOLDS = date(2025, 7, 1)
RENAMED = datetime(2025, 12, 18, 10, 0, tzinfo=ZONE)
NEW_NAME: Final = ("South and Southwest", "华南及西南团队")
NEW_NAME_HOLDS = date(2026, 1, 1)


def staff_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Return how the teams will come about and change, and from when."""
    return [
        (START, _form_teams(office)),
        *((_signed(rep), _join(office, rep)) for rep in REPS),
        (MOVE_AGREED, _move(office)),
        (RENAMED, _rename(office)),
    ]


def _first_day(rep: DemoRep) -> datetime:
    return datetime.combine(rep.since, datetime.min.time(), ZONE)


def _signed(rep: DemoRep) -> datetime:
    return max(START, _first_day(rep).replace(hour=11) - HIRED_BEFORE)


def _form_teams(office: Office) -> Life:
    with office.session(PEOPLE) as session:
        for key, (english, chinese) in TEAMS.items():
            session.add(
                Team.form(key, name_en=english, name_zh=chinese, occurred_at=START.date())
            )
    yield from ()


def _join(office: Office, rep: DemoRep) -> Life:
    """Take a rep in: those of the first day at once, the others from a day that is ahead."""
    first_day = _first_day(rep)
    ahead = first_day > office.clock.now
    with office.session(PEOPLE) as session:
        session.add(
            reps.Rep.join(
                rep.id,
                team=rep.team,
                name=NAMES[rep.id],
                effective_from=first_day if ahead else None,
                occurred_at=None if ahead else first_day,
            )
        )
    yield from ()


def _move(office: Office) -> Life:
    with office.session(MANAGERS[MOVES.team]) as session:
        rep = session.get(reps.Rep, reps.rep_id(MOVES.id))
        rep.move("south", because="充实华南团队 / the south grows", effective_from=MOVE_HOLDS)
    yield from ()


def _rename(office: Office) -> Life:
    english, chinese = NEW_NAME
    with office.session(PEOPLE) as session:
        team = session.get(Team, team_id("south"))
        team.rename(name_en=english, name_zh=chinese, effective_from=NEW_NAME_HOLDS)
    yield from ()


# Customers and the people there: registered, known better, merged, asked to be forgotten.

KNOWN_BEFORE: Final = 24
"""How many customers are in the books from the first day."""
SERVED_BEFORE: Final = 9
"""How many of them were customers years before the log begins."""
DUPLICATES: Final = ((3, True), (17, False), (41, True))
"""Customers somebody registers twice, and whether the merge stands."""
ERASED: Final = (5, 28)
"""Customers one of whose people asks to be forgotten."""


def customer_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Return what will happen to customers, and from when."""
    chance = office.chance("customers")
    return [
        (START, _take_over_the_books(office)),
        *(
            (START + timedelta(days=chance.randint(120, 800)), _duplicate(office, n, stands))
            for n, stands in DUPLICATES
        ),
        *(
            (START + timedelta(days=chance.randint(300, 850)), _erase(office, n))
            for n in ERASED
        ),
        *(
            (START + timedelta(days=chance.randint(60, 880)), _update(office, n))
            for n in range(0, len(CUSTOMERS), 4)
        ),
    ]


def register(office: Office, company: Company, actor: str, since: date | None = None) -> UUID:
    """Take a customer into the books, once, with the person we know there."""
    known = office.customers.get(company.name)
    if known is not None:
        return known
    id = office.id("customer", company.name)
    with office.session(actor) as session:
        customer = session.add(
            Customer.register(
                name=company.name,
                customer_since=since,
                segment=company.segment,
                region=company.region,
                id=id,
            )
        )
        customer.add_person(
            name=company.contact,
            position=company.job,
            person_id=office.id("person", company.name),
        )
    office.customers[company.name] = id
    return id


def _take_over_the_books(office: Office) -> Life:
    chance = office.chance("books")
    for number, company in enumerate(CUSTOMERS[:KNOWN_BEFORE]):
        served = number < SERVED_BEFORE
        since = date(chance.randint(2015, 2022), chance.randint(1, 12), 1) if served else None
        register(office, company, "ops-01", since)
    yield from ()


def _duplicate(office: Office, number: int, stands: bool) -> Life:
    """Register a customer a second time, merge the two, and perhaps take that back."""
    company, chance = CUSTOMERS[number], office.chance("duplicate", number)
    first = register(office, company, "ops-01")
    second = office.id("duplicate", company.name)
    with office.session("ops-01") as session:
        session.add(Customer.register(name=f"{company.name}（分公司）", id=second))
    yield _in_days(office, chance, 9)
    with office.session("ops-01") as session:
        twin, survivor = session.get(Customer, second), session.get(Customer, first)
        twin.merge_into(survivor, because="同一法人 / the same legal person")
    if not stands:
        yield _in_days(office, chance, 30)
        with office.session("ops-01") as session:
            session.get(Customer, second).unmerge(because="独立核算 / separate books")


def _erase(office: Office, number: int) -> Life:
    """Note a second person, and later that she asked to be forgotten."""
    company, chance = CUSTOMERS[number], office.chance("erase", number)
    id = register(office, company, "ops-01")
    person = office.id("second person", company.name)
    with office.session("ops-01") as session:
        session.get(Customer, id).add_person(
            name="李晓", position="助理", email="li@example.com", person_id=person
        )
    yield _in_days(office, chance, 60)
    with office.session("ops-01") as session:
        session.get(Customer, id).erase_person(person, because="request of the person")


def _update(office: Office, number: int) -> Life:
    company = CUSTOMERS[number]
    id = register(office, company, "ops-01")
    with office.session("ops-01") as session:
        session.get(Customer, id).update_person(
            office.id("person", company.name), phone="+86 21 5555 0100", position="总经理"
        )
    yield from ()


def _in_days(office: Office, chance: Random, days: int) -> datetime:
    return office_time(
        chance, office.clock.now + timedelta(days=days * chance.uniform(0.5, 1.5))
    )


OPERATIONS = "ops-01"
FINANCE = "fin-01"

TRIAL: Final = Stage(
    key="trial",
    name_en="Trial",
    name_zh="试用验证",
    probability=Decimal("0.70"),
    forecast_category="best_case",
    exit_criteria=("task_completed:trial_accepted",),
    tasks=(Label(key="trial_accepted", name_en="Trial accepted", name_zh="试用通过"),),
    max_days=30,
)
ONBOARDING: Final = Stage(
    key="onboarding",
    name_en="Onboarding",
    name_zh="上线交付",
    category="after_sales",
    probability=Decimal(1),
    forecast_category="closed",
    max_days=60,
)


def _second_version() -> ProcessVersion:
    """Put a trial before negotiation and an onboarding before after-sales service."""
    stages: list[Stage] = []
    for stage in STANDARD.stages:
        new = {"negotiation": TRIAL, "after_sales": ONBOARDING}.get(stage.key)
        stages += [stage] if new is None else [new, stage]
    return STANDARD.model_copy(update={"version": 2, "stages": tuple(stages)})


NEW_VERSION: Final = _second_version()
PUBLISHED = datetime(2025, 1, 6, 9, 30, tzinfo=ZONE)
RETIRED = datetime(2025, 3, 31, 17, 0, tzinfo=ZONE)
WRONG_CLOCK = datetime(2025, 8, 14, 10, 12, tzinfo=ZONE)
MISPRINTED = date(2025, 5, 1)
"""The month whose dollar rate is published wrongly at first."""


def house_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Return what the house will do, and from when."""
    return [
        (START, _set_up_books(office)),
        (START, _publish_rates(office)),
        (PUBLISHED, _change_process(office)),
        (RETIRED, _retire_process(office)),
        (WRONG_CLOCK, _suffer_a_wrong_clock(office)),
    ]


def _set_up_books(office: Office) -> Life:
    with office.session(OPERATIONS) as session:
        session.get(Settings, SETTINGS_ID).change(
            working_days=(1, 2, 3, 4, 5), report_currency="CNY"
        )
    yield from ()


def _publish_rates(office: Office) -> Life:
    """Publish a rate at the start of each month, one of them wrong for three weeks."""
    chance = office.chance("rates")
    day = START.date()
    _publish(office, day)
    while True:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        if day > END.date():
            return
        yield office_time(chance, datetime(day.year, day.month, 1, 9, tzinfo=ZONE))
        _publish(office, day, slip=Decimal("0.1") if day == MISPRINTED else Decimal(1))
        if day == MISPRINTED:
            yield office_time(chance, office.clock.now + timedelta(days=20))
            with office.session(FINANCE) as session:
                wrong = session.get(RateTable, RATES_ID).history[-1]
            with office.session(FINANCE) as session:
                session.retract(wrong.event_id, because="小数点错位 / decimal point slipped")
            _publish(office, day)


def _publish(office: Office, day: date, slip: Decimal = Decimal(1)) -> None:
    dollar, euro = cny_per("USD", day), cny_per("EUR", day)
    rates = {"CNY": euro * slip, "USD": (euro / dollar).quantize(Decimal("0.000001"))}
    source = "simulated monthly rates"
    with office.session(FINANCE) as session:
        if day == START.date():
            session.add(RateTable.begin(day=day, base="EUR", rates=rates, source=source))
        else:
            table = session.get(RateTable, RATES_ID)
            table.publish(day=day, base="EUR", rates=rates, source=source)


def _change_process(office: Office) -> Life:
    """Publish the second version, then take the open deals over in the days that follow."""
    with office.session(OPERATIONS) as session:
        process = session.get(SalesProcess, process_id(STANDARD.key))
        process.publish_version(NEW_VERSION)
    office.settle()
    office.process = NEW_VERSION
    chance = office.chance("migration")
    waiting = [life for life in office.lives if life.stage]
    while waiting:
        yield office_time(chance, office.clock.now + timedelta(hours=chance.uniform(1, 20)))
        now, waiting = waiting[:25], waiting[25:]
        for life in now:
            _migrate(office, life.id)


def _migrate(office: Office, id: UUID) -> None:
    with office.session(OPERATIONS) as session:
        deal = session.get(Deal, id)
        if deal.is_open and deal.process_version == STANDARD.version:
            tried = deal.stage == "solution_design" and deal.ever_issued
            deal.migrate(
                NEW_VERSION,
                mapping={"solution_design": "trial"} if tried else None,
                because="启用试用阶段 / the trial stage is introduced",
            )


def _retire_process(office: Office) -> Life:
    with office.session(OPERATIONS) as session:
        process = session.get(SalesProcess, process_id(STANDARD.key))
        process.retire(
            STANDARD.version, because="新商机一律用新版本 / new deals use the new one"
        )
    yield from ()


def _suffer_a_wrong_clock(office: Office) -> Life:
    """Record something on a host that is three minutes ahead; accept the right clock then."""
    right = office.clock.now
    office.clock.now = right + timedelta(minutes=3)
    with office.session(OPERATIONS) as session:
        settings = session.get(Settings, SETTINGS_ID)
        settings.change(working_days=settings.working_days)
    office.clock.now = right
    with office.apart():
        office.flow.accept_clock(
            actor=OPERATIONS, because="一台主机快了三分钟 / a host was three minutes ahead"
        )
    yield from ()
