"""The tables of the event store, the triggers that keep them append-only, and damage.

All instants are whole microseconds UTC, so that one more is exact on every database; the view
`salesflow_event_view` shows the same log to people, with timestamps, hex ids and text. The
tenant comes first in every key. Read tables of projections live beside these but are
described elsewhere.

Triggers refuse UPDATE, DELETE and (PostgreSQL) TRUNCATE of what was recorded, and on SQLite
also INSERT OR REPLACE, which slips past update and delete triggers. They stop mistakes;
somebody who owns the database is stopped by proofs, not by triggers.
"""

import re
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.domain.ids import uuid_of_bytes
from salesflow.errors import DamagedError

__all__ = [
    "EVENT_VIEW",
    "POSTGRES_DDL",
    "POSTGRES_EVENT_VIEW",
    "PROCESSES_INDEX",
    "PUBLISHES_PROCESS",
    "SCHEMA_VERSION",
    "SQLITE_DDL",
    "STORE",
    "STORE_TABLES",
    "TABLES_THERE",
    "TABLE_PREFIX",
    "WAY_OUT",
    "altered",
    "clock",
    "commands",
    "damaged",
    "events",
    "head",
    "lacking",
    "missing_tables",
    "postgres_refuses",
    "postgres_time",
    "read_uuid",
    "schema_row",
    "snapshots",
    "sqlite_time",
    "sqlite_uuid",
    "stored_uuid",
    "tracking",
]


EVENT_VIEW = "salesflow_event_view"
TABLE_PREFIX = "salesflow_"

STORE = sa.MetaData()

_Instant = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Small = sa.Integer()
_Id = sa.Uuid().with_variant(sa.LargeBinary(16), "sqlite")
_Text = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_Bytes = sa.LargeBinary()


def _column(
    name: str,
    kind: sa.types.TypeEngine[Any],
    *,
    key: bool = False,
    null: bool = False,
) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=key, nullable=null, autoincrement=False)


def _tenant() -> sa.Column[Any]:
    return _column("tenant", _Text, key=True)


schema_row = sa.Table(
    "salesflow_schema",
    STORE,
    _column("id", _Small, key=True),
    _column("version", _Small),
    sa.CheckConstraint("id = 1", name="salesflow_schema_one_row"),
    sqlite_strict=True,
)
"""One row: the version of these tables. A database without it is not ours."""

head = sa.Table(
    "salesflow_head",
    STORE,
    _tenant(),
    _column("position", _Instant),
    _column("recorded", _Instant),
    _column("clock_accepted", _Small),
    info={"only": "postgresql"},
)
"""One row per tenant: where the log stands. Whoever appends holds its lock until commit.

`clock_accepted` is 1 from `salesflow clock accept` until the clock has caught up. On SQLite,
where one writer holds the whole file, the last event says where the log stands, a view of
this name shows it, and an append writes a page less.
"""

clock = sa.Table(
    "salesflow_clock",
    STORE,
    _tenant(),
    _column("accepted", _Small),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    info={"only": "sqlite"},
)
"""What `clock_accepted` is on PostgreSQL; written only when it changes."""

PUBLISHES_PROCESS: Final = sa.text("topic IN ('process.published:1')")
"""Which events do; a database searches their index only for just these words."""
PROCESSES_INDEX: Final = (
    "CREATE INDEX salesflow_events_processes ON salesflow_events (tenant, topic, stream_id)"
    f" WHERE {PUBLISHES_PROCESS}"
)
"""As text: for an index of a table SQLAlchemy would load its dialect of PostgreSQL as well."""

events = sa.Table(
    "salesflow_events",
    STORE,
    _tenant(),
    _column("position", _Instant, key=True),
    _column("stream_id", _Id),
    _column("version", _Small),
    _column("event_id", _Id),
    _column("topic", _Text),
    _column("payload", _Bytes),
    _column("occurred", _Instant),
    _column("recorded", _Instant),
    _column("precision", _Text),
    _column("actor", _Text, null=True),
    _column("command_id", _Text, null=True),
    _column("correlation_id", _Text, null=True),
    _column("causation_id", _Text, null=True),
    _column("source", _Text, null=True),
    _column("source_id", _Text, null=True),
    _column("checksum", _Instant),
    sa.UniqueConstraint("tenant", "stream_id", "version", name="salesflow_events_stream"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The log. Positions are gapless per tenant and in commit order.

`checksum` is over all other columns; see `event_store/rows.py`. The few events that publish
a process have an index of their own: nothing else says which processes there are.
"""

commands = sa.Table(
    "salesflow_commands",
    STORE,
    _tenant(),
    _column("command_id", _Text, key=True),
    _column("first", _Instant),
    _column("last", _Instant),
    _column("recorded", _Instant),
    _column("fingerprint", _Text, null=True),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Which command recorded which positions; what idempotence rests on.

`fingerprint` is the SHA-256 of the request, where the caller gave it to be told from others.
"""

tracking = sa.Table(
    "salesflow_tracking",
    STORE,
    _tenant(),
    _column("application_name", _Text, key=True),
    _column("notification_id", _Instant),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How far an application of the `eventsourcing` library has followed another one."""

snapshots = sa.Table(
    "salesflow_snapshots",
    STORE,
    _tenant(),
    _column("purpose", _Text, key=True),
    _column("stream_id", _Id, key=True),
    _column("version", _Small, key=True),
    _column("topic", _Text),
    _column("state", _Bytes),
    sqlite_strict=True,
)
"""Snapshots of aggregates of the `eventsourcing` library, and how far imports have come."""

_COLUMNS_OF_VIEW = """
    tenant, position, {stream_id} AS stream_id, version, {event_id} AS event_id,
    {kind} AS kind, topic, {payload} AS payload, {occurred} AS occurred_at,
    {recorded} AS recorded_at, precision, actor, command_id, correlation_id, causation_id,
    source, source_id"""


def sqlite_uuid(column: str, *, hexed: bool = False) -> str:
    """Write an id as people do, of its bytes or of their 32 digits."""
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    text = column if hexed else f"lower(hex({column}))"
    return " || '-' || ".join(f"substr({text}, {start}, {size})" for start, size in parts)


def sqlite_time(column: str) -> str:
    """Write an instant as text in UTC, to the microsecond; it sorts as the instants do."""
    return (
        f"strftime('%Y-%m-%d %H:%M:%S', ({column} - (({column} % 1000000) + 1000000) % 1000000)"
        f" / 1000000, 'unixepoch')"
        f" || printf('.%06d+00:00', (({column} % 1000000) + 1000000) % 1000000)"
    )


def _sqlite_refuses(name: str, moment: str, message: str, when: str = "") -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {moment} {when}"
        f" BEGIN SELECT RAISE(ABORT, 'salesflow: {message}'); END"
    )


SQLITE_DDL: tuple[str, ...] = (
    PROCESSES_INDEX,
    "CREATE VIEW salesflow_head AS SELECT tenant, max(position) AS position, recorded,"
    " coalesce((SELECT accepted FROM salesflow_clock AS c WHERE c.tenant = e.tenant), 0)"
    " AS clock_accepted FROM salesflow_events AS e GROUP BY tenant",
    _sqlite_refuses(
        "salesflow_events_insert",
        "INSERT ON salesflow_events",
        "this is not the next position, or the stream has this version already",
        "WHEN NEW.position <> 1 + coalesce((SELECT max(position) FROM salesflow_events"
        " WHERE tenant = NEW.tenant), 0)"
        " OR EXISTS (SELECT 1 FROM salesflow_events WHERE tenant = NEW.tenant"
        " AND stream_id = NEW.stream_id AND version = NEW.version)",
    ),
    _sqlite_refuses(
        "salesflow_commands_insert",
        "INSERT ON salesflow_commands",
        "this command is recorded already",
        "WHEN EXISTS (SELECT 1 FROM salesflow_commands WHERE tenant = NEW.tenant"
        " AND command_id = NEW.command_id)",
    ),
    *(
        _sqlite_refuses(
            f"salesflow_{table}_{change.lower()}",
            f"{change} ON salesflow_{table}",
            f"what was recorded in {table} stays as it is",
        )
        for table, change in (
            ("events", "UPDATE"),
            ("events", "DELETE"),
            ("commands", "UPDATE"),
            ("commands", "DELETE"),
        )
    ),
    "CREATE VIEW salesflow_event_view AS SELECT"
    + _COLUMNS_OF_VIEW.format(
        stream_id=sqlite_uuid("stream_id"),
        event_id=sqlite_uuid("event_id"),
        kind="substr(topic, 1, instr(topic || ':', ':') - 1)",
        payload="CASE WHEN json_valid(CAST(payload AS TEXT)) THEN CAST(payload AS TEXT)"
        " ELSE hex(payload) END",
        occurred=sqlite_time("occurred"),
        recorded=sqlite_time("recorded"),
    )
    + " FROM salesflow_events",
)


def postgres_time(column: str) -> str:
    """Write an instant as a timestamp with time zone.

    The seconds apart, since an interval is multiplied as a float of 53 bits.
    """
    return (
        f"(timestamptz 'epoch' + ({column} / 1000000) * interval '1 second'"
        f" + mod({column}, 1000000) * interval '1 microsecond')"
    )


def postgres_refuses(table: str) -> tuple[str, ...]:
    """Return what makes a table refuse changes of what was recorded in it."""
    return (
        f"CREATE TRIGGER salesflow_{table}_rows BEFORE UPDATE OR DELETE ON salesflow_{table}"
        f" FOR EACH ROW EXECUTE FUNCTION salesflow_refuse()",
        f"CREATE TRIGGER salesflow_{table}_whole BEFORE TRUNCATE ON salesflow_{table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION salesflow_refuse()",
        f"ALTER TABLE salesflow_{table} ENABLE ALWAYS TRIGGER salesflow_{table}_rows",
        f"ALTER TABLE salesflow_{table} ENABLE ALWAYS TRIGGER salesflow_{table}_whole",
    )


POSTGRES_EVENT_VIEW: Final = (
    "CREATE VIEW salesflow_event_view AS SELECT"
    + _COLUMNS_OF_VIEW.format(
        stream_id="stream_id",
        event_id="event_id",
        kind="split_part(topic, ':', 1)",
        payload="salesflow_text(payload)",
        occurred=postgres_time("occurred"),
        recorded=postgres_time("recorded"),
    )
    + " FROM salesflow_events"
)
POSTGRES_DDL: tuple[str, ...] = (
    PROCESSES_INDEX,
    "ALTER TABLE salesflow_head SET (fillfactor = 10)",
    """CREATE FUNCTION salesflow_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = 'salesflow: ' || TG_OP
            || ' of ' || TG_TABLE_NAME || ' is refused, what was recorded stays as it is';
    END $$""",
    """CREATE FUNCTION salesflow_forward() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'salesflow: the head of the log only moves forward'
            USING ERRCODE = 'restrict_violation';
    END $$""",
    """CREATE FUNCTION salesflow_text(content bytea) RETURNS text LANGUAGE plpgsql
    IMMUTABLE STRICT AS $$
    BEGIN
        RETURN convert_from(content, 'UTF8');
    EXCEPTION WHEN others THEN
        RETURN encode(content, 'escape');
    END $$""",
    *postgres_refuses("events"),
    *postgres_refuses("commands"),
    "CREATE TRIGGER salesflow_head_update BEFORE UPDATE ON salesflow_head FOR EACH ROW"
    " WHEN (NEW.position < OLD.position OR NEW.recorded < OLD.recorded"
    " OR NEW.tenant <> OLD.tenant) EXECUTE FUNCTION salesflow_forward()",
    "CREATE TRIGGER salesflow_head_delete BEFORE DELETE ON salesflow_head FOR EACH ROW"
    " EXECUTE FUNCTION salesflow_refuse()",
    "CREATE TRIGGER salesflow_head_whole BEFORE TRUNCATE ON salesflow_head"
    " FOR EACH STATEMENT EXECUTE FUNCTION salesflow_refuse()",
    POSTGRES_EVENT_VIEW,
)


# A database that is no longer whole: which part is missing, and the way out.
#
# A table that was dropped by a migration or by hand, a file that was cut off or written over:
# each is named as what it is by whatever command meets it, and never made anew in silence,
# since what stood in it is gone.

WAY_OUT: Final = (
    "end what has it open and put the database back from a backup, with the tools of your"
    ' database or as docs/operating.md says ("Back up and restore")'
)
STORE_TABLES: Final = {
    here: frozenset(t.name for t in STORE.sorted_tables if t.info.get("only", here) == here)
    for here in ("sqlite", "postgresql")
}
"""The tables that every database of ours has."""

TABLES_THERE: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p')"
    " AND relname >= 'salesflow_' AND relname < 'salesflow`' AND pg_table_is_visible(oid)",
}
"""Selects the names of tables of a database that may be ours.

SQLAlchemy's inspector would keep what it compiles for every engine that ever was.
"""
NAME: Final = re.compile(r"\bsalesflow_\w+\b(?!\.\.\.)")


def missing_tables(connection: sa.Connection) -> list[str]:
    """Name the tables of the store that a database of ours has lost."""
    here = connection.dialect.name
    return _lost(here, connection.scalars(sa.text(TABLES_THERE[here])))


def _lost(dialect: str, existing: Iterable[str]) -> list[str]:
    return sorted(STORE_TABLES[dialect].difference(existing))


def lacking(where: str, dialect: str, existing: Iterable[str]) -> DamagedError:
    """Return the error of a database that has lost tables of the store, which it names."""
    listed = ", ".join(_lost(dialect, existing))
    return DamagedError(
        f"{where} lacks what every database of salesflow has: {listed}. It was dropped, by a"
        f" migration for instance; {WAY_OUT}"
    )


def altered(where: str, text: object, statement: str = "") -> DamagedError:
    """Return the error of a statement that met a table or column not as it was made."""
    found = NAME.search(f"{text} {statement}")
    name = f"{found[0]} of {where}" if found else f"a table of {where}"
    return DamagedError(
        f"{name} was dropped or changed, by a migration for instance ({text}); {WAY_OUT}"
    )


def damaged(where: str, text: object) -> DamagedError:
    """Return the error that says that what is stored cannot be read any more."""
    return DamagedError(
        f"{where} is damaged: a part of it was cut off or written over, or its disk fails"
        f" ({text}); {WAY_OUT}"
    )


# Ids, as each database keeps them.


def stored_uuid(id: UUID, dialect: str) -> UUID | bytes:
    """Return a UUID as a database keeps it: SQLite in 16 bytes, PostgreSQL as it is."""
    return id.bytes if dialect == "sqlite" else id


def read_uuid(stored: UUID | bytes) -> UUID:
    """Read a UUID back from how a database keeps it."""
    return uuid_of_bytes(stored) if isinstance(stored, bytes) else stored
