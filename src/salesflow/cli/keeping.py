"""`salesflow status`, `rebuild`, `backup` and `clock`: how the log and its tables stand."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.desk import Desk, at_desk
from salesflow.cli.output import Json, size_of
from salesflow.domain.moments import from_instant
from salesflow.projections.plain import plain
from salesflow.projections.shown import TableOfView
from salesflow.projections.writing import local_time

if TYPE_CHECKING:  # loaded when a database is opened
    from salesflow.adapters.census import Census
    from salesflow.adapters.eventlog import Head
    from salesflow.adapters.readtables import Standing
    from salesflow.domain.settings import Settings

__all__ = ["accept", "backup", "rebuild", "status"]


@at_desk
def status(desk: Desk) -> None:
    """Say where the log stands, how far each read table is behind, and how large it is."""
    from salesflow.adapters.census import census

    with desk.open() as flow:
        head, counted, settings = flow.log.head(), census(flow.log), flow.settings()
        stands, reactors = flow.standings(), flow.reactors.positions()
        wrong, left_out = flow.disagreements(), flow.left_out()
    if counted.events != head.position:
        wrong.insert(0, _miscounted(counted.events, head))
    recorded, zone = from_instant(head.recorded), settings.timezone
    desk.screen.json(
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
            "problems": list(wrong),
        }
    )
    desk.screen.table(_log(flow.log.tenant, head, settings, counted))
    desk.screen.table(_standings(stands, head))
    if reactors:
        desk.screen.table(_reactors(reactors, head))
    for each in left_out:
        desk.screen.line(each.said(desk.language), "yellow")
    for said in wrong:
        desk.screen.line(said, "red")
    if wrong:
        raise typer.Exit(1)


def _miscounted(events: int, head: "Head") -> str:
    return (
        f"the log holds {events:,} events, its head stands at {head.position:,}: events were"
        " removed; `salesflow check` names them"
    )


def _log(tenant: str, head: "Head", settings: "Settings", counted: "Census") -> TableOfView:
    rows = (
        ("Tenant", tenant),
        ("Time zone", settings.timezone.key),
        ("Report currency", settings.report_currency or "–"),
        ("Head", f"{head.position:,}"),
        ("Last recorded", local_time(from_instant(head.recorded), settings.timezone)),
        ("Events", f"{counted.events:,}"),
        ("Streams", f"{counted.streams:,}"),
        ("Size", size_of(counted.database_bytes)),
    )
    return TableOfView("Log", ("Attribute", "Value"), rows, words=("Attribute",))


def _standing(name: str, stand: "Standing", head: "Head") -> Json:
    return {
        "table": name,
        "revision": stand.revision,
        "position": stand.position,
        "lag": head.position - stand.position,
    }


def _standings(stands: "dict[str, Standing]", head: "Head") -> TableOfView:
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


@at_desk
def rebuild(
    desk: Desk,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="Read tables; all when none is named.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fill read tables anew from the log, beside the live ones, then swap them."""
    from salesflow.projections.registry import FOLDS

    with desk.open() as flow:
        with desk.screen.progress(", ".join(tables or FOLDS)) as report:
            rows = flow.rebuild(*tables or (), progress=report)
        desk.screen.json({"rebuilt": dict(rows)})
        shown = tuple((name, f"{count:,}") for name, count in rows.items())
        desk.screen.table(TableOfView("", ("Read table", "Rows"), shown))


@at_desk
def backup(
    desk: Desk,
    to: Annotated[str, typer.Argument(metavar="TO", help="A new file; none is overwritten.")],
) -> None:
    """Copy a SQLite database into a new file while others go on recording."""
    with desk.open() as flow:
        made = flow.backup(to)
        recorded = from_instant(made.recorded)
        desk.screen.json(
            {
                "file": str(made.file),
                "bytes": made.bytes,
                "position": made.position,
                "recorded_at": recorded.isoformat(),
            }
        )
        at = local_time(recorded, flow.settings().timezone)
        desk.screen.line(f"backed up to {to} ({size_of(made.bytes)})")
        desk.screen.line(f"up to position {made.position:,}, recorded at {at}")


@at_desk
def accept(
    desk: Desk,
    because: Annotated[str, typer.Option("--because", help="Why the clock is right.")],
    actor: Annotated[str | None, typer.Option("--actor", help="Who accepts it.")] = None,
) -> None:
    """Go on recording although this host's clock is behind the log, and say so in the log."""
    with desk.open() as flow:
        receipt = flow.accept_clock(actor=actor, because=because)
        recorded = from_instant(receipt.recorded)
        desk.screen.json({"position": receipt.last, "recorded_at": recorded.isoformat()})
        at = local_time(recorded, flow.settings().timezone)
        desk.screen.line(f"accepted at position {receipt.last:,}, recorded at {at}")
