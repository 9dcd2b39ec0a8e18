"""Logs of some sizes and mixes on both databases, made once and kept where that is wanted.

A log is made by `long_log` (the demo's mix) or by `skewed_log`, its read tables are filled, and
only then it gets its name: what a run that was stopped left half done is made anew. The read
tables of logs that were kept are brought to where the code of today has them.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import psycopg
import sqlalchemy as sa

from benchmarks.__main__ import postgres
from benchmarks.at_scale import settle
from benchmarks.long_log import demo_events, long_log
from benchmarks.rebuild import HASTE
from benchmarks.skewed_log import skewed_log
from salesflow import SalesFlow
from salesflow.adapters.event_store.reading import StoredEvent

__all__ = ["DATABASES", "TENANT", "MadeLog", "add_options", "logs", "working_copy"]

DATABASES: Final = ("sqlite", "postgresql")
MIXES: Final = ("demo", "skewed")
TENANT: Final = "main"
UNFINISHED: Final = "unfinished"
COPY: Final = "working_copy"


class MadeLog(NamedTuple):
    """A log whose read tables are level with it."""

    url: str
    database: str
    mix: str
    events: int
    """So many there are: about as many as were asked for."""

    def __str__(self) -> str:
        return f"{self.database}, {self.mix} mix, {self.events:,} events"


class Place(Protocol):
    """Where databases of one kind are made."""

    def url(self, name: str) -> str:
        """Return the URL of a database."""

    def has(self, name: str) -> bool:
        """Return whether there is one of this name."""

    def rename(self, name: str, new: str) -> None:
        """Give a database that nobody has open another name."""

    def drop(self, name: str) -> None:
        """Make and fill no more of a database; nothing where there is none."""


class Files:
    """SQLite files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        """Return the URL of a file."""
        return f"sqlite:///{self._file(name)}"

    def has(self, name: str) -> bool:
        """Return whether there is one."""
        return self._file(name).exists()

    def rename(self, name: str, new: str) -> None:
        """Give a file that nobody has open another name."""
        self._file(name).replace(self._file(new))

    def drop(self, name: str) -> None:
        """Remove a file and what lies beside it."""
        for file in self._folder.glob(f"{name}.db*"):
            file.unlink()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"


class Server:
    """Databases of a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)

    def url(self, name: str) -> str:
        """Return the URL of a database; it is made when it is not there."""
        if not self.has(name):
            self._run(f'CREATE DATABASE "{name}"')
        return self._url.set(database=name).render_as_string(hide_password=False)

    def has(self, name: str) -> bool:
        """Return whether there is one."""
        return bool(self._run("SELECT 1 FROM pg_database WHERE datname = %s", name))

    def rename(self, name: str, new: str) -> None:
        """Give a database that nobody has open another name."""
        self._run(f'ALTER DATABASE "{name}" RENAME TO "{new}"')

    def drop(self, name: str) -> None:
        """Drop a database."""
        self._run(f'DROP DATABASE IF EXISTS "{name}"')

    def copy(self, name: str, new: str) -> str:
        """Copy a database that nobody has open; return the URL of the copy."""
        self._run(f'CREATE DATABASE "{new}" TEMPLATE "{name}"')
        return self.url(new)

    def _run(self, statement: str, *parameters: str) -> list[tuple[object, ...]]:
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            done = connection.execute(statement.encode(), parameters or None)
            return done.fetchall() if done.description else []


def add_options(parser: argparse.ArgumentParser, sizes: Sequence[int]) -> None:
    """Add the options that say which logs are measured."""
    add = parser.add_argument
    add("--events", type=int, nargs="+", default=[*sizes], help="sizes of logs, in events")
    add("--db", nargs="+", choices=DATABASES, default=[*DATABASES], help="databases")
    add("--mix", nargs="+", choices=MIXES, default=[*MIXES], help="mixes of events")
    add("--keep", type=Path, metavar="FOLDER", help="keep logs here, and take what is there")


def logs(given: argparse.Namespace) -> Iterator[MadeLog]:
    """Yield the logs that the options ask for: database by database, mix by mix, by size."""
    with ExitStack() as until_the_end:
        folder = given.keep
        if folder is None:
            folder = Path(until_the_end.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for database in given.db:
            with _place(database, folder.resolve(), keep=given.keep is not None) as place:
                for mix in given.mix:
                    for events in sorted(given.events):
                        yield _made(place, database, mix, events)


@contextmanager
def _place(database: str, folder: Path, *, keep: bool) -> Iterator[Place]:
    if database == "sqlite":
        yield Files(folder)
        return
    with postgres(folder / "postgres", keep=keep) as server:
        yield Server(server)


def _made(place: Place, database: str, mix: str, events: int) -> MadeLog:
    """Take a log that is there, or make it, and say how long that took."""
    name = f"{mix}_{events}"
    if not place.has(name):
        start = time.perf_counter()
        place.drop(UNFINISHED)
        _fill(place.url(UNFINISHED), database, mix, events)
        place.rename(UNFINISHED, name)
        took = time.perf_counter() - start
        print(f"made a log of about {events:,} events in {took:,.0f} s", flush=True)
    url = place.url(name)
    with SalesFlow(url, tenant=TENANT, create=False) as flow:
        flow.catch_up()
        return MadeLog(url, database, mix, flow.log.head().position)


def _fill(url: str, database: str, mix: str, events: int) -> None:
    hasty = url
    if database == "postgresql":
        hasty = sa.make_url(url).update_query_string(HASTE).render_as_string(False)
    if mix == "demo":
        long_log(hasty, TENANT, events, _demo())
    else:
        skewed_log(hasty, TENANT, events)
    with SalesFlow(hasty, tenant=TENANT, create=False) as flow:
        flow.rebuild()
    settle(url)


@cache
def _demo() -> list[StoredEvent]:
    return demo_events()


@contextmanager
def working_copy(log: MadeLog) -> Iterator[str]:
    """Copy a log to be written to; give the URL of the copy, which is gone afterwards.

    The files of columns beside a SQLite file come with it.
    """
    address = sa.make_url(log.url)
    assert address.database is not None
    if log.database == "postgresql":
        server = Server(address.set(database="postgres").render_as_string(False))
        server.drop(COPY)
        yield server.copy(address.database, COPY)
        server.drop(COPY)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = shutil.copy(address.database, folder)
        with suppress(FileNotFoundError):
            shutil.copytree(f"{address.database}-columns", f"{file}-columns")
        yield f"sqlite:///{file}"
