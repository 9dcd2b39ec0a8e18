"""An Iceberg table names the files of an export; every one that is tagged can be read."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lake.rows import tell
from lake.test_lake_folder import there
from salesflow import SalesFlow
from salesflow.adapters.lake import iceberg, log_export, manifest
from salesflow.errors import SalesflowError
from simulated import ran

needs_iceberg = pytest.mark.skipif(
    find_spec("pyiceberg") is None, reason="pyiceberg is not installed"
)

Iceberg = Any


def table_of(folder: Path, name: str) -> Iceberg:
    catalogue = import_module("pyiceberg.catalog.sql").SqlCatalog(
        "salesflow", uri=f"sqlite:///{folder / 'iceberg.db'}"
    )
    return catalogue.load_table(f"main.{name}")


def positions(table: Iceberg, **at: object) -> list[int]:
    found: list[int] = table.scan(**at).to_arrow().column("position").to_pylist()
    return sorted(found)


@needs_iceberg
def test_each_export_is_a_snapshot_tagged_with_its_position(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_export, "FILES_MAX", 1)
    monkeypatch.setattr(manifest, "KEPT_SECONDS", -1)
    heads: list[int] = []
    with SalesFlow(sqlite_url) as flow:
        for number in range(2):
            tell(flow, 2)
            flow.exports.lake(tmp_path, iceberg=not number)
            heads.append(flow.log.head().position)
            log = table_of(tmp_path, "log")
            assert positions(log) == [*range(1, heads[-1] + 1)]
            summary = log.current_snapshot().summary
            assert summary["salesflow.position"] == str(heads[-1])
            assert summary["salesflow.digest"] == there(tmp_path).digest
        log = table_of(tmp_path, "log")
        for head in heads:  # whatever was written anew since
            tagged = log.snapshot_by_name(f"position-{head}").snapshot_id
            assert positions(log, snapshot_id=tagged) == [*range(1, head + 1)]
        states = table_of(tmp_path, "deal_state").scan().to_arrow()
        rows = sum(file.rows for file in there(tmp_path).tables["deal_state"].files)
        assert states.num_rows == rows > 0


@needs_iceberg
def test_an_export_with_iceberg_is_one_command(sqlite_url: str, tmp_path: Path) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 1)
    told = ran("export", "lake", str(tmp_path), "--db", sqlite_url, "--iceberg")
    assert (told.code, told.err) == (0, "")
    assert positions(table_of(tmp_path, "log")) == [*range(1, there(tmp_path).position + 1)]


def test_without_pyiceberg_it_is_said_what_to_install(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(iceberg, "import_module", missing)
    with (
        SalesFlow(sqlite_url) as flow,
        pytest.raises(SalesflowError, match=r"pip install 'salesflow\[lake\]'"),
    ):
        flow.exports.lake(tmp_path, iceberg=True)
