"""What keeps a database safe, as the engine offers it."""

import os

from salesflow.adapters.backing_up import Backup, back_up
from salesflow.adapters.eventlog import EventLog
from salesflow.domain.door import guarded_host

__all__ = ["Backup", "Kept"]


@guarded_host
class Kept:
    """The part of the engine that backs its database up."""

    log: EventLog

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
