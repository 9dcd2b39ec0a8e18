"""The package tells operators what it does, in `logging`, and never what is about a person."""

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from re import fullmatch

import pytest

from salesflow import STANDARD, Deal, Reactor, SalesFlow, Session
from salesflow.adapters import logs
from salesflow.domain.deal.stages import DealOpened
from salesflow.errors import ClockError, ProjectionError, ReactorError
from salesflow.projections.registry import FOLDS

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
SECRET = "Li Lei"
SILENT = """
from salesflow import STANDARD, Deal, SalesFlow
from salesflow.adapters import logs
logs.SLOW_SECONDS = 0.0
with SalesFlow("sqlite://") as flow:
    flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="u")))
    flow.catch_up()
    flow.rebuild()
"""


def said(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    found = [each for each in caplog.records if each.name.startswith("salesflow")]
    assert not [each for each in found if SECRET in each.getMessage()]
    return [
        f"{each.levelname} {each.getMessage()}"
        for each in found
        if each.name == f"salesflow.{logger}"
    ]


def open_a_deal(s: Session) -> Deal:
    return s.add(Deal.open(STANDARD, title=SECRET, owner=SECRET))


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="salesflow")


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as opened:
        yield opened


def test_a_catch_up_is_told_of_when_somebody_waited_for_it(
    flow: SalesFlow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.run(open_a_deal)
    monkeypatch.setattr(logs, "SLOW_SECONDS", float("inf"))
    flow.catch_up()
    assert said(caplog, "catch_up") == []
    monkeypatch.setattr(logs, "SLOW_SECONDS", 0.0)
    flow.catch_up()
    [slow] = said(caplog, "catch_up")
    assert slow.startswith(
        f"WARNING catch-up of {len(FOLDS)} read tables to position 3 took 0."
    )


def test_a_rebuild_tells_its_beginning_its_swap_and_its_rows(
    flow: SalesFlow, caplog: pytest.LogCaptureFixture
) -> None:
    flow.run(open_a_deal)
    flow.rebuild("deal_state")
    begins, swapped, done = said(caplog, "rebuild")
    assert begins == "INFO rebuild of salesflow_deal_state_1 begins, 3 events"
    assert swapped == ("INFO read table salesflow_deal_state_1 took its new rows at position 3")
    assert fullmatch(r"INFO rebuild done in \d+\.\d s, rows: salesflow_deal_state_1 1", done)


def test_a_rebuild_that_fails_tells_of_its_end(
    flow: SalesFlow, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(reached: int, goal: int) -> None:
        raise ProjectionError(f"{SECRET} {reached} {goal}")

    flow.run(open_a_deal)
    with pytest.raises(ProjectionError):
        flow.rebuild("deal_state", progress=stop)
    assert said(caplog, "rebuild")[-1].startswith(
        "WARNING rebuild of salesflow_deal_state_1 ended by ProjectionError after "
    )


def test_an_attempt_that_was_too_late_is_told_of(
    flow: SalesFlow, caplog: pytest.LogCaptureFixture
) -> None:
    made = []
    flow.run(lambda s: made.append(open_a_deal(s).id))
    others = iter([True, True, False])

    def mail(s: Session) -> None:
        s.get(Deal, made[0]).log_contact(channel="email", direction="in")

    def call(s: Session) -> None:
        s.get(Deal, made[0]).log_contact(channel="call", direction="in", summary=SECRET)
        if next(others):
            somebody.submit(flow.run, mail).result()

    with ThreadPoolExecutor(1) as somebody:
        flow.run(call)
    assert said(caplog, "retry") == [
        f"INFO somebody else changed the same stream first; attempt {number} of 100"
        for number in (1, 2)
    ]


def test_a_clock_that_lags_is_told_of_when_it_is_refused(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with SalesFlow(database_url, clock=lambda: now) as flow:
        flow.run(open_a_deal)
        now -= timedelta(minutes=2)
        with pytest.raises(ClockError):
            flow.run(open_a_deal)
    [refused, *_] = said(caplog, "clock")
    assert refused == "WARNING refused to record: the clock is 120.0 s behind"


def test_a_reactor_that_failed_is_told_of_without_what_it_said(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: object) -> None:
        raise ValueError(f"{SECRET} {event}")

    with SalesFlow(database_url, reactors=[Reactor("mail", {DealOpened}, act=fail)]) as flow:
        flow.run(open_a_deal)
        with pytest.raises(ReactorError):
            flow.reactors.catch_up()
    assert said(caplog, "reactor") == ["WARNING mail stopped before position 3: ValueError"]


def test_a_new_log_and_a_backup_are_told_of(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SalesFlow(sqlite_url) as flow:
        made = flow.backup(tmp_path / "backup.db")
    SalesFlow(sqlite_url).close()
    assert said(caplog, "database") == ["INFO made the tables of a new log in sqlite"]
    assert said(caplog, "backup") == [f"INFO backed up to position 2, {made.bytes} bytes"]


def test_nothing_is_printed_where_the_host_has_no_handler() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SILENT], check=True, capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def test_every_message_stands_in_the_table_of_the_operators_page() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    told = {
        node.args[0].value
        for module in (ROOT / "src" / "salesflow").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
    assert len(told) >= 10
    assert [message for message in told if f"`{message}`" not in page] == []
