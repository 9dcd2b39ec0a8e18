"""How fast are the deal timeline and the ledger rebuilt, beside the library's runner?

    python -m benchmarks.rebuild [--events N] [--rounds N] [--db sqlite|postgresql|both]
                                 [--cores N] [--engine here|both] [--all-tables]

The log has the event mix of the demo, as many times over as it takes (see `long_log`). Both
tables are rebuilt together: `deal_state`, which the deal timeline and all questions about the
state of deals read, and `pipeline`, the ledger with one stored row per movement. What counts
is the whole rebuild, from the empty table beside the live one to the swap, in events of the
log a second; the swap waits for the disk (SQLite: synchronous=FULL, PostgreSQL: fsync on).

Ours on one core, ours on all cores and the library's ProjectionRunner take turns, and what is
printed is each side's median and the ratio to the library. The library's projection does the
least a projection can do, it tracks its position. It has no runner for SQLite, so both
databases are compared with its runner on PostgreSQL. Each rebuild is a process of its own,
whose work and peak memory (and that of the largest process that helped) stand beside it: on a
busy machine the work says more than the time.

With --engine both the same rebuild on Sail, which runs what is written for Spark in one process
of Python, takes its turn too; --all-tables rebuilds all of them, and not these two.

With --events 10000000 it shows that memory does not grow with the log; --cores 2 leaves the
side with one core out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg
from sqlalchemy import make_url

from benchmarks.__main__ import postgres
from benchmarks.against_library import (
    LIBRARY_PROJECTED,
    Deals,
    library_deal,
    library_environment,
    opened,
    rate,
    track,
)
from benchmarks.long_log import demo_events, long_log
from salesflow import SalesFlow
from salesflow.adapters.event_store.reading import StoredEvent
from salesflow.adapters.lake.spark_rebuild import SparkFilling
from salesflow.adapters.projector import rebuild as rebuilding

EVENTS = 320_000
TABLES = ("deal_state", "pipeline")
TENANT = "bench"
ON_SAIL = 0
"""So many cores stand for Sail."""
HASTE = "options=-csynchronous_commit%3Doff"
"""While the log is made; what is measured waits for the disk."""


class Rebuilt(NamedTuple):
    """What one rebuild came to."""

    events: int
    rows: int
    seconds: float
    cpu_seconds: float
    megabytes: int
    helper_megabytes: int


def rebuilt(url: str, cores: int, tables: Sequence[str]) -> Rebuilt:
    """Rebuild in a process of its own."""
    here = [sys.executable, "-m", "benchmarks.rebuild", "--rebuild", url, str(cores), *tables]
    said = subprocess.run(here, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Rebuilt(*json.loads(said))


def rebuild_here(url: str, cores: int, tables: Sequence[str]) -> Rebuilt:
    """Rebuild in this process, and in others that help as far as there are cores for them."""
    rebuilding.HELPERS_MAX = max(cores - 1, 0)
    filling = SparkFilling() if cores == ON_SAIL else None
    with SalesFlow(url, tenant=TENANT) as flow:
        flow.standings()
        start, worked = time.perf_counter(), time.process_time()
        rows = flow.rebuild(*tables, filling=filling)
        seconds = time.perf_counter() - start
        events = flow.log.head().position
    here = resource.getrusage(resource.RUSAGE_SELF)
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = time.process_time() - worked + helpers.ru_utime + helpers.ru_stime
    peaks = (here.ru_maxrss // 1024, helpers.ru_maxrss // 1024)
    return Rebuilt(events, sum(rows.values()), seconds, worked, *peaks)


def compare(
    name: str,
    url: str,
    library: str,
    rounds: int,
    cores: Iterable[int],
    tables: Sequence[str] = TABLES,
) -> None:
    """Let all sides take turns, and print their medians."""
    sides: dict[int, list[Rebuilt]] = {number: [] for number in cores}
    theirs: list[float] = []
    environment = library_environment(library)
    with opened(environment) as app:
        for _ in range(rounds):
            for number, found in sides.items():
                found.append(rebuilt(url, number, tables))
            theirs.append(projected(environment, app))
    least = median(theirs)
    any_ = next(iter(sides.values()))[0]
    named = " and ".join(tables) or "all tables"
    print(f"{name}: {any_.events:,} events, {any_.rows:,} rows in {named}")
    for number, found in sides.items():
        rate = median(each.events / each.seconds for each in found)
        peak = max(each.megabytes for each in found)
        helper = max(each.helper_megabytes for each in found)
        memory = f"{peak} MB" if number == 1 else f"{peak} MB + {helper} MB a helper"
        worked = median(each.cpu_seconds / each.events for each in found) * 1_000_000
        per_core = median(
            each.cpu_seconds / each.events for each in sides[min(filter(None, sides))]
        )
        memory = f"{worked:.1f} µs of processor an event, {memory}"
        if number == ON_SAIL:
            memory = f"{per_core * 100_000_000 / worked:.0f} % of the rate per core, {memory}"
        what = "one core" if number == 1 else f"{number} cores" if number else "on Sail"
        print(f"  salesflow, {what:<20}{rate:>12,.0f} /s {rate / least:>8.1f} x   {memory}")
    print(f"  library's runner, PostgreSQL   {least:>12,.0f} /s")


def beside(server: str) -> str:
    """Make a database for the library, which shares none with ours; give its URL."""
    url = make_url(server)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE DATABASE library")
    return url.set(database="library").render_as_string(hide_password=False)


def projected(environment: dict[str, str], app: Deals) -> float:
    """Let the library's runner track events that are new to it; events a second."""
    for _ in range(LIBRARY_PROJECTED // 500):
        app.save(*[library_deal() for _ in range(500)])
    return rate(LIBRARY_PROJECTED, lambda: track(environment, app))


def made(url: str, events: int, demo: Sequence[StoredEvent]) -> None:
    """Make the log, and say how long that took."""
    start = time.perf_counter()
    long_log(url, TENANT, events, demo)
    print(f"made a log of about {events:,} events in {time.perf_counter() - start:,.0f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on one of each kind of database, or on the kind named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--db", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--cores", type=int, help="only with so many (default: one, and all)")
    parser.add_argument("--engine", choices=("here", "both"), default="here")
    parser.add_argument("--all-tables", action="store_true", help="and not those two alone")
    parser.add_argument("--rebuild", nargs="+", metavar=("URL", "CORES"))
    given = parser.parse_args(arguments)
    if given.rebuild:
        url, number, *named = given.rebuild
        print(json.dumps(rebuild_here(url, int(number), named)))
        return
    print(f"{os.cpu_count()} cores, {given.rounds} rounds, medians", flush=True)
    demo = demo_events()
    cores = {given.cores} if given.cores else {1, os.cpu_count() or 1}
    cores |= {ON_SAIL} if given.engine != "here" else set()
    tables = () if given.all_tables else TABLES
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres(Path(folder) / "postgres") as server,
    ):
        library = beside(server)
        if given.db != "postgresql":
            url = f"sqlite:///{folder}/bench.db"
            made(url, given.events, demo)
            compare("sqlite", url, library, given.rounds, cores, tables)
        if given.db != "sqlite":
            haste = make_url(server).update_query_string(HASTE)
            made(haste.render_as_string(hide_password=False), given.events, demo)
            compare("postgresql", server, library, given.rounds, cores, tables)


if __name__ == "__main__":
    main()
