"""What goes out: a message about something that was recorded, as a CloudEvent.

A message is made once, in the transaction in which it is put into the outbox, and its bytes are
sent as they are at every attempt. Its id is the same each time: by it a receiver knows what it
has had already.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

__all__ = ["CONTENT_TYPE", "Json", "OutgoingMessage"]


Json = Mapping[str, Any]

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
SPEC_VERSION: Final = "1.0"
SEQUENCE_DIGITS: Final = 20
KEY: Final = "partitionkey"
"""How CloudEvents call what is kept in order; and how they call the place in that order."""
SEQUENCE: Final = "sequence"
RECORDED: Final = "recordedat"


@dataclass(frozen=True, kw_only=True)
class OutgoingMessage:
    """Something to tell other systems, once for each endpoint."""

    id: str
    """The same at every attempt."""
    type: str
    """What happened, such as `com.salesflow.deal.won`."""
    source: str
    """Whose log it is of, as a URI."""
    subject: str
    """What it is about: the id of a deal or another thing, the name of a report."""
    time: datetime
    """When it happened in the world."""
    recorded_at: datetime
    """When the log learned of it."""
    ordering_key: str
    """Messages with the same key arrive in the order in which they were put in."""
    sequence: int
    """Grows from message to message of a key: of a fact its position in the log."""
    data: Json
    """What is told, as JSON."""
    attributes: Json = field(default_factory=dict)
    """More attributes of the CloudEvent (`tenant`, `streamversion` …): names of small letters
    and digits alone, texts or whole numbers of 32 bits."""
    number: int = 0
    """Its place in the outbox of its endpoint, which gives it; greater than all before it."""

    def to_cloud_event(self) -> dict[str, Any]:
        """Return it as a CloudEvent 1.0 in structured JSON."""
        return {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": _written(self.time),
            "datacontenttype": "application/json",
            RECORDED: _written(self.recorded_at),
            KEY: self.ordering_key,
            SEQUENCE: f"{self.sequence:0{SEQUENCE_DIGITS}}",
            **self.attributes,
            "data": dict(self.data),
        }

    def to_bytes(self) -> bytes:
        """Return the bytes that are stored and sent."""
        told = self.to_cloud_event()
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes, *, number: int = 0) -> Self:
        """Read a message from what `to_bytes` wrote."""
        told = json.loads(body)
        for name in ("specversion", "datacontenttype"):
            del told[name]
        return cls(
            id=told.pop("id"),
            type=told.pop("type"),
            source=told.pop("source"),
            subject=told.pop("subject"),
            time=datetime.fromisoformat(told.pop("time")),
            recorded_at=datetime.fromisoformat(told.pop(RECORDED)),
            ordering_key=told.pop(KEY),
            sequence=int(told.pop(SEQUENCE)),
            data=told.pop("data"),
            attributes=told,
            number=number,
        )


def _written(at: datetime) -> str:
    """Write a time as RFC 3339 asks for it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
