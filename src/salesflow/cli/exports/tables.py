"""`salesflow export tables`: the read tables at a moment, or all that was ever believed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.exports.log import Force
from salesflow.domain.wording import shortened
from salesflow.errors import InputError
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import say
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:  # loaded when something is exported
    from zoneinfo import ZoneInfo

    from salesflow.engine.exports import ExportedTables

__all__ = ["export_tables"]


class ExportFormat(StrEnum):
    """The formats in which tables are exported."""

    PARQUET = "parquet"
    ARROW = "arrow"
    CSV = "csv"


Tables = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="NAME",
        help="Only this read table; may be said several times.",
        show_default=False,
    ),
]
Format = Annotated[
    ExportFormat,
    typer.Option("--format", help="parquet and arrow need the extra analytics (pyarrow)."),
]
AllBeliefs = Annotated[
    bool,
    typer.Option("--all-beliefs", help="Every row with both time ranges, of no one moment."),
]
Excel = Annotated[
    bool,
    typer.Option("--excel", help="Begin CSV files with the mark by which Excel knows UTF-8."),
]


@with_context
def export_tables(  # noqa: PLR0913 - what the command offers, all by keyword
    context: CommandContext,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A new folder, or an empty one.", show_default=False
        ),
    ],
    table: Tables = None,
    format: Format = ExportFormat.PARQUET,
    all_beliefs: AllBeliefs = False,
    excel: Excel = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
) -> None:
    """Write read tables into a folder, a file each, as they stood at a moment.

    What was exported, its moment and the digests of all files stand in manifest.json there.
    """
    if excel and format is not ExportFormat.CSV:
        raise InputError("--excel is for CSV files; write --format csv, or leave it out")
    with context.open() as flow:
        with context.screen.progress(context.screen.word("Read tables")) as bar:
            done = flow.exports.tables(
                folder,
                tables=table or (),
                as_of=as_of,
                known_at=known_at,
                all_beliefs=all_beliefs,
                format=format.value,
                byte_order_mark=excel,
                force=force,
                progress=bar,
            )
        zone = flow.settings().timezone
    _show(context, done, folder, zone)


def _show(
    context: CommandContext, done: "ExportedTables", folder: Path, zone: "ZoneInfo"
) -> None:
    screen = context.screen
    screen.json(
        {
            "folder": str(folder),
            "as_of": None if done.as_of is None else done.as_of.isoformat(),
            "known_at": done.known_at.isoformat(),
            "position": done.log.position,
            "log_sha256": done.log.log_sha256,
            "files": [each._asdict() for each in done.files],
            "left_out": [each.sentence() for each in done.left_out],
        }
    )
    for each in done.left_out:
        screen.line(each.sentence(context.language), "yellow")
    rows = tuple((each.file, f"{each.rows:,}") for each in done.files)
    screen.table(TableOfView(shortened(folder), ("File", "Rows"), rows))
    known = local_time(done.known_at, zone)
    if done.as_of is None:
        text = say("all beliefs · known at {known}", context.language, known=known)
    else:
        as_of = local_time(done.as_of, zone)
        text = say(
            "as of {as_of} · known at {known}", context.language, as_of=as_of, known=known
        )
    screen.line(f"{text} · sha256 {done.log.log_sha256}", "green")
