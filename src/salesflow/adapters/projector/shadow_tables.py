"""Tables beside the live ones: begun, put in the place of the live ones, and removed.

A table beside has a name that nobody else has and that says when it was begun. It takes the
place of the live one in one transaction, with the position up to which its rows stand.

On SQLite, where nobody else can write meanwhile, the two tables change names, however many
rows they hold. PostgreSQL looks a name up as it is now even for a snapshot taken before, which
would not see the new rows; there, and where tenants share the tables, the rows of the tenant
are replaced by copies.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex
from time import time

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.logs import REBUILD
from salesflow.adapters.projector.left_out import forget_left_out, rename_left_out
from salesflow.adapters.projector.read_tables import PROJECTIONS, positions_of, start_position
from salesflow.errors import ProjectionError, SalesflowError
from salesflow.projections.table import ReadTable

__all__ = ["ShadowTables"]


STALE_SECONDS = 86_400
"""After so long, what lies beside a live table is of a rebuild that was killed."""


class ShadowTables:
    """What lies beside the live tables of one tenant."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database
        self._tenant = log.tenant

    def begin(self, table: ReadTable) -> str:
        """Begin an empty table beside a live one, and give its name."""
        beside = f"{table.name}__{int(time()):08x}{token_hex(2)}"
        with self._database.begin() as connection:
            for stale in self._stale(connection, table.name):
                self._drop(connection, table, stale)
            table.shape_all(beside).create_all(connection, checkfirst=False)
            start_position(connection, self._tenant, beside, table.revision)
        return beside

    def swap(self, table: ReadTable, beside: str) -> bool:
        """Put the new rows in the place of the old; False when the old have gone further.

        A table never goes back, but to a log that has gone back itself. What lies beside
        afterwards is of no use any more.

        Raises:
            ProjectionError: when the table beside is gone, since this took longer than a day.
        """
        name, tenant = table.name, self._tenant
        with self._database.begin() as connection:
            self._hold(connection, name)
            self._hold(connection, beside)
            found = positions_of(connection, tenant, [name, beside])
            before, after = found.get(name), found.get(beside)
            if after is None:
                raise ProjectionError(
                    f"another rebuild took {beside} for left behind and removed it; {name}"
                    " stands as it was. Rebuild it again"
                )
            if before is not None and after.position < before.position:
                there = self._log.recorded_at(before.position, connection)
                if there == before.recorded:
                    return False
            self._replace(connection, table, beside)
            rename_left_out(connection, tenant, beside, name)
            c = PROJECTIONS.c
            moved = sa.update(PROJECTIONS).where(c.tenant == tenant, c.name == name)
            connection.execute(moved.values(**after._asdict()))
        REBUILD.info("read table %s took its new rows at position %d", name, after.position)
        return True

    def remove(self, table: ReadTable, beside: str) -> None:
        """Remove what lies beside, now or, where that fails, a day later."""
        with suppress(SalesflowError), self._database.begin() as connection:
            self._drop(connection, table, beside)

    def _stale(self, connection: sa.Connection, name: str) -> list[str]:
        """Find what rebuilds have left beside a live table that were killed in the middle."""
        c = PROJECTIONS.c
        beside = sa.select(c.name).where(
            c.tenant == self._tenant, c.name.startswith(f"{name}__", autoescape=True)
        )
        begun = len(name) + 2
        long_ago = int(time()) - STALE_SECONDS
        found = connection.execute(beside).scalars()
        return [each for each in found if int(each[begun : begun + 8], 16) < long_ago]

    def _hold(self, connection: sa.Connection, name: str) -> None:
        """Keep everybody else from moving or swapping a projection until we commit.

        Always the live one before the one beside it, and the position before its table, as
        batches do: nobody waits in a circle.
        """
        c = PROJECTIONS.c
        mine = sa.and_(c.tenant == self._tenant, c.name == name)
        connection.execute(sa.select(c.position).where(mine).with_for_update())

    def _replace(self, connection: sa.Connection, table: ReadTable, beside: str) -> None:
        live, new = table.shape_all(table.name), table.shape_all(beside)
        pairs = list(zip(live.tables.values(), new.tables.values(), strict=True))
        if connection.dialect.name == "sqlite" and self._has_alone(connection, live):
            _change_names(connection, pairs)
            return
        for old, fresh in pairs:
            columns = [column.name for column in fresh.columns]
            connection.execute(sa.delete(old).where(old.c.tenant == self._tenant))
            connection.execute(sa.insert(old).from_select(columns, sa.select(fresh)))

    def _has_alone(self, connection: sa.Connection, live: sa.MetaData) -> bool:
        """Say whether no other tenant has rows in these tables."""
        ends = (
            sa.select(end(each.c.tenant)).scalar_subquery()  # each a search in its index
            for each in live.tables.values()
            for end in (sa.func.min, sa.func.max)
        )
        found = connection.execute(sa.select(*ends)).one()
        return {*found} <= {None, self._tenant}

    def _drop(self, connection: sa.Connection, table: ReadTable, beside: str) -> None:
        c = PROJECTIONS.c
        connection.execute(
            sa.delete(PROJECTIONS).where(c.tenant == self._tenant, c.name == beside)
        )
        forget_left_out(connection, beside)
        table.shape_all(beside).drop_all(connection)


def _change_names(
    connection: sa.Connection, pairs: Sequence[tuple[sa.Table, sa.Table]]
) -> None:
    """Let tables of SQLite change names; those of their indexes stay."""
    with _views_left_alone(connection):
        for live, beside in pairs:
            between = f"{beside}_between"
            for old, new in ((live, between), (beside, live), (between, beside)):
                connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


@contextmanager
def _views_left_alone(connection: sa.Connection) -> Iterator[None]:
    """Keep SQLite from letting views follow the table that is renamed."""
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
