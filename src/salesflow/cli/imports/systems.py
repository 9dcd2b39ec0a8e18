"""`salesflow import salesforce` and so on: the export of a CRM, with all its tables."""

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
    ensure_report_writable,
    is_fruitless,
    print_report,
)

if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importers import ImportReport
    from salesflow.adapters.importers.crm.system import CrmSystem
    from salesflow.engine import SalesFlow

__all__ = ["fxiaoke", "hubspot", "odoo", "pipedrive", "salesforce", "zoho"]


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


@with_context
def salesforce(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import opportunities with their history from Salesforce, accounts and contacts too.

    Reads Opportunity.csv, OpportunityHistory.csv, OpportunityFieldHistory.csv, Account.csv,
    Contact.csv and others of an export, whichever there are. The same export again records
    nothing twice. Ends as `import table` does.
    """
    from salesflow.adapters.importers.crm.salesforce.system import Salesforce

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, Salesforce, export, timezone, report, trial=trial, strict=strict, **how)


@with_context
def zoho(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import deals with their history from Zoho CRM, accounts, contacts and quotes too.

    Reads Deals, DealHistory or Stage_History, __timeline, pipelines, Accounts, Contacts and
    Quotes, whichever there are: answers of the interface as JSON, bulk read or the page's
    export as CSV. Ends as `import table` does.
    """
    from salesflow.adapters.importers.crm.zoho.system import Zoho

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, Zoho, export, timezone, report, trial=trial, strict=strict, **how)


@with_context
def hubspot(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import deals with the history of their properties from HubSpot, companies too.

    Reads answers of its interface (deals, pipelines, companies), CSV files saved from its
    pages, an export of the history of one property, and the tables that connectors write,
    whichever there are. The same export again records nothing twice. Ends as `import table`
    does.
    """
    from salesflow.adapters.importers.crm.hubspot.system import HubSpot

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, HubSpot, export, timezone, report, trial=trial, strict=strict, **how)


@with_context
def pipedrive(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import deals with their changes from Pipedrive, organizations and persons too.

    Reads answers of its interface (deals, the flow of a deal, stages, pipelines, organizations,
    persons, recents) and CSV files saved from its pages, whichever there are. The same export
    again records nothing twice. Ends as `import table` does.
    """
    from salesflow.adapters.importers.crm.pipedrive.system import Pipedrive

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, Pipedrive, export, timezone, report, trial=trial, strict=strict, **how)


@with_context
def odoo(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import opportunities with their tracked changes from Odoo, customers too.

    Reads crm.lead, mail.message, mail.tracking.value, crm.stage, crm.lost.reason, res.partner,
    res.users and ir.model.fields, as its interface, its pages or its database give them,
    whichever there are. Leads that are no opportunities are left out. The same export again
    records nothing twice. Ends as `import table` does.
    """
    from salesflow.adapters.importers.crm.odoo.system import Odoo

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, Odoo, export, timezone, report, trial=trial, strict=strict, **how)


@with_context
def fxiaoke(  # noqa: PLR0913 - what the command offers, all by keyword
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
    """Import opportunities from Fxiaoke (纷享销客), with accounts, quotes and follow-ups.

    Reads NewOpportunityObj, AccountObj, ContactObj, QuoteObj, QuoteLinesObj, ActiveRecordObj
    and CompetitiveLinesObj, whichever there are: answers of the interface or of its CLI as
    JSON, or CSV with Chinese or English headers. Ends as `import table` does.
    """
    from salesflow.adapters.importers.crm.fxiaoke.system import Fxiaoke

    how = {"currency": currency, "encoding": encoding, "apply_changes": apply_changes}
    _import(context, Fxiaoke, export, timezone, report, trial=trial, strict=strict, **how)


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
