"""A few rows and many are written in different ways, and what is stored is the same.

SQLite takes a few rows as rows and more of them as columns, some by each statement. PostgreSQL
takes one row or arrays, and many in a transaction of several steps. Each way is compared with
what was drafted, and so with the others.
"""

from collections.abc import Callable, Sequence
from random import Random
from uuid import UUID, uuid4

import pytest

from databases import plain_connection
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store import append as sqlite_appending
from salesflow.adapters.event_store import postgres_append as postgres_appending
from salesflow.adapters.event_store.append import Append, Columns
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.event_store.postgres_append import Parameters, PostgresAppending
from salesflow.domain.time import Instant
from store.facts import NOTES, Clock, draft

SIZES = (1, 2, 12, 13, 39, 40, 41, 80, 131)
TEXTS = (None, None, "u-1", "张伟", "a'b\"c\\d", "\N{PILE OF POO} x", "NULL", "{1,2}", "\\N")
STORED = (
    "SELECT position, stream_id, version, event_id, topic, payload, occurred, recorded,"
    " precision, actor, command_id, correlation_id, causation_id, source, source_id"
    " FROM salesflow_events ORDER BY position"
)

Row = tuple[object, ...]
Patch = pytest.MonkeyPatch


def some_drafts(random: Random, count: int, now: Instant) -> list[NewEvent]:
    """Draft events of a few streams, each with any texts, and with any time or none."""
    versions = {uuid4(): 0 for _ in range(random.randint(1, count))}
    texts = random.choice((TEXTS[:1], TEXTS[2:3], TEXTS))
    times = (None, now, now - 1, now + 1_000_000, -(10**15), -1, 0)
    told = []
    for _ in range(count):
        stream = random.choice([*versions])
        versions[stream] += 1
        more = {name: random.choice(texts) for name in NewEvent._fields[7:]}
        more["precision"] = random.choice(("microsecond", "day"))
        text, occurred = random.choice(TEXTS) or "", random.choice(times)
        told.append(draft(stream, versions[stream], text, occurred=occurred, **more))
    return told


def check(database: Database, url: str, seed: int) -> None:
    """Append drafts in appends of every size, by themselves and together; read the rows."""
    random, clock = Random(seed), Clock()
    log = EventLog(database, catalogue=NOTES, clock=clock)
    expected: list[Row] = []
    for size in SIZES:
        clock.turn(seconds=1)
        command = random.choice((None, f"c-{size}"))
        together = [some_drafts(random, size, clock.instant) for _ in range(3)]
        receipts = [log.append(together[0], command_id=command), *log.append_many(together[1:])]
        for told, receipt in zip(together, receipts, strict=True):
            for position, each in enumerate(told, receipt.first):
                now = receipt.recorded
                then = now if each.occurred is None else min(each.occurred, now)
                where = (position, each.stream_id, each.version, each.event_id, each.topic)
                when = (each.payload, then, now, each.precision, each.actor, receipt.command_id)
                expected.append((*where, *when, *each[8:]))
    with plain_connection(url) as connection:
        rows = connection.execute(STORED).fetchall()
    assert [(*row[:1], _id(row[1]), row[2], _id(row[3]), *row[4:]) for row in rows] == expected


def _id(stored: object) -> object:
    return UUID(bytes=stored) if isinstance(stored, bytes) else stored


@pytest.mark.parametrize("seed", range(3))
def test_appends_of_any_size_store_what_was_drafted_column_by_column(
    database: Database, database_url: str, seed: int, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(postgres_appending, "WITHIN_LIMIT_MAX", 100)  # 131 events are many
    check(database, database_url, seed)


def few_rows_take_cause_for_correlation(patch: Patch) -> None:
    right = sqlite_appending._rows_of

    def wrong(*given: object) -> list[Row]:
        return [(*row[:12], row[13], row[12], *row[14:]) for row in right(*given)]  # type: ignore[arg-type]

    patch.setattr(sqlite_appending, "_rows_of", wrong)


def many_rows_keep_times_ahead(patch: Patch) -> None:
    def wrong(columns: Columns, recorded: Sequence[Instant]) -> list[Instant]:
        said = zip(columns.occurred, recorded, strict=True)
        return [now if then is None else then for then, now in said]

    patch.setattr(sqlite_appending, "_happened", wrong)


def arrays_lose_their_source(patch: Patch) -> None:
    right = sqlite_appending.columns_of

    def wrong(appends: Sequence[Append]) -> Columns:
        found = right(appends)
        return found._replace(sources=found.actors)

    patch.setattr(postgres_appending, "columns_of", wrong)


def what_is_alike_of_all_is_lost(patch: Patch) -> None:
    right = PostgresAppending._add_events

    def wrong(self: PostgresAppending, parameters: Parameters, columns: Columns) -> None:
        right(self, parameters, columns)
        if parameters["each_actor"] is None:
            parameters["actor"] = None

    patch.setattr(PostgresAppending, "_add_events", wrong)


@pytest.mark.parametrize(
    "mistake", [few_rows_take_cause_for_correlation, many_rows_keep_times_ahead]
)
def test_a_mistake_in_how_sqlite_is_written_to_would_be_noticed(
    mistake: Callable[[Patch], None], sqlite_url: str, monkeypatch: Patch
) -> None:
    _would_be_noticed(mistake, sqlite_url, monkeypatch)


@pytest.mark.parametrize("mistake", [arrays_lose_their_source, what_is_alike_of_all_is_lost])
def test_a_mistake_in_how_postgresql_is_written_to_would_be_noticed(
    mistake: Callable[[Patch], None], postgres_url: str, monkeypatch: Patch
) -> None:
    _would_be_noticed(mistake, postgres_url, monkeypatch)


def _would_be_noticed(
    mistake: Callable[[Patch], None], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    database = Database(url)
    try:
        with pytest.raises(AssertionError):
            check(database, url, 0)
    finally:
        database.close()
