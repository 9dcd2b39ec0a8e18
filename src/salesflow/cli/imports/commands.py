"""`salesflow import`: what other systems say happened, recorded as it is, with a report.

It is a module of its own: `import table`, beside `import rates` and what they share.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, SalesflowError
from salesflow.presentation.messages import Language, say, say_count

__all__ = [
    "ApplyChanges",
    "ReportFile",
    "Strict",
    "TimeZone",
    "Trial",
    "ensure_report_writable",
    "ensure_there",
    "import_as_mapped",
    "is_fruitless",
    "print_refused",
    "print_report",
    "readable_again",
    "table",
]


if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importers import ImportReport
    from salesflow.adapters.importers import MappingFile as ReadMapping
    from salesflow.engine import SalesFlow


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


@with_context
def table(  # noqa: PLR0913 - what the command offers, all by keyword
    context: CommandContext,
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
    from salesflow.adapters.importers import import_table

    how = {"strict": strict, "apply_changes": apply_changes, "trial": trial}
    import_as_mapped(context, import_table, file, mapping, report, timezone=timezone, **how)


def import_as_mapped(  # noqa: PLR0913 - what every import with a mapping is given
    context: CommandContext,
    imports: "Callable[..., ImportReport]",
    file: Path,
    mapping: Path,
    report: Path | None,
    *,
    timezone: str | None,
    trial: bool,
    **how: bool,
) -> None:
    """Import a file as a mapping says; what would found a log in vain is rehearsed first."""
    from salesflow.adapters.importers import read_mapping

    ensure_there(file)
    read = read_mapping(mapping)
    ensure_report_writable(context, report, _sources(file, mapping, read))
    zone = timezone or read.mapping.timezone

    def imported(flow: "SalesFlow", *, trial: bool) -> "ImportReport":
        with context.screen.progress(file.name) as shown_progress:
            given = {"timezone": timezone, "progress": shown_progress, "trial": trial, **how}
            return imports(file, read, log=flow.log, **given)

    with readable_again(file, needed=not trial and context.founds_beside()) as begin_anew:
        if begin_anew is not None:
            with context.rehearse(zone) as flow:
                tried = imported(flow, trial=True)
            if is_fruitless(tried):
                print_report(context, tried, file, report)
            begin_anew()
        with (context.rehearse if trial else context.record)(zone) as flow:
            print_report(context, imported(flow, trial=trial), file, report)


def ensure_there(file: Path) -> None:
    """Raise InputError for a file that is not there."""
    if str(file) != STANDARD_INPUT and not file.exists():
        raise InputError(f"there is no file {shortened(file)}")


def print_report(
    context: CommandContext, done: "ImportReport", file: Path, report: Path | None
) -> None:
    """Print what became of an import, write it down, and say how much was refused."""
    _show(context, done)
    if report is not None:
        _write(done, report)
    _ensure_something_taken(done, file, report)
    taken = done.rows_read - done.rows_refused
    print_refused(context, done.rows_refused, taken, recorded=done.recorded, report=report)


def _show(context: CommandContext, report: "ImportReport") -> None:
    context.screen.json(report.model_dump(mode="json"))
    for each in report.tables(context.language):
        context.screen.table(each)


def _write(done: "ImportReport", report: Path) -> None:
    try:
        done.write(report)
    except OSError as error:
        recorded = (
            "what is shown above was recorded" if done.recorded else "nothing was recorded"
        )
        raise InputError(f"{report} cannot be written: {error.strerror}; {recorded}") from error


def is_fruitless(done: "ImportReport") -> bool:
    """Return whether nothing of the file could be taken, or nothing may be as it is strict."""
    refused = done.rows_refused and done.rows_refused + done.rows_left_out == done.rows_read
    return bool(refused or (done.strict and done.problems))


def _ensure_something_taken(done: "ImportReport", file: Path, report: Path | None) -> None:
    """Raise an error, for another exit code than 0, when nothing of the file could be taken."""
    where = "listed above" if report is None else f"listed above and in {report}"
    if done.strict and not done.recorded and done.problems:
        raise InputError(
            f"--strict: {done.problems:,} problem{'s' if done.problems > 1 else ''} in {file},"
            f" {where}; nothing was recorded"
        )
    if is_fruitless(done):
        raise SalesflowError(
            f"every row of {file} was refused ({done.rows_refused:,}), {where}; no deal"
            " was recorded"
        )


def _database_files(context: CommandContext) -> list[Path]:
    from salesflow.adapters.database.database import COLUMNS_ENDING, file_of

    file, endings = file_of(context.url), ("", "-wal", "-shm", COLUMNS_ENDING)
    return [] if file is None else [Path(f"{file}{ending}") for ending in endings]


def _sources(file: Path, mapping: Path, read: "ReadMapping") -> list[Path]:
    lookups = [each.file for each in read.mapping.lookups.values()]
    folders = (mapping.parent, file.parent)
    return [file, mapping, *(folder / each for folder in folders for each in lookups)]


def ensure_report_writable(
    context: CommandContext, report: Path | None, sources: Iterable[Path]
) -> None:
    """Raise InputError for a report that would overwrite its sources, or cannot be written."""
    if report is None:
        return
    _ensure_no_overwriting(report, [*sources, *_database_files(context)])
    _ensure_writable(report)


def _ensure_no_overwriting(report: Path, precious: Iterable[Path]) -> None:
    """Raise InputError for a report that would overwrite what it is made of."""
    for each in precious:
        same = report.exists() and each.exists() and report.samefile(each)
        if same or report.resolve() == each.resolve():
            raise InputError(
                f"--report {report} would overwrite {each}; name another file for the report"
            )


def _ensure_writable(report: Path) -> None:
    """Raise InputError for a report that cannot be written, before an hour of importing."""
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


# What an import says last: how much of the file was refused.
#
# Whoever reads only the end of it would take the file for imported.


def print_refused(
    context: CommandContext,
    refused: int,
    taken: int,
    *,
    recorded: bool,
    report: Path | None = None,
) -> None:
    """Print in a last line how much of a file was refused, and how to see or refuse it all."""
    if refused:
        file = None if report is None else shortened(report)
        text = _refused(refused, refused + taken, recorded, file, context.language)
        context.screen.line(text, "red" if refused > taken else "yellow")


RECORDED = (
    "{count:,} of {read:,} rows was refused, nothing of it is recorded; {where}, --strict"
    " refuses the whole file",
    "{count:,} of {read:,} rows were refused, nothing of them is recorded; {where}, --strict"
    " refuses the whole file",
)
TRIAL = (
    "{count:,} of {read:,} rows would be refused, nothing of it would be recorded; {where},"
    " --strict refuses the whole file",
    "{count:,} of {read:,} rows would be refused, nothing of them would be recorded; {where},"
    " --strict refuses the whole file",
)


def _refused(
    refused: int, read: int, recorded: bool, report: str | None, language: Language
) -> str:
    one, many = RECORDED if recorded else TRIAL
    where = (
        say("--report FILE writes down each", language)
        if report is None
        else say("{file} names each", language, file=report)
    )
    return say_count(one, many, refused, language, read=read, where=where)


# What may be refused is tried first, where something would stay behind of it.
#
# What founds a log can never be taken away again. A new file is (see `CommandContext.record`);
# a new tenant of a database that is there already is not, so an import into one is rehearsed in
# memory before; not where it comes from a pipe with a name, which can be read only once.

STANDARD_INPUT = "-"


@contextmanager
def readable_again(file: Path, *, needed: bool) -> Iterator[Callable[[], object] | None]:
    """Keep standard input, where that is the file, so that it can be read a second time.

    What is given begins it anew; None where that is not needed.
    """
    if not needed or file.is_fifo():
        yield None
        return
    if str(file) != STANDARD_INPUT:
        yield lambda: None
        return
    given = sys.stdin
    with TemporaryFile() as kept:
        shutil.copyfileobj(given.buffer, kept)
        kept.seek(0)
        sys.stdin = TextIOWrapper(kept)
        try:
            yield lambda: kept.seek(0)
        finally:
            sys.stdin.detach()
            sys.stdin = given
