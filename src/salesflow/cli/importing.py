"""`salesflow import`: what other systems say happened, recorded as it is, with a report."""

from pathlib import Path
from typing import Annotated

import typer

from salesflow.adapters.importing import ImportReport, import_table, read_mapping
from salesflow.cli.desk import Desk, at_desk
from salesflow.errors import InputError

__all__ = ["importing"]

importing = typer.Typer(no_args_is_help=True, help="Import what another system recorded.")


TableFile = Annotated[
    Path,
    typer.Argument(help="A CSV file.", exists=True, dir_okay=False, show_default=False),
]
MappingFile = Annotated[
    Path,
    typer.Option(
        help="What its columns mean: a TOML file, see docs/import-a-table.md.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(help="Zone of days and of times without one, such as Asia/Shanghai."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse the whole file when anything is wrong.")
]
ApplyChanges = Annotated[
    bool,
    typer.Option("--apply-changes", help="Retract what the source tells differently now."),
]
Trial = Annotated[
    bool, typer.Option("--trial", help="Read and check everything, and record nothing.")
]
ReportFile = Annotated[
    Path | None, typer.Option(help="Write the whole report here as JSON.", dir_okay=False)
]


@importing.command("table")
@at_desk
def table(  # noqa: PLR0913 - what the command offers, all by keyword
    desk: Desk,
    file: TableFile,
    mapping: MappingFile,
    timezone: TimeZone = None,
    strict: Strict = False,
    apply_changes: ApplyChanges = False,
    trial: Trial = False,
    report: ReportFile = None,
) -> None:
    """Import any CSV file as a mapping says; the same file again records nothing twice."""
    read = read_mapping(mapping)
    _refuse_unwritable(report)
    opened = desk.rehearse if trial else desk.record
    with opened(timezone or read.mapping.timezone) as flow:
        with desk.screen.progress(file.name) as progress:
            done = import_table(
                file,
                read,
                log=flow.log,
                strict=strict,
                apply_changes=apply_changes,
                trial=trial,
                timezone=timezone,
                progress=progress,
            )
        if report is not None:
            done.write(report)
        _show(desk, done)
        if strict and not done.recorded and done.problems:
            where = "" if report is None else f" and in {report}"
            raise InputError(
                f"--strict: {done.problems:,} problems in {file}, listed above{where};"
                " nothing was recorded"
            )


def _show(desk: Desk, report: ImportReport) -> None:
    desk.screen.json(report.model_dump(mode="json"))
    for each in report.tables(desk.language):
        desk.screen.table(each)


def _refuse_unwritable(report: Path | None) -> None:
    """Say at once that the report cannot be written, not after an hour of importing."""
    if report is not None and not report.resolve().parent.is_dir():
        raise InputError(f"there is no folder {report.resolve().parent} for the report")
