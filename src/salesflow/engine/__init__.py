"""The engine: sessions that record, and moments that are asked about."""

from salesflow.adapters.foreign import ForeignFact
from salesflow.engine.flow import SalesFlow
from salesflow.engine.reacting import Reactor
from salesflow.engine.session import Session

__all__ = ["ForeignFact", "Reactor", "SalesFlow", "Session"]
