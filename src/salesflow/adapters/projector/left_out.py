"""What read tables leave out, and since when: streams of which a fact cannot be read.

From such a fact on, its stream counts for nothing, and its rows stand as they were before it
(see `history.without_retracted`); all other streams go on. So that nobody takes such figures
for whole, one row here says of every read table which stream it leaves out, from which event
on, and from when to when that was believed on the known axis. It is written with the rows of
the table, and a rebuild writes it anew.

So it also says how far the rows of a stream go: whoever reads that stream otherwise, because
an event was damaged or mended or its kind is known to one program alone, begins its rows anew.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.interval_tables import LeftOutChange
from salesflow.adapters.projector.read_tables import POSITIONS, PROJECTIONS, ProjectionPosition
from salesflow.domain.event import UnreadableFact
from salesflow.domain.time import FOREVER, Instant
from salesflow.projections.core.left_out import LeftOut, in_brief

__all__ = [
    "LEFT_OUT",
    "forget_left_out",
    "forget_streams",
    "left_out_at",
    "note_left_out",
    "open_notes",
    "rename_left_out",
    "stands_and_notes",
]


NAMED_MAX = 20
"""So many streams are named; more are counted."""

LEFT_OUT = sa.Table(
    "salesflow_left_out",
    POSITIONS,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("known_from", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("known_to", sa.BigInteger, nullable=False),
    sa.Column("stream_id", sa.Uuid, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("stored", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

FIND = (
    "SELECT DISTINCT position, stream_id, version, event_id, stored, reason"
    f" FROM {LEFT_OUT.name} WHERE tenant = ? AND name IN ({{names}})"
    " AND known_from <= ? AND known_to > ? ORDER BY position"
)

OPEN = (
    f"SELECT name, stream_id, position FROM {LEFT_OUT.name}"
    f" WHERE tenant = ? AND name IN ({{names}}) AND known_to = {FOREVER}"
)

STAND = (
    "SELECT name, revision, position, recorded, NULL"
    f" FROM {PROJECTIONS.name} WHERE tenant = ? AND name IN ({{names}})"
    " UNION ALL SELECT name, NULL, position, NULL, stream_id"
    f" FROM {LEFT_OUT.name} WHERE tenant = ? AND name IN ({{names}}) AND known_to = {FOREVER}"
)


def note_left_out(
    connection: sa.Connection, tenant: str, name: str, changes: Iterable[LeftOutChange]
) -> None:
    """Write what changed for the table of this name."""
    c = LEFT_OUT.c
    for before, after, now in changes:
        if before is not None:
            here = (c.tenant == tenant, c.name == name, c.position == before.position)
            ended = sa.update(LEFT_OUT).where(*here, c.known_to == FOREVER)
            connection.execute(ended.values(known_to=now))
        if after is not None:
            assert isinstance(after.fact, UnreadableFact)
            text = {
                "tenant": tenant,
                "name": name,
                "position": after.position,
                "known_from": now,
                "known_to": FOREVER,
                "stream_id": after.stream_id,
                "version": after.version,
                "event_id": after.event_id,
                "stored": after.fact.stored,
                "reason": after.fact.reason,
            }
            connection.execute(sa.insert(LEFT_OUT).values(**text))


def left_out_at(
    log: EventLog,
    names: Sequence[str],
    known_at: Instant = FOREVER - 1,
    connection: sa.Connection | None = None,
) -> tuple[LeftOut, ...]:
    """Give the streams that tables left out as known at an instant (now), oldest event first.

    The last of many stands for all that follow, and counts them.
    """
    if not names:
        return ()
    select = FIND.format(names=", ".join("?" * len(names)))
    text = (log.tenant, *names, known_at, known_at)
    rows = log.database.rows(select, text, connection)
    found = [_left_out(row) for row in rows[:NAMED_MAX]]
    if len(rows) > NAMED_MAX:
        found[-1] = found[-1].model_copy(update={"more": len(rows) - NAMED_MAX})
    return tuple(found)


def open_notes(
    log: EventLog, names: Sequence[str], connection: sa.Connection
) -> dict[str, dict[UUID, int]]:
    """Give from which position on streams are left out now, by table; mostly nothing."""
    select = OPEN.format(names=", ".join("?" * len(names)))
    found: dict[str, dict[UUID, int]] = {name: {} for name in names}
    if names:
        for name, stream, at in log.database.rows(select, (log.tenant, *names), connection):
            found[name][_uuid(stream)] = at
    return found


def stands_and_notes(
    log: EventLog, names: Sequence[str]
) -> tuple[dict[str, ProjectionPosition], dict[str, dict[UUID, int]]]:
    """Give where tables stand, and what they leave out there, in one select."""
    stands: dict[str, ProjectionPosition] = {}
    notes: dict[str, dict[UUID, int]] = {name: {} for name in names}
    if names:
        select = STAND.format(names=", ".join("?" * len(names)))
        text = (log.tenant, *names) * 2
        for name, revision, position, recorded, stream in log.database.rows(select, text):
            if stream is None:
                stands[name] = ProjectionPosition(revision, position, recorded)
            else:
                notes[name][_uuid(stream)] = position
    return stands, notes


def forget_streams(
    connection: sa.Connection, tenant: str, name: str, streams: Sequence[UUID]
) -> None:
    """Drop what was noted of some streams of a table, whose rows are begun anew."""
    c = LEFT_OUT.c
    mine = (c.tenant == tenant, c.name == name, c.stream_id.in_(streams))
    connection.execute(sa.delete(LEFT_OUT).where(*mine))


def rename_left_out(connection: sa.Connection, tenant: str, beside: str, name: str) -> None:
    """Let what a table beside leaves out take the place of what the live one does."""
    c = LEFT_OUT.c
    forget_left_out(connection, name, tenant)
    mine = sa.update(LEFT_OUT).where(c.tenant == tenant, c.name == beside)
    connection.execute(mine.values(name=name))


def forget_left_out(connection: sa.Connection, name: str, tenant: str | None = None) -> None:
    """Drop what was noted of a table that is gone, of one tenant or of all."""
    c = LEFT_OUT.c
    mine = c.name == name if tenant is None else sa.and_(c.name == name, c.tenant == tenant)
    connection.execute(sa.delete(LEFT_OUT).where(mine))


def _left_out(row: Sequence[Any]) -> LeftOut:
    position, stream_id, version, event_id, stored, reason = row
    return LeftOut(
        stream_id=_uuid(stream_id),
        position=position,
        version=version,
        event_id=_uuid(event_id),
        stored=in_brief(stored),
        reason=in_brief(reason),
    )


def _uuid(found: str | UUID) -> UUID:
    """Read an id as either driver gives it: SQLite keeps it as 32 digits here."""
    return UUID(found) if isinstance(found, str) else found
