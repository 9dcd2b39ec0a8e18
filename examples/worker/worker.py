"""A worker beside a service: it keeps the read tables level with the log, and writes letters.

    python worker.py

It ends in order at Ctrl-C or SIGTERM: the batch and the letter at hand are finished, nothing is
left open, and the exit code is 0. A second signal ends it at once, which harms nothing either.
Any number of them may run, on this machine and, on PostgreSQL, on others.
"""

import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag

from salesflow import Deal, Reactor, SalesFlow
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.event import Event
from salesflow.engine.reactors import Reacted
from salesflow.engine.worker import CaughtUp
from salesflow.errors import NotFoundError, SalesflowError

LOGGER = logging.getLogger("worker")
LETTERS = Path(os.environ.get("LETTERS", "letters"))


def write_letter(flow: SalesFlow, event: Event) -> None:
    """Thank for a deal that was won; where a win turns out to be wrong, say that.

    This stands for mail, or for a call of another system. A worker that is killed in the middle
    leaves the event to another one, which writes the letter again: under the event's id, so
    that it is the same file. A mail server or a web hook is given the id for the same reason.
    """
    try:
        title = flow.get(Deal, event.stream_id, known_at=event.recorded_at).title
    except NotFoundError:  # its opening was taken back together with the win
        title = f"deal {event.stream_id}"
    won = isinstance(event.fact, DealWon)
    text = f"Thank you for {title}!" if won else f"We were wrong about {title}."
    LETTERS.mkdir(exist_ok=True)
    draft = LETTERS / f".{event.event_id}.{os.getpid()}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(LETTERS / f"{event.event_id}.txt")
    LOGGER.info("letter: %s", text)


def tell_tables(found: CaughtUp) -> None:
    """Say how far the read tables have come, and which of them stand still."""
    done = min(standing.position for standing in found.standings.values())
    LOGGER.info("tables at event no. %d of %d", done, found.head.position)
    for table, reason in found.failed.items():
        LOGGER.error("%s stands still: %s", table, reason)


def tell_letters(found: Reacted) -> None:
    """Say what could not be written; it is tried again a little later."""
    for reason in found.failed.values():
        LOGGER.error("%s", reason)


def stop_at_signals() -> Flag:
    """Return a flag that the first signal sets; the second one ends the process."""
    stop = Flag()

    def heed(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heed)
    return stop


def work(url: str) -> None:
    """Project and react until told to stop; whatever ends one of the two ends both."""
    stop = stop_at_signals()
    letters = Reactor(
        "letters",
        {DealWon},
        act=lambda event: write_letter(flow, event),
        after=0,  # from the beginning of the log: also what was won before this ran first
        lease_seconds=10,
    )
    with (
        SalesFlow(url, shared=True, create=False, reactors=[letters]) as flow,
        ThreadPoolExecutor(2) as pool,
    ):
        LOGGER.info("at work; Ctrl-C or SIGTERM ends it in order")
        jobs = [
            pool.submit(flow.follow, stop=stop, on_caught_up=tell_tables),
            pool.submit(flow.reactors.follow, stop=stop, on_reacted=tell_letters),
        ]
        for job in jobs:
            job.add_done_callback(lambda _: stop.set())
        for job in jobs:
            job.result()
    LOGGER.info("ended in order")


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    LOGGER.setLevel(logging.INFO)
    try:
        work(os.environ.get("SALESFLOW_DB", "sqlite:///sales.db"))
    except SalesflowError as error:
        sys.exit(str(error))
