"""Periods are typed as people say them, the last day included, and silence is explained."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.settings import SETTINGS_ID, Settings
from simulated import ran

DAY = timedelta(days=1)
CALENDARS = (
    FiscalCalendar(),
    FiscalCalendar(start_month=4),
    FiscalCalendar(start_month=2),
    FiscalCalendar(pattern="4-4-5", anchor=date(2024, 2, 4)),
    FiscalCalendar(pattern="5-4-4", anchor=date(2023, 10, 2)),
)


def asked(*options: str) -> tuple[str, str]:
    """Give the first instant of the period asked about, and the first one after it."""
    told = ran("ask", "kpis", "--json", "--as-of", "2026-03-31", *options)
    assert told.code == 0, told.err
    period = json.loads(told.out)["period"]
    return period["start"], period["end"]


@pytest.mark.usefixtures("db")
def test_the_last_day_of_a_period_belongs_to_it() -> None:
    quarter = ("2025-12-31T16:00:00+00:00", "2026-03-31T16:00:00+00:00")
    assert asked("--from", "2026-01-01", "--to", "2026-03-31") == quarter
    assert asked("--quarter", "2026-Q1") == quarter
    assert asked("--quarter", "2026-q1") == quarter
    assert asked("--from", "2026-03-05", "--to", "2026-03-05") == asked(
        "--from", "2026-03-05T00:00".partition("T")[0], "--to", "2026-03-05"
    )
    assert "2026-01-01 … 2026-03-31" in ran("ask", "kpis", "--quarter", "2026-Q1").out


@pytest.mark.usefixtures("db")
def test_a_month_and_a_year_have_names() -> None:
    assert asked("--month", "2026-02") == asked("--from", "2026-02-01", "--to", "2026-02-28")
    assert asked("--year", "2025") == asked("--from", "2025-01-01", "--to", "2025-12-31")


def test_quarters_and_years_are_those_of_the_fiscal_calendar(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}", create=False) as flow, flow.session() as s:
        s.get(Settings, SETTINGS_ID).change(fiscal_calendar=FiscalCalendar(start_month=4))
    assert asked("--quarter", "2026-Q2") == asked("--from", "2025-07-01", "--to", "2025-09-30")
    assert asked("--year", "2026") == asked("--from", "2025-04-01", "--to", "2026-03-31")
    then = ("--known-at", "2026-03-20")
    assert asked("--year", "2026", *then) == asked(
        "--from", "2026-01-01", "--to", "2026-12-31", *then
    ), "the calendar is the one known then"


@pytest.mark.parametrize("calendar", CALENDARS, ids=str)
def test_a_year_and_its_quarters_are_found_by_the_numbers_their_days_have(
    calendar: FiscalCalendar,
) -> None:
    for number in range(2020, 2032):
        year = calendar.year(number)
        quarters = [calendar.quarter(number, each) for each in (1, 2, 3, 4)]
        assert (quarters[0].first, quarters[3].last) == (year.first, year.last)
        for each, days in enumerate(quarters, 1):
            for day in (days.first, days.first + 40 * DAY, days.last):
                assert calendar.numbers(day)[:2] == (number, each)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--quarter", "2026-Q5"), "is not a quarter; write one like 2026-Q2"),
        (("--quarter", "2026"), "is not a quarter"),
        (("--year", "2026-Q1"), "is not a year"),
        (("--year", "99999"), "is not a year"),
        (("--month", "2026-13"), "is not a month"),
        (("--month", "9999-12"), "the calendar ends within it"),
        (("--month", "２０２６-04"), "is not a month"),
        (("--from", "2026-02-01", "--year", "2026"), "in one way only"),
        (("--month", "2026-01", "--quarter", "2026-Q1"), "in one way only"),
        (("--from", "2026-02-01", "--to", "2026-01-31"), "lies before the first"),
        (("--from", "2026-01-01", "--to", "9999-12-31"), "the last day there is"),
    ],
)
@pytest.mark.usefixtures("db")
def test_what_is_no_period_is_refused(options: tuple[str, ...], said: str) -> None:
    told = ran("ask", "kpis", *options)
    assert told.code == 2
    assert said in told.err


@pytest.mark.usefixtures("db")
def test_the_help_says_that_the_last_day_is_included_and_which_quarters_are_meant() -> None:
    told = " ".join(ran("ask", "kpis", "--help").out.replace("│", " ").split())
    assert "The last day of the period, which belongs to it" in told
    assert "A fiscal quarter by the settings" in told


@pytest.mark.usefixtures("db")
def test_the_help_says_with_which_day_a_period_begins_that_nobody_names() -> None:
    begins = {
        "kpis": ("Default: of the fiscal quarter of the moment", "2026-01-01"),
        "funnel-trend": ("Default: of the fiscal year before that of the moment", "2025-01-01"),
    }
    for question, (said, day) in begins.items():
        told = " ".join(ran("ask", question, "--help").out.replace("│", " ").split())
        assert f"The first day of the period. {said}" in told
        asked = ran("ask", question, "--json", "--as-of", "2026-03-31")
        start = datetime.fromisoformat(json.loads(asked.out)["period"]["start"])
        assert f"{start.astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d}" == day


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "nothing has happened since 2026-03-07; ask about a period up to then"),
        ("zh", "2026-03-07 之后没有发生任何事；请查询此前的期间"),
    ],
)
@pytest.mark.usefixtures("db")
def test_asked_about_a_time_after_the_last_event_the_answer_says_when_that_was(
    language: str, said: str
) -> None:
    later = ("ask", "kpis", "--month", "2026-05", "--as-of", "2026-05-31")
    assert said in ran(*later, "--lang", language).out
    told = json.loads(ran(*later, "--json").out)
    assert told["notes"] == [
        "nothing has happened since 2026-03-07; ask about a period up to then"
    ]
    assert "ask --as-of 2026-03-07" in ran("ask", "kpis", "--as-of", "2026-05-31").out
    then = ran("ask", "kpis", "--month", "2026-03", "--as-of", "2026-05-31")
    assert "nothing has happened" not in then.out


@pytest.mark.usefixtures("db")
def test_a_rep_who_never_owned_a_deal_is_named() -> None:
    told = ran("ask", "kpis", "--owner", "nobody")
    assert told.code == 0
    assert "no deal was ever owned by 'nobody'" in told.out
    assert "从未有商机归其负责" in ran("deal", "list", "--owner", "nobody", "--lang", "zh").out
    assert "was ever owned" not in ran("ask", "kpis", "--owner", "ann").out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("funnel --channel nowhere", "no deal ever came from channel 'nowhere'"),
        ("funnel --currency XAU", "no deal was ever in currency 'XAU'"),
        (
            "funnel --customer 00000000-0000-0000-0000-00000000000a",
            "there was never a customer '00000000-0000-0000-0000-00000000000a'",
        ),
        ("flow --currency XAU", "no deal was ever in currency 'XAU'"),
        ("feedback --survey none", "there was never a survey 'none'"),
    ],
)
@pytest.mark.usefixtures("db")
def test_what_a_question_is_narrowed_to_and_was_never_met_is_named(
    asked: str, said: str
) -> None:
    told = ran("ask", *asked.split())
    assert told.code == 0
    assert said in told.out
    in_chinese = ran("ask", *asked.split(), "--lang", "zh").out
    assert said not in in_chinese
    assert "从未" in in_chinese


@pytest.mark.usefixtures("db")
def test_what_was_met_is_not_named() -> None:
    for asked in (["funnel", "--currency", "CNY"], ["funnel"], ["flow", "--owner", "ann"]):
        assert "ever" not in ran("ask", *asked, "--brief").out


@pytest.mark.usefixtures("db")
def test_amounts_without_a_rate_are_named_however_short_the_answer_is() -> None:
    asked = ("ask", "funnel", "--report-currency", "XAU")
    said = "amounts left out without a rate: "
    for how in ((), ("--brief",)):
        assert ran(*asked, *how).out.count(said) == 1
        assert "因无汇率未计入的金额数：" in ran(*asked, *how, "--lang", "zh").out
        beside = ran(*asked, *how, "--compare-to", "2026-03-05").out
        assert f"Compared with: {said}" in beside
        assert f"As asked: {said}" in beside
    assert said not in ran("ask", "funnel").out


@pytest.mark.usefixtures("db")
def test_brief_leaves_out_what_is_counted_and_how() -> None:
    for command in (("ask", "funnel"), ("ask", "kpis", "--compare-to", "2026-03-05")):
        brief, full = ran(*command, "--brief").out, ran(*command).out
        assert "Definitions: " in full
        assert "Scope: " not in brief
        assert "Definitions: " not in brief
        assert "event no. " in brief, "a figure is never shown without its moment"


@pytest.mark.parametrize(("language", "title"), [("en", "What matters most"), ("zh", "要点")])
@pytest.mark.usefixtures("db")
def test_a_retrospective_opens_with_what_matters_most(language: str, title: str) -> None:
    line = ("ask", "retrospective", "--quarter", "2026-Q1", "--lang", language)
    brief, full = ran(*line, "--brief").out, ran(*line).out
    assert full.startswith(title)
    assert brief.startswith(title)
    opening = brief.split("\n\n")[0:2]
    assert full.startswith("\n\n".join(opening))
    assert 1 <= len(opening[1].splitlines()) - 2 <= 5
    assert len(brief.splitlines()) < 15


NOT_BEGUN = (
    "the period 2031-01 has not begun as of 2026-05-31; facts are known until 2026-03-27,"
)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("question", ["kpis", "flow", "win-loss", "funnel-trend", "conversion"])
def test_a_period_that_has_not_begun_is_told_with_how_far_facts_are_known(
    question: str,
) -> None:
    ahead = ("ask", question, "--month", "2031-01", "--as-of", "2026-05-31")
    told = ran(*ahead)
    assert f"{NOT_BEGUN} ask about a period up to then" in told.out
    assert "nothing has happened" not in told.out
    assert (
        "期间 2031-01 截至 2026-05-31 尚未开始；已知事件截至" in ran(*ahead, "--lang", "zh").out
    )
    span = ("--from", "2031-01-01", "--to", "2031-01-31", "--as-of", "2026-05-31")
    assert NOT_BEGUN in json.loads(ran("ask", question, *span, "--json").out)["notes"][0]
    early = ran("ask", question, "--month", "2026-03", "--as-of", "2026-02-01")
    assert "has not begun as of 2026-02-01; facts are known" in early.out
    assert "ask --as-of a later day" in early.out


@pytest.mark.usefixtures("db")
def test_a_comparison_says_of_each_side_what_its_answer_cannot_say() -> None:
    march = ("ask", "flow", "--month", "2026-03", "--as-of", "2026-04-30")
    both = (*march, "--compare-to", "2025-03-31", "--owner", "nobody")
    told, written = ran(*both).out, json.loads(ran(*both, "--json").out)["notes"]
    begun = "Compared with: the period 2026-03 has not begun as of 2025-03-31"
    assert begun in told
    assert "ask --compare-to a later day" in told
    assert "As asked: the period" not in told
    for side in ("Compared with", "As asked"):
        assert f"{side}: no deal was ever owned by 'nobody'" in written
    assert any(note.startswith(begun) for note in written)
    assert "notes" not in json.loads(ran(*march, "--compare-to", "2026-04-01", "--json").out)


def test_what_was_planned_ahead_happens_when_it_takes_effect(database_url: str) -> None:
    """A deal is handed over in May, as was decided in March when everything else ended."""
    march, may, later = (datetime(2026, month, 2, 9, tzinfo=UTC) for month in (3, 5, 9))
    with SalesFlow(database_url, clock=lambda: march) as flow:
        with flow.session() as s:
            deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann")).id
        with flow.session() as s:
            s.get(Deal, deal).assign_owner("bob", effective_from=may)
    silent = ("ask", "kpis", "--db", database_url, "--as-of")
    assert "nothing has happened" not in ran(*silent, "2026-06-30").out
    assert "nothing has happened since 2026-03-02" in ran(*silent, "2026-05-01").out
    assert "nothing has happened since 2026-05-02" in ran(*silent, f"{later:%Y-%m-%d}").out


@pytest.mark.usefixtures("db")
def test_a_period_that_was_named_and_goes_on_is_told() -> None:
    running = ("ask", "kpis", "--month", "2026-03", "--as-of", "2026-03-20")
    assert (
        "the period 2026-03 has not ended as of 2026-03-20; facts are known"
        in ran(*running).out
    )
    assert "期间 2026-03 截至 2026-03-20 尚未结束" in ran(*running, "--lang", "zh").out
    ended = ran("ask", "kpis", "--month", "2026-03", "--as-of", "2026-03-31").out
    usual = ran("ask", "kpis", "--as-of", "2026-03-20").out
    assert "has not" not in ended + usual


@pytest.mark.usefixtures("db")
def test_a_forecast_looks_ahead_and_says_only_that_nothing_happened_lately() -> None:
    ahead = ("ask", "forecast", "--month", "2026-05", "--as-of")
    assert "nothing has happened" not in ran(*ahead, "2026-04-02").out
    assert "nothing has happened since 2026-03-07; ask --as-of" in ran(*ahead, "2026-04-30").out
    assert "has not" not in ran(*ahead, "2026-04-30").out
