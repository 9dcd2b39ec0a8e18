"""Brings a deal to where the export says it is now, as far as its history does not.

What is known of a deal is what was recorded before and what its history tells this time. Where
the export says otherwise of it now, a fact is inferred: at the time at which the system says
that the stage was entered, else when its record was changed last. What its history never speaks
of was so at the closing of a closed deal at the latest. Nothing is added that is known already,
so that an export of every week tells what changed in that week. A module of its own, as the one
step that looks at what is recorded.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow.adapters.importers.crm.deal_facts import (
    AS_EXPORTED,
    NO_FIRST_STAGE,
    SEEN,
    ExtractedCrmDeal,
    changes,
)
from salesflow.adapters.importers.crm.records import Attribute
from salesflow.adapters.importers.extracted import (
    ExtractedDeal,
    ExtractedFact,
    FactOrder,
    closes,
    in_order,
)
from salesflow.adapters.importers.ids import fact_source_id, object_id
from salesflow.adapters.importers.source import ImportSource
from salesflow.adapters.importers.times import ReadTime, occurred_at
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.merging import DealAbsorbed, MergingFact
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, Fact, believed_history, without_retracted
from salesflow.domain.process import Category, ProcessVersion
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import FOREVER, Instant, from_instant

__all__ = ["add_present_state"]

OPENED_WITH: Final[Mapping[Attribute, str]] = {
    "owner": "owner",
    "customer": "customer_id",
    "amount": "amount",
    "expected_close": "expected_close",
}
"""What a deal is opened with, as far as its history tells it, and its field."""
MOVING: Final = (StageMoved, DealWon, DealLost, DealDisqualified, DealReopened, DealMigrated)
NOBODY: Final = UUID(int=0)
MONEY: Final[tuple[Attribute, ...]] = ("amount", "expected_close")
CLOSING: Final[Mapping[type[Fact], Category]] = {
    DealWon: "won",
    DealLost: "lost",
    DealDisqualified: "disqualified",
}
VERSION: Final = "@version/"
NEW_STAGE: Final = "the version it was opened under does not know the stage that follows"
LAST: Final = 1_000_000_000
"""The place of what is so now, behind every step of a history."""


def add_present_state(
    processes: Mapping[str, ProcessVersion],
    deal: ExtractedDeal,
    stored: Sequence[Event],
    source: ImportSource,
) -> None:
    """Add what the export says of a deal now and neither its history nor the log does."""
    if not isinstance(deal, ExtractedCrmDeal) or not deal.facts:
        return
    recorded = without_retracted(stored)
    _keep_opening(deal, recorded)
    _keep_first_seen(deal, recorded)
    _keep_lines(deal, recorded)
    _go_on_under_versions(deal, recorded, source, processes)
    present = _Present(deal, recorded, source, processes)
    never_told = [each for each in MONEY if each in deal.now and each not in deal.told_of]
    closed = present.closed() or _Closing(deal.seen, LAST)
    present.add({each: deal.now[each] for each in never_told}, closed.at, place=closed.before)
    if deal.now.get("stage") is not None:
        stage: tuple[Attribute, ...] = ("process", "stage", "loss_reason", "competitor")
        known = {each: deal.now.get(each) for each in stage}
        told = present.entered()
        at = told or deal.seen
        if not present.is_known(deal.now["stage"], at):
            now = {**known, "process": _key(deal.process)}
            present.add(now, at, is_told=told is not None)
        repeated = () if deal.now.get("lines") else never_told  # lines say an amount as well
        rest = [name for name in deal.now if name not in (*stage, *repeated)]
        present.add({name: deal.now[name] for name in rest}, deal.seen)
    _go_on_under_versions(deal, recorded, source, processes)
    deal.facts.sort(key=in_order)


def _keep_opening(deal: ExtractedCrmDeal, recorded: Sequence[Event]) -> None:
    """Keep what an opening was recorded with, where the export only says how it is now."""
    opening = next((event.fact for event in recorded if event.fact.is_opening), None)
    if not isinstance(opening, DealOpened):
        return
    for number, each in enumerate(deal.facts):
        fact = each.fact
        if isinstance(fact, DealOpened):
            deal.facts[number] = each._replace(fact=_kept(fact, opening, deal.told_of))


def _kept(fact: DealOpened, opening: DealOpened, told_of: Set[Attribute]) -> DealOpened:
    """Return an opening with what is recorded of it, as far as no history says otherwise."""
    if fact.process != opening.process:
        return fact if "process" in told_of else opening  # it is in another pipeline by now
    kept: dict[str, object] = {
        "lead_source": opening.lead_source,
        "process_version": opening.process_version,
    }
    kept |= {f: getattr(opening, f) for n, f in OPENED_WITH.items() if n not in told_of}
    if fact.inferred == NO_FIRST_STAGE:  # an earlier export may have known more
        kept |= {"stage": opening.stage, "inferred": opening.inferred}
    return fact.model_copy(update=kept)


def _keep_first_seen(deal: ExtractedCrmDeal, recorded: Sequence[Event]) -> None:
    """Keep since when something was known that an export only says is so now."""
    known = {event.source_id: event for event in recorded if event.source_id is not None}
    for number, each in enumerate(deal.facts):
        event = known.get(each.source_id)
        if event is None or each.fact.inferred is None:
            continue
        seen = each.fact.inferred == AS_EXPORTED and event.fact == each.fact
        merged = isinstance(event.fact, DealAbsorbed) and isinstance(each.fact, MergingFact)
        if seen or (merged and event.fact.inferred == each.fact.inferred):
            deal.facts[number] = each._replace(
                occurred=event.occurred, precision=event.precision, day=None, undated=False
            )


def _keep_lines(deal: ExtractedDeal, recorded: Sequence[Event]) -> None:
    """Keep what an earlier export told of lines: an export only has them as they are now.

    What tells the same lines as were known by then tells nothing.
    """
    known = [event for event in recorded if isinstance(event.fact, LineItemsAgreed)]
    by_id = {event.source_id: event.fact for event in known}
    running: list[tuple[Instant, int, Fact]] = [
        (event.occurred, event.position, event.fact) for event in known
    ]
    kept: list[ExtractedFact] = []
    for each in sorted(deal.facts, key=in_order):
        if isinstance(each.fact, LineItemsAgreed) and each.occurred is not None:
            before = [entry for entry in running if entry[0] <= each.occurred]
            last = max(before, key=lambda entry: entry[:2], default=None)
            if last is not None and last[2] == each.fact and each.source_id not in by_id:
                continue
            fact = by_id.get(each.source_id, each.fact)
            running.append((each.occurred, FOREVER, fact))
            kept.append(each._replace(fact=fact))
        else:
            kept.append(each)
    deal.facts[:] = kept


def _go_on_under_versions(
    deal: ExtractedCrmDeal,
    recorded: Sequence[Event],
    source: ImportSource,
    processes: Mapping[str, ProcessVersion],
) -> None:
    """Let a deal go on under the first version that knows the stage it comes to.

    It was opened under a version of an earlier export, in which no deal had come there yet.
    """
    known = {event.source_id: event.fact for event in recorded}
    for each in [each for each in deal.facts if VERSION in each.source_id]:  # told anew below
        deal.facts.remove(each)
        deal.rules[each.order.rule] -= 1
    version: ProcessVersion | None = None
    added: list[ExtractedFact] = []
    for each in sorted(deal.facts, key=in_order):
        fact = each.fact
        if isinstance(fact, DealMigrated):  # to another pipeline, as it was at the time
            stored = known.get(each.source_id)
            if isinstance(stored, DealMigrated) and stored.process == fact.process:
                fact = fact.model_copy(update={"process_version": stored.process_version})
                place = deal.facts.index(each)
                deal.facts[place] = each._replace(fact=fact)
        if isinstance(fact, DealOpened | DealMigrated):
            version = source.published[fact.process, fact.process_version]
        elif version is not None:
            after = _version_for(fact, version, source, processes)
            if after is not version:
                added.append(_under(after, each, deal, source))
                version = after
    deal.facts += added


def _version_for(
    fact: Fact,
    version: ProcessVersion,
    source: ImportSource,
    processes: Mapping[str, ProcessVersion],
) -> ProcessVersion:
    """Return the first version from one on that knows where a fact leads; itself if none."""
    latest = processes.get(version.key, version)
    later = (
        source.published[version.key, number]
        for number in range(version.version, latest.version + 1)
    )
    return next((each for each in later if _knows(each, fact, latest)), version)


def _knows(version: ProcessVersion, fact: Fact, latest: ProcessVersion) -> bool:
    match fact:
        case StageMoved(target=stage):
            return version.order(stage) >= 0
        case DealReopened(stage=str() as stage):
            return version.order(stage) >= 0
        case DealWon() | DealLost() | DealDisqualified():
            closing = CLOSING[type(fact)]
            return latest.first_of(closing) is None or version.first_of(closing) is not None
        case _:
            return True


def _under(
    version: ProcessVersion, before: ExtractedFact, deal: ExtractedDeal, source: ImportSource
) -> ExtractedFact:
    """Return that a deal goes on under a version, right before a fact that needs it."""
    rule = _rule_numbers(source)[f"migrated{SEEN}"]
    deal.rules[rule] += 1
    key = f"{version.key}{VERSION}{version.version}"
    return before._replace(
        source_id=fact_source_id(deal.object, key),
        fact=DealMigrated(
            process=version.key, process_version=version.version, inferred=NEW_STAGE
        ),
        actor=None,
        order=FactOrder(before.order.place - 1, rule),
    )


def _rule_numbers(source: ImportSource) -> dict[str, int]:
    return {rule.label: number for number, rule in enumerate(source.rules)}


def _key(process: ProcessVersion | None) -> str | None:
    return None if process is None else process.key


class _Closing(NamedTuple):
    """When a deal was closed, and the place of what was so before, of the same time."""

    at: ReadTime | None
    before: int


class _Present:
    """How a deal is now, beside what is known of it."""

    def __init__(
        self,
        deal: ExtractedCrmDeal,
        recorded: Sequence[Event],
        source: ImportSource,
        processes: Mapping[str, ProcessVersion],
    ) -> None:
        self._deal = deal
        self._recorded = recorded
        self._source = source
        self._processes = processes

    def is_known(self, stage: object, at: ReadTime | None) -> bool:
        """Return whether all that is known of a deal ends in the stage it is in now.

        What was inferred from the same state of the export before is told anew.
        """
        deal, state = self._deal, self._state(FOREVER, FOREVER if at is None else at.instant)
        process = deal.process.key if deal.process else state.process
        return (state.stage, state.process) == (stage, process)

    def entered(self) -> ReadTime | None:
        """Return when it came where it is now, unless its history goes on after that."""
        told = self._deal.stage_entered
        times = [
            each.occurred
            for each in self._deal.facts
            if isinstance(each.fact, MOVING) and each.occurred is not None
        ]
        return None if told is None or told.instant < max(times, default=0) else told

    def closed(self) -> _Closing | None:
        """Return when a deal that is closed now was closed, as far as anything says so."""
        deal, version = self._deal, self._source.process_of(self._deal)
        stage: Any = deal.now.get("stage")
        if stage is not None and version.categories[stage] == "open":
            return None
        closing = [each for each in deal.facts if closes(each.fact, version)]
        last = max(closing, key=in_order, default=None)
        if last is not None and last.occurred is not None:
            at = ReadTime(last.occurred, last.precision, last.day)
            return _Closing(at, last.order.place - 1)
        return None if deal.stage_entered is None else _Closing(deal.stage_entered, LAST)

    def add(
        self,
        now: Mapping[Attribute, object],
        at: ReadTime | None,
        *,
        is_told: bool = False,
        place: int = LAST,
    ) -> None:
        """Add the facts that lead from what is known at a time to what is so."""
        if not now:
            return
        deal, source = self._deal, self._source
        state = self._state(FOREVER if at is None else at.instant)
        was = self._known(now, state)
        rules = _rule_numbers(source)
        found = changes(was, {**was, **now}, self._around(state), source.name)
        for number, (label, fact) in enumerate(found):
            rule = f"{label}{SEEN}"
            when = "undated" if at is None else from_instant(at.instant).isoformat()
            inferred = None if is_told else AS_EXPORTED
            deal.facts.append(
                ExtractedFact(
                    deal.stream_id,
                    fact_source_id(deal.object, f"{when}/{rule}"),
                    fact.model_copy(update={"inferred": inferred}),
                    *occurred_at(at),
                    None,
                    deal.place,
                    FactOrder(place + number, rules[rule]),
                    at is None,
                )
            )
            deal.rules[rules[rule]] += 1

    def _around(self, state: DealState) -> Mapping[str, ProcessVersion]:
        """Return the processes of the export, and the one a deal is in by the log."""
        named, recorded = state.process, state.version_in_force
        if recorded is None or named in self._processes:
            return self._processes
        return {**self._processes, named: recorded}

    def _known(
        self, now: Mapping[Attribute, object], state: DealState
    ) -> dict[Attribute, object]:
        """Return what is known at a time of what the export says now."""
        customer: Any = now.get("customer")
        same = customer is not None and state.customer_id == object_id(
            self._source.name, customer, "customer"
        )
        known: dict[Attribute, object] = {
            "process": state.process,
            "stage": state.stage,
            "amount": state.amount,
            "expected_close": state.expected_close,
            "category": state.category_given,
            "probability": state.probability_given,
            "owner": state.owner,
            "customer": customer if same else None,
            "lines": state.line_items,
        }
        wanted: set[Attribute] = {*now, "process", "stage"}
        return {name: known.get(name) for name in wanted}

    def _state(self, until: Instant, own: Instant | None = None) -> DealState:
        """Return the state of a deal at a time, by what is recorded and what is told now.

        Without what was inferred of that time, or of `own`, from the same state of the export.
        """
        told_at = until if own is None else own
        told = {each.source_id for each in self._deal.facts}
        events = [
            event
            for event in self._recorded
            if event.source_id not in told and not self._is_own(event, told_at)
        ]
        events += [
            Event(
                fact=each.fact,
                stream_id=each.stream_id,
                version=0,
                position=FOREVER + number,
                occurred=FOREVER if each.occurred is None else each.occurred,
                recorded=FOREVER,
                event_id=NOBODY,
            )
            for number, each in enumerate(sorted(self._deal.facts, key=in_order))
        ]
        state = DealState(ReplayContext(self._source.published))
        for event in believed_history(events):
            if event.effective <= until:
                state.evolve(event)
        return state

    def _is_own(self, event: Event, until: Instant) -> bool:
        """Return whether an event was inferred from the same state of the export."""
        own = event.source == self._source.name and event.source_id is not None
        return own and SEEN in (event.source_id or "") and event.occurred == until
