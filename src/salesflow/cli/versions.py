"""`salesflow version`: which version this is, and which schema it writes."""

from importlib.metadata import version as version_of

from salesflow.adapters.schema_version import SCHEMA_VERSION
from salesflow.cli.app import installed
from salesflow.cli.desk import Desk, at_desk

__all__ = ["version"]


@at_desk
def version(desk: Desk) -> None:
    """Say which version this is, and which schema it writes."""
    desk.screen.json({"version": version_of("salesflow"), "schema": SCHEMA_VERSION})
    desk.screen.line(installed())
