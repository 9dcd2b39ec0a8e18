"""Names merges that cannot be, stored before they were refused: circles, into nothing."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.eventlog import EventLog
from salesflow.domain.customer import CustomerMerged
from salesflow.domain.deal.merging import DealMerged
from salesflow.domain.facts import Event
from salesflow.domain.impossible_merges import standing_faults

__all__ = ["MergesCheck"]


class MergesCheck:
    """Takes in the events of a log, and says which of its merges cannot be."""

    def __init__(self, log: EventLog, connection: sa.Connection) -> None:
        self._log: Final = log
        self._connection: Final = connection
        self._merged: dict[UUID, None] = {}

    def take(self, event: Event) -> None:
        """Note who was ever merged into another one."""
        if isinstance(event.fact, DealMerged | CustomerMerged):
            self._merged[event.stream_id] = None

    def impossible(self) -> Iterator[str]:
        """Say of each merge that cannot be why."""
        read, connection = self._log.stream_as_it_is, self._connection
        yield from standing_faults(self._merged, lambda id: read(id, connection))
