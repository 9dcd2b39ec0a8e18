"""What the ids in messages are called, as it was believed when each event was recorded.

Names are read for a page of events at once, in a query for each sort of things. They depend on
nothing that was recorded later, so a message that is made a month late says the same. Customers
and reps are people or may be; deals have titles, which are about none. It is a module of
its own, since messages are made below it, which know no names.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.exporters.fact_attributes import named_in
from salesflow.adapters.projector.naming import (
    OF_CUSTOMERS,
    OF_DEALS,
    OF_REPS,
    NamedBy,
    StreamFacts,
)
from salesflow.domain.event import Event
from salesflow.domain.rep import rep_id
from salesflow.errors import HistoryError

__all__ = ["MessageNames"]


SORTS: Final[dict[str, NamedBy[Any, Any]]] = {
    "deal": OF_DEALS,
    "customer": OF_CUSTOMERS,
    "rep": OF_REPS,
}
PERSONAL: Final = frozenset({"customer", "rep"})


class _Id(NamedTuple):
    sort: str
    written: str
    """As it stands in the message."""
    stream: UUID


class MessageNames:
    """Reads the names of what events of one tenant name by their ids."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def of(self, events: Sequence[Event], *, personal: bool) -> list[dict[str, str]]:
        """Return the names of ids in each event, those of customers and reps where asked."""
        ids = [[*dict.fromkeys(self._ids(each, personal=personal))] for each in events]
        known = {
            sort: self._facts(
                {id.stream for some in ids for id in some if id.sort == sort}, named_by
            )
            for sort, named_by in SORTS.items()
        }
        return [
            {
                id.written: name
                for id in some
                if (name := _name(known[id.sort].get(id.stream), id.sort, event)) is not None
            }
            for some, event in zip(ids, events, strict=True)
        ]

    def _ids(self, event: Event, *, personal: bool) -> Iterator[_Id]:
        """Yield the ids in the message of an event, that of what it is about first."""
        home = self._log.catalogue.home(event.fact.stored_as)
        if home is None:
            home = "deal"  # of a retraction, which is of any: what is no deal has no title
        for sort, written in (
            (home, str(event.stream_id)),
            *((each.kind, each.key) for each in named_in(event.fact, home, event.stream_id)),
            ("rep", event.actor),
        ):
            if sort not in SORTS or not written or (sort in PERSONAL and not personal):
                continue
            if sort == "rep" and written == str(event.stream_id):
                continue
            yield _Id(sort, written, rep_id(written) if sort == "rep" else UUID(written))

    def _facts(
        self, ids: set[UUID], named_by: NamedBy[Any, Any]
    ) -> dict[UUID, StreamFacts[Any]]:
        """Return the facts that name streams; none of one that cannot be read."""
        if not ids:
            return {}
        try:
            found = self._log.facts_of(ids, named_by.kinds)
            return {id: StreamFacts.of(facts, named_by) for id, facts in found.items()}
        except HistoryError:
            if len(ids) == 1:
                return {}
        read: dict[UUID, StreamFacts[Any]] = {}
        for id in ids:
            with suppress(HistoryError):
                read |= self._facts({id}, named_by)
        return read


def _name(facts: StreamFacts[Any] | None, sort: str, event: Event) -> str | None:
    """Return what something was called when an event was recorded."""
    if facts is None:
        return None
    called = facts.called_at(event.recorded, SORTS[sort])
    if called is None or sort == "rep":
        return called
    found: str | None = called.title if sort == "deal" else called.name
    return found
