"""The log as JSON Lines: what is exported is restored as it was, or not at all."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from exporting.shop import DEAL, rows_stored, shop
from properties.effort import TORTURE
from salesflow import Deal, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.exporters.log_file import LogExport
from salesflow.adapters.exporters.restore import restore_log
from salesflow.domain.ids import new_id
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.funnel import Funnel


def exported(url: str, file: Path) -> tuple[list[tuple[object, ...]], str]:
    with shop(url) as flow:
        return rows_stored(flow), flow.exports.log(file).log_sha256


def restored(url: str) -> tuple[list[tuple[object, ...]], str]:
    with SalesFlow(url, create=False) as flow:
        return rows_stored(flow), flow.exports.digest().log_sha256


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_a_restored_log_is_the_same_in_every_column(
    name: str, tmp_path: Path, sqlite_url: str
) -> None:
    before = exported(sqlite_url, tmp_path / name)
    again = f"sqlite:///{tmp_path / 'again.db'}"
    assert restore_log(tmp_path / name, again).unknown == {}
    assert restored(again) == before


def test_a_log_goes_from_sqlite_to_postgresql_and_back(
    tmp_path: Path, sqlite_url: str, postgres_url: str
) -> None:
    before, digest = exported(sqlite_url, tmp_path / "first.jsonl")
    restore_log(tmp_path / "first.jsonl", postgres_url)
    with SalesFlow(postgres_url, create=False) as flow:
        events = rows_stored(flow)[: len(before) - 1]
        flow.exports.log(tmp_path / "second.jsonl")
    assert events == before[:-1]
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()
    restore_log(tmp_path / "second.jsonl", f"sqlite:///{tmp_path / 'third.db'}")
    assert restored(f"sqlite:///{tmp_path / 'third.db'}") == (before, digest)


def test_whoever_restored_a_log_records_and_asks_on(tmp_path: Path, database_url: str) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    exported(source, tmp_path / "log.jsonl")
    restore_log(tmp_path / "log.jsonl", database_url)
    with SalesFlow(source) as before, SalesFlow(database_url) as after:
        positions = after.log.head().position
        moments = [event.recorded_at for event in before.log.page(0, positions)][::3]
        for moment in moments:
            for question in (Funnel(), Kpis()):
                assert after.ask(question, as_of=moment, known_at=moment) == before.ask(
                    question, as_of=moment, known_at=moment
                )
        again = after.run(lambda s: s.get(Deal, DEAL), actor="u-1", command_id="quote 1")
        assert again is not None
        assert again.again
        with after.session(actor="u-2") as s:
            s.get(Deal, DEAL).log_contact(channel="call", direction="in")
        assert after.log.head().position == positions + 1
        assert after.check(all=True).problems == ()


def test_the_digests_are_those_of_standard_tools(tmp_path: Path, sqlite_url: str) -> None:
    _, digest = exported(sqlite_url, tmp_path / "log.jsonl")
    *lines, last = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    closing = json.loads(last)
    assert hashlib.sha256(b"".join(lines[1:])).hexdigest() == closing["log_sha256"] == digest
    assert hashlib.sha256(b"".join(lines)).hexdigest() == closing["file_sha256"]
    events = [json.loads(line) for line in lines[1:] if line.startswith(b'{"position"')]
    assert [event["position"] for event in events] == [*range(1, len(events) + 1)]
    assert events[-1]["fact"]["amount"] == {"amount": "95000.50", "currency": "CNY"}


def test_a_log_is_exported_up_to_a_position_or_what_was_known(
    tmp_path: Path, sqlite_url: str
) -> None:
    with shop(sqlite_url) as flow:
        all_events = flow.log.page(0, 1_000)
        third = all_events[2]
        by_time = flow.exports.log(tmp_path / "t.jsonl", known_at=third.recorded_at)
        assert by_time.position == max(
            event.position for event in all_events if event.recorded == third.recorded
        )
        by_position = flow.exports.log(tmp_path / "p.jsonl", to_position=by_time.position)
        assert by_position == by_time
        with pytest.raises(InputError, match=r"within an append.*name 2 or 4"):
            flow.exports.log(tmp_path / "x.jsonl", to_position=third.position)
        with pytest.raises(NotFoundError, match="nothing had been recorded"):
            flow.exports.log(tmp_path / "x.jsonl", known_at="2020-01-01")
    assert not (tmp_path / "x.jsonl").exists()


def test_nothing_is_written_over_unless_it_is_said(tmp_path: Path, sqlite_url: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("precious")
    with shop(sqlite_url) as flow:
        with pytest.raises(InputError, match="there already"):
            flow.exports.log(file)
        assert file.read_text() == "precious"
        flow.exports.log(file, force=True)
        database = Path(sqlite_url.removeprefix("sqlite:///"))
        link = tmp_path / "sales.jsonl"
        os.link(database, link)
        with pytest.raises(InputError, match="is the database"):
            flow.exports.log(link, force=True)
        with pytest.raises(InputError, match="in which format"):
            flow.exports.log(tmp_path / "log.txt")
        with pytest.raises(InputError, match="no folder"):
            flow.exports.log(tmp_path / "none" / "log.jsonl")
    assert json.loads(file.read_text().splitlines()[0])["tenant"] == "main"
    assert not [*tmp_path.glob(".salesflow-export-*")]


def test_bytes_that_are_no_json_come_back_as_they_were(tmp_path: Path) -> None:
    payloads = [b"\x00\xff", b'{"a": 1} ', b'{"a":\n1}', b"[1]", b'{"a":"\xc3\xa9"}', b"{", b"",
                b'{"a":"\xff"}', b'{"a":1,"a":2.50}']  # fmt: skip
    url, again = f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    with Database(url) as database:
        log = EventLog(database, tenant="lib", catalogue=UNCHECKED)
        for payload in payloads:
            log.append([NewEvent(new_id(), 0, "app:Thing#Made", payload, new_id(), None)])
        with database.read() as connection, (tmp_path / "log.jsonl").open("wb") as out:
            LogExport(log, connection).write(out.write)
    found = restore_log(tmp_path / "log.jsonl", again)
    assert found.unknown == {"app:Thing#Made": len(payloads)}
    with Database(again) as database:
        log = EventLog(database, tenant="lib", catalogue=UNCHECKED)
        assert [event.payload for event in log.stored_page(0, 100)] == payloads


# What is not restored.


def doubled_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[4], *lines[5:]]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def edited(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"95000.50", b"95000.51") for line in lines]


def reformatted(lines: list[bytes]) -> list[bytes]:
    return [lines[0], json.dumps(json.loads(lines[1])).encode() + b"\n", *lines[2:]]


def recounted(lines: list[bytes]) -> list[bytes]:
    header = json.loads(lines[0])
    header["events"] += 1
    return [json.dumps(header, separators=(",", ":")).encode() + b"\n", *lines[1:]]


def resealed(lines: list[bytes]) -> list[bytes]:
    """Take an event out of its stream, and work the digests out anew as a forger would."""
    events = [line for line in lines[1:-1] if b'"deal.quote_issued:1"' not in line]
    return sealed([lines[0], *events])


def sealed(lines: list[bytes]) -> list[bytes]:
    of_log = hashlib.sha256(b"".join(lines[1:])).hexdigest()
    of_file = hashlib.sha256(b"".join(lines)).hexdigest()
    closing = {"log_sha256": of_log, "file_sha256": of_file}
    return [*lines, json.dumps(closing, separators=(",", ":")).encode() + b"\n"]


def renumbered(lines: list[bytes], version: int) -> list[bytes]:
    """Give the last event of the log another version, and work the digests out anew."""
    event = json.loads(lines[-2])
    old, new = (b'"version":%d,' % each for each in (event["version"], version))
    return sealed([*lines[:-2], lines[-2].replace(old, new)])


Change = Callable[[list[bytes]], list[bytes]]
CHANGES: dict[str, tuple[Change, str]] = {
    "cut off": (lambda lines: lines[:-1], "is cut off"),
    "cut off in a line": (lambda lines: [*lines[:-2], lines[-2][:40]], "ends within it"),
    "without its middle": (lambda lines: lines[:3] + lines[6:], "does not follow"),
    "with a line twice": (doubled_line, "does not follow"),
    "twice": (lambda lines: lines * 2, "something follows"),
    "in another order": (swapped, "does not follow|does not tell"),
    "with an amount edited": (edited, "the digest is another one"),
    "with blanks": (reformatted, "not as salesflow writes it"),
    "with a wrong count": (recounted, "the header says"),
    "sealed by a forger": (resealed, "does not tell of the events"),
    "with a version left out": (lambda lines: renumbered(lines, 70), "versions of stream"),
    "with a version twice": (lambda lines: renumbered(lines, 2), "twice"),
    "with CR LF": (lambda lines: [x.replace(b"\n", b"\r\n") for x in lines], "CR LF"),
    "empty": (lambda _: [], "is cut off"),
    "foreign": (lambda _: [b'{"id": 1}\n'], "no exported log"),
    "of a newer format": (
        lambda lines: [lines[0].replace(b'"salesflow_log":1,', b'"salesflow_log":2,')],
        "another format",
    ),
    "of a newer salesflow": (
        lambda lines: [lines[0].replace(b'"schema":3', b'"schema":99'), *lines[1:]],
        "newer than this one",
    ),
    "without commands": (
        lambda lines: sealed([x for x in lines[:-1] if not x.startswith(b'{"command_id"')]),
        "command of the events in front of it is missing",
    ),
    "in one endless line": (lambda lines: [lines[0], b"x" * (1 << 25)], "longer than"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_is_not_whole_is_refused_with_nothing_recorded(
    name: str, tmp_path: Path, sqlite_url: str
) -> None:
    exported(sqlite_url, tmp_path / "log.jsonl")
    change, why = CHANGES[name]
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "changed.jsonl").write_bytes(b"".join(change(lines)))
    into = tmp_path / "into.db"
    for trial in (True, False):
        with pytest.raises(InputError, match=why):
            restore_log(tmp_path / "changed.jsonl", f"sqlite:///{into}", trial=trial)
        assert not into.exists()


def test_nothing_of_a_changed_file_stays_in_postgresql(
    tmp_path: Path, sqlite_url: str, postgres_url: str
) -> None:
    exported(sqlite_url, tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "changed.jsonl").write_bytes(b"".join(edited(lines)))
    with pytest.raises(InputError, match="digest"):
        restore_log(tmp_path / "changed.jsonl", postgres_url)
    with Database(postgres_url) as database:
        assert EventLog(database).head().position == 0
        assert database.rows("SELECT count(*) FROM salesflow_events WHERE tenant = ?",
                             ("main",)) == [(0,)]  # fmt: skip
    restore_log(tmp_path / "log.jsonl", postgres_url)


def test_a_packed_file_that_is_cut_off_or_damaged_is_refused(
    tmp_path: Path, sqlite_url: str
) -> None:
    exported(sqlite_url, tmp_path / "log.jsonl.gz")
    packed = (tmp_path / "log.jsonl.gz").read_bytes()
    middle = len(packed) // 2
    wrong = (packed[:middle], packed[:middle] + b"\0" * 40 + packed[middle + 40 :], packed * 2)
    for number, content in enumerate(wrong):
        file = tmp_path / f"{number}.gz"
        file.write_bytes(content)
        with pytest.raises(InputError):
            restore_log(file, f"sqlite:///{tmp_path / 'into.db'}")
        assert not (tmp_path / "into.db").exists()


def test_a_file_of_which_any_one_byte_was_changed_is_refused(
    tmp_path: Path, sqlite_url: str
) -> None:
    exported(sqlite_url, tmp_path / "log.jsonl")
    whole = (tmp_path / "log.jsonl").read_bytes()
    random = Random(5)
    for place in random.sample(range(len(whole)), 30 * TORTURE):
        changed = bytearray(whole)
        changed[place] ^= 1 << random.randrange(8)
        (tmp_path / "changed.jsonl").write_bytes(changed)
        with pytest.raises(InputError):
            restore_log(tmp_path / "changed.jsonl", f"sqlite:///{tmp_path / 'into.db'}")
        assert not (tmp_path / "into.db").exists()


def test_a_log_is_restored_into_an_empty_tenant_alone(
    tmp_path: Path, database_url: str
) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    exported(source, tmp_path / "log.jsonl")
    with shop(database_url, tenant="theirs") as flow:
        theirs = rows_stored(flow)
    restore_log(tmp_path / "log.jsonl", database_url)
    with SalesFlow(database_url, tenant="theirs", create=False) as flow:
        assert rows_stored(flow) == theirs
    for trial in (True, False):
        with pytest.raises(InputError, match="holds a log already"):
            restore_log(tmp_path / "log.jsonl", database_url, trial=trial)
    with pytest.raises(InputError, match=r"tenant main, and not of mine.*--another-tenant"):
        restore_log(tmp_path / "log.jsonl", database_url, tenant="mine")
    copied = restore_log(
        tmp_path / "log.jsonl", database_url, tenant="mine", another_tenant=True
    )
    with SalesFlow(database_url, tenant="mine", create=False) as flow:
        assert flow.exports.digest().log_sha256 == copied.log.log_sha256
        assert flow.check(all=True).problems == ()


def test_a_trial_records_nothing(tmp_path: Path, sqlite_url: str) -> None:
    exported(sqlite_url, tmp_path / "log.jsonl")
    done = restore_log(tmp_path / "log.jsonl", f"sqlite:///{tmp_path / 'x.db'}", trial=True)
    assert done.log.events > 10
    assert not (tmp_path / "x.db").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from salesflow.adapters.exporters import restore
restore.BATCH = 3
def at(done, goal):
    if done > goal // 2:
        os.kill(os.getpid(), signal.SIGKILL)
restore.restore_log(Path(sys.argv[1]), sys.argv[2], progress=at)
"""


def test_nothing_of_a_restore_that_was_killed_is_there(
    tmp_path: Path, database_url: str
) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    before = exported(source, tmp_path / "log.jsonl")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "log.jsonl"), database_url]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with Database(database_url) as database:
        assert EventLog(database).head().position == 0
    restore_log(tmp_path / "log.jsonl", database_url)
    assert restored(database_url)[1] == before[1]


def test_what_is_packed_is_the_same_each_time(tmp_path: Path, sqlite_url: str) -> None:
    with shop(sqlite_url) as flow:
        flow.exports.log(tmp_path / "a.jsonl.gz")
        flow.exports.log(tmp_path / "b.jsonl.gz")
        flow.exports.log(tmp_path / "c.jsonl")
    packed = (tmp_path / "a.jsonl.gz").read_bytes()
    assert packed == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "c.jsonl").read_bytes()
