"""`salesflow status`, `rebuild`, `backup`, `clock` and `version`: how everything stands."""

from enum import StrEnum
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.cli.app import installed
from salesflow.cli.context import CommandContext, size_of, with_context
from salesflow.domain.time import from_instant
from salesflow.errors import InputError
from salesflow.presentation.fields import Json, plain
from salesflow.presentation.format import NO_VALUE, local_time
from salesflow.presentation.messages import Language, say
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from salesflow.adapters.event_store.log import Head
    from salesflow.adapters.event_store.search import LogStats
    from salesflow.adapters.projector.read_tables import ProjectionPosition
    from salesflow.adapters.projector.rebuild import Filling
    from salesflow.domain.settings import Settings

__all__ = [
    "accept",
    "backup",
    "rebuild",
    "status",
    "version",
]


@with_context
def status(context: CommandContext) -> None:
    """Say where the log stands, how far each read table is behind, and how large it is."""
    from salesflow.adapters.event_store.search import log_stats

    with context.open() as flow:
        head, counted, settings = flow.log.head(), log_stats(flow.log), flow.settings()
        stands, reactors = flow.standings(), flow.reactors.positions()
        wrong, left_out = flow.disagreements(), flow.left_out()
        unfinished = flow.unfinished_rebuilds()
    if counted.events != head.position:
        wrong.insert(0, _miscounted(counted.events, head))
    recorded, zone = from_instant(head.recorded), settings.timezone
    context.screen.json(
        {
            "tenant": flow.log.tenant,
            "timezone": zone.key,
            "report_currency": settings.report_currency,
            "position": head.position,
            "recorded_at": recorded.isoformat(),
            **counted._asdict(),
            "tables": [_standing(*named, head) for named in stands.items()],
            "reactors": reactors,
            "left_out": [plain(each) for each in left_out],
            "unfinished_rebuilds": {name: at.isoformat() for name, at in unfinished.items()},
            "problems": list(wrong),
        }
    )
    context.screen.table(_log(flow.log.tenant, head, settings, counted))
    context.screen.table(_standings(stands, head))
    if reactors:
        context.screen.table(_reactors(reactors, head))
    for each in left_out:
        context.screen.line(each.sentence(context.language), "yellow")
    if unfinished:
        context.screen.line(_unfinished(unfinished, zone, context.language), "yellow")
    for text in wrong:
        context.screen.line(text, "red")
    if wrong:
        raise typer.Exit(1)


def _unfinished(begun: "Mapping[str, datetime]", zone: ZoneInfo, language: Language) -> str:
    return say(
        "tables of rebuilds that have not ended: {count}, the first begun at {when}; those of"
        " one that was killed are removed by the next rebuild a day later",
        language,
        count=len(begun),
        when=local_time(min(begun.values()), zone),
    )


def _miscounted(events: int, head: "Head") -> str:
    return (
        f"the log holds {events:,} events, its head stands at {head.position:,}: events were"
        " removed; `salesflow check` names them"
    )


def _log(tenant: str, head: "Head", settings: "Settings", counted: "LogStats") -> TableOfView:
    rows = (
        ("Tenant", tenant),
        ("Time zone", settings.timezone.key),
        ("Report currency", settings.report_currency or NO_VALUE),
        ("Head", f"{head.position:,}"),
        ("Last recorded", local_time(from_instant(head.recorded), settings.timezone)),
        ("Events", f"{counted.events:,}"),
        ("Streams", f"{counted.streams:,}"),
        ("Size", size_of(counted.database_bytes)),
    )
    return TableOfView("Log", ("Attribute", "Value"), rows, words=("Attribute",))


def _standing(name: str, stand: "ProjectionPosition", head: "Head") -> Json:
    return {
        "table": name,
        "revision": stand.revision,
        "position": stand.position,
        "lag": head.position - stand.position,
    }


def _standings(stands: "dict[str, ProjectionPosition]", head: "Head") -> TableOfView:
    rows = tuple(
        (name, f"{s.revision}", f"{s.position:,}", f"{head.position - s.position:,}")
        for name, s in stands.items()
    )
    return TableOfView("Read tables", ("Read table", "Version", "Position", "Lag"), rows)


def _reactors(positions: dict[str, int], head: "Head") -> TableOfView:
    rows = tuple(
        (name, f"{position:,}", f"{head.position - position:,}")
        for name, position in positions.items()
    )
    return TableOfView("Reactors", ("Reactor", "Position", "Lag"), rows)


class RebuildEngine(StrEnum):
    """What folds the log in a rebuild."""

    PROCESSES = "processes"
    SPARK = "spark"


def _filling(engine: RebuildEngine, url: str | None, lake: str | None) -> "Filling | None":
    """Return what fills tables; None for processes of this machine."""
    if engine is RebuildEngine.SPARK:
        from salesflow.adapters.lake.spark_rebuild import SparkFilling

        return SparkFilling(url, lake)
    if url is not None or lake is not None:
        option = "--spark-url" if url is not None else "--lake"
        raise InputError(f"{option} is for --engine spark; add that, or leave it out")
    return None


@with_context
def rebuild(
    context: CommandContext,
    *,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="Read tables; all when none is named.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        RebuildEngine, typer.Option(help="What folds the log: this machine, or Spark.")
    ] = RebuildEngine.PROCESSES,
    spark_url: Annotated[
        str | None,
        typer.Option(
            "--spark-url",
            metavar="sc://HOST:PORT",
            help="A Spark Connect server; without one Sail is started on this machine.",
            show_default=False,
        ),
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the workers of Spark read the log; see `export lake`.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fill read tables anew from the log, beside the live ones, then swap them."""
    filling = _filling(engine, spark_url, lake)
    with context.open() as flow:
        with context.screen.progress(context.screen.word("Read tables")) as report:
            rows = flow.rebuild(*tables or (), progress=report, filling=filling)
        left_out = flow.left_out()
        context.screen.json(
            {"rebuilt": dict(rows), "left_out": [plain(each) for each in left_out]}
        )
        for each in left_out:
            context.screen.line(each.sentence(context.language), "yellow")
        shown = tuple((name, f"{count:,}") for name, count in rows.items())
        context.screen.table(TableOfView("", ("Read table", "Rows"), shown))


@with_context
def backup(
    context: CommandContext,
    to: Annotated[str, typer.Argument(metavar="TO", help="A new file; none is overwritten.")],
) -> None:
    """Copy a SQLite database into a new file while others go on recording."""
    with context.open() as flow:
        made = flow.backup(to)
        recorded = from_instant(made.recorded)
        context.screen.json(
            {
                "file": str(made.file),
                "bytes": made.bytes,
                "position": made.position,
                "recorded_at": recorded.isoformat(),
            }
        )
        at = local_time(recorded, flow.settings().timezone)
        context.screen.line(f"backed up to {to} ({size_of(made.bytes)})")
        context.screen.line(f"up to position {made.position:,}, recorded at {at}")


@with_context
def accept(
    context: CommandContext,
    because: Annotated[str, typer.Option("--because", help="Why the clock is right.")],
    actor: Annotated[str | None, typer.Option("--actor", help="Who accepts it.")] = None,
) -> None:
    """Go on recording although this host's clock is behind the log, and say so in the log."""
    with context.open() as flow:
        receipt = flow.accept_clock(actor=actor, because=because)
        recorded = from_instant(receipt.recorded)
        context.screen.json({"position": receipt.last, "recorded_at": recorded.isoformat()})
        at = local_time(recorded, flow.settings().timezone)
        context.screen.line(f"accepted at position {receipt.last:,}, recorded at {at}")


# `salesflow version`: which version this is, and which schema it writes.


@with_context
def version(context: CommandContext) -> None:
    """Say which version this is, and which schema it writes."""
    context.screen.json({"version": version_of("salesflow"), "schema": SCHEMA_VERSION})
    context.screen.line(installed())
