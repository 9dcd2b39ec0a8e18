"""Alerts by the command line: defined with what there is, evaluated once, asked about."""

import json
from pathlib import Path

import pytest

from salesflow import STANDARD, Deal, SalesFlow
from simulated import Ran, ran


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database with two open deals."""
    file = str(tmp_path / "sales.db")
    with SalesFlow(f"sqlite:///{file}") as flow, flow.session(actor="ann") as session:
        for _ in range(2):
            session.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    return file


def define(database: str, figure: str, *more: str) -> Ran:
    watched = ("--question", "deal-health", "--figure", figure)
    condition = ("--condition", "above", "--threshold", "1")
    return ran("alert", "define", "open", "--db", database, *watched, *condition, *more)


def test_an_alert_is_defined_evaluated_and_asked_about(database: str) -> None:
    done = define(database, "open_deals", "--parameter", "owner=ann", "--notify", "bob")
    assert done.code == 0, done.err
    first, again = (
        json.loads(ran("alert", "evaluate", "--db", database, "--json").out) for _ in range(2)
    )
    assert [each["changed"] for each in (*first, *again)] == [True, False]
    [line] = json.loads(ran("ask", "alerts", "--db", database, "--json").out)["alerts"]
    assert (line["state"], line["parameters"]) == ("raised", '{"owner": "ann"}')


def test_a_figure_that_is_not_there_is_refused_with_those_that_are(database: str) -> None:
    done = define(database, "open_dealz")
    assert done.code != 0
    assert "there are open_deals" in done.err


def test_what_is_watched_has_to_be_named(database: str) -> None:
    condition = ("--condition", "above", "--threshold", "1")
    done = ran("alert", "define", "open", "--db", database, *condition)
    assert done.code != 0
    assert "--question and --figure" in done.err


def test_a_revision_may_leave_what_is_watched(database: str) -> None:
    define(database, "open_deals")
    done = ran(
        "alert", "revise", "open", "--db", database, "--because", "x", "--threshold", "9"
    )
    assert done.code == 0, done.err
    [found] = json.loads(ran("alert", "evaluate", "--db", database, "--json").out)
    assert not found["raised"]


def test_no_database_is_made_by_an_evaluation(tmp_path: Path) -> None:
    done = ran("alert", "evaluate", "--db", str(tmp_path / "none.db"))
    assert done.code != 0
    assert not (tmp_path / "none.db").exists()
