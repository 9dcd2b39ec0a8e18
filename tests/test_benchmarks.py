"""The benchmarks run, and what they compare is the same; how fast anything is, is not asked."""

import json
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from benchmarks import latency, questions
from benchmarks.asking import MOMENTS, as_of, clock_at_end, question_of
from benchmarks.databases import TENANT
from benchmarks.duckdb_sql import COMPARED, AnalystSql
from benchmarks.long_log import long_log
from benchmarks.skewed_log import skewed_log

from salesflow import STANDARD, Deal, Goal, Money, Rep, SalesFlow, Team
from salesflow.domain.deal.stages import DealOpened
from salesflow.projections.goals.goal_attainment import GoalAttainment
from salesflow.projections.pipeline.funnel import Funnel

SMALL = ["--db", "sqlite", "--mix", "skewed", "--events", "300", "--rounds", "1"]
FIVE_YEARS = timedelta(days=5 * 365)


def test_a_skewed_log_has_deals_that_change_all_the_time_never_and_late(
    sqlite_url: str,
) -> None:
    skewed_log(sqlite_url, TENANT, 2_400)
    with SalesFlow(sqlite_url, create=False) as flow:
        events = flow.log.page(0, flow.log.head().position)
    by_deal = defaultdict(list)
    for event in events:
        by_deal[event.stream_id].append(event)
    deals = [found for found in by_deal.values() if isinstance(found[0].fact, DealOpened)]
    end = events[-1].recorded_at
    assert max(map(len, deals)) == 1_000
    assert any(end - deal[-1].recorded_at > FIVE_YEARS for deal in deals)
    late = [
        deal
        for deal in deals
        if any(each.recorded_at - each.occurred_at > timedelta(days=59) for each in deal)
    ]
    assert len(deals) // 20 < len(late) < len(deals) // 5
    assert all(event.occurred_at <= event.recorded_at for event in events)


def test_copies_of_a_house_have_their_own_reps_and_goals_and_share_those_of_the_company(
    sqlite_url: str, tmp_path: Path
) -> None:
    with SalesFlow(f"sqlite:///{tmp_path / 'house.db'}") as house:
        with house.session(actor="u-17") as s:
            s.add(Team.form("north", name_en="North", name_zh="north"))
            s.add(Rep.join("u-17", team="north", name="Kim"))
            for key, team, parent in (("year", None, None), ("quarter", "north", "year")):
                s.add(
                    Goal.set(
                        key,
                        metric="won",
                        target=9,
                        team=team,
                        parent=parent,
                        first_day=date(2026, 1, 1),
                        last_day=date(2026, 12, 31),
                        strategy="grow",
                        why_achievable="a new market",
                    )
                )
        with house.session(actor="u-17") as s:
            s.add(Deal.open(STANDARD, title="Crane", owner="u-17", amount=Money("9", "CNY")))
        told = house.log.stored_page(0, house.log.head().position)
    long_log(sqlite_url, TENANT, 3 * len(told), told)
    with SalesFlow(sqlite_url, create=False) as flow:
        events = flow.log.page(0, flow.log.head().position)
        owners = [event.fact.owner for event in events if isinstance(event.fact, DealOpened)]
        goals = flow.ask(
            GoalAttainment.model_validate({"from_": "2026-01-01", "to": "2027-01-01"})
        )
    assert sorted(map(str, owners)) == ["u-17", "u-17-1", "u-17-2"]
    assert [(goal.goal, goal.team, goal.parent) for goal in goals.goals] == [
        ("year", None, None),
        ("quarter", "north", "year"),
        ("quarter-1", "north-1", "year"),
        ("quarter-2", "north-2", "year"),
    ]


def test_the_sql_of_an_analyst_gives_the_same_figures(
    database_url: str, tmp_path: Path
) -> None:
    skewed_log(database_url, TENANT, 400)
    clock = clock_at_end(database_url, TENANT)
    with (
        SalesFlow(database_url, create=False, clock=clock) as flow,
        AnalystSql(flow, tmp_path) as sql,
    ):
        for name in COMPARED:
            for moment in MOMENTS:
                question = question_of(name, moment, clock(), {})
                view = flow.ask(question, as_of=as_of(moment, clock()))
                assert sql.differences(name, view) == []


def test_where_the_figures_differ_it_is_said_how(sqlite_url: str, tmp_path: Path) -> None:
    with SalesFlow(sqlite_url) as flow:
        with flow.session(actor="u-17") as s:
            s.add(Deal.open(STANDARD, title="Crane", owner="u-17", amount=Money("1000", "CNY")))
        with AnalystSql(flow, tmp_path) as sql:
            assert sql.differences("funnel", flow.ask(Funnel())) == []
            with flow.session(actor="u-17") as s:
                s.add(
                    Deal.open(STANDARD, title="Lift", owner="u-17", amount=Money("500", "CNY"))
                )
            assert sql.differences("funnel", flow.ask(Funnel())) == [
                "funnel, select 1: salesflow ('standard', 'prospecting', 2, 0),"
                " DuckDB ('standard', 'prospecting', 1, 0)",
                "funnel, select 2: salesflow"
                " ('standard', 'prospecting', 'CNY', 1500000000, 150000000000000),"
                " DuckDB ('standard', 'prospecting', 'CNY', 1000000000, 100000000000000)",
            ]


def test_questions_are_measured_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, kept = tmp_path / "figures.json", tmp_path / "kept"
    asked = ["--questions", "funnel", "deals", "--json", str(file), "--keep", str(kept)]
    questions.main([*SMALL, *asked])
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [(each["question"], each["moment"]) for each in figures] == [
        *(("funnel", "now"), ("funnel", "past")),
        *(("deals", "now"), ("deals", "past")),
    ]
    assert list(figures[0]) == [
        *("question", "moment", "database", "mix", "events"),
        *("ms_median", "ms_p95", "mb_peak", "duckdb_ms_median"),
    ]
    assert [each["duckdb_ms_median"] is None for each in figures] == [False, False, True, True]
    assert "made a log of about 300 events" in capsys.readouterr().out
    latency.main([*SMALL, "--keep", str(kept), "--instants", "3", "--parts", "instants"])
    latency.main([*SMALL, "--keep", str(kept), "--parts", "events"])
    said = capsys.readouterr().out
    assert "made a log" not in said
    assert "funnel at 3 past instants" in said
    assert "retrospective after an event" in said


def test_a_cold_command_is_measured() -> None:
    assert latency.command("--help") > 0
