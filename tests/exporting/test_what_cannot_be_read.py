"""Logs of which a part cannot be read, is damaged, or goes on while it is exported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest

from databases import tamper
from exporting.shop import DEAL, OTHER, shop
from salesflow import Deal, ExternalEvent, SalesFlow
from salesflow.adapters.exporters import log_file
from salesflow.adapters.exporters.restore import restore_log
from salesflow.domain.event import Fact
from salesflow.errors import HistoryError, InputError
from salesflow.projections.pipeline.deals import Deals


class PilotRun(Fact):
    """A fact of another package, which one program knows and another does not."""

    kind: ClassVar[str] = "acme.pilot_run"
    name_zh: ClassVar[str] = "试运行"
    product: str


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    """A log with a fact that this program does not know."""
    shop(database_url).close()
    with SalesFlow(database_url, facts=[PilotRun]) as rich:
        rich.record([ExternalEvent(OTHER, PilotRun(product="MES"))])
    with SalesFlow(database_url) as poor:
        yield poor


def test_a_kind_that_is_not_known_comes_back_and_is_named(
    flow: SalesFlow, tmp_path: Path
) -> None:
    done = flow.exports.log(tmp_path / "log.jsonl")
    again = f"sqlite:///{tmp_path / 'again.db'}"
    assert restore_log(tmp_path / "log.jsonl", again).unknown == {"acme.pilot_run:1": 1}
    with SalesFlow(again, facts=[PilotRun]) as rich:
        assert rich.exports.digest().log_sha256 == done.log_sha256
        assert rich.history(OTHER)[-1].fact == PilotRun(product="MES")
        assert rich.ask(Deals()).left_out == ()


def test_what_an_export_leaves_out_is_named(flow: SalesFlow, tmp_path: Path) -> None:
    assert flow.exports.xes(tmp_path / "deals.xes").left_out == 1
    assert flow.exports.ocel(tmp_path / "log.json").left_out == 1
    done = flow.exports.tables(tmp_path / "tables", tables=["deal_state"], format="csv")
    assert [each.stream_id for each in done.left_out] == [OTHER]
    manifest = json.loads((tmp_path / "tables" / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["left_out"]) == 1
    assert b"acme.pilot_run" not in (tmp_path / "deals.xes").read_bytes()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE salesflow_events SET actor = 'eve' WHERE position = 5", "does not fit"),
        ("DELETE FROM salesflow_events WHERE position = 5", "position 5 is missing"),
        ("DELETE FROM salesflow_commands WHERE command_id = 'quote 1'", "which is missing"),
        ("UPDATE salesflow_commands SET last = 9 WHERE first = 10", "tells of others"),
        (
            "INSERT INTO salesflow_commands VALUES ('main', 'ghost', 3, 3, 5, NULL)",
            "knows 4 commands",
        ),
    ],
)
def test_a_damaged_log_is_not_exported(
    change: str, why: str, database_url: str, tmp_path: Path
) -> None:
    shop(database_url).close()
    tamper(database_url, change)
    with SalesFlow(database_url) as flow:
        for name in ("log.jsonl", "log.csv"):
            with pytest.raises(HistoryError, match=why):
                flow.exports.log(tmp_path / name)
    assert not [*tmp_path.glob("*log*"), *tmp_path.glob(".salesflow*")]


def test_an_export_is_of_one_moment_while_others_go_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "PAGE", 3)
    with shop(database_url) as flow, SalesFlow(database_url) as other:
        before = flow.exports.digest()

        def record(done: int, goal: int) -> None:
            if done < goal:
                with other.session(actor="u-9") as s:
                    s.get(Deal, DEAL).log_contact(channel="call", direction="in")

        assert flow.exports.digest(progress=record) == before
        position = flow.log.head().position
        assert position > before.position
        assert flow.exports.digest().position == position
        assert flow.exports.digest(to_position=before.position) == before


HOSTILE = {
    "nested": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "no object": b"[1]",
    "no number": b'{"a":NaN}',
    "no text": b'{"a":"\xff"}',
    "two lines": b'{"a":\r1}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_made_to_do_harm_is_refused(name: str, sqlite_url: str, tmp_path: Path) -> None:
    with shop(sqlite_url) as flow:
        flow.exports.log(tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    begun = lines[1].partition(b'"fact":')[0]
    lines[1] = begun + b'"fact":' + HOSTILE[name] + b"}\n"
    (tmp_path / "hostile.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="line 2"):
        restore_log(tmp_path / "hostile.jsonl", f"sqlite:///{tmp_path / 'into.db'}")
    assert not (tmp_path / "into.db").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", "\u202eeve"),
        ("actor", " u-1"),
        ("source", "a\x00b"),
        ("stream_id", str(UUID(int=1)).upper()),
        ("occurred_at", "9000-01-01T00:00:00Z"),
        ("occurred_at", "2026-03-02T09:00:00"),
        ("recorded_at", "2026-03-02T09:00:00+01:00"),
        ("precision", "hour"),
        ("version", -1),
        ("position", 2**63),
        ("topic", "a\nb:1"),
        ("colour", "red"),
    ],
)
def test_an_envelope_that_no_log_holds_is_refused(
    name: str, value: object, sqlite_url: str, tmp_path: Path
) -> None:
    with shop(sqlite_url) as flow:
        flow.exports.log(tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    event = json.loads(lines[3])
    event[name] = value
    lines[3] = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    (tmp_path / "hostile.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="line 4"):
        restore_log(tmp_path / "hostile.jsonl", f"sqlite:///{tmp_path / 'into.db'}")
