"""Alerts by the command line: defined with what there is, evaluated once, asked about."""

import json
from pathlib import Path

import pytest

from salesflow import STANDARD, Alert, Deal, Rep, SalesFlow, Team
from salesflow.domain.alert import WatchedFigure, alert_id
from salesflow.domain.rep import rep_id
from salesflow.engine.alerts import watched_figure
from salesflow.errors import InputError
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


def recorded(database: str) -> int:
    with SalesFlow(f"sqlite:///{database}") as flow:
        return flow.log.head().position


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--parameter", "owner=ann", "--parameter", "owner=bo"), "'owner' is given twice"),
        (("--parameter", "nope=1"), "there is no parameter 'nope'; there are process, stage"),
        (("--parameter", "no-reply-days=x"), "parameter no-reply-days:"),
        (("--parameter", "owner="), "parameter owner: must not be blank"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused(
    database: str, more: tuple[str, ...], says: str
) -> None:
    before = recorded(database)
    done = define(database, "open_deals", *more)
    assert done.code in (1, 2)
    assert says in done.err
    assert recorded(database) == before


def test_a_parameter_that_a_question_needs_is_asked_for(database: str) -> None:
    watched = ("--question", "rep-card", "--figure", "x", "--condition", "above")
    done = ran("alert", "define", "a", "--db", database, *watched, "--threshold", "1")
    assert (done.code, "rep-card: parameter rep: must be said" in done.err) == (2, True)


def test_a_row_that_can_never_be_there_is_refused_with_those_that_can(database: str) -> None:
    done = define(database, "counts[reason=stale].deals")
    assert done.code == 2
    assert "there is no reason 'stale'" in done.err
    assert "stalled, overdue" in done.err


def test_somebody_is_watched_by_name_and_nobody_known_is_said_so(database: str) -> None:
    assert (
        ran("team", "form", "t", "--name-en", "T", "--name-zh", "T", "--db", database).code == 0
    )
    joined = ran("rep", "join", "ann", "--team", "t", "--name", "陈安", "--db", database)
    assert joined.code == 0, joined.err
    done = define(database, "open_deals", "--parameter", "owner=陈安", "--json")
    assert json.loads(done.out)["recorded"][0]["fact"]["watched"]["parameters"] == (
        '{"owner": "ann"}'
    )
    assert "notes" not in json.loads(done.out)
    named = ("--question", "deal-health", "--figure", "open_deals", "--parameter", "owner=zoe")
    done = ran(
        "alert", "define", "z", "--db", database, *named, "--condition", "above",
        "--threshold", "1",
    )  # fmt: skip
    assert (done.code, "no deal was ever owned by 'zoe'" in done.err) == (0, True)


def watch(database: str, figure: str, threshold: str, *more: str) -> Ran:
    watched = ("--question", "kpis", "--figure", figure, *more)
    condition = ("--condition", "below", "--threshold", threshold)
    return ran("alert", "define", "k", "--db", database, *watched, *condition)


def test_a_row_of_nobody_is_noted_and_its_evaluation_says_a_problem(database: str) -> None:
    assert (
        ran("team", "form", "north", "--name-en", "N", "--name-zh", "N", "--db", database).code
        == 0
    )
    assert (
        ran("rep", "join", "ann", "--team", "north", "--name", "A", "--db", database).code == 0
    )
    done = watch(database, "lines[group=nroth].orders", "5", "--parameter", "by=team")
    assert done.code == 0, done.err
    assert "there was never a team 'nroth'; perhaps north" in done.err
    assert "while that is so, the alert is not raised" in done.err
    done = ran("alert", "evaluate", "--db", database)
    assert done.code == 1
    assert "has no row group=nroth" in " ".join(done.out.split())
    assert "clear" not in done.out


@pytest.mark.parametrize(
    ("figure", "threshold", "says"),
    [
        ("lines[group=null].win_rate.value", "50", "write 0.5 for 50%"),
        ("lines[group=null].orders", "50%", "'lines[group=null].orders' is none; write 50"),
        ("lines[group=null].cycle.days_p90", "50%", "is none; write 50"),
    ],
)
def test_a_threshold_in_per_cent_is_for_shares_and_theirs_is_one(
    database: str, figure: str, threshold: str, says: str
) -> None:
    done = watch(database, figure, threshold)
    assert (done.code, says in done.err) == (2, True), done.err


def test_a_revision_in_per_cent_of_what_is_no_share_is_refused(database: str) -> None:
    assert watch(database, "lines[group=null].orders", "50").code == 0
    done = ran("alert", "revise", "k", "--db", database, "--because", "x", "--threshold", "5%")
    assert (done.code, "write 5" in done.err) == (2, True), done.err


def test_a_revision_of_nothing_is_refused(database: str) -> None:
    define(database, "open_deals")
    before = recorded(database)
    done = ran("alert", "revise", "open", "--db", database, "--because", "x")
    assert (done.code, "nothing is revised" in done.err) == (2, True)
    assert recorded(database) == before


def test_an_evaluation_that_meets_a_problem_ends_with_1(database: str) -> None:
    define(database, "open_deals")
    with SalesFlow(f"sqlite:///{database}") as flow, flow.session() as s:
        s.add(Team.form("t", name_en="T", name_zh="T"))
        s.add(Rep.join("bo", team="t", name="Bo"))
    narrowed = ("--question", "deal-health", "--figure", "open_deals", "--parameter", "team=t")
    done = ran(
        "alert", "define", "t", "--db", database, *narrowed, "--condition", "above",
        "--threshold", "1",
    )  # fmt: skip
    assert done.code == 0, done.err
    with SalesFlow(f"sqlite:///{database}") as flow, flow.session() as s:
        rep = s.get(Rep, rep_id("bo"))
        rep.retract(rep.history[0].event_id, because="nobody of that name")
    done = ran("alert", "evaluate", "--db", database, "--json")
    found = {each["alert"]: each for each in json.loads(done.out)}
    assert done.code == 1
    assert "nobody has been in a team 't'" in found["t"]["problem"]
    assert found["open"]["raised"]


@pytest.mark.parametrize(
    "watched",
    [
        {"question": "nope", "parameters": "{}", "figure": "open_deals"},
        {"question": "deal-health", "parameters": "{}", "figure": "nope"},
        {"question": "deal-health", "parameters": "{}", "figure": "counts.deals"},
        {"question": "deal-health", "parameters": "{}", "figure": "moment.position"},
        {"question": "deal-health", "parameters": "no JSON", "figure": "open_deals"},
        {"question": "deal-health", "parameters": '{"x": 1}', "figure": "open_deals"},
        {"question": "rep-card", "parameters": "{}", "figure": "open_deals"},
        {"question": "deal-health", "parameters": "[" * 400, "figure": "open_deals"},
    ],
)
def test_a_figure_put_together_by_hand_is_refused_when_it_is_recorded(
    database: str, watched: dict[str, str]
) -> None:
    before = recorded(database)
    made = WatchedFigure(**watched)
    with SalesFlow(f"sqlite:///{database}") as flow:
        with pytest.raises(InputError), flow.session() as s:
            s.add(Alert.define("a", watched=made, condition="above", threshold="1"))
        right = watched_figure(flow, "deal-health", "open_deals")
        with flow.session() as s:
            s.add(Alert.define("a", watched=right, condition="above", threshold="1"))
        with pytest.raises(InputError), flow.session() as s:
            s.get(Alert, alert_id("a")).revise(watched=made, because="x")
    assert recorded(database) == before + 1
