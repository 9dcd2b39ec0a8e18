"""A worker whose reactors note what they are given, to be run beside others and killed.

    python -m reactor_worker URL FILE GOAL LEASE

`act` adds a line to the file, `write` a row to the table `noted`. It says when it is
ready, begins when it is told to, and ends at position GOAL.
"""

import os
import sys
from uuid import UUID

import sqlalchemy as sa

from salesflow import Reactor, SalesFlow
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.event import Event

__all__ = ["acted", "noting", "written"]

NOTED = sa.text("INSERT INTO noted (event) VALUES (:event)")


def noting(file: str, lease_seconds: float) -> list[Reactor]:
    """Give reactors that note every contact, in a file and in a table."""

    def act(event: Event) -> None:
        out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, f"{event.event_id}\n".encode())
        os.fsync(out)
        os.close(out)

    def write(event: Event, connection: sa.Connection) -> None:
        connection.execute(NOTED, {"event": str(event.event_id)})

    return [
        Reactor("mail", {ContactLogged}, act=act, after=0, lease_seconds=lease_seconds),
        Reactor("index", {ContactLogged}, write=write, after=0),
    ]


def acted(file: str) -> list[UUID]:
    """Give the ids noted in the file, in order."""
    with open(file, encoding="utf-8") as lines:
        return [UUID(line) for line in lines.read().split()]


def written(flow: SalesFlow) -> list[UUID]:
    """Give the ids noted in the table, in order."""
    with flow.log.database.read() as connection:
        found = connection.execute(sa.text("SELECT event FROM noted ORDER BY number"))
        return [UUID(row.event) for row in found]


def work(url: str, file: str, goal: int, lease_seconds: float) -> None:
    with SalesFlow(url, shared=True, reactors=noting(file, lease_seconds)) as flow:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        while min(flow.reactors.positions().values()) < goal:
            flow.reactors.catch_up()


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
