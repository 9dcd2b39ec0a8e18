"""How much a log holds, and which entities an id's first digits may mean.

For people at a terminal: `salesflow status` counts, `salesflow deal show 4f2a` finds. Nothing
here is needed to record or to ask.
"""

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.ids import read_uuid, stored_uuid
from salesflow.adapters.schema import events
from salesflow.domain.facts import Fact

__all__ = ["Census", "beginning_with", "census"]

HEX_DIGITS = 32


class Census(NamedTuple):
    """What a tenant's log holds, and how large the whole database is."""

    events: int
    streams: int
    database_bytes: int


def census(log: EventLog) -> Census:
    """Count a tenant's events and streams, and weigh the database."""
    mine = events.c.tenant == log.tenant
    with log.database.whole(), log.database.read() as connection:
        counted = sa.select(sa.func.count(), sa.func.count(events.c.stream_id.distinct()))
        count, streams = connection.execute(counted.where(mine)).one()
        if log.database.dialect == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        else:
            size = connection.scalar(
                sa.select(sa.func.pg_database_size(sa.func.current_database()))
            )
    return Census(int(count), int(streams), int(size))


def beginning_with(
    log: EventLog, digits: str, *, opened_by: type[Fact], limit: int
) -> list[UUID]:
    """Give the streams whose id begins with these hex digits and that hold a kind of fact."""
    c = events.c
    low = int(digits.ljust(HEX_DIGITS, "0"), 16)
    high = int(digits.ljust(HEX_DIGITS, "f"), 16)
    first, last = (stored_uuid(UUID(int=n), log.database.dialect) for n in (low, high))
    select = (
        sa.select(c.stream_id)
        .where(c.tenant == log.tenant, c.stream_id >= first, c.stream_id <= last)
        .where(c.topic.startswith(f"{opened_by.kind}:"))
        .distinct()
        .order_by(c.stream_id)
        .limit(limit)
    )
    with log.database.whole(), log.database.read() as connection:
        found = connection.scalars(select).all()
    return [read_uuid(id) for id in found]
