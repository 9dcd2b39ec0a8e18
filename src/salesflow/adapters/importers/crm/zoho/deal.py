"""Puts the records of one deal of Zoho together: how it is, its visits to stages, its timeline.

A module of its own beside `zoho`, which says what tables and pipelines there are.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from re import compile as pattern
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.crm.chinese_forms import iso_time, plain_amount, plain_number
from salesflow.adapters.importers.crm.exports import CrmRecord, plain_name
from salesflow.adapters.importers.crm.quote_facts import (
    CrmQuote,
    QuoteStanding,
    lines_of,
    quote_facts,
)
from salesflow.adapters.importers.crm.reading import ValueReader
from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord
from salesflow.adapters.importers.crm.stages import probability_of
from salesflow.adapters.importers.crm.tied_steps import in_order_of_time
from salesflow.adapters.importers.crm.zoho.history import AT_ONCE, TimeMeaning
from salesflow.adapters.importers.crm.zoho.pipelines import ZohoPipelines
from salesflow.adapters.importers.crm.zoho.tables import canonical_column
from salesflow.adapters.importers.errors import Adjustment, RowError, needed
from salesflow.adapters.importers.ids import id_text
from salesflow.domain.deal.quotes import QuoteLine, total_of
from salesflow.domain.wording import Message, shortened

__all__ = [
    "ChangedField",
    "ZohoDeal",
    "ZohoExport",
    "changed_fields",
    "currency_of",
    "deal_id",
    "module_of",
]


FIELDS: Final[Mapping[str, Attribute]] = {
    "stage": "stage",
    "amount": "amount",
    "closingdate": "expected_close",
    "probability": "probability",
    "owner": "owner",
    "accountname": "customer",
    "pipeline": "process",
    "reasonforloss": "loss_reason",
}
"""Fields of the timeline that are read, by their plain names."""
SNAPSHOT: Final[Mapping[str, Attribute]] = {
    "amount": "amount",
    "closingdate": "expected_close",
    "probability": "probability",
}
"""What a row of the stage history says beside the stage."""
ALWAYS_TOLD: Final[frozenset[Attribute]] = frozenset(
    {"owner", "amount", "expected_close", "customer"}
)
"""What a timeline that begins with the deal would tell, had it ever changed."""
SIGNS: Final[Mapping[str, str]] = {"€": "EUR", "₹": "INR"}
"""Signs of one currency alone."""
CODE: Final = pattern(r"[A-Z]{3}")
QUOTES: Final[Mapping[str, QuoteStanding]] = {
    "draft": "drafted",
    "negotiation": "issued",
    "delivered": "issued",
    "on hold": "issued",
    "sent": "issued",
    "confirmed": "accepted",
    "accepted": "accepted",
    "closed won": "accepted",
    "closed lost": "rejected",
    "rejected": "rejected",
    "declined": "rejected",
    "cancelled": "withdrawn",
    "canceled": "withdrawn",
    "expired": "expired",
    "草稿": "drafted",
    "谈判": "issued",
    "已发送": "issued",
    "已交付": "issued",
    "已确认": "accepted",
    "成交": "accepted",
    "丢失": "rejected",
}
IN_NAME: Final = pattern(r"(?<!\d)\d{15,20}(?!\d)")
"""An id of Zoho in the name of a file, where the records in it name no deal."""
BEGINS: Final = Message("says that the deal was created, as its own record does")
NOTHING_READ: Final = Message("changes no field that is read")
UNKNOWN: Final = Message("names somebody of whom the export has no id; left out")
OF_THIS_ALONE: Final = Message(
    "no record says that the pipeline was changed; the stage is one of this pipeline alone"
)
NO_LINES: Final = "the product lines are left out: {why}"


class ZohoExport(NamedTuple):
    """What reading a deal rests on beside its records."""

    read: ValueReader
    pipelines: ZohoPipelines
    meaning: TimeMeaning
    ids: Mapping[str, str | None]
    """Ids of users and accounts by their names."""
    history: Set[str]
    """The columns of the stage history."""


class ChangedField(NamedTuple):
    """A field that a save changed."""

    name: Attribute
    old: object
    new: object


def changed_fields(values: Mapping[str, Any]) -> Iterator[ChangedField]:
    """Yield the fields of a deal that an entry of the timeline changed, as far as read."""
    history = values.get("fieldhistory")
    for each in history if isinstance(history, list) else ():
        if not isinstance(each, Mapping):
            continue
        column = canonical_column("Deal", plain_name(str(each.get("api_name") or "")))
        change = each.get("_value")
        if column in FIELDS and isinstance(change, Mapping):
            yield ChangedField(FIELDS[column], change.get("old"), change.get("new"))


def currency_of(values: Mapping[str, Any]) -> str | None:
    """Return the currency of a record, where it names one."""
    named = str(values.get("currency") or "")
    if CODE.fullmatch(named):
        return named
    return SIGNS.get(str(values.get("currencysymbol") or ""))


def deal_id(record: CrmRecord) -> str | None:
    """Return the deal that a record is about, which may stand in the name of its file only."""
    values = record.values
    about = values.get("record")
    if isinstance(about, Mapping):
        return _text(about.get("id"))
    named = _text(values.get("dealid")) or _text(values.get("deal"))
    if named is None and record.kind != "Quote" and "deal" not in values:
        found = IN_NAME.findall(record.file)
        named = found[-1] if len(found) == 1 else None
    return named


def module_of(values: Mapping[str, Any]) -> str:
    """Return the module that an entry of the timeline is about; empty where it names none."""
    about = values.get("record")
    module = about.get("module") if isinstance(about, Mapping) else None
    if isinstance(module, Mapping):
        module = module.get("api_name") or module.get("name")
    return str(module or "").casefold()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


class ZohoDeal:
    """One deal of Zoho, record by record."""

    def __init__(self, id: str, records: Sequence[CrmRecord], export: ZohoExport) -> None:
        self._export = export
        self._deal = CrmDeal(id)
        own = next((each.values for each in records if each.kind == "Deal"), {})
        self._currency = self._deal.currency = currency_of(own)
        self._home = export.pipelines.key_of(own)
        self._visits: list[HistoryRecord] = []
        self._saves: list[HistoryRecord] = []
        self._has_beginning = self._still_there = False
        self._has_visits = any(each.kind == "DealHistory" for each in records)
        saves = (each.values for each in records if each.kind == "Timeline")
        self._saved = {change.name for values in saves for change in changed_fields(values)}
        """What the timeline speaks of."""

    def take(self, record: CrmRecord) -> None:
        """Take a record.

        Raises:
            RowError: when it cannot be taken.
        """
        match record.kind:
            case "Deal":
                self._take_deal(record)
            case "DealHistory":
                self._take_visit(record)
            case "Timeline":
                self._take_save(record)
            case _:
                self._take_quote(record)

    def finished(self) -> CrmDeal:
        """Return the deal, its steps in the order in which they happened."""
        deal = self._deal
        deal.process = self._home
        deal.steps, deal.tied = in_order_of_time([*self._visits, *self._saves], deal.now)
        if self._has_beginning:
            deal.whole = ALWAYS_TOLD
        if self._still_there and not self._visits:  # it never left its first stage
            deal.whole |= {"stage"}
        self._begin_at_once()
        if "process" not in self._saved:
            self._follow_stages()
        return deal

    def _take_deal(self, record: CrmRecord) -> None:
        read, values, deal = self._export.read, record.values, self._deal
        if deal.place is not None:
            raise RowError("opens the deal as an earlier row")
        notes: list[Adjustment] = []
        deal.opened = read.time(values, "createdtime", notes=notes)
        deal.modified = read.time(values, "modifiedtime", notes=notes)
        deal.stage_entered = read.time(values, "stagemodifiedtime", notes=notes)
        deal.opened_by = read.text(values, "createdbyid", "createdby")
        deal.title = read.text(values, "dealname")
        deal.lead_source = read.text(values, "leadsource")
        deal.customer_name = read.text(values, "accountname")
        deal.now = self._now(values, notes)
        deal.place, deal.notes[record.place] = record.place, notes

    def _now(
        self, values: Mapping[str, Any], notes: list[Adjustment]
    ) -> dict[Attribute, object]:
        read = self._export.read
        stage = self._stage(values.get("stage"))
        now: dict[Attribute, object] = {
            "stage": stage,
            **self._snapshot(values, stage),
            "owner": read.text(values, "ownerid", "owner"),
            "customer": read.text(values, "accountnameid", "accountname"),
        }
        reason = read.text(values, "reasonforloss")
        if reason is not None:
            now["loss_reason"] = reason
        lines = self._lines(values, ("productdetails",), self._currency, notes)
        if lines:
            now["lines"] = lines
            if now["amount"] is None and total_of(lines) is not None:
                del now["amount"]  # the lines say it
        return now

    def _lines(
        self,
        values: Mapping[str, Any],
        columns: tuple[str, ...],
        currency: str | None,
        notes: list[Adjustment],
    ) -> tuple[QuoteLine, ...]:
        """Return what a record says of products; none where one of them cannot be read."""
        rows = next(
            (values[each] for each in columns if isinstance(values.get(each), list)), ()
        )
        try:
            return lines_of(self._export.read, rows, currency)
        except (RowError, ValueError) as error:
            reason = error.reason if isinstance(error, RowError) else shortened(error)
            notes.append(Adjustment(Message(NO_LINES, why=reason), columns[-1], None))
            return ()

    def _snapshot(self, values: Mapping[str, Any], stage: str) -> dict[Attribute, object]:
        read = self._export.read
        probability = read.percent(values, "probability")
        usual = self._export.pipelines.stages.get(self._home, {}).get(stage)
        expected = usual is not None and probability_of(usual) == probability
        return {
            "amount": read.amount(plain_amount(values, "amount"), "amount", self._currency),
            "expected_close": read.day(values, "closingdate"),
            "probability": None if expected else probability,
        }

    def _stage(self, value: object) -> str:
        return self._export.pipelines.value_of(needed(_text(value), "stage"))

    # The stage history: a row is a visit to a stage.

    def _take_visit(self, record: CrmRecord) -> None:
        read, values, deal = self._export.read, record.values, self._deal
        stage = self._stage(values.get("stage"))
        moved_to = _text(values.get("movedtos"))
        became = None if moved_to is None else self._stage(moved_to)
        notes = deal.notes.setdefault(record.place, [])
        at = read.time(values, "modifiedtime", notes=notes)
        left = self._export.meaning == "left"
        if at is None and left and became is None:
            deal.left_out[record.place] = Message("is the stage it is in, not left yet")
            self._still_there = True
            return
        at = needed(at, "modifiedtime")
        after: dict[Attribute, object] = {
            name: value
            for name, value in self._snapshot(values, stage).items()
            if name not in self._saved and self._is_in_history(name)
        }
        if left:  # of the stage it left
            after.pop("probability", None)
        before: dict[Attribute, object] = {}
        then: dict[Attribute, object] = {}
        if left:
            after["stage"] = became or stage
            if became is not None:
                before["stage"] = stage
        else:
            after["stage"] = stage
            if became is not None:
                then["stage"] = became
        id = read.text(values, "id") or ""
        actor = read.text(values, "modifiedbyid", "modifiedby")
        self._visits.append(HistoryRecord(record.place, id, at, actor, after, before, then))

    def _is_in_history(self, name: Attribute) -> bool:
        return any(
            column in self._export.history for column, each in SNAPSHOT.items() if each == name
        )

    def _begin_at_once(self) -> None:
        """Say that it began in its first stage where it came there as it was created."""
        steps, opened = self._deal.steps, self._deal.opened
        first = next((n for n, step in enumerate(steps) if "stage" in step.after), None)
        if first is None or opened is None or opened.day is not None:
            return
        step = steps[first]
        late = step.at.instant - opened.instant
        if 0 < late <= AT_ONCE and "stage" not in step.before:
            before = {**step.before, "stage": step.after["stage"]}
            steps[first] = step._replace(before=before)

    def _follow_stages(self) -> None:
        """Say when it went to another pipeline, as far as its stages tell."""
        steps, pipelines = self._deal.steps, self._export.pipelines
        if len(pipelines.stages) < 2:
            return
        homes, home = {}, self._home
        for number in reversed(range(len(steps))):
            if "stage" in steps[number].after:
                home = homes[number] = pipelines.home_of(
                    str(steps[number].after["stage"]), home
                )
        if all(each == self._home for each in homes.values()):
            return
        was = None
        for number, home in sorted(homes.items()):
            step = steps[number]
            steps[number] = step._replace(
                after={**step.after, "process": home},
                before={**step.before, "process": was or home},
                inferred={"process": OF_THIS_ALONE},
            )
            was = home

    # The timeline: what every save changed.

    def _take_save(self, record: CrmRecord) -> None:
        values, deal = record.values, self._deal
        begins = str(values.get("action", "")).casefold() in ("added", "created", "add")
        self._has_beginning |= begins
        notes = deal.notes.setdefault(record.place, [])
        at = self._export.read.time(values, "auditedtime", notes=notes)
        at = needed(at, "auditedtime")
        after: dict[Attribute, object] = {}
        before: dict[Attribute, object] = {}
        for change in changed_fields(values):
            if change.name == "stage" and self._has_visits:
                continue
            try:
                before[change.name] = self._saved_value(change.name, change.old)
                after[change.name] = self._saved_value(change.name, change.new)
            except _UnknownNameError as error:
                before.pop(change.name, None)
                notes.append(Adjustment(UNKNOWN, "fieldhistory", error.name))
        if not after:
            deal.left_out[record.place] = BEGINS if begins else NOTHING_READ
            return
        done_by = values.get("doneby")
        by = done_by if isinstance(done_by, Mapping) else {}
        actor = _text(values.get("donebyid")) or _text(by.get("id")) or _text(by.get("name"))
        id = _text(values.get("id")) or ""
        self._saves.append(HistoryRecord(record.place, id, at, actor, after, before))

    def _saved_value(self, name: Attribute, value: object) -> object:
        """Return a value of the timeline, where names stand for users and accounts."""
        if isinstance(value, Mapping):
            value = value.get("id") or value.get("name")
        text = _text(value)
        match name:
            case _ if text is None:
                return None
            case "stage":
                return self._stage(text)
            case "process":
                return self._export.pipelines.named(text)
            case "owner" | "customer":
                return self._id_of(text)
            case _:
                return self._saved_number(name, text)

    def _saved_number(self, name: Attribute, text: str) -> object:
        read = self._export.read
        match name:
            case "amount":
                return read.amount({"amount": plain_number(text)}, "amount", self._currency)
            case "expected_close":
                return read.day({"closingdate": iso_time(text)}, "closingdate")
            case "probability":
                return read.percent({"probability": text}, "probability")
            case _:
                return text

    def _id_of(self, name: str) -> str:
        """Return the id of a user or an account that is told by its name."""
        known = self._export.ids
        if name in known:
            id = known[name]
            if id is not None:
                return id
        elif name.isdecimal() or not known:
            return name
        raise _UnknownNameError(name)

    # Quotes.

    def _take_quote(self, record: CrmRecord) -> None:
        read, values = self._export.read, record.values
        told = str(values.get("quotestage") or "").casefold()
        standing = QUOTES.get(told)
        if standing is None:
            expected = ", ".join(QUOTES)
            raise RowError("is not one of {expected}", "quotestage", told, expected=expected)
        currency = currency_of(values) or self._currency
        notes = self._deal.notes.setdefault(record.place, [])
        lines = self._lines(values, ("productdetails", "quoteditems"), currency, notes)
        id = id_text(values.get("id"), "id")
        quote = CrmQuote(
            record.place,
            id,
            read.text(values, "quotenumber") or id,
            standing,
            read.time(values, "createdtime"),
            read.time(values, "modifiedtime"),
            lines,
            read.amount(plain_amount(values, "grandtotal"), "grandtotal", currency),
            read.day(values, "validtill"),
            read.text(values, "createdbyid", "createdby"),
        )
        self._deal.told += quote_facts(quote)


class _UnknownNameError(Exception):
    """A name of whom the export has no id."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
