"""The figures of conversion: cohorts of a stage, entries of a period, reach, and exits.

What each figure means is said by the view; here is how it is counted on the ways of deals. An
event counts for who owned the deal then, and with the amount it had then.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Final, Literal, NamedTuple

from salesflow.domain.time import Instant
from salesflow.domain.values import Currency, Reference, SafeText, Value, tidy
from salesflow.presentation.format import Estimate
from salesflow.projections.core.statistics import decimal_of, share
from salesflow.projections.stages.visits import (
    ENTRIES,
    StageKey,
    StageNames,
    StageVisit,
    VisitPath,
    spans,
)
from salesflow.projections.table import AMOUNT_SCALE, Processes

__all__ = [
    "ExitKind",
    "ReachValue",
    "StageConversion",
    "StageOrders",
    "StageReach",
    "StageValue",
    "Transition",
    "conversions",
    "reaches",
    "transitions",
]


ExitKind = Literal["advanced", "skipped", "returned", "won", "lost", "disqualified"]
KINDS: Final[Mapping[str, ExitKind]] = {
    "advanced": "advanced",
    "skipped": "skipped",
    "returned": "returned",
    "reopened": "returned",
    "won": "won",
    "lost": "lost",
    "disqualified": "disqualified",
}
"""What an exit is by how the next step was entered; a merge or a migration is none."""
FORWARD: Final = frozenset({"advanced", "skipped", "won"})
Wanted = Callable[[StageVisit], bool]
During = Callable[[Instant], bool]


class StageValue(Value):
    """The same by value, in one currency; deals without an amount count for nothing here."""

    currency: Currency
    entered: Decimal
    moved_on: Decimal
    left: Decimal
    to_date: Decimal | None
    resolved: Decimal | None
    entries: Decimal
    entries_later: Decimal
    in_period: Decimal | None


class StageConversion(Value):
    """How many deals went on from one stage."""

    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    entered: int
    """Deals that entered the stage in the period: the cohort."""
    moved_on: int
    """Those of them that by the moment entered a later stage, or were won, after that."""
    left: int
    """Those that did not and are not there any more."""
    still_there: int
    to_date: Estimate | None
    """moved on ÷ entered"""
    resolved: Estimate | None
    """moved on ÷ (moved on + left otherwise)"""
    entries: int
    """How often the stage was entered in the period."""
    entries_later: int
    """How often a later stage (or the win) followed upon it in the period."""
    in_period: Decimal | None
    """entries to later ones ÷ entries; may exceed 1"""
    values: tuple[StageValue, ...]


class ReachValue(Value):
    """The same by value, in one currency: what the deals were worth when they were created."""

    currency: Currency
    created: Decimal
    entered: Decimal
    reached: Decimal


class StageReach(Value):
    """How far the deals created in the period came."""

    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    created: int
    entered: int
    """Deals that entered the stage; where they were created counts."""
    reached: int
    """Deals that came there or passed it, each once; a won deal passed every open stage."""
    entered_share: Estimate | None
    reached_share: Estimate | None
    values: tuple[ReachValue, ...]


class Transition(Value):
    """Exits from a stage to one target: a later or earlier stage, or an outcome."""

    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    kind: ExitKind
    target: Reference
    """The stage entered; the outcome where that is no stage."""
    exits: int
    exits_total: int
    """All exits from the stage in the period."""
    share: Decimal
    """exits ÷ all exits; those of a stage make 1"""


class StageOrders:
    """Which stages come before which, by the process versions deals stood on."""

    def __init__(self, processes: Processes) -> None:
        @cache
        def order(process: str, version: int, stage: str) -> int:
            return processes[process, version].order(stage)

        self._order = order
        self._processes = processes
        self.passed = cache(self._passed)

    def is_later(self, entry: StageVisit, left: Iterable[StageVisit]) -> bool:
        """Return whether a stage entered lies behind one that was left, under any of its names.

        The order is that of the version the later one was entered under, or, where that does
        not know both, of the one the earlier was; unlike processes have no order.
        """
        return any(self._is_behind(entry, step) for step in left)

    def _is_behind(self, entry: StageVisit, step: StageVisit) -> bool:
        if entry.process != step.process:
            return False
        for version in (entry.version, step.version):
            place = self._order(step.process, version, step.stage or "")
            entry_place = self._order(step.process, version, entry.stage or "")
            if place >= 0 and entry_place >= 0:
                return entry_place > place
        return False

    def _passed(
        self, process: str, version: int, stage: str | None, won: bool
    ) -> frozenset[str]:
        """Name the stages a deal has reached or passed that stands in one, or is won."""
        known = self._processes[process, version]
        passed = {s.key for s in known.open_stages} if won else set()
        if stage is not None:
            alike = ("open", known.categories[stage])
            before = known.stages[: known.order(stage) + 1]
            passed |= {stage, *(s.key for s in before if s.category in alike)}
        return frozenset(passed)


class _VisitSpan(NamedTuple):
    """A visit and what it was called after migrations: from `first` up to before `after`."""

    first: int
    after: int


def _visit_span(path: VisitPath, first: int) -> _VisitSpan:
    after = first + 1
    while after < len(path) and path[after].entered == "migrated":
        after += 1
    return _VisitSpan(first, after)


class _Cohort:
    """Deals that entered one stage, entries and what followed; counts and amounts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.amounts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, what: str, step: StageVisit) -> None:
        """Count an event of a kind, with the amount of its step."""
        self.counts[what] += 1
        if step.currency is not None and step.amount is not None:
            self.amounts[step.currency][what] += step.amount


def conversions(
    paths: Iterable[VisitPath],
    names: Mapping[StageKey, StageNames],
    orders: StageOrders,
    during: During,
    wanted: Wanted,
) -> tuple[StageConversion, ...]:
    """Count cohorts and entries of every stage in a period."""
    cohorts: defaultdict[StageKey, _Cohort] = defaultdict(_Cohort)
    for path in paths:
        for key, first in _first_entries(path, during, wanted).items():
            cohort, step = cohorts[key], path[first]
            cohort.add("entered", step)
            cohort.add(_outcome_of_visit(path, _visit_span(path, first), orders), step)
        for step in path:
            if _enters(step) and during(step.at) and wanted(step):
                cohorts[step.key].add("entries", step)
        for step, end in _exits(path, during, wanted):
            if KINDS[end.entered] in FORWARD:
                cohorts[step.key].add("entries_later", end)
    return tuple(_conversion(key, names[key], cohorts[key]) for key in names)


def _enters(step: StageVisit) -> bool:
    return step.stage is not None and step.entered in ENTRIES


def _first_entries(path: VisitPath, during: During, wanted: Wanted) -> dict[StageKey, int]:
    found: dict[StageKey, int] = {}
    for number, step in enumerate(path):
        if _enters(step) and during(step.at) and wanted(step):
            found.setdefault(step.key, number)
    return found


def _outcome_of_visit(path: VisitPath, visit_span: _VisitSpan, orders: StageOrders) -> str:
    """Return what became of a deal that entered a stage: moved on, left or still there."""
    place = path[visit_span.first : visit_span.after]
    for step in path[visit_span.after :]:
        won = step.outcome == "won" and (place[0].outcome != "won" or step.entered == "won")
        if won or (_enters(step) and orders.is_later(step, place)):
            return "moved_on"
    last = len(path) - 1
    while last and path[last].entered == "migrated":
        last -= 1
    key = place[0].key
    now = any(step.stage is not None and step.key == key for step in path[last:])
    return "still_there" if now and path[-1].stage is not None else "left"


def _exits(
    path: VisitPath, during: During, wanted: Wanted
) -> Iterator[tuple[StageVisit, StageVisit]]:
    """Yield each visit that was left in the period with the step that followed."""
    for step, end in spans(path):
        if step.stage is None or end is None or end.entered not in KINDS:
            continue
        if during(end.at) and wanted(end._replace(process=step.process)):
            yield step, end


def _conversion(key: StageKey, names: StageNames, cohort: _Cohort) -> StageConversion:
    n = cohort.counts
    return StageConversion(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        entered=n["entered"],
        moved_on=n["moved_on"],
        left=n["left"],
        still_there=n["still_there"],
        to_date=share(n["moved_on"], n["entered"]),
        resolved=share(n["moved_on"], n["moved_on"] + n["left"]),
        entries=n["entries"],
        entries_later=n["entries_later"],
        in_period=_ratio(n["entries_later"], n["entries"]),
        values=tuple(
            _stage_value(currency, cohort.amounts[currency])
            for currency in sorted(cohort.amounts)
        ),
    )


def _stage_value(currency: str, sums: Mapping[str, int]) -> StageValue:
    names = ("entered", "moved_on", "left", "entries", "entries_later")
    return StageValue(
        currency=currency,
        to_date=_ratio(sums["moved_on"], sums["entered"]),
        resolved=_ratio(sums["moved_on"], sums["moved_on"] + sums["left"]),
        in_period=_ratio(sums["entries_later"], sums["entries"]),
        **{name: _amount(sums[name]) for name in names},
    )


def _ratio(part: int, whole: int) -> Decimal | None:
    return decimal_of(Fraction(part, whole)) if whole else None


def _amount(millionths: int) -> Decimal:
    return tidy(Decimal(millionths) / AMOUNT_SCALE)


def reaches(
    paths: Iterable[VisitPath],
    names: Mapping[StageKey, StageNames],
    orders: StageOrders,
    during: During,
    wanted: Wanted,
) -> tuple[StageReach, ...]:
    """Count how far the deals came that were created in a period."""
    created: defaultdict[str, _Cohort] = defaultdict(_Cohort)
    cohorts: defaultdict[StageKey, _Cohort] = defaultdict(_Cohort)
    for path in paths:
        opening = path[0]
        if not during(opening.at) or not wanted(opening):
            continue
        own = [step for step in path if step.process == opening.process]
        created[opening.process].add("created", opening)
        for stage in {step.stage for step in own if _enters(step)}:
            cohorts[opening.process, stage or ""].add("entered", opening)
        reached = (
            orders.passed(s.process, s.version, s.stage, s.outcome == "won") for s in own
        )
        for stage in frozenset().union(*reached):
            cohorts[opening.process, stage].add("reached", opening)
    return tuple(
        _reach(key, names[key], created[key[0]], cohorts[key])
        for key in names
        if key[0] in created
    )


def _reach(key: StageKey, names: StageNames, created: _Cohort, cohort: _Cohort) -> StageReach:
    whole, n = created.counts["created"], cohort.counts
    return StageReach(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        created=whole,
        entered=n["entered"],
        reached=n["reached"],
        entered_share=share(n["entered"], whole),
        reached_share=share(n["reached"], whole),
        values=tuple(
            ReachValue(
                currency=currency,
                created=_amount(created.amounts[currency]["created"]),
                entered=_amount(cohort.amounts[currency]["entered"]),
                reached=_amount(cohort.amounts[currency]["reached"]),
            )
            for currency in sorted(created.amounts)
        ),
    )


def transitions(
    paths: Iterable[VisitPath],
    names: Mapping[StageKey, StageNames],
    during: During,
    wanted: Wanted,
) -> tuple[Transition, ...]:
    """Count the exits from every stage in a period by what they led to."""
    exits: defaultdict[StageKey, Counter[tuple[ExitKind, str]]] = defaultdict(Counter)
    for path in paths:
        for step, end in _exits(path, during, wanted):
            exits[step.key][KINDS[end.entered], end.stage or end.outcome] += 1
    return tuple(
        Transition(
            process=key[0],
            stage=key[1],
            stage_en=names[key].en,
            stage_zh=names[key].zh,
            kind=kind,
            target=target,
            exits=count,
            exits_total=exits[key].total(),
            share=decimal_of(Fraction(count, exits[key].total())),
        )
        for key in names
        if key in exits
        for (kind, target), count in sorted(exits[key].items(), key=_by_kind)
    )


def _by_kind(counted: tuple[tuple[ExitKind, str], int]) -> tuple[int, int, str]:
    """Sort by kind, the most frequent first within one."""
    (kind, target), count = counted
    return list(KINDS.values()).index(kind), -count, target
