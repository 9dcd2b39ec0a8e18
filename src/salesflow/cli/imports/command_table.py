"""Commands that are alike but for what they import or export: a line each, and its help.

A new system is a folder in `adapters/importers/crm` and a line in `IMPORTS`. It is a module of
its own so that a list of commands, which shows these texts, loads nothing else.
"""

from typing import Final, NamedTuple

__all__ = ["EXPORTS", "IMPORTS", "MadeCommand"]


class MadeCommand(NamedTuple):
    """A command that a function makes for a system or a format."""

    maker: str
    """Module and name of the function."""
    of: str
    """What it makes the command of: the home of a system, the name of a format."""
    help: str


def _system(home: str, help: str) -> MadeCommand:
    """Name the import of exports of a system, a class in a folder of its own."""
    maker = "salesflow.cli.imports.systems:command_of_system"
    return MadeCommand(maker, f"salesflow.adapters.importers.crm.{home}", help)


def _imported_log(format: str, help: str) -> MadeCommand:
    return MadeCommand("salesflow.cli.imports.event_logs:command_of_log", format, help)


def _exported_log(format: str, help: str) -> MadeCommand:
    return MadeCommand("salesflow.cli.exports.histories:command_of_format", format, help)


# The first line of a text is what lists of commands show.

XES: Final = """\
Import an event log in XES as a mapping says; the same file again records nothing twice.

A row is an event; what its trace says is in columns `case:…`. Ends as `import table` does;
a file that is not well-formed XML to its end is refused as a whole.
"""
OCEL: Final = """\
Import an event log in OCEL 2.0 as a mapping says; which objects are deals it says too.

A row is an event, for each deal it names, or a change of an object. Ends as `import table`
does; a file that cannot be read to its end is refused as a whole.
"""
SALESFORCE: Final = """\
Import opportunities with their history from Salesforce, accounts and contacts too.

Reads Opportunity.csv, OpportunityHistory.csv, OpportunityFieldHistory.csv, Account.csv,
Contact.csv and others of an export, whichever there are. The same export again records
nothing twice. Ends as `import table` does.
"""
HUBSPOT: Final = """\
Import deals with the history of their properties from HubSpot, companies too.

Reads answers of its interface (deals, pipelines, companies), CSV files saved from its
pages, an export of the history of one property, and the tables that connectors write,
whichever there are. The same export again records nothing twice. Ends as `import table`
does.
"""
PIPEDRIVE: Final = """\
Import deals with their changes from Pipedrive, organizations and persons too.

Reads answers of its interface (deals, the flow of a deal, stages, pipelines, organizations,
persons, recents) and CSV files saved from its pages, whichever there are. The same export
again records nothing twice. Ends as `import table` does.
"""
ODOO: Final = """\
Import opportunities with their tracked changes from Odoo, customers too.

Reads crm.lead, mail.message, mail.tracking.value, crm.stage, crm.lost.reason, res.partner,
res.users and ir.model.fields, as its interface, its pages or its database give them,
whichever there are. Leads that are no opportunities are left out. The same export again
records nothing twice. Ends as `import table` does.
"""
ZOHO: Final = """\
Import deals with their history from Zoho CRM, accounts, contacts and quotes too.

Reads Deals, DealHistory or Stage_History, __timeline, pipelines, Accounts, Contacts and
Quotes, whichever there are: answers of the interface as JSON, bulk read or the page's
export as CSV. Ends as `import table` does.
"""
FXIAOKE: Final = """\
Import opportunities from Fxiaoke (纷享销客), with accounts, quotes and follow-ups.

Reads NewOpportunityObj, AccountObj, ContactObj, QuoteObj, QuoteLinesObj, ActiveRecordObj
and CompetitiveLinesObj, whichever there are: answers of the interface or of its CLI as
JSON, or CSV with Chinese or English headers. Ends as `import table` does.
"""

IMPORTS: Final = {
    "xes": _imported_log("xes", XES),
    "ocel": _imported_log("ocel", OCEL),
    "salesforce": _system("salesforce.system:Salesforce", SALESFORCE),
    "hubspot": _system("hubspot.system:HubSpot", HUBSPOT),
    "pipedrive": _system("pipedrive.system:Pipedrive", PIPEDRIVE),
    "odoo": _system("odoo.system:Odoo", ODOO),
    "zoho": _system("zoho.system:Zoho", ZOHO),
    "fxiaoke": _system("fxiaoke.system:Fxiaoke", FXIAOKE),
}
EXPORTS: Final = {
    "xes": _exported_log(
        "xes", "Write the histories of deals as XES (IEEE 1849): a trace for each deal."
    ),
    "ocel": _exported_log(
        "ocel",
        "Write deals, quotes, customers, people, reps, products and their events as OCEL 2.0.",
    ),
}
