"""What a new database begins with: its settings and the built-in sales process."""

from typing import Final

from salesflow.domain.processes import SalesProcess
from salesflow.domain.settings import Settings
from salesflow.domain.standard import STANDARD
from salesflow.engine.session import Session

__all__ = ["FOUNDING", "founding"]

FOUNDING: Final = "salesflow:founding"
"""The id of the command that founds a tenant's log, once."""


def founding(session: Session, timezone: str) -> None:
    """Record the settings and the built-in process."""
    session.add(Settings.begin(timezone=timezone))
    session.add(SalesProcess.publish(STANDARD))
