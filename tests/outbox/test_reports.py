"""Reports on a schedule: when one is due, what it says, and that it says so once, for ever."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from threading import Event as Flag
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from salesflow import STANDARD, Customer, Deal, Money, SalesFlow
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.store import OutboxStore
from salesflow.adapters.reports.definitions import ReportDefinition, read_reports
from salesflow.adapters.reports.made import NOTHING_LEFT_OUT, DueReports, ReportRow
from salesflow.adapters.reports.report_file import read_report_file
from salesflow.adapters.reports.schedule import Schedule, read_schedule, read_time_before
from salesflow.domain.settings import SETTINGS_ID, Settings, SettingsState
from salesflow.domain.time import from_instant, to_instant, zone
from salesflow.engine.due_reports import (
    DueReport,
    due_report,
    make_due_reports,
)
from salesflow.engine.report_messages import follow_due_reports, put_due_reports, put_report
from salesflow.engine.reports import MadeReport, ReportedAt, make_report
from salesflow.errors import InputError
from salesflow.presentation.markdown import markdown_text
from simulated import ran

BERLIN, SHANGHAI = "Europe/Berlin", "Asia/Shanghai"
WEEKLY = """
[[report]]
name = "weekly"
title = "What changed since last week"
schedule = "every Monday 08:00"
compared_with = "1 week"
endpoints = ["crm"]
question = "funnel"
"""
MONDAY = datetime(2026, 3, 2, 8, tzinfo=ZoneInfo(SHANGHAI))
WEEK = timedelta(weeks=1)


def settings(timezone: str, working_days: tuple[int, ...] = (1, 2, 3, 4, 5)) -> SettingsState:
    found = SettingsState()
    found.timezone = zone(timezone)
    found.working_days = working_days
    return found


def at(text: str, timezone: str) -> int:
    return to_instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)))


def due_between(schedule: Schedule, first: str, last: str, timezone: str) -> list[str]:
    """Give when something is due, by the clocks of a zone, with what they differ from UTC."""
    found = schedule.due(at(first, timezone), at(last, timezone), settings(timezone))
    return [from_instant(each).astimezone(ZoneInfo(timezone)).isoformat() for each in found]


def defined(text: str, *endpoints: str, personal: bool = False) -> dict[str, ReportDefinition]:
    tables = tomllib.loads(text)["report"]
    allowed = dict.fromkeys(endpoints or ("crm",), personal)
    return read_reports(tables, allowed, kept_in="outbox.toml")


# When a report is due


@pytest.mark.parametrize(
    ("written", "cron"),
    [
        ("every day 08:00", "0 8 * * *"),
        ("Every  Monday at 8:00", "0 8 * * 1"),
        ("every Monday, Wed and Friday 07:30", "30 7 * * 1,3,5"),
        ("every weekday 08:00", "0 8 * * 1-5"),
        ("every month on the 1st at 08:00", "0 8 1 * *"),
        ("every month on the last day at 18:00", "0 18 L * *"),
        ("每周一 08:00", "0 8 * * 1"),
        ("每周一、三和周五 07:30", "30 7 * * 1,3,5"),
        ("每月1日 08:00", "0 8 1 * *"),
        ("每月最后一天 18:00", "0 18 L * *"),
        ("0 8 * * MON", "0 8 * * MON"),
    ],
)
def test_a_schedule_is_written_as_people_say_it(written: str, cron: str) -> None:
    assert read_schedule(written).cron == cron


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("mondays", "is no schedule; write"),
        ("every moonday 08:00", "'moonday'.*no day of the week"),
        ("every Monday 25:00", "which no clock shows"),
        ("every month on day 31 at 08:00", "not every month has a day 31"),
        ("0 0 30 2 *", "is no schedule"),
        ("61 8 * * *", "is no schedule"),
        ("0 0 8 * * 1", "is no schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_is(written: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_schedule(written)


def test_a_report_is_due_at_the_same_time_by_the_clocks_when_these_are_changed() -> None:
    found = due_between(read_schedule("every Monday 08:00"), "2026-03-20", "2026-04-07", BERLIN)
    assert found == [
        "2026-03-23T08:00:00+01:00",
        "2026-03-30T08:00:00+02:00",
        "2026-04-06T08:00:00+02:00",
    ]


def test_where_the_clocks_skip_its_time_it_is_due_when_they_show_again() -> None:
    found = due_between(read_schedule("every day 02:30"), "2026-03-28", "2026-03-31", BERLIN)
    assert found == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_where_the_clocks_show_its_time_twice_it_is_due_the_first_time_only() -> None:
    found = due_between(read_schedule("every day 02:30"), "2026-10-24", "2026-10-27", BERLIN)
    assert found == [
        "2026-10-24T02:30:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_working_days_are_those_of_the_settings() -> None:
    first, last = at("2026-03-05", SHANGHAI), at("2026-03-10", SHANGHAI)
    days = settings(SHANGHAI, working_days=(5, 7))
    found = read_schedule("每个工作日 08:00").due(first, last, days)
    weekdays = [
        from_instant(each).astimezone(ZoneInfo(SHANGHAI)).isoweekday() for each in found
    ]
    assert weekdays == [5, 7]


@pytest.mark.parametrize(
    ("before", "of", "is_at"),
    [
        ("1 week", "2026-03-30T08:00", "2026-03-23T08:00:00+01:00"),  # 167 hours
        ("1 month", "2026-03-31T23:59", "2026-02-28T23:59:00+01:00"),
        ("1 year", "2024-02-29T08:00", "2023-02-28T08:00:00+01:00"),
        ("3个月", "2026-03-30T08:00", "2025-12-30T08:00:00+01:00"),
        ("1 day", "2026-03-30T02:30", "2026-03-29T03:30:00+02:00"),  # which clocks skipped
    ],
)
def test_before_is_counted_by_the_calendar(before: str, of: str, is_at: str) -> None:
    found = read_time_before(before).of(at(of, BERLIN), ZoneInfo(BERLIN))
    assert from_instant(found).astimezone(ZoneInfo(BERLIN)).isoformat() == is_at


# How a report is defined


@pytest.mark.parametrize(
    "parameters",
    [
        ("deal-timeline", '{ deal = "00000000-0000-4000-8000-000000000001" }'),
        ("stage-times", "{ days = [30, 60], process = 'standard' }"),
        ("kpis", "{ from = 2026-01-01, to = 2026-03-31, by = 'rep', each = 'month' }"),
        ("flow", "{ as-known-then = true, closes_from = 2026-01-01 }"),
        ("goal-check", "{ target = '1000', metric = 'orders' }"),
        ("restatement", "{ known_then = 2026-01-01T08:00:00Z, limit = 5 }"),
    ],
)
def test_parameters_are_those_of_the_question(parameters: tuple[str, str]) -> None:
    question, given = parameters
    text = f"[[report]]\nname = 'x'\nquestion = '{question}'\nparameters = {given}"
    [asked] = defined(text)["x"].questions
    assert asked.question.name == question


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("shedule = 'every day 08:00'", "no key 'shedule'.*schedule"),
        ("question = 'funel'", "no question 'funel'.*funnel"),
        ("question = 'funnel'\nparameters = {by = 'colour'}", "'colour' is not one of"),
        ("question = 'funnel'\nparameters = {owners = 'x'}", "no such parameter"),
        ("question = 'funnel'\nperiod = 'last week'", "asked about no period"),
        ("question = 'kpis'\nperiod = 'next week'", "write last week"),
        ("question = 'kpis'\nparameters = {to = 2026-03-31}", "name the first day too"),
        ("question = 'kpis'\nparameters = {velocity_days = 1.5}", "write it in quotes"),
        ("question = 'funnel'\nendpoints = ['crn']", "no endpoint 'crn'.*crm"),
        ("question = 'funnel'\nschedule = 'every day 08:00'", "needs endpoints"),
        ("question = 'funnel'\ncompared_with = 'a while'", "no time before"),
        ("question = 'funnel'\ncompared_with = 'previous'", "needs a schedule"),
        ("question = 'funnel'\nas_known_then = true", "needs compared_with"),
        ("question = 'funnel'\nlanguage = 'fr'", "en or zh"),
        ("question = 'funnel'\nquestions = ['kpis']", "either one question, or several"),
        ("questions = []", "questions is a list"),
        ("title = 'x'", "name the question"),
        ("question = 'feedback'\nendpoints = ['crm']", "write personal = true, here and"),
        ("question = 'kpis'\npersonal = true\nendpoints = ['crm']", "go to endpoint crm"),
    ],
)
def test_a_definition_that_is_wrong_is_refused_when_it_is_read(
    written: str, reason: str
) -> None:
    with pytest.raises(InputError, match=rf"(?s)outbox.toml, report 'weekly': .*{reason}"):
        defined(f"[[report]]\nname = 'weekly'\n{written}")


# What a report says


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Desk:
    """A desk where deals come in, one a week, and a clock that is turned by hand."""

    def __init__(self, url: str) -> None:
        self.clock = Clock(MONDAY - 4 * WEEK)
        self.url = url
        self.flow = SalesFlow(url, timezone=SHANGHAI, clock=self.clock)

    def open(self, title: str, amount: str, *, occurred_at: datetime | None = None) -> Deal:
        deal = Deal.open(
            STANDARD,
            title=title,
            owner="ann",
            amount=Money(amount, "CNY"),
            occurred_at=occurred_at,
        )
        with self.flow.session(actor="ann") as s:
            return s.add(deal)

    def turn(self, now: datetime) -> None:
        self.clock.now = now


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A deal three weeks before the Monday, one in the week before it, one after it."""
    yield from _desk(database_url)


@pytest.fixture
def sqlite_desk(sqlite_url: str) -> Iterator[Desk]:
    yield from _desk(sqlite_url)


def _desk(url: str) -> Iterator[Desk]:
    desk = Desk(url)
    with desk.flow:
        desk.turn(MONDAY - 3 * WEEK)
        desk.open("ERP", "100")
        desk.turn(MONDAY - timedelta(days=3))
        desk.open("MES", "50")
        desk.turn(MONDAY + timedelta(hours=1))
        desk.open("WMS", "7")
        yield desk


def made_at(
    desk: Desk, text: str = WEEKLY, when: datetime = MONDAY, link: str | None = None
) -> MadeReport:
    [definition] = defined(text).values()
    moment = ReportedAt.of(desk.flow.log, to_instant(when))
    return make_report(desk.flow, definition, moment, link=link)


def written(made: MadeReport) -> str:
    return json.dumps(made.data, ensure_ascii=False)


def test_a_report_says_what_changed_since_the_week_before(desk: Desk) -> None:
    [answer] = made_at(desk).data["answers"]
    assert answer["answer"]["open_deals"] == 2
    assert answer["compared"]["open_deals"] == 1
    assert answer["difference"]["open_deals"] == 1


def test_a_report_stands_where_the_log_stood_when_it_was_due(desk: Desk) -> None:
    made = made_at(desk)
    event = [*desk.flow.log.page(0, 100)][made.data["position"] - 1]
    assert made.data["as_of"] == MONDAY.astimezone(UTC).isoformat()
    assert made.data["known_at"] == from_instant(event.recorded).isoformat()
    assert event.recorded <= to_instant(MONDAY)


def test_a_report_of_a_past_day_is_what_it_was_byte_for_byte(desk: Desk) -> None:
    then = written(made_at(desk))
    desk.turn(MONDAY + 52 * WEEK)
    desk.open("late", "999", occurred_at=MONDAY - WEEK / 2)
    desk.open("new", "1")
    assert written(made_at(desk)) == then


def test_control_a_report_that_knows_what_came_later_is_another_one(desk: Desk) -> None:
    then = written(made_at(desk))
    desk.turn(MONDAY + 52 * WEEK)
    desk.open("late", "999", occurred_at=MONDAY - WEEK / 2)
    [definition] = defined(WEEKLY).values()
    monday, now = to_instant(MONDAY), to_instant(desk.clock.now)
    later = make_report(desk.flow, definition, ReportedAt.of(desk.flow.log, monday, now))
    assert written(later) != then
    assert later.data["answers"][0]["answer"]["open_deals"] == 3


def test_the_week_before_is_as_it_is_known_now_or_as_it_was_known_then(desk: Desk) -> None:
    desk.turn(MONDAY + WEEK - timedelta(hours=1))
    desk.open("late", "999", occurred_at=MONDAY - WEEK / 2)
    both = [made_at(desk, text, MONDAY + WEEK) for text in (WEEKLY, AS_KNOWN_THEN)]
    compared = [each.data["answers"][0]["compared"]["open_deals"] for each in both]
    assert compared == [3, 2]


AS_KNOWN_THEN = WEEKLY + "as_known_then = true\n"


def test_a_moving_period_is_found_for_both_sides(sqlite_desk: Desk) -> None:
    text = WEEKLY.replace('"funnel"', '"kpis"\nperiod = "last week"')
    [answer] = made_at(sqlite_desk, text).data["answers"]
    assert answer["parameters"] == {"from_": "2026-02-23", "to": "2026-03-02"}
    assert [link["of"] for link in answer["links"]] == ["answer", "compared"]
    days = "--from 2026-02-16 --to 2026-02-22"
    assert days in answer["links"][1]["command"]


def test_the_time_it_was_due_before_is_found_by_the_schedule(sqlite_desk: Desk) -> None:
    text = WEEKLY.replace('"1 week"', '"previous"').replace("every Monday", "every day")
    made = made_at(sqlite_desk, text)
    yesterday = (MONDAY - timedelta(days=1)).astimezone(UTC)
    assert made.data["compared_with"]["as_of"] == yesterday.isoformat()


def test_the_command_of_a_report_gives_its_answer_for_ever(
    database_url: str, desk: Desk
) -> None:
    desk.turn(MONDAY + 9 * WEEK)
    desk.open("new", "1")
    [answer] = made_at(desk).data["answers"]
    [link] = answer["links"]
    again = ran(*link["command"].split()[1:], "--json", "--db", database_url)
    assert again.code == 0, again.err
    found = json.loads(again.out)
    assert (found["now"], found["then"]) == (answer["answer"], answer["compared"])
    assert found["difference"] == answer["difference"]


def test_each_command_of_a_moving_period_gives_its_side(
    sqlite_url: str, sqlite_desk: Desk
) -> None:
    text = WEEKLY.replace('"funnel"', '"kpis"\nperiod = "last week"')
    [answer] = made_at(sqlite_desk, text).data["answers"]
    for link in answer["links"]:
        again = ran(*link["command"].split()[1:], "--json", "--db", sqlite_url)
        assert json.loads(again.out) == answer[link["of"]], again.err


def test_control_without_its_position_the_answer_says_another_one(
    sqlite_url: str, sqlite_desk: Desk
) -> None:
    [answer] = made_at(sqlite_desk).data["answers"]
    command = answer["links"][0]["command"].partition(" --position")[0]
    again = json.loads(ran(*command.split()[1:], "--json", "--db", sqlite_url).out)
    assert again["now"] != answer["answer"]
    assert again["now"]["stages"] == answer["answer"]["stages"]


@pytest.mark.usefixtures("sqlite_desk")
def test_a_position_needs_a_whole_moment(sqlite_url: str) -> None:
    done = ran("ask", "funnel", "--position", "3", "--db", sqlite_url)
    assert done.code == 2
    assert "name --as-of and --known-at" in done.err


def test_a_link_is_made_by_the_template_and_leads_nowhere_else(sqlite_desk: Desk) -> None:
    text = WEEKLY + 'parameters = { owner = "a&b=c/../#x" }'
    template = "https://sales.example.com/ask/{question}?{parameters}&as_of={as_of}"
    made = made_at(sqlite_desk, text, link=template + "&known_at={known_at}")
    [link] = made.data["answers"][0]["links"]
    assert link["url"].startswith(
        "https://sales.example.com/ask/funnel?owner=a%26b%3Dc%2F..%2F%23x"
    )
    assert link["url"].endswith("%2B00%3A00")


def test_a_report_is_read_in_either_language(sqlite_desk: Desk) -> None:
    english = made_at(sqlite_desk).text
    chinese = made_at(sqlite_desk, WEEKLY + 'language = "zh"\n').text
    assert "compared with 2026-02-23 08:00:00" in english
    assert "| Open deals | 1 | 2 | +1 |" in english
    assert "对比" in chinese
    assert "| 进行中商机数 | 1 | 2 | +1 |" in chinese
    assert "The same for ever" not in chinese


@pytest.mark.parametrize(
    "name",
    [
        "<script>x</script>",
        "![x](http://evil.example)",
        "[x](javascript:alert)",
        "a | b",
        "*b*",
    ],
)
def test_nothing_that_somebody_named_is_markup_in_a_report(name: str) -> None:
    shown = markdown_text(name)
    for sign in "<>[]|*":
        assert sign not in shown.replace(f"\\{sign}", "")
    assert "http:" not in shown


def test_names_of_people_are_in_a_report_only_where_it_is_personal(sqlite_desk: Desk) -> None:
    with sqlite_desk.flow.session(actor="ann") as s:
        customer = s.add(Customer.register(name="Zhang San"))
        deal = Deal.open(STANDARD, title="Named", customer=customer, owner="ann")
        s.add(deal)
    sqlite_desk.turn(MONDAY + WEEK)
    text = WEEKLY.replace('"funnel"', '"deals"').replace('"1 week"', '"1 day"')
    shown = []
    for personal in (False, True):
        own = text + f"personal = {str(personal).lower()}\n"
        [definition] = defined(own, personal=True).values()
        at = ReportedAt.of(sqlite_desk.flow.log, to_instant(MONDAY + WEEK))
        shown.append(written(make_report(sqlite_desk.flow, definition, at)))
    assert ["Zhang San" in each for each in shown] == [False, True]
    assert all(str(deal.id) in each for each in shown)


# That a report is made once


def collect(into: list[MadeReport]) -> Callable[[sa.Connection, MadeReport], None]:
    return lambda _connection, made: into.append(made)


def make_due(desk: Desk, into: list[MadeReport], text: str = WEEKLY) -> list[DueReport]:
    return make_due_reports(desk.flow, defined(text).values(), collect(into))


def test_a_report_that_is_new_is_due_from_then_on(desk: Desk) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    assert make_due(desk, made) == []
    desk.turn(MONDAY + WEEK + timedelta(seconds=4))
    assert make_due(desk, made) == []  # hosts whose clocks are behind may still record
    desk.turn(MONDAY + WEEK + timedelta(seconds=6))
    [outcome] = make_due(desk, made)
    assert outcome.due == to_instant(MONDAY + WEEK)
    assert make_due(desk, made) == []
    assert len(made) == 1


def test_a_worker_that_was_down_makes_the_last_one_and_says_which_it_left_out(
    desk: Desk,
) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    desk.turn(MONDAY + 3 * WEEK + timedelta(minutes=1))
    make_due(desk, made)
    [report] = made
    assert report.data["as_of"] == (MONDAY + 3 * WEEK).astimezone(UTC).isoformat()
    assert report.data["left_out_total"] == 2
    assert "2026-03-09 08:00:00, 2026-03-16 08:00:00" in report.text


def test_of_workers_that_find_it_due_together_one_makes_it(
    database_url: str, desk: Desk
) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    together = Barrier(4)
    outcomes: list[DueReport] = []

    def work(flow: SalesFlow) -> None:
        together.wait()
        definitions = defined(WEEKLY).values()
        outcomes.extend(make_due_reports(flow, definitions, collect(made)))

    with ExitStack() as stack:
        flows = [
            stack.enter_context(SalesFlow(database_url, clock=desk.clock)) for _ in range(4)
        ]
        threads = [Thread(target=work, args=(flow,)) for flow in flows]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(made) == len(outcomes) == 1
    assert [outcome.problem for outcome in outcomes] == [None]


def test_a_worker_that_is_late_makes_nothing_that_was_left_out_already(desk: Desk) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    done_until = DueReports(desk.flow.log).done_until("weekly")
    assert done_until is not None
    desk.turn(MONDAY + 2 * WEEK + timedelta(minutes=1))
    make_due(desk, made)
    late = ReportRow("weekly", to_instant(MONDAY + WEEK), 1, 1, 1, NOTHING_LEFT_OUT)
    with desk.flow.log.database.begin() as connection:
        assert not DueReports(desk.flow.log).note(connection, late, done_until)
    assert [row.due for row in DueReports(desk.flow.log).made()] == [
        to_instant(MONDAY + 2 * WEEK)
    ]


def test_what_cannot_be_delivered_is_made_again(desk: Desk) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))

    def fail(_connection: sa.Connection, _made: MadeReport) -> None:
        raise InputError("nobody takes it")

    [outcome] = make_due_reports(desk.flow, defined(WEEKLY).values(), fail)
    assert outcome.problem == "nobody takes it"
    [outcome] = make_due(desk, made)
    assert outcome.problem is None
    assert len(made) == 1


def test_a_report_that_cannot_be_made_holds_up_no_other(desk: Desk) -> None:
    text = WEEKLY + WEEKLY.replace('"weekly"', '"alert"').replace(
        '"funnel"', '"alerts"\nparameters = { alert = "nobody" }'
    )
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made, text)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    outcomes = {each.report: each for each in make_due(desk, made, text)}
    assert "no alert 'nobody'" in str(outcomes["alert"].problem)
    assert [each.definition.name for each in made] == ["weekly"]


def test_a_report_that_was_made_is_made_again_as_it_was(desk: Desk) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    desk.turn(MONDAY + 3 * WEEK + timedelta(minutes=1))
    make_due(desk, made)
    desk.turn(MONDAY + 60 * WEEK)
    desk.open("late", "999", occurred_at=MONDAY)
    [definition] = defined(WEEKLY).values()
    again = due_report(desk.flow, definition, to_instant(MONDAY + 3 * WEEK))
    assert again is not None
    assert written(again) == written(made[0])
    assert due_report(desk.flow, definition, to_instant(MONDAY + 2 * WEEK)) is None
    [row] = DueReports(desk.flow.log).made()
    assert (row.report, row.left_out.total) == ("weekly", 2)


def test_a_rebuild_makes_no_report(desk: Desk) -> None:
    made: list[MadeReport] = []
    desk.turn(MONDAY + timedelta(hours=2))
    make_due(desk, made)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    make_due(desk, made)
    desk.flow.rebuild("deal_state")
    assert make_due(desk, made) == []
    assert len(made) == 1


def test_a_change_of_the_time_zone_moves_the_times_that_are_due(sqlite_desk: Desk) -> None:
    made: list[MadeReport] = []
    sqlite_desk.turn(MONDAY + timedelta(hours=2))
    make_due(sqlite_desk, made)
    with sqlite_desk.flow.session() as s:
        s.get(Settings, SETTINGS_ID).change(timezone=BERLIN)
    sqlite_desk.turn(MONDAY + WEEK + timedelta(hours=7, minutes=1))  # 08:01 in Berlin
    make_due(sqlite_desk, made)
    [report] = made
    assert report.data["as_of"] == "2026-03-09T07:00:00+00:00"


def test_a_position_is_found_for_any_instant(sqlite_desk: Desk) -> None:
    log = sqlite_desk.flow.log
    last = {event.recorded: event.position for event in log.page(0, 100)}
    positions = [0, *last.values()]
    for before, (recorded, position) in zip(positions, last.items(), strict=False):
        assert ReportedAt.of(log, recorded) == (recorded, recorded, position)
        assert ReportedAt.of(log, recorded - 1).position == before


# That a report goes out


def waiting(desk: Desk) -> list[tuple[str, OutgoingMessage]]:
    """Give the messages that wait in the outbox, and for whom."""
    store = OutboxStore(desk.flow.log)
    found = []
    for each in store.waiting(None, 100):
        body = store.body(each.endpoint, each.id)
        assert body is not None
        found.append((each.endpoint, OutgoingMessage.from_bytes(body)))
    return found


def test_a_report_that_is_due_waits_once_for_each_of_its_endpoints(desk: Desk) -> None:
    text = WEEKLY.replace('["crm"]', '["crm", "board"]')
    definitions = [*defined(text, "crm", "board").values()]
    desk.turn(MONDAY + timedelta(hours=2))
    put_due_reports(desk.flow, definitions)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    for _ in range(2):
        put_due_reports(desk.flow, definitions)
    assert [endpoint for endpoint, _ in waiting(desk)] == ["board", "crm"]
    [(_, sent), (_, other)] = waiting(desk)
    assert sent == other
    assert (sent.type, sent.subject) == ("com.salesflow.report.made", "weekly")
    assert sent.time == MONDAY + WEEK
    assert sent.data["answers"][0]["difference"]["open_deals"] == 1


def test_a_report_made_by_hand_goes_out_once_unless_it_is_wanted_again(desk: Desk) -> None:
    made = made_at(desk)
    assert [put_report(desk.flow, made), put_report(desk.flow, made)] == [True, False]
    assert put_report(desk.flow, made, again=True)
    [(_, first), (_, second)] = waiting(desk)
    assert first.id == second.id


def test_a_report_that_went_out_by_hand_is_not_due_once_more(desk: Desk) -> None:
    definitions = [*defined(WEEKLY).values()]
    desk.turn(MONDAY + timedelta(hours=2))
    put_due_reports(desk.flow, definitions)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    put_report(desk.flow, made_at(desk, when=MONDAY + WEEK))
    assert put_due_reports(desk.flow, definitions) == []
    assert len(waiting(desk)) == 1


def test_a_worker_makes_what_is_due_until_it_is_stopped(desk: Desk) -> None:
    definitions = [*defined(WEEKLY).values()]
    desk.turn(MONDAY + timedelta(hours=2))
    put_due_reports(desk.flow, definitions)
    desk.turn(MONDAY + WEEK + timedelta(minutes=1))
    stop, told = Flag(), []

    def tell(outcomes: list[DueReport]) -> None:
        told.extend(outcomes)
        stop.set()

    follow_due_reports(desk.flow, definitions, stop=stop, on_made=tell)
    assert [each.report for each in told] == ["weekly"]
    assert len(waiting(desk)) == 1


def test_tenants_have_reports_of_their_own(database_url: str, desk: Desk) -> None:
    definitions = [*defined(WEEKLY).values()]
    with SalesFlow(database_url, tenant="other", clock=desk.clock) as other:
        desk.turn(MONDAY + timedelta(hours=2))
        for flow in (desk.flow, other):
            put_due_reports(flow, definitions)
        desk.turn(MONDAY + WEEK + timedelta(minutes=1))
        assert len(put_due_reports(other, definitions)) == 1
        assert waiting(desk) == []
        assert len(put_due_reports(desk.flow, definitions)) == 1
        assert DueReports(other.log).made()[0].position != desk.flow.log.head().position
    [(_, sent)] = waiting(desk)
    assert sent.source == "urn:salesflow:main"


# By the command line

FILE = """
link = "https://sales.example.com/ask/{question}?{parameters}&as_of={as_of}&known_at={known_at}"

[[endpoint]]
name = "crm"
url = "redis://127.0.0.1:1/0"
facts = []
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "outbox.toml"
    path.write_text(FILE + WEEKLY, encoding="utf-8")
    return str(path)


def test_a_report_of_any_moment_is_printed(
    sqlite_url: str, sqlite_desk: Desk, file: str
) -> None:
    asked = ("outbox", "report", "weekly", "--endpoints", file, "--db", sqlite_url)
    done = ran(*asked, "--as-of", "2026-03-02 08:00")
    assert done.code == 0, done.err
    assert done.out.startswith("# What changed since last week")
    told = json.loads(ran(*asked, "--as-of", "2026-03-02 08:00", "--json").out)
    link = FILE.split('"')[1]
    assert told == made_at(sqlite_desk, link=link).data


def test_reports_are_listed_with_when_they_are_due(sqlite_url: str, file: str) -> None:
    with SalesFlow(sqlite_url, timezone=SHANGHAI):
        done = ran("outbox", "reports", "--endpoints", file, "--db", sqlite_url, "--json")
    [listed] = json.loads(done.out)
    due = datetime.fromisoformat(listed["due_next"]).astimezone(ZoneInfo(SHANGHAI))
    assert (due.isoweekday(), due.hour, listed["made_last"]) == (1, 8, None)


def test_a_job_makes_what_is_due(sqlite_url: str, sqlite_desk: Desk, file: str) -> None:
    sqlite_desk.turn(MONDAY + timedelta(hours=2))
    put_due_reports(sqlite_desk.flow, defined(WEEKLY).values())
    asked = ("outbox", "due", "--endpoints", file, "--db", sqlite_url)
    [outcome] = json.loads(ran(*asked, "--json").out)  # by the clock of this machine
    assert outcome["report"] == "weekly"
    assert outcome["left_out_total"] >= 1
    chinese = ran(*asked, "--lang", "zh")
    assert "已生成的报告" in chinese.out
    assert len(waiting(sqlite_desk)) == 1


def test_a_file_with_a_table_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.toml"
    path.write_text(FILE + WEEKLY.replace("[[report]]", "[[reports]]"), encoding="utf-8")
    with pytest.raises(InputError, match=r"no key 'reports' \(perhaps report\)"):
        read_report_file(path)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("wekly",), "no report 'wekly'.*weekly"),
        (("weekly", "--as-of", "2999-01-01"), "lies in the future"),
        (("weekly", "--again"), "name --deliver too"),
        (("weekly", "nowhere.toml"), "there is no file nowhere.toml"),
    ],
)
@pytest.mark.usefixtures("sqlite_desk")
def test_what_cannot_be_made_is_refused(
    sqlite_url: str, file: str, more: tuple[str, ...], reason: str
) -> None:
    file = more[1] if len(more) == 2 and more[1].endswith(".toml") else file
    more = tuple(each for each in more if each != file)
    done = ran("outbox", "report", "--endpoints", file, "--db", sqlite_url, *more)
    assert done.code in (1, 2)
    assert re.search(reason, done.err), done.err
