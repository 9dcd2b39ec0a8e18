"""Our event store behind the contract of the `eventsourcing` library.

For a service that already has `Application`s of the library and wants them in the same
database, with gapless positions and subscriptions on SQLite and PostgreSQL alike:

    PERSISTENCE_MODULE=salesflow.adapters.recorder
    SALESFLOW_DB=sqlite:///sales.db
    SALESFLOW_TENANT=accounts          (default: the application's name)

Every application is a tenant of its own: its topics are class paths of that service, which
the topics of salesflow's facts never are. Versions may begin at 0 or 1, ids are UUIDs.
"""

import re
from typing import Any

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.gate import OTHERS
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.eventsourcing_recorders import (
    SalesflowAggregateRecorder,
    SalesflowApplicationRecorder,
    SalesflowProcessRecorder,
    SalesflowTrackingRecorder,
)

__all__ = ["SalesflowFactory"]


DATABASE_VARIABLE = "SALESFLOW_DB"
TENANT_VARIABLE = "SALESFLOW_TENANT"


class SalesflowFactory(InfrastructureFactory[SalesflowTrackingRecorder]):
    """Makes recorders for an application from its environment."""

    aggregate_recorder_class = SalesflowAggregateRecorder
    application_recorder_class = SalesflowApplicationRecorder
    tracking_recorder_class = SalesflowTrackingRecorder
    process_recorder_class = SalesflowProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url = self.env.get(DATABASE_VARIABLE)
        if not url:
            raise OSError(
                f"{DATABASE_VARIABLE} is not set; it names the database, as in"
                " sqlite:///sales.db"
            )
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.env.name).strip("-._")
        tenant = self.env.get(TENANT_VARIABLE) or name[:64] or "application"
        self.database = Database(url)
        self.log = EventLog(self.database, tenant=tenant, catalogue=OTHERS)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Make what keeps snapshots, or another sequence named by its purpose."""
        return self.aggregate_recorder_class(self.log, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        """Make what keeps the application's events."""
        made: ApplicationRecorder = self._class(
            self.APPLICATION_RECORDER_TOPIC, self.application_recorder_class
        )(self.log)
        return made

    def tracking_recorder(
        self, tracking_recorder_class: type[SalesflowTrackingRecorder] | None = None
    ) -> SalesflowTrackingRecorder:
        """Make what keeps positions of other applications."""
        chosen = tracking_recorder_class or self._class(
            self.TRACKING_RECORDER_TOPIC, self.tracking_recorder_class
        )
        made: SalesflowTrackingRecorder = chosen(self.log)
        return made

    def process_recorder(self) -> ProcessRecorder:
        """Make what keeps events together with positions."""
        made: ProcessRecorder = self._class(
            self.PROCESS_RECORDER_TOPIC, self.process_recorder_class
        )(self.log)
        return made

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _class(self, variable: str, default: type[Any]) -> type[Any]:
        topic = self.env.get(variable)
        chosen: type[Any] = resolve_topic(topic) if topic else default
        return chosen
