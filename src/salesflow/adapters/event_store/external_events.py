"""Facts from elsewhere on their way into the log: drafted, and tried again.

Whoever records what another system says (`SalesFlow.record`, every importer) says it in
`ExternalEvent`s. `new_events_of` numbers them as the next events of their streams, after the
versions one has seen. When somebody else was first these versions are old:
`retry_on_conflict` reads, drafts and appends anew.

What it leaves out: which facts are new, and which can never be right; that is for whoever
records them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, Self, TypeVar
from uuid import UUID

from salesflow.adapters.event_store.append import NewEvent
from salesflow.adapters.logs import tell_retry
from salesflow.domain.catalogue import CATALOGUE, FactCatalogue
from salesflow.domain.event import Fact, Precision
from salesflow.domain.ids import new_id
from salesflow.domain.time import Instant, to_instant
from salesflow.errors import ConcurrentChangeError

__all__ = ["ExternalEvent", "new_events_of", "retry_on_conflict"]


ResultT = TypeVar("ResultT")
ATTEMPTS_MAX = 10


class _ExternalFact(NamedTuple):
    stream_id: UUID
    fact: Fact
    occurred: Instant | None = None
    precision: Precision = "microsecond"
    source: str | None = None
    source_id: str | None = None
    actor: str | None = None


class ExternalEvent(_ExternalFact):
    """A fact of an entity as another system tells it.

    `occurred_at` is an aware datetime or microseconds since 1970 UTC, which is what `occurred`
    then gives; None for the time of recording. `source` and `source_id` name the system and
    its id of the object and history row (or column).

    Raises:
        InputError: for a time that is none, or lies before 1900.
    """

    __slots__ = ()

    def __new__(  # noqa: PLR0913 - what an envelope holds
        cls,
        stream_id: UUID,
        fact: Fact,
        occurred_at: datetime | Instant | None = None,
        precision: Precision = "microsecond",
        source: str | None = None,
        source_id: str | None = None,
        actor: str | None = None,
    ) -> Self:
        """Take in what is told, a time as one or as microseconds."""
        if not (occurred_at is None or type(occurred_at) is int):
            occurred_at = to_instant(occurred_at)  # type: ignore[arg-type]  # refuses what is none
        return super().__new__(
            cls, stream_id, fact, occurred_at, precision, source, source_id, actor
        )


def new_events_of(
    facts: Iterable[ExternalEvent],
    versions: dict[UUID, int],
    correlation_id: str | None,
    catalogue: FactCatalogue = CATALOGUE,
) -> list[NewEvent]:
    """Draft facts as the next of their streams, and count them in `versions`.

    Raises:
        InputError: for a fact that is not of the catalogue, or could not be read back.
    """
    encode = catalogue.encode
    drafts: list[NewEvent] = []
    for stream_id, fact, occurred, precision, source, source_id, actor in facts:
        version = versions[stream_id] = versions.get(stream_id, 0) + 1
        drafts.append(
            NewEvent(
                stream_id,
                version,
                *encode(fact),
                new_id(),
                occurred,
                precision,
                actor,
                correlation_id,
                None,
                source,
                source_id,
            )
        )
    return drafts


def retry_on_conflict(attempt: Callable[[], ResultT]) -> ResultT:
    """Make an attempt, and another one as often as somebody else was first; ten at most.

    Raises:
        ConcurrentChangeError: when all attempts met a change by somebody else.
    """
    for number in range(1, ATTEMPTS_MAX):
        try:
            return attempt()
        except ConcurrentChangeError:
            tell_retry(number, ATTEMPTS_MAX)
    return attempt()
