"""Pipedrive: deals with their changes, from its interface or a CSV.

A deal that is won or lost stays in its stage there, and its status says so; here it goes to the
stage `won` or `lost` that every pipeline ends with (see `with_outcomes`). Without the changes
(`flow`) of a deal, what its record says of its own times is told: when it came to its stage,
was won, first won, or lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, ClassVar, Final, NamedTuple

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape, plain_name
from salesflow.adapters.importers.crm.named_pipelines import NamedPipelines
from salesflow.adapters.importers.crm.outcome_beside_stage import (
    CLOSED_STAGES,
    LOST,
    WHEN_CLOSED,
    WON,
    with_outcomes,
)
from salesflow.adapters.importers.crm.pipedrive.records import (
    SHAPES,
    id_in,
    in_one_form,
    name_in,
)
from salesflow.adapters.importers.crm.reading import TRUE, is_zero
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord
from salesflow.adapters.importers.crm.stages import CrmStage
from salesflow.adapters.importers.crm.system import (
    BY_ITS_PEOPLE,
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    left_out_deal,
    name_by_id,
    refusing,
)
from salesflow.adapters.importers.crm.tied_steps import by_number, in_order_of_time
from salesflow.adapters.importers.errors import RowError, needed
from salesflow.adapters.importers.ids import AN_ACTOR, ensure_storable, id_text
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import Fact
from salesflow.domain.wording import Message

__all__ = ["Pipedrive"]


MAIN: Final = "pipedrive"
FIELDS: Final[Mapping[str, Attribute]] = {
    "stageid": "stage",
    "pipelineid": "process",
    "status": "status",
    "value": "amount",
    "currency": "amount",
    "expectedclosedate": "expected_close",
    "userid": "owner",
    "orgid": "customer",
    "personid": "customer",
    "probability": "probability",
    "lostreason": "loss_reason",
}
"""Fields whose changes are read, and what each is of a deal."""
CREATION: Final = "addtime"
EVERYTHING: Final[frozenset[Attribute]] = frozenset(
    {
        *("process", "stage", "amount", "expected_close", "probability", "owner", "customer"),
        "loss_reason",
    }
)
PERSON: Final = "person/"
"""Begins the id of a customer that is a person, with no organization."""
DELETED: Final = "deleted in Pipedrive"
OF_DELETED: Final = "about a deal that was deleted in Pipedrive"
UNREAD_FIELD: Final = "changes of {field} are not read"
UNREAD_KIND: Final = "items of this kind are not read: {kind}"
TAKEN_UP_AGAIN: Final = "won a second time then; no record says when it was taken up again"
ENDED: Final[Mapping[str, str]] = {"won": WON, "lost": LOST}


class _FieldChange(NamedTuple):
    """A change of one field of a deal."""

    place: int
    id: str
    at: ReadTime
    field: str
    old: object
    new: object
    actor: str | None


class Pipedrive(CrmSystem):
    """An export of Pipedrive."""

    name: ClassVar[str] = "pipedrive"
    hint: ClassVar[str] = "table of deals (deals.json, a CSV of deals, or their changes)"
    needed: ClassVar[tuple[str, ...]] = ("deal", "csv", "flow", "change", "recents")
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._pipelines = NamedPipelines(MAIN, "Pipedrive", CLOSED_STAGES)
        self._names: dict[str, str] = {}
        self._pipeline_of: dict[str, str] = {}

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a record as what it is about, whoever exported it."""
        return in_one_form(record)

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out items that are gone, and of kinds that are not read."""
        if record.kind == "unread":
            return Message(UNREAD_KIND, kind=record.values["kind"])
        if record.kind == "deleted":
            return DELETED
        if record.kind in ("person", "organization"):
            gone = str(record.values.get("activeflag", "true")).casefold() == "false"
            deleted = str(record.values.get("isdeleted", "")).casefold() in TRUE
            return DELETED if gone or deleted else None
        return None

    def look(self, record: CrmRecord) -> None:
        """Note pipelines, stages, customers, and how days are written."""
        values = record.values
        match record.kind:
            case "pipeline":
                self._pipelines.define(str(values.get("id", "")), str(values.get("name", "")))
            case "stage":
                self._define_stage(values)
            case "user":
                self.name_owner(id_text(values.get("id"), "id"), values.get("name"))
            case "organization":
                self.registered.add(id_text(values.get("id"), "id"))
            case "person":
                if not id_in(values.get("orgid")):
                    self.registered.add(PERSON + id_text(values.get("id"), "id"))
            case "deal":
                self._look_at_deal(values)
            case _:
                self._look_at_change(values)

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the deal or customer a record is about."""
        values = record.values
        match record.kind:
            case "pipeline" | "stage" | "user":
                return None
            case "organization":
                return customer_object(id_text(values.get("id"), "id"))
            case "person":
                org = id_in(values.get("orgid"))
                named = id_text(values.get("id"), "id")
                return customer_object(id_text(org, "org_id") if org else PERSON + named)
            case "deal":
                return id_text(values.get("id"), "id")
            case _:
                return id_text(values.get("itemid") or values.get("dealid"), "item_id")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the pipelines that deals are in."""
        return self._pipelines.all()

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield an organization, or a person of one; a person of none is a customer."""
        read, values = self.reader(utc=True), record.values
        at = read.time(values, "addtime")
        name = read.text(values, "name")
        if record.kind == "organization":
            region = read.text(values, "countrycode", "addresscountry")
            yield "customer", CustomerRegistered(name=name, region=region), at
            return
        if id.startswith(PERSON):
            yield "customer", CustomerRegistered(name=name, natural_person=True), at
            return
        if id not in self.registered:
            organization = name_in(values.get("orgid")) or read.text(values, "orgname")
            known = CustomerRegistered(name=organization, inferred=BY_ITS_PEOPLE)
            yield "customer", known, at
        person = id_text(values.get("id"), "id")
        yield self.contact_person(
            person,
            at,
            name=name,
            position=read.text(values, "jobtitle"),
            email=_first_of(values.get("email") or values.get("emails")),
            phone=_first_of(values.get("phone") or values.get("phones")),
        )

    def customer_named(self, id: str, deal: CrmDeal) -> CustomerRegistered:
        """Return a customer of whom only deals speak; an id is no name."""
        del deal
        name = self._names.get(id) or name_by_id(id.removeprefix(PERSON))
        return CustomerRegistered(name=name, natural_person=id.startswith(PERSON))

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return a deal with its history."""
        deal = CrmDeal(id)
        if any(map(_is_deleted, records)):
            return left_out_deal(id, records, "deal", DELETED, OF_DELETED)
        changes: list[_FieldChange] = []
        raw: dict[str, Any] = {}
        for record in sorted(records, key=lambda each: each.kind != "deal"):
            with refusing(record, refused):
                if record.kind == "deal":
                    self._take_deal(deal, record)
                    raw = dict(record.values)
                else:
                    changes += self._change(deal, record)
        self._take_changes(deal, changes, raw, refused)
        if raw and not any(change.field in ("status", "stageid") for change in changes):
            place = deal.place if deal.place is not None else records[0].place
            with refusing(records[0]._replace(place=place), refused):
                deal.steps += self._own_times(deal, raw)
        deal.steps, deal.tied = in_order_of_time(deal.steps, deal.now, by_number)
        with_outcomes(deal)
        return deal

    # Looking: what has to be known of all records before any deal is read.

    def _define_stage(self, values: Mapping[str, Any]) -> None:
        percent = str(values.get("dealprobability", ""))
        share = Decimal(percent) / 100 if percent.isdecimal() and len(percent) <= 3 else None
        stage = CrmStage(
            str(values.get("id", "")),
            str(values.get("name", "")),
            probability=share if share is None or share <= 1 else None,
        )
        pipeline = str(values.get("pipelineid", ""))
        self._pipelines.define_stage(pipeline, str(values.get("ordernr", "")), stage)

    def _look_at_deal(self, values: Mapping[str, Any]) -> None:
        for name in ("addtime", "wontime", "losttime", "updatetime", "expectedclosedate"):
            self.days.see(str(values.get(name, "")))
        place = str(values.get("pipelineid", "")), str(values.get("stageid", ""))
        self._pipeline_of[str(values.get("id", ""))] = self._pipelines.see(*place)
        owner = values.get("userid")
        self.name_owner(str(id_in(owner) or ""), name_in(owner) or values.get("ownername"))
        self.has_zeros |= is_zero(values.get("value"))
        valued = "value" in values and not is_zero(values["value"])
        self.has_amounts |= valued and "currency" not in values
        for column, named, prefix in (
            ("orgid", "orgname", ""),
            ("personid", "personname", PERSON),
        ):
            found = id_in(values.get(column))
            called = name_in(values.get(column)) or values.get(named)
            if found and isinstance(called, str):
                self._names.setdefault(f"{prefix}{found}", called)

    def _look_at_change(self, values: Mapping[str, Any]) -> None:
        field = plain_name(str(values.get("fieldkey", "")))
        id = str(values.get("itemid") or values.get("dealid") or "")
        for name in ("oldvalue", "newvalue"):
            value = str(values.get(name) or "")
            if value and field == "stageid":
                self._pipelines.see(
                    "" if self._pipelines.has(value) else self._pipeline_of.get(id, ""), value
                )
            elif value and field == "pipelineid":
                self._pipelines.see(value, "")

    # Reading one deal.

    def _take_deal(self, deal: CrmDeal, record: CrmRecord) -> None:
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        values = record.values
        read = self.reader(utc=values["utc"])
        deal.currency = read.text(values, "currency")
        process, stage = self._pipelines.find(
            read.text(values, "pipelineid") or "", read.text(values, "stageid") or ""
        )
        deal.process = process
        deal.opened = read.time(values, "addtime")
        deal.modified = read.time(values, "updatetime")
        deal.stage_entered = read.time(values, "stagechangetime")
        creator = id_in(values.get("creatoruserid"))
        deal.opened_by = ensure_storable(str(creator), AN_ACTOR) if creator else None
        deal.title = read.text(values, "title")
        deal.lead_source = read.text(values, "channel", "origin")
        deal.now = {
            "expected_close": read.day(values, "expectedclosedate"),
            "owner": _reference(values.get("userid"), "user_id"),
            "customer": _customer(values),
            "amount": read.float_amount(values.get("value"), "value", deal.currency),
            "loss_reason": read.text(values, "lostreason"),
            "status": _status(read.text(values, "status")),
        }
        if stage is not None:
            deal.now["stage"] = stage
        if "probability" in values:
            deal.now["probability"] = self._probability(values, "probability", process, stage)
        if deal.now["status"] in (WON, LOST):
            deal.stage_entered = self._closed(values) or deal.stage_entered
        deal.place = record.place

    def _probability(
        self, values: Mapping[str, Any], column: str, process: str, stage: str | None
    ) -> object:
        share = self.reader(utc=True).percent(values, column)
        usual = self._pipelines.stage(process, stage or "")
        return None if usual is not None and usual.probability == share else share

    def _closed(self, values: Mapping[str, Any]) -> ReadTime | None:
        """Return when a deal was closed, as its own record says."""
        read = self.reader(utc=values["utc"])
        own = "wontime" if _status(read.text(values, "status")) == WON else "losttime"
        return read.time(values, own, "closetime")

    def _own_times(self, deal: CrmDeal, values: Mapping[str, Any]) -> Iterator[HistoryRecord]:
        """Yield what the record of a deal says of its own times, where its changes are not."""
        read, place = self.reader(utc=values["utc"]), deal.place or 0
        stage, closed = deal.now.get("stage"), self._closed(values)
        entered = read.time(values, "stagechangetime")
        if stage is not None and entered is not None:
            yield HistoryRecord(place, "", entered, None, {"stage": stage})
        elif stage is not None and closed is not None:
            why: dict[Attribute, str] = {"stage": WHEN_CLOSED}
            yield HistoryRecord(place, "", closed, None, {"stage": stage}, inferred=why)
        first, status = read.time(values, "firstwontime"), deal.now["status"]
        if first is not None and (status != WON or first != closed):
            yield HistoryRecord(place, "", first, None, {"status": WON})
            if status == WON and closed is not None:
                again: dict[Attribute, object] = {"status": "open"}
                why = {"stage": TAKEN_UP_AGAIN}
                yield HistoryRecord(place, "", closed, None, again, inferred=why)
        if status in (WON, LOST) and closed is not None:
            yield HistoryRecord(place, "", closed, None, {"status": status})

    # Changes: those of one second are one step, in the order of their numbers.

    def _change(self, deal: CrmDeal, record: CrmRecord) -> Iterator[_FieldChange]:
        values = record.values
        named = str(values.get("fieldkey", ""))
        field = plain_name(named)
        field = "userid" if field == "ownerid" else field
        if field == CREATION:
            deal.whole = EVERYTHING
            deal.left_out[record.place] = "creation, which the record of the deal tells"
            return
        if field not in FIELDS:
            deal.left_out[record.place] = Message(UNREAD_FIELD, field=named)
            return
        at = needed(self.reader(utc=True).time(values, "logtime"), "log_time")
        user = id_in(values.get("userid"))
        yield _FieldChange(
            record.place,
            str(values.get("id") or ""),
            at,
            field,
            values.get("oldvalue"),
            values.get("newvalue"),
            ensure_storable(str(user), AN_ACTOR) if user else None,
        )

    def _take_changes(
        self,
        deal: CrmDeal,
        changes: list[_FieldChange],
        raw: Mapping[str, Any],
        refused: dict[int, RowError],
    ) -> None:
        changes.sort(key=lambda each: (each.at.instant, len(each.id), each.id))
        known = _before(changes, raw)
        for _, together in groupby(changes, key=lambda each: each.at.instant):
            group = list(together)
            fields = [change.field for change in group]
            for part in (
                [group] if len(set(fields)) == len(fields) else [[one] for one in group]
            ):
                record = CrmRecord("change", part[0].place, {})
                with refusing(record, refused):
                    deal.steps.append(self._step(deal, part, known))
                    first = part[0].place
                    deal.told_with.update({one.place: first for one in part[1:]})

    def _step(
        self, deal: CrmDeal, group: Sequence[_FieldChange], known: dict[str, Any]
    ) -> HistoryRecord:
        was = {**known, **{one.field: one.old for one in group}}
        known.update({one.field: one.new for one in group})
        names = {FIELDS[one.field] for one in group}
        before = {name: self._value(deal, name, was) for name in names}
        after = {name: self._value(deal, name, known) for name in names}
        first = group[0]
        return HistoryRecord(first.place, first.id, first.at, first.actor, after, before)

    def _value(self, deal: CrmDeal, name: Attribute, values: Mapping[str, Any]) -> object:
        """Return an attribute of a deal by its raw fields."""
        read = self.reader(utc=True)
        found: object = None
        match name:
            case "stage" | "process" | "probability":
                found = self._place(deal, name, values)
            case "status":
                found = _status(read.text(values, "status"))
            case "amount":
                currency = read.text(values, "currency") or deal.currency
                found = read.float_amount(values.get("value"), "value", currency)
            case "expected_close":
                found = read.day(values, "expectedclosedate")
            case "owner":
                found = _reference(values.get("userid"), "user_id")
            case "customer":
                found = _customer(values)
            case _:
                found = read.text(values, "lostreason")
        return found

    def _place(self, deal: CrmDeal, name: Attribute, values: Mapping[str, Any]) -> object:
        """Return the pipeline or stage of a deal, or its probability where it is another."""
        process = self._pipelines.find(str(values.get("pipelineid") or deal.process), "")[0]
        stage = self._pipelines.find(process, str(values.get("stageid") or ""))[1]
        if name == "probability":
            return self._probability(values, "probability", process, stage)
        return process if name == "process" else stage


def _before(changes: Sequence[_FieldChange], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a deal before its first change."""
    known = {name: raw.get(name) for name in ("value", "currency", "stageid", "pipelineid")}
    known |= {name: raw.get(name) for name in ("orgid", "personid", "status", "userid")}
    for change in reversed(changes):
        known[change.field] = change.old
    return known


def _is_deleted(record: CrmRecord) -> bool:
    values = record.values
    flagged = str(values.get("deleted", "")).casefold() in TRUE
    gone = str(values.get("status", "")).casefold() == "deleted"
    return record.kind == "deal" and (flagged or gone)


def _status(text: str | None) -> str | None:
    return None if text is None else ENDED.get(text.casefold(), "open")


def _reference(value: object, column: str) -> str | None:
    found = id_in(value)
    return ensure_storable(str(found), AN_ACTOR, column) if found else None


def _customer(values: Mapping[str, Any]) -> str | None:
    """Return who a deal is with: its organization, else its person."""
    organization, person = id_in(values.get("orgid")), id_in(values.get("personid"))
    if organization:
        return id_text(str(organization), "org_id")
    return PERSON + id_text(str(person), "person_id") if person else None


def _first_of(value: object) -> str | None:
    """Return an address or number, the primary one of several."""
    if isinstance(value, list):
        rows = [each for each in value if isinstance(each, dict) and each.get("value")]
        rows.sort(key=lambda each: str(each.get("primary", "")).casefold() not in TRUE)
        return str(rows[0]["value"]) if rows else None
    return value if isinstance(value, str) and value else None
