"""Makes facts of what a CRM says of a deal: the opening, every change, how it is now.

Nothing is made up. A deal opens with what its history says of its beginning; what no history
tells is known from the last time the record was changed, or from the closing of a closed deal,
and marked as inferred with the reason. An owner, a customer and a title without a history are
those of the export from the beginning on; the report says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.crm.records import (
    ATTRIBUTES,
    Attribute,
    CrmDeal,
    HistoryRecord,
    ToldFact,
    Values,
    spoken_of,
)
from salesflow.adapters.importers.errors import row_error
from salesflow.adapters.importers.extracted import ExtractedDeal, ExtractedFact, FactOrder
from salesflow.adapters.importers.ids import fact_source_id, object_id
from salesflow.adapters.importers.keys import OPENED, Keys
from salesflow.adapters.importers.source import SourceRule
from salesflow.adapters.importers.times import ReadTime, occurred_at
from salesflow.domain.deal.billing import ForecastGiven, ForecastPart, LineItemsAgreed
from salesflow.domain.deal.merging import counterpart_of
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.domain.deal.quotes import total_of
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMapping, StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.process import OUTCOME_OF_CATEGORY, Category, ProcessVersion
from salesflow.domain.time import from_instant

__all__ = [
    "AS_EXPORTED",
    "NO_FIRST_STAGE",
    "ROW_ID",
    "SEEN",
    "ExtractedCrmDeal",
    "changes",
    "extract_deal",
    "rules_of",
]


AS_EXPORTED: Final = "as the export has it now; no history says since when"
NO_FIRST_STAGE: Final = "no history says in which stage it began; taken is the first"
NO_OPENING_TIME: Final = "no record says when it was opened; opened with its first fact"
FROM_THE_BEGINNING: Final[tuple[Attribute, ...]] = ("owner", "customer")
"""What holds from the beginning on where no history tells of it."""
FORECAST: Final[tuple[ForecastPart, ...]] = (
    "amount",
    "expected_close",
    "category",
    "probability",
)
ROW_ID: Final = ("history record",)
"""What the records of a history are known by."""
RULES: Final = (
    OPENED,
    "customer_changed",
    "owner_assigned",
    "line_items_agreed",
    "forecast_given",
    "stage_moved",
    "migrated",
    "reopened",
    "won",
    "lost",
    "disqualified",
)
"""The rules of every system, in the order in which facts of one time follow one another."""
MOVES: Final[Mapping[str, Attribute]] = {
    "migrated": "process",
    **dict.fromkeys(("stage_moved", "reopened", "won", "lost", "disqualified"), "stage"),
}
"""What a deal moved in, by the rule of the fact that tells it."""
STEP: Final = 10
"""So far apart are the places of the facts of two steps."""
SEEN: Final = "@export"
"""Ends the label of a fact that is read off how the deal is now."""


def rules_of(more: Iterable[str]) -> tuple[SourceRule, ...]:
    """Return the rules by which facts are extracted; a system has more than all have."""
    labels = [*RULES, *(f"{label}{SEEN}" for label in RULES[1:]), *more]
    return tuple(
        SourceRule(f"{number} {label}", label, ROW_ID if label in RULES else (), None)
        for number, label in enumerate(labels, 1)
    )


@dataclass
class ExtractedCrmDeal(ExtractedDeal):
    """The facts of a deal, and what the export says of it now."""

    now: dict[Attribute, object] = field(default_factory=dict)
    seen: ReadTime | None = None
    """When the export says it was so at last."""
    stage_entered: ReadTime | None = None
    told_of: frozenset[Attribute] = frozenset()
    """What its history speaks of."""
    place: int = 0
    """The record of the deal itself, or of its first step."""


class Reading(NamedTuple):
    """What turning a deal into facts rests on beside its records."""

    source: str
    main: str
    """The key of the process of a deal that names none."""
    processes: Mapping[str, ProcessVersion]
    rule_numbers: Mapping[str, int]
    zone: ZoneInfo | None
    """The zone of days."""


def extract_deal(deal: CrmDeal, reading: Reading, lines: list[int]) -> ExtractedCrmDeal:
    """Return the facts of a deal, its history first; steps have to stand in order."""
    place = lines[0] if deal.place is None else deal.place
    found = ExtractedCrmDeal(
        deal.id,
        object_id(reading.source, deal.id),
        lines,
        now=deal.now,
        seen=deal.modified,
        stage_entered=deal.stage_entered,
        told_of=frozenset(spoken_of(deal.steps)) | deal.whole,
        place=place,
    )
    if deal.is_unknown:
        return found
    _explain_loss(deal, reading.processes[deal.process or reading.main])
    for step in deal.steps:
        if step.id:
            found.ids.setdefault((ROW_ID, step.id), []).append(step.place)
    _Facts(deal, found, reading).take()
    found.facts = [each for each in found.facts if each.line not in found.refused]
    return found


def _explain_loss(deal: CrmDeal, process: ProcessVersion) -> None:
    """Give the last loss the reason that the deal itself has, where no history tells it."""
    if "loss_reason" in spoken_of(deal.steps):
        return
    why: dict[Attribute, object] = {
        name: deal.now[name]
        for name in ("loss_reason", "competitor")
        if deal.now.get(name) is not None
    }
    for number in reversed(range(len(deal.steps))) if why else ():
        step = deal.steps[number]
        if "stage" in step.after:
            stage: Any = step.after["stage"]
            if process.categories[stage] in ("lost", "disqualified"):
                deal.steps[number] = step._replace(after={**step.after, **why})
            return


class _Facts:
    """Makes the facts of one deal."""

    def __init__(self, deal: CrmDeal, found: ExtractedCrmDeal, reading: Reading) -> None:
        self._deal = deal
        self._found = found
        self._reading = reading
        self._keys = Keys(deal.id, repeated=True)

    def take(self) -> None:
        """Add the opening, what its history changed, and what else happened."""
        deal = self._deal
        state = _at_the_beginning(deal)
        opening_steps, later = _split(deal, self._reading.zone)
        for step in opening_steps:
            state.update(step.after)
            self._found.told_with[step.place] = self._found.place
        with self._refusing(self._found.place):
            self._open(state, opening_steps)
        for order, step in enumerate(later, 1):
            with self._refusing(step.place):
                self._change(state, step, order)
        for told in deal.told:
            with self._refusing(told.place):
                self._tell(told, (len(later) + 1) * STEP)

    @contextmanager
    def _refusing(self, place: int) -> Iterator[None]:
        """Refuse a record of which no fact can be made, or that tells what another has told."""
        self._keys.begin()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a record is listed, and the others are taken
            self._keys.undo()
            self._found.refuse(place, row_error(error))

    def _open(self, state: dict[Attribute, Any], steps: list[HistoryRecord]) -> None:
        deal = self._deal
        key = state["process"] = state.get("process") or deal.process or self._reading.main
        process = self._reading.processes[key]
        stage, inferred = state.get("stage"), None
        if stage is None:
            stage, inferred = process.open_stages[0].key, NO_FIRST_STAGE
            state["stage"] = stage
        at = deal.opened
        if steps and (at is None or at.day is not None):
            at = steps[0].at
        if at is None:
            first = min((s.at for s in deal.steps), key=lambda t: t.instant, default=None)
            at, inferred = first, NO_OPENING_TIME
        customer = state.get("customer")
        fact = DealOpened(
            process=process.key,
            process_version=process.version,
            stage=stage,
            title=deal.title,
            owner=state.get("owner"),
            customer_id=customer and object_id(self._reading.source, customer, "customer"),
            amount=state.get("amount"),
            expected_close=state.get("expected_close"),
            lead_source=deal.lead_source,
            inferred=inferred,
        )
        actor = deal.opened_by or (steps[0].actor if steps else None)
        told = ToldFact(self._found.place, "", OPENED, fact, at, actor)
        self._add(told, OPENED, FactOrder(0, 0))
        given = {name: state.get(name) for name in ("category", "probability")}
        if any(value is not None for value in given.values()) and at is not None:
            self._add_change(
                "forecast_given",
                ForecastGiven.model_validate({k: v for k, v in given.items() if v is not None}),
                HistoryRecord(self._found.place, steps[0].id if steps else "", at, actor, {}),
                0,
            )

    def _change(self, state: dict[Attribute, Any], step: HistoryRecord, order: int) -> None:
        now = {**state, **step.after}
        reading = self._reading
        found = changes(state, now, reading.processes, reading.source)
        for number, (label, fact) in enumerate(found):
            because = step.inferred.get(MOVES[label]) if label in MOVES else None
            if because is not None:
                fact = fact.model_copy(update={"inferred": because})
            self._add_change(label, fact, step, order * STEP + number)
        state.update(step.after)

    def _add_change(self, label: str, fact: Fact, step: HistoryRecord, order: int) -> None:
        told = ToldFact(step.place, step.id, label, fact, step.at, step.actor)
        self._add(told, label, FactOrder(order, self._reading.rule_numbers[label]))

    def _tell(self, told: ToldFact, order: int) -> None:
        number = self._reading.rule_numbers[told.label]
        self._add(told, told.label, FactOrder(order, number))
        counterpart = counterpart_of(self._found.stream_id, told.fact)
        if counterpart is not None:  # the two halves of a merge are one append
            stream_id, fact = counterpart
            self._found.facts.append(
                self._found.facts[-1]._replace(stream_id=stream_id, fact=fact)
            )

    def _add(self, told: ToldFact, label: str, order: FactOrder) -> None:
        at, found = told.at, self._found
        when = "undated" if at is None else from_instant(at.instant).isoformat()
        key = self._keys.of(told.fact, label, told.id, when, told.place)
        found.facts.append(
            ExtractedFact(
                found.stream_id,
                fact_source_id(found.object, key),
                told.fact,
                *occurred_at(at),
                told.actor,
                told.place,
                order,
                at is None,
            )
        )
        found.rules[self._reading.rule_numbers[label]] += 1


def _at_the_beginning(deal: CrmDeal) -> dict[Attribute, Any]:
    """Return what a history says of how a deal was before its first step."""
    state: dict[Attribute, Any] = {}
    for step in deal.steps:
        for name in ATTRIBUTES:
            if name in state:
                continue
            if name in step.before:
                state[name] = step.before[name]
            elif name in step.after:
                state[name] = step.after[name] if name == "process" else None
    for name in ATTRIBUTES:
        if name not in state and (name in deal.whole or name in FROM_THE_BEGINNING):
            state[name] = deal.now.get(name)
    return state


def _split(
    deal: CrmDeal, zone: ZoneInfo | None
) -> tuple[list[HistoryRecord], list[HistoryRecord]]:
    """Split the steps that say how a deal was opened from those that changed it.

    They are those at its opening or before it; where only the day of it is known, or nothing,
    the first, if it says the stage and not what was before.
    """
    steps, opened = deal.steps, deal.opened
    first = steps[0] if steps else None
    begins = first is not None and "stage" in first.after and "stage" not in first.before
    if opened is None or opened.day is not None:
        if first is None or not begins:
            return [], steps
        same = opened is None or opened.day == _day_of(first.at, zone)
        return (steps[:1], steps[1:]) if same else ([], steps)
    opening: list[HistoryRecord] = []
    for step in steps:
        if step.at.instant > opened.instant or (opening and "stage" in step.after):
            break
        if "lines" in step.after:
            break  # an opening has no lines
        if step.before.get("stage") not in (None, step.after.get("stage")):
            break  # it left a stage, so that it was in that one before
        opening.append(step)
    return opening, steps[len(opening) :]


def _day_of(at: ReadTime, zone: ZoneInfo | None) -> date:
    return at.day or from_instant(at.instant).astimezone(zone).date()


def changes(
    was: Values, now: Values, processes: Mapping[str, ProcessVersion], source: str
) -> Iterator[tuple[str, Fact]]:
    """Yield what makes a deal that was so be so now: the rule and the fact, in order."""
    customer: Any = now.get("customer")
    if customer != was.get("customer") and customer is not None:
        id = object_id(source, customer, "customer")
        yield "customer_changed", CustomerChanged(customer_id=id)
    owner: Any = now.get("owner")
    if owner != was.get("owner") and owner is not None:
        yield "owner_assigned", OwnerAssigned(owner=owner)
    lines: Any = now.get("lines")
    if lines is not None and lines != (was.get("lines") or ()):
        yield "line_items_agreed", LineItemsAgreed(lines=lines)
        was = {**was, "amount": total_of(lines) or was.get("amount")}
    forecast = _forecast(was, now)
    if forecast is not None:
        yield "forecast_given", forecast
    before, process = (processes.get(str(each.get("process"))) for each in (was, now))
    if before is not None and process is not None and before.key != process.key:
        yield from _migrate(was, now, before, process)
    elif now.get("stage") != was.get("stage") and now.get("stage") is not None:
        known = process or before
        assert known is not None, "a deal is in a process"
        yield _move(was, now, known)


def _forecast(was: Values, now: Values) -> ForecastGiven | None:
    given: dict[str, object] = {}
    cleared: list[ForecastPart] = []
    for part in FORECAST:
        value = now.get(part)
        if value == was.get(part):
            continue
        if value is None:
            cleared.append(part)
        else:
            given[part] = value
    if not (given or cleared):
        return None
    return ForecastGiven.model_validate({**given, "cleared": tuple(cleared)})


def _move(was: Values, now: Values, process: ProcessVersion) -> tuple[str, Fact]:
    """Return the fact of a deal that comes into another stage."""
    before: Any = was.get("stage")
    target: Any = now["stage"]
    category = process.categories[target]
    first = process.first_of(category)
    alone = first is not None and first.key == target
    reason: Any = now.get("loss_reason")
    again = category == "won" and process.categories[before] == "won"
    if category in OUTCOME_OF_CATEGORY and alone and not again:
        return _outcome(now, category)
    if category == "open" and process.categories[before] in ("won", "lost", "disqualified"):
        return "reopened", DealReopened(stage=target)
    return "stage_moved", StageMoved(target=target, because=reason)


def _migrate(
    was: Values, now: Values, before: ProcessVersion, process: ProcessVersion
) -> Iterator[tuple[str, Fact]]:
    """Yield the facts of a deal that goes on in another pipeline, perhaps closed or open again.

    Where the outcome changes with it, it is closed in the one it was in, and opened again in
    the one it is in now.
    """
    old: Any = was.get("stage")
    new: Any = now.get("stage") or old
    closed, closes = before.categories[old], process.categories[new]
    left, entered = old, new
    if closes != closed and closes in OUTCOME_OF_CATEGORY:
        first = before.first_of(closes)
        left = old if first is None else first.key
        yield _outcome(now, closes)
    elif closes != closed:
        first = process.first_of(closed)
        entered = old if first is None else first.key
    mapping = () if left == entered else (StageMapping(old=left, new=entered),)
    yield (
        "migrated",
        DealMigrated(process=process.key, process_version=process.version, mapping=mapping),
    )
    if entered != new:
        yield _move({**was, "stage": entered}, now, process)


def _outcome(now: Values, category: Category) -> tuple[str, Fact]:
    reason: Any = now.get("loss_reason")
    competitor: Any = now.get("competitor")
    match category:
        case "lost":
            return "lost", DealLost(because=reason, competitor=competitor)
        case "disqualified":
            return "disqualified", DealDisqualified(because=reason)
        case _:
            return "won", DealWon()
