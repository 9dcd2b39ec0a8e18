"""A lake folder holds what log and read tables held at one position, whole or not at all.

Every question an analyst asks of it in SQL is answered as `flow.ask` answers it.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.asking import MOMENTS, as_of, clock_at_end, question_of
from benchmarks.databases import TENANT
from benchmarks.duckdb_sql import COMPARED, AnalystSql
from benchmarks.skewed_log import skewed_log

from lake.rows import Content, content, log_of, only, tell
from salesflow import SalesFlow
from salesflow.adapters.lake import log_export
from salesflow.adapters.lake.manifest import LakeFolder, LakeManifest
from salesflow.domain.time import from_instant
from salesflow.errors import InputError
from salesflow.projections.registry import FOLDS
from simulated import ran


def opened(folder: Path, tenant: str = "main") -> duckdb.DuckDBPyConnection:
    """Open a folder as an analyst does."""
    connection = duckdb.connect()
    connection.execute((folder / f"{tenant}.sql").read_text(encoding="utf-8"))
    return connection


def there(folder: Path, tenant: str = "main") -> LakeManifest:
    found = LakeFolder(folder).manifest(tenant)
    assert found is not None
    return found


def rows_in(folder: Path, tenant: str = "main") -> Content:
    """Give every row of every read table as the analyst's SQL has it."""
    found = {}
    with opened(folder, tenant) as connection:
        for label in FOLDS:
            cursor = connection.execute(f'SELECT * EXCLUDE (bucket) FROM "{label}"')
            names = [each[0] for each in cursor.description or ()]
            rows = [map(_plain, row) for row in cursor.fetchall()]
            found[label] = only([dict(zip(names, row, strict=True)) for row in rows])
    return found


def _plain(value: object) -> object:
    """Write an id as the tests of the database do."""
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return UUID(value).hex
    return value


def log_in(folder: Path, tenant: str = "main") -> list[dict[str, Any]]:
    files = [folder / file.path for file in there(folder, tenant).log]
    table = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    rows: list[dict[str, Any]] = table.sort_by("position").to_pylist()
    return rows


def test_a_folder_holds_every_event_and_every_row(database_url: str, tmp_path: Path) -> None:
    with SalesFlow(database_url) as flow:
        tell(flow, 5)
        flow.exports.lake(tmp_path)
        assert log_in(tmp_path) == log_of(flow).to_pylist()
        assert rows_in(tmp_path) == content(flow)
        assert there(tmp_path).position == flow.log.head().position
        assert there(tmp_path).recorded == flow.log.head().recorded


def test_files_lie_by_tenant_and_bucket_and_are_sorted(sqlite_url: str, tmp_path: Path) -> None:
    with SalesFlow(sqlite_url, tenant="acme") as flow:
        tell(flow, 5)
        flow.exports.lake(tmp_path, digits=2)
    found = there(tmp_path, "acme")
    for file in found.log:
        rows = pq.ParquetFile(tmp_path / file.path).read().to_pylist()
        assert file.path.startswith(f"log/tenant=acme/bucket={file.bucket}/")
        assert {row["stream_id"][-2:] for row in rows} == {file.bucket}
        order = [(row["stream_id"], row["version"]) for row in rows]
        assert order == sorted(order)
        assert len(rows) == file.rows
    states = found.tables["deal_state"].files
    for file in states:
        ids = pq.ParquetFile(tmp_path / file.path).read().column("entity_id").to_pylist()
        assert {id[-2:] for id in ids} == {file.bucket}
        assert ids == sorted(ids)
    assert len(states) > 1


def test_a_second_export_adds_what_is_new_and_leaves_the_rest(
    database_url: str, tmp_path: Path
) -> None:
    with SalesFlow(database_url) as flow:
        tell(flow, 6)
        first = flow.exports.lake(tmp_path, digits=2)
        assert flow.exports.lake(tmp_path).written == ()
        tell(flow, 1)
        second = flow.exports.lake(tmp_path)
        assert log_in(tmp_path) == log_of(flow).to_pylist()
        assert rows_in(tmp_path) == content(flow)
        new = flow.log.head().position - first.manifest.position
        assert sum(file.rows for file in second.written if file.first) == new
        [deal] = {file.bucket for file in second.written if "/deal_state/" in file.path}
        assert all(
            file.bucket == deal for file in second.written if "/stages/" not in file.path
        )
        whole = flow.exports.lake(tmp_path / "other", digits=2).manifest
        assert whole.digest == second.manifest.digest
        assert whole.digest != first.manifest.digest


def test_a_bucket_of_many_files_gets_one(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_export, "FILES_MAX", 2)
    with SalesFlow(sqlite_url) as flow:
        for _ in range(4):
            tell(flow, 6)
            flow.exports.lake(tmp_path)
        buckets = [file.bucket for file in there(tmp_path).log]
        assert max(map(buckets.count, buckets)) <= 2
        assert log_in(tmp_path) == log_of(flow).to_pylist()
        assert rows_in(tmp_path) == content(flow)


def test_whoever_has_opened_a_folder_goes_on_seeing_what_was_there(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_export, "FILES_MAX", 1)
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 4)
        flow.exports.lake(tmp_path)
        with opened(tmp_path) as connection:
            asked = (
                'SELECT count(*), max(known_from) FROM "deal_state"',
                "FROM log ORDER BY ALL",
            )
            before = [connection.execute(each).fetchall() for each in asked]
            for _ in range(3):
                tell(flow, 4)
                flow.exports.lake(tmp_path)
            assert [connection.execute(each).fetchall() for each in asked] == before


@pytest.mark.parametrize("step", ["with_log", "with_tables", "with_stages", "sql_of"])
def test_an_export_that_is_stopped_leaves_what_was_there_and_is_gone_on_with(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from salesflow.adapters.lake import lake_export

    true = getattr(lake_export, step)

    def stopped(*given: object, **named: object) -> None:
        true(*given, **named)
        raise KeyboardInterrupt

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 3)
        flow.exports.lake(tmp_path)
        kept = rows_in(tmp_path)
        tell(flow, 2)
        with monkeypatch.context() as patch:
            patch.setattr(lake_export, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                flow.exports.lake(tmp_path)
        assert rows_in(tmp_path) == kept
        flow.exports.lake(tmp_path)
        assert rows_in(tmp_path) == content(flow)
        assert log_in(tmp_path) == log_of(flow).to_pylist()


def test_files_that_nobody_can_be_at_any_more_are_removed(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from salesflow.adapters.lake import manifest

    monkeypatch.setattr(manifest, "KEPT_SECONDS", -1)
    with SalesFlow(sqlite_url) as flow:
        for _ in range(3):
            tell(flow, 2)
            flow.exports.lake(tmp_path)
        last = there(tmp_path)
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet*")}
        named = {file.path for file in last.files()}
        assert named < left
        flow.exports.lake(tmp_path)
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet*")}
        assert left == named


def test_another_log_another_cut_and_what_is_no_export_are_refused(
    sqlite_url: str, tmp_path: Path
) -> None:
    with SalesFlow(sqlite_url) as flow, SalesFlow(f"{sqlite_url}-2") as other:
        for each in (flow, other):
            tell(each, 1)
        flow.exports.lake(tmp_path)
        with pytest.raises(InputError, match="holds another log of tenant main"):
            other.exports.lake(tmp_path)
        with pytest.raises(InputError, match="buckets of 1 digits, not 2"):
            flow.exports.lake(tmp_path, digits=2)
        with pytest.raises(InputError, match="1 to 4 digits, not 9"):
            flow.exports.lake(tmp_path / "new", digits=9)
        (tmp_path / "manifests" / "main.json").write_text("{}")
        with pytest.raises(InputError, match=r"main\.json is not what an export wrote"):
            flow.exports.lake(tmp_path)


def test_tenants_share_a_folder(sqlite_url: str, tmp_path: Path) -> None:
    with SalesFlow(sqlite_url) as main, SalesFlow(sqlite_url, tenant="acme") as acme:
        for flow, deals in ((main, 2), (acme, 3)):
            tell(flow, deals)
            flow.exports.lake(tmp_path)
        assert rows_in(tmp_path) == content(main)
        assert rows_in(tmp_path, "acme") == content(acme)
        assert [each.tenant for each in LakeFolder(tmp_path).manifests()] == ["acme", "main"]


class AnalystLake(AnalystSql):
    """The analyst's SQL over a lake folder."""

    def __init__(self, flow: SalesFlow, folder: Path) -> None:
        flow.exports.lake(folder)
        self._connection = opened(folder, flow.log.tenant)
        self._timezone = flow.settings().timezone
        now = from_instant(flow.log.head().recorded).astimezone(self._timezone)
        offset = (now.utcoffset() or timedelta()) // timedelta(microseconds=1)
        self._connection.execute(f"SET VARIABLE utc_offset = {offset}")


def test_every_question_in_sql_is_answered_as_salesflow_answers_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    skewed_log(sqlite_url, TENANT, 400)
    clock = clock_at_end(sqlite_url, TENANT)
    with (
        SalesFlow(sqlite_url, create=False, tenant=TENANT, clock=clock) as flow,
        AnalystLake(flow, tmp_path) as sql,
    ):
        for name in COMPARED:
            for moment in MOMENTS:
                question = question_of(name, moment, clock(), {})
                view = flow.ask(question, as_of=as_of(moment, clock()))
                assert sql.differences(name, view) == []


def test_where_an_answer_differs_it_is_said(sqlite_url: str, tmp_path: Path) -> None:
    skewed_log(sqlite_url, TENANT, 100)
    clock = clock_at_end(sqlite_url, TENANT)
    with (
        SalesFlow(sqlite_url, create=False, tenant=TENANT, clock=clock) as flow,
        AnalystLake(flow, tmp_path) as sql,
    ):
        view = flow.ask(question_of("funnel", "now", clock(), {}))
        sql._connection.execute(
            "CREATE OR REPLACE MACRO deal_state_at(as_of, known_at) AS TABLE"
            " SELECT * FROM deal_state WHERE valid_from <= as_of AND valid_to > as_of"
        )
        assert sql.differences("funnel", view) != []


def test_an_export_is_one_command(sqlite_url: str, tmp_path: Path) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 2)
    folder = tmp_path / "lake"
    told = ran("export", "lake", str(folder), "--db", sqlite_url, "--json")
    assert (told.code, told.err) == (0, "")
    said = json.loads(told.out)
    assert said["files"] == said["files_written"] > 20
    assert said["digest"] == there(folder).digest
    told = ran("export", "lake", str(folder), "--db", sqlite_url)
    assert "duckdb -init" in told.out
    told = ran("export", "lake", str(folder), "--db", sqlite_url, "--bucket-digits", "2")
    assert told.code == 2
    assert "export into a new folder" in told.err
