"""`salesflow version`: which version this is, and which schema it writes."""

from importlib.metadata import version as version_of

from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.cli.app import installed
from salesflow.cli.context import CommandContext, with_context

__all__ = ["version"]


@with_context
def version(context: CommandContext) -> None:
    """Say which version this is, and which schema it writes."""
    context.screen.json({"version": version_of("salesflow"), "schema": SCHEMA_VERSION})
    context.screen.line(installed())
