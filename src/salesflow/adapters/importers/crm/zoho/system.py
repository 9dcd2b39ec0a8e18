"""Zoho CRM: deals with stage history and timeline, from the interface, bulk read or the page.

A row of the stage history (DealHistory, Stage_History) is a visit to a stage; whether its time
is when the visit began or ended is told by the export (`history`). The timeline says, save
by save, what any field was and became; where a deal has one, amounts, days and owners are taken
from it, and stages where there is no stage history. Lookups are ids where the export has them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.quote_facts import QUOTE_LABELS
from salesflow.adapters.importers.crm.records import CrmDeal
from salesflow.adapters.importers.crm.system import (
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    name_by_id,
    refusing,
)
from salesflow.adapters.importers.crm.zoho.deal import (
    ZohoDeal,
    ZohoExport,
    changed_fields,
    currency_of,
    deal_id,
    module_of,
)
from salesflow.adapters.importers.crm.zoho.history import HistoryReading
from salesflow.adapters.importers.crm.zoho.pipelines import ZohoPipelines
from salesflow.adapters.importers.crm.zoho.tables import (
    SHAPES,
    TIMES,
    canonical_column,
    canonical_record,
)
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.ids import id_text
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import Fact
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message

__all__ = ["Zoho"]


class Zoho(CrmSystem):
    """An export of Zoho CRM."""

    name: ClassVar[str] = "zoho"
    hint: ClassVar[str] = "table of deals (Deals, or their DealHistory) with ids"
    needed: ClassVar[tuple[str, ...]] = ("Deal", "DealHistory", "Timeline")
    labels: ClassVar[tuple[str, ...]] = QUOTE_LABELS
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES
    numbers = NumberReader(".", ",", ("%",))

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._pipelines = ZohoPipelines()
        self._history = HistoryReading()
        self._ids: dict[str, str | None] = {}
        """Ids of users and accounts by their names; None where several have a name."""

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a record by plain API names, whatever its columns are called."""
        return canonical_record(record)

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out what is about no deal of the export."""
        values = record.values
        match record.kind:
            case "DealHistory" | "Quote" if deal_id(record) is None:
                return Message("names no deal; Zoho empties the name of one that was deleted")
            case "Timeline" if module_of(values) not in ("", "deals", "potentials"):
                return Message("is about no deal")
            case "Contact" if not (values.get("accountnameid") or values.get("accountname")):
                return Message("names no account")
            case _:
                return None

    def look(self, record: CrmRecord) -> None:
        """Note pipelines, names, how days are written, and what times of the history mean."""
        values = record.values
        for name in TIMES:
            self.days.see(str(values.get(name, "")))
        for name in ("owner", "createdby", "modifiedby", "accountname"):
            self._name(values.get(f"{name}id"), values.get(name))
        self.name_owner(values.get("ownerid"), values.get("owner"))
        match record.kind:
            case "Pipeline":
                self._pipelines.define(values)
            case "StageDefinition":
                self._pipelines.define_stage(values)
            case "Account":
                self.registers_customers = True
            case "Deal":
                self._look_at_deal(values)
            case "DealHistory":
                self._pipelines.pass_through(values.get("stage"))
                self._pipelines.pass_through(values.get("movedtos"))
                self._history.see_visit(deal_id(record) or "", values)
            case _:
                self._look_at_timeline(values)

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the deal or account a record is about."""
        values = record.values
        match record.kind:
            case "Pipeline" | "StageDefinition":
                return None
            case "Account":
                return customer_object(id_text(values.get("id"), "id"))
            case "Contact":
                account = values.get("accountnameid") or values.get("accountname")
                return customer_object(id_text(account, "accountname"))
            case "Deal":
                return id_text(values.get("id"), "id")
            case _:
                return id_text(deal_id(record), "deal")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return every pipeline, and settle what times of the history mean."""
        found = self._pipelines.all()
        self._history.decide(self._instant)
        return found

    def left_open(self) -> list[Message]:
        """Return what times of the history were taken to mean."""
        return self._history.assumed()

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield an account, or a contact of one."""
        read, values = self.read, record.values
        at = read.time(values, "createdtime")
        if record.kind == "Account":
            name = read.text(values, "accountname") or name_by_id(id)
            industry, country = (
                read.text(values, "industry"),
                read.text(values, "billingcountry"),
            )
            yield (
                "customer",
                CustomerRegistered(name=name, segment=industry, region=country),
                at,
            )
            return
        person = id_text(values.get("id"), "id")
        names = (values.get("firstname"), values.get("lastname"))
        full = " ".join(str(name) for name in names if name)
        yield self.contact_person(
            person,
            at,
            name=read.text(values, "fullname") or full or None,
            position=read.text(values, "title"),
            email=read.text(values, "email"),
            phone=read.text(values, "phone", "mobile"),
        )

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return a deal with its history."""
        taking = ZohoDeal(id, records, self._export())
        for record in records:
            with refusing(record, refused):
                taking.take(record)
        return taking.finished()

    def _export(self) -> ZohoExport:
        columns = {
            canonical_column("DealHistory", each)
            for each in self.columns.get("DealHistory", ())
        }
        return ZohoExport(self.read, self._pipelines, self._history.meaning, self._ids, columns)

    def _look_at_deal(self, values: Mapping[str, Any]) -> None:
        self._pipelines.see(values)
        self._history.see_deal(str(values.get("id")), values)
        self.has_amounts |= "amount" in values
        self.has_currencies |= currency_of(values) is not None

    def _look_at_timeline(self, values: Mapping[str, Any]) -> None:
        for change in changed_fields(values):
            if change.name == "expected_close":
                for value in (change.old, change.new):
                    self.days.see(str(value or ""))
            elif change.name == "stage":
                for value in (change.old, change.new):
                    self._pipelines.pass_through(value)
            elif change.name == "process":
                for value in (change.old, change.new):
                    self._pipelines.see_pipeline(value)

    def _name(self, id: object, name: object) -> None:
        """Note whose id a name stands for; a name of several stands for none."""
        if isinstance(id, str) and isinstance(name, str) and self._ids.get(name, id) != id:
            self._ids[name] = None
        elif isinstance(id, str) and isinstance(name, str):
            self._ids[name] = id

    def _instant(self, value: object) -> Instant | None:
        try:
            at = self.read.time({"at": value}, "at")
        except RowError:
            return None
        return None if at is None else at.instant
