"""All commands of the command line, put together."""

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from salesflow.adapters.schema import SCHEMA_VERSION
from salesflow.cli.asking import asking
from salesflow.cli.deals import deals
from salesflow.cli.demo import demo
from salesflow.cli.desk import Desk, at_desk
from salesflow.cli.importing import importing
from salesflow.cli.keeping import clock, rebuild, status
from salesflow.cli.processes import processes
from salesflow.cli.projecting import project
from salesflow.cli.rates import rates
from salesflow.cli.sql import sql

__all__ = ["app"]

app = typer.Typer(
    name="salesflow",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _installed() -> str:
    return f"salesflow {version_of('salesflow')} (schema {SCHEMA_VERSION})"


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_installed())
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
]


@app.callback()
def root(*, version: Version = False) -> None:
    """Record what happened, ask as of any moment: an event-sourced sales process engine."""
    del version


@at_desk
def version(desk: Desk) -> None:
    """Say which version this is, and which schema it writes."""
    installed = version_of("salesflow")
    desk.screen.json({"version": installed, "schema": SCHEMA_VERSION})
    desk.screen.line(_installed())


app.command("demo")(demo)
app.add_typer(importing, name="import")
app.add_typer(asking, name="ask")
app.add_typer(deals, name="deal")
app.command("status")(status)
app.command("rebuild")(rebuild)
app.command("project")(project)
app.command("sql")(sql)
app.add_typer(clock, name="clock")
app.add_typer(processes, name="process")
app.add_typer(rates, name="rates")
app.command("version")(version)
