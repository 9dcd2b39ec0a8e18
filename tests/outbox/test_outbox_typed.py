"""`salesflow outbox`: delivering, looking and helping from the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.receiving import SECRET, SECRET_NAME, Receiver, called, opened
from salesflow import SalesFlow
from salesflow.adapters.outbox.store import ENDPOINTS, MESSAGES, QUEUES
from salesflow.adapters.projector.sql_views import OUTBOX_TABLES
from simulated import typed

pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")


class Desk:
    """A database, a file of endpoints and a receiver behind it."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.database = str(folder / "sales.db")
        self.endpoints = folder / "endpoints.toml"
        self.endpoints.write_text(
            f'[[endpoint]]\nname = "crm"\nurl = "{receiver.url}"\nafter = 0\nattempts = 1\n'
            f'facts = ["deal.*"]\nsecret_env = "{SECRET_NAME}"\nretry_seconds = 0.001\n'
        )
        with SalesFlow(f"sqlite:///{self.database}") as flow:
            called(flow, opened(flow), times=2)

    def deliver(self, more: str = "") -> tuple[int, str]:
        found = typed(f"outbox deliver --endpoints {self.endpoints} {more}", self.database)
        return found.code, found.out + found.err


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv(SECRET_NAME, SECRET)
    with Receiver(tmp_path) as receiver:
        yield Desk(tmp_path, receiver)


def test_what_is_due_is_delivered_and_told(desk: Desk) -> None:
    code, out = desk.deliver("--json")
    assert code == 0
    told = json.loads(out)
    assert told["delivered"] == {"crm": 3}
    assert told["endpoints"][0]["waiting"] == 0
    assert len(desk.receiver.notes) == 3
    assert "nothing was ever delivered" not in typed("outbox status", desk.database).out


def test_a_dry_run_sends_nothing_and_shows_what_would_be_sent(desk: Desk) -> None:
    code, out = desk.deliver("--dry-run --json")
    assert (code, len(json.loads(out))) == (0, 3)
    code, out = desk.deliver("--dry-run --lang zh")
    assert "接下来将发送的消息" in out
    assert "没有发送任何消息" in out
    assert desk.receiver.notes == []
    assert typed("outbox status", desk.database).out == "nothing was ever delivered from here\n"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_dead_is_shown_with_the_way_out(desk: Desk, language: str) -> None:
    desk.receiver.order(status=500)
    code, out = desk.deliver(f"--lang {language}")
    said = {"en": "the answer was 500", "zh": "应答为 500"}[language]
    assert code == 1
    assert said in out
    for command in ("dead", "list", "status"):
        found = typed(f"outbox {command} --lang {language}", desk.database)
        assert found.code == 0
        assert said in found.out
    [dead] = json.loads(typed("outbox dead --json", desk.database).out)
    assert (dead["type"], dead["held"], dead["attempts"]) == ("com.salesflow.deal.opened", 2, 1)


def test_what_waits_behind_a_dead_message_is_held_back_and_was_never_tried(desk: Desk) -> None:
    desk.receiver.order(status=500)
    desk.deliver()
    dead, *held = json.loads(typed("outbox list --json", desk.database).out)
    assert (dead["state"], dead["attempts"]) == ("dead", 1)
    for each in held:
        said = (each["state"], each["attempts"], each["dead_since"], each["failure"])
        assert said == ("held back", 0, None, None)
    assert "暂缓发送" in typed("outbox list --lang zh", desk.database).out


def test_an_endpoint_that_is_not_asked_says_why_when_delivering(desk: Desk) -> None:
    desk.receiver.order(status=410)
    desk.deliver()
    code, out = desk.deliver()
    assert code == 1
    assert "switched off at" in out
    found = typed("outbox resend crm", desk.database)
    assert "crm was switched off, and is asked again" in found.out


def test_a_dry_run_misses_a_secret_as_delivering_would(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET_NAME)
    code, out = desk.deliver("--dry-run")
    assert code == 2
    assert SECRET_NAME in out


def test_dead_messages_are_sent_again_or_skipped(desk: Desk) -> None:
    desk.receiver.order(status=500)
    desk.deliver()
    found = typed("outbox resend crm", desk.database)
    assert found.out == "1 message is sent again by the next `salesflow outbox deliver`\n"
    desk.deliver()
    [dead] = json.loads(typed("outbox dead --json", desk.database).out)
    desk.receiver.order()
    assert typed("outbox skip crm nothing", desk.database).code == 2
    found = typed(f"outbox skip crm {dead['id']} --lang zh", desk.database)
    assert found.out == "已跳过 1 条消息，不再发送\n"
    code, out = desk.deliver("--json")
    assert (code, json.loads(out)["delivered"]) == (0, {"crm": 2})


def test_an_endpoint_that_rests_or_is_switched_off_says_so(desk: Desk) -> None:
    desk.receiver.order(status=503)
    desk.deliver()
    assert "rests until" in typed("outbox status", desk.database).out
    typed("outbox resend crm", desk.database)
    desk.receiver.order(status=410)
    desk.deliver()
    out = typed("outbox status", desk.database).out
    assert "since it wants no more messages; `salesflow outbox resend crm` asks it" in out


def test_an_endpoint_that_left_the_file_is_told_of_and_forgotten_when_that_is_confirmed(
    desk: Desk,
) -> None:
    desk.receiver.order(status=500)
    desk.deliver()
    forget = f"outbox forget crm --endpoints {desk.endpoints}"
    found = typed(f"{forget} --yes", desk.database)
    assert found.code == 2
    assert "is in " in found.err
    desk.endpoints.write_text(desk.endpoints.read_text().replace('"crm"', '"other"'))
    status = f"outbox status --endpoints {desk.endpoints}"
    assert "no longer in the file; `salesflow" in typed(status, desk.database).out
    assert "文件中已无此端点" in typed(f"{status} --lang zh", desk.database).out
    [told] = json.loads(typed(f"{status} --json", desk.database).out)
    assert told["in_file"] is False
    found = typed(forget, desk.database)
    assert found.code == 2
    assert "3 messages that wait for it would be deleted" in found.err
    found = typed(f"{forget} --yes --json", desk.database)
    assert (found.code, json.loads(found.out)) == (0, {"endpoint": "crm", "deleted": 3})
    assert typed(f"{forget} --yes", desk.database).code == 2
    assert json.loads(typed(f"{status} --json", desk.database).out) == []
    with SalesFlow(f"sqlite:///{desk.database}") as flow:
        assert flow.reactors.positions() == {}


def test_what_is_wrong_in_the_file_is_refused_before_anything_is_opened(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET_NAME)
    code, out = desk.deliver()
    assert code == 2
    assert f"the environment variable {SECRET_NAME} is not set" in out
    desk.endpoints.write_text("[[endpoint]]\nnam = 1")
    code, out = desk.deliver()
    assert code == 2
    assert "an endpoint has no name" in out


def test_a_worker_delivers_until_it_is_told_to_end(desk: Desk) -> None:
    command = [sys.executable, "-m", "salesflow", "outbox", "deliver", "--follow", "--json"]
    command += ["--endpoints", str(desk.endpoints), "--db", desk.database]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True)
    desk.receiver.wait_until(lambda notes: len(notes) >= 3)
    with SalesFlow(f"sqlite:///{desk.database}") as flow:
        opened(flow)
    desk.receiver.wait_until(lambda notes: len(notes) >= 4)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert json.loads(out.splitlines()[-1])["delivered"] == {"crm": 4}


def test_no_read_table_takes_the_name_of_a_table_of_the_outbox() -> None:
    assert {*OUTBOX_TABLES} == {table.name for table in (MESSAGES, QUEUES, ENDPOINTS)}
