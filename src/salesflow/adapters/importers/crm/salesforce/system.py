"""Salesforce: opportunities with their history, from a weekly export, Data Loader or a report.

A row of OpportunityHistory is how the opportunity was after a save: it tells as many facts as
values differ from those before, and none where only something else was saved. Changes of the
owner stand in OpportunityFieldHistory alone. Rows of one minute are put in order by what they
say was before, by their ids, which grow, and by how the opportunity is now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from salesflow.adapters.importers.crm.agreed_lines import CHANGED_LINES, CrmLine, add_lines
from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.records import (
    Attribute,
    CrmDeal,
    CrmPeriod,
    CrmRate,
    CrmRep,
    CrmTeam,
    HistoryRecord,
    ToldFact,
)
from salesflow.adapters.importers.crm.salesforce.org import (
    FIRST_DAY,
    OLD_RATES,
    BaseCurrency,
    holds_from_long_ago,
    period_of,
    rate_of,
    team_of,
    user_of,
)
from salesflow.adapters.importers.crm.salesforce.products import (
    SalesforceProducts,
    line_of_record,
    was_changed,
)
from salesflow.adapters.importers.crm.salesforce.roles import ContactRole, told_roles
from salesflow.adapters.importers.crm.salesforce.stages import (
    FORECAST,
    SalesforceStages,
    stage_name,
)
from salesflow.adapters.importers.crm.salesforce.tables import (
    SHAPES,
    first,
    is_id,
    is_true,
    plain,
)
from salesflow.adapters.importers.crm.system import (
    CALENDAR,
    CrmContext,
    CrmPipeline,
    CrmSystem,
    customer_object,
    rates_object,
    refusing,
    rep_object,
    team_object,
)
from salesflow.adapters.importers.crm.tied_steps import in_order_of_time
from salesflow.adapters.importers.errors import RowError, needed
from salesflow.adapters.importers.ids import id_text
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.activities import CompetitorNamed
from salesflow.domain.event import Fact
from salesflow.domain.wording import Message

__all__ = ["Salesforce"]


TIMES: Final = ("createddate", "systemmodstamp", "lastmodifieddate", "laststagechangedate")
DAYS: Final = ("closedate", "servicedate", "startdate", "enddate")
DELETED: Final = "deleted in Salesforce"
UNREAD_FIELD: Final = "the history of a field that is not read"
IN_HISTORY: Final = "OpportunityHistory tells the same"
BY_ID: Final = "another row tells the same by id"
SETTINGS: Final = frozenset({"OpportunityStage", "Product2", "PricebookEntry"})
"""Tables that say how others are to be read."""
NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "Account": ("id", "accountid"),
    "Contact": ("accountid",),
    "User": ("id", "userid"),
    "UserRole": ("id", "userroleid"),
    "Opportunity": ("id", "opportunityid"),
}
"""The columns that say what a record is about, where that is not `opportunityid`."""
PUT_BY: Final[Mapping[str, Callable[[str], str]]] = {
    "Account": customer_object,
    "Contact": customer_object,
    "User": rep_object,
    "UserRole": team_object,
}
"""What names the thing beside deals that records of a table are about."""
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
CREATED: Final = ("created", "opportunitycreatedfromlead")
"""What OpportunityFieldHistory calls the row of an opportunity's creation."""
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


class Salesforce(CrmSystem):
    """An export of Salesforce."""

    name: ClassVar[str] = "salesforce"
    hint: ClassVar[str] = "table of opportunities (Opportunity.csv, or its history)"
    needed: ClassVar[tuple[str, ...]] = (
        *("Opportunity", "OpportunityHistory", "OpportunityFieldHistory"),
    )
    labels: ClassVar[tuple[str, ...]] = ("competitor_named", "committee_member_identified")
    shapes: ClassVar[tuple[TableShape, ...]] = SHAPES

    def __init__(self, context: CrmContext) -> None:
        super().__init__(context)
        self._stages = SalesforceStages()
        self._products = SalesforceProducts()
        self._base = BaseCurrency()
        self._changed_lines = False
        self._old_rates = False

    def leave_out(self, record: CrmRecord) -> str | None:
        """Leave out what lies in the recycle bin; a line there says that it was deleted."""
        deleted = is_true(record.values.get("isdeleted"))
        return DELETED if deleted and record.kind != "OpportunityLineItem" else None

    def look(self, record: CrmRecord) -> None:
        """Note stages, products, users, currencies, and how days are written."""
        values = record.values
        for name in (*TIMES, *DAYS):
            self.days.see(values.get(name, ""))
        self.has_currencies |= "currencyisocode" in values
        self.has_amounts |= "amount" in values or "unitprice" in values
        self._changed_lines |= record.kind == "OpportunityLineItem" and was_changed(values)
        self.registers_customers |= record.kind == "Account"
        match record.kind:
            case "Opportunity" | "OpportunityHistory":
                self._stages.see(stage_name(values), values)
                self.owners.add(first(values, "ownerid", "owner") or "")
            case "OpportunityFieldHistory":
                self._look_at_field(record)
            case _:
                self._look_around(record)

    def _look_around(self, record: CrmRecord) -> None:
        """Note what a record says that is about no opportunity."""
        values = record.values
        match record.kind:
            case "OpportunityStage":
                self._stages.define(values)
            case "Product2" | "PricebookEntry":
                self._products.take(record)
            case "User":
                self.team_of[first(values, "id", "userid") or ""] = values.get("userroleid", "")
            case "CurrencyType" | "DatedConversionRate":
                self._look_at_rate(record)
            case _:
                pass

    def _look_at_rate(self, record: CrmRecord) -> None:
        self._base.see(record.values, is_base=is_true(record.values.get("iscorporate")))
        self.base_currency = self._base.code
        self._old_rates |= holds_from_long_ago(record.values)

    def _look_at_field(self, record: CrmRecord) -> None:
        name = _attribute(record)
        told = [
            record.values[each] for each in ("oldvalue", "newvalue") if each in record.values
        ]
        if name == "owner":
            self.owners.update(told)
        for stage in told if name == "stage" else ():
            self._stages.see(stage, {})

    def object_of(self, record: CrmRecord) -> str | None:
        """Return the opportunity, account, user or setting a record is about."""
        values, kind = record.values, record.kind
        dated = "DatedConversionRate" in self.columns
        if kind in SETTINGS or (kind == "CurrencyType" and dated):
            return None
        if kind in ("DatedConversionRate", "CurrencyType", "Period"):
            day = first(values, "startdate", "lastmodifieddate") or ""
            return CALENDAR if kind == "Period" else rates_object(day)
        columns = NAMED.get(kind, ("opportunityid",))
        id = id_text(first(values, *columns), columns[0])
        named = PUT_BY.get(kind)
        return id if named is None else named(id)

    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the one pipeline: the stages defined, then those that only records name."""
        return [CrmPipeline("salesforce", "Salesforce", self._stages.all())]

    def left_open(self) -> list[Message]:
        """Return what lines and rates leave open."""
        rates = [Message(OLD_RATES, day=FIRST_DAY)] if self._old_rates else []
        return [*([CHANGED_LINES] if self._changed_lines else ()), *rates]

    def rep(self, id: str, record: CrmRecord) -> CrmRep:
        """Return a user."""
        del id
        return user_of(self.read, record.values)

    def team(self, id: str, record: CrmRecord) -> CrmTeam:
        """Return a role, as the team of those who have it."""
        del id
        return team_of(self.read, record.values)

    def rate(self, record: CrmRecord) -> CrmRate:
        """Return a rate of a currency against that of the org."""
        return rate_of(self.read, record.values)

    def period(self, record: CrmRecord) -> CrmPeriod | None:
        """Return a fiscal year, quarter or month."""
        return period_of(self.read, record.values)

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
        person = id_text(first(values, "id", "contactid"), "id")
        names = (values.get("firstname"), values.get("lastname") or values.get("name"))
        yield self.contact_person(
            person,
            at,
            name=" ".join(name for name in names if name) or None,
            position=read.text(values, "title"),
            email=read.text(values, "email"),
            phone=read.text(values, "phone"),
        )

    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return an opportunity with its history."""
        deal = CrmDeal(id, process="salesforce")
        snapshots = any(record.kind == "OpportunityHistory" for record in records)
        owners = self._owner_changes(records)
        lines: list[CrmLine] = []
        roles: list[ContactRole] = []
        for record in sorted(records, key=lambda each: each.kind != "Opportunity"):
            with refusing(record, refused):
                match record.kind:
                    case "Opportunity":
                        self._take_deal(deal, record)
                    case "OpportunityHistory":
                        deal.steps.append(self._snapshot(deal, record))
                    case "OpportunityFieldHistory":
                        self._field(deal, record, owners, snapshots=snapshots)
                    case "OpportunityLineItem":
                        read, named = self.read, deal.currency
                        lines.append(line_of_record(record, self._products, read, named))
                    case "OpportunityContactRole":
                        roles.append(self._role(record))
                    case _:
                        self._competitor(deal, record)
        deal.steps, deal.tied = in_order_of_time(deal.steps, deal.now, _number)
        of_lines = {each.place for each in records if each.kind == "OpportunityLineItem"}
        add_lines(deal, lines, whole=not of_lines & set(refused))
        deal.told += told_roles(self.name, roles)
        return deal

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
        if "hasopportunitylineitem" in values and not is_true(values["hasopportunitylineitem"]):
            deal.now["lines"] = ()
        deal.place = record.place

    def _snapshot(self, deal: CrmDeal, record: CrmRecord) -> HistoryRecord:
        read, values = self.read, record.values
        notes = deal.notes.setdefault(record.place, [])
        at = needed(
            read.time(values, "createddate", "systemmodstamp", notes=notes), "createddate"
        )
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
        name = stage_name(values)
        if not name:
            raise RowError("is empty, and the fact needs it", "stagename")
        probability = read.percent(values, "probability")
        category = FORECAST.get(
            plain(first(values, "forecastcategoryname", "forecastcategory"))
        )
        found: dict[Attribute, object] = {
            "stage": name,
            "amount": read.amount(values, "amount", currency),
            "expected_close": read.day(values, "closedate"),
            "probability": None
            if probability == self._stages.probability(name)
            else probability,
            "category": None if category == self._stages.forecast(name) else category,
        }
        there = self.columns[record.kind]
        return {
            name: value
            for name, value in found.items()
            if any(column in there for column in COLUMNS[name])
        }

    def _owner_changes(self, records: Sequence[CrmRecord]) -> set[tuple[str, str]]:
        """Return when lookups changed by id: they stand there a second time, by name."""
        return {
            (record.values.get("createddate", ""), _attribute(record) or "")
            for record in records
            if record.kind == "OpportunityFieldHistory"
            and is_id(record.values.get("newvalue") or record.values.get("oldvalue"))
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
        if name is None:
            self._begin(deal, record)
            return
        if snapshots and name in IN_SNAPSHOTS:
            deal.left_out[record.place] = IN_HISTORY
            return
        new, old = values.get("newvalue"), values.get("oldvalue")
        is_lookup = name in ("owner", "customer")
        if is_lookup and (values["createddate"], name) in by_id and not is_id(new or old):
            deal.left_out[record.place] = BY_ID
            return
        at = needed(
            read.time(values, "createddate", notes=deal.notes.setdefault(record.place, [])),
            "createddate",
        )
        after = {name: self._field_value(name, values, "newvalue", deal.currency)}
        before = {name: self._field_value(name, values, "oldvalue", deal.currency)}
        id = read.text(values, "id") or ""
        actor = read.text(values, "createdbyid")
        deal.steps.append(HistoryRecord(record.place, id, at, actor, after, before))

    def _begin(self, deal: CrmDeal, record: CrmRecord) -> None:
        """Take from a row that says so when a deal without a record of its own was created."""
        field = plain(record.values.get("field"))
        if deal.place is not None or field not in CREATED or deal.opened is not None:
            deal.left_out[record.place] = UNREAD_FIELD
            return
        deal.opened = self.read.time(record.values, "createddate")
        deal.opened_by = self.read.text(record.values, "createdbyid")
        deal.place = record.place

    def _role(self, record: CrmRecord) -> ContactRole:
        read, values = self.read, record.values
        return ContactRole(
            record.place,
            read.text(values, "id") or "",
            id_text(values.get("contactid"), "contactid"),
            read.text(values, "role"),
            read.time(values, "createddate"),
            read.text(values, "createdbyid"),
        )

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
                return FORECAST.get(plain(values.get(column)))
            case _:
                return read.text(values, column)

    def _competitor(self, deal: CrmDeal, record: CrmRecord) -> None:
        read, values = self.read, record.values
        name = needed(read.text(values, "competitorname"), "competitorname")
        at = read.time(values, "createddate")
        id = read.text(values, "id") or name
        fact = CompetitorNamed(competitor=name, note=read.text(values, "strengths"))
        deal.told.append(ToldFact(record.place, id, "competitor_named", fact, at))


def _attribute(record: CrmRecord) -> Attribute | None:
    return FIELDS.get(plain(record.values.get("field")))


def _number(step: HistoryRecord) -> str:
    """Return what grows with every record Salesforce makes: its id, but for the checksum."""
    return step.id[:15] if is_id(step.id) else ""
