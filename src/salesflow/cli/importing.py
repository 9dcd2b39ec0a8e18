"""`salesflow import`: what other systems say happened, recorded as it is, with a report."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.desk import Desk, at_desk
from salesflow.cli.import_words import tell_refused
from salesflow.cli.trying import readable_again
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, SalesflowError

if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importing import ImportReport
    from salesflow.adapters.importing import MappingFile as ReadMapping
    from salesflow.engine import SalesFlow

__all__ = ["Strict", "TimeZone", "Trial", "table"]

TableFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A CSV file; - is standard input.",
        dir_okay=False,
        show_default=False,
    ),
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
    bool,
    typer.Option(
        "--strict",
        help="Record nothing of the file, and end with 2, when anything in it is refused or"
        " adjusted, or is told otherwise than it was recorded.",
    ),
]
ApplyChanges = Annotated[
    bool,
    typer.Option("--apply-changes", help="Retract what the source tells differently now."),
]
Trial = Annotated[
    bool,
    typer.Option("--trial", "--dry-run", help="Read and check everything, and record nothing."),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        help="Write the whole report here as JSON: every row refused, and why.", dir_okay=False
    ),
]


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
    """Import any CSV file as a mapping says; the same file again records nothing twice.

    Ends with 0 when the file was taken, even when rows of it were refused; with 1 when every
    row was refused; with 2 for wrong use, a file that cannot be read, or any problem under
    --strict.
    """
    from salesflow.adapters.importing import import_table, read_mapping

    if str(file) != "-" and not file.exists():
        raise InputError(f"there is no file {shortened(file)}")
    read = read_mapping(mapping)
    _refuse_report(desk, report, file, mapping, read)
    zone = timezone or read.mapping.timezone

    def imported(flow: "SalesFlow", *, trial: bool) -> "ImportReport":
        how = {"strict": strict, "apply_changes": apply_changes, "trial": trial}
        with desk.screen.progress(file.name) as told:
            return import_table(
                file, read, log=flow.log, timezone=timezone, progress=told, **how
            )

    with readable_again(file, needed=not trial and desk.founds_beside()) as begin_anew:
        if begin_anew is not None:
            with desk.rehearse(zone) as flow:
                tried = imported(flow, trial=True)
            if _is_fruitless(tried):
                _tell(desk, tried, file, report)
            begin_anew()
        with (desk.rehearse if trial else desk.record)(zone) as flow:
            _tell(desk, imported(flow, trial=trial), file, report)


def _tell(desk: Desk, done: "ImportReport", file: Path, report: Path | None) -> None:
    _show(desk, done)
    if report is not None:
        _write(done, report)
    _refuse_fruitless(done, file, report)
    taken = done.rows_read - done.rows_refused
    tell_refused(desk, done.rows_refused, taken, recorded=done.recorded, report=report)


def _show(desk: Desk, report: "ImportReport") -> None:
    desk.screen.json(report.model_dump(mode="json"))
    for each in report.tables(desk.language):
        desk.screen.table(each)


def _write(done: "ImportReport", report: Path) -> None:
    try:
        done.write(report)
    except OSError as error:
        recorded = (
            "what is shown above was recorded" if done.recorded else "nothing was recorded"
        )
        raise InputError(f"{report} cannot be written: {error.strerror}; {recorded}") from error


def _is_fruitless(done: "ImportReport") -> bool:
    """Say whether nothing of the file could be taken, or nothing may be as it is strict."""
    refused = done.rows_refused and done.rows_refused + done.rows_left_out == done.rows_read
    return bool(refused or (done.strict and done.problems))


def _refuse_fruitless(done: "ImportReport", file: Path, report: Path | None) -> None:
    """End with another exit code than 0 when nothing of the file could be taken."""
    where = "listed above" if report is None else f"listed above and in {report}"
    if done.strict and not done.recorded and done.problems:
        raise InputError(
            f"--strict: {done.problems:,} problem{'s' if done.problems > 1 else ''} in {file},"
            f" {where}; nothing was recorded"
        )
    if _is_fruitless(done):
        raise SalesflowError(
            f"every row of {file} was refused ({done.rows_refused:,}), {where}; no deal"
            " was recorded"
        )


def _database_files(desk: Desk) -> list[Path]:
    from salesflow.adapters.database_url import SQLITE, parsed_url, sqlite_path

    url = parsed_url(desk.url)
    file = sqlite_path(url) if url.drivername in SQLITE else None
    return [] if file is None else [Path(f"{file}{ending}") for ending in ("", "-wal", "-shm")]


def _refuse_report(
    desk: Desk, report: Path | None, file: Path, mapping: Path, read: "ReadMapping"
) -> None:
    """Refuse a report that would overwrite what it is made of, or cannot be written."""
    if report is None:
        return
    lookups = [each.file for each in read.mapping.lookups.values()]
    sources = [folder / each for folder in (mapping.parent, file.parent) for each in lookups]
    _refuse_overwriting(report, [file, mapping, *sources, *_database_files(desk)])
    _refuse_unwritable(report)


def _refuse_overwriting(report: Path, precious: Iterable[Path]) -> None:
    """Never write the report over what it is made of."""
    for each in precious:
        same = report.exists() and each.exists() and report.samefile(each)
        if same or report.resolve() == each.resolve():
            raise InputError(
                f"--report {report} would overwrite {each}; name another file for the report"
            )


def _refuse_unwritable(report: Path) -> None:
    """Say at once that the report cannot be written, not after an hour of importing."""
    if not report.resolve().parent.is_dir():
        raise InputError(f"there is no folder {report.resolve().parent} for the report")
    if report.exists() and not report.is_file():
        return
    new = not report.exists()
    try:
        report.open("ab").close()
    except OSError as error:
        raise InputError(
            f"{report} cannot be written: {error.strerror}; name another file for the report"
        ) from error
    if new:
        report.unlink()
