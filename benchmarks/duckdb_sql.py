"""Ten questions as an analyst would write them: DuckDB over Parquet files of the same rows.

What is written by hand stands in the folder `sql`, a file for each question with one select
after the other, each of which answers a part of it. The rows come from the read tables, every
one that was ever believed, so that the statements ask at any moment as well. The figures that
both sides give are compared: counts, names and sums of money have to be the same, days and
shares to nine places, since the other side works those out with floats.

An answer of salesflow holds more than is compared (intervals, estimates, stalled deals by name,
what was so in the period before), and its time is that of all of it.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import chain, zip_longest
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from salesflow import SalesFlow
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.domain.process import ProcessPublished, process_id
from salesflow.domain.time import (
    ONE_DAY,
    from_instant,
    start_of_day,
    start_of_last_days,
    to_instant,
)
from salesflow.projections.core.question import View
from salesflow.projections.forecast.forecast import TRAILING_DAYS
from salesflow.projections.performance.kpis import KpisView
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import IntervalTable, ReadTable

__all__ = ["COMPARED", "AnalystSql"]

SQL: Final = Path(__file__).parent / "sql"
TABLES: Final = (
    *("booking", "closing", "contact", "deal_state", "factor", "feedback"),
    *("pipeline", "stage_visit"),
)
BATCH: Final = 50_000
PLACES: Final = 9
MACROS: Final = {
    True: "CREATE MACRO {0}_at(as_of, known_at) AS TABLE SELECT * FROM {0}"
    " WHERE known_from <= known_at AND known_to > known_at AND valid_from <= as_of"
    " AND (valid_to > as_of OR (collapsed = 1 AND valid_to > known_at))",
    False: "CREATE MACRO {0}_by(as_of, known_at) AS TABLE SELECT * FROM {0}"
    " WHERE occurred <= as_of AND recorded <= known_at",
}
"""What holds at a moment of an interval table, and what was posted by then of a ledger."""

Row = tuple[Any, ...]
Parts = Iterator[Iterable[Row]]
"""The rows of one select after the other."""


class AnalystSql:
    """Parquet files of one log, and the statements that are asked of them."""

    def __init__(self, flow: SalesFlow, folder: Path) -> None:
        flow.catch_up()
        self._connection = duckdb.connect()
        self._timezone = flow.settings().timezone
        with flow.log.database.read() as connection:
            for name in TABLES:
                self._export(FOLDS[name].table, flow.log.tenant, connection, folder)
        self._export_stages(flow, folder)
        now = from_instant(flow.log.head().recorded).astimezone(self._timezone)
        offset = (now.utcoffset() or timedelta()) // timedelta(microseconds=1)
        self._connection.execute(f"SET VARIABLE utc_offset = {offset}")
        self._connection.execute((SQL / "tables.sql").read_text(encoding="utf-8"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def differences(self, name: str, view: View) -> list[str]:
        """Return where the two answers to a question differ; nothing where they agree."""
        found: list[str] = []
        answers = zip_longest(COMPARED[name](view), self._answer(name, view), fillvalue=())
        for number, (ours, theirs) in enumerate(answers, start=1):
            pairs = zip_longest(_in_order(ours), _in_order(theirs))
            found += [
                f"{name}, select {number}: salesflow {our}, DuckDB {their}"
                for our, their in pairs
                if not _are_equal(our, their)
            ]
        return found

    def milliseconds(
        self, name: str, view: View, rounds: int, *, processor: bool = False
    ) -> list[float]:
        """Return how long each of some rounds of all statements took.

        By the clock, or by the processor: all of its cores together.
        """
        took, stands = [], process_time if processor else perf_counter
        for _ in range(rounds):
            start = stands()
            answer = self._answer(name, view)
            took.append((stands() - start) * 1_000)
            del answer
        return took

    def _answer(self, name: str, view: View) -> list[list[Row]]:
        """Run the statements of a question; return what the selects among them give."""
        parameters = _parameters(view, self._timezone)
        text = (SQL / f"{name.replace(' ', '-')}.sql").read_text(encoding="utf-8")
        answers: list[list[Row]] = []
        for statement in self._connection.extract_statements(text):
            needed = {key: parameters[key] for key in statement.named_parameters}
            rows = self._connection.execute(statement.query, needed or None).fetchall()
            if not re.search(r"\bCREATE\b", statement.query):
                answers.append(rows)
        return answers

    def _export(
        self, table: ReadTable, tenant: str, connection: sa.Connection, folder: Path
    ) -> None:
        """Write all rows of a read table into a file, and name it as the table is called."""
        columns = [column for column in table.table.columns if column.name != "tenant"]
        ids = [column.name for column in columns if isinstance(column.type, sa.Uuid)]
        schema = pa.schema([(column.name, _type_of(column)) for column in columns])
        shown = [
            f"CAST({column.name} AS TEXT)" if column.name in ids else column.name
            for column in columns
        ]
        select = sa.text(f"SELECT {', '.join(shown)} FROM {table.name} WHERE tenant = :tenant")
        rows = connection.execution_options(yield_per=BATCH).execute(select, {"tenant": tenant})
        batches = (
            pa.record_batch(list(map(list, zip(*batch, strict=True))), schema=schema)
            for batch in rows.partitions(BATCH)
        )
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        replaced = ", ".join(f"{name}::UUID AS {name}" for name in ids)
        self._write(table.label, f"SELECT * REPLACE ({replaced}) FROM reader", folder, reader)
        self._connection.execute(MACROS[isinstance(table, IntervalTable)].format(table.label))

    def _export_stages(self, flow: SalesFlow, folder: Path) -> None:
        """Write the stages of all process versions that the log tells of into a file."""
        with flow.log.database.read() as connection:
            keys = PublishedProcesses(flow.log).process_keys(connection)
        facts = [event.fact for key in keys for event in flow.log.stream(process_id(key))]
        processes = [fact.process for fact in facts if isinstance(fact, ProcessPublished)]
        stages = [
            (each.key, each.version, stage.key, each.order(stage.key), stage.max_days)
            for each in processes
            for stage in each.stages
        ]
        names = ["process", "version", "stage", "place", "max_days"]
        table = pa.table(list(map(list, zip(*stages, strict=True))), names=names)
        self._write("stages", "SELECT * FROM reader", folder, table)

    def _write(self, name: str, select: str, folder: Path, reader: object) -> None:
        file = folder / f"{name}.parquet"
        self._connection.register("reader", reader)
        self._connection.execute(f"COPY ({select}) TO '{file}'")
        self._connection.unregister("reader")
        self._connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{file}'")


def _type_of(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, sa.Uuid | sa.String):
        return pa.string()
    return pa.int64()


def _parameters(view: Any, timezone: ZoneInfo) -> dict[str, object]:  # noqa: ANN401 - any view
    """Return what statements may ask with: the moment and the period of an answer."""
    now = to_instant(view.moment.as_of)
    found: dict[str, object] = {"as_of": now, "known_at": to_instant(view.moment.known_at)}
    period = getattr(view, "period", None)
    if period is not None:
        start, end = to_instant(period.start), to_instant(period.end)
        closing = min(end - 1, now)
        first, last = (from_instant(at).astimezone(timezone).date() for at in (start, end - 1))
        past = from_instant(closing + 1).astimezone(timezone).date() - ONE_DAY
        found |= {"start": start, "end": end, "closing": closing, "past": past.isoformat()}
        found |= {"first": first.isoformat(), "last": last.isoformat()}
        found["trailing"] = start_of_last_days(TRAILING_DAYS, now, timezone)
    found["ends"] = [to_instant(end.as_of) for end in getattr(view, "ends", ())]
    if isinstance(view, KpisView):
        found["starts"] = [start_of_day(line.first, timezone) for line in view.lines]
        found["ends"] = [start_of_day(line.last + ONE_DAY, timezone) for line in view.lines]
    return found


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by their names first: figures may differ by a hair."""
    return sorted(rows, key=lambda row: [(each is not None, str(each)) for each in row])


def _are_equal(ours: Row | None, theirs: Row | None) -> bool:
    if ours is None or theirs is None or len(ours) != len(theirs):
        return False
    return all(map(_is_same, ours, theirs))


def _is_same(our: object, their: object) -> bool:
    if isinstance(their, float) and our is not None:
        return math.isclose(float(str(our)), their, rel_tol=0, abs_tol=10**-PLACES)
    return our == their


# What of each answer the statements give too: the rows of one select after the other.


def _units(amount: Decimal, places: int = 6) -> int:
    """Write an amount in its smallest parts, as the tables hold it."""
    return int(amount.scaleb(places))


def _funnel(view: Any, *of: object) -> Parts:  # noqa: ANN401
    stages = [stage for stage in view.stages if stage.deals]
    yield [(*of, s.process, s.stage, s.deals, s.deals_without_amount) for s in stages]
    yield [
        (*of, s.process, s.stage, a.currency, _units(a.amount), _units(likely.amount, 12))
        for s in stages
        for a, likely in zip(s.amounts, s.weighted, strict=True)
    ]
    yield [(*of, each.outcome, each.deals) for each in view.closed if each.deals]
    yield [
        (*of, each.outcome, total.currency, _units(total.amount))
        for each in view.closed
        for total in each.amounts
    ]


def _funnel_trend(view: Any) -> Parts:  # noqa: ANN401
    ends = [_funnel(end, to_instant(end.as_of)) for end in view.ends]
    yield from map(chain.from_iterable, zip(*ends, strict=True))


def _stage_times(view: Any) -> Parts:  # noqa: ANN401
    yield [
        (
            *(s.process, s.stage, s.deals, s.visits, s.open_visits),
            *(s.latest.days_median, s.latest.days_mean, s.latest.days_p90),
            *(s.cumulative.days_median, s.cumulative.days_mean, s.cumulative.days_p90),
        )
        for s in view.stages
        if s.visits
    ]
    yield [
        (s.process, s.stage, s.count, s.moved, s.won, s.lost, s.disqualified, s.censored)
        for s in view.leaving
    ]
    yield [(s.process, s.stage, s.stalled) for s in view.stages if s.stalled]


def _conversion(view: Any) -> Parts:  # noqa: ANN401
    entered = [stage for stage in view.stages if stage.entered]
    yield [(s.process, s.stage, s.entered, s.moved_on, s.left, s.still_there) for s in entered]
    yield [
        (
            *(s.process, s.stage, each.currency),
            *map(_units, (each.entered, each.moved_on, each.left)),
        )
        for s in entered
        for each in s.values
        if each.entered
    ]
    yield [(s.process, s.stage, s.entries) for s in view.stages if s.entries]
    yield [
        (each.process, each.stage, each.kind, each.target, each.exits)
        for each in view.transitions
    ]


def _kpis(view: Any) -> Parts:  # noqa: ANN401
    timezone = ZoneInfo(view.timezone)
    lines = [(start_of_day(line.first, timezone), line) for line in view.lines]
    yield [
        (start, total.currency, _units(total.amount, 12))
        for start, line in lines
        for total in line.sales
        if total.amount
    ]
    yield [(start, line.repeat_orders) for start, line in lines if line.repeat_orders]
    yield [
        (start, line.created, line.created_won, line.created_open)
        for start, line in lines
        if line.created
    ]
    yield [
        (
            *(start, line.won, line.lost, line.disqualified),
            *(line.cycle.days_median, line.cycle.days_mean, line.cycle.days_p90),
        )
        for start, line in lines
        if line.won or line.lost or line.disqualified
    ]
    yield [
        (start, each.channel, each.contacts)
        for start, line in lines
        for each in line.follow_ups.by_channel
    ]
    yield [(start, line.follow_ups.deals) for start, line in lines if line.follow_ups.deals]
    yield [
        (start, waited.days_median, waited.days_mean, waited.days_p90)
        for start, line in lines
        if (waited := line.first_response).days_mean is not None
    ]
    yield [
        (start, round(line.csat.value * line.csat.count), line.csat.count)
        for start, line in lines
        if line.csat is not None
    ]


def _win_loss(view: Any) -> Parts:  # noqa: ANN401
    outcomes = {"won": view.won, "lost": view.lost}
    yield [(outcome, deals) for outcome, deals in outcomes.items() if deals]
    yield [
        (d.factor, d.detail, d.won_with, d.lost_with, d.won_without, d.lost_without)
        for d in view.drivers
    ]
    yield [(r.currency, r.because, r.deals, _units(r.amount)) for r in view.losses]
    yield [(to.competitor, to.deals) for to in view.lost_to]


def _forecast(view: Any) -> Parts:  # noqa: ANN401
    yield [
        (line.currency, line.deals, _units(line.amount), _units(line.weighted, 12))
        for line in view.lines
        if line.deals
    ]
    yield [
        (
            *(line.currency, line.forecast_category, line.deals),
            *(_units(line.amount), _units(line.weighted, 12)),
        )
        for line in view.categories
    ]
    yield [(line.currency, _units(line.won, 12)) for line in view.lines if line.won]
    yield [
        (line.currency, line.win_rate_by_value)
        for line in view.lines
        if line.win_rate_by_value is not None
    ]
    yield [
        (
            *(line.currency, line.expected, _units(line.expected_amount), line.won),
            *(line.left_otherwise, line.pending, line.moved, line.overdue),
            _units(line.slipped_amount),
        )
        for line in view.slippage
    ]


def _flow(view: Any) -> Parts:  # noqa: ANN401
    def row(of: Any) -> Row:  # noqa: ANN401
        return of.deals, _units(of.amount), _units(of.weighted, 12)

    def sums(which: str) -> Iterator[Row]:
        for account in view.accounts:
            figures = row(getattr(account, which))
            if any(figures):
                yield account.currency, *figures

    yield sums("opening")
    yield [
        (account.currency, each.kind, len(each.events), *row(each))
        for account in view.accounts
        for each in account.movements
    ]
    yield sums("closing")


def _leaderboard(view: Any) -> Parts:  # noqa: ANN401
    yield [
        (each.rank, each.key, each.currency, _units(each.figure, 12))
        for each in view.standings
        if each.figure > 0
    ]


def _bottlenecks(view: Any) -> Parts:  # noqa: ANN401
    met = [(each.process, each.stage, each.figures) for each in view.stages]
    yield [
        (process, stage, its.entered, its.left, its.conversion and its.conversion.value)
        for process, stage, its in met
        if its.entered
    ]
    yield [
        (process, stage, its.visits, its.days_median and its.days_median.value)
        for process, stage, its in met
        if its.visits
    ]
    yield [(each.process, each.stage, each.deals) for each in view.stages if each.deals]
    yield [
        (each.process, each.stage, each.deals_overdue)
        for each in view.stages
        if each.deals_overdue
    ]
    yield [
        (each.process, each.stage, total.currency, _units(total.amount))
        for each in view.stages
        for total in each.amounts
        if total.amount
    ]


COMPARED: Final[Mapping[str, Callable[[Any], Parts]]] = {
    "funnel": _funnel,
    "funnel-trend": _funnel_trend,
    "stage-times": _stage_times,
    "conversion": _conversion,
    "kpis by month": _kpis,
    "win-loss": _win_loss,
    "forecast": _forecast,
    "flow": _flow,
    "leaderboard": _leaderboard,
    "bottlenecks": _bottlenecks,
}
"""By what it is called here, the rows of an answer that the statements give too."""
