"""Asks one question in a process of its own: how long it takes, and how much memory.

    python -m benchmarks.asking '{"url": …, "name": …, …}'

What is asked is the questions at their usual parameters, and a few of their variants: as of
the end of the log, by a clock that stands there, or as of a year before it. The first answer is
apart: it imports the question and loads what it reads into memory. The peak is the largest
resident memory the process ever had: interpreter, libraries, loading, all answers; the server
of PostgreSQL is not in it.
"""

import json
import resource
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow import SalesFlow
from salesflow.domain.time import from_instant
from salesflow.projections.core.question import Question, View
from salesflow.projections.homes import QUESTION_HOMES

__all__ = ["ASKED", "MOMENTS", "Measured", "Task", "as_of", "clock_at_end", "question_of"]

MOMENTS: Final = ("now", "past")
YEAR: Final = timedelta(days=365)
Parameters = Callable[[date, UUID], dict[str, Any]]


def _plain(**parameters: object) -> Parameters:
    return lambda *_: dict(parameters)


def _of_deal(_: date, deal: UUID) -> dict[str, Any]:
    return {"deal": deal}


def _of_a_year(day: date, _: UUID) -> dict[str, Any]:
    end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return {"from_": end.replace(year=end.year - 1), "to": end, "each": "month"}


ASKED: Final[dict[str, tuple[str, Parameters]]] = {
    "funnel": ("funnel", _plain()),
    "funnel by owner": ("funnel", _plain(by="owner")),
    "funnel by customer": ("funnel", _plain(by="customer")),
    "funnel-trend": ("funnel-trend", _plain()),
    "deals": ("deals", _plain()),
    "deal-timeline": ("deal-timeline", _of_deal),
    "case-study": ("case-study", _of_deal),
    "stage-times": ("stage-times", _plain()),
    "conversion": ("conversion", _plain()),
    "kpis": ("kpis", _plain()),
    "kpis by month": ("kpis", _of_a_year),
    "win-loss": ("win-loss", _plain()),
    "forecast": ("forecast", _plain()),
    "flow": ("flow", _plain()),
    "restatement": ("restatement", _plain()),
    "retrospective": ("retrospective", _plain()),
    "feedback": ("feedback", _plain()),
}
"""By what it is called here: the question, and its parameters on a day, of a deal."""


class Task(NamedTuple):
    """What is asked, where, and how often at most."""

    url: str
    tenant: str
    name: str
    moment: str
    deal: str
    rounds: int
    seconds: float
    """Once so long has gone by nothing more is asked, but three times in any case."""


class Measured(NamedTuple):
    """What asking came to, in milliseconds and megabytes."""

    first: float
    later: list[float]
    peak: float


LEAST: Final = 3


def clock_at_end(url: str, tenant: str) -> Callable[[], datetime]:
    """Return a clock that stands where the log ends."""
    with SalesFlow(url, tenant=tenant, create=False) as flow:
        end = from_instant(flow.log.head().recorded)
    return lambda: end


def as_of(moment: str, end: datetime) -> datetime | None:
    """Return the moment to ask at; None for the time of the clock."""
    return None if moment == "now" else end - YEAR


def question_of(name: str, moment: str, end: datetime, deal: UUID) -> Question[View]:
    """Return a question with its parameters."""
    question, parameters = ASKED[name]
    module, _, cls = QUESTION_HOMES[question].partition(":")
    day = (as_of(moment, end) or end).date()
    found: Question[View] = getattr(import_module(module), cls)(**parameters(day, deal))
    return found


def measured(task: Task) -> Measured:
    """Ask again and again in this process."""
    clock = clock_at_end(task.url, task.tenant)
    took: list[float] = []
    begun = perf_counter()
    with SalesFlow(task.url, tenant=task.tenant, create=False, clock=clock) as flow:
        while len(took) <= task.rounds:
            start = perf_counter()
            question = question_of(task.name, task.moment, clock(), UUID(task.deal))
            answer = flow.ask(question, as_of=as_of(task.moment, clock()))
            took.append((perf_counter() - start) * 1_000)
            del answer  # which nobody waits for
            if len(took) > LEAST and perf_counter() - begun > task.seconds:
                break
    return Measured(took[0], took[1:], peak_megabytes())


def peak_megabytes() -> float:
    """Return the largest resident memory this process ever had.

    Linux says so itself. What `getrusage` says there is no less than what the process had that
    started this one, so it is asked elsewhere alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(measured(Task(**json.loads(sys.argv[1])))))
