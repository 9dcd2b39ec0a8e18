"""`salesflow project`: read tables brought to the head, once or for as long as it runs."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from salesflow import Deal, SalesFlow
from salesflow.adapters.event_store.log import Head
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.cli.admin.project import ProgressPrinter
from salesflow.cli.context import CommandContext
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.domain.time import to_instant
from salesflow.engine.worker import CaughtUp
from salesflow.projections.folds.deal_state import DEAL_STATE, DEAL_STATES
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Change, IntervalFold
from simulated import ran

MES = "3e500000-0000-4000-8000-000000000002"
FOLLOW = (sys.executable, "-m", "salesflow", "project", "--follow")
WAIT_SECONDS = 60
NOON = to_instant(datetime(2026, 6, 1, 4, tzinfo=UTC))


class NeverState:
    """A fold that no event can be given to."""

    def apply(self, event: Event) -> Iterable[Change]:
        raise ValueError(f"no {event.fact.kind} please")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fold into the registry that fails at once."""
    table = replace(DEAL_STATE, label="never_of_this_test")
    fold = IntervalFold(table, DEAL_STATES.facts, lambda _: NeverState())
    monkeypatch.setitem(FOLDS, "never_of_this_test", fold)


def moved(db: str) -> int:
    """Record something; give the new head of the log."""
    with SalesFlow(f"sqlite:///{db}") as flow:
        deal = flow.get(Deal, next(e.stream_id for e in flow.log.page(0, 99) if _opens(e)))
        flow.run(lambda s: s.get(Deal, deal.id).log_contact(channel="call", direction="in"))
        return flow.log.head().position


def _opens(event: Event) -> bool:
    return isinstance(event.fact, DealOpened)


def test_project_brings_every_table_to_the_head(db: str) -> None:
    head = moved(db)
    told = json.loads(ran("project", "--json").out)
    assert told["position"] == head
    assert told["tables"] == dict.fromkeys(FOLDS, head)
    lags = json.loads(ran("status", "--json").out)["tables"]
    assert {table["lag"] for table in lags} == {0}


def test_project_says_where_the_tables_stand(db: str) -> None:
    head = moved(db)
    assert f"event no. {head} · recorded at " in ran("project").out
    assert "全部读表" in ran("project", "--lang", "zh").out


@pytest.mark.usefixtures("broken")
def test_a_failed_fold_is_named_with_its_position_when_the_others_are_done(db: str) -> None:
    head = moved(db)
    told = ran("project")
    assert told.code == 1
    assert "never_of_this_test stopped before position" in told.err
    assert "Traceback" not in told.err
    tables = json.loads(ran("status", "--json").out)["tables"]
    stands = {table["table"]: table["position"] for table in tables}
    assert stands.pop("never_of_this_test") == 0
    assert set(stands.values()) == {head}


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_tells_when_something_moved_and_ends_cleanly(
    ended_by: signal.Signals, db: str
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        (*FOLLOW, "--db", db), stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        head = moved(db)
        second = process.stdout.readline()
        process.send_signal(ended_by)
        rest, complaints = process.communicate(timeout=WAIT_SECONDS)
    assert first.startswith("event no. ")
    assert second.startswith(f"event no. {head} · recorded at ")
    assert (process.returncode, complaints) == (0, "")
    assert "Traceback" not in rest


def told_by(found: CaughtUp, db: str, **how: object) -> None:
    desk = CommandContext(db=db, tenant="main", language="en", as_json=bool(how.get("as_json")))
    with desk.open() as flow:
        teller = ProgressPrinter(desk, flow)
        teller.tell(found)
        teller.tell(found._replace(head=Head(10, NOON)))


def test_a_worker_says_once_why_a_fold_failed(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stands = {
        "deal_state": ProjectionPosition(1, 9, NOON),
        "visits": ProjectionPosition(1, 4, 0),
    }
    told_by(CaughtUp(Head(9, NOON), stands, {"visits": "stopped before position 5"}), db)
    assert capsys.readouterr().out.splitlines() == [
        "visits stopped: stopped before position 5",
        "event no. 9 · recorded at 2026-06-01 12:00:00 · behind visits 4",
        "event no. 10 · recorded at 2026-06-01 12:00:00 · behind deal_state 9, visits 4",
    ]


def test_a_worker_tells_json_line_by_line(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    stands = {"deal_state": ProjectionPosition(1, 9, NOON)}
    told_by(CaughtUp(Head(9, NOON), stands, {}, busy=True), db, as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "position": 9,
        "recorded_at": "2026-06-01T04:00:00+00:00",
        "tables": {"deal_state": 9},
        "failed": {},
        "busy": True,
        "left_out": [],
    }
    assert second["position"] == 10


def test_a_worker_says_that_it_waits_for_a_busy_database(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(CaughtUp(Head(9, NOON), {}, {}, busy=True), db)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "the database is busy, trying again"


def test_a_worker_never_makes_a_database(db: str) -> None:
    told = ran("project", "--follow", "--db", f"{db}.absent")
    assert told.code == 2
    assert "there is no database" in told.err
