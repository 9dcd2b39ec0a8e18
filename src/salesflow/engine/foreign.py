"""Facts from elsewhere: what another system says happened, recorded as it is.

An importer knows facts, not commands. No gate or rule of a process is applied to them and
nothing is pretended: their checks say `not_checked`, their envelope names the source. What
has no ground is kept and shown as irregular; what could never be read back is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.eventlog import Draft, EventLog, Receipt
from salesflow.adapters.ids import new_event_id
from salesflow.domain.facts import Fact, FactCatalogue, Precision
from salesflow.domain.moments import FOREVER, Instant
from salesflow.domain.processes import ProcessVersion
from salesflow.errors import ConcurrentChangeError, InputError

__all__ = ["ForeignFact", "record_foreign"]

BATCH_EVENTS = 5_000
ATTEMPTS_MAX = 10


class ForeignFact(NamedTuple):
    """A fact of an entity as another system tells it.

    `occurred` is microseconds since 1970 UTC, or None for the time of recording. `source` and
    `source_id` name the system and its id of the object and history row (or column).
    """

    stream_id: UUID
    fact: Fact
    occurred: Instant | None = None
    precision: Precision = "microsecond"
    source: str | None = None
    source_id: str | None = None
    actor: str | None = None


def record_foreign(
    log: EventLog,
    processes: Mapping[tuple[str, int], ProcessVersion],
    facts: Iterable[ForeignFact],
    *,
    correlation_id: str | None = None,
) -> list[Receipt]:
    """Append facts in batches, one append per entity; facts of one entity in order of time.

    Raises:
        InputError: when a fact names a process version that was not published before.
    """
    receipts: list[Receipt] = []
    by_entity: dict[UUID, list[ForeignFact]] = {}
    for told in facts:
        _refuse_unpublished(told.fact, processes)
        by_entity.setdefault(told.stream_id, []).append(told)
    batch: dict[UUID, list[ForeignFact]] = {}
    waiting = 0
    for entity, told_of_it in by_entity.items():
        batch[entity] = sorted(told_of_it, key=_time)
        waiting += len(told_of_it)
        if waiting >= BATCH_EVENTS:
            receipts += _append(log, batch, correlation_id)
            batch, waiting = {}, 0
    if batch:
        receipts += _append(log, batch, correlation_id)
    return receipts


def _append(
    log: EventLog, batch: Mapping[UUID, Sequence[ForeignFact]], correlation_id: str | None
) -> list[Receipt]:
    """Append a batch; when somebody else wrote to one of its streams, number it anew."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        versions = log.versions(list(batch))
        appends = [
            [
                _draft(told, version, correlation_id)
                for version, told in enumerate(told_of_it, versions.get(entity, 0) + 1)
            ]
            for entity, told_of_it in batch.items()
        ]
        try:
            return log.append_many(appends)
        except ConcurrentChangeError:
            if attempt == ATTEMPTS_MAX:
                raise
    return []


def _draft(told: ForeignFact, version: int, correlation_id: str | None) -> Draft:
    return Draft(
        stream_id=told.stream_id,
        version=version,
        topic=FactCatalogue.topic(type(told.fact)),
        payload=told.fact.to_json(),
        event_id=new_event_id(),
        occurred=told.occurred,
        precision=told.precision,
        actor=told.actor,
        correlation_id=correlation_id,
        source=told.source,
        source_id=told.source_id,
    )


def _time(told: ForeignFact) -> Instant:
    return FOREVER if told.occurred is None else told.occurred


def _refuse_unpublished(
    fact: Fact, processes: Mapping[tuple[str, int], ProcessVersion]
) -> None:
    key = getattr(fact, "process", None)
    version = getattr(fact, "process_version", None)
    if isinstance(key, str) and isinstance(version, int) and (key, version) not in processes:
        raise InputError(
            f"process {key!r} version {version} has not been published; publish it first"
        )
