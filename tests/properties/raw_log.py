"""Reads the log and the read tables the plain way: every row, by SQL, decoded by hand."""

import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from oracle.beliefs import Raw
from salesflow.engine import SalesFlow

__all__ = ["prefix", "raw_log", "rows_of"]


def raw_log(flow: SalesFlow) -> list[Raw]:
    """Give every event of the tenant as a dict of plain values, in the order of the log."""
    select = sa.text(
        "SELECT topic, stream_id, version, position, occurred, recorded, event_id, precision,"
        " payload, actor, source FROM salesflow_events WHERE tenant = :tenant ORDER BY position"
    )
    with flow.log.database.read() as connection:
        found = connection.execute(select, {"tenant": flow.log.tenant}).all()
    return [
        {
            "kind": row.topic.partition(":")[0],
            "stream": _uuid(row.stream_id),
            "version": row.version,
            "position": row.position,
            "occurred": row.occurred,
            "recorded": row.recorded,
            "event_id": _uuid(row.event_id),
            "precision": row.precision,
            "payload": json.loads(bytes(row.payload)),
            "actor": row.actor,
            "source": row.source,
        }
        for row in found
    ]


def prefix(events: list[Raw], position: int) -> list[Raw]:
    """Give what the log held when it stood at a position."""
    return [event for event in events if event["position"] <= position]


def rows_of(flow: SalesFlow, table: str) -> list[dict[str, Any]]:
    """Give every row of a read table of this tenant, known axis and all."""
    with flow.log.database.read() as connection:
        found = connection.execute(
            sa.text(f"SELECT * FROM {table} WHERE tenant = :tenant"),
            {"tenant": flow.log.tenant},
        ).mappings()
        return [{name: _plain(value) for name, value in row.items()} for row in found]


def _uuid(value: UUID | bytes) -> str:
    return str(value if isinstance(value, UUID) else UUID(bytes=bytes(value)))


def _plain(value: object) -> object:
    """Write ids the same way whatever a database keeps them as."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
