"""HubSpot: deals with the history of their properties, from interface, CSV or warehouse.

Every property of a deal has a history of its own; what changed in one instant is one step. A
deal in another pipeline than before goes on in the process of that one. Deals that were merged
are recorded as merged, also where only the survivor is left: see `CrmDeal.named`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.crm.agreed_lines import CHANGED_LINES, CrmLine, add_lines
from salesflow.adapters.importers.crm.deal_facts import AS_EXPORTED
from salesflow.adapters.importers.crm.exports import FILE, CrmRecord, TableShape, plain_name
from salesflow.adapters.importers.crm.hubspot.history import (
    PropertyChange,
    actor_of,
    by_time,
    first_currency,
    iso_of,
    open_with,
    with_reasons,
)
from salesflow.adapters.importers.crm.hubspot.lines import OF_NO_DEAL, HubSpotLines
from salesflow.adapters.importers.crm.hubspot.pipelines import (
    ENTERED,
    FORECAST,
    HubSpotPipelines,
)
from salesflow.adapters.importers.crm.hubspot.records import (
    OF_DEALS,
    SHAPES,
    companies_of,
    history_of,
    ids_in,
    in_one_form,
    own_id,
    owner_of,
)
from salesflow.adapters.importers.crm.reading import TRUE, ValueReader
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord, ToldFact
from salesflow.adapters.importers.crm.system import (
    BY_ITS_PEOPLE,
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    left_out_deal,
    refusing,
)
from salesflow.adapters.importers.crm.tied_steps import in_order_of_time
from salesflow.adapters.importers.errors import Adjustment, RowError, needed
from salesflow.adapters.importers.ids import AN_ACTOR, ensure_storable, id_text, object_id
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.merging import DealAbsorbed
from salesflow.domain.event import Fact
from salesflow.domain.wording import Message

__all__ = ["HubSpot"]


TRACKED: Final[Mapping[str, Attribute]] = {
    "dealstage": "stage",
    "pipeline": "process",
    "amount": "amount",
    "closedate": "expected_close",
    "hubspotownerid": "owner",
    "hsmanualforecastcategory": "category",
    "closedlostreason": "loss_reason",
}
"""Properties whose history is read."""
TOLD_NOW: Final = ("dealcurrencycode", "hsmergedobjectids", "createdate", "dealname")
"""Properties that are read, of whose history only merges and currencies are."""
MERGED: Final = "hsmergedobjectids"
VALUES_MAX: Final = 20
"""So many values of a property HubSpot gives at most."""
DIGITS_MIN: Final = 12
"""A number with so many digits is a time in milliseconds."""
UNREAD: Final = "the history of property {property} is not read"
CAPPED: Final = (
    "has {count} values, as many as HubSpot gives of a property; older ones may be missing"
)
NOT_HERE: Final = "the deal that was merged is neither in the export nor recorded before"
DELETED: Final = "deleted in HubSpot"
OF_DELETED: Final = "about a deal that was deleted in HubSpot"
ENTRIES_ONLY: Final = Message(
    "no history of stages is there, only when each stage was entered; a stage that a deal came"
    " back to is known once"
)
NO_DEAL: Final = "an object that is no deal, company or contact"
NO_COMPANY: Final = "a contact of no company"
UNREAD_PROPERTIES: Final = "properties that are not read: {names}"
NAMED_MAX: Final = 20
SINCE_SYNCED: Final = "merged before a connector saw it; no record says when"


class HubSpot(CrmSystem):
    """An export of HubSpot."""

    name: ClassVar[str] = "hubspot"
    hint: ClassVar[str] = "table of deals (deals.json, a CSV of deals, or their history)"
    needed: ClassVar[tuple[str, ...]] = (
        *("object", "deal_v1", "row", "csv", "history", "stage_history", "values"),
    )
    labels: ClassVar[tuple[str, ...]] = ("absorbed",)
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._pipelines = HubSpotPipelines()
        self._absorbed: set[str] = set()
        self._lines = HubSpotLines()
        self._ids: set[str] = set()
        self._pipeline_of: dict[str, str] = {}
        self._entered_only = False
        self._unread: dict[str, None] = {}

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a deal in one form, whoever exported it."""
        return in_one_form(record)

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out objects of other kinds, and contacts of no company."""
        if record.kind == "unread":
            return NO_DEAL
        if record.kind == "line_item" and self._lines.deal_of(record.values) is None:
            return OF_NO_DEAL
        alone = record.kind == "contact" and not companies_of(record.values)
        return NO_COMPANY if alone else None

    def look(self, record: CrmRecord) -> None:
        """Note pipelines, stages, merges, and how days are written."""
        values = record.values
        match record.kind:
            case "merged":
                self._absorbed.add(str(values["mergeddealid"]))
            case "pipeline" | "pipeline_row" | "stage":
                self._pipelines.take(record)
            case "deal":
                self._look_at_deal(values)
            case "history" | "stage_history":
                self._look_at_change(values)
            case "values":
                self._look_at_values(values)
            case "company" | "company_csv":
                self.registered.add(own_id(values))
            case _:
                self._look_around(record)

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the deal or company a record is about."""
        values = record.values
        match record.kind:
            case "pipeline" | "pipeline_row" | "stage" | "owner":
                return None
            case "deal":
                return id_text(values["values"].get("id"), "id")
            case "company" | "company_csv" | "contact":
                of = companies_of(values) if record.kind == "contact" else []
                return customer_object(of[0] if of else own_id(values))
            case "line_item":
                return self._lines.deal_of(values)
            case "values":
                return id_text(values.get("id") or values.get("recordid"), "id")
            case _:
                survivor = values.get("survivingdealid") if record.kind == "merged" else None
                return id_text(values.get("dealid") or survivor, "deal_id")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the pipelines that deals are in."""
        return self._pipelines.all()

    def left_open(self) -> list[Message]:
        """Return what no history of stages tells, and what is not read."""
        found = [ENTRIES_ONLY] if self._entered_only else []
        if self._lines.were_changed:
            found.append(CHANGED_LINES)
        if self._unread:
            names = [*self._unread]
            more = " …" if len(names) > NAMED_MAX else ""
            shown = ", ".join(names[:NAMED_MAX])
            found.append(Message(UNREAD_PROPERTIES, names=f"{shown}{more}"))
        return found

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield a company, or a contact of one."""
        values = record.values
        read = self.reader(utc=record.kind == "company")
        if record.kind == "contact":
            yield from self._contact(id, values)
            return
        fact = CustomerRegistered(
            name=read.text(values, "name", "companyname", "domain"),
            segment=read.text(values, "industry"),
            region=read.text(values, "country", "countryregion"),
        )
        at = self._time(values, "createdate", utc=record.kind == "company")
        if at is None:
            at = self._time(values, "createdat", utc=True)
        yield "customer", fact, at

    def _contact(
        self, id: str, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        read, utc = self.reader(utc=True), "recordid" not in values
        at = self._time(values, "createdate", utc=utc)
        if id not in self.registered:
            yield "customer", CustomerRegistered(inferred=BY_ITS_PEOPLE), at
        person = own_id(values)
        names = (read.text(values, "firstname"), read.text(values, "lastname"))
        yield self.contact_person(
            person,
            at,
            name=" ".join(name for name in names if name) or None,
            position=read.text(values, "jobtitle"),
            email=read.text(values, "email"),
            phone=read.text(values, "phone", "phonenumber", "mobilephonenumber"),
        )

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return a deal with its history."""
        deal = CrmDeal(id)
        if self._is_deleted(id, records):
            return left_out_deal(id, records, "deal", DELETED, OF_DELETED)
        changes: list[PropertyChange] = []
        lines: list[CrmLine] = []
        for record in sorted(records, key=lambda each: each.kind != "deal"):
            with refusing(record, refused):
                match record.kind:
                    case "deal":
                        changes += self._take_deal(deal, record)
                    case "merged":
                        self._merge(deal, record)
                    case "values":
                        changes += self._values_of(deal, record)
                    case "line_item":
                        read = self.reader(utc=True)
                        lines.append(self._lines.line(record, read, self._time, deal.currency))
                    case _:
                        changes += self._change(deal, record)
        self._take_history(deal, changes, refused)
        of_lines = {each.place for each in records if each.kind == "line_item"}
        add_lines(deal, lines, whole=not of_lines & set(refused))
        return deal

    # Looking: what has to be known of all records before any deal is read.

    def _look_at_deal(self, values: Mapping[str, Any]) -> None:
        present, history = values["values"], values["history"]
        id = str(present.get("id", ""))
        self._ids.add(id)
        self._lines.see_deal(values)
        for name in ("createdate", "closedate", "hslastmodifieddate"):
            self.days.see(str(present.get(name, "")))
        if values["utc"]:
            self._note_unread(present, history)
        self._see_places(present, history)
        told = "amount" in present or "amount" in history
        self.has_amounts |= told and "dealcurrencycode" not in present
        for each in (*history.get(MERGED, []), {"value": present.get(MERGED)}):
            self._absorbed |= ids_in(each["value"])
        dated = any(name.startswith(ENTERED) for name in present)
        self._entered_only |= dated and not history.get("dealstage")

    def _see_places(self, present: Mapping[str, Any], history: Mapping[str, Any]) -> None:
        """Note the pipelines and stages a deal is in or passed."""
        pipeline = str(present.get("pipeline", ""))
        seen = self._pipelines.see(pipeline, str(present.get("dealstage", "")))
        self._pipeline_of[str(present.get("id", ""))] = seen
        named = {pipeline}
        for each in history.get("pipeline", []):
            self._pipelines.see(str(each["value"] or ""), "")
            named.add(str(each["value"] or ""))
        for each in history.get("dealstage", []):
            stage = str(each["value"] or "")
            home = self._pipelines.home(stage)
            for one in named if home is None else (home,):
                self._pipelines.see(one, stage)

    def _note_unread(self, present: Mapping[str, Any], history: Mapping[str, Any]) -> None:
        for name in present:
            if name not in OF_DEALS and not name.startswith(ENTERED):
                self._unread.setdefault(name)
        for name in history:
            if name not in (*TRACKED, *TOLD_NOW):
                self._unread.setdefault(name)

    def _look_around(self, record: CrmRecord) -> None:
        """Note what a record says that is about no deal itself."""
        if record.kind == "line_item":
            self._lines.see(record)
        if record.kind == "owner":
            self.name_owner(*owner_of(record.values))

    def _look_at_change(self, values: Mapping[str, Any]) -> None:
        name = plain_name(str(values.get("name") or values.get("property") or ""))
        stage = "dateentered" in values or name == "dealstage"
        if stage:
            value = str(values.get("value", ""))
            pipeline = self._pipeline_of.get(str(values.get("dealid", "")), "")
            self._pipelines.see(self._pipelines.home(value) or pipeline, value)
        elif name == "pipeline":
            self._pipelines.see(str(values.get("value", "")), "")
        elif name == "amount":
            self.has_amounts = True

    def _look_at_values(self, values: Mapping[str, Any]) -> None:
        told = [value for value, _ in history_of(values) if value]
        name = self._property(values, told)
        for value in told if name in ("dealstage", "pipeline") else ():
            if name == "pipeline":
                self._pipelines.see(value, "")
            else:
                self._pipelines.see(self._pipelines.home(value) or "", value)

    def _is_deleted(self, id: str, records: Sequence[CrmRecord]) -> bool:
        """Return whether a deal was deleted, and not because it was merged into another one."""
        return id not in self._absorbed and any(
            str(record.values["values"].get("archived", "")).casefold() in TRUE
            for record in records
            if record.kind == "deal"
        )

    # Reading one deal.

    @cached_property
    def _milliseconds(self) -> ValueReader:
        return ValueReader(
            ["epoch_ms"], [], *self.context.for_readers, times_in=ZoneInfo("UTC")
        )

    def _time(self, values: Mapping[str, Any], *names: str, utc: bool) -> ReadTime | None:
        """Return a time; one of digits alone counts milliseconds."""
        for name in names:
            text = str(values.get(name) or "")
            in_digits = text.isascii() and text.isdigit() and len(text) >= DIGITS_MIN
            reader = self._milliseconds if in_digits else self.reader(utc=utc)
            at = reader.time(values, name)
            if at is not None:
                return at
        return None

    def _take_deal(self, deal: CrmDeal, record: CrmRecord) -> list[PropertyChange]:
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        values, utc = record.values["values"], record.values["utc"]
        read = self.reader(utc=utc)
        deal.currency = read.text(values, "dealcurrencycode")
        process, stage = self._pipelines.find(
            read.text(values, "pipeline") or "", read.text(values, "dealstage") or ""
        )
        deal.process = process
        deal.opened = self._time(values, "createdate", utc=utc)
        deal.modified = self._time(values, "hslastmodifieddate", utc=utc)
        deal.stage_entered = self._time(values, "hsv2dateenteredcurrentstage", utc=utc)
        deal.title = read.text(values, "dealname")
        companies = record.values["companies"]
        deal.now = {
            name: self._value(name, values.get(column), deal.currency, process, utc=utc)
            for column, name in TRACKED.items()
            if column in values and name not in ("stage", "process")
        }
        if stage:
            deal.now["stage"] = stage
        if companies:
            deal.now["customer"] = id_text(companies[0], "company")
        changes = list(self._histories(deal, record))
        if not any(change.name == "dealstage" for change in changes):
            changes += self._entries(record, process)
        self._merge_named(deal, record)
        deal.place = record.place
        return changes

    def _histories(self, deal: CrmDeal, record: CrmRecord) -> Iterator[PropertyChange]:
        """Yield what the record of a deal says of the history of its properties."""
        history = record.values["history"]
        for name, entries in history.items():
            if name not in (*TRACKED, "dealcurrencycode"):
                continue
            if len(entries) == VALUES_MAX:
                note = Message(CAPPED, count=VALUES_MAX)
                deal.notes.setdefault(record.place, []).append(Adjustment(note, name, None))
            for entry in entries:
                at = needed(self._time(entry, "timestamp", utc=True), "timestamp")
                value = entry["value"]
                text = None if value in (None, "") else str(value)
                yield PropertyChange(record.place, at, name, text, actor_of(entry))

    def _entries(self, record: CrmRecord, process: str) -> Iterator[PropertyChange]:
        """Yield when each stage was entered, of a deal without a history of stages."""
        values, utc = record.values["values"], record.values["utc"]
        for column in values:
            stage = self._pipelines.entered(column, process)
            if stage is not None:
                at = self._time(values, column, utc=utc)
                if at is not None:
                    yield PropertyChange(record.place, at, "dealstage", stage, None)

    def _change(self, deal: CrmDeal, record: CrmRecord) -> Iterator[PropertyChange]:
        """Yield what a row of the history of a property says."""
        values = record.values
        entered = record.kind == "stage_history"
        name = str(values.get("name") or values.get("property") or "")
        plain = "dealstage" if entered else plain_name(name)
        if plain not in (*TRACKED, "dealcurrencycode"):
            deal.left_out[record.place] = Message(UNREAD, property=name)
            return
        column = "dateentered" if entered else "timestamp"
        at = needed(self._time(values, column, utc=True), "timestamp")
        yield PropertyChange(record.place, at, plain, values.get("value"), actor_of(values))

    def _values_of(self, deal: CrmDeal, record: CrmRecord) -> Iterator[PropertyChange]:
        """Yield what a line of an export of one property's history says."""
        values = record.values
        told = [
            (value, self._time({"time": time}, "time", utc=False))
            for value, time in history_of(values)
        ]
        name = self._property(values, [value for value, _ in told])
        if name is None:
            deal.left_out[record.place] = Message(
                "nothing says which property these values are of; put its name into that of the"
                " file, such as dealstage.csv"
            )
            return
        if len(told) >= VALUES_MAX:
            note = Message(CAPPED, count=len(told))
            deal.notes.setdefault(record.place, []).append(Adjustment(note, name, None))
        for value, at in told:
            if at is not None:
                yield PropertyChange(record.place, at, name, value, None)

    def _property(self, values: Mapping[str, Any], told: Sequence[str | None]) -> str | None:
        named = (
            str(values.get("property", "")),
            str(values.get("name", "")),
            str(values[FILE]),
        )
        for each in map(plain_name, named[:2]):
            if each in TRACKED:
                return each
        in_file = [name for name in TRACKED if name in named[2]]
        if in_file:
            return max(in_file, key=len)
        stages = [value for value in told if value]
        return "dealstage" if stages and all(map(self._pipelines.has, stages)) else None

    def _value(
        self,
        name: Attribute,
        value: object,
        currency: str | None,
        process: str,
        *,
        utc: bool,
    ) -> object:
        """Return what a property says of a deal."""
        read = self.reader(utc=utc)
        values: dict[str, object] = {name: value}
        text = read.text(values, name)
        if text is None:
            return None
        found: object = text
        match name:
            case "amount":
                found = read.amount(values, name, currency)
            case "expected_close":
                at = self._time(values, name, utc=utc) if text.isdigit() else None
                found = read.day({name: iso_of(at)} if at else values, name)
            case "category":
                found = FORECAST.get(plain_name(text))
            case "stage":
                found = self._pipelines.find(process, text)[1]
            case "process":
                found = self._pipelines.find(text, "")[0]
            case "owner":
                found = ensure_storable(text, AN_ACTOR, name)
            case _:
                pass
        return found

    # History: what changed in one instant is one step.

    def _take_history(
        self, deal: CrmDeal, changes: list[PropertyChange], refused: dict[int, RowError]
    ) -> None:
        steps: list[HistoryRecord] = []
        process, currency = deal.process, first_currency(changes) or deal.currency
        for group in by_time(changes, deal.opened):
            told = {change.name: change.value for change in group}
            currency = told.get("dealcurrencycode") or currency
            home = self._pipelines.home(told.get("dealstage") or "")
            process = self._pipelines.find(told.get("pipeline") or home or process, "")[0]
            place = group[0].place
            with refusing(CrmRecord("history", place, {}), refused):
                after = self._after(told, currency, process)
                if home is not None:
                    after["process"] = process
                if after:
                    actor = next((each.actor for each in group if each.actor), None)
                    steps.append(HistoryRecord(place, "", group[0].at, actor, after))
                    deal.told_with.update({e.place: place for e in group if e.place != place})
        ordered, deal.tied = in_order_of_time(steps, deal.now)
        deal.steps = with_reasons(ordered)
        first = next((step.at for step in deal.steps if "stage" in step.after), None)
        open_with(deal, first)

    def _after(
        self, told: Mapping[str, str | None], currency: str | None, process: str
    ) -> dict[Attribute, object]:
        """Return what properties that were changed together say of a deal from then on."""
        return {
            TRACKED[name]: self._value(TRACKED[name], value, currency, process, utc=True)
            for name, value in told.items()
            if name in TRACKED and (value or name not in ("dealstage", "pipeline"))
        }

    # Merges.

    def _merge(self, deal: CrmDeal, record: CrmRecord) -> None:
        other = id_text(record.values["mergeddealid"], "merged_deal_id")
        at = self._time(record.values, "fivetransynced", utc=True)
        if not self._absorb(deal, record.place, other, at, SINCE_SYNCED):
            deal.left_out[record.place] = NOT_HERE

    def _merge_named(self, deal: CrmDeal, record: CrmRecord) -> None:
        """Take the merges that the record of a survivor names, at the time it says."""
        values, utc = record.values["values"], record.values["utc"]
        known: set[str] = set()
        entries = list(record.values["history"].get(MERGED, []))
        timed = [(self._time(each, "timestamp", utc=True), each["value"]) for each in entries]
        for at, value in sorted(timed, key=lambda each: each[0].instant if each[0] else 0):
            for other in sorted(ids_in(value) - known):
                self._note_merge(deal, record.place, other, at, None)
            known |= ids_in(value)
        at = self._time(values, "hslastmodifieddate", utc=utc)
        for other in sorted(ids_in(values.get(MERGED)) - known):
            self._note_merge(deal, record.place, other, at, AS_EXPORTED)

    def _note_merge(
        self, deal: CrmDeal, place: int, other: str, at: ReadTime | None, because: str | None
    ) -> None:
        if not self._absorb(deal, place, other, at, because):
            note = Adjustment(NOT_HERE, MERGED, other)
            deal.notes.setdefault(place, []).append(note)

    def _absorb(
        self, deal: CrmDeal, place: int, other: str, at: ReadTime | None, because: str | None
    ) -> bool:
        """Take a merge; return whether the deal that was merged is known."""
        if other == deal.id:
            raise RowError("merges a deal with itself", MERGED, other)
        if other not in self._ids and not self.context.is_recorded(self.name, other):
            return False
        id = object_id(self.name, other)
        deal.named[id] = other
        if all(told.id != other for told in deal.told):
            fact = DealAbsorbed(absorbed=id, inferred=because)
            deal.told.append(ToldFact(place, other, "absorbed", fact, at))
        return True
