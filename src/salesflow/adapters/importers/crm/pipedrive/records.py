"""Brings records of Pipedrive into one form, whoever exported them.

Its interface answers with objects, within one another in places (`org_id` is a number or an
object that holds one), with changes of a deal (`flow`) and with items of several kinds in one
list (`recents`); the page saves a CSV with labels that differ from one version to the next.

A module of its own, so that `pipedrive.py` reads as what deals of Pipedrive mean.
"""

from collections.abc import Mapping
from typing import Any, Final

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape, used
from salesflow.adapters.importers.errors import RowError

__all__ = ["SHAPES", "id_in", "in_one_form", "name_in"]


OF_DEALS: Final = used(
    "id title value currency status stageid pipelineid probability expectedclosedate addtime"
    " updatetime stagechangetime closetime wontime firstwontime losttime lostreason userid"
    " ownerid creatoruserid personid orgid deleted isdeleted active origin channel ownername"
    " orgname personname"
)
OF_CSV: Final = used(
    "id pipedrivesystemid title value currency currencyofvalue pipeline stage stagepipeline"
    " status owner organization organisation contactperson person dealcreated created addtime"
    " wontime losttime firstwontime closedon closetime lostreason expectedclosedate probability"
    " updatetime lastupdatetime laststagechange stagechangetime organizationid contactpersonid"
)
SHAPES: Final = (
    TableShape(
        "stage",
        ("id", "name", "pipelineid", "ordernr|dealprobability"),
        (),
        used("dealprobability activeflag isdeleted pipelinename"),
    ),
    TableShape("pipeline", ("id", "name"), ("pipeline",), used("ordernr active isdeleted")),
    TableShape("user", ("id", "name"), ("user",), used("activeflag")),
    TableShape("recents", ("item", "id", "data"), (), used("")),
    TableShape(
        "organization",
        ("id|organizationid", "name|organizationname"),
        ("organization", "organisation", "orgs"),
        used("addtime deleteflag activeflag isdeleted countrycode addresscountry"),
    ),
    TableShape(
        "person",
        ("id|personid", "name|personname"),
        ("person", "people"),
        used(
            "orgid orgname email phone emails phones addtime jobtitle activeflag isdeleted"
            " personorganization personemail personphone"
        ),
    ),
    TableShape("deal", ("id", "title", "status", "stageid"), (), OF_DEALS),
    TableShape(
        "csv",
        (
            "dealid|dealpipedrivesystemid|id",
            "dealtitle|title",
            "dealstatus|status|dealstage|stage",
        ),
        (),
        OF_CSV | {f"deal{name}" for name in OF_CSV},
    ),
    TableShape("flow", ("object", "timestamp", "data"), (), used("")),
    TableShape(
        "change",
        ("itemid|dealid", "fieldkey", "newvalue", "logtime"),
        (),
        used("id oldvalue userid"),
    ),
)
"""The tables; what stages there are is read first."""
ALIASES: Final[Mapping[str, str]] = {
    "pipedrivesystemid": "id",
    "currencyofvalue": "currency",
    "stagepipeline": "stageid",
    "stage": "stageid",
    "pipeline": "pipelineid",
    "owner": "userid",
    "ownerid": "userid",
    "organization": "orgid",
    "organisation": "orgid",
    "organizationid": "orgid",
    "person": "personid",
    "contactperson": "personid",
    "contactpersonid": "personid",
    "created": "addtime",
    "dealcreated": "addtime",
    "closedon": "closetime",
    "lastupdatetime": "updatetime",
    "laststagechange": "stagechangetime",
    "isdeleted": "deleted",
}
ITEMS: Final = frozenset({"deal", "person", "organization", "stage", "pipeline", "user"})
"""Kinds of items of a list of recent ones that are read."""


def in_one_form(record: CrmRecord) -> CrmRecord:
    """Return a record as what it is about, with the names of the interface."""
    match record.kind:
        case "recents":
            return _item(record)
        case "flow":
            return _change(record)
        case "deal":
            return _deal(record, record.values, utc=True)
        case "csv":
            bare = {_bare(name): value for name, value in record.values.items()}
            return _deal(record, bare, utc=False)
        case "person" | "organization":
            return record._replace(values=_plain(record))
        case _:
            return record


def id_in(value: object) -> object:
    """Return the id of what a record refers to, whether by number or as an object."""
    if isinstance(value, dict):
        return value.get("value") or value.get("id")
    return value


def name_in(value: object) -> str | None:
    """Return the name of what a record refers to, where it is an object."""
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name else None


def _deal(record: CrmRecord, values: Mapping[str, Any], *, utc: bool) -> CrmRecord:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found.setdefault(ALIASES.get(name, name), value)
    return CrmRecord("deal", record.place, {**found, "utc": utc})


def _bare(name: str) -> str:
    """Return a label of a CSV without the `Deal - ` before it."""
    bare = name.removeprefix("deal")
    return bare if bare in OF_CSV else name


def _item(record: CrmRecord) -> CrmRecord:
    """Return an item of a list of recent ones, of whichever kind it is."""
    kind = str(record.values.get("item"))
    if kind not in ITEMS:
        return CrmRecord("unread", record.place, {"kind": kind})
    data = record.values.get("data")
    if data is None:
        return CrmRecord("deleted", record.place, {})
    if not isinstance(data, dict):
        raise RowError("is no object of JSON", "data", repr(data)[:80])
    plain = {name.replace("_", "").casefold(): value for name, value in data.items()}
    told = {name: value for name, value in plain.items() if value not in (None, "", [], {})}
    return in_one_form(CrmRecord(kind, record.place, told))


def _change(record: CrmRecord) -> CrmRecord:
    kind, data = record.values.get("object"), record.values.get("data")
    if kind != "dealChange":
        return CrmRecord("unread", record.place, {"kind": str(kind)})
    if not isinstance(data, dict):
        raise RowError("is no object of JSON", "data", repr(data)[:80])
    told = {name.replace("_", "").casefold(): value for name, value in data.items()}
    told.setdefault("logtime", record.values.get("timestamp"))
    return CrmRecord("change", record.place, told)


def _plain(record: CrmRecord) -> dict[str, Any]:
    """Return a person or organization by the names of the interface, also of a CSV."""
    found: dict[str, Any] = {}
    for name, value in record.values.items():
        bare = name.removeprefix(record.kind) if name != record.kind else name
        found.setdefault({"organization": "orgname"}.get(bare, bare), value)
    return found
