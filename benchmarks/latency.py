"""How soon does an answer come of any past instant, after a new event, on a command line?

    python -m benchmarks.latency [--events N …] [--db …] [--mix …] [--keep FOLDER]
                                 [--parts instants events commands] [--rounds N]

Of each log three things are measured, whose meaning stands in docs/performance.md: the funnel
at random past instants, warm; every question right after one more event was recorded, in a
process that asked before; and commands, each in a process that starts from nothing.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final
from uuid import UUID

from benchmarks.asking import ASKED, clock_at_end, question_of
from benchmarks.databases import TENANT, MadeLog, add_options, logs, working_copy
from benchmarks.questions import asked_about
from salesflow import ExternalEvent, Money, SalesFlow
from salesflow.demo.world import TurnedClock
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

SIZES: Final = (32_000, 1_200_000)
INSTANTS: Final = 200
ROUNDS: Final = 5
WARMING: Final = 2
"""Who asks of a ledger for the second time takes it into memory."""
PARTS: Final = ("instants", "events", "commands")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options say, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, SIZES)
    add = parser.add_argument
    add("--instants", type=int, default=INSTANTS, help="so many past instants")
    add("--rounds", type=int, default=ROUNDS, help="events and commands, of each question")
    add("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="what is measured")
    given = parser.parse_args(arguments)
    for log in logs(given):
        print(f"\n{log}", flush=True)
        print(f"{'':<36}{'median ms':>11}{'worst ms':>10}{'worst/median':>14}")
        if "instants" in given.parts:
            past_instants(log, given.instants)
        if "events" in given.parts:
            after_an_event(log, given.rounds)
        if "commands" in given.parts:
            cold_commands(log, given.rounds)


def past_instants(log: MadeLog, instants: int) -> None:
    """Ask for the funnel at random instants between the first event and the last one."""
    clock, chance = clock_at_end(log.url, TENANT), random.Random(1)
    with SalesFlow(log.url, tenant=TENANT, create=False, clock=clock) as flow:
        [first] = flow.log.page(0, 1)
        length = clock() - first.recorded_at
        pasts = [first.recorded_at + length * chance.random() for _ in range(instants)]
        laters = [past + (clock() - past) * chance.random() for past in pasts]
        flow.ask(Funnel())
        flow.ask(Funnel(), as_of=pasts[0])
        at = [timed(partial(flow.ask, Funnel(), as_of=past)) for past in pasts]
        both = [
            timed(partial(flow.ask, Funnel(), as_of=past, known_at=later))
            for past, later in zip(pasts, laters, strict=True)
        ]
    show(f"funnel at {instants} past instants", at)
    show("the same as known some time later", both)


def after_an_event(log: MadeLog, rounds: int) -> None:
    """Ask each question after one more event, of a copy of the log."""
    end = clock_at_end(log.url, TENANT)()
    clock, given, number = TurnedClock(end), asked_about(log.url)["now"], count(1)
    with (
        working_copy(log) as url,
        SalesFlow(url, tenant=TENANT, create=False, clock=clock) as flow,
    ):
        [changed] = flow.ask(Deals(outcome="open", limit=1)).deals
        for name, asking in ASKED.items():
            if any(need not in given for need in asking.needs):
                continue
            took = []
            for _ in range(WARMING):
                flow.ask(question_of(name, "now", end, given))
            for _ in range(rounds):
                clock.now += timedelta(seconds=1)
                flow.record([event(changed.deal, next(number))])
                question = question_of(name, "now", end, given)
                took.append(timed(partial(flow.ask, question)))
            show(f"{name} after an event", took)


def event(deal: UUID, number: int) -> ExternalEvent:
    """Return a fact that changes what a deal is worth."""
    return ExternalEvent(deal, ForecastGiven(amount=Money(1_000 + number, "CNY")))


def cold_commands(log: MadeLog, rounds: int) -> None:
    """Run commands, each in a process of its own."""
    given, end = asked_about(log.url)["now"], clock_at_end(log.url, TENANT)()
    show("salesflow --help", [command("--help") for _ in range(rounds)])
    for name, (question, _, needs) in ASKED.items():
        if name != question or any(need not in given for need in needs):
            continue
        of = [given[need] for need in needs]
        asked = ("ask", question, *of, "--db", log.url, "--as-of", end.isoformat())
        show(f"salesflow ask {question}", [command(*asked) for _ in range(rounds)])


def command(*arguments: str) -> float:
    """Run the command line; return the milliseconds from its start to its end."""
    line = [sys.executable, "-m", "salesflow", *arguments]
    root = Path(__file__).parent.parent
    run = partial(subprocess.run, line, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return timed(run)


def timed(work: Callable[[], object]) -> float:
    """Do the work; return how many milliseconds it took."""
    start = perf_counter()
    work()
    return (perf_counter() - start) * 1_000


def show(what: str, took: Sequence[float]) -> None:
    """Print the median and the worst of some times, and how far they are apart."""
    middle, worst = median(took), max(took)
    print(f"{what:<36}{middle:>11,.1f}{worst:>10,.1f}{worst / middle:>14,.1f}", flush=True)


if __name__ == "__main__":
    main()
