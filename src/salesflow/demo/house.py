"""What the house itself does: its books, exchange rates, process versions, a wrong clock."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from salesflow.demo.agenda import END, START, ZONE, Life, office_time
from salesflow.demo.offers import cny_per
from salesflow.demo.office import Office
from salesflow.domain.deal import Deal
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.process import Label, ProcessVersion, SalesProcess, Stage, process_id
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.standard_process import STANDARD

__all__ = ["NEW_VERSION", "house_lives"]


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
    """Give what the house will do, and from when."""
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
