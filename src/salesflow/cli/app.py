"""The command line put together: the first word, its options and what it lists."""

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.cli.commands import COMMANDS, LazyGroup

__all__ = ["app", "installed"]

app = typer.Typer(
    name="salesflow",
    cls=LazyGroup,
    help=COMMANDS.help,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def installed() -> str:
    """Say the version installed, and the schema it writes."""
    return f"salesflow {version_of('salesflow')} (schema {SCHEMA_VERSION})"


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(installed())
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
]


@app.callback()
def root(*, version: Version = False) -> None:
    """Take what stands before the first command."""
    del version
