"""What does every question answer at random moments, and is it what another version answered?

    python -m benchmarks.answers URL FILE [--moments N] [--seed N] [--only QUESTIONS]
    python -m benchmarks.answers --compare FILE FILE

Every question is asked with many sets of parameters, drawn from what is in the log, at random
moments on both axes, and once more of what lies before and behind the log. The file holds one
line per answer: what was asked, and a digest of all that was answered (or the refusal). Write
one by the code before a change, another by the code after it (`PYTHONPATH`), and compare.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from salesflow import SalesFlow
from salesflow.errors import SalesflowError
from salesflow.projections.core.question import Question, View
from salesflow.projections.folds.alert import ALERT
from salesflow.projections.folds.case import CASE
from salesflow.projections.folds.contest import CONTEST
from salesflow.projections.folds.goal import GOAL
from salesflow.projections.folds.improvement import IMPROVEMENT
from salesflow.projections.folds.incentive_plan import INCENTIVE_PLAN
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.review import REVIEW
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.homes import QUESTION_HOMES
from salesflow.projections.table import IntervalTable

PAST: Final = timedelta(days=400)
"""So long before its beginning and behind its end a log is asked too."""


BEFORE: Final = 7
BEHIND: Final = 13
SHOWN: Final = 20


class Asked(NamedTuple):
    """One question, its parameters and its moment."""

    question: str
    parameters: dict[str, Any]
    as_of: datetime
    known_at: datetime | None

    def line(self) -> str:
        """Return how it is written down."""
        return json.dumps(self, sort_keys=True, default=str)


Drawn = Callable[[datetime, random.Random], dict[str, Any]]
"""Draws the parameters of a question at a moment."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write answers, or compare two files of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=200, help="so many random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", action="store_true", help="compare two files")
    parser.add_argument("--only", help="questions, by commas")
    parser.add_argument("given", nargs=2, metavar="URL FILE")
    said = parser.parse_args(arguments)
    if said.compare:
        raise SystemExit(compare(*map(Path, said.given)))
    url, file = said.given
    wanted = said.only.split(",") if said.only else [*QUESTION_HOMES]
    with SalesFlow(url, create=False) as flow, Path(file).open("w", encoding="utf-8") as out:
        flow.catch_up()
        spent = Counter[str]()
        for asked in drawn(flow, said.seed, said.moments, wanted):
            begun = perf_counter()
            answer = answered(flow, asked)
            spent[asked.question] += int(1_000_000 * (perf_counter() - begun))
            out.write(json.dumps([asked.line(), answer]) + "\n")
    for question, microseconds in spent.items():
        print(f"{question:<16}{microseconds / said.moments / 1000:>10.1f} ms each")


def drawn(flow: SalesFlow, seed: int, moments: int, wanted: Iterable[str]) -> Iterator[Asked]:
    """Draw what to ask: at each moment every question, its sets of parameters in turn."""
    sets = parameter_sets(flow)
    first, last = begin_and_end(flow)
    for number in range(moments):
        chance = random.Random(f"{seed}/{number}")
        as_of = drawn_moment(first, last, chance, number)
        known_at = drawn_knowledge(as_of, (first, last), chance)
        for question in wanted:
            own = random.Random(f"{seed}/{number}/{question}")
            choices = sets[question]
            parameters = choices[number % len(choices)](as_of, own)
            yield Asked(question, parameters, as_of, known_at)


def begin_and_end(flow: SalesFlow) -> tuple[datetime, datetime]:
    """Return when the first thing is said to have happened, and when the last was recorded."""
    first = min(event.occurred_at for event in flow.log.page(0, 2_000))
    [last] = flow.log.page(flow.log.head().position - 1, 1)
    return first, last.recorded_at


def drawn_moment(
    first: datetime, last: datetime, chance: random.Random, number: int
) -> datetime:
    """Draw an instant; now and then one before everything, or behind it all."""
    if number % 20 == BEFORE:
        return first - PAST * chance.random()
    if number % 20 == BEHIND:
        return last + PAST * chance.random()
    return first + (last - first) * chance.random()


def drawn_knowledge(
    as_of: datetime, ends: tuple[datetime, datetime], chance: random.Random
) -> datetime | None:
    """Draw what is known: all, what was known then, somewhat more, or anything."""
    match chance.choice(("all", "all", "then", "later", "any")):
        case "then":
            return as_of
        case "later":
            return as_of + timedelta(days=chance.choice((1, 14, 90)))
        case "any":
            return drawn_moment(*ends, chance, 0)
        case _:
            return None


def fixed(**parameters: object) -> Drawn:
    """Ask with these parameters."""
    return lambda *_: dict(parameters)


def one(**choices: Sequence[object]) -> Drawn:
    """Ask with one of some values for each parameter."""
    return lambda _, chance: {name: chance.choice(these) for name, these in choices.items()}


def period(days: int, **choices: Sequence[object]) -> Drawn:
    """Ask about so many days that end at the moment, or some time before it."""

    def draw(as_of: datetime, chance: random.Random) -> dict[str, Any]:
        to = as_of.date() - timedelta(days=chance.choice((0, 0, 20, 200)))
        parameters = {"from_": str(to - timedelta(days=days)), "to": str(to)}
        return parameters | {name: chance.choice(these) for name, these in choices.items()}

    return draw


def known_a_month_before(as_of: datetime, _: random.Random) -> dict[str, Any]:
    """Ask what was known thirty days before."""
    return {"known_then": str(as_of.date() - timedelta(days=30))}


def parameter_sets(flow: SalesFlow) -> dict[str, list[Drawn]]:
    """Return ways to fill the parameters of each question, from what is in the log."""
    _, last = begin_and_end(flow)
    deals = asked_of(flow, "deals", {"limit": 2_000}, last + PAST)["deals"]
    ids = sorted(str(each["deal"]) for each in deals)
    owners = sorted({each["owner"] for each in deals if each["owner"]})
    processes = sorted({each["process"] for each in deals})
    stages = sorted({each["stage"] for each in deals if each["stage"]})
    parts = ("process", "stage", "owner", "team", "forecast_category")
    groups = ("process", "owner", "team", "customer", "channel", "currency")
    whose = ("rep", "team", "customer", "channel", "process")
    return management_sets(flow, ids, owners, processes, stages) | {
        "funnel": [
            *(fixed(), one(owner=owners), one(process=processes), fixed(report_currency="CNY")),
            *(fixed(by=by) for by in groups),
        ],
        "case-study": [one(deal=ids), one(deal=ids, similar=[1, 10])],
        "conversion": [
            *(fixed(), one(owner=owners), one(process=processes), period(92)),
            *(period(365, owner=owners), period(31, process=processes)),
        ],
        "deals": [
            *(fixed(), fixed(limit=5), one(owner=owners), one(stage=stages)),
            *(one(outcome=["open", "won", "lost", "merged"]), one(process=processes)),
        ],
        "deal-timeline": [one(deal=ids)],
        "feedback": [
            *(fixed(), period(92), period(365, owner=owners)),
            *(fixed(by=by) for by in ("stage", "owner", "product")),
        ],
        "flow": [
            *(fixed(), period(31), period(92, as_known_then=[True]), period(92, owner=owners)),
            *(period(200, stage=stages), period(92, outcome=["won", "lost"])),
            *(period(92, by=[by]) for by in parts),
        ],
        "forecast": [
            *(fixed(), fixed(by="owner"), fixed(by="process"), one(owner=owners), period(92)),
            *(fixed(periods=3), fixed(as_known_then=True), fixed(report_currency="CNY")),
        ],
        "funnel-trend": [
            *(fixed(), period(365), period(92, every=["week"]), period(30, every=["day"])),
            period(400, every=["quarter"], process=processes),
        ],
        "kpis": [
            *(fixed(), fixed(each="month"), fixed(each="quarter"), period(365, each=["month"])),
            *(period(92), period(92, owner=owners), period(92, process=processes)),
            *(period(365, by=["rep"], each=["quarter"]), period(92, report_currency=["CNY"])),
            *(period(92, by=[by]) for by in whose),
        ],
        "restatement": [
            *(fixed(), one(owner=owners), one(process=processes), known_a_month_before)
        ],
        "retrospective": [
            *(fixed(), period(92), period(31), period(92, owner=owners)),
            *(period(92, process=processes), one(review=keys_of(flow, REVIEW, "review"))),
        ],
        "stage-times": [
            *(fixed(), one(owner=owners), one(process=processes), one(start=stages)),
            *(one(deal=ids), fixed(days=[7, 14, 400])),
        ],
        "win-loss": [
            *(fixed(), period(92), period(365, owner=owners), one(process=processes)),
            one(deal=ids),
        ],
    }


def keys_of(flow: SalesFlow, table: IntervalTable, column: str) -> list[str]:
    """Return all keys there ever were in a column of a read table, in order; at least one."""
    select = sa.select(table.c[column]).distinct().where(table.c.tenant == flow.log.tenant)
    with flow.log.database.read() as connection:
        return sorted(str(row[0]) for row in connection.execute(select) if row[0]) or ["none"]


def management_sets(
    flow: SalesFlow,
    ids: Sequence[str],
    owners: Sequence[str],
    processes: Sequence[str],
    stages: Sequence[str],
) -> dict[str, list[Drawn]]:
    """Return the same for questions about goals, people, incentives, cases and improvement."""
    teams = keys_of(flow, MEMBERSHIP, "team")
    cases, plans = keys_of(flow, CASE, "case_key"), keys_of(flow, INCENTIVE_PLAN, "plan")
    measured = ("sales", "orders", "won", "win_rate", "new_customers", "cycle_days")
    part = {"owner": owners, "team": teams, "process": processes}
    narrowed = [one(**{name: words}) for name, words in part.items()]
    return {
        "alerts": [fixed(), one(alert=keys_of(flow, ALERT, "alert"))],
        "bottlenecks": [*(fixed(), period(92), period(365, process=processes)), *narrowed],
        "case-library": [
            *(fixed(), one(case=cases), one(outcome=["won", "lost"]), one(process=processes)),
            *(one(words=["价格", "price", "参访"]), one(stage=stages), fixed(withdrawn=True)),
        ],
        "coaching": [
            *(fixed(), one(rep=owners), one(team=teams), period(200, process=processes)),
            *(fixed(window=30, limit=40), period(92, rep=owners)),
        ],
        "collaboration": [*(fixed(), period(92), period(365, owner=owners)), *narrowed],
        "commission-estimate": [one(deal=ids), one(deal=ids, plan=plans)],
        "commission-statement": [one(rep=owners), one(rep=owners, plan=plans)],
        "contest-standings": [one(contest=keys_of(flow, CONTEST, "contest"))],
        "deal-health": [
            *(fixed(), one(deal=ids), fixed(no_reply_days=2, no_contact_days=30, pushes=1)),
            *(one(stage=stages), *narrowed),
        ],
        "forecast-backtest": [
            *(fixed(quarters=1), fixed(quarters=2, known="moment"), fixed()),
            one(quarters=[1, 2], owner=owners),
            one(quarters=[1, 2], process=processes),
        ],
        "forecast-range": [
            *(fixed(), fixed(by="owner"), period(92), one(owner=owners)),
            *(one(process=processes), a_quarter_ahead),
        ],
        "goal-attainment": [
            *(fixed(), one(goal=keys_of(flow, GOAL, "goal")), period(365), one(team=teams)),
            *(fixed(expected_by="seasonality"), period(92, metric=["sales"])),
        ],
        "goal-check": [
            *(fixed(), one(metric=measured[1:], team=teams), period(92, metric=measured[1:])),
            *(one(metric=measured[:1], currency=["CNY"], rep=owners, target=["1", "900000"]),),
            one(metric=["stage_entries"], stage=stages),
        ],
        "improvement-effect": [
            one(improvement=keys_of(flow, IMPROVEMENT, "improvement"), by=["team", "rep"])
        ],
        "leaderboard": [
            *(fixed(), one(metric=measured), one(metric=measured, by=["team"])),
            *(period(365, metric=measured), one(team=teams), one(process=processes)),
        ],
        "process-diff": [fixed(), one(process=processes)],
        "rep-card": [one(rep=owners), period(365, rep=owners)],
        "stage-kpis": [*(fixed(), period(365)), *narrowed],
        "strategy-review": [fixed(), period(92), period(31)],
        "training-effect": [
            one(training=keys_of(flow, TRAINING, "training")),
            one(training=keys_of(flow, TRAINING, "training"), metric=measured, window=[30]),
        ],
    }


def a_quarter_ahead(as_of: datetime, _: random.Random) -> dict[str, Any]:
    """Ask about the days from the moment on."""
    return {"from_": str(as_of.date()), "to": str(as_of.date() + timedelta(days=92))}


def asked_of(
    flow: SalesFlow,
    question: str,
    parameters: dict[str, Any],
    as_of: datetime,
    known_at: datetime | None = None,
) -> dict[str, Any]:
    """Ask, and return the answer as JSON values."""
    module, name = QUESTION_HOMES[question].split(":")
    cls: type[Question[View]] = getattr(import_module(module), name)
    return flow.ask(cls(**parameters), as_of=as_of, known_at=known_at).to_dict()


def answered(flow: SalesFlow, asked: Asked) -> str:
    """Return a digest of an answer, or what was refused."""
    try:
        found = asked_of(flow, *asked)
    except SalesflowError as error:
        return f"{type(error).__name__}: {error}"
    found.pop("behind", None)
    return sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


def compare(before: Path, after: Path) -> int:
    """Print what differs, and return whether anything does."""
    old, new = (dict(map(json.loads, file.open(encoding="utf-8"))) for file in (before, after))
    wrong = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    for key in wrong[:SHOWN]:
        print(key, old.get(key), new.get(key), sep="\n    ")
    refused = sum(":" in answer for answer in old.values())
    print(f"{len(old):,} answers ({refused:,} of them refusals), {len(wrong):,} differ")
    return int(bool(wrong))


if __name__ == "__main__":
    main()
