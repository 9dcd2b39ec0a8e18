"""Messages about facts: what an event says, as its history shows it, personal texts apart.

The type is the kind of the fact behind `com.salesflow.`. That a fact was wrong is a message
too: its type is that of the fact with `.retracted` behind it, and it names what it takes back.
Where a retraction was wrong that is `.retraction_retracted`. `stands` says whether the fact
counts from then on.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.exporters.fact_attributes import is_personal
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.domain.event import Event, FactRetracted, retracted_ids
from salesflow.presentation.deal_view import event_json
from salesflow.presentation.fields import Json

__all__ = ["TYPE_PREFIX", "FactMessages", "source_of"]


TYPE_PREFIX: Final = "com.salesflow."
RETRACTED: Final = ("retraction_retracted", "retracted")
"""What a chain of retractions comes to: of an even number of them, or of an odd one."""


NO_NAMES: Final[Mapping[str, str]] = {}


def source_of(tenant: str) -> str:
    """Return whose log a message is of, as a URI."""
    return f"urn:salesflow:{tenant}"


class FactMessages:
    """Makes messages of the events of one tenant."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def of(
        self, event: Event, *, personal: bool, names: Mapping[str, str] = NO_NAMES
    ) -> OutgoingMessage:
        """Return the message of an event, with or without texts about people.

        `names` says what the ids in it are called.
        """
        told: dict[str, Any] = dict(event_json(event))
        if not personal:
            told["fact"] = without_personal(event.fact, told["fact"])
        data = {"thing": self._log.catalogue.home(event.fact.stored_as), **told}
        kind = event.fact.kind
        if isinstance(event.fact, FactRetracted):
            kind, data["thing"], data["retracts"] = self._retracted(event, event.fact)
        if names:
            data["names"] = dict(names)
        named = {
            "correlationid": event.correlation_id,
            "causationid": event.causation_id,
        }
        return OutgoingMessage(
            id=str(event.event_id),
            type=f"{TYPE_PREFIX}{kind}",
            source=source_of(self._log.tenant),
            subject=str(event.stream_id),
            time=event.occurred_at,
            recorded_at=event.recorded_at,
            ordering_key=str(event.stream_id),
            sequence=event.position,
            data=data,
            attributes={
                "tenant": self._log.tenant,
                "position": str(event.position),
                "streamversion": event.version,
                **{name: value for name, value in named.items() if value is not None},
            },
        )

    def _retracted(
        self, event: Event, fact: FactRetracted
    ) -> tuple[str, str | None, dict[str, Any]]:
        """Return what a retraction is of: the kind of its message, the thing, what it says."""
        known = [e for e in self._log.stream(event.stream_id) if e.position <= event.position]
        by_id = {each.event_id: each for each in known}
        named = by_id[fact.event_id]
        root, steps = named, 1
        while isinstance(root.fact, FactRetracted):
            root, steps = by_id[root.fact.event_id], steps + 1
        told = {
            "event_id": str(named.event_id),
            "fact": {"event_id": str(root.event_id), "kind": root.fact.kind},
            "stands": root.event_id not in retracted_ids(known),
        }
        kind = f"{root.fact.kind}.{RETRACTED[steps % 2]}"
        return kind, self._log.catalogue.home(root.fact.stored_as), told


def without_personal(value: object, told: Json) -> Any:  # noqa: ANN401 - JSON
    """Return what is told of a value without texts about people, and free texts."""
    if isinstance(value, BaseModel) and isinstance(told, dict):
        return {
            name: without_personal(getattr(value, name), each)
            for name, each in told.items()
            if not is_personal(type(value), name)
        }
    if isinstance(value, tuple | list) and isinstance(told, list):
        return [without_personal(*each) for each in zip(value, told, strict=True)]
    return told
