"""The engine: sessions that record, and moments that are asked about."""

from salesflow.adapters.event_store.external_events import ExternalEvent
from salesflow.engine.flow import SalesFlow
from salesflow.engine.reactors import Reactor
from salesflow.engine.session import Session

__all__ = ["ExternalEvent", "Reactor", "SalesFlow", "Session"]
