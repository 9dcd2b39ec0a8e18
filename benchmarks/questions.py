"""How fast is every question, how much memory does it take, and how does that grow?

    python -m benchmarks.questions [--events N …] [--db …] [--mix …] [--questions NAME …]
                                   [--rounds N] [--seconds N] [--processor]
                                   [--keep FOLDER] [--json FILE]
    python -m benchmarks.questions --quick

Every question is asked as of the end of the log and as of a year before it, in a process of
its own (`asking`), of logs in the demo's mix and in a skewed one (`long_log`, `skewed_log`), on
both databases. Ten of them are also answered by SQL as an analyst would write it, by DuckDB
over Parquet files of the same rows (`duckdb_sql`). Both answers are compared before anything is
timed; where they differ the run says how, and fails.

What each figure means, and what the last run came to, stands in docs/performance.md.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from benchmarks.asking import (
    ASKED,
    MOMENTS,
    Measured,
    Task,
    as_of,
    clock_at_end,
    question_of,
)
from benchmarks.databases import TENANT, MadeLog, add_options, logs
from benchmarks.duckdb_sql import COMPARED, AnalystSql
from benchmarks.report import Figures, by_question, exponent
from salesflow import SalesFlow
from salesflow.domain.time import FOREVER, to_instant
from salesflow.errors import SalesflowError
from salesflow.projections.core.question import View
from salesflow.projections.folds.case import CASE
from salesflow.projections.folds.contest import CONTEST
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.goal import GOAL
from salesflow.projections.folds.improvement import IMPROVEMENT
from salesflow.projections.folds.review import REVIEW
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.table import IntervalTable

SIZES: Final = (32_000, 300_000, 1_200_000)
ROUNDS: Final = 20
SECONDS: Final = 20.0
QUICK_SIZE: Final = 8_000
QUICK_ROUNDS: Final = 3
CANDIDATES: Final = 50
P95: Final = 0.95
KEYS: Final[Mapping[str, tuple[IntervalTable, str]]] = {
    "goal": (GOAL, "goal"),
    "training": (TRAINING, "training"),
    "contest": (CONTEST, "contest"),
    "case": (CASE, "case_key"),
    "review": (REVIEW, "review"),
    "improvement": (IMPROVEMENT, "improvement"),
}
"""What has a key, and where it stands."""
Key = tuple[str, str]
"""What is asked, and at which moment."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options say, and print it."""
    given = _options(arguments)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}", flush=True)
    found: list[Figures] = []
    for log in logs(given):
        print(f"\n{log}", flush=True)
        found += measured(log, given)
        if given.json is not None:
            text = json.dumps([figures._asdict() for figures in found], indent=1)
            given.json.write_text(text + "\n", encoding="utf-8")
    print_growth(found)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, SIZES)
    add = parser.add_argument
    add("--questions", nargs="+", choices=ASKED, default=[*ASKED], help="which of them")
    add("--rounds", type=int, default=ROUNDS, help="so many warm answers of each, at most")
    add("--seconds", type=float, default=SECONDS, help="so long each is asked, at most")
    add("--processor", action="store_true", help="count time of the processor, not the clock's")
    add("--json", type=Path, metavar="FILE", help="write the figures there too")
    add("--quick", action="store_true", help="a small skewed log on SQLite, few rounds")
    given = parser.parse_args(arguments)
    if given.quick:
        given.events, given.db, given.mix = [QUICK_SIZE], ["sqlite"], ["skewed"]
        given.rounds = QUICK_ROUNDS
    return given


def measured(log: MadeLog, given: argparse.Namespace) -> Iterator[Figures]:
    """Compare the answers of both sides, then measure each question; print as it goes.

    Raises:
        SystemExit: when the answers of both sides differ.
    """
    there = asked_about(log.url)
    theirs = by_sql(log, [name for name in given.questions if name in COMPARED], given)
    print(
        f"{'question':<28}{'moment':<8}{'first ms':>10}{'median ms':>11}{'p95 ms':>10}"
        f"{'peak MB':>9}{'DuckDB ms':>11}"
    )
    for name in given.questions:
        for moment in MOMENTS:
            if any(need not in there[moment] for need in ASKED[name].needs):
                print(f"{name:<28}{moment:<8}nothing there to ask about", flush=True)
                continue
            about = there[moment]
            often = given.rounds, given.seconds, given.processor
            task = Task(log.url, TENANT, name, moment, about, *often)
            figures, first = asked(log, task, theirs.get((name, moment)))
            duckdb = figures.duckdb_ms_median
            print(
                f"{name:<28}{moment:<8}{first:>10,.0f}{figures.ms_median:>11,.1f}"
                f"{figures.ms_p95:>10,.1f}{figures.mb_peak:>9,.0f}"
                + (f"{duckdb:>11,.1f}" if duckdb is not None else ""),
                flush=True,
            )
            yield figures


def asked(log: MadeLog, task: Task, duckdb: float | None) -> tuple[Figures, float]:
    """Ask in a process of its own; give the figures, and how long the first answer took."""
    command = [sys.executable, "-m", "benchmarks.asking", json.dumps(task._asdict())]
    root = Path(__file__).parent.parent
    said = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout
    found = Measured(*json.loads(said))
    in_order = sorted(found.later)
    figures = Figures(
        *(task.name, task.moment, log.database, log.mix, log.events),
        ms_median=round(median(in_order), 3),
        ms_p95=round(in_order[math.ceil(P95 * len(in_order)) - 1], 3),
        mb_peak=round(found.peak, 1),
        duckdb_ms_median=duckdb,
    )
    return figures, found.first


def by_sql(
    log: MadeLog, names: Sequence[str], given: argparse.Namespace
) -> Mapping[Key, float]:
    """Return the median milliseconds of the SQL side, whose answers were compared before.

    Raises:
        SystemExit: when some differ.
    """
    if not names:
        return {}
    clock = clock_at_end(log.url, TENANT)
    with (
        tempfile.TemporaryDirectory() as folder,
        SalesFlow(log.url, tenant=TENANT, create=False, clock=clock) as flow,
        AnalystSql(flow, Path(folder)) as sql,
    ):
        answers: dict[Key, View] = {}
        for key in ((name, moment) for name in names for moment in MOMENTS):
            question = question_of(*key, clock(), {})
            answers[key] = flow.ask(question, as_of=as_of(key[1], clock()))
        wrong = [
            f"as of {moment}: {difference}"
            for (name, moment), view in answers.items()
            for difference in sql.differences(name, view)
        ]
        if wrong:
            raise SystemExit("\n".join([f"the answers differ on {log}", *wrong]))
        return {
            key: round(
                median(sql.milliseconds(key[0], view, given.rounds, processor=given.processor)),
                3,
            )
            for key, view in answers.items()
        }


def asked_about(url: str) -> Mapping[str, Mapping[str, str]]:
    """Return what there is to be asked about at each moment, by what it is; see `asking`.

    Raises:
        SystemExit: when there is no deal that all questions about a deal can be asked of.
    """
    clock = clock_at_end(url, TENANT)
    with SalesFlow(url, tenant=TENANT, create=False, clock=clock) as flow:
        deal = str(some_deal(flow, clock()))
        return {
            moment: {"deal": deal} | dict(_there(flow, moment, clock())) for moment in MOMENTS
        }


def some_deal(flow: SalesFlow, end: datetime) -> UUID:
    """Return a deal that all questions about a deal can be asked of at each moment.

    Raises:
        SystemExit: when there is none among those looked at.
    """
    past = flow.ask(Deals(outcome="won", limit=CANDIDATES), as_of=as_of("past", end))
    for deal in past.deals:
        about = {"deal": str(deal.deal)}
        if all(
            _can_be_asked(flow, name, moment, end, about)
            for name, moment in product(("deal-timeline", "case-study"), MOMENTS)
        ):
            return deal.deal
    raise SystemExit("no deal is there at all moments")


def _there(flow: SalesFlow, moment: str, end: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is at a moment besides that deal: of keys the first in their order."""
    now = as_of(moment, end) or end
    for name, (table, column) in KEYS.items():
        order = [table.c.last_day.desc()] if name == "goal" else []
        for (key,) in _rows(flow, table, now, sa.select(table.c[column]), order):
            yield name, key
            break
    owners = Counter(owner for (owner,) in _rows(flow, DEAL_STATE, now, _OWNERS) if owner)
    reps = sorted(owners, key=lambda owner: (-owners[owner], owner))
    yield from _first(flow, moment, end, ("rep", "rep-card"), reps)
    yield from _first(flow, moment, end, ("paid rep", "commission-statement"), reps)
    deals = flow.ask(Deals(outcome="open", limit=CANDIDATES), as_of=as_of(moment, end)).deals
    ids = [str(deal.deal) for deal in deals]
    yield from _first(flow, moment, end, ("open deal", "commission-estimate"), ids)


def _first(
    flow: SalesFlow, moment: str, end: datetime, what: tuple[str, str], of: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the first of some that a question can be asked about, if any is."""
    need, question = what
    for each in of[:CANDIDATES]:
        if _can_be_asked(flow, question, moment, end, {need: each}):
            yield need, each
            return


def _can_be_asked(
    flow: SalesFlow, name: str, moment: str, end: datetime, about: Mapping[str, str]
) -> bool:
    try:
        flow.ask(question_of(name, moment, end, about), as_of=as_of(moment, end))
    except SalesflowError:
        return False
    return True


_OWNERS: Final = sa.select(DEAL_STATE.c.owner)


def _rows(
    flow: SalesFlow,
    table: IntervalTable,
    at: datetime,
    select: sa.Select[Any],
    order: Sequence[sa.ColumnElement[Any]] = (),
) -> Sequence[sa.Row[Any]]:
    """Return columns of the rows that stand at a moment, as all is known now."""
    now = to_instant(at)
    held = select.where(
        table.c.tenant == TENANT,
        *(table.c.known_to == FOREVER, table.c.valid_from <= now, table.c.valid_to > now),
    )
    with flow.log.database.read() as connection:
        return connection.execute(held.order_by(*order, *select.selected_columns)).all()


def print_growth(found: Sequence[Figures]) -> None:
    """Print the exponent by which each question grows over the sizes, where there are some."""
    points = by_question(found)
    if any(exponent(figures) is not None for figures in points.values()):
        print("\ngrowth: time is as events to the power of")
        for asked, figures in points.items():
            power = exponent(figures)
            where = f"{asked.database}, {asked.mix} mix"
            print(f"{asked.question:<28}{asked.moment:<8}{power or 0:>10.2f}   {where}")


if __name__ == "__main__":
    main()
