"""CSV that no spreadsheet runs, and of which nothing is lost."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.effort import examples
from salesflow.adapters.exporters.rows import Batch, CellKind, ExportColumn, ExportRows
from salesflow.adapters.exporters.safe_csv import escaped, unescaped, write_csv
from salesflow.domain.time import FOREVER

FORMULAS = "=+-@＝＋－＠﹦﹢﹣﹫"
SEPARATORS = ";|\t\r\n"
SIGNS = st.text(st.sampled_from(f"{FORMULAS}{SEPARATORS}' ,\"a1\u200b\ufeff"), max_size=12)


def written(*rows: tuple[str | int | None, ...], kinds: tuple[CellKind, ...]) -> str:
    def batches() -> Iterator[Batch]:
        yield [*rows]

    columns = tuple(ExportColumn(f"c{n}", kind) for n, kind in enumerate(kinds))
    out = io.BytesIO()
    assert write_csv(ExportRows("t", columns, batches()), out.write) == len(rows)
    return out.getvalue().decode()


@pytest.mark.parametrize("sign", FORMULAS)
def test_a_text_that_would_be_a_formula_is_escaped(sign: str) -> None:
    assert escaped(f"{sign}1+1") == f"'{sign}1+1"
    assert escaped(f" {sign}1+1") == f"' {sign}1+1"
    assert escaped(f"a;{sign}1+1") == f"a;'{sign}1+1"


def test_other_texts_stay_as_they_are() -> None:
    for text in ("", "a", "a-b", "price, -5 %", "a = b", "张三", "10:30"):
        assert escaped(text) == text
    assert escaped("'quoted'") == "''quoted'"


@examples(150)
@given(text=st.one_of(SIGNS, st.text(max_size=12)))
def test_what_was_escaped_comes_back_as_it_was(text: str) -> None:
    assert unescaped(escaped(text)) == text
    places = [escaped(text)]
    for separator in SEPARATORS:
        places = [part for place in places for part in place.split(separator)]
    assert not [part for part in places if part.lstrip(" \u200b\ufeff")[:1] in {*FORMULAS}]


def test_a_control_without_escapes_is_caught() -> None:
    assert "=1+1".lstrip()[:1] in FORMULAS


def test_numbers_stay_numbers_and_nothing_is_told_from_no_text() -> None:
    kinds = (CellKind.TEXT, CellKind.INTEGER, CellKind.AMOUNT, CellKind.INSTANT)
    text = written(("-5", -5, -5_250_000, 0), ("", None, 1, FOREVER), kinds=kinds)
    assert text.split("\r\n")[1:] == [
        '"\'-5",-5,-5.250000,1970-01-01 00:00:00.000000+00:00',
        '"",,0.000001,9999-12-31 00:00:00.000000+00:00',
        "",
    ]


@examples(50)
@given(texts=st.lists(st.one_of(SIGNS, st.text(max_size=12)), min_size=1, max_size=5))
def test_the_csv_of_python_reads_what_was_written(texts: list[str]) -> None:
    written_texts = written(
        *((text,) for text in texts if "\x00" not in text), kinds=(CellKind.TEXT,)
    )
    rows = [*csv.reader(io.StringIO(written_texts, newline=""))][1:]
    assert [unescaped(cell) for (cell,) in rows] == [t for t in texts if "\x00" not in t]
