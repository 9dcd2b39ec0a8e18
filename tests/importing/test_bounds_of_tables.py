"""Tables and mappings without an end: each is refused early, in a sentence."""

import io
import os
import re
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importing.desk import Desk
from properties.effort import examples
from salesflow.adapters.importers import read_mapping
from salesflow.adapters.importers.csv import BadRow, TableFile, TableRow
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.table.mapping import FileFormat
from salesflow.adapters.importers.table.patterns import Extraction, matcher, refusal
from salesflow.errors import InputError

MEGABYTE = 1_000_000
MAPPING = """
source = "crm"
rows = "deals"
object = "id"
timezone = "UTC"
currency = "EUR"
"""
OPENING = """
[[facts]]
kind = "deal.opened"
at = "day"
"""


def opened(folder: Path, content: bytes, wanted: tuple[str, ...] = ("id",)) -> TableFile:
    path = folder / "table.csv"
    path.write_bytes(content)
    return TableFile(path, None, wanted)


def peak_of(work: Callable[[], object]) -> int:
    """Give the most bytes that were held at once while something was done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def endless(folder: Path, start: bytes, size: int = 3_000 * MEGABYTE) -> Path:
    """Make a file of NULs behind a start: of three gigabytes that are on no disk."""
    path = folder / "endless.csv"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


ROWS = (b"1," + b"a" * 1_000 + b"\n") * 300


@pytest.mark.parametrize(
    "start",
    [b"id,name\n1,a\n" + b"x" * 300_000, b"id,name\n" + ROWS + b'2,"open'],
    ids=["a line", "a quote never closed"],
)
def test_a_line_of_gigabytes_is_refused_after_its_first_megabytes(
    tmp_path: Path, start: bytes
) -> None:
    table = TableFile(endless(tmp_path, start), None, ["id"])

    def read() -> None:
        with pytest.raises(InputError, match="has more than 16,000,000 characters"):
            list(table.rows())

    assert peak_of(read) < 100 * MEGABYTE


def test_a_header_of_gigabytes_is_refused(tmp_path: Path) -> None:
    path = endless(tmp_path, b"id," + b"x" * 300_000)

    def read() -> None:
        with pytest.raises(InputError, match="line 1 has more than 16,000,000 characters"):
            TableFile(path)

    assert peak_of(read) < 100 * MEGABYTE


def test_a_long_line_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    table = opened(tmp_path, b"id,name\n1,a\n2," + b"x" * 3 * MEGABYTE + b"\n3,c\n")
    first, long, last = table.rows()
    assert isinstance(long, BadRow)
    assert (long.line, long.reason[:33]) == (3, "has more than 1,000,000 character")
    assert (first, last) == (TableRow(2, ["1", "a"]), TableRow(4, ["3", "c"]))


def test_a_row_of_endlessly_many_quoted_lines_is_refused(tmp_path: Path) -> None:
    row = b'"aaaaaaaa\n",' * 100_000
    found = next(opened(tmp_path, b"id,name\n1," + row + b"\n2,c\n").rows())
    assert isinstance(found, BadRow)
    assert "1,000,000 characters" in found.reason


def test_a_header_longer_than_a_field_may_be_is_read(tmp_path: Path) -> None:
    names = [f"column number {n:05}" for n in range(8_010)]
    table = opened(tmp_path, ",".join(["id", *names]).encode() + b"\n")
    assert len(table.header) == 8_011


def test_so_many_columns_are_too_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"16,385 columns; at most 16,384"):
        opened(tmp_path, b"id" + b",c" * 16_384 + b"\n")
    with pytest.raises(InputError, match="longer than 1,000 characters"):
        opened(tmp_path, b"id," + b"n" * 1_001 + b"\n")


def test_lines_above_the_header_end_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"id\n1\n")
    with pytest.raises(InputError, match="is empty"):
        TableFile(tmp_path / "t.csv", FileFormat(skip_lines=100_000))


def test_a_regular_expression_cannot_run_away() -> None:
    bait = "a" * 5_000 + "b"
    for pattern in ("^(a+)+$", "^(a|aa)+$", "^(a*)*$", "^(a?){30}a{3000}$"):
        assert not matcher(pattern)(bait)
        assert refusal(pattern) is None
        assert "repeats what holds" in str(refusal(pattern, extract=True))


def test_what_is_looked_around_in_is_bounded() -> None:
    assert matcher("^W_(?!Call)")("W_Mail")
    assert not matcher("^W_(?!Call)")("W_Call")
    assert matcher("^ä", ignore_case=True)("Älter")
    assert not matcher("a++a")("aaa")
    assert matcher("[a[b]]")("[]")
    assert matcher(r"\<5")("<5")
    assert matcher("^a{,2}$")("aa")
    assert matcher(r"(?a)^\d\Z")("5")
    assert "repeats" in str(refusal("^(?!(a+)+$)"))
    with pytest.raises(RowError, match="is longer than the"):
        matcher("(?=a)a*a*a*b")("a" * 10_000)


def test_an_extract_takes_its_first_group_and_gives_up_on_long_texts() -> None:
    found = Extraction(r"no\. (\d+)").search("order no. 4711 of May")
    assert found is not None
    assert found[1] == "4711"
    with pytest.raises(RowError, match="is longer than the"):
        Extraction("(x*)(x*)(x*)y").search("x" * 1_000 + "y")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("x = " + "[" * 900 + "]" * 900, "nested deeper than 60"),
        ("a = " + "{ b = " * 100 + "1" + " }" * 100, "nested deeper than 60"),
        (".".join(["a"] * 50_000) + " = 1", "dotted key of 30 parts or more"),
        ("empty = [" + '"x",' * 1_000_000 + "]", "more than 256,000 bytes"),
        (f"a = {'9' * 5_000}", "is not TOML"),
        ("a = 1e99999999999999999999999", "is no"),
        ("currency = -inf", "is no number that can be read"),
    ],
    ids=["lists", "tables", "dotted", "long", "digits", "exponent", "infinite"],
)
def test_a_mapping_beyond_bounds_is_refused(tmp_path: Path, said: str, match: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(said + "\n")
    with pytest.raises(InputError, match=match) as caught:
        read_mapping(path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("field", "match"),
    [
        ("owner = -inf", "no number that can be read"),
        ("owner = nan", "no number that can be read"),
        ('amount = { column = "value", scale = 1e999999 }', "no number that can be read"),
        ('amount = { column = "value", scale = 1e30 }', "between 1e-12 and 1e12"),
        ('amount = { column = "value", scale = 0 }', "not zero"),
        ('amount = { column = "value", extract = "(a+)+" }', "repeats what holds"),
        ("amount = 1e39", "at most"),
    ],
)
def test_a_constant_that_can_never_be_right_is_refused_with_its_key(
    desk: Desk, field: str, match: str
) -> None:
    mapping = MAPPING + OPENING + f"[facts.fields]\n{field}\n"
    with pytest.raises(InputError, match=match) as caught:
        desk.bring(mapping, "id,day,value\n1,2026-01-05,5\n")
    assert "facts[1]" in str(caught.value)


def test_conditions_nested_too_deeply_are_refused(desk: Desk) -> None:
    when = "{ not = " * 500 + '{ column = "id", is = "1" }' + " }" * 500
    with pytest.raises(InputError, match="nested deeper"):
        desk.bring(MAPPING + OPENING + f"when = {when}\n", "id,day\n1,2026-01-05\n")


@pytest.mark.parametrize(
    "name", ["../out.csv", "/etc/passwd", "C:\\\\out.csv", "link.csv", "below/../../out.csv"]
)
def test_a_joined_table_lies_with_the_mapping_or_the_table(desk: Desk, name: str) -> None:
    secret = "not to be repeated"
    (desk.folder.parent / "out.csv").write_text(f"{secret}\n1\n")
    (desk.folder / "below").mkdir()
    (desk.folder / "link.csv").symlink_to(desk.folder.parent / "out.csv")
    lookup = f'[lookups.other]\nfile = "{name}"\non = "id"\n'
    with pytest.raises(InputError, match="lies elsewhere; a joined table lies in") as caught:
        desk.bring(MAPPING + lookup + OPENING, "id,day\n1,2026-01-05\n")
    assert secret not in str(caught.value)
    assert "root:" not in str(caught.value)


def test_a_joined_table_may_lie_in_a_folder_below(desk: Desk) -> None:
    (desk.folder / "below").mkdir()
    (desk.folder / "below" / "reps.csv").write_text("rep,owner\nAnn,u1\n")
    lookup = '[lookups.reps]\nfile = "below/reps.csv"\non = "rep"\n'
    rules = OPENING + '[facts.fields]\nowner = "reps.owner"\n'
    desk.bring(MAPPING + lookup + rules, "id,day,rep\n1,2026-01-05,Ann\n")
    assert desk.deal("1").owner == "u1"


def test_the_name_of_a_joined_table_has_a_bound(desk: Desk) -> None:
    for name, match in [("x" * 5_000, "file"), ("x" * 900, "cannot be looked up|no file")]:
        lookup = f'[lookups.other]\nfile = "{name}"\non = "id"\n'
        with pytest.raises(InputError, match=match) as caught:
            desk.bring(MAPPING + lookup + OPENING, "id,day\n1,2026-01-05\n")
        assert len(str(caught.value)) < 700


def test_a_device_is_no_table() -> None:
    for name in ("/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match="is a device, not a file"):
            TableFile(name)


def test_a_pipe_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "id,name\n1,张伟\n".encode()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    table = TableFile(pipe, None, ["id"])
    writer.join()
    assert [row.line for row in table.rows()] == [row.line for row in table.rows()] == [2]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    table = TableFile("-", None, ["id"])
    assert list(table.rows()) == [TableRow(2, ["1", "张伟"])]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(InputError, match="standard input is empty"):
        TableFile("-")


def atoms() -> st.SearchStrategy[str]:
    plain = st.sampled_from(["a", "b", "ab", ".", r"\d", "[ab]", "[^a]", r"\w", "x"])
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.builds("({}|{})".format, inner, inner),
            st.builds("(?:{}{})".format, inner, inner),
            st.builds(
                "({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])
            ),
        ),
        max_leaves=6,
    )


@examples(80)
@given(
    parts=st.lists(atoms(), min_size=1, max_size=3),
    ends=st.sampled_from([("", ""), ("^", ""), ("", "$"), ("^", "$")]),
    text=st.text(alphabet="abx1 ", max_size=8),
)
def test_a_pattern_is_found_where_python_finds_it(
    parts: list[str], ends: tuple[str, str], text: str
) -> None:
    pattern = f"{ends[0]}{''.join(parts)}{ends[1]}"
    assert matcher(pattern)(text) is (re.search(pattern, text) is not None)
    if refusal(pattern, extract=True) is None:
        found, wanted = Extraction(pattern).search(text), re.search(pattern, text)
        assert (found and found.span()) == (wanted and wanted.span())
