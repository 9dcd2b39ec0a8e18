"""Facts from elsewhere: what another system says happened, recorded as it is.

An importer knows facts, not commands. No exit criterion or rule of a process is applied to
them and nothing is pretended; their envelope names the source. What is irregular is kept and
shown as irregular; what could never be read back, and half a merge, is refused.

It is a module of its own: it records without sessions and without rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from uuid import UUID

from salesflow.adapters.database.connections import gc_paused
from salesflow.adapters.event_store.external_events import (
    ExternalEvent,
    new_events_of,
    retry_on_conflict,
)
from salesflow.adapters.event_store.log import EventLog, Receipt
from salesflow.domain.deal.merging import missing_half, other_deal
from salesflow.domain.event import FactRetracted
from salesflow.domain.process import ProcessVersion
from salesflow.domain.time import instant_from
from salesflow.domain.values import shown
from salesflow.engine.session import PAIRED_FACTS, ensure_published, ensure_valid_retraction
from salesflow.errors import InputError

__all__ = ["ExternalEvent", "record_external"]


BATCH_EVENTS = 5_000

ExternalEvents = Sequence[ExternalEvent]


def record_external(
    log: EventLog,
    processes: Mapping[tuple[str, int], ProcessVersion],
    facts: Iterable[ExternalEvent],
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
        with gc_paused():
            receipts += retry_on_conflict(partial(_append, log, batch, correlation_id))
    return receipts


def _appends(log: EventLog, facts: Iterable[ExternalEvent]) -> list[ExternalEvents]:
    """Put the facts of one entity into one append; and those of all deals it is paired with."""
    by_entity: dict[UUID, list[ExternalEvent]] = {}
    paired: list[ExternalEvent] = []
    for external in facts:
        if not isinstance(external, ExternalEvent):
            raise InputError(f"{shown(external)} is told; tell ExternalEvent(id, fact)")
        if not isinstance(external.stream_id, UUID):
            raise InputError(f"{shown(external.stream_id)} is not an id; pass a UUID")
        by_entity.setdefault(external.stream_id, []).append(external)
        if type(external.fact) in PAIRED_FACTS:
            paired.append(external)
    together = {entity: [entity] for entity in by_entity}
    for external in paired:
        other = other_deal(external.stream_id, external.fact, log.stream)
        ours, theirs = together[external.stream_id], together.get(other) if other else None
        if theirs is not None and theirs is not ours:
            ours += theirs
            together.update(dict.fromkeys(theirs, ours))
    groups = {id(group): group for group in together.values()}
    return [
        [
            external
            for entity in group
            for external in sorted(by_entity[entity], key=instant_from)
        ]
        for group in groups.values()
    ]


def _check(
    log: EventLog,
    processes: Mapping[tuple[str, int], ProcessVersion],
    appends: Sequence[ExternalEvents],
) -> None:
    """Refuse what could never be read back, and what is only half told."""
    ensure_published(
        (external.fact for append in appends for external in append), processes.__contains__
    )
    for append in appends:
        paired = [external for external in append if type(external.fact) in PAIRED_FACTS]
        for external in paired:
            if isinstance(external.fact, FactRetracted):
                if external.occurred is not None:
                    raise InputError(
                        "a retraction takes no time, it holds from when it is recorded on:"
                        f" leave `occurred_at` out for the one of {external.fact.event_id}"
                    )
                stream = log.stream(external.stream_id)
                ensure_valid_retraction(external.fact, external.stream_id, stream)
        missing = missing_half(
            [(external.stream_id, external.fact) for external in paired], log.stream
        )
        if missing is not None:
            raise InputError(f"{missing}: tell what happened to both deals together")


def _batches(appends: Iterable[ExternalEvents]) -> Iterator[list[ExternalEvents]]:
    batch: list[ExternalEvents] = []
    waiting = 0
    for append in appends:
        batch.append(append)
        waiting += len(append)
        if waiting >= BATCH_EVENTS:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _append(
    log: EventLog, batch: Sequence[ExternalEvents], correlation_id: str | None
) -> list[Receipt]:
    """Append a batch, numbered after what stands now."""
    versions = log.versions({external.stream_id for append in batch for external in append})
    return log.append_many(
        [new_events_of(external, versions, correlation_id, log.catalogue) for external in batch]
    )
