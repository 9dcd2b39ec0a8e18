"""Brings records of HubSpot into one form, whoever exported them.

The interface of today (`properties`, `propertiesWithHistory`), the one before (`versions`), a
CSV saved from the page, and the tables that connectors write into a warehouse say the same in
different words. Here a deal is its id, the present values of its properties by plain names,
the history of each, and the companies it belongs to.

It stands alone so that `hubspot.py` reads as what deals of HubSpot mean, whatever their form.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.crm.exports import (
    FILE,
    CrmRecord,
    TableShape,
    plain_name,
    used,
)
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.ids import id_text

__all__ = [
    "OF_DEALS",
    "SHAPES",
    "StageRow",
    "associated_ids",
    "companies_of",
    "history_of",
    "ids_in",
    "in_one_form",
    "own_id",
    "owner_of",
    "stages_of",
]


OF_DEALS: Final = used(
    "dealstage pipeline amount closedate createdate createdat hslastmodifieddate updatedat"
    " lastmodifieddate hubspotownerid dealowner dealcurrencycode currency closedlostreason"
    " hsmanualforecastcategory forecastcategory hsmergedobjectids mergeddealids hsobjectid id"
    " hsv2dateentered* dateentered* hsv2dateenteredcurrentstage dealname archived isdeleted"
    " associatedcompany associatedcompanyids associatedcompanyid primaryassociatedcompany"
    " recordid dealid companies associations"
)
OF_TABLES: Final = frozenset(
    {
        *(f"property{name}" for name in OF_DEALS),
        *(f"properties{name}" for name in OF_DEALS),
        *used("isdeleted dealpipelineid dealpipelinestageid ownerid archived companies id"),
        *used("createdat updatedat fivetrandeleted"),
    }
)
SHAPES: Final = (
    TableShape(
        "merged", ("dealid|survivingdealid", "mergeddealid"), (), used("fivetransynced")
    ),
    TableShape(
        "pipeline",
        ("id|pipelineid", "label", "stages"),
        (),
        used("displayorder archived"),
    ),
    TableShape(
        "pipeline_row",
        ("pipelineid", "label", "displayorder"),
        (),
        used("active fivetrandeleted"),
    ),
    TableShape(
        "stage",
        ("stageid", "label", "pipelineid", "displayorder|probability|isclosed|closedwon"),
        (),
        used("displayorder probability isclosed closedwon active fivetrandeleted"),
    ),
    TableShape(
        "deal_v1", ("dealid", "properties"), (), used("isdeleted associations portalid")
    ),
    TableShape(
        "object",
        ("id", "properties", "createdat|updatedat|archived|propertieswithhistory"),
        ("deal", "compan", "contact"),
        used(
            "propertieswithhistory createdat updatedat archived archivedat associations"
            " companies"
        ),
    ),
    TableShape(
        "line_object",
        ("id", "properties", "createdat|updatedat|archived"),
        ("line",),
        used("createdat updatedat archived archivedat associations"),
    ),
    TableShape(
        "row",
        (
            "dealid|id",
            "propertydealname|propertiesdealname|dealpipelinestageid|propertiesdealstage",
        ),
        (),
        OF_TABLES,
    ),
    TableShape(
        "owner", ("id|ownerid", "firstname|lastname", "email"), ("owner",), used("lastname")
    ),
    TableShape("csv", ("recordid|dealid|hsobjectid", "dealname"), (), OF_DEALS),
    TableShape(
        "company_csv",
        ("recordid|companyid|hsobjectid", "companyname|name"),
        ("compan", "allcompan", "hubspotcrmexportsallcompan"),
        used("industry country countryregion createdate"),
    ),
    TableShape(
        "contact_csv",
        ("recordid|contactid|hsobjectid", "firstname|lastname", "email"),
        (),
        used(
            "firstname lastname jobtitle phone phonenumber mobilephonenumber createdate"
            " associatedcompanyid associatedcompanyids primaryassociatedcompanyid"
        ),
    ),
    TableShape(
        "history",
        ("dealid", "name|property", "value", "timestamp"),
        (),
        used("source sourcetype sourceid updatedbyuserid"),
    ),
    TableShape(
        "stage_history", ("dealid", "value", "dateentered"), (), used("source sourceid")
    ),
    TableShape(
        "values",
        ("id|recordid", "name", "#1|value|value1", "#2|time|time1|timestamp|timestamp1"),
        (),
        used("#* value* time* property @file"),
    ),
)
"""The tables; what deals were merged is read first, then what stages there are."""
ALIASES: Final[Mapping[str, str]] = {
    "recordid": "id",
    "dealid": "id",
    "hsobjectid": "id",
    "dealowner": "hubspotownerid",
    "ownerid": "hubspotownerid",
    "currency": "dealcurrencycode",
    "lastmodifieddate": "hslastmodifieddate",
    "updatedat": "hslastmodifieddate",
    "createdat": "createdate",
    "forecastcategory": "hsmanualforecastcategory",
    "dealpipelineid": "pipeline",
    "dealpipelinestageid": "dealstage",
    "mergeddealids": "hsmergedobjectids",
    "primaryassociatedcompany": "associatedcompany",
    "associatedcompanyid": "associatedcompanyids",
    "isdeleted": "archived",
    "fivetrandeleted": "archived",
}
"""What connectors and the page call a property, and its name."""
KINDS: Final = (
    ("deal", {"dealname", "dealstage", "closedate"}),
    ("contact", {"firstname", "lastname", "email"}),
    ("line_item", {"quantity", "hslineitemcurrencycode"}),
    ("unread", {"hssku", "hsproductid", "hsproducttype", "hscostofgoodssold"}),
    ("company", {"domain", "name"}),
)
"""Kinds of objects, and properties of which one tells it."""
LISTS: Final = ";,"


def in_one_form(record: CrmRecord) -> CrmRecord:
    """Return a deal or company in one form; other records as they are."""
    values = record.values
    match record.kind:
        case "object" | "line_object":
            return _object(record)
        case "deal_v1":
            return _v1(record)
        case "row":
            found = {_bare(name): value for name, value in values.items()}
            return _deal(record, found, {}, _companies(values.get("companies")), utc=True)
        case "csv":
            ids = values.get("associatedcompanyids") or values.get("associatedcompanyid")
            named = values.get("associatedcompany") or values.get("primaryassociatedcompany")
            companies = _split(ids) or ([str(named)] if named else [])
            return _deal(record, values, {}, companies, utc=False)
        case "contact_csv":
            ids = values.get("associatedcompanyids") or values.get("associatedcompanyid")
            told = {**values, "companies": _split(ids)}
            return CrmRecord("contact", record.place, told)
        case _:
            return record


def _object(record: CrmRecord) -> CrmRecord:
    """Return a record of the interface of today: a deal, or a company."""
    values = record.values
    properties = _mapping(values.get("properties") or {}, "properties")
    history = _mapping(values.get("propertieswithhistory") or {}, "propertiesWithHistory")
    present = {plain_name(name): value for name, value in properties.items()}
    told = {plain_name(name): _entries(name, entries) for name, entries in history.items()}
    for name, entries in told.items():
        present.setdefault(name, entries[0]["value"] if entries else None)
    around = {
        name: values[name]
        for name in ("id", "createdat", "updatedat", "archived", "archivedat")
        if name in values
    }
    kind = next((kind for kind, names in KINDS if names & set(present)), "unread")
    companies = _companies(values.get("companies")) or _associated(values.get("associations"))
    if kind != "deal":
        told_as = {**present, **around, "companies": companies}
        if kind == "line_item":
            told_as["associations"] = values.get("associations")
        return CrmRecord(kind, record.place, told_as)
    deal = _deal(record, {**present, **around}, told, companies, utc=True)
    lines = associated_ids(values.get("associations"), "line")
    return deal._replace(values={**deal.values, "lines": lines})


def associated_ids(associations: object, kind: str) -> list[str]:
    """Return the ids of what a record is associated with, of kinds whose names begin so."""
    found: list[str] = []
    for name, given in associations.items() if isinstance(associations, dict) else ():
        results = given.get("results") if isinstance(given, dict) else given
        if plain_name(name).startswith(kind) and isinstance(results, list):
            told = [each for each in results if isinstance(each, dict)]
            found += [str(each.get("id") or each.get("toObjectId") or "") for each in told]
    return [id for id in dict.fromkeys(found) if id]


def _v1(record: CrmRecord) -> CrmRecord:
    """Return a deal of the interface before: every property holds its versions."""
    values = record.values
    present: dict[str, Any] = {"id": values.get("dealid"), "archived": values.get("isdeleted")}
    history: dict[str, list[dict[str, Any]]] = {}
    for name, each in _mapping(values.get("properties") or {}, "properties").items():
        told = _mapping(each, name)
        present[plain_name(name)] = told.get("value")
        versions = told.get("versions") or []
        history[plain_name(name)] = _entries(name, versions)
    associations = values.get("associations")
    companies = (
        associations.get("associatedCompanyIds") if isinstance(associations, dict) else None
    )
    return _deal(record, present, history, _companies(companies), utc=True)


def _deal(
    record: CrmRecord,
    values: Mapping[str, Any],
    history: Mapping[str, list[dict[str, Any]]],
    companies: list[str],
    *,
    utc: bool,
) -> CrmRecord:
    present: dict[str, Any] = {}
    for name, value in values.items():
        if value not in (None, "", [], {}):
            present.setdefault(ALIASES.get(name, name), value)
    told = {ALIASES.get(name, name): entries for name, entries in history.items()}
    return CrmRecord(
        "deal",
        record.place,
        {
            "values": present,
            "history": told,
            "companies": companies,
            "lines": [],
            "utc": utc,
        },
    )


def _bare(name: str) -> str:
    """Return the name of a property without what connectors put before it."""
    for before in ("properties", "property"):
        if name.startswith(before) and name != before:
            return name.removeprefix(before)
    return name


def _mapping(value: object, column: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RowError("is no object of JSON", column, repr(value)[:80])
    return value


def _entries(name: str, entries: object) -> list[dict[str, Any]]:
    """Return what a property was, newest first or last as it stands there."""
    if isinstance(entries, list) and all(isinstance(each, dict) for each in entries):
        return [{**each, "value": each.get("value")} for each in entries]
    raise RowError("is no list of values", name, repr(entries)[:80])


def _associated(associations: object) -> list[str]:
    """Return the companies of a deal, the primary one first."""
    companies = associations.get("companies") if isinstance(associations, dict) else None
    results = companies.get("results") if isinstance(companies, dict) else companies
    if not isinstance(results, list):
        return []
    found = [each for each in results if isinstance(each, dict)]
    found.sort(key=lambda each: "primary" not in str(each.get("type", "")))
    return _companies([each.get("id", each.get("toObjectId")) for each in found])


def _companies(value: object) -> list[str]:
    if isinstance(value, str):
        return _split(value.strip("[]").replace('"', ""))
    if isinstance(value, list):
        found = (str(each) for each in value if isinstance(each, str | int))
        return list(dict.fromkeys(each for each in found if each))
    return []


def _split(text: object) -> list[str]:
    found = [str(text or "")]
    for mark in LISTS:
        found = [part for each in found for part in each.split(mark)]
    return [part.strip() for part in found if part.strip()]


class StageRow(NamedTuple):
    """A stage as a pipeline defines it."""

    id: str
    label: str
    order: str
    values: Mapping[str, Any]


def stages_of(record: CrmRecord) -> Iterator[StageRow]:
    """Yield the stages of a pipeline's record, or the one a row defines."""
    values = record.values
    given = values.get("stages", []) if record.kind == "pipeline" else [values]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise RowError("is no list of stages", "stages", repr(given)[:80])
    for number, each in enumerate(given):
        told = {plain_name(name): value for name, value in each.items()}
        metadata = told.pop("metadata", None)
        if isinstance(metadata, dict):
            told |= {plain_name(name): value for name, value in metadata.items()}
        id = str(told.get("stageid") or told.get("id") or "")
        label = str(told.get("label") or id)
        yield StageRow(id, label, str(told.get("displayorder", number)), told)


def history_of(values: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Yield values and times of a line of an export of one property's history, in their order.

    Its columns go on in pairs, with a name, a number or nothing above them.
    """
    pairs: dict[int, dict[str, str]] = {}
    for name, value in values.items():
        if name not in ("id", "name", "property", FILE):
            number, part = _pair(name)
            pairs.setdefault(number, {})[part] = value
    for number in sorted(pairs):
        pair = pairs[number]
        if "time" not in pair:
            raise RowError("is empty, and the fact needs it", "time", pair.get("value"))
        yield pair.get("value"), pair["time"]


def _pair(column: str) -> tuple[int, str]:
    """Return which pair a column is of, and what it holds."""
    bare, _, digits = column.partition("#")
    if not bare:
        number = int(digits or 1)
        return (number + 1) // 2, "value" if number % 2 else "time"
    name = bare.rstrip("0123456789")
    held = "time" if any(word in name for word in ("time", "date")) else "value"
    return int(digits or bare[len(name) :] or 1), held


def companies_of(values: Mapping[str, Any]) -> list[str]:
    """Return the companies that a contact belongs to."""
    named = str(values.get("associatedcompanyid") or "")
    found = [*values.get("companies", []), named]
    return [id_text(each, "company") for each in found if each]


def own_id(values: Mapping[str, Any]) -> str:
    """Return the id of a company, contact or owner."""
    names = ("id", "recordid", "companyid", "ownerid", "hsobjectid")
    return id_text(next((values[name] for name in names if name in values), None), "id")


def owner_of(values: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the id of an owner, and the name."""
    names = (values.get("firstname"), values.get("lastname"))
    full = " ".join(str(each) for each in names if each)
    email = values.get("email")
    return own_id(values), full or (str(email) if email else None)


def ids_in(value: object) -> set[str]:
    """Return the deals that a list of merged ones names."""
    text = str(value or "").replace(",", ";")
    return {part.strip() for part in text.split(";") if part.strip()}
