"""Writes the SQL with which DuckDB reads what a lake folder holds of a tenant.

    duckdb -init lake/main.sql

It names the files of one export, so a session that has read it sees that export until its end,
whatever is exported meanwhile.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from salesflow.adapters.lake.manifest import LakeFile, LakeFolder, LakeManifest
from salesflow.adapters.lake.tables_export import STAGES
from salesflow.domain.time import FOREVER
from salesflow.projections.table import Fold, IntervalTable

__all__ = ["sql_of"]


HEAD: Final = """\
-- What salesflow exported of tenant {tenant} up to position {position}; digest {digest}.
-- Read it with DuckDB: duckdb -init {tenant}.sql
-- Whoever has moved the folder writes here where it is now.
SET file_search_path = '{folder}';
SET VARIABLE utc_offset = {offset};
SET VARIABLE known_at = {recorded};
"""
HELP: Final = f"""
-- Instants are whole microseconds since 1970 in UTC, {FOREVER} is never.
CREATE OR REPLACE MACRO instant(moment) AS epoch_us(moment::TIMESTAMPTZ);
CREATE OR REPLACE MACRO at_instant(us) AS
CASE WHEN us < {FOREVER} THEN make_timestamptz(us) END;

-- Between two days of which no more is known there are calendar days of the time zone.
CREATE OR REPLACE MACRO day_of(us) AS (us + getvariable('utc_offset')) // 86400000000;
CREATE OR REPLACE MACRO lasted(from_instant, from_day_only, to_instant, to_day_only) AS
CASE WHEN from_day_only = 1 AND to_day_only = 1
     THEN (day_of(to_instant) - day_of(from_instant)) * 86400000000
     ELSE to_instant - from_instant END;
CREATE OR REPLACE MACRO days(us) AS us / 86400000000.0;

-- What of the log had happened and was known, by the way it was stored.
CREATE OR REPLACE MACRO log_by(as_of, known_at) AS TABLE
SELECT * FROM log WHERE occurred <= as_of AND recorded <= known_at;
"""
AT: Final = """\
-- The rows that hold at a moment, and those that had begun by then.
CREATE OR REPLACE MACRO {name}_at(as_of, known_at) AS TABLE SELECT * FROM "{name}"
WHERE known_from <= known_at AND known_to > known_at AND valid_from <= as_of
  AND (valid_to > as_of OR (collapsed = 1 AND valid_to > known_at));
CREATE OR REPLACE MACRO {name}_begun(as_of, known_at) AS TABLE SELECT * FROM "{name}"
WHERE known_from <= known_at AND known_to > known_at AND valid_from <= as_of;
"""
BY: Final = """\
-- The movements that had happened and were recorded; a sum multiplies by sign.
CREATE OR REPLACE MACRO {name}_by(as_of, known_at) AS TABLE SELECT * FROM "{name}"
WHERE occurred <= as_of AND recorded <= known_at;
"""


def sql_of(
    folder: LakeFolder, manifest: LakeManifest, folds: Iterable[Fold], utc_offset: int
) -> str:
    """Return the statements: a view of the log and of each read table, at any moment."""
    place = str(folder.root.resolve()).replace("'", "''")
    head = HEAD.format(
        folder=place, offset=utc_offset, **{name: getattr(manifest, name) for name in TOLD}
    )
    return head + "".join(_parts(manifest, list(folds)))


TOLD: Final = ("tenant", "position", "digest", "recorded")


def _parts(manifest: LakeManifest, folds: list[Fold]) -> Iterator[str]:
    yield "\n" + _view("log", manifest.log)
    yield HELP
    for fold in folds:
        label = fold.table.label
        if label in manifest.tables:
            yield "\n" + _view(label, manifest.tables[label].files)
            moment = AT if isinstance(fold.table, IntervalTable) else BY
            yield moment.format(name=label)
    if STAGES in manifest.tables:
        yield "\n-- The stages of every process version.\n"
        yield _view(STAGES, manifest.tables[STAGES].files)


def _view(name: str, files: Iterable[LakeFile]) -> str:
    listed = ",\n  ".join(f"'{file.path}'" for file in files)
    return (
        f'CREATE OR REPLACE VIEW "{name}" AS SELECT * FROM read_parquet([\n  {listed}\n],'
        " hive_partitioning = true, hive_types_autocast = false);\n"
    )
