"""Lets an interrupted import go on where it stopped.

Comparing a file with what is recorded takes about as long as recording it. So what became of
every batch is kept in the database of the log (in `salesflow_snapshots`, as "import SOURCE")
until the import is through. When the same import is begun again, the batches that were recorded
are not extracted and compared anew: what became of them is in the report, and what was recorded
of them counts as known.

Nothing here decides what is recorded twice or not; comparing does, and does so wherever a
batch is not known to be the same as it was: one of which rows were refused that the clock or
the log may take by now, another file, lookup or mapping, another zone or version of
salesflow, another tenant, a log that does not hold what was kept (restored from a backup),
or one into which somebody else imported from the same source meanwhile. A batch whose mark
was lost, because the import was killed between the two transactions, is compared.

It is a module of its own: what it keeps is of the database, and no step of an import knows it.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version as version_of
from pathlib import Path
from uuid import UUID, uuid5

import sqlalchemy as sa
from pydantic import BaseModel, ValidationError

from salesflow.adapters.database import schema
from salesflow.adapters.database.schema import stored_uuid
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.pipeline import ImportPart, ImportParts, bounds
from salesflow.adapters.importers.report import ImportReport
from salesflow.adapters.logs import IMPORT
from salesflow.domain.wording import WITH_ARGUMENTS
from salesflow.errors import SalesflowError

__all__ = ["KeptParts", "fingerprint"]


IMPORTS = UUID("5b0f5d2e-6a8f-5b6e-9d0a-0e6b7c3f1a52")
FORMAT = 3
"""The format of kept parts and of the fingerprint; higher when either changes."""
HEADER = -1
SOMEBODY_ELSE = (
    "SELECT 1 FROM salesflow_events WHERE tenant = ? AND position > ? AND source = ?"
    " AND (correlation_id IS NULL OR correlation_id <> ?) LIMIT 1"
)
KEPT = (
    "SELECT topic, state FROM salesflow_snapshots"
    " WHERE tenant = ? AND purpose = ? AND stream_id = ? AND version = ?"
)


class _Kept(BaseModel):
    """A batch that was recorded, and the position of the log then."""

    position: int
    recorded: int
    report: ImportReport
    customers: list[UUID] = []
    waiting: list[str] = []


def fingerprint(files: Iterable[Path], *settings: object) -> str:
    """Return what is the same only where files and all settings are the same."""
    same = (version_of("salesflow"), FORMAT, bounds(), *settings)
    digest = hashlib.sha256(repr(same).encode("utf-8", "surrogateescape"))
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class KeptParts(ImportParts):
    """What became of the batches of one import, kept in its database."""

    def __init__(self, log: EventLog, print: str, report: ImportReport) -> None:
        """Look whether this import was begun before; then it goes on under its id."""
        self._log = log
        self._id = stored_uuid(uuid5(IMPORTS, print), log.database.dialect)
        self._purpose = f"import {report.source}"
        self._start = log.head()
        self._resumes = self._begun = False
        kept = self._load(HEADER)
        if kept is not None and self._is_ours_alone(*kept, report.source):
            self._resumes = self._begun = True
            report.import_id = kept[0]
        self._import_id = report.import_id
        self._empty = report.part()

    def taken(self, number: int) -> ImportPart | None:
        """Return what became of a batch, where the import it belongs to may go on."""
        loaded = self._load(number) if self._resumes else None
        if loaded is None or loaded[0] != self._import_id or not self._is_there(loaded[1]):
            return None
        kept = loaded[1]
        report = kept.report
        report.rows_known += report.rows_recorded
        report.facts_known += report.facts_recorded
        report.rows_recorded = report.facts_recorded = 0
        report.objects_new = report.customers_registered = 0
        return ImportPart(report, frozenset(kept.customers), tuple(kept.waiting))

    def keep(self, number: int, part: ImportPart) -> None:
        """Keep what became of a batch; an import goes on also where that cannot be.

        One of which another day may make something else is not kept.
        """
        if part.report.for_now:
            return
        head = self._log.head()
        kept = _Kept(
            position=head.position,
            recorded=head.recorded,
            report=part.report,
            customers=sorted(part.customers),
            waiting=list(part.waiting),
        )
        rows = {number: kept}
        afresh = not self._begun
        if afresh:
            start = self._start
            rows[HEADER] = _Kept(
                position=start.position, recorded=start.recorded, report=self._empty
            )
        self._begun = True
        self._write(rows, afresh=afresh)

    def done(self) -> None:
        """Delete what was kept: the import is through."""
        if self._begun:
            self._write({}, afresh=True)

    def _is_ours_alone(self, import_id: str, header: _Kept, source: str) -> bool:
        """Return whether nobody else has imported from this source since the import began."""
        if not self._is_there(header):
            return False
        asked = (self._log.tenant, header.position, source, import_id)
        return not self._log.database.rows(SOMEBODY_ELSE, asked)

    def _is_there(self, kept: _Kept) -> bool:
        """Return whether the log is the one it was, and still reaches as far."""
        if not kept.position:
            return True
        there = self._log.stored_page(kept.position - 1, 1)
        return bool(there) and there[0].recorded == kept.recorded

    def _load(self, number: int) -> tuple[str, _Kept] | None:
        asked = (self._log.tenant, self._purpose, self._id, number)
        for import_id, state in self._log.database.rows(KEPT, asked):
            try:
                return import_id, _Kept.model_validate_json(zlib.decompress(state))
            except (zlib.error, ValidationError) as error:
                kind = type(error).__name__
                IMPORT.warning("what an interrupted import kept cannot be read: %s", kind)
        return None

    def _write(self, rows: Mapping[int, _Kept], *, afresh: bool) -> None:
        table, log = schema.snapshots, self._log
        own = sa.and_(table.c.tenant == log.tenant, table.c.purpose == self._purpose)
        replaced = own
        if not afresh:
            replaced = sa.and_(own, table.c.stream_id == self._id, table.c.version.in_(rows))
        values = [
            {
                "tenant": log.tenant,
                "purpose": self._purpose,
                "stream_id": self._id,
                "version": number,
                "topic": self._import_id,
                "state": zlib.compress(
                    kept.model_dump_json(context=WITH_ARGUMENTS).encode(), 1
                ),
            }
            for number, kept in rows.items()
        ]
        try:
            with log.database.whole(), log.database.begin() as connection:
                connection.execute(sa.delete(table).where(replaced))
                if values:
                    connection.execute(sa.insert(table), values)
        except (SalesflowError, sa.exc.SQLAlchemyError) as error:
            kind = type(error).__name__
            IMPORT.warning("an import that is interrupted now begins anew: %s", kind)
