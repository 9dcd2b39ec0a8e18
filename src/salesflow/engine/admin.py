"""What keeps a database safe, as the engine offers it."""

import os
from collections.abc import Mapping
from typing import Final

from salesflow.adapters.checks.check import LogCheck
from salesflow.adapters.database.backup import Backup, back_up
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.logs import tell_left_out
from salesflow.adapters.projector.runner import Progress, Runner
from salesflow.domain.arguments import guarded_host
from salesflow.domain.process import SalesProcess
from salesflow.domain.settings import Settings
from salesflow.domain.standard_process import STANDARD
from salesflow.engine.session import Session
from salesflow.projections.core.left_out import LeftOut
from salesflow.projections.core.problems import Checked
from salesflow.projections.table import Fold

__all__ = ["FOUNDING", "Admin", "Backup", "initialize"]


@guarded_host
class Admin:
    """The part of the engine that backs its database up, and looks whether all is well."""

    log: EventLog
    _folds: Mapping[str, Fold]
    _processes: PublishedProcesses

    def backup(self, to: str | os.PathLike[str]) -> Backup:
        """Copy the whole SQLite database into a new file while others go on recording.

        The file holds every tenant and also tables of your own, as they stood at one moment;
        open it like any other database. Never copy the `.db` file of a database in use: the
        newest commits lie in the `-wal` file beside it.

        Raises:
            InputError: on PostgreSQL (use `pg_dump`), when the file is there already, or
                cannot be made.
            DatabaseError: when the disk is full, or the database is damaged.
        """
        return back_up(self.log.database, self.log.tenant, to)

    def disagreements(self) -> list[str]:
        """Say where read tables stand that do not agree with the log; mostly nothing.

        It is what can be told at once; `check` looks at everything.
        """
        return self._tables().disagreements()

    def left_out(self) -> tuple[LeftOut, ...]:
        """Give the streams that read tables leave out, from which event on, and why."""
        found = self._tables().left_out()
        tell_left_out(found)
        return found

    def check(self, *, all: bool = False, progress: Progress | None = None) -> Checked:
        """Look whether log and read tables agree with themselves and one another.

        The log is looked at whole. Read tables are compared with a fresh fold of a sample of
        streams, with `all` of every one. Nothing is changed, so it needs no right to write.
        """
        return LogCheck(self.log, self._folds, self._processes, whole=all).run(progress)

    def _tables(self) -> Runner:
        raise NotImplementedError


# What a new database begins with: its settings and the built-in sales process.

FOUNDING: Final = "salesflow:founding"
"""The id of the command that founds a tenant's log, once."""


def initialize(session: Session, timezone: str) -> None:
    """Record the settings and the built-in process."""
    session.add(Settings.begin(timezone=timezone))
    session.add(SalesProcess.publish(STANDARD))
