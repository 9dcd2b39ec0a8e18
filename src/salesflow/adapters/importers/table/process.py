"""The sales process a mapping speaks of: defined in it, published already, or the standard one.

A process defined in a mapping is a version like any other: it is published when it is not
yet, and refused when what is published under that key and version is something else. Beside
the fields of a process version a stage and a loss reason may say under which `source` values
the table knows them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from salesflow.adapters.event_store.external_events import (
    ExternalEvent,
    new_events_of,
    retry_on_conflict,
)
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.errors import MappingError, Path
from salesflow.adapters.importers.table.mapping import NamedProcess
from salesflow.domain.process import Label, ProcessPublished, ProcessVersion, process_id
from salesflow.domain.standard_process import STANDARD

__all__ = ["ProcessPlan", "declared_process", "find_process", "publish_process"]


SOURCE = "source"


class ProcessPlan(NamedTuple):
    """A process version and how the table names its stages and loss reasons."""

    version: ProcessVersion
    defined: bool
    """Whether the mapping defines it (and it may have to be published)."""
    stages: Mapping[str, str]
    """From what the table says to the key of a stage."""
    reasons: Mapping[str, str]

    @classmethod
    def of(
        cls,
        version: ProcessVersion,
        *,
        defined: bool = False,
        stages: Mapping[str, str] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> "ProcessPlan":
        """Let a table name stages and reasons by key or name, and as the mapping says."""
        return cls(
            version,
            defined,
            {**_names(version.stages), **(stages or {})},
            {**_names(version.loss_reasons), **(reasons or {})},
        )


def declared_process(raw: Mapping[str, Any] | None) -> ProcessPlan | NamedProcess:
    """Read the `[process]` of a mapping: a definition, or the name of a published one.

    Raises:
        MappingError: when two stages claim the same value of the table.
        ValidationError: when it is no process version; its places begin behind `process`.
    """
    if raw is None:
        return ProcessPlan.of(STANDARD)
    if "stages" not in raw:
        return NamedProcess.model_validate(raw)
    bare = dict(raw)
    claims: dict[str, dict[str, str]] = {}
    for part in ("stages", "loss_reasons"):
        claims[part] = {}
        if isinstance(bare.get(part), list):
            bare[part] = [
                _without_source(entry, claims[part], ("process", part, i))
                for i, entry in enumerate(bare[part])
            ]
    version = ProcessVersion.__pydantic_validator__.validate_python(bare)
    return ProcessPlan.of(
        version, defined=True, stages=claims["stages"], reasons=claims["loss_reasons"]
    )


def find_process(declared: ProcessPlan | NamedProcess, log: EventLog) -> ProcessPlan:
    """Give the process version a mapping speaks of.

    Raises:
        MappingError: when it is named but not published, or published with other content.
    """
    if isinstance(declared, NamedProcess):
        published = _published(log, declared.key)
        found = published.get(declared.version)
        if found is None:
            raise MappingError(
                f"process {declared.key!r} version {declared.version} is not published;"
                " define its stages in [process], or name one that is",
                ("process",),
            )
        return ProcessPlan.of(found)
    if declared.defined:
        _ensure_same(declared.version, _published(log, declared.version.key))
    return declared


def publish_process(log: EventLog, version: ProcessVersion, *, import_id: str) -> bool:
    """Publish a process version unless it is; say whether it had to be."""
    id = process_id(version.key)

    def publish() -> bool:
        stream = log.stream(id)
        published = _versions(event.fact for event in stream)
        _ensure_same(version, published)
        if version.version in published:
            return False
        extracted = ExternalEvent(id, ProcessPublished(process=version))
        stands = {event.stream_id: event.version for event in stream}
        log.append(new_events_of([extracted], stands, import_id))
        return True

    return retry_on_conflict(publish)


def _published(log: EventLog, key: str) -> dict[int, ProcessVersion]:
    return _versions(event.fact for event in log.stream(process_id(key)))


def _versions(facts: Iterable[object]) -> dict[int, ProcessVersion]:
    found: dict[int, ProcessVersion] = {}
    for fact in facts:
        if isinstance(fact, ProcessPublished):
            found.setdefault(fact.process.version, fact.process)
    return found


def _ensure_same(version: ProcessVersion, published: Mapping[int, ProcessVersion]) -> None:
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


def _without_source(entry: object, claims: dict[str, str], path: Path) -> object:
    if not isinstance(entry, dict) or SOURCE not in entry:
        return entry
    bare = dict(entry)
    said = bare.pop(SOURCE)
    values = [said] if isinstance(said, str) else said
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MappingError(
            'source is a text or a list of texts: source = ["Won"]', (*path, SOURCE)
        )
    for value in values:
        if claims.setdefault(value, str(bare.get("key"))) != bare.get("key"):
            raise MappingError(
                f"{value!r} is the source of both {claims[value]!r} and {bare.get('key')!r}",
                (*path, SOURCE),
            )
    return bare


def _names(labels: Iterable[Label]) -> dict[str, str]:
    names: dict[str, str] = {}
    for label in labels:
        for name in (label.key, label.name_en, label.name_zh):
            names.setdefault(name, label.key)
    for label in labels:
        names[label.key] = label.key
    return names
