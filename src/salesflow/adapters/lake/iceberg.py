"""Names the files of a lake folder as Iceberg tables too, in a catalogue of SQLite beside them.

    SqlCatalog("salesflow", uri="sqlite:///lake/iceberg.db").load_table("main.deal_state")

A module of its own, since what it needs comes with an extra. No row is written twice: a table
consists of the files of the manifest. Each export is a snapshot that says up to which position
of the log it goes and what that comes to (its digest), and is tagged with the position. Where a
folder has a catalogue no file is ever removed, so that a tag can be read for as long as the
folder is there.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from salesflow.adapters.lake.manifest import LakeFile, LakeFolder, LakeManifest
from salesflow.errors import SalesflowError
from salesflow.presentation.arrow import arrow_module

__all__ = ["CATALOGUE_FILE", "ensure_iceberg", "name_in_iceberg"]


CATALOGUE_FILE: Final = "iceberg.db"
ICEBERG_NEEDED: Final = "Iceberg tables need pyiceberg; run: pip install 'salesflow[lake]'"
OfIceberg = Any
"""What pyiceberg gives, which comes with an extra."""


def name_in_iceberg(folder: LakeFolder, manifest: LakeManifest) -> int:
    """Bring the tables of a tenant level with a manifest, and return how many changed.

    Raises:
        SalesflowError: when pyiceberg is not installed.
    """
    catalogue = _catalogue(folder)
    catalogue.create_namespace_if_not_exists(manifest.tenant)
    named = {"log": manifest.log, **{n: table.files for n, table in manifest.tables.items()}}
    told = {
        "salesflow.position": str(manifest.position),
        "salesflow.recorded": str(manifest.recorded),
        "salesflow.digest": manifest.digest,
    }
    changed = 0
    for name, files in named.items():
        table = _table(catalogue, folder, manifest.tenant, name, files)
        changed += _bring_level(table, folder, files, told)
    return changed


def ensure_iceberg() -> OfIceberg:
    """Return what opens a catalogue.

    Raises:
        SalesflowError: when pyiceberg is not installed.
    """
    try:
        return import_module("pyiceberg.catalog.sql")
    except ImportError as error:
        raise SalesflowError(ICEBERG_NEEDED) from error


def _catalogue(folder: LakeFolder) -> OfIceberg:
    sql = ensure_iceberg()
    root = folder.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    return sql.SqlCatalog(
        "salesflow",
        uri=f"sqlite:///{root / CATALOGUE_FILE}",
        warehouse=(root / "iceberg").as_uri(),
    )


def _table(
    catalogue: OfIceberg, folder: LakeFolder, tenant: str, name: str, files: Sequence[LakeFile]
) -> OfIceberg:
    identifier = (tenant, name)
    if catalogue.table_exists(identifier):
        return catalogue.load_table(identifier)
    schema = arrow_module("pyarrow.parquet").read_schema(folder.root / files[0].path)
    return catalogue.create_table(identifier, schema=schema.remove_metadata())


def _bring_level(
    table: OfIceberg, folder: LakeFolder, files: Sequence[LakeFile], told: dict[str, str]
) -> bool:
    """Let a table consist of these files, in one commit, and return whether it changed."""
    root = folder.root.resolve()
    wanted = {str(root / file.path) for file in files}
    there = {each["file_path"] for each in table.inspect.files().to_pylist()}
    tag = f"position-{told['salesflow.position']}"
    changed = wanted != there
    if changed:
        with table.transaction() as transaction:
            if not there <= wanted:
                everything = import_module("pyiceberg.expressions").AlwaysTrue()
                transaction.delete(everything)
                there = set()
            transaction.add_files(
                sorted(wanted - there), snapshot_properties=told, check_duplicate_files=False
            )
    if tag not in table.refs():
        snapshot = table.current_snapshot().snapshot_id
        table.manage_snapshots().create_tag(snapshot, tag).commit()
    return changed
