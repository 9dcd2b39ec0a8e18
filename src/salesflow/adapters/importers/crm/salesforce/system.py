"""Salesforce: opportunities with their history, from a weekly export, Data Loader or a report.

A row of OpportunityHistory is how the opportunity was after a save: it tells as many facts as
values differ from those before, and none where only something else was saved. Changes of the
owner stand in OpportunityFieldHistory alone. Rows of one minute are put in order by what they
say was before, by their ids, which grow, and by how the opportunity is now.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord, ToldFact
from salesflow.adapters.importers.crm.stages import CrmStage, closing_category
from salesflow.adapters.importers.crm.system import (
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    refusing,
)
from salesflow.adapters.importers.crm.tied_steps import in_order_of_time
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.ids import id_text, object_id
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import ContactPersonAdded, CustomerRegistered
from salesflow.domain.deal.activities import CompetitorNamed
from salesflow.domain.event import Fact
from salesflow.domain.process import Category, ForecastCategory

__all__ = ["Salesforce"]


TRUE: Final = frozenset({"true", "1", "yes"})
FORECAST: Final[Mapping[str, ForecastCategory]] = {
    "pipeline": "pipeline",
    "bestcase": "best_case",
    "mostlikely": "commit",
    "commit": "commit",
    "forecast": "commit",
    "closed": "closed",
    "omitted": "omitted",
}
TIMES: Final = ("createddate", "systemmodstamp", "lastmodifieddate", "laststagechangedate")
DAYS: Final = ("closedate", "servicedate")
FIELDS: Final[Mapping[str, Attribute]] = {
    "stagename": "stage",
    "amount": "amount",
    "closedate": "expected_close",
    "probability": "probability",
    "forecastcategoryname": "category",
    "forecastcategory": "category",
    "owner": "owner",
    "ownerid": "owner",
    "account": "customer",
    "accountid": "customer",
}
"""Fields of OpportunityFieldHistory that are read, and what each is of a deal."""
IN_SNAPSHOTS: Final[frozenset[Attribute]] = frozenset(
    {"stage", "amount", "expected_close", "probability", "category"}
)
COLUMNS: Final[Mapping[Attribute, tuple[str, ...]]] = {
    "stage": ("stagename", "stage"),
    "amount": ("amount",),
    "expected_close": ("closedate",),
    "probability": ("probability",),
    "category": ("forecastcategory", "forecastcategoryname"),
}
"""The columns of a row that say how it was after a save."""
ID_LENGTHS: Final = (15, 18)
"""Ids of Salesforce; of 18 characters the last three are a checksum."""


def _used(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Salesforce(CrmSystem):
    """An export of Salesforce."""

    name: ClassVar[str] = "salesforce"
    hint: ClassVar[str] = "table of opportunities (Opportunity.csv, or its history)"
    needed: ClassVar[tuple[str, ...]] = ("Opportunity", "OpportunityHistory")
    labels: ClassVar[tuple[str, ...]] = ("competitor_named",)
    shapes: ClassVar[tuple[TableShape, ...]] = (
        TableShape(
            "OpportunityStage",
            ("masterlabel|apiname", "isclosed", "iswon"),
            ("opportunitystage",),
            _used("id isactive sortorder defaultprobability forecastcategory"),
        ),
        TableShape(
            "Account",
            ("id|accountid", "name|accountname"),
            ("account",),
            _used("industry billingcountry isdeleted createddate"),
        ),
        TableShape(
            "Contact",
            ("id|contactid", "lastname|name", "accountid"),
            ("contact",),
            _used("firstname title email phone isdeleted createddate"),
        ),
        TableShape(
            "Opportunity",
            ("id|opportunityid", "name|opportunityname", "stagename|stage"),
            ("opportunity", "opportunities"),
            _used(
                "accountid account amount probability closedate leadsource isclosed iswon"
                " createddate lastmodifieddate laststagechangedate ownerid owner"
                " forecastcategory forecastcategoryname currencyisocode isdeleted"
                " stagesortorder createdbyid lossreasonc lossreason closedlostreasonc"
            ),
        ),
        TableShape(
            "OpportunityHistory",
            ("opportunityid", "stagename", "createddate|systemmodstamp"),
            (),
            _used(
                "id createdbyid amount closedate probability forecastcategory isdeleted"
                " prevamount prevclosedate fromopportunitystagename fromforecastcategory"
                " currencyisocode expectedrevenue"
            ),
        ),
        TableShape(
            "OpportunityFieldHistory",
            ("opportunityid", "field", "newvalue", "createddate"),
            (),
            _used("id createdbyid oldvalue datatype isdeleted"),
        ),
        TableShape(
            "OpportunityCompetitor",
            ("opportunityid", "competitorname"),
            (),
            _used("id strengths weaknesses createddate isdeleted"),
        ),
    )

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._defined: dict[str, tuple[Decimal, CrmStage]] = {}
        self._seen: dict[str, _SeenStage] = defaultdict(_SeenStage)

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out what lies in the recycle bin."""
        deleted = str(record.values.get("isdeleted", "")).casefold() in TRUE
        return "deleted in Salesforce" if deleted else None

    def look(self, record: CrmRecord) -> None:
        """Note stages and how days are written."""
        values = record.values
        for name in (*TIMES, *DAYS):
            self.days.see(values.get(name, ""))
        self.registers_customers |= record.kind == "Account"
        self.has_currencies |= "currencyisocode" in values
        self.has_amounts |= "amount" in values
        if record.kind == "OpportunityStage":
            self._define(values)
        elif record.kind in ("Opportunity", "OpportunityHistory"):
            self._seen[self._stage_name(values)].see(values)
        elif values.get("field", "").casefold() == "stagename":
            for name in ("oldvalue", "newvalue"):
                if values.get(name):
                    self._seen[values[name]].see({})

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the opportunity or account a record is about."""
        values = record.values
        match record.kind:
            case "OpportunityStage":
                return None
            case "Account":
                return customer_object(id_text(_first(values, "id", "accountid"), "id"))
            case "Contact":
                return customer_object(id_text(values.get("accountid"), "accountid"))
            case "Opportunity":
                return id_text(_first(values, "id", "opportunityid"), "id")
            case _:
                return id_text(values.get("opportunityid"), "opportunityid")

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the one pipeline: the stages defined, then those that only records name."""
        defined = [stage for _, stage in sorted(self._defined.values(), key=lambda it: it[0])]
        known = {stage.key for stage in defined}
        others = [
            seen.stage(name) for name, seen in self._seen.items() if name and name not in known
        ]
        others.sort(key=lambda stage: _place(stage, self._seen[stage.key].order))
        stages = [*defined, *others]
        if not any(stage.category == "open" for stage in stages):
            stages.insert(0, CrmStage("Prospecting", probability=Decimal("0.1")))
        self._stages = {stage.key: stage for stage in stages}
        return [CrmPipeline("salesforce", "Salesforce", stages)]

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield an account, or a contact of one."""
        del id
        read, values = self.read, record.values
        at = read.time(values, "createddate")
        if record.kind == "Account":
            yield (
                "customer",
                CustomerRegistered(
                    name=read.text(values, "name", "accountname"),
                    segment=read.text(values, "industry"),
                    region=read.text(values, "billingcountry"),
                ),
                at,
            )
            return
        person = id_text(_first(values, "id", "contactid"), "id")
        names = (values.get("firstname"), values.get("lastname") or values.get("name"))
        added = ContactPersonAdded(
            person_id=object_id(self.name, person, "person"),
            name=" ".join(name for name in names if name) or None,
            position=read.text(values, "title"),
            email=read.text(values, "email"),
            phone=read.text(values, "phone"),
        )
        yield f"person/{person}", added, at

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return an opportunity with its history."""
        deal = CrmDeal(id, process="salesforce")
        snapshots = any(record.kind == "OpportunityHistory" for record in records)
        owners = self._owner_changes(records)
        for record in sorted(records, key=lambda each: each.kind != "Opportunity"):
            with refusing(record, refused):
                match record.kind:
                    case "Opportunity":
                        self._take_deal(deal, record)
                    case "OpportunityHistory":
                        deal.steps.append(self._snapshot(deal, record))
                    case "OpportunityFieldHistory":
                        self._field(deal, record, owners, snapshots=snapshots)
                    case _:
                        self._competitor(deal, record)
        deal.steps, deal.tied = in_order_of_time(deal.steps, deal.now, _number)
        return deal

    def _define(self, values: Mapping[str, Any]) -> None:
        label = _first(values, "apiname", "masterlabel")
        if label is None:
            raise RowError("is empty, and the fact needs it", "masterlabel")
        closed = str(values.get("isclosed", "")).casefold() in TRUE
        won = str(values.get("iswon", "")).casefold() in TRUE
        category: Category = ("won" if won else "lost") if closed else "open"
        percent = values.get("defaultprobability")
        stage = CrmStage(
            label,
            values.get("masterlabel", label),
            category=category,
            probability=None if percent is None else Decimal(percent) / 100,
            forecast_category=FORECAST.get(_plain(values.get("forecastcategory"))),
        )
        self._defined[label] = Decimal(values.get("sortorder", len(self._defined))), stage

    def _stage_name(self, values: Mapping[str, Any]) -> str:
        return str(_first(values, "stagename", "stage") or "")

    def _take_deal(self, deal: CrmDeal, record: CrmRecord) -> None:
        read, values = self.read, record.values
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        deal.opened = read.time(values, "createddate")
        deal.modified = read.time(values, "lastmodifieddate", "systemmodstamp")
        deal.stage_entered = read.time(values, "laststagechangedate")
        deal.opened_by = read.text(values, "createdbyid")
        deal.title = read.text(values, "name", "opportunityname")
        deal.lead_source = read.text(values, "leadsource")
        deal.currency = read.text(values, "currencyisocode")
        deal.now = {
            **self._snapshot_values(record, deal.currency),
            "owner": read.text(values, "ownerid", "owner"),
            "customer": read.text(values, "accountid", "account"),
        }
        reason = read.text(values, "lossreasonc", "closedlostreasonc", "lossreason")
        if reason is not None:
            deal.now["loss_reason"] = reason
        deal.place = record.place

    def _snapshot(self, deal: CrmDeal, record: CrmRecord) -> HistoryRecord:
        read, values = self.read, record.values
        notes = deal.notes.setdefault(record.place, [])
        at = read.time(values, "createddate", "systemmodstamp", notes=notes)
        if at is None:
            raise RowError("is empty, and the fact needs it", "createddate")
        currency = read.text(values, "currencyisocode") or deal.currency
        before: dict[Attribute, object] = {}
        if read.text(values, "fromopportunitystagename"):
            before["stage"] = read.text(values, "fromopportunitystagename")
        if read.text(values, "prevamount"):
            before["amount"] = read.amount(values, "prevamount", currency)
        if read.text(values, "prevclosedate"):
            before["expected_close"] = read.day(values, "prevclosedate")
        return HistoryRecord(
            record.place,
            read.text(values, "id") or "",
            at,
            read.text(values, "createdbyid"),
            self._snapshot_values(record, currency),
            before,
        )

    def _snapshot_values(
        self, record: CrmRecord, currency: str | None
    ) -> dict[Attribute, object]:
        """Return the attributes that a row has after a save, an empty one as None."""
        read, values = self.read, record.values
        name = self._stage_name(values)
        if not name:
            raise RowError("is empty, and the fact needs it", "stagename")
        probability = read.percent(values, "probability")
        category = FORECAST.get(
            _plain(_first(values, "forecastcategoryname", "forecastcategory"))
        )
        found: dict[Attribute, object] = {
            "stage": name,
            "amount": read.amount(values, "amount", currency),
            "expected_close": read.day(values, "closedate"),
            "probability": None if probability == self._usual(name) else probability,
            "category": None if category == self._forecast(name) else category,
        }
        there = self.columns[record.kind]
        return {
            name: value
            for name, value in found.items()
            if any(column in there for column in COLUMNS[name])
        }

    def _usual(self, stage: str) -> Decimal | None:
        return self._stages[stage].probability if stage in self._stages else None

    def _forecast(self, stage: str) -> ForecastCategory | None:
        return self._stages[stage].forecast_category if stage in self._stages else None

    def _owner_changes(self, records: Sequence[CrmRecord]) -> set[tuple[str, str]]:
        """Return when lookups changed by id: they stand there a second time, by name."""
        return {
            (record.values.get("createddate", ""), _attribute(record) or "")
            for record in records
            if record.kind == "OpportunityFieldHistory"
            and _is_id(record.values.get("newvalue") or record.values.get("oldvalue"))
        }

    def _field(
        self,
        deal: CrmDeal,
        record: CrmRecord,
        by_id: set[tuple[str, str]],
        *,
        snapshots: bool,
    ) -> None:
        read, values = self.read, record.values
        name = _attribute(record)
        if name is None or (snapshots and name in IN_SNAPSHOTS):
            return
        new, old = values.get("newvalue"), values.get("oldvalue")
        is_lookup = name in ("owner", "customer")
        if is_lookup and (values["createddate"], name) in by_id and not _is_id(new or old):
            return
        at = read.time(values, "createddate", notes=deal.notes.setdefault(record.place, []))
        if at is None:
            raise RowError("is empty, and the fact needs it", "createddate")
        after = {name: self._field_value(name, values, "newvalue", deal.currency)}
        before = {name: self._field_value(name, values, "oldvalue", deal.currency)}
        id = read.text(values, "id") or ""
        actor = read.text(values, "createdbyid")
        deal.steps.append(HistoryRecord(record.place, id, at, actor, after, before))

    def _field_value(
        self, name: Attribute, values: Mapping[str, Any], column: str, currency: str | None
    ) -> object:
        read = self.read
        match name:
            case "amount":
                return read.amount(values, column, currency)
            case "expected_close":
                return read.day(values, column)
            case "probability":
                return read.percent(values, column)
            case "category":
                return FORECAST.get(_plain(values.get(column)))
            case _:
                return read.text(values, column)

    def _competitor(self, deal: CrmDeal, record: CrmRecord) -> None:
        read, values = self.read, record.values
        name = read.text(values, "competitorname")
        if name is None:
            raise RowError("is empty, and the fact needs it", "competitorname")
        at = read.time(values, "createddate")
        id = read.text(values, "id") or name
        fact = CompetitorNamed(competitor=name, note=read.text(values, "strengths"))
        deal.told.append(ToldFact(record.place, id, "competitor_named", fact, at))


class _SeenStage:
    """What records say of a stage that no table defines."""

    def __init__(self) -> None:
        self._probabilities: Counter[Decimal] = Counter()
        self._closings: Counter[Category] = Counter()
        self._forecasts: Counter[ForecastCategory] = Counter()
        self.order: Decimal | None = None

    def see(self, values: Mapping[str, Any]) -> None:
        """Note what a record says of the stage it is in."""
        percent = values.get("probability", "").rstrip("%")
        if percent.replace(".", "", 1).isdigit() and Decimal(percent) <= Decimal(100):
            self._probabilities[Decimal(percent) / 100] += 1
        if "isclosed" in values:
            closed = values["isclosed"].casefold() in TRUE
            won = values.get("iswon", "").casefold() in TRUE
            self._closings[("won" if won else "lost") if closed else "open"] += 1
        forecast = FORECAST.get(
            _plain(_first(values, "forecastcategoryname", "forecastcategory"))
        )
        if forecast is not None:
            self._forecasts[forecast] += 1
        order = values.get("stagesortorder", "")
        if order.isdigit():
            self.order = Decimal(order)

    def stage(self, name: str) -> CrmStage:
        """Return the stage as most records have it."""
        probability = next((p for p, _ in self._probabilities.most_common(1)), None)
        forecast = next((f for f, _ in self._forecasts.most_common(1)), None)
        return CrmStage(
            name,
            category=self._category(name),
            probability=probability,
            forecast_category=forecast,
        )

    def _category(self, name: str) -> Category:
        said = next((c for c, _ in self._closings.most_common(1)), None)
        return said or closing_category(name)


def _place(stage: CrmStage, order: Decimal | None) -> tuple[int, Decimal, Decimal, str]:
    """Sort open stages first, by their place in the org, else by their probability."""
    ends = {"open": 0, "won": 1, "after_sales": 2, "lost": 3, "disqualified": 4}
    unplaced = Decimal(10_000)
    probability = Decimal(0) if stage.probability is None else stage.probability
    return (
        ends[stage.category],
        unplaced if order is None else order,
        probability,
        stage.key,
    )


def _first(values: Mapping[str, Any], *names: str) -> str | None:
    return next((values[name] for name in names if values.get(name)), None)


def _plain(text: object) -> str:
    return "".join(c for c in str(text or "").casefold() if c.isalnum())


def _attribute(record: CrmRecord) -> Attribute | None:
    return FIELDS.get(_plain(record.values.get("field")))


def _is_id(text: object) -> bool:
    """Return whether a text is an id of Salesforce: digits and letters, a digit first."""
    plain = str(text or "")
    return len(plain) in ID_LENGTHS and plain.isalnum() and plain[:1].isdigit()


def _number(step: HistoryRecord) -> str:
    """Return what grows with every record Salesforce makes: its id, but for the checksum."""
    return step.id[:15] if _is_id(step.id) else ""
