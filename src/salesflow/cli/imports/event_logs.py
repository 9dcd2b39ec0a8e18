"""`salesflow import xes`, `import ocel`: event logs of process mining, as a mapping says.

Without a mapping the command refuses, names the columns of the file, and prints a mapping to
begin with.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.cli.imports.commands import (
    ApplyChanges,
    ReportFile,
    Strict,
    TimeZone,
    Trial,
    ensure_there,
    import_as_mapped,
)
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importers.event_logs.skeleton import Skeleton

__all__ = ["ocel", "xes"]


XesLog = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="An XES log, plain or packed (.xes.gz); - is standard input.",
        dir_okay=False,
        show_default=False,
    ),
]
OcelLog = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="An OCEL 2.0 log in JSON, XML or SQLite; - is standard input.",
        dir_okay=False,
        show_default=False,
    ),
]
OptionalMapping = Annotated[
    Path | None,
    typer.Option(
        help="What its columns mean: a TOML file, see docs/process-mining.md. Left out, a"
        " mapping to begin with is printed, and nothing is imported.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
SkeletonFile = Annotated[
    Path | None,
    typer.Option(
        "--skeleton",
        help="Write a mapping to begin with here, and import nothing.",
        dir_okay=False,
        show_default=False,
    ),
]


@with_context
def xes(  # noqa: PLR0913 - what the command offers, all by keyword
    context: CommandContext,
    file: XesLog,
    mapping: OptionalMapping = None,
    timezone: TimeZone = None,
    strict: Strict = False,
    apply_changes: ApplyChanges = False,
    trial: Trial = False,
    report: ReportFile = None,
    skeleton: SkeletonFile = None,
) -> None:
    """Import an event log in XES as a mapping says; the same file again records nothing twice.

    A row is an event; what its trace says is in columns `case:…`. Ends as `import table` does;
    a file that is not well-formed XML to its end is refused as a whole.
    """
    from salesflow.adapters.importers.event_logs.importer import import_xes
    from salesflow.adapters.importers.event_logs.skeleton import xes_skeleton

    if mapping is None or skeleton is not None:
        _begin_mapping(context, file, mapping, skeleton, xes_skeleton)
        return
    how = {"strict": strict, "apply_changes": apply_changes, "trial": trial}
    import_as_mapped(context, import_xes, file, mapping, report, timezone=timezone, **how)


@with_context
def ocel(  # noqa: PLR0913 - what the command offers, all by keyword
    context: CommandContext,
    file: OcelLog,
    mapping: OptionalMapping = None,
    timezone: TimeZone = None,
    strict: Strict = False,
    apply_changes: ApplyChanges = False,
    trial: Trial = False,
    report: ReportFile = None,
    skeleton: SkeletonFile = None,
) -> None:
    """Import an event log in OCEL 2.0 as a mapping says; which objects are deals it says too.

    A row is an event, for each deal it names, or a change of an object. Ends as `import table`
    does; a file that cannot be read to its end is refused as a whole.
    """
    from salesflow.adapters.importers.event_logs.importer import import_ocel
    from salesflow.adapters.importers.event_logs.skeleton import ocel_skeleton

    if mapping is None or skeleton is not None:
        _begin_mapping(context, file, mapping, skeleton, ocel_skeleton)
        return
    how = {"strict": strict, "apply_changes": apply_changes, "trial": trial}
    import_as_mapped(context, import_ocel, file, mapping, report, timezone=timezone, **how)


def _begin_mapping(
    context: CommandContext,
    file: Path,
    mapping: Path | None,
    into: Path | None,
    begun: "Callable[[Path], Skeleton]",
) -> None:
    """Write a mapping to begin with, or print it and refuse to import without one."""
    ensure_there(file)
    if mapping is not None:
        raise InputError("--skeleton writes a mapping, --mapping takes one: say one of the two")
    if into is not None and into.exists():
        raise InputError(f"{into} is there already; name another file for the mapping")
    skeleton = begun(file)
    columns = {"columns": skeleton.columns}
    plain = ", ".join(name for name in skeleton.columns if not name.endswith("]"))
    if into is None:
        context.screen.json({**columns, "mapping": skeleton.text})
        context.screen.lines(skeleton.text.splitlines())
        raise InputError(
            f"say what the columns of {shortened(file)} mean, with --mapping FILE.toml; above"
            " stands a mapping to begin with, and --skeleton FILE.toml writes it there."
            f" Columns: {shortened(plain, COLUMNS_SHOWN)}"
        )
    try:
        into.write_text(skeleton.text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror}") from error
    context.screen.json({**columns, "mapping": str(into)})
    context.screen.line(f"{context.screen.word('a mapping to begin with is in')} {into}")


COLUMNS_SHOWN = 800
