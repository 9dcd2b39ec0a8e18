"""Read tables and the log as Parquet, Arrow and CSV, read back by others."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from exporting.shop import DEAL, FORMULA, shop
from properties.effort import TORTURE
from salesflow import Deal, Money, SalesFlow
from salesflow.adapters.exporters.safe_csv import unescaped
from salesflow.errors import InputError
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import IntervalTable

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
pa = pytest.importorskip("pyarrow")

END = datetime(9999, 12, 31, tzinfo=UTC)


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with shop(database_url) as opened:
        yield opened


def plain(cell: Any) -> Any:  # noqa: ANN401
    """Write a cell of a SQL view as both databases and Arrow give it."""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC)
    if isinstance(cell, str) and cell[10:11] == " " and cell.endswith("+00:00"):
        return datetime.fromisoformat(cell)
    if isinstance(cell, str) and cell.replace(".", "").lstrip("-").isdecimal() and "." in cell:
        return Decimal(cell)
    return str(cell) if hasattr(cell, "hex") and not isinstance(cell, float | bytes) else cell


def seen_in_view(flow: SalesFlow, name: str, where: str) -> list[tuple[Any, ...]]:
    """Return what the SQL view of a table shows, as an analyst would select it."""
    table = FOLDS[name].table
    with flow.log.database.read() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {table.view} {where}"))
        names = [key for key in found.keys() if not key.endswith("_millionths")]  # noqa: SIM118
        rows = [tuple(plain(row._mapping[key]) for key in names) for row in found]
    return sorted(rows, key=str)


def of_parquet(file: Path) -> list[tuple[Any, ...]]:
    rows = parquet.read_table(file).to_pylist()
    return sorted((tuple(map(plain, row.values())) for row in rows), key=str)


def test_all_beliefs_are_what_the_views_show(flow: SalesFlow, tmp_path: Path) -> None:
    done = flow.exports.tables(tmp_path / "out", all_beliefs=True)
    assert {each.file for each in done.files} == {f"{name}.parquet" for name in FOLDS}
    for name in FOLDS:
        exported = of_parquet(tmp_path / "out" / f"{name}.parquet")
        assert exported == seen_in_view(flow, name, "WHERE tenant = 'main'"), name
    assert any(each.rows for each in done.files)


def test_tables_at_a_moment_are_what_its_four_comparisons_show(
    flow: SalesFlow, tmp_path: Path
) -> None:
    events = flow.history(DEAL)
    for number, event in enumerate(events if TORTURE > 1 else events[5:6]):
        at, folder = event.recorded_at, tmp_path / str(number)
        flow.exports.tables(folder, as_of=at, known_at=at)
        for name, fold in FOLDS.items():
            select = flow.sql(name, as_of=at, known_at=at).rstrip(";")
            where = "WHERE" + select.partition("WHERE")[2]
            seen = seen_in_view(flow, name, where)
            exported = of_parquet(folder / f"{name}.parquet")
            if not isinstance(fold.table, IntervalTable):
                assert exported == seen
            assert len(exported) == len(seen), name
            known_to = [row["known_to"] for row in parquet.read_table(
                folder / f"{name}.parquet").to_pylist() if "known_to" in row]  # fmt: skip
            assert known_to == [END] * len(known_to)


def test_a_moment_is_exported_the_same_for_ever(flow: SalesFlow, tmp_path: Path) -> None:
    moment = flow.history(DEAL)[4].recorded_at
    before = flow.exports.tables(tmp_path / "a", as_of=moment, known_at=moment)
    with flow.session(actor="u-2") as s:
        s.get(Deal, DEAL).give_refund(Money("10", "CNY"), because="late")
    after = flow.exports.tables(tmp_path / "b", as_of=moment, known_at=moment)
    assert after == before
    later = flow.exports.tables(tmp_path / "c")
    assert later.log.log_sha256 != before.log.log_sha256


def test_types_are_exact_and_metadata_says_what_it_is_of(
    flow: SalesFlow, tmp_path: Path
) -> None:
    done = flow.exports.tables(tmp_path / "out", tables=["deal_state"])
    schema = parquet.read_schema(tmp_path / "out" / "deal_state.parquet")
    assert schema.field("amount").type == pa.decimal128(19, 6)
    assert schema.field("valid_from").type == pa.timestamp("us", tz="UTC")
    said = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert said["salesflow.log_sha256"] == flow.exports.digest().log_sha256
    assert said["salesflow.position"] == str(flow.log.head().position)
    assert said["salesflow.as_of"] == done.as_of.isoformat() if done.as_of else False
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    [file] = manifest["files"]
    content = (tmp_path / "out" / file["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file["sha256"]


def test_duckdb_and_pyarrow_read_the_same_of_every_format(
    flow: SalesFlow, tmp_path: Path
) -> None:
    counts: dict[str, list[Any]] = {}
    for format in ("parquet", "arrow", "csv"):
        flow.exports.tables(tmp_path / format, tables=["deal_state"], format=format)
    with pa.ipc.open_file(tmp_path / "arrow" / "deal_state.arrow") as reader:
        counts["arrow"] = sorted(map(str, reader.read_all().to_pylist()))
    of_file = parquet.read_table(tmp_path / "parquet" / "deal_state.parquet")
    counts["parquet"] = sorted(map(str, of_file.to_pylist()))
    assert counts["arrow"] == counts["parquet"]
    for format in ("parquet", "csv"):
        name = tmp_path / format / f"deal_state.{format}"
        query = (
            "SELECT CAST(SUM(CAST(amount AS DECIMAL(19,6))) AS VARCHAR), COUNT(*),"
            f" MIN(epoch_us(CAST(valid_from AS TIMESTAMPTZ))) FROM '{name}'"
        )
        counts[f"duckdb {format}"] = duckdb.execute(query).fetchall()
    assert counts["duckdb parquet"] == counts["duckdb csv"]
    [(total, rows, first)] = counts["duckdb parquet"]
    assert (total, rows) == ("95000.500000", 2)
    assert first == min(
        e.occurred for e in flow.log.page(0, 99) if e.fact.kind == "deal.opened"
    )


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "csv.gz"])
def test_the_log_as_a_table_holds_every_event_in_order(
    ending: str, flow: SalesFlow, tmp_path: Path
) -> None:
    file = tmp_path / f"log.{ending}"
    done = flow.exports.log(file)
    events = flow.log.stored_page(0, 1_000)
    if ending == "arrow":
        with pa.ipc.open_file(file) as reader:
            rows = reader.read_all().to_pylist()
    else:
        reading = "read_csv('{}', all_varchar=true)" if "csv" in ending else "'{}'"
        found = duckdb.execute(f"SELECT * FROM {reading.format(file)}")
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert [int(row["position"]) for row in rows] == [event.position for event in events]
    texts = [unescaped(row["fact"]) if "csv" in ending else row["fact"] for row in rows]
    assert [text.encode() for text in texts] == [event.payload for event in events]
    assert done.log_sha256 == flow.exports.digest().log_sha256


def test_csv_of_a_log_holds_no_formula_and_excel_knows_its_letters(
    flow: SalesFlow, tmp_path: Path
) -> None:
    flow.exports.tables(
        tmp_path / "out", tables=["customer"], format="csv", byte_order_mark=True
    )
    text = (tmp_path / "out" / "customer.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert b'"\'-smb","\'+north"' in text
    assert FORMULA.encode() not in text


def test_a_folder_that_holds_something_is_left_alone(flow: SalesFlow, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    flow.exports.tables(folder, tables=["goal"], format="csv")
    with pytest.raises(InputError, match="holds files already"):
        flow.exports.tables(folder, tables=["goal"], format="csv")
    (folder / "mine.txt").write_text("precious")
    flow.exports.tables(folder, tables=["goal"], format="csv", force=True)
    assert {each.name for each in folder.iterdir()} == {"goal.csv", "manifest.json", "mine.txt"}
    with pytest.raises(InputError, match="no read table 'goals'"):
        flow.exports.tables(tmp_path / "other", tables=["goals"])
    with pytest.raises(InputError, match="no one moment"):
        flow.exports.tables(tmp_path / "other", all_beliefs=True, as_of="2026-03-31")
    assert {each.name for each in tmp_path.glob("o*")} == {"out"}
