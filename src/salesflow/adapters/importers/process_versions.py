"""Publishes the process versions that an import brings along, once."""

from collections.abc import Iterable, Mapping

from salesflow.adapters.event_store.external_events import (
    ExternalEvent,
    new_events_of,
    retry_on_conflict,
)
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.errors import MappingError
from salesflow.domain.process import ProcessPublished, ProcessVersion, process_id

__all__ = ["ensure_same", "publish_process", "published_versions"]


def publish_process(log: EventLog, version: ProcessVersion, *, import_id: str) -> bool:
    """Publish a process version unless it is; say whether it had to be."""
    id = process_id(version.key)

    def publish() -> bool:
        stream = log.stream(id)
        published = _versions(event.fact for event in stream)
        ensure_same(version, published)
        if version.version in published:
            return False
        extracted = ExternalEvent(id, ProcessPublished(process=version))
        last_versions = {event.stream_id: event.version for event in stream}
        log.append(new_events_of([extracted], last_versions, import_id))
        return True

    return retry_on_conflict(publish)


def published_versions(log: EventLog, key: str) -> dict[int, ProcessVersion]:
    """Return the versions of a process that a log holds, by their number."""
    return _versions(event.fact for event in log.stream(process_id(key)))


def _versions(facts: Iterable[object]) -> dict[int, ProcessVersion]:
    versions: dict[int, ProcessVersion] = {}
    for fact in facts:
        if isinstance(fact, ProcessPublished):
            versions.setdefault(fact.process.version, fact.process)
    return versions


def ensure_same(version: ProcessVersion, published: Mapping[int, ProcessVersion]) -> None:
    """Raise MappingError unless a version is published as it is, or may follow what is."""
    known = published.get(version.version)
    if known is None:
        if published and version.version < max(published):
            raise MappingError(
                f"process {version.key!r} is published up to version {max(published)};"
                f" version {version.version} cannot follow it",
                ("process", "version"),
            )
        return
    ours, theirs = version.model_dump(mode="json"), known.model_dump(mode="json")
    differs = [part for part in ours if ours[part] != theirs[part]]
    if differs:
        raise MappingError(
            f"process {version.key!r} version {version.version} is published already with"
            f" other {' and '.join(differs)}; a published version never changes: write"
            f" version = {max(published) + 1}, or the process as it was published",
            ("process",),
        )
