"""`salesflow import xes`, `import ocel`: event logs of process mining, as a mapping says.

Without a mapping the command refuses, names the columns of the file, and prints a mapping to
begin with.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

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

__all__ = ["command_of_log"]


FILES: Final = {
    "xes": "An XES log, plain or packed (.xes.gz); - is standard input.",
    "ocel": "An OCEL 2.0 log in JSON, XML or SQLite; - is standard input.",
}
"""The formats there are, and which files hold them."""
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


def command_of_log(format: str) -> Callable[..., None]:
    """Make the command that imports event logs of a format."""
    argument = typer.Argument(
        metavar="FILE", help=FILES[format], dir_okay=False, show_default=False
    )

    def command(  # noqa: PLR0913 - what the command offers, all by keyword
        context: CommandContext,
        file: Annotated[Path, argument],
        mapping: OptionalMapping = None,
        timezone: TimeZone = None,
        strict: Strict = False,
        apply_changes: ApplyChanges = False,
        trial: Trial = False,
        report: ReportFile = None,
        skeleton: SkeletonFile = None,
    ) -> None:
        from salesflow.adapters.importers.event_logs.importer import import_ocel, import_xes
        from salesflow.adapters.importers.event_logs.skeleton import ocel_skeleton, xes_skeleton

        formats = {"xes": (import_xes, xes_skeleton), "ocel": (import_ocel, ocel_skeleton)}
        imports, begun = formats[format]
        if mapping is None or skeleton is not None:
            _begin_mapping(context, file, mapping, skeleton, begun)
            return
        how = {"strict": strict, "apply_changes": apply_changes, "trial": trial}
        import_as_mapped(context, imports, file, mapping, report, timezone=timezone, **how)

    return with_context(command)


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
