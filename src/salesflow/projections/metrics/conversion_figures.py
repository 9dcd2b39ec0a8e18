"""The figures of conversion: cohorts of a stage, entries of a period, reach, and exits.

What each figure means is said by the view; here is how it is counted on the ways of all deals
at once. An event counts for who owned the deal then, and with the amount it had then.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.format import Estimate
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_figures import runs_of
from salesflow.projections.core.column_groups import grouped, rows_in
from salesflow.projections.core.columns import Column, Flags
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Span
from salesflow.projections.core.statistics import decimal_of, ratio, share
from salesflow.projections.metrics.visits import StageKey, StageNames, StageStanding, Steps
from salesflow.projections.table import Processes

__all__ = [
    "ExitKind",
    "Passages",
    "ReachValue",
    "StageConversion",
    "StageReach",
    "StageValue",
    "Transition",
    "Wanted",
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
ENTRIES: Final = frozenset({"opened", "advanced", "skipped", "returned", "reopened", "won"})
"""Ways to enter a stage; after a migration or an unmerge a deal only goes on in one."""
FORWARD: Final = ("advanced", "skipped", "won")
_Exit = tuple[ExitKind, str]
"""Its kind, and the stage entered or the outcome."""


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


class Wanted(NamedTuple):
    """Which steps are asked about."""

    process: Flags
    """Those of a process, of deals that count."""
    owned: Callable[[Column], Flags]
    """Says which of some steps began while those asked about owned the deal."""


class Passages:
    """The steps that conversion counts: those that enter a stage, and those that leave one.

    A place where a deal came is a step and the migrations that follow upon it: one stay under
    several names.
    """

    def __init__(
        self,
        steps: Steps,
        names: Mapping[StageKey, StageNames],
        wanted: Wanted,
        processes: Processes,
    ) -> None:
        self.steps: Final = steps
        self.names: Final = names
        self.wanted: Final = wanted
        self.processes: Final = processes
        self.stages: Final = steps.stage_numbers(names)
        """Which of the named stages each step is a visit to, by number; -1 for none."""
        self.amounts: Final = Amounts.of(steps.rows)
        self.enters: Final = (steps.stage >= 0) & steps.rows.has("entered", *ENTRIES)

    def created(self, span: Span) -> Column:
        """Return which deals were created in a period, by number."""
        opened = self.steps.firsts
        created = np.flatnonzero(self.wanted.process[opened] & self._began_in(span)[opened])
        return created[self.wanted.owned(opened[created])]

    def entries(self, span: Span) -> Column:
        """Return the steps with which stages were entered in a period."""
        entries = self.enters & self.wanted.process & self._began_in(span)
        return self._owned(np.flatnonzero(entries))

    def exits(self, span: Span) -> Column:
        """Return the steps that followed upon visits left in a period; the visits are before.

        They count for the owner of the step that followed, and the process of the visit.
        """
        follows = self._began_in(span) & self.steps.rows.has("entered", *KINDS)
        follows[self.steps.firsts] = False
        ends = np.flatnonzero(follows)
        visits = ends - 1
        left = (self.steps.stage[visits] >= 0) & self.wanted.process[visits]
        return self._owned(ends[left])

    def _began_in(self, span: Span) -> Flags:
        began: Flags = (self.steps.at >= span.start) & (self.steps.at < span.end)
        return began

    def _owned(self, chosen: Column) -> Column:
        return chosen[self.wanted.owned(chosen)]

    def moved_on(self, entries: Column) -> Flags:
        """Return after which entries the deal entered a later stage, or was won."""
        steps, after = self.steps, self._place_ends[self._places[entries]]
        then, entry = rows_in(after, self._deal_ends[entries])
        won = steps.rows.has("outcome", "won")
        wins = won & steps.rows.has("entered", "won")
        moved_on = _any_of(entry[won[then] & (wins[then] | ~won[entries[entry]])], len(entries))
        then, entry = then[self.enters[then]], entry[self.enters[then]]
        names, pair = rows_in(entries[entry], after[entry])
        moved_on[entry[pair[self._are_later(then[pair], names)]]] = True
        return moved_on

    def _are_later(self, entered: Column, left: Column) -> Flags:
        """Return which steps entered a later stage than others stand in, beside them."""
        standing, standings = self.steps.standing, self.steps.standings
        alike = grouped(standing[entered], standing[left])
        pairs = zip(standing[entered][alike.first], standing[left][alike.first], strict=True)
        later = [is_later(standings[then], standings[it], self.processes) for then, it in pairs]
        return np.array(later, np.bool_)[alike.of]

    def still_there(self, entries: Column) -> Flags:
        """Return after which entries the deal stands in the stage that it entered."""
        ends = self._deal_ends[entries]
        names, entry = rows_in(self._place_begins[self._places[ends - 1]], ends)
        same = self.stages[names] == self.stages[entries[entry]]
        still_there = _any_of(entry[same], len(entries))
        still_there &= self.steps.stage[ends - 1] >= 0
        return still_there

    @computed_once
    def _deal_ends(self) -> Column:
        """The row after the last step of the deal of each step."""
        return self.steps.of_deals(self.steps.lasts + 1)

    @computed_once
    def _place_begins(self) -> Column:
        begins = ~self.steps.rows.has("entered", "migrated")
        begins[self.steps.firsts] = True
        return np.flatnonzero(begins)

    @property
    def _place_ends(self) -> Column:
        return np.append(self._place_begins[1:], len(self.steps))

    @computed_once
    def _places(self) -> Column:
        """The number of the place to which each step belongs."""
        begins = np.zeros(len(self.steps), np.int64)
        begins[self._place_begins] = 1
        return np.cumsum(begins) - 1


def _any_of(numbers: Column, count: int) -> Flags:
    """Return for each number below a count whether it is among some."""
    found = np.zeros(count, np.bool_)
    found[numbers] = True
    return found


def is_later(entered: StageStanding, left: StageStanding, processes: Processes) -> bool:
    """Return whether a stage that was entered lies behind one that was left.

    The order is that of the version under which the later one was entered, or, where that does
    not know both, of the one under which the earlier was; unlike processes have no order.
    """
    if entered.process != left.process:
        return False
    for version in (entered.version, left.version):
        process = processes[left.process, version]
        place, entered_place = (process.order(it.stage or "") for it in (left, entered))
        if place >= 0 and entered_place >= 0:
            return entered_place > place
    return False


class _Sum(NamedTuple):
    """How often something happened, and its amounts in millionths, by currency."""

    times: int
    amounts: Mapping[str, int]


def _sums(passages: Passages, chosen: Column, groups: Column, count: int) -> list[_Sum]:
    """Count steps by the number of their group, of so many, and add up their amounts."""
    times = np.bincount(groups, minlength=count).tolist()
    amounts = passages.amounts.where(chosen).sums(groups, count)
    return list(map(_Sum, times, amounts))


def conversions(passages: Passages, span: Span) -> tuple[StageConversion, ...]:
    """Count cohorts and entries of every stage in a period."""
    steps, stages, names = passages.steps, passages.stages, passages.names
    entries = passages.entries(span)
    entered = entries[grouped(steps.deal[entries], stages[entries]).first]
    moved_on = passages.moved_on(entered)
    still_there = ~moved_on & passages.still_there(entered)
    later = passages.exits(span)
    later = later[steps.rows.has("entered", *FORWARD)[later]]
    sums = {"entries_later": _sums(passages, later, stages[later - 1], len(names))}
    for what, chosen in (
        ("entered", entered),
        ("moved_on", entered[moved_on]),
        ("left", entered[~moved_on & ~still_there]),
        ("still_there", entered[still_there]),
        ("entries", entries),
    ):
        sums[what] = _sums(passages, chosen, stages[chosen], len(names))
    return tuple(
        _conversion(key, names[key], {what: its[number] for what, its in sums.items()})
        for number, key in enumerate(names)
    )


def _conversion(key: StageKey, names: StageNames, sums: Mapping[str, _Sum]) -> StageConversion:
    n = {what: its.times for what, its in sums.items()}
    return StageConversion(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        **n,
        to_date=share(n["moved_on"], n["entered"]),
        resolved=share(n["moved_on"], n["moved_on"] + n["left"]),
        in_period=ratio(n["entries_later"], n["entries"]),
        values=tuple(
            _stage_value(
                currency, {what: its.amounts.get(currency, 0) for what, its in sums.items()}
            )
            for currency in sorted({each for its in sums.values() for each in its.amounts})
        ),
    )


def _stage_value(currency: str, sums: Mapping[str, int]) -> StageValue:
    names = ("entered", "moved_on", "left", "entries", "entries_later")
    return StageValue(
        currency=currency,
        to_date=ratio(sums["moved_on"], sums["entered"]),
        resolved=ratio(sums["moved_on"], sums["moved_on"] + sums["left"]),
        in_period=ratio(sums["entries_later"], sums["entries"]),
        **{name: unscaled(sums[name]) for name in names},
    )


def reaches(passages: Passages, span: Span) -> tuple[StageReach, ...]:
    """Count how far the deals came that were created in a period."""
    steps, names = passages.steps, passages.names
    deals = passages.created(span)
    opened, after = steps.firsts[deals], steps.lasts[deals] + 1
    processes = list(dict.fromkeys(process for process, _ in names))
    of_process = steps.rows.numbers("process", processes)[opened]
    created = _sums(passages, opened, of_process, len(processes))
    entered, reached = (
        _sums(passages, opened[deal], stage, len(names))
        for deal, stage in map(np.nonzero, _came(passages, opened, after))
    )
    return tuple(
        _reach(key, names[key], created[process], (entered[number], reached[number]))
        for number, key in enumerate(names)
        if created[process := processes.index(key[0])].times
    )


def _came(passages: Passages, opened: Column, after: Column) -> tuple[Flags, Flags]:
    """Return which stages deals entered and which they reached, a row of flags for each.

    Of each deal its opening is given, and the row after its last step; only steps under the
    process of the opening count.
    """
    steps, names, process = passages.steps, passages.names, passages.steps.rows["process"]
    rows, deal = rows_in(opened, after)
    own = process[rows] == process[opened[deal]]
    rows, deal = rows[own], deal[own]
    enters = passages.enters[rows]
    entered = np.zeros((len(opened), len(names)), np.bool_)
    entered[deal[enters], passages.stages[rows[enters]]] = True
    passed = [_passed(each, passages.processes) for each in steps.standings]
    passes = np.array([[name in its for name in names] for its in passed], np.bool_)
    if not len(rows):
        return entered, entered
    return entered, np.logical_or.reduceat(passes[steps.standing[rows]], runs_of(deal)[0])


def _passed(standing: StageStanding, processes: Processes) -> Set[StageKey]:
    """Name the stages of its process a deal has reached or passed that stands so."""
    known = processes[standing.process, standing.version]
    passed = {s.key for s in known.open_stages} if standing.outcome == "won" else set()
    if standing.stage is not None:
        alike = ("open", known.categories[standing.stage])
        before = known.stages[: known.order(standing.stage) + 1]
        passed |= {standing.stage, *(s.key for s in before if s.category in alike)}
    return {(standing.process, stage) for stage in passed}


def _reach(
    key: StageKey, names: StageNames, created: _Sum, came: tuple[_Sum, _Sum]
) -> StageReach:
    entered, reached = came
    return StageReach(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        created=created.times,
        entered=entered.times,
        reached=reached.times,
        entered_share=share(entered.times, created.times),
        reached_share=share(reached.times, created.times),
        values=tuple(
            ReachValue(
                currency=currency,
                created=unscaled(created.amounts[currency]),
                entered=unscaled(entered.amounts.get(currency, 0)),
                reached=unscaled(reached.amounts.get(currency, 0)),
            )
            for currency in sorted(created.amounts)
        ),
    )


def transitions(passages: Passages, span: Span) -> Iterator[Transition]:
    """Count the exits from every stage in a period by what they led to."""
    steps, names = passages.steps, list(passages.names)
    ends = passages.exits(span)
    left, entered = passages.stages[ends - 1], steps.rows["entered"][ends]
    target = np.where(steps.stage[ends] >= 0, steps.stage[ends], steps.outcome[ends])
    alike = grouped(left, entered, target)
    words, exits = steps.rows.words, defaultdict[StageKey, Counter[_Exit]](Counter)
    for first, count in zip(alike.first.tolist(), alike.counts().tolist(), strict=True):
        kind = KINDS[words["entered"][int(entered[first])]]
        exits[names[left[first]]][kind, words["stage"][int(target[first])]] += count
    for key in names:
        for (kind, into), count in sorted(exits[key].items(), key=_by_kind):
            yield Transition(
                process=key[0],
                stage=key[1],
                stage_en=passages.names[key].en,
                stage_zh=passages.names[key].zh,
                kind=kind,
                target=into,
                exits=count,
                exits_total=exits[key].total(),
                share=decimal_of(Fraction(count, exits[key].total())),
            )


def _by_kind(counted: tuple[_Exit, int]) -> tuple[int, int, str]:
    """Sort by kind, the most frequent first within one."""
    (kind, target), count = counted
    return list(KINDS.values()).index(kind), -count, target
