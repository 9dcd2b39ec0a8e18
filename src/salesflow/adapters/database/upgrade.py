"""Migrations: how a database of an older schema version becomes one of a newer version.

Schema version 3 is the first that is released, and the one new databases have. Version 4 is the
layout of PostgreSQL for large tenants: `salesflow_events` is partitioned by tenant, all tenants
lie in one partition at first (the old table, not a row is copied), and a large one gets a
partition of its own. No statement of salesflow changes with it, and every promise holds as
before: all keys begin with the tenant, so they are unique across partitions; the head says the
next position; triggers refuse changes of every partition, also where somebody names it.

Each migration is one transaction that keeps writers and readers out. It runs whole or not at
all.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema_version import PARTITIONED, READABLE, SCHEMA_VERSION
from salesflow.adapters.logs import DATABASE
from salesflow.errors import InputError, SchemaError

__all__ = ["REST", "Upgraded", "partition_name", "partitions", "upgrade"]


EVENTS: Final = schema.events.name
REST: Final = f"{EVENTS}_rest"
"""The partition of all tenants that have none of their own."""
KEYS: Final = ("pkey", "stream")
WORD: Final = re.compile(r"[^a-z0-9]+")
LOCK: Final = f"LOCK TABLE {schema.head.name}, {EVENTS} IN ACCESS EXCLUSIVE MODE"
VERSION: Final = sa.select(schema.schema_row.c.version)
LEANING: Final = sa.text(
    "SELECT DISTINCT v.oid::regclass::text FROM pg_depend AS d"
    " JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class"
    " WHERE d.refobjid = CAST(:events AS regclass) AND v.relname <> :view"
    " UNION SELECT conrelid::regclass::text FROM pg_constraint"
    " WHERE confrelid = CAST(:events AS regclass) ORDER BY 1"
)
"""What others have made that leans on the log: views, and tables with foreign keys."""
GRANTED: Final = sa.text(
    "SELECT g.privilege_type, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE"
    " quote_ident(pg_get_userbyid(g.grantee)) END, g.is_grantable"
    " FROM pg_class AS c, aclexplode(c.relacl) AS g"
    " WHERE c.oid = CAST(:name AS regclass) AND g.grantee <> c.relowner"
)
OWNER: Final = sa.text(
    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class"
    " WHERE oid = CAST(:name AS regclass)"
)
LISTED: Final = sa.text(
    "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i"
    " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:events AS regclass)"
    " ORDER BY 1"
)


class Upgraded(NamedTuple):
    """What an upgrade came to."""

    before: int
    after: int
    partitions: Mapping[str, str]
    """By their names, what lies in the partitions of the log; nothing where it has none."""


def upgrade(database: Database, tenants: Iterable[str] = ()) -> Upgraded:
    """Bring a database to the newest schema version, and give tenants partitions of their own.

    Raises:
        InputError: when a tenant is to have a partition and this is no PostgreSQL.
        SchemaError: when something of others leans on the log, which it names.
        BusyError: when others held the log for too long.
    """
    chosen = list(dict.fromkeys(tenants))
    if chosen and database.dialect != "postgresql":
        raise InputError("only PostgreSQL has partitions; on SQLite give a tenant its own file")
    newest = max(READABLE[database.dialect])
    with database.creating() as connection:
        before = version = connection.execute(VERSION).scalar_one()
        while version < newest:
            MIGRATIONS[version](connection)
            version += 1
            connection.execute(sa.update(schema.schema_row).values(version=version))
        for tenant in chosen:
            _give_partition(connection, tenant)
        found = partitions(connection) if version >= PARTITIONED else {}
    if version != before:
        DATABASE.info("upgraded from schema version %d to %d", before, version)
    return Upgraded(before, version, found)


def partitions(connection: sa.Connection) -> dict[str, str]:
    """Return the partitions of the log, and which tenants lie in each."""
    found = connection.execute(LISTED, {"events": EVENTS})
    return {row[0]: row[1] for row in found}


def partition_name(tenant: str) -> str:
    """Return what the partition of a tenant is called; PostgreSQL bounds names."""
    digits = sha256(tenant.encode()).hexdigest()[:8]
    return f"{EVENTS}_{WORD.sub('_', tenant.lower())[:24]}_{digits}"


def _partition_events(connection: sa.Connection) -> None:
    """Put a partitioned table in the place of the log, and the old one into it as it is."""
    _ensure_nothing_leans(connection)
    connection.execute(sa.text(LOCK))
    owner = connection.execute(OWNER, {"name": EVENTS}).scalar_one()
    granted = {name: _granted(connection, name) for name in (EVENTS, schema.EVENT_VIEW)}
    _run(
        connection,
        f"DROP VIEW {schema.EVENT_VIEW}",
        f"DROP TRIGGER {EVENTS}_rows ON {EVENTS}",
        f"ALTER TABLE {EVENTS} RENAME TO {REST}",
        *(f"ALTER INDEX {EVENTS}_{key} RENAME TO {REST}_{key}" for key in KEYS),
        f"ALTER INDEX {EVENTS}_processes RENAME TO {REST}_processes",
        f"CREATE TABLE {EVENTS} (LIKE {REST} INCLUDING STORAGE INCLUDING COMPRESSION)"
        " PARTITION BY LIST (tenant)",
        f"ALTER TABLE {EVENTS} OWNER TO {owner}",
        f"ALTER TABLE {EVENTS} ADD CONSTRAINT {EVENTS}_pkey PRIMARY KEY (tenant, position)",
        f"ALTER TABLE {EVENTS} ADD CONSTRAINT {EVENTS}_stream"
        " UNIQUE (tenant, stream_id, version)",
        schema.PROCESSES_INDEX,
        *schema.postgres_refuses("events"),
        f"ALTER TABLE {EVENTS} ATTACH PARTITION {REST} DEFAULT",
        f"ALTER TABLE {REST} ENABLE ALWAYS TRIGGER {EVENTS}_rows",
        schema.POSTGRES_EVENT_VIEW,
        f"ALTER VIEW {schema.EVENT_VIEW} OWNER TO {owner}",
        *(statement for statements in granted.values() for statement in statements),
    )


MIGRATIONS: Final[Mapping[int, Callable[[sa.Connection], None]]] = {
    SCHEMA_VERSION: _partition_events,
}
"""By the schema version they begin with."""


def _ensure_nothing_leans(connection: sa.Connection) -> None:
    named = {"events": EVENTS, "view": schema.EVENT_VIEW}
    leaning = [*connection.scalars(LEANING, named)]
    leaning += connection.scalars(LEANING, {"events": schema.EVENT_VIEW, "view": ""}).all()
    others = [name for name in leaning if name != schema.EVENT_VIEW]
    if others:
        raise SchemaError(
            f"{', '.join(others)} lean on {EVENTS}, and would go on seeing the old table: drop"
            " them, run `salesflow upgrade`, and make them again"
        )


def _granted(connection: sa.Connection, name: str) -> list[str]:
    """Return statements that grant on a table what was granted on it."""
    return [
        f"GRANT {privilege} ON {name} TO {grantee}" + " WITH GRANT OPTION" * grantable
        for privilege, grantee, grantable in connection.execute(GRANTED, {"name": name})
    ]


def _give_partition(connection: sa.Connection, tenant: str) -> None:
    """Move the rows of a tenant into a partition of their own; nothing where it has one."""
    name, text = (
        partition_name(tenant),
        sa.literal(tenant).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        ),
    )
    if name in partitions(connection):
        return
    connection.execute(sa.text(LOCK))
    _run(
        connection,
        f"ALTER TABLE {EVENTS} DETACH PARTITION {REST}",
        f"CREATE TABLE {name} PARTITION OF {EVENTS} FOR VALUES IN ({text})",
        f"INSERT INTO {name} SELECT * FROM {REST} WHERE tenant = {text}",
        f"DELETE FROM {REST} WHERE tenant = {text}",
        f"ALTER TABLE {EVENTS} ATTACH PARTITION {REST} DEFAULT",
        f"ALTER TABLE {REST} ENABLE ALWAYS TRIGGER {EVENTS}_rows",
        f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {EVENTS}_rows",
        f"CREATE TRIGGER {EVENTS}_whole BEFORE TRUNCATE ON {name}"
        " FOR EACH STATEMENT EXECUTE FUNCTION salesflow_refuse()",
        f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {EVENTS}_whole",
    )


def _run(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
