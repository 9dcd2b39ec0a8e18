"""Where reactors stand: one row each, which says what they have acted on and who acts now.

A worker claims a position before it acts and settles it afterwards, each by one conditional
update: of two workers one is told that the other was first. A claim ends with a time, so that
a worker that was killed holds nobody up for longer. No rebuild ever touches these rows.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.domain.time import Instant

__all__ = ["REACTORS", "ReactorPositions"]


_METADATA = sa.MetaData()
REACTORS = sa.Table(
    "salesflow_reactors",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(32)),
    sa.Column("held_until", sa.BigInteger),
)
C = REACTORS.c
NOBODY: dict[str, object] = {"holder": None, "held_until": None}


class ReactorPositions:
    """The positions of one tenant's reactors."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database

    def begin(self, starts: Mapping[str, int]) -> None:
        """Note reactors that never stood anywhere; those that did stay where they are."""
        with self._database.whole(), self._database.read() as connection:
            made = sa.inspect(connection).has_table(REACTORS.name)
            if made and starts.keys() <= self._all(connection).keys():
                return
        if not made:
            self._database.create_tables(_METADATA)
        with self._database.whole(), self._database.begin() as connection:
            for name, position in starts.items():
                connection.execute(
                    sa.text(
                        f"INSERT INTO {REACTORS.name} (tenant, name, position)"
                        " VALUES (:tenant, :name, :position) ON CONFLICT DO NOTHING"
                    ),
                    {"tenant": self._log.tenant, "name": name, "position": position},
                )

    def all(self) -> dict[str, int]:
        """Return where every reactor that was ever registered stands."""
        with self._database.whole(), self._database.read() as connection:
            if not sa.inspect(connection).has_table(REACTORS.name):
                return {}
            return self._all(connection)

    def claim(self, name: str, position: int, holder: str, until: Instant) -> bool:
        """Take the right to act on what comes after a position; False when it is not free."""
        free = sa.or_(C.holder.is_(None), C.held_until <= self._log.now())
        with self._database.whole(), self._database.begin() as connection:
            return self._moved(
                connection,
                sa.and_(self._at(name, position), free),
                {"holder": holder, "held_until": until},
            )

    def settle(self, name: str, position: int, holder: str, after: int) -> bool:
        """Move on and give the right back; False when it was lost meanwhile."""
        mine = sa.and_(self._at(name, position), C.holder == holder)
        with self._database.whole(), self._database.begin() as connection:
            return self._moved(connection, mine, {"position": after, **NOBODY})

    def move(self, connection: sa.Connection, name: str, position: int, after: int) -> bool:
        """Move on within the caller's transaction; False when somebody else was first."""
        free = sa.or_(C.holder.is_(None), C.held_until <= self._log.now())
        here = sa.and_(self._at(name, position), free)
        return self._moved(connection, here, {"position": after, **NOBODY})

    def forget(self, connection: sa.Connection, name: str) -> None:
        """Delete where a reactor stands, within the caller's transaction."""
        if sa.inspect(connection).has_table(REACTORS.name):
            of = sa.and_(C.tenant == self._log.tenant, C.name == name)
            connection.execute(sa.delete(REACTORS).where(of))

    def _all(self, connection: sa.Connection) -> dict[str, int]:
        mine = sa.select(C.name, C.position).where(C.tenant == self._log.tenant)
        return {row.name: row.position for row in connection.execute(mine)}

    def _at(self, name: str, position: int) -> sa.ColumnElement[bool]:
        return sa.and_(C.tenant == self._log.tenant, C.name == name, C.position == position)

    def _moved(
        self, connection: sa.Connection, here: sa.ColumnElement[bool], values: dict[str, object]
    ) -> bool:
        done = connection.execute(sa.update(REACTORS).where(here).values(values))
        return done.rowcount == 1
