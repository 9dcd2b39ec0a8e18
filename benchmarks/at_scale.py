"""How fast is a funnel of any past moment among millions of movements, beside a window query?

    python -m benchmarks.at_scale [--rows N] [--rounds N] [URL ...]

N stage rows (five movements to a deal, over three years, one in five known up to two weeks
late) are written straight into the table of the pipeline's ledger, by the database itself, and
the balances are built from them by the engine's own code. The same rows stand in a narrow
table of events with an index by deal and time, over which a window function finds where each
deal stood: what one writes without an engine. Both answers are compared before they are timed.

Every engine figure is a whole `flow.ask`, catching up and reading of settings included.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg
import sqlalchemy as sa

from benchmarks.__main__ import new_deal, postgres
from salesflow import STANDARD, SalesFlow
from salesflow.adapters.projector.balances import Balancer
from salesflow.domain.time import to_instant
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.pipeline.funnel_trend import FunnelTrend

BEGINS = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 1_096
DAY = 86_400_000_000
STEPS = 5
STAGES = {step: stage.key for step, stage in enumerate(STANDARD.open_stages)}
WINDOW = """
SELECT stage, outcome, count(*), sum(amount) FROM (
    SELECT stage, outcome, amount,
           row_number() OVER (PARTITION BY deal ORDER BY occurred DESC, step DESC) AS latest
    FROM bench_events WHERE occurred <= :as_of AND recorded <= :known_at
) AS ranked WHERE latest = 1 GROUP BY stage, outcome
"""


def main() -> None:
    """Measure the databases named, or one of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="stage rows")
    parser.add_argument("--rounds", type=int, default=20, help="take the median of so many")
    parser.add_argument("urls", nargs="*")
    said = parser.parse_args()
    if said.urls:
        for url in said.urls:
            measure(url, said.rows, said.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/scale.db", said.rows, said.rounds)
        with postgres(Path(folder) / "postgres") as url:
            measure(url, said.rows, said.rounds)


def measure(url: str, rows: int, rounds: int) -> None:
    """Fill one database, compare the two sides, and print every figure."""
    print(f"{sa.make_url(url).get_backend_name()}, {rows:,} stage rows")
    with SalesFlow(url, timezone="Asia/Shanghai") as flow:
        with flow.session(actor="bench") as s:
            s.add(new_deal())
        flow.catch_up()
        lasts("filling the tables", lambda: fill(flow, rows // STEPS))
        lasts("building the balances", lambda: balance(flow))
        settle(url)
        chance = random.Random(1)
        pasts = [BEGINS + timedelta(days=chance.uniform(30, DAYS)) for _ in range(rounds)]
        agree(flow, pasts[0])
        now = midway(rounds, lambda n: flow.ask(Funnel(), as_of=pasts[n]))
        pairs = midway(
            rounds,
            lambda n: flow.ask(
                Funnel(), as_of=pasts[n], known_at=pasts[n] + timedelta(days=(n % 5) * 20)
            ),
        )
        query = midway(3, lambda n: window(flow, pasts[n]))
        print(f"  funnel as of a past instant        {now * 1000:>12,.1f} ms")
        print(f"  the same by a window function      {query * 1000:>12,.1f} ms")
        print(f"  ratio                              {query / now:>12,.0f}")
        print(f"  funnel at (as_of, known_at)        {pairs * 1000:>12,.1f} ms")
        months = FunnelTrend(from_=date(2023, 1, 1), to=date(2026, 1, 1))
        ends = midway(3, lambda _: flow.ask(months))
        print(f"  36 month-ends in one question      {ends * 1000:>12,.1f} ms")


def fill(flow: SalesFlow, deals: int) -> None:
    """Let the database make the events and post them to the ledger."""
    with flow.log.database.begin() as connection:
        sqlite = connection.dialect.name == "sqlite"
        connection.execute(sa.text(_events(deals, sqlite=sqlite)))
        connection.execute(sa.text("CREATE INDEX bench_by ON bench_events (deal, occurred)"))
        connection.execute(sa.text(_movements(sqlite=sqlite)), {"tenant": flow.log.tenant})
    with flow.log.database.begin() as connection:
        connection.execute(sa.text("ANALYZE"))


def balance(flow: SalesFlow) -> None:
    """Sum the ledger up, as the runner does after every batch."""
    with flow.log.database.begin() as connection:
        balancer = Balancer(PIPELINE, PIPELINE.name, flow.log)
        while balancer.keep(connection):
            pass


def settle(url: str) -> None:
    """Let PostgreSQL tidy up at once, as it does by itself some minutes after a load."""
    address = sa.make_url(url)
    if address.get_backend_name() == "postgresql":
        plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")


def _events(deals: int, *, sqlite: bool) -> str:
    """Give a table of five events to a deal, made by arithmetic alone."""
    numbers = (
        f"SELECT 1 AS d UNION ALL SELECT d + 1 FROM n WHERE d < {deals}"
        if sqlite
        else f"SELECT generate_series(1, {deals})::bigint"
    )
    chance = "((d * 48271 + step * 7919 + d / 1000 * 31) % 1000003)"
    begins = f"{to_instant(BEGINS)} + d * {DAYS * DAY // deals}"
    return f"""
CREATE TABLE bench_events AS
WITH RECURSIVE n(d) AS ({numbers}),
     s(step) AS (VALUES (0), (1), (2), (3), (4)),
     told AS (SELECT d, step, {chance} AS chance,
                     CASE WHEN step < 4 OR d % 5 = 4 THEN 'open'
                          WHEN d % 5 < 2 THEN 'won' ELSE 'lost' END AS outcome,
                     {begins} + step * 15 * {DAY} + {chance} * 864000 AS occurred
              FROM n CROSS JOIN s)
SELECT d AS deal, step, occurred, outcome, (1000 + d % 99000) * 1000000 AS amount,
       occurred + CASE WHEN chance % 5 = 0 THEN chance * 1209600 ELSE 0 END AS recorded,
       CASE WHEN outcome = 'won' THEN 'after_sales' ELSE {_case("step", STAGES)} END AS stage
FROM told"""


def _movements(*, sqlite: bool) -> str:
    """Post each event as a movement between two cells, in the order of occurrence."""
    entity = "printf('%032x', deal)" if sqlite else "lpad(to_hex(deal), 32, '0')::uuid"
    names = ", ".join(column.name for column in PIPELINE.table.columns)
    left = _leg("before", "'open'")
    before = ", ".join(f"CASE WHEN step > 0 THEN {each} END" for each in left)
    return f"""
INSERT INTO {PIPELINE.name} ({names})
SELECT :tenant, occurred, deal * 5 + step, 0, recorded, 1, {entity}, {entity},
       CASE WHEN step = 0 THEN 'created' WHEN outcome = 'open' THEN 'advanced'
            ELSE outcome END,
       {before}, {", ".join(_leg("stage", "outcome"))}
FROM (SELECT *, {_case("step - 1", STAGES)} AS before,
             {_case("deal % 10", {0: "USD", 1: "EUR", 2: "JPY"})} AS foreign_currency
      FROM bench_events) AS told
ORDER BY occurred"""


def _leg(stage: str, outcome: str) -> list[str]:
    """Give what a leg holds: the columns of `LEG`, of a deal of this stage and outcome."""
    shares = {stage.key: int(stage.probability * 1_000_000) for stage in STANDARD.stages}
    return [
        *(f"'{STANDARD.key}'", "1", stage, outcome, "'rep-' || (deal % 100)"),
        *("coalesce(foreign_currency, 'CNY')", "amount", "'2025-06-30'", "'pipeline'"),
        _case(stage, shares),
    ]


def _case(column: str, values: Mapping[int, str] | Mapping[str, int]) -> str:
    """Say in SQL which value stands for which; null for all others."""
    whens = " ".join(f"WHEN {key!r} THEN {value!r}" for key, value in values.items())
    return f"CASE {column} {whens} END"


def window(flow: SalesFlow, as_of: datetime) -> list[tuple[object, ...]]:
    """Ask the same of the table of events."""
    said = {"as_of": to_instant(as_of), "known_at": flow.log.head().recorded}
    with flow.log.database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.text(WINDOW), said)]


def agree(flow: SalesFlow, as_of: datetime) -> None:
    """Compare both sides before they are timed."""
    view = flow.ask(Funnel(), as_of=as_of)
    ours = {stage.stage: stage.deals for stage in view.stages if stage.deals}
    theirs = {str(row[0]): row[2] for row in window(flow, as_of) if row[1] == "open"}
    if ours != theirs:
        raise SystemExit(f"the answers differ: {ours} and {theirs}")


def midway(rounds: int, work: Callable[[int], object]) -> float:
    """Give the median of the seconds each of some rounds took."""
    took = []
    for number in range(rounds):
        start = perf_counter()
        work(number)
        took.append(perf_counter() - start)
    return median(took)


def lasts(what: str, work: Callable[[], object]) -> None:
    """Do the work and print how long it took."""
    start = perf_counter()
    work()
    print(f"  {what:<34}{perf_counter() - start:>13,.1f} s")


if __name__ == "__main__":
    main()
