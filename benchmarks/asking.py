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
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

from salesflow import SalesFlow
from salesflow.domain.time import from_instant
from salesflow.projections.core.question import Question, View
from salesflow.projections.homes import QUESTION_HOMES

__all__ = [
    "ASKED",
    "MOMENTS",
    "Asking",
    "Measured",
    "Task",
    "as_of",
    "clock_at_end",
    "question_of",
]

MOMENTS: Final = ("now", "past")
YEAR: Final = timedelta(days=365)
Given = Mapping[str, str]
"""Whom and what there is to be asked about in a log: a deal, a rep, a goal, by what it is."""
Parameters = Callable[[date, Given], dict[str, Any]]


class Asking(NamedTuple):
    """What is asked under a name: a question, and its parameters on a day."""

    question: str
    parameters: Parameters
    needs: tuple[str, ...] = ()
    """What there has to be in a log to be asked about."""


def _plain(question: str, **parameters: object) -> Asking:
    return Asking(question, lambda *_: dict(parameters))


def _of(question: str, need: str, parameter: str | None = None) -> Asking:
    """Ask about one of what there is, by the parameter of that name."""
    return Asking(question, lambda _, given: {parameter or need: given[need]}, (need,))


def _of_a_year(day: date, _: Given) -> dict[str, Any]:
    end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return {"from_": end.replace(year=end.year - 1), "to": end, "each": "month"}


ASKED: Final[dict[str, Asking]] = {
    "funnel": _plain("funnel"),
    "funnel by owner": _plain("funnel", by="owner"),
    "funnel by customer": _plain("funnel", by="customer"),
    "funnel-trend": _plain("funnel-trend"),
    "deals": _plain("deals"),
    "deal-timeline": _of("deal-timeline", "deal"),
    "case-study": _of("case-study", "deal"),
    "stage-times": _plain("stage-times"),
    "conversion": _plain("conversion"),
    "kpis": _plain("kpis"),
    "kpis by month": Asking("kpis", _of_a_year),
    "win-loss": _plain("win-loss"),
    "forecast": _plain("forecast"),
    "flow": _plain("flow"),
    "restatement": _plain("restatement"),
    "retrospective": _plain("retrospective"),
    "retrospective of a review": _of("retrospective", "review"),
    "feedback": _plain("feedback"),
    "goal-attainment": _plain("goal-attainment"),
    "goal-attainment of a goal": _of("goal-attainment", "goal"),
    "goal-check": _plain("goal-check", metric="sales", currency="CNY"),
    "stage-kpis": _plain("stage-kpis"),
    "rep-card": _of("rep-card", "rep"),
    "training-effect": _of("training-effect", "training"),
    "coaching": _plain("coaching"),
    "coaching of a rep": _of("coaching", "rep"),
    "collaboration": _plain("collaboration"),
    "commission-statement": _of("commission-statement", "paid rep", "rep"),
    "commission-estimate": _of("commission-estimate", "open deal", "deal"),
    "leaderboard": _plain("leaderboard"),
    "contest-standings": _of("contest-standings", "contest"),
    "case-library": _plain("case-library"),
    "case-library of a case": _of("case-library", "case"),
    "improvement-effect": _of("improvement-effect", "improvement"),
    "process-diff": _plain("process-diff"),
    "bottlenecks": _plain("bottlenecks"),
    "strategy-review": _plain("strategy-review"),
    "deal-health": _plain("deal-health"),
    "forecast-range": _plain("forecast-range"),
    "forecast-backtest": _plain("forecast-backtest"),
    "forecast-backtest, 2 years": _plain("forecast-backtest", quarters=8),
    "alerts": _plain("alerts"),
}
"""By what it is called here: the question, and its parameters."""


class Task(NamedTuple):
    """What is asked, where, and how often at most."""

    url: str
    tenant: str
    name: str
    moment: str
    given: Given
    rounds: int
    seconds: float
    """Once so long has gone by nothing more is asked, but three times in any case."""
    processor: bool = False
    """Whether what the processor takes is measured, and not what the clock on the wall says."""


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


def question_of(name: str, moment: str, end: datetime, given: Given) -> Question[View]:
    """Return a question with its parameters."""
    asking = ASKED[name]
    module, _, cls = QUESTION_HOMES[asking.question].partition(":")
    day = (as_of(moment, end) or end).date()
    parameters = asking.parameters(day, given)
    found: Question[View] = getattr(import_module(module), cls)(**parameters)
    return found


def measured(task: Task) -> Measured:
    """Ask again and again in this process."""
    clock = clock_at_end(task.url, task.tenant)
    took: list[float] = []
    begun, stands = perf_counter(), process_time if task.processor else perf_counter
    with SalesFlow(task.url, tenant=task.tenant, create=False, clock=clock) as flow:
        while len(took) <= task.rounds:
            start = stands()
            question = question_of(task.name, task.moment, clock(), task.given)
            answer = flow.ask(question, as_of=as_of(task.moment, clock()))
            took.append((stands() - start) * 1_000)
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
