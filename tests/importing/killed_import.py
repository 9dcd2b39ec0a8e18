"""An import that is killed: a program of its own, run by `test_importing_again`.

    python killed_import.py URL TABLE MAPPING BATCHES MOMENT

It kills itself with SIGKILL before or after (MOMENT) the transaction of a batch.
"""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.adapters.importers import import_table

__all__ = ["MortalLog"]


class MortalLog(EventLog):
    """A log whose process dies at its n-th batch."""

    batches = 0
    moment = ""

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        self.batches -= 1
        if not self.batches and self.moment == "before":
            die()
        receipts = super().append_many(appends)
        if not self.batches:
            die()
        return receipts


def clock() -> datetime:
    return datetime(2026, 6, 1, 11, tzinfo=UTC)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    url, table, mapping, batches, moment = sys.argv[1:]
    with Database(url) as database:
        log = MortalLog(database, clock=clock)
        log.batches, log.moment = int(batches), moment
        import_table(table, mapping, log=log)
