"""A small catalogue for tests of the store, and drafts of its facts."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID, uuid4

from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.event import Fact
from salesflow.domain.ids import new_id
from salesflow.domain.time import Instant

__all__ = ["NOTES", "Clock", "Noted", "draft", "drafts", "instant", "planted"]


class Noted(Fact):
    """Something was noted."""

    kind: ClassVar[str] = "test.noted"
    text: str = ""


NOTES = FactCatalogue([Noted])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: datetime) -> Instant:
    return (at - EPOCH) // timedelta(microseconds=1)


class Clock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)

    @property
    def instant(self) -> Instant:
        return instant(self.now)


def draft(
    stream_id: UUID | None = None, version: int = 1, text: str = "", **more: object
) -> NewEvent:
    told = NewEvent(
        stream_id=stream_id or uuid4(),
        version=version,
        topic=Noted.stored_as,
        payload=Noted(text=text).to_json(),
        event_id=new_id(),
        occurred=None,
    )
    return told._replace(**more)  # type: ignore[arg-type]


def drafts(count: int, stream_id: UUID | None = None, first: int = 1) -> list[NewEvent]:
    stream_id = stream_id or uuid4()
    return [draft(stream_id, first + number, str(number)) for number in range(count)]


def planted(log: EventLog, event: NewEvent) -> None:
    """Put an event into the log past its checks, as another program or a fault might have."""
    EventLog(log.database, tenant=log.tenant, catalogue=UNCHECKED).append([event])
