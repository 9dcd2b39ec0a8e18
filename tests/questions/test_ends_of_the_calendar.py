"""Every question at the ends of the calendar answers, or is refused in a sentence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from given import cny
from questions.needed import needed_by
from salesflow import STANDARD, Deal, ExternalEvent, SalesFlow
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.time import from_instant, instant_of, start_of_next_day, zone
from salesflow.errors import DealClosedError, InputError, NotFoundError, SalesflowError
from salesflow.projections.core.question import PeriodQuestion
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.registry import QUESTIONS

EAST, WEST = "Pacific/Kiritimati", "Etc/GMT+12"
YEAR_1 = -62_135_510_400_000_000
LAST = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
BEYOND: list[Any] = [
    datetime.max.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, tzinfo=UTC),
    date.min,
    "9999-12-31",
    "0001-01-01",
    datetime(1899, 12, 31, 23, 59, tzinfo=UTC),
    253_402_300_799_000_000,
    12.5,
    b"2026-01-01",
]
"""Moments there are not, and what is none."""
EDGES: list[Any] = [
    LAST,
    datetime(9999, 12, 30, tzinfo=timezone(timedelta(hours=14))),
    date(9999, 12, 30),
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2255, 6, 5, 23, 47, 34, 740_993, tzinfo=UTC),
]
PERIODS: list[dict[str, date | None]] = [
    {"from_": date.min, "to": None},
    {"from_": None, "to": date.min},
    {"from_": date.max, "to": None},
    {"from_": None, "to": date.max},
    {"from_": date.min, "to": date.max},
    {"from_": date(1900, 1, 1), "to": date(9999, 12, 30)},
    {"from_": date(9999, 12, 29), "to": date(9999, 12, 30)},
    {"from_": date(9999, 10, 1), "to": None},
]
DEAL, OLD = UUID(int=1), UUID(int=2)


@pytest.fixture(params=[EAST, WEST])
def flow(request: pytest.FixtureRequest) -> Iterator[SalesFlow]:
    """An engine far in the east or west, with a deal of now and one of the first days."""
    with engine("sqlite://", request.param) as fresh:
        yield fresh


@pytest.fixture
def either(database_url: str) -> Iterator[SalesFlow]:
    """The same far in the east, on both kinds of databases."""
    with engine(database_url, EAST) as fresh:
        yield fresh


@contextmanager
def engine(url: str, timezone: str) -> Iterator[SalesFlow]:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    opened = DealOpened(
        process="standard", process_version=1, stage="prospecting", title="old", owner="ann"
    )
    with SalesFlow(url, timezone=timezone, clock=lambda: now) as fresh:
        with fresh.session() as s:
            deal = s.add(
                Deal.open(
                    STANDARD,
                    id=DEAL,
                    title="new",
                    owner="ann",
                    amount=cny("100"),
                    expected_close=date.max,
                )
            )
            deal.assign_owner("bob", effective_from=LAST)
            deal.win()
        first = ExternalEvent(OLD, opened, YEAR_1)
        fresh.record([first, ExternalEvent(OLD, DealWon(), YEAR_1 + 1)])
        yield fresh


def questions(**parameters: object) -> Iterator[Any]:
    for question in QUESTIONS.values():
        if parameters and not issubclass(question, PeriodQuestion):
            continue
        for deal in (DEAL, OLD) if "deal" in question.model_fields else (None,):
            named = needed_by(question, DEAL) | ({} if deal is None else {"deal": deal})
            yield question.model_validate({**named, **parameters})


def test_every_question_at_the_ends_of_the_calendar_answers_or_is_refused(
    flow: SalesFlow,
) -> None:
    answered = 0
    for when in EDGES:
        for asked in questions():
            try:
                view = flow.ask(asked, as_of=when)
                view.table()
            except (DealClosedError, InputError, NotFoundError):
                continue
            answered += 1
            assert flow.ask(asked, at=view.moment) == view
    assert answered > 20


def test_every_period_at_the_ends_of_the_calendar_answers_or_is_refused(
    flow: SalesFlow,
) -> None:
    answered = 0
    for days in PERIODS:
        for asked in questions(**days):
            for as_of in (None, LAST):
                try:
                    flow.ask(asked, as_of=as_of).table()
                except SalesflowError:
                    continue
                answered += 1
    assert answered > 5


def test_a_moment_there_is_not_is_refused_wherever_it_is_named(either: SalesFlow) -> None:
    for said in BEYOND:
        asks: list[Callable[[], object]] = [
            partial(either.ask, Kpis(), as_of=said),
            partial(either.ask, Kpis(), known_at=said),
            partial(either.get, Deal, DEAL, as_of=said),
            partial(either.history, DEAL, known_at=said),
            partial(either.sql, "deal_state", as_of=said),
        ]
        with either.session() as s:
            deal = s.get(Deal, DEAL)
            asks += [
                partial(deal.log_contact, channel="call", direction="out", occurred_at=said),
                partial(deal.assign_owner, "cho", effective_from=said),
            ]
            for ask in asks:
                with pytest.raises(InputError):
                    ask()
            assert not deal.pending


def test_a_plan_for_the_last_day_holds_then(either: SalesFlow) -> None:
    assert either.get(Deal, DEAL, as_of=LAST - timedelta(microseconds=1)).owner == "ann"
    assert either.get(Deal, DEAL, as_of=LAST).owner == "bob"


def test_plain_sql_shows_what_stands_to_the_last_moment(either: SalesFlow) -> None:
    for as_of in ("2026-06-02", "9999-06-01", LAST):
        select = either.sql("deal_state", as_of=as_of)
        with either.log.database.read() as connection:
            rows = connection.exec_driver_sql(select.rstrip(";").replace("%", "%%")).all()
        assert len(rows) == 2, as_of


@pytest.mark.parametrize("timezone", [EAST, WEST, "America/New_York", "UTC"])
def test_the_last_day_has_an_end_or_is_refused(timezone: str) -> None:
    last = instant_of(date(9999, 12, 29), zone(timezone))
    assert from_instant(last).astimezone(zone(timezone)).date() == date(9999, 12, 29)
    for day in (date.max, date.min):
        with pytest.raises(InputError):
            start_of_next_day(day, zone(timezone))


@pytest.mark.parametrize("timezone", [EAST, WEST, "America/New_York", "Asia/Shanghai", "UTC"])
@pytest.mark.parametrize("text", ["0001-01-01T00:00", "0001-01-01 23:59", "9999-12-31T23:59"])
def test_a_text_without_a_zone_at_the_ends_of_the_calendar_is_refused(
    timezone: str, text: str
) -> None:
    with pytest.raises(InputError, match=r"lies (before 1900|after 9999-12-30) UTC"):
        instant_of(text, zone(timezone))


@pytest.mark.parametrize(
    "calendar",
    [
        FiscalCalendar(),
        FiscalCalendar(start_month=4, start_day=6),
        FiscalCalendar(pattern="4-4-5", anchor=date(2024, 12, 30)),
    ],
    ids=["months", "from 6 April", "weeks"],
)
def test_a_fiscal_year_beyond_the_calendar_is_refused(calendar: FiscalCalendar) -> None:
    for day in (date.max, date.min):
        with pytest.raises(InputError, match="the calendar"):
            calendar.before("year", day)
