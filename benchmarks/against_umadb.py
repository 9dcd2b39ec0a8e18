"""How many commands do eight threads give a second beside UmaDB, on one disk and in turn?

    python -m pip install umadb
    python -m benchmarks.against_umadb [--rounds N] [FOLDER]

A command of salesflow on PostgreSQL loads a deal, decides, and appends a contact to what it has
loaded. UmaDB is asked directly, by its own client: the events with the tag of a deal are read,
and one event is appended on condition that none was added to them since; nothing is decoded,
and nothing decided. Both have a server of their own in the folder (a temporary one if none is
given), and answer when an event is on the disk. What is printed is the median of the rounds.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import socket
from statistics import median
from time import monotonic, sleep
from uuid import UUID, uuid4

import umadb

from benchmarks.__main__ import THREADS, new_deal, postgres
from benchmarks.against_library import COMMANDS, our_command, rate
from salesflow import SalesFlow

CONTACT = b'{"channel":"call","direction":"out","participants":[]}'
SERVER = "from umadb.umadb_server_cli import main; main()"
START_SECONDS = 30


def their_command(client: umadb.Client, deal: UUID) -> None:
    """Read, append."""
    query = umadb.Query([umadb.QueryItem(tags=[str(deal)])])
    _, head = client.read(query).collect_with_head()
    event = umadb.Event("deal.contact_logged", CONTACT, [str(deal)], uuid4())
    client.append([event], umadb.AppendCondition(query, after=head))


def opened_deals(flow: SalesFlow) -> list[UUID]:
    """Open as many deals as commands are given."""
    with flow.session() as s:
        return [s.add(new_deal()).id for _ in range(COMMANDS)]


def at_once(command: Callable[[UUID], None], deals: Sequence[UUID]) -> float:
    """Give a command on each of the deals, by threads that have done so before; a second."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(command, deals[:THREADS]))
        return rate(len(deals), lambda: list(pool.map(command, deals)))


@contextmanager
def their_server(folder: Path) -> Iterator[umadb.Client]:
    """Run a server of UmaDB; give a client of it."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    where = ("--listen", address, "--db-path", str(folder / "umadb.db"))
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, *where], stdout=quiet, stderr=quiet
    )
    try:
        yield reached(f"http://{address}")
    finally:
        server.terminate()
        server.wait()


def reached(url: str) -> umadb.Client:
    """Return a client of a server as soon as that answers."""
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            client = umadb.Client(url)
            client.head()
        except Exception:
            if monotonic() > deadline:
                raise
            sleep(0.1)
        else:
            return client


def compare(folder: Path, rounds: int) -> None:
    """Measure both in turn; print the medians, and their ratio."""
    mine, other = [], []
    with (
        postgres(folder / "postgres") as url,
        SalesFlow(url, tenant=uuid4().hex) as flow,
        their_server(folder) as client,
    ):
        for _ in range(rounds):
            mine.append(at_once(partial(our_command, flow), opened_deals(flow)))
            other.append(
                at_once(partial(their_command, client), [uuid4() for _ in range(COMMANDS)])
            )
            print(f"  {mine[-1]:>12,.0f} /s{other[-1]:>12,.0f} /s", flush=True)
    a, b = median(mine), median(other)
    print(f"{THREADS} threads, medians: {a:,.0f} /s, UmaDB {b:,.0f} /s, {a / b:.2f} x")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare in a folder of choice, or in a temporary one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        compare(Path(folder), given.rounds)


if __name__ == "__main__":
    main()
