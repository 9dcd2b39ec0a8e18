"""The SQL views show at every moment the very rows that questions read."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given

from databases import plain_connection
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from salesflow.adapters.projector.sql_views import select_at
from salesflow.domain.time import FOREVER, from_instant
from salesflow.engine import SalesFlow
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import (
    Cell,
    Instants,
    IntervalTable,
    LedgerTable,
    Millionths,
    ReadPoint,
    ReadTable,
    Shares,
)

END = datetime(9999, 12, 31, tzinfo=UTC)
Seen = list[tuple[tuple[str, str], ...]]


@pytest.mark.parametrize("label", sorted(FOLDS))
def test_a_whole_number_of_a_table_says_what_it_holds(label: str) -> None:
    table = FOLDS[label].table
    own = table.keys if isinstance(table, IntervalTable) else ()
    columns = [*own, *table.attributes]
    bare = [c.name for c in columns if type(c.type) is sa.BigInteger]
    assert set(bare) <= {"position", "begun", "followed_up_position"}, (
        f"{bare}: Instants or Millionths of projections/table.py; a plain count is sa.Integer"
    )


@examples(6)
@given(
    history=acts(3, least=8, most=16, customers=2),
    asked=picks(least=4, most=8),
)
def test_a_view_at_a_moment_is_the_table_at_that_moment(
    database_url: str, history: list[Act], asked: list[Pick]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        player.flow.catch_up()
        raw = raw_log(player.flow)
        for pick in asked:
            read_point = ReadPoint(player.flow.log.tenant, *moment_of(pick, raw))
            for fold in FOLDS.values():
                found = by_view(database_url, fold.table, read_point)
                assert found == by_table(player.flow, fold.table, read_point), (
                    read_point,
                    shown(raw),
                )
                TALLY["rows of SQL views"] += len(found)


def by_view(url: str, table: ReadTable, read_point: ReadPoint) -> Seen:
    """Read a table's view with a client that knows nothing of salesflow."""
    with plain_connection(url) as connection:
        cursor = connection.execute(select_at(table, read_point))
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        row.pop("known_to", None)
        row.pop("known_from", None)
    return sorted(tuple(sorted((n, plain(n, v)) for n, v in row.items())) for row in rows)


def by_table(flow: SalesFlow, table: ReadTable, read_point: ReadPoint) -> Seen:
    """Read the rows as questions do, and write them as people do."""
    columns = [c for c in table.table.columns if not c.name.startswith(("known_", "collapsed"))]
    if isinstance(table, IntervalTable):
        columns = [c for c in columns if c.name != "valid_to"]
        ends = [table.valid_to(read_point).label("valid_to")]
        select = sa.select(*columns, *ends).where(table.visible_at(read_point))
    else:
        assert isinstance(table, LedgerTable)
        select = sa.select(*columns).where(table.posted_by(read_point))
    kinds = {c.name: c.type for c in table.table.columns}
    with flow.log.database.read() as connection:
        rows = connection.execute(select).mappings().all()
    return sorted(
        tuple(sorted(said for n, v in row.items() for said in human(n, v, kinds[n])))
        for row in rows
    )


def human(name: str, value: Cell, kind: object) -> list[tuple[str, str]]:
    if isinstance(value, int) and name in ("valid_from", "valid_to"):
        return [(name, str(END if value == FOREVER else from_instant(value)))]
    if isinstance(kind, Instants) or name in ("occurred", "recorded"):
        time = from_instant(value) if isinstance(value, int) else None
        return [(f"{name}_at", str(time))]
    if isinstance(kind, Millionths | Shares):
        exact = f"{Decimal(value) / 1_000_000:.6f}" if isinstance(value, int) else None
        return [(name, str(exact)), (f"{name}_millionths", str(value))]
    return [(name, str(value))]


def plain(name: str, value: object) -> str:
    """Write what either database gives the same way."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC))
    if isinstance(value, str) and name.endswith(("_at", "_from", "valid_to")):
        return str(datetime.fromisoformat(value))
    return str(value)
