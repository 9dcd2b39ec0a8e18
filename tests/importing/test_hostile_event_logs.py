"""Whatever stands in an event log of a stranger: a report that adds up, or one typed error."""

import gzip
import json
import re
import resource
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

import pytest

from importing.desk import Desk
from importing.event_logs import (
    OCEL_MAPPING,
    XES_MAPPING,
    bring_ocel,
    bring_xes,
    ocel_json,
    ocel_sqlite,
    ocel_xml,
    xes,
    xes_event,
)
from importing.mutating import ODD_BYTES, ODD_CELLS
from properties.effort import TALLY, TORTURE
from salesflow.adapters.importers import ImportReport
from salesflow.errors import SalesflowError
from salesflow.presentation.messages import say

FILES = 60 if TORTURE == 1 else 2_000
"""Of each kind of file."""
MESSAGE_MAX = 3_000
CHINESE = re.compile("[\u4e00-\u9fff]").search
OPENED = xes_event("opened")
LAUGHS = '<!ENTITY l0 "ha">' + "".join(
    f'<!ENTITY l{i} "&l{i - 1};&l{i - 1};">' for i in range(1, 40)
)


def with_doctype(declared: str, used: str) -> str:
    log = xes({"1": [OPENED, xes_event("call")]})
    return log.replace("<log", f"<!DOCTYPE log [{declared}]>\n<log", 1).replace("call", used)


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (with_doctype(LAUGHS, "&l39;"), "declares a document type"),
        (with_doctype('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"), "document type"),
        (with_doctype('<!ENTITY % x SYSTEM "http://127.0.0.1/"> %x;', "b"), "document type"),
        (xes({"1": [OPENED]}).replace("opened", "&nbsp;"), "undefined entity"),
        ("<log>" + "<a>" * 5_000, "nested deeper than 100"),
        ("<log><trace><event><string key='a' value='" + "x" * 9_000_000, "an element of more"),
        (
            "<log><trace><event><string key='" + "k" * 2_000 + "' value=''/>",
            "has a name of more",
        ),
        (xes({"1": [OPENED]})[:-20], "is cut off"),
        (xes({"1": [OPENED]}).replace("</event>", "</evnt>"), "mismatched tag"),
        (xes({"1": [OPENED]}).replace("opened", "a\x01b"), "not well-formed"),
        (xes({"1": [OPENED]}).replace("UTF-8", "klingon"), "which nobody knows"),
        ("<html></html>", "begins with <html>"),
        ("<log></log>", "holds no event"),
        ("a,b\n1,2\n", "salesflow import table"),
        ('{"events": []}', "is no XML"),
        ("<log><objects/></log>", "salesflow import ocel"),
        ("<log><event><event/></event></log>", "within an event"),
        ("", "is empty"),
    ],
)
def test_a_hostile_or_broken_xes_is_refused_whole(
    desk: Desk, content: str, refused: str
) -> None:
    with pytest.raises(SalesflowError, match=refused):
        bring_xes(desk, content)
    assert desk.log.head().position == 0


def test_nothing_of_a_file_that_breaks_in_the_middle_is_recorded(desk: Desk) -> None:
    log = xes({str(case): [OPENED] for case in range(3_000)})
    with pytest.raises(SalesflowError, match=r"line \d{4,}: is not well-formed XML"):
        bring_xes(desk, log.replace("</log>", "<event></log>"))
    with pytest.raises(SalesflowError, match="its archive ends in the middle"):
        bring_xes(desk, gzip.compress(log.encode())[:-100])
    with pytest.raises(SalesflowError, match="damaged archive"):
        packed = gzip.compress(log.encode())
        bring_xes(desk, packed[:500] + b"\xff" * 20 + packed[520:])
    assert desk.log.head().position == 0


def test_an_archive_that_unpacks_without_end_is_stopped(desk: Desk) -> None:
    bomb = gzip.compress(b"<log>" + b" " * (80 << 20), 6)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bring in (bring_xes, bring_ocel):
        with pytest.raises(SalesflowError, match="unpacks to more than 250 times its size"):
            bring(desk, bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024


def test_a_huge_value_refuses_its_event_alone(desk: Desk) -> None:
    huge = f'<string key="x" value="{"x" * 200_000}"/>'
    many = "".join(f'<string key="n{i}" value="{"y" * 99_000}"/>' for i in range(12))
    log = xes(
        {"1": [OPENED, xes_event("a", "2026-03-02", huge), xes_event("b", "2026-03-02", many)]}
    )
    assert [each.reason for each in bring_xes(desk, log).refused] == [
        "holds a field of more than 131,072 characters",
        "has more than 1,000,000 characters",
    ]


def test_an_object_that_is_too_large_ends_the_import(desk: Desk) -> None:
    endless = b'{"events": [{"id": "' + b"x" * (20 << 20)
    with pytest.raises(SalesflowError, match="an event or an object of more than"):
        bring_ocel(desk, endless)


# Files are mutated: what stands between marks, whole pieces, and bytes.


class Mutated:
    """Imports mutated files of one kind, and collects what must not be."""

    def __init__(self, desk: Desk, kind: str, bring: Callable[..., ImportReport]) -> None:
        self._desk = desk
        self._kind = kind
        self._bring = bring
        self._base = bases(desk.folder)[kind]
        self.faults: list[str] = []

    def run(self, numbers: range) -> None:
        for number in numbers:
            try:
                self._try(number)
            except Exception as error:  # noqa: BLE001 - whatever else is a fault
                self.faults.append(f"{number}: {type(error).__name__}: {str(error)[:300]}")

    def _try(self, number: int) -> None:
        random = Random(f"{self._kind} {number}")
        content = (
            mutated_database(random, self._base, self._desk.folder / "mutated.sqlite")
            if self._kind == "sqlite"
            else mutated(random, self._base)
        )
        mapping = XES_MAPPING if self._kind == "xes" else OCEL_MAPPING
        mapping = mapping.replace('source = "', f'source = "s{random.randrange(4)}_', 1)
        before = self._desk.log.head().position
        try:
            report = self._bring(self._desk, content, mapping=mapping, name="mutated")
        except SalesflowError as error:
            TALLY[f"mutated {self._kind} refused"] += 1
            if len(str(error)) > MESSAGE_MAX:
                self.faults.append(f"{number}: a message of {len(str(error))} characters")
            if self._desk.log.head().position != before:
                self.faults.append(f"{number}: refused, and something is recorded: {error}")
            return
        TALLY[f"mutated {self._kind} imported"] += 1
        TALLY[f"facts of mutated {self._kind}"] += report.facts_recorded
        for each in (*report.refused, *report.adjusted):
            if not CHINESE(say(each.reason, "zh")):
                self.faults.append(f"{number}: no Chinese for: {each.reason}"[:300])


def bases(folder: Path) -> dict[str, bytes]:
    traces = {
        case: [OPENED, xes_event("call"), xes_event("mail", "2026-03-04T10:00:00Z")]
        for case in ("1", "2")
    }
    before = '<global scope="event"><string key="org:resource" value="kim"/></global>\n'
    of_case = '<float key="amount" value="12.5"/>\n'
    return {
        "xes": xes(traces, of_case=of_case, before=before).encode(),
        "json": ocel_json(),
        "xml": ocel_xml(),
        "sqlite": ocel_sqlite(folder),
    }


def mutated_database(random: Random, content: bytes, path: Path) -> bytes:
    """Change a few cells of a database, perhaps a table, perhaps some of its bytes."""
    path.write_bytes(content)
    file = sqlite3.connect(path)
    file.execute("PRAGMA foreign_keys = OFF")
    tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE sql <> ''")]
    for _ in range(random.choice((0, 1, 2, 4))):
        table = random.choice(tables)
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
        odd = random.choice((random.choice(ODD_CELLS), 5, 1.5, None, b"\xff"))
        with suppress(sqlite3.Error):
            asked = f"UPDATE {table} SET {random.choice(columns)} = ? WHERE rowid = ?"
            file.execute(asked, (odd, random.randrange(1, 4)))
    if random.random() < 0.2:
        table = random.choice(tables)
        file.execute(random.choice((f"DROP TABLE {table}", f"DELETE FROM {table}")))
    file.commit()
    file.close()
    changed = bytearray(path.read_bytes())
    for _ in range(random.choice((0, 0, 0, 1, 20))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    cut = random.randrange(len(changed)) if random.random() < 0.1 else len(changed)
    return bytes(changed[:cut])


def mutated(random: Random, content: bytes) -> bytes:
    """Change a few things: a value, a line, some bytes, the encoding, the end."""
    for _ in range(random.choice((1, 1, 2, 4))):
        content = random.choice(CHANGES)(random, content)
    for _ in range(random.choice((0, 0, 0, 0, 1, 3))):
        place = random.randrange(len(content) + 1)
        gone = random.choice((0, 1, 20))
        content = content[:place] + random.choice(ODD_BYTES) + content[place + gone :]
    if random.random() < 0.05:
        content = content[: random.randrange(len(content) + 1)]
    packed = random.random() < 0.1
    return gzip.compress(content) if packed else content


def _value(random: Random, content: bytes) -> bytes:
    """Put something odd between two quotes."""
    quotes = [m.start() for m in re.finditer(b'"', content)]
    if len(quotes) < 2:
        return content
    place = random.randrange(len(quotes) // 2) * 2
    odd = random.choice(ODD_CELLS)
    if random.random() < 0.9:
        is_json = content.lstrip()[:1] == b"{"
        plain = "".join(c for c in odd if c >= " " or c in "\t\r\n")
        odd = json.dumps(odd)[1:-1] if is_json else escape(plain, {'"': "&quot;"})
    told = odd.encode("utf-8", "surrogatepass")
    return content[: quotes[place] + 1] + told + content[quotes[place + 1] :]


def _pieces(content: bytes) -> list[bytes]:
    mark = b"\n" if content.count(b"\n") > 5 else b"}"
    return [piece + mark for piece in content.split(mark)]


def _repeat(random: Random, content: bytes) -> bytes:
    pieces = _pieces(content)
    pieces.insert(random.randrange(len(pieces)), random.choice(pieces))
    return b"".join(pieces)


def _remove(random: Random, content: bytes) -> bytes:
    pieces = _pieces(content)
    del pieces[random.randrange(len(pieces))]
    return b"".join(pieces)


def _encode(random: Random, content: bytes) -> bytes:
    encoding = random.choice(("utf-8-sig", "utf-16", "utf-16-le", "gb18030", "cp1252"))
    try:
        return content.decode().encode(encoding, "replace")
    except UnicodeDecodeError:
        return content


CHANGES = (*(_value,) * 8, _repeat, _repeat, _remove, _encode)
BRINGS = {"xes": bring_xes, "json": bring_ocel, "xml": bring_ocel, "sqlite": bring_ocel}


@pytest.mark.parametrize("kind", BRINGS)
def test_every_mutated_log_ends_in_a_report_or_a_typed_error(desk: Desk, kind: str) -> None:
    trials = Mutated(desk, kind, BRINGS[kind])
    trials.run(range(FILES))
    assert trials.faults == []
    assert TALLY[f"mutated {kind} imported"] > FILES // 20, "too few were taken"
    assert TALLY[f"mutated {kind} refused"] > FILES // 20


def test_a_raw_error_and_a_half_import_would_be_found(desk: Desk) -> None:
    def broken(desk: Desk, content: bytes, **how: str) -> ImportReport:
        report = bring_xes(desk, content, **how)  # type: ignore[arg-type]
        if report.facts_recorded:
            raise SalesflowError("refused after all")
        raise KeyError("nothing")

    trials = Mutated(desk, "xes", broken)
    trials.run(range(40))
    assert any("something is recorded" in fault for fault in trials.faults)
    assert any("KeyError" in fault for fault in trials.faults)
