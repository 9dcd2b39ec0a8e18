"""Facts from elsewhere: what another system says happened, recorded as it is.

An importer knows facts, not commands. No gate or rule of a process is applied to them and
nothing is pretended: their checks say `not_checked`, their envelope names the source. What
has no ground is kept and shown as irregular; what could never be read back, and half a merge,
is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.collector import collector_off
from salesflow.adapters.eventlog import Draft, EventLog, Receipt
from salesflow.adapters.ids import new_event_id
from salesflow.domain.deal.merging import missing_half, other_deal
from salesflow.domain.facts import Fact, FactRetracted, Precision
from salesflow.domain.moments import FOREVER, Instant
from salesflow.domain.processes import ProcessVersion
from salesflow.engine.checks import PAIRED, refuse_unpublished, refuse_wrong_retraction
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


Told = Sequence[ForeignFact]


def record_foreign(
    log: EventLog,
    processes: Mapping[tuple[str, int], ProcessVersion],
    facts: Iterable[ForeignFact],
    *,
    correlation_id: str | None = None,
) -> list[Receipt]:
    """Append facts in batches, one append per entity; facts of one entity in order of time.

    Deals that are merged, or whose merge is retracted, share one append.

    Raises:
        InputError: when a fact names a process version that was not published before, for
            half a merge, and for a retraction of what cannot be retracted.
    """
    appends = _appends(log, facts)
    _check(log, processes, appends)
    receipts: list[Receipt] = []
    for batch in _batches(appends):
        with collector_off():
            receipts += _append(log, batch, correlation_id)
    return receipts


def _appends(log: EventLog, facts: Iterable[ForeignFact]) -> list[Told]:
    """Put the facts of one entity into one append; and those of all deals it is paired with."""
    by_entity: dict[UUID, list[ForeignFact]] = {}
    paired: list[ForeignFact] = []
    for told in facts:
        by_entity.setdefault(told.stream_id, []).append(told)
        if type(told.fact) in PAIRED:
            paired.append(told)
    together = {entity: [entity] for entity in by_entity}
    for told in paired:
        other = other_deal(told.stream_id, told.fact, log.stream)
        ours, theirs = together[told.stream_id], together.get(other) if other else None
        if theirs is not None and theirs is not ours:
            ours += theirs
            together.update(dict.fromkeys(theirs, ours))
    groups = {id(group): group for group in together.values()}
    return [
        [told for entity in group for told in sorted(by_entity[entity], key=_time)]
        for group in groups.values()
    ]


def _check(
    log: EventLog,
    processes: Mapping[tuple[str, int], ProcessVersion],
    appends: Sequence[Told],
) -> None:
    """Refuse what could never be read back, and what is only half told."""
    refuse_unpublished(
        (told.fact for append in appends for told in append), processes.__contains__
    )
    for append in appends:
        paired = [told for told in append if type(told.fact) in PAIRED]
        for told in paired:
            if isinstance(told.fact, FactRetracted):
                stream = log.stream(told.stream_id)
                refuse_wrong_retraction(told.fact, told.stream_id, stream)
        missing = missing_half([(told.stream_id, told.fact) for told in paired], log.stream)
        if missing is not None:
            raise InputError(f"{missing}: tell what happened to both deals together")


def _batches(appends: Iterable[Told]) -> Iterator[list[Told]]:
    batch: list[Told] = []
    waiting = 0
    for append in appends:
        batch.append(append)
        waiting += len(append)
        if waiting >= BATCH_EVENTS:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _append(log: EventLog, batch: Sequence[Told], correlation_id: str | None) -> list[Receipt]:
    """Append a batch; when somebody else wrote to one of its streams, number it anew."""
    streams = {told.stream_id for append in batch for told in append}
    for attempt in range(1, ATTEMPTS_MAX + 1):
        versions = log.versions(streams)
        appends = [
            [_draft(told, versions, correlation_id) for told in append] for append in batch
        ]
        try:
            return log.append_many(appends)
        except ConcurrentChangeError:
            if attempt == ATTEMPTS_MAX:
                raise
    return []


def _draft(told: ForeignFact, versions: dict[UUID, int], correlation_id: str | None) -> Draft:
    """Draft a fact as the next of its stream, and count it."""
    version = versions[told.stream_id] = versions.get(told.stream_id, 0) + 1
    return Draft(
        stream_id=told.stream_id,
        version=version,
        topic=told.fact.stored_as,
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
