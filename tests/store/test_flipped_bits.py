"""A bit of a stored event that flips is found by whoever reads it; no figure is wrong."""

import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from databases import Plain, plain_connection
from properties.effort import TORTURE
from salesflow import STANDARD, Deal, Money, SalesFlow
from salesflow.adapters.database import schema
from salesflow.adapters.event_store.rows import Checksums, with_place
from salesflow.domain.event import Event, UnreadableFact
from salesflow.domain.time import from_instant
from salesflow.errors import HistoryError, SalesflowError
from salesflow.projections.core.left_out import Checked
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

PAGE = 4_096
FILE_FLIPS = 15
COLUMNS = [column.name for column in schema.events.columns]
MOVING = {"tenant", "stream_id", "version", "position"}
"""Where a bit of these flips, a row may be looked for in vain where it was."""


class Flipped(NamedTuple):
    """One bit of one column of the event at a position, and how to put it back."""

    position: int
    column: str
    before: object
    after: object


def flipped(value: Any, bit: int) -> object:  # noqa: ANN401 - of any column
    """Return a value with one bit changed, counted round and round."""
    if isinstance(value, int):
        number = (value % 2**64) ^ (1 << bit % 64)
        return number - 2**64 if number >= 2**63 else number
    if isinstance(value, UUID):
        return UUID(int=value.int ^ (1 << bit % 128))
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    return data.decode() if isinstance(value, str) else bytes(data)


class Disk:
    """A database of which somebody changes bits, with no trigger in the way."""

    def __init__(self, connection: Plain) -> None:
        self.connection = connection
        self.mark = "?" if not isinstance(connection, psycopg.Connection) else "%s"

    def count(self) -> int:
        [(count,)] = self.connection.execute("SELECT count(*) FROM salesflow_events").fetchall()
        return int(count)

    def flip(self, random: Random) -> Flipped | None:
        """Flip a bit; None where the database would not even store that."""
        count = self.count()
        position, column = random.randint(1, count), random.choice(COLUMNS)
        if position == count and column == "tenant":
            return None  # as if it had been deleted, of which nothing is left to tell
        text = f"SELECT {column} FROM salesflow_events WHERE position = {position}"
        [(before,)] = self.connection.execute(text).fetchall()
        if before is None:
            return None
        try:
            change = Flipped(position, column, before, flipped(before, random.getrandbits(9)))
            self.put(change, change.before, change.after)
        except (UnicodeDecodeError, sqlite3.Error, psycopg.Error):
            return None
        return change

    def put(self, change: Flipped, old: object, new: object) -> None:
        place = old if change.column == "position" else change.position
        mark = self.mark
        text = f"UPDATE salesflow_events SET {change.column} = {mark} WHERE position = {mark}"
        assert self.connection.execute(text, (new, place)).rowcount == 1


def live(flow: SalesFlow) -> list[UUID]:
    """Record a few deals with envelopes of every sort."""
    deals = []
    for number in range(3):
        with flow.session(actor=f"u-{number}", command_id=f"c-{number}") as s:
            amount = Money(100 * (number + 1), "EUR")
            deals.append(s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=amount)).id)
        for _ in range(2):
            with flow.session(actor="bea", correlation_id="r") as s:
                s.get(Deal, deals[-1]).log_contact(channel="call", direction="out")
        if number:
            with flow.session() as s:
                s.get(Deal, deals[-1]).lose(because="price")
    return deals


def answers(flow: SalesFlow, moments: list[int]) -> list[Any]:
    """Ask at every moment at which anything became known."""
    flow.rebuild()
    asked: list[Any] = []
    for known in moments:
        for question in (Funnel(), Deals()):
            at = from_instant(known)
            asked.append(flow.ask(question, as_of=at, known_at=at))
    return asked


def told(read: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Read; an error of ours says by name that something is wrong."""
    try:
        return read()
    except SalesflowError:
        return None


def same_or_named(change: Flipped, now: Any, before: Any) -> bool:  # noqa: ANN401
    """Whether what was read is as it was, or says that something cannot be read."""
    if now is None or now == before:
        return True
    events = [event for event in now if isinstance(event, Event)]
    if any(isinstance(event.fact, UnreadableFact) for event in events):
        return all(e in before for e in events if not isinstance(e.fact, UnreadableFact))
    return change.column in MOVING and all(event in before for event in now)


def check(url: str, seed: int, flips: int) -> None:
    random = Random(seed)
    with SalesFlow(url) as flow:
        deals = live(flow)
        events = flow.log.page(0, 100)
        moments = sorted({event.recorded for event in events})
        before = [flow.log.stream(id) for id in deals]
        receipts = [flow.log.receipt(f"c-{number}") for number in range(3)]
        expected = answers(flow, moments)
    with plain_connection(url) as connection:
        drop_triggers(connection)
        disk = Disk(connection)
        for change in (disk.flip(random) for _ in range(flips)):
            if change is None:
                continue
            with SalesFlow(url) as flow:
                page = told(lambda: flow.log.page(0, 100))
                assert same_or_named(change, page, events), change
                for id, stream in zip(deals, before, strict=True):
                    found = told(lambda: flow.log.stream(id))  # noqa: B023
                    assert same_or_named(change, found, stream), change
                for number, receipt in enumerate(receipts):
                    found = told(lambda: flow.log.receipt(f"c-{number}"))  # noqa: B023
                    assert found in (None, receipt) or change.column in MOVING, change
                asked = told(lambda: answers(flow, moments))
                for view, old in zip(asked or (), expected, strict=False):
                    assert view.left_out or view == old, change
            disk.put(change, change.after, change.before)


def drop_triggers(connection: Plain) -> None:
    if isinstance(connection, psycopg.Connection):
        connection.execute("ALTER TABLE salesflow_events DISABLE TRIGGER USER")
        return
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {name}")


@pytest.mark.no_cover  # which would note the lines of all tables for every bit
@pytest.mark.parametrize("seed", range(2))
def test_whatever_bit_flips_nothing_is_read_as_if_it_were_right(
    database_url: str, seed: int
) -> None:
    check(database_url, seed, flips=12)


@pytest.mark.no_cover
def test_a_bit_of_the_file_itself_is_named_by_answers_or_by_a_check(tmp_path: Path) -> None:
    """Flip bits of the log's pages and its indexes', where one may differ from the other."""
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        live(flow)
        events = flow.log.page(0, 100)
        moments = [events[-1].recorded]
        expected = answers(flow, moments)
    with plain_connection(f"sqlite:///{path}") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        pages = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'salesflow_events'"
            " AND rootpage > 0"
        ).fetchall()
    whole, random, wrong = path.read_bytes(), Random(0), 0
    for _ in range(FILE_FLIPS * TORTURE):
        content = bytearray(whole)
        [page] = random.choice(pages)
        content[random.randrange((page - 1) * PAGE, page * PAGE)] ^= 1 << random.randrange(8)
        path.write_bytes(content)
        asked = told(lambda: asked_of(path, moments))
        named = asked is None or any(view.left_out for view in asked)
        if not named and asked != expected:
            wrong += 1
            found = told(lambda: checked(path))
            assert found is None or not found.whole
    assert wrong < FILE_FLIPS * TORTURE / 4


@pytest.mark.parametrize("place", [1, 5, 12])
def test_a_log_whose_last_place_went_back_is_not_read_in_a_circle(
    tmp_path: Path, place: int
) -> None:
    """A reader that goes on behind the last event it has met would begin again for ever."""
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        live(flow)
        head = flow.log.head().position
    put_last(path, head, place)
    with SalesFlow(f"sqlite:///{path}") as flow:
        assert {each.kind for each in flow.check().problems} == {"damaged"}
        for read in (flow.log.page, flow.log.stored_page):
            with pytest.raises(HistoryError, match="lost its place"):
                read(head - 3, 10)


def test_a_log_that_stands_before_its_beginning_has_lost_its_place(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        live(flow)
        head = flow.log.head().position
    put_last(path, head, -head)
    with pytest.raises(HistoryError, match="lost its place"):
        SalesFlow(f"sqlite:///{path}").log.head()


def put_last(path: Path, position: int, other: int) -> None:
    """Give the last event another position where it lies in the file."""
    with plain_connection(f"sqlite:///{path}") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    content = path.read_bytes()
    before, after = (b"main" + n.to_bytes(1, "big", signed=True) for n in (position, other))
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))


def asked_of(path: Path, moments: list[int]) -> list[Any]:
    with SalesFlow(f"sqlite:///{path}") as flow:
        return answers(flow, moments)


def checked(path: Path) -> Checked:
    with SalesFlow(f"sqlite:///{path}") as flow:
        return flow.check()


def test_without_the_checksum_flipped_bits_become_wrong_figures(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Checksums, rows: object) -> dict[int, int]:
        del self, rows
        return {}

    monkeypatch.setattr(Checksums, "misfits", nothing)
    with pytest.raises(AssertionError, match="Flipped"):
        check(sqlite_url, 0, flips=12)


@pytest.fixture
def content() -> tuple[object, ...]:
    """The columns of an event, in the order in which they are packed."""
    stream, event = UUID(int=7), UUID(int=8)
    envelope = ("microsecond", "u-1", None, "r", None, "crm", "4711")
    return ("deal.won:1", b"{}", stream, 2, event, *envelope)


def test_the_same_event_has_the_same_checksum_for_ever(content: tuple[object, ...]) -> None:
    known = Checksums("main").of_content(*content)
    ids = [b"\xc4\x10" + bytes(15) + bytes([number]) for number in (7, 8)]
    packed = [b"\xa4main", b"\x9c", b"\xaadeal.won:1", b"\xc4\x02{}", ids[0], b"\x02", ids[1]]
    packed += [b"\xabmicrosecond", b"\xa3u-1", b"\xc0", b"\xa1r", b"\xc0", b"\xa3crm"]
    assert known == zlib.crc32(b"".join([*packed, b"\xa44711"])) == 1_397_585_522
    assert with_place(known, 9, -5, 10**15) == known + 9 - 15 + 5 * 10**15
    as_bytes = [each.bytes if isinstance(each, UUID) else each for each in content]
    assert Checksums("main").of_content(*as_bytes) == known
    assert Checksums("other").of_content(*content) != known
