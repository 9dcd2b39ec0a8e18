"""`salesflow import salesforce` and so on: the export of a CRM, with all its tables."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.cli.imports.commands import (
    ApplyChanges,
    ReportFile,
    Strict,
    TimeZone,
    Trial,
    ensure_report_writable,
    is_fruitless,
    print_report,
)

if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importers import ImportReport
    from salesflow.adapters.importers.crm.system import CrmSystem
    from salesflow.engine import SalesFlow

__all__ = ["command_of_system"]


Export = Annotated[
    Path,
    typer.Argument(
        metavar="EXPORT",
        help="The folder of the export, its zip archive, or one of its files.",
        show_default=False,
    ),
]
AmountCurrency = Annotated[
    str | None,
    typer.Option("--currency", help="Currency of amounts that name none, such as EUR."),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of files that are not UTF-8, such as gb18030 or cp1252."),
]


def command_of_system(home: str) -> Callable[..., None]:
    """Make the command that imports exports of a system, which is loaded when it is called."""

    def command(  # noqa: PLR0913 - what the command offers, all by keyword
        context: CommandContext,
        export: Export,
        timezone: TimeZone = None,
        currency: AmountCurrency = None,
        encoding: Encoding = None,
        strict: Strict = False,
        apply_changes: ApplyChanges = False,
        trial: Trial = False,
        report: ReportFile = None,
    ) -> None:
        system = resolve_name(home)
        how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
        _import(context, system, export, timezone, report, trial=trial, strict=strict, **how)

    return with_context(command)


def _import(
    context: CommandContext,
    system: "type[CrmSystem]",
    export: Path,
    timezone: str | None,
    report: Path | None,
    *,
    trial: bool,
    **how: object,
) -> None:
    """Import an export; what would found a log in vain is rehearsed first."""
    from salesflow.adapters.importers.crm.importer import import_crm
    from salesflow.adapters.importers.crm.pull.folder import ensure_complete

    ensure_complete(export, system.name)
    files = [export] if export.is_file() else []
    ensure_report_writable(context, report, files)

    def imported(flow: "SalesFlow", *, trial: bool) -> "ImportReport":
        with context.screen.progress(export.name) as shown_progress:
            return import_crm(
                system,
                export,
                log=flow.log,
                timezone=timezone,
                trial=trial,
                progress=shown_progress,
                **how,  # type: ignore[arg-type]
            )

    if not trial and context.founds_beside():
        with context.rehearse(timezone) as flow:
            tried = imported(flow, trial=True)
        if is_fruitless(tried):
            print_report(context, tried, export, report)
    with (context.rehearse if trial else context.record)(timezone) as flow:
        print_report(context, imported(flow, trial=trial), export, report)
