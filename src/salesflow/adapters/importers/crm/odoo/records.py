"""Brings records of Odoo into one form, whoever exported them.

Its interface answers `[4, "Proposal"]` for what a record refers to and `false` for what is
empty, its database and import-compatible exports hold numbers or external ids, the exports of
its pages labels. Here a reference is an id, a name, or both; what is empty is not there.

A module of its own, so that `odoo.py` reads as what leads of Odoo mean.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape, plain_name, used

__all__ = ["SHAPES", "OdooMessages", "OdooNames", "Ref", "id_of", "in_one_form", "ref_in"]


SHAPES: Final = (
    TableShape(
        "stage", ("id", "name", "iswon|sequence|fold"), (), used("iswon sequence teamid")
    ),
    TableShape("lostreason", ("id", "name"), ("crmlostreason", "lostreason"), used("active")),
    TableShape("user", ("id", "name", "login"), (), used("")),
    TableShape(
        "partner",
        (
            "id|externalid",
            "name|displayname",
            "iscompany|companytype|parentid|commercialpartnerid",
        ),
        ("respartner", "partner", "contact", "customer"),
        used("email phone mobile function countryid industryid active createdate companyname"),
    ),
    TableShape("field", ("id", "name", "ttype|fielddescription"), (), used("model modelid")),
    TableShape(
        "lead",
        (
            "id|externalid",
            "name|opportunity",
            "stageid|stage|stageidid",
            "expectedrevenue|plannedrevenue|probability|type|active|datedeadline"
            "|expectedclosing|salesperson|userid|partnerid|customer",
        ),
        (),
        used(
            "id#2 automatedprobability userid salesperson teamid partnerid customer createdate"
            " createdon writedate lastupdatedon dateclosed closeddate datelaststageupdate"
            " laststageupdate dateconversion conversiondate lostreasonid lostreason"
            " companycurrency currency currencyid wonstatus active type datedeadline"
            " expectedclosing expectedrevenue plannedrevenue probability createuid stageidid"
            " useridid partneridid lostreasonidid"
        ),
    ),
    TableShape(
        "message", ("id", "resid", "date"), (), used("model authorid subject messagetype")
    ),
    TableShape(
        "tracking",
        (
            "mailmessageid",
            "fieldid|field|fieldinfo|fielddesc",
            "oldvalueinteger|newvalueinteger|oldvaluechar|newvaluechar",
        ),
        (),
        used(
            "id oldvalueinteger newvalueinteger oldvaluechar newvaluechar oldvaluefloat"
            " newvaluefloat oldvaluemonetary newvaluemonetary oldvaluedatetime newvaluedatetime"
            " oldvaluetext newvaluetext currencyid createdate fieldinfo fieldid field fielddesc"
        ),
    ),
)
"""The tables, in the order in which one needs the other."""
ALIASES: Final[Mapping[str, str]] = {
    "externalid": "id",
    "opportunity": "name",
    "stage": "stageid",
    "stageidid": "stageid",
    "salesperson": "userid",
    "useridid": "userid",
    "customer": "partnerid",
    "partneridid": "partnerid",
    "createdon": "createdate",
    "lastupdatedon": "writedate",
    "expectedclosing": "datedeadline",
    "plannedrevenue": "expectedrevenue",
    "closeddate": "dateclosed",
    "laststageupdate": "datelaststageupdate",
    "conversiondate": "dateconversion",
    "lostreason": "lostreasonid",
    "lostreasonidid": "lostreasonid",
    "currency": "companycurrency",
    "currencyid": "companycurrency",
    "displayname": "name",
}
FLAGS: Final = frozenset({"active", "iswon", "iscompany"})
"""Fields in which false means something."""
EXPORTED: Final = re.compile(r"__export__\.[a-z_]+?_(\d+)(?:_[0-9a-f]+)?")
"""An external id that Odoo made up for an export: the number is that of the record."""


class Ref(NamedTuple):
    """What a record refers to, by id, by name, or both."""

    id: str | None = None
    name: str | None = None


def in_one_form(record: CrmRecord) -> CrmRecord:
    """Return a record by the names of its fields, without what is empty."""
    told: dict[str, Any] = {}
    aliases = ALIASES if record.kind in ("lead", "partner") else {}
    for name, value in record.values.items():
        if value is not False or name in FLAGS:
            told.setdefault(aliases.get(name, name), value)
    return record._replace(values=told)


def id_of(values: Mapping[str, Any]) -> object:
    """Return the id of a record, the number of the database where it is there."""
    for name in ("id", "id#2"):
        text = str(values.get(name, ""))
        if text.isdigit():
            return text
        exported = EXPORTED.fullmatch(text)
        if exported is not None:
            return exported[1]
    return values.get("id")


def ref_in(value: object) -> Ref:
    """Return what a field refers to: `[4, "Proposal"]`, a number, an external id or a label."""
    if isinstance(value, dict):
        return ref_in([value.get("id"), value.get("display_name", value.get("name"))])
    if isinstance(value, list):
        id = str(value[0]) if value and value[0] else None
        name = str(value[1]) if len(value) > 1 and value[1] else None
        return Ref(id, name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    exported = EXPORTED.fullmatch(text)
    if exported is not None:
        return Ref(exported[1])
    if text.isdigit():
        return Ref(text if text.strip("0") else None)
    return Ref(None, text or None)


class OdooNames:
    """Ids and names of what records refer to, as some say the one and some the other."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def see(self, kind: str, ref: Ref) -> None:
        """Note that an id bears a name."""
        if ref.id and ref.name:
            self._names.setdefault((kind, ref.id), ref.name)
            self._ids.setdefault((kind, plain_name(ref.name)), ref.id)

    def all(self, kind: str) -> Iterator[Ref]:
        """Yield every id of a kind whose name is known."""
        for (of, id), name in self._names.items():
            if of == kind:
                yield Ref(id, name)

    def of(self, kind: str, id: str) -> str | None:
        """Return the name of an id."""
        return self._names.get((kind, id))

    def resolve(self, kind: str, ref: Ref) -> str | None:
        """Return the id of what is referred to, or its name where no id is known."""
        return ref.id or self._ids.get((kind, plain_name(ref.name or ""))) or ref.name


class OdooMessages:
    """What messages are about, in a temporary file: there are more of them than of anything."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.execute(
            "CREATE TABLE messages (id TEXT PRIMARY KEY, resid, date, author, subject, model)"
        )

    def keep(self, id: str, values: Mapping[str, Any]) -> None:
        """Keep what a message says of the changes tracked with it."""
        told = [ref_in(values.get("resid")).id, values.get("date")]
        author = ref_in(values.get("authorid")).id
        told += [author, values.get("subject"), values.get("model")]
        texts = [None if each is None else str(each) for each in told]
        self._file.execute(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?)", [id, *texts]
        )

    def get(self, id: str) -> dict[str, str]:
        """Return what is known of a message; nothing of one that is not there."""
        found = self._file.execute("SELECT * FROM messages WHERE id = ?", [id]).fetchone()
        names = ("resid", "date", "authorid", "subject", "model")
        told = zip(names, found[1:], strict=True) if found else ()
        return {name: value for name, value in told if value is not None}
