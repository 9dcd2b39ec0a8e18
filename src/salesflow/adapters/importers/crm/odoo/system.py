"""Odoo: opportunities (`crm.lead`) with the changes that Odoo tracks of them.

A change is a tracking value (`mail.tracking.value`) of a message (`mail.message`) of the
opportunity; those of one message are one step. An opportunity is won in a stage that is marked
so; lost it is archived where it was, and here goes to the stage `lost` (see `with_outcomes`).
Odoo puts the messages of an opportunity that was merged into another one with those of the
survivor, as "From …": they are kept apart, and listed.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, ClassVar, Final, NamedTuple

from salesflow.adapters.importers.crm import reading
from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape, plain_name
from salesflow.adapters.importers.crm.named_pipelines import NamedPipelines
from salesflow.adapters.importers.crm.odoo.records import (
    SHAPES,
    OdooMessages,
    OdooNames,
    Ref,
    id_of,
    in_one_form,
    ref_in,
)
from salesflow.adapters.importers.crm.outcome_beside_stage import (
    CLOSED_STAGES,
    LOST,
    WHEN_CLOSED,
    with_outcomes,
)
from salesflow.adapters.importers.crm.reading import is_zero
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord
from salesflow.adapters.importers.crm.stages import CrmStage, closing_category
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

__all__ = ["Odoo"]


TRUE: Final = reading.TRUE | {"t"}
FALSE: Final = frozenset({"false", "0", "no", "f"})
MAIN: Final = "odoo"
LEAD: Final = "crm.lead"
FIELDS: Final[Mapping[str, Attribute]] = {
    "stageid": "stage",
    "active": "status",
    "wonstatus": "status",
    "expectedrevenue": "amount",
    "plannedrevenue": "amount",
    "datedeadline": "expected_close",
    "userid": "owner",
    "partnerid": "customer",
    "probability": "probability",
    "lostreasonid": "loss_reason",
    "lostreason": "loss_reason",
}
"""Fields whose changes are read, and what each is of a deal."""
ALWAYS_TRACKED: Final[frozenset[Attribute]] = frozenset({"stage", "owner"})
NO_OPPORTUNITY: Final = "a lead that is no opportunity yet"
OF_LEAD: Final = "about a lead that is no opportunity yet"
OF_ANOTHER: Final = "about {model}, which is no opportunity"
UNREAD_FIELD: Final = "changes of {field} are not read"
NO_MESSAGE: Final = "its message is not in the export, which says of what and when it was"
OF_MERGED: Final = "of an opportunity that was merged into this one, and kept apart: {subject}"
ONLY_WORDS: Final = "a message with which no change of a field is tracked"
FROM: Final = "from"


class _TrackedChange(NamedTuple):
    """A change of one field, by a message."""

    place: int
    id: str
    message: str
    at: ReadTime
    name: Attribute
    old: object
    new: object
    actor: str | None


class Odoo(CrmSystem):
    """An export of Odoo."""

    name: ClassVar[str] = "odoo"
    hint: ClassVar[str] = "table of opportunities (crm.lead)"
    needed: ClassVar[tuple[str, ...]] = ("lead",)
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES
    of_zeros = Message("an expected revenue of 0 is taken for none; Odoo writes it so")

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._stages = NamedPipelines(MAIN, "Odoo", CLOSED_STAGES[1:])
        self._names = OdooNames()
        self._messages = OdooMessages()
        self._companies: dict[str, str] = {}
        """From a contact to the company it belongs to."""

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a record in one form; a change with what its message says."""
        record = in_one_form(record)
        if record.kind != "tracking":
            return record
        message = self._messages.get(ref_in(record.values.get("mailmessageid")).id or "")
        return record._replace(values={**record.values, **message})

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out what is about something else."""
        model = str(record.values.get("model", LEAD))
        if record.kind in ("message", "tracking") and model not in (LEAD, "crm_lead"):
            return Message(OF_ANOTHER, model=model)
        if record.kind == "tracking" and "resid" not in record.values:
            return NO_MESSAGE
        return None

    def look(self, record: CrmRecord) -> None:
        """Note stages, names and messages, and how days are written."""
        values = record.values
        id = str(id_of(values) or "")
        match record.kind:
            case "stage":
                self._define_stage(id, values)
            case "lostreason" | "user" | "field":
                self._names.see(record.kind, Ref(id, str(values.get("name", ""))))
            case "partner":
                self._look_at_partner(id, values)
            case "lead":
                self._look_at_lead(values)
            case "message":
                self._messages.keep(id, values)
            case _:
                self._look_at_change(values)

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the opportunity or customer a record is about."""
        values = record.values
        match record.kind:
            case "stage" | "lostreason" | "user" | "field":
                return None
            case "partner":
                id = id_text(id_of(values), "id")
                return customer_object(self._companies.get(id, id))
            case "lead":
                return id_text(id_of(values), "id")
            case _:
                return id_text(ref_in(values.get("resid")).id, "res_id")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the one pipeline: teams share it, and stages of one team are in it too."""
        for user in self._names.all("user"):
            self.name_owner(user.id, user.name)
        return self._stages.all()

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield a company, a person who is a customer, or a contact of a company."""
        values = record.values
        read = self.reader(utc=True)
        at = read.time(values, "createdate")
        own = id_text(id_of(values), "id")
        name = read.text(values, "name")
        if own == id:
            yield (
                "customer",
                CustomerRegistered(
                    name=name,
                    natural_person=not _is_company(values),
                    segment=ref_in(values.get("industryid")).name,
                    region=ref_in(values.get("countryid")).name,
                ),
                at,
            )
            return
        if id not in self.registered:
            company = self._names.of("partner", id) or ref_in(values.get("parentid")).name
            yield "customer", CustomerRegistered(name=company, inferred=BY_ITS_PEOPLE), at
        yield self.contact_person(
            own,
            at,
            name=name,
            position=read.text(values, "function"),
            email=read.text(values, "email"),
            phone=read.text(values, "phone", "mobile"),
        )

    def customer_named(self, id: str, deal: CrmDeal) -> CustomerRegistered:
        """Return a customer of whom only opportunities speak; an id is no name."""
        del deal
        name = self._names.of("partner", id) or name_by_id(id)
        return CustomerRegistered(name=name)

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return an opportunity with its history."""
        deal = CrmDeal(id, process=MAIN)
        leads = [record for record in records if record.kind == "lead"]
        if any(plain_name(str(each.values.get("type", ""))) == "lead" for each in leads):
            return left_out_deal(id, records, "lead", NO_OPPORTUNITY, OF_LEAD)
        changes: list[_TrackedChange] = []
        for record in sorted(records, key=lambda each: each.kind != "lead"):
            with refusing(record, refused):
                if record.kind == "lead":
                    self._take_lead(deal, record)
                elif record.kind == "tracking":
                    changes += self._change(deal, record)
        changes.sort(key=lambda each: each.message)
        for _, together in groupby(changes, key=lambda each: each.message):
            deal.steps += _steps(deal, list(together))
        self._account_for_messages(deal, records, changes)
        if leads and not any(each.name in ("stage", "status") for each in changes):
            with refusing(leads[0], refused):
                deal.steps += self._own_times(deal, leads[0].values)
        deal.steps, deal.tied = in_order_of_time(deal.steps, deal.now, by_number)
        with_outcomes(deal)
        return deal

    # Looking: what has to be known of all records before any deal is read.

    def _define_stage(self, id: str, values: Mapping[str, Any]) -> None:
        label = str(values.get("name", id))
        won = str(values.get("iswon", "")).casefold()
        category = closing_category(label) if won not in TRUE | FALSE else "open"
        stage = CrmStage(id, label, category="won" if won in TRUE else category)
        self._stages.define_stage("", str(values.get("sequence", "")), stage)
        self._names.see("stage", Ref(id, label))

    def _see_stage(self, stage: Ref) -> None:
        """Note a stage that a record names; one that no table defines is as its label says."""
        key = self._names.resolve("stage", stage)
        if key is None:
            return
        self._names.see("stage", stage)
        if stage.id and stage.name and not self._stages.has(key):
            named = CrmStage(key, stage.name, category=closing_category(stage.name))
            self._stages.define_stage("", "", named)
        self._stages.see("", key)

    def _look_at_partner(self, id: str, values: Mapping[str, Any]) -> None:
        company = (
            ref_in(values.get("commercialpartnerid")).id or ref_in(values.get("parentid")).id
        )
        if company and company != id:
            self._companies[id] = company
        else:
            self.registered.add(id)
        self._names.see("partner", Ref(id, str(values.get("name", ""))))

    def _look_at_lead(self, values: Mapping[str, Any]) -> None:
        for name in ("createdate", "dateclosed", "datedeadline", "datelaststageupdate"):
            self.days.see(str(values.get(name, "")))
        self._see_stage(ref_in(values.get("stageid")))
        for kind, column in (("user", "userid"), ("partner", "partnerid")):
            self._names.see(kind, ref_in(values.get(column)))
        self.has_currencies |= _currency(values) is not None
        revenue = str(values.get("expectedrevenue", ""))
        self.has_zeros |= is_zero(revenue)
        self.has_amounts |= bool(revenue) and not is_zero(revenue)

    def _look_at_change(self, values: Mapping[str, Any]) -> None:
        kind = {"stage": "stage", "owner": "user", "customer": "partner"}.get(
            str(FIELDS.get(self._field(values)))
        )
        for side in ("old", "new"):
            told = _reference(values, side)
            if kind == "stage":
                self._see_stage(told)
            elif kind is not None:
                self._names.see(kind, told)

    def _field(self, values: Mapping[str, Any]) -> str:
        """Return the plain name of the field that a change is about."""
        info = values.get("fieldinfo")
        if isinstance(info, dict) and info.get("name"):
            return plain_name(str(info["name"]))
        field = ref_in(values.get("fieldid") or values.get("field"))
        known = self._names.of("field", field.id or "") or field.name
        name = plain_name(known or str(values.get("fielddesc", "")))
        return LABELS.get(name, name.removesuffix("crmlead"))

    # Reading one deal.

    def _take_lead(self, deal: CrmDeal, record: CrmRecord) -> None:
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        values = record.values
        read = self.reader(utc=True)
        deal.currency = _currency(values)
        deal.opened = read.time(values, "dateconversion") or read.time(values, "createdate")
        deal.modified = read.time(values, "writedate")
        lost = _is_lost(values)
        closed = read.time(values, "dateclosed") if lost else None
        deal.stage_entered = closed or read.time(values, "datelaststageupdate")
        creator = ref_in(values.get("createuid")).id
        deal.opened_by = ensure_storable(creator, AN_ACTOR) if creator else None
        deal.title = read.text(values, "name")
        stage = self._names.resolve("stage", ref_in(values.get("stageid")))
        revenue = values.get("expectedrevenue")
        deal.now = {
            "amount": read.float_amount(revenue, "revenue", deal.currency),
            "expected_close": read.day(values, "datedeadline"),
            "owner": self._person(ref_in(values.get("userid"))),
            "customer": self._customer_of(ref_in(values.get("partnerid"))),
            "loss_reason": self._reason(ref_in(values.get("lostreasonid"))),
            "status": LOST if lost else "open",
        }
        if stage is not None:
            deal.now["stage"] = self._stages.find("", stage)[1]
        if "probability" in values and not lost:
            deal.now["probability"] = self._probability(values)
        deal.place = record.place

    def _probability(self, values: Mapping[str, Any]) -> object:
        """Return a probability that somebody gave; Odoo's own estimate is none."""
        read = self.reader(utc=True)
        given = read.percent(values, "probability")
        automated = read.number(values, "automatedprobability")
        usual = given in (Decimal(0), Decimal(1))
        return None if usual or given is None or automated == given * 100 else given

    def _person(self, user: Ref) -> str | None:
        found = self._names.resolve("user", user)
        return None if found is None else ensure_storable(found, AN_ACTOR, "user_id")

    def _customer_of(self, partner: Ref) -> str | None:
        found = self._names.resolve("partner", partner)
        return (
            None if found is None else id_text(self._companies.get(found, found), "partner_id")
        )

    def _reason(self, reason: Ref) -> str | None:
        return reason.name or self._names.of("lostreason", reason.id or "") or reason.id

    def _own_times(self, deal: CrmDeal, values: Mapping[str, Any]) -> Iterator[HistoryRecord]:
        """Yield what an opportunity says of its own times, where its changes are not there."""
        read, place = self.reader(utc=True), deal.place or 0
        stage, closed = deal.now.get("stage"), read.time(values, "dateclosed")
        entered = read.time(values, "datelaststageupdate")
        if entered is not None and deal.opened is not None:
            entered = max(entered, deal.opened, key=lambda at: at.instant)
        lost = deal.now.get("status") == LOST
        if stage is not None and entered is not None:
            yield HistoryRecord(place, "", entered, None, {"stage": stage})
        elif stage is not None and closed is not None:
            why: dict[Attribute, str] = {"stage": WHEN_CLOSED} if lost else {}
            yield HistoryRecord(place, "", closed, None, {"stage": stage}, inferred=why)
        if lost and closed is not None:
            yield HistoryRecord(place, "", closed, None, {"status": LOST})

    # Changes: those of one message are one step.

    def _change(self, deal: CrmDeal, record: CrmRecord) -> Iterator[_TrackedChange]:
        values = record.values
        subject = str(values.get("subject", ""))
        if _is_of_merged(subject):
            deal.left_out[record.place] = Message(OF_MERGED, subject=subject)
            return
        field = self._field(values)
        if field not in FIELDS:
            deal.left_out[record.place] = Message(UNREAD_FIELD, field=field)
            return
        at = needed(self.reader(utc=True).time(values, "date", "createdate"), "date")
        name = FIELDS[field]
        author = ref_in(values.get("authorid")).id
        yield _TrackedChange(
            record.place,
            str(id_of(values) or ""),
            ref_in(values.get("mailmessageid")).id or "",
            at,
            name,
            self._value(deal, name, values, "old"),
            self._value(deal, name, values, "new"),
            ensure_storable(author, AN_ACTOR) if author else None,
        )

    def _value(
        self, deal: CrmDeal, name: Attribute, values: Mapping[str, Any], side: str
    ) -> object:
        """Return what a field was, or became."""
        read, told = self.reader(utc=True), _reference(values, side)
        number = values.get(f"{side}valuefloat", values.get(f"{side}valuemonetary"))
        found: object = None
        match name:
            case "stage":
                key = self._names.resolve("stage", told)
                found = None if key is None else self._stages.find("", key)[1]
            case "status":
                found = _status(values, side)
            case "amount":
                currency = _currency(values) or deal.currency
                found = read.float_amount(number, "revenue", currency)
            case "probability":
                found = self._probability({"probability": number})
            case "expected_close":
                found = read.day(values, f"{side}valuedatetime")
            case "owner":
                found = self._person(told)
            case "customer":
                found = self._customer_of(told)
            case _:
                found = self._reason(told)
        return found

    def _account_for_messages(
        self, deal: CrmDeal, records: Sequence[CrmRecord], changes: Sequence[_TrackedChange]
    ) -> None:
        """Say of every message whether a change was read of it."""
        first: dict[str, int] = {}
        for change in changes:
            first.setdefault(change.message, deal.told_with.get(change.place, change.place))
        for record in records:
            if record.kind != "message":
                continue
            deal.whole |= ALWAYS_TRACKED if "mailmessageid" in self._tracked else frozenset()
            place = first.get(str(id_of(record.values) or ""))
            subject = str(record.values.get("subject", ""))
            if _is_of_merged(subject):
                deal.left_out[record.place] = Message(OF_MERGED, subject=subject)
            elif place is None:
                deal.left_out[record.place] = ONLY_WORDS
            else:
                deal.told_with[record.place] = place

    @property
    def _tracked(self) -> frozenset[str]:
        return self.columns.get("tracking", frozenset())


LABELS: Final[Mapping[str, str]] = {
    "stage": "stageid",
    "salesperson": "userid",
    "customer": "partnerid",
    "expectedclosing": "datedeadline",
    "expectedrevenue": "expectedrevenue",
    "expectedrevenues": "expectedrevenue",
    "lostreason": "lostreasonid",
    "active": "active",
}
"""What people call a field that a change names by its label alone."""


def _steps(deal: CrmDeal, group: Sequence[_TrackedChange]) -> Iterator[HistoryRecord]:
    """Yield the step that the changes of one message are; a field changed twice is another."""
    parts: list[list[_TrackedChange]] = []
    for change in group:
        part = next((p for p in parts if all(one.name != change.name for one in p)), None)
        if part is None:
            parts.append([change])
        else:
            part.append(change)
    for part in parts:
        first = part[0]
        after = {one.name: one.new for one in part}
        before = {one.name: one.old for one in part}
        deal.told_with.update({one.place: first.place for one in part[1:]})
        yield HistoryRecord(first.place, first.id, first.at, first.actor, after, before)


def _reference(values: Mapping[str, Any], side: str) -> Ref:
    """Return what a field referred to, or refers to: its id and its label."""
    id = ref_in(values.get(f"{side}valueinteger")).id
    name = values.get(f"{side}valuechar")
    return Ref(id, str(name) if name else None)


def _status(values: Mapping[str, Any], side: str) -> str:
    """Return whether it is lost: by a flag of its own, or as it is archived."""
    named = plain_name(str(values.get(f"{side}valuechar", "")))
    if named:
        return LOST if named == LOST else "open"
    return "open" if str(values.get(f"{side}valueinteger", "0")).strip("0") else LOST


def _is_lost(values: Mapping[str, Any]) -> bool:
    if "wonstatus" in values:
        return plain_name(str(values["wonstatus"])) == LOST
    return str(values.get("active", "true")).casefold() in FALSE


def _is_company(values: Mapping[str, Any]) -> bool:
    flag = str(values.get("iscompany", "")).casefold()
    kind = str(values.get("companytype", "company" if not flag else "")).casefold()
    return flag in TRUE or kind == "company"


def _currency(values: Mapping[str, Any]) -> str | None:
    """Return the currency of a record's company, where it is named and no number."""
    told = ref_in(values.get("companycurrency") or values.get("currencyid"))
    return told.name


def _is_of_merged(subject: str) -> bool:
    """Return whether a message was one of an opportunity that is now part of another."""
    return subject.casefold().split(maxsplit=1)[:1] == [FROM]
