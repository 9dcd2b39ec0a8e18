"""Where messages wait: a row for each that is not delivered yet, in the database of the log."""

from collections.abc import Sequence

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.outbox.messages import OutgoingMessage

__all__ = ["OutboxStore"]


class OutboxStore:
    """The messages of one tenant that wait, or are dead, by endpoint."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def put(
        self, connection: sa.Connection, endpoint: str, messages: Sequence[OutgoingMessage]
    ) -> None:
        """Let messages wait for an endpoint, within the caller's transaction.

        Once is for the caller to see to: what says that they were put in belongs into the same
        transaction.
        """
        raise NotImplementedError(connection, endpoint, messages)
