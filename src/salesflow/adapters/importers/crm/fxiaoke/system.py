"""Fxiaoke (纷享销客): opportunities, quotes and follow-ups, from its interface, CLI or page.

Fxiaoke keeps no history of stages that anybody could read: of an opportunity it says when it
was created and when it came into the stage it stands in. Where it never changed its stage, it
began there; else what lies between is unknown, and stays so: the opening is marked as inferred,
and the report says it. Who imports every week has the history from then on.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from salesflow.adapters.importers.crm import reading
from salesflow.adapters.importers.crm.chinese_forms import plain_amount, plain_number
from salesflow.adapters.importers.crm.deal_facts import SEEN
from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.fxiaoke.stages import FxiaokeStages, StagePlace
from salesflow.adapters.importers.crm.fxiaoke.tables import SHAPES, TIMES, canonical_record
from salesflow.adapters.importers.crm.quote_facts import (
    QUOTE_LABELS,
    CrmQuote,
    QuoteStanding,
    lines_of,
    quote_facts,
)
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord, ToldFact
from salesflow.adapters.importers.crm.stages import probability_of
from salesflow.adapters.importers.crm.system import (
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    name_by_id,
    refusing,
)
from salesflow.adapters.importers.errors import RowError, needed
from salesflow.adapters.importers.ids import id_text
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.activities import CompetitorNamed, ContactLogged
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.wording import Message

__all__ = ["Fxiaoke"]


TRUE: Final = reading.TRUE | {"是"}
VOID: Final = frozenset({"invalid", "作废", "已作废"})
"""States of life of a record in the bin."""
AT_ONCE: Final = 60_000_000
"""An opportunity is in its first stage so many microseconds after it was created."""
UNTOLD: Final = (
    "Fxiaoke exports no history of stages: {deals} of {all} deals changed their stage, and of"
    " them is known only when they came into the stage they stand in"
)
QUOTES: Final[Mapping[str, QuoteStanding]] = {
    "已发送": "issued",
    "已发出": "issued",
    "sent": "issued",
    "issued": "issued",
    "已接受": "accepted",
    "已确认": "accepted",
    "客户已确认": "accepted",
    "accepted": "accepted",
    "confirmed": "accepted",
    "已拒绝": "rejected",
    "rejected": "rejected",
    "已撤回": "withdrawn",
    "withdrawn": "withdrawn",
    "已失效": "expired",
    "已过期": "expired",
    "expired": "expired",
}
"""What became of a quote; of any other state is known only that it was made."""


class Fxiaoke(CrmSystem):
    """An export of Fxiaoke."""

    name: ClassVar[str] = "fxiaoke"
    hint: ClassVar[str] = "table of opportunities (NewOpportunityObj, 商机) with ids"
    needed: ClassVar[tuple[str, ...]] = ("NewOpportunityObj",)
    labels: ClassVar[tuple[str, ...]] = (
        *QUOTE_LABELS,
        "competitor_named",
        "contact_logged",
    )
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES
    numbers = NumberReader(".", ",", ("%",))

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._stages = FxiaokeStages()
        self._ids: dict[tuple[str, str], str | None] = {}
        """Ids by kind and name; None where several have a name."""
        self._deal_of_quote: dict[str, str] = {}
        self._present: set[str] = set()
        """Columns that opportunities have anywhere in the export."""
        self._all = self._moved = 0

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a record by plain API names, whatever its columns are called."""
        return canonical_record(record)

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out what lies in the bin, and what is about no opportunity."""
        values = record.values
        deleted = str(values.get("isdeleted", "")).casefold() in TRUE
        if deleted or str(values.get("lifestatus", "")).casefold() in VOID:
            return Message("was voided in Fxiaoke")
        match record.kind:
            case "AccountObj" | "NewOpportunityObj":
                return None
            case "ContactObj":
                return None if self._account_of(values) else Message("names no account")
            case "QuoteLinesObj":
                found = self._deal_of_quote.get(self._quote_of(values) or "")
                return None if found else Message("is about no opportunity of the export")
            case _:
                found = self._deal_of(values)
                return None if found else Message("is about no opportunity")

    def look(self, record: CrmRecord) -> None:
        """Note stages, names, and how days are written."""
        values = record.values
        for name in TIMES:
            self.days.see(str(values.get(name, "")))
        self.has_amounts |= "amount" in values
        self.has_currencies |= "currency" in values
        self._name("account", values.get("accountid"), values.get("accountidr"))
        match record.kind:
            case "AccountObj":
                self.registers_customers = True
                self._name("account", values.get("id"), values.get("name"))
            case "NewOpportunityObj":
                self._stages.see(values)
                self._present.update(values)
                self._name("deal", values.get("id"), values.get("name"))
                self.name_owner(values.get("owner"), values.get("ownerr"))
                self._all += 1
                entered = values.get("stgchangedtime", values.get("createtime"))
                self._moved += entered != values.get("createtime")
            case "QuoteObj":
                self._name("quote", values.get("id"), values.get("name"))
                id = id_text(values.get("id"), "id")
                self._deal_of_quote[id] = self._deal_of(values) or ""
            case _:
                pass

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the opportunity or account a record is about."""
        values = record.values
        match record.kind:
            case "AccountObj":
                return customer_object(id_text(values.get("id"), "id"))
            case "ContactObj":
                return customer_object(id_text(self._account_of(values), "accountid"))
            case "NewOpportunityObj":
                return id_text(values.get("id"), "id")
            case "QuoteLinesObj":
                return self._deal_of_quote[self._quote_of(values) or ""]
            case _:
                return id_text(self._deal_of(values), "newopportunityid")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return every process."""
        return self._stages.all()

    def left_open(self) -> list[Message]:
        """Return what was taken of the status of deals, and how much of history is missing."""
        untold = Message(UNTOLD, deals=self._moved, all=self._all)
        return [*self._stages.assumed(), *([untold] if self._moved else ())]

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield an account, or a contact of one."""
        read, values = self.read, record.values
        at = read.time(values, "createtime")
        if record.kind == "AccountObj":
            name = read.text(values, "name") or name_by_id(id)
            industry, country = read.text(values, "industryr"), read.text(values, "countryr")
            yield (
                "customer",
                CustomerRegistered(name=name, segment=industry, region=country),
                at,
            )
            return
        person = id_text(values.get("id"), "id")
        yield self.contact_person(
            person,
            at,
            name=read.text(values, "name"),
            position=read.text(values, "jobtitle"),
            email=read.text(values, "email"),
            phone=read.text(values, "tel"),
        )

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return an opportunity with its quotes and follow-ups."""
        deal = CrmDeal(id)
        lines = [each for each in records if each.kind == "QuoteLinesObj"]
        quotes = {
            each.values.get("id"): each.place for each in records if each.kind == "QuoteObj"
        }
        for record in sorted(records, key=lambda each: each.kind != "NewOpportunityObj"):
            with refusing(record, refused):
                match record.kind:
                    case "NewOpportunityObj":
                        self._take_deal(deal, record)
                    case "QuoteObj":
                        deal.told += quote_facts(self._quote(deal, record, lines))
                    case "QuoteLinesObj":
                        self._line(record, deal.currency)
                        quote = self._quote_of(record.values)
                        deal.told_with[record.place] = quotes.get(quote, record.place)
                    case "ActiveRecordObj":
                        deal.told.append(self._contact(record))
                    case _:
                        deal.told.append(self._competitor(record))
        return deal

    def _name(self, kind: str, id: object, name: object) -> None:
        """Note what a name stands for; one that several bear stands for nothing."""
        if isinstance(id, str) and isinstance(name, str):
            known = self._ids.setdefault((kind, name), id)
            if known != id:
                self._ids[kind, name] = None

    def _account_of(self, values: Mapping[str, Any]) -> str | None:
        return self._id_of("account", values.get("accountid"), values.get("accountidr"))

    def _quote_of(self, values: Mapping[str, Any]) -> str | None:
        return self._id_of("quote", values.get("quoteid"), values.get("quoteidr"))

    def _deal_of(self, values: Mapping[str, Any]) -> str | None:
        """Return the opportunity that a record names, by its id, its name, or among others."""
        related = values.get("related")
        for each in related if isinstance(related, list) else ():
            if (
                isinstance(each, Mapping)
                and each.get("describe_api_name") == "NewOpportunityObj"
            ):
                return str(each.get("id") or "") or None
        named = values.get("newopportunityid"), values.get("newopportunityidr")
        return self._id_of("deal", *named)

    def _id_of(self, kind: str, id: object, name: object) -> str | None:
        """Return an id, or that of what has a name; a name of which no id is known is one."""
        if isinstance(id, str):
            return id
        if not isinstance(name, str):
            return None
        found = self._ids.get((kind, name), name if kind == "account" else None)
        if found is None and (kind, name) in self._ids:
            raise RowError(
                "is the name of several records; the export has to name its id", kind, name
            )
        return found

    def _take_deal(self, deal: CrmDeal, record: CrmRecord) -> None:
        read, values = self.read, record.values
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        notes = deal.notes.setdefault(record.place, [])
        place = self._stages.place_of(values)
        deal.process = self._stages.process_of(values)
        deal.opened = read.time(values, "createtime", notes=notes)
        deal.opened_by = read.text(values, "createdby", "createdbyr")
        deal.modified = read.time(values, "lastmodifiedtime", notes=notes)
        deal.title = read.text(values, "name")
        deal.customer_name = read.text(values, "accountidr")
        deal.lead_source = read.text(values, "leadssource")
        deal.currency = read.text(values, "currency")
        deal.now = self._now(values, place, deal)
        entered = read.time(values, "stgchangedtime", notes=notes)
        deal.place = record.place
        self._tell_stage(deal, place, entered)

    def _tell_stage(self, deal: CrmDeal, place: StagePlace, entered: ReadTime | None) -> None:
        """Tell since when it stands in its stage, as far as that is known."""
        opened, here = deal.opened, deal.place
        assert here is not None, "the record was taken"
        stayed = entered is None or (
            opened is not None
            and opened.day is None
            and entered.instant - opened.instant <= AT_ONCE
        )
        if stayed and opened is not None:
            deal.steps.append(HistoryRecord(here, "", opened, None, {"stage": place.stage}))
        elif stayed:
            deal.whole = frozenset({"stage"})
        elif place.end is None:
            deal.stage_entered = entered
        else:  # it came to its end later, while it stood in this stage
            moved = StageMoved(target=place.stage)
            deal.told.append(ToldFact(here, "", f"stage_moved{SEEN}", moved, entered))

    def _now(
        self, values: Mapping[str, Any], place: StagePlace, deal: CrmDeal
    ) -> dict[Attribute, object]:
        read, stage = self.read, place.end or place.stage
        probability = read.percent(values, "probability")
        usual = probability_of(self._stages.stages[deal.process][stage])
        closed = self._stages.stages[deal.process][stage].category != "open"
        now: dict[Attribute, object] = {
            "stage": stage,
            "amount": read.amount(plain_amount(values, "amount"), "amount", deal.currency),
            "expected_close": read.day(values, "closedate"),
            "probability": None if closed or probability == usual else probability,
            "owner": read.text(values, "owner", "ownerr"),
            "customer": self._account_of(values),
        }
        columns = {"amount": "amount", "expected_close": "closedate"}
        for name, column in columns.items():
            if column not in self._present:
                del now[name]  # type: ignore[arg-type]
        reason = read.text(values, "lostreason")
        if reason is not None:
            now["loss_reason"] = reason
        return now

    def _quote(self, deal: CrmDeal, record: CrmRecord, lines: Sequence[CrmRecord]) -> CrmQuote:
        read, values = self.read, record.values
        id = id_text(values.get("id"), "id")
        currency = read.text(values, "currency") or deal.currency
        own = [each for each in lines if self._quote_of(each.values) == id]
        return CrmQuote(
            record.place,
            id,
            read.text(values, "name") or id,
            QUOTES.get(str(values.get("statusr") or values.get("status") or ""), "drafted"),
            read.time(values, "createtime"),
            read.time(values, "lastmodifiedtime"),
            tuple(
                line for line in (self._line_or_none(each, currency) for each in own) if line
            ),
            read.amount(plain_amount(values, "amount"), "amount", currency),
            read.day(values, "validuntil"),
            read.text(values, "createdby", "createdbyr"),
        )

    def _line_or_none(self, record: CrmRecord, currency: str | None) -> QuoteLine | None:
        """Return a line; one that cannot be read is refused by itself."""
        try:
            return self._line(record, currency)
        except (RowError, ValueError):
            return None

    def _line(self, record: CrmRecord, currency: str | None) -> QuoteLine:
        values = record.values
        price = values.get("salesprice") or values.get("price")
        line = {
            "product": values.get("productidr") or values.get("productid"),
            "quantity": values.get("quantity"),
            "price": plain_number(str(price)) if price else None,
        }
        return lines_of(self.read, [line], values.get("currency") or currency)[0]

    def _contact(self, record: CrmRecord) -> ToldFact:
        read, values = self.read, record.values
        fact = ContactLogged(
            channel=read.text(values, "typer", "type"),
            summary=read.text(values, "content"),
            by=read.text(values, "createdby", "owner", "createdbyr", "ownerr"),
        )
        at = read.time(values, "createtime")
        id = id_text(values.get("id"), "id")
        actor = read.text(values, "createdby", "createdbyr")
        return ToldFact(record.place, id, "contact_logged", fact, at, actor)

    def _competitor(self, record: CrmRecord) -> ToldFact:
        read, values = self.read, record.values
        name = needed(read.text(values, "competitoridr", "competitorid"), "competitorid")
        fact = CompetitorNamed(competitor=name, note=read.text(values, "note"))
        id = read.text(values, "id") or name
        at = read.time(values, "createtime")
        return ToldFact(record.place, id, "competitor_named", fact, at)
