"""How the log and its read tables stand, and what processes are published."""

import json

import pytest

from salesflow import Reactor, SalesFlow
from salesflow.domain.deal.outcomes import DealLost
from salesflow.projections.registry import FOLDS
from simulated import demo, ran

pytestmark = pytest.mark.usefixtures("db")


def test_status_says_where_log_and_tables_stand() -> None:
    told = ran("status")
    assert "Asia/Shanghai" in told.out
    assert "deal_state" in told.out


def test_status_as_json_counts_what_there_is(db: str) -> None:
    status = json.loads(ran("status", "--db", db, "--json").out)
    assert status["events"] == status["position"]
    assert status["database_bytes"] > 0
    assert status["streams"] == 8
    assert {table["table"] for table in status["tables"]} == set(FOLDS)
    assert {table["lag"] for table in status["tables"]} == {0}


def test_status_says_how_far_reactors_are_behind(db: str) -> None:
    reactors = [Reactor("mail", {DealLost}, act=print)]
    with SalesFlow(f"sqlite:///{db}", reactors=reactors) as flow:
        head = flow.log.head().position
        flow.accept_clock(because="an event more")
    assert json.loads(ran("status", "--json").out)["reactors"] == {"mail": head}
    assert "mail" in ran("status").out
    assert "反应器" in ran("status", "--lang", "zh").out


def test_status_on_postgresql_weighs_the_database(postgres_url: str) -> None:
    with SalesFlow(postgres_url):
        pass
    assert json.loads(ran("status", "--db", postgres_url, "--json").out)["events"] == 2


def test_a_large_database_is_weighed_in_large_units() -> None:
    assert "MiB" in ran("status", "--db", demo().url).out


def test_rebuild_fills_the_tables_anew_and_says_how_many_rows() -> None:
    before = ran("ask", "funnel", "--as-of", "2026-03-31", "--json").out
    rebuilt = json.loads(ran("rebuild", "--json").out)["rebuilt"]
    assert set(rebuilt) == set(FOLDS)
    assert ran("ask", "funnel", "--as-of", "2026-03-31", "--json").out == before
    assert "deal_state" in ran("rebuild", "deal_state").out


def test_the_clock_is_accepted_with_a_reason() -> None:
    told = ran("clock", "accept", "--because", "the host was ahead", "--actor", "ops")
    assert told.code == 0
    assert "accepted at position" in told.out
    assert (
        json.loads(ran("clock", "accept", "--because", "again", "--json").out)["position"] > 0
    )


def test_processes_are_listed_with_their_versions() -> None:
    assert "Standard sales process" in ran("process", "list").out
    assert "标准销售流程" in ran("process", "list", "--lang", "zh").out
    assert json.loads(ran("process", "list", "--json").out)[0]["versions"] == [
        {"version": 1, "retired": False}
    ]


def test_a_retired_version_says_so() -> None:
    assert "1 (retired), 2" in ran("process", "list", "--db", demo().url).out


def test_a_process_shows_its_stages_in_both_languages() -> None:
    told = ran("process", "show", "standard")
    assert "Needs analysis" in told.out
    assert "需求分析" in told.out
    assert "Loss reasons: Price (price)" in told.out
    assert "Published: 2026-03-02" in told.out


def test_a_process_version_is_shown_by_its_number() -> None:
    url = demo().url
    first = json.loads(
        ran("process", "show", "standard", "--version", "1", "--db", url, "--json").out
    )
    latest = json.loads(ran("process", "show", "standard", "--db", url, "--json").out)
    assert (first["version"], latest["version"]) == (1, 2)


def test_version_names_package_and_schema() -> None:
    assert "salesflow 0.1.0 (schema " in ran("version").out
    assert json.loads(ran("version", "--json").out)["version"] == "0.1.0"


def test_the_sql_of_a_moment_is_printed_as_it_is_pasted() -> None:
    told = ran("sql", "deal-state", "--as-of", "2026-03-31", "--known-at", "2026-03-05")
    assert told.out == (
        "SELECT *\n"
        "  FROM salesflow_deal_state\n"
        " WHERE tenant = 'main'\n"
        "   AND known_from <= '2026-03-05 15:59:59.999999+00:00'\n"
        "   AND known_to > '2026-03-05 15:59:59.999999+00:00'\n"
        "   AND valid_from <= '2026-03-31 15:59:59.999999+00:00'\n"
        "   AND valid_to > '2026-03-31 15:59:59.999999+00:00';\n"
    )
    as_json = json.loads(ran("sql", "booking", "--as-of", "2026-03-31", "--json").out)
    assert "occurred_at <= '2026-03-31 15:59:59.999999+00:00'" in as_json["sql"]
