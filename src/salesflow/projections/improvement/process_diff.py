"""What differs between two versions of a sales process, and which deals stand on each.

Answers "what did we change, and how many deals still go by the old one?" for any past moment:
stages added, removed, renamed and moved, their probabilities, criteria, tasks, figures and
limits, the loss reasons and the rules. Beside it each version with the deals that stand on it,
and how many went over to another one. A version never changes; it is in use from when it was
published on (`occurred_at`, as known at the moment). Leaves out whether the change did any
good: that is `improvement-effect`.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BeforeValidator, Field

from salesflow.domain.process import (
    Label,
    ProcessPublished,
    ProcessVersion,
    SalesProcess,
    SalesProcessState,
    Stage,
    process_id,
)
from salesflow.domain.time import Instant, Moment, from_instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, given_percent, local_day
from salesflow.presentation.messages import COLON, Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.question import Question, Reader, View, ensure_no_flag
from salesflow.projections.core.replaying import state_of
from salesflow.projections.folds.deal_state import DEAL_STATE

__all__ = ["ProcessChange", "ProcessDiff", "ProcessDiffView", "VersionStanding"]


ChangeKind = Literal[
    "stage_added", "stage_removed", "stage_renamed", "stage_moved", "category_changed",
    "probability_changed", "forecast_category_changed", "limit_changed", "criterion_added",
    "criterion_removed", "task_added", "task_removed", "task_renamed", "figure_added",
    "figure_removed", "target_changed", "reason_added", "reason_removed", "reason_renamed",
    "qualifying_stage_changed", "skipping_changed", "returning_changed", "process_renamed",
]  # fmt: skip
OF_WORDS: Final = frozenset(
    {"category_changed", "forecast_category_changed", "figure_added", "figure_removed"}
    | {"skipping_changed", "returning_changed"}
)
"""Changes from one word of ours to another."""
Number = Annotated[int, BeforeValidator(ensure_no_flag), Field(ge=1, lt=2**31)]


class ProcessChange(Value):
    """One thing in which the versions differ."""

    kind: Annotated[ChangeKind, FieldRole.KEY]
    stage: Annotated[Reference | None, FieldRole.KEY]
    """The stage it is about; None for the process as a whole."""
    item: Annotated[Reference | None, FieldRole.KEY]
    """The criterion, task, figure or reason, by its key."""
    stage_en: SafeText | None
    stage_zh: SafeText | None
    before: Annotated[SafeText | None, FieldRole.TRAIT]
    after: Annotated[SafeText | None, FieldRole.TRAIT]


class VersionStanding(Value):
    """One published version, and the deals that stand on it at the moment."""

    version: Annotated[int, FieldRole.KEY]
    published_at: datetime
    """When it happened, as it was told; the time of recording where nothing was said."""
    published: bool
    """Whether that was by the as-of time; deals may stand on it before."""
    retired: bool
    """Whether it was taken out of use by then."""
    open_deals: int
    closed_deals: int
    """Won, lost, disqualified and merged ones."""
    migrated_in: int
    """Deals that came to it from another version or process, by the moment."""
    migrated_out: int
    """Deals that went from it to another one."""


class StageDeals(Value):
    """How many open deals stand in a stage under each of both versions."""

    stage: Annotated[Reference, FieldRole.KEY]
    stage_en: SafeText
    stage_zh: SafeText
    place_from: Annotated[int | None, FieldRole.TRAIT]
    """Where it stands in the older version, from 1; None where that has no such stage."""
    place_to: Annotated[int | None, FieldRole.TRAIT]
    deals_from: int
    deals_to: int


class ProcessDiffView(View):
    """The changes from one version to another, and who stands where."""

    population: ClassVar[str] = (
        "the versions of one process that were published by the as-of time, as known at the"
        " known-at time, and those on which deals stand all the same; deals that stand on them"
        " at the moment, merged ones as closed"
    )
    formula: ClassVar[str] = (
        "published = when it happened, as it was told; in use = published by the as-of time and"
        " not retired by then; stages, tasks and reasons are the same where their keys are; a"
        " stage was moved where it is not among the most that kept their order; migrated ="
        " deals that by the moment went over from one version to another at least once"
    )
    process: Reference
    from_version: Annotated[int, FieldRole.TRAIT]
    to_version: Annotated[int, FieldRole.TRAIT]
    only_version: bool
    """Whether there is no other version to compare it with by then."""
    changes: tuple[ProcessChange, ...]
    migrated: int
    """Deals that went over from the older of both versions to the newer one."""
    migrated_back: int
    versions: tuple[VersionStanding, ...]
    stages: tuple[StageDeals, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay out what changed, then the versions and the stages with their deals."""
        heads = "Version", "Published", "In use", "Open deals", "Closed deals"
        zone, older, newer = ZoneInfo(self.timezone), self.from_version, self.to_version
        moved = (
            f"{in_language('Migrated', language)} {older} → {newer}: {self.migrated:,}"
            f" · {newer} → {older}: {self.migrated_back:,}"
        )
        return [
            self._changes(language),
            TableOfView(
                "Versions",
                (*heads, "Migrated to it", "Migrated from it"),
                tuple(self._version(each, zone, language) for each in self.versions),
                notes=() if self._is_one else (moved,),
            ),
            self._open_deals(language),
        ]

    @property
    def _is_one(self) -> bool:
        """Whether a version is laid beside itself."""
        return self.from_version == self.to_version

    def _changes(self, language: Language) -> TableOfView:
        rows = tuple(
            (
                _what(each, language),
                (each.stage_zh if language == "zh" else each.stage_en) or NO_VALUE,
                _value(each, each.before, language),
                _value(each, each.after, language),
            )
            for each in self.changes
        )
        columns = ("Change", "Stage", "Old value", "New value")
        versions = f"{self.from_version} → {self.to_version}"
        about = f"{self.process} {self.to_version if self._is_one else versions}"
        notes = () if rows else (self._unchanged(language),)
        return TableOfView("Changes of the process", columns, rows, notes=notes, about=about)

    def _unchanged(self, language: Language) -> str:
        """Say why there is no change."""
        if not self._is_one:
            return in_language("the versions do not differ", language)
        named = {"process": self.process, "version": self.to_version}
        if self.only_version:
            return say("the process {process} has only one version by then", language, **named)
        if any(each.version < self.to_version for each in self.versions):
            return say(
                "version {version} is compared with itself; name another", language, **named
            )
        return say(
            "version {version} is compared with itself: it is the first one of the process"
            " {process}, and nothing came before it; name a later one",
            language,
            **named,
        )

    def _open_deals(self, language: Language) -> TableOfView:
        if self._is_one:
            columns: tuple[str, ...] = ("Stage", "Place", "Open deals")
            rows: tuple[tuple[str, ...], ...] = tuple(
                (each[0], each[2], each[4]) for each in self._stage_rows(language)
            )
        else:
            columns = (
                "Stage", "Old place", "New place", "Deals, old version", "Deals, new version",
            )  # fmt: skip
            rows = tuple(self._stage_rows(language))
        return TableOfView("Open deals by version", columns, rows)

    def _stage_rows(self, language: Language) -> Iterator[tuple[str, ...]]:
        return (self._stage(each, language) for each in self.stages)

    def _version(
        self, each: VersionStanding, zone: ZoneInfo, language: Language
    ) -> tuple[str, ...]:
        return (
            f"{each.version}",
            local_day(each.published_at, zone),
            in_language(_in_use(each), language),
            *(f"{count:,}" for count in (each.open_deals, each.closed_deals)),
            *(f"{count:,}" for count in (each.migrated_in, each.migrated_out)),
        )

    def _stage(self, each: StageDeals, language: Language) -> tuple[str, ...]:
        places = (each.place_from, each.place_to)
        return (
            each.stage_zh if language == "zh" else each.stage_en,
            *(NO_VALUE if place is None else f"{place}" for place in places),
            f"{each.deals_from:,}",
            f"{each.deals_to:,}",
        )


def _what(each: ProcessChange, language: Language) -> str:
    """Say what was changed; of a target also that of which figure."""
    said = key_text(each.kind, language)
    of_figure = each.kind == "target_changed" and each.item
    colon = COLON[language]
    return f"{said}{colon}{key_text(of_figure, language)}" if of_figure else said


def _value(each: ProcessChange, value: str | None, language: Language) -> str:
    if value is None:
        return NO_VALUE
    return key_text(value, language) if each.kind in OF_WORDS else value


def _in_use(each: VersionStanding) -> str:
    if not each.published:
        return "not yet"
    return "no" if each.retired else "yes"


class ProcessDiff(Question[ProcessDiffView]):
    """What did we change in a sales process, and which deals stand on which version?"""

    name: ClassVar[str] = "process-diff"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    process: Reference | None = None
    """The process (its key). Default: the one that most open deals stand under."""
    from_version: Number | None = None
    """The version to begin with. Default: the one before the other."""
    to_version: Number | None = None
    """The version to compare it with. Default: the newest one published by the as-of time."""

    def answer(self, reader: Reader, moment: Moment) -> ProcessDiffView:
        """Compare two versions that were known by the moment.

        Raises:
            NotFoundError: when no such version was known by then.
        """
        rows = reader.columns(DEAL_STATE, ended=True)
        deals = reader.columns(DEAL_STATE)
        process = self.process or _most_used(deals, reader)
        published = _Published.of(process, reader)
        self._ensure_known(process, [*published.versions])
        moves = _moves(rows, process)
        standing = [*_versions(published, deals.among("process", process), moves)]
        there = [each.version for each in standing if each.published or _has_deals(each)]
        in_force = [each.version for each in standing if each.published]
        older, newer = self._compared(in_force or there, [*published.versions])
        before, after = published.versions[older], published.versions[newer]
        shown = {*(there or published.versions), older, newer}
        return ProcessDiffView(
            moment=moment,
            process=process,
            from_version=older,
            to_version=newer,
            only_version=len(shown) == 1,
            changes=tuple(changes_between(before, after)),
            migrated=moves.between.get((older, newer), 0),
            migrated_back=moves.between.get((newer, older), 0),
            versions=tuple(each for each in standing if each.version in shown),
            stages=tuple(_stages(before, after, deals.among("process", process))),
        )

    def _ensure_known(self, process: str, known: Sequence[int]) -> None:
        if not known:
            raise NotFoundError(f"no version of process {process!r} was published by then")
        for version in (self.from_version, self.to_version):
            if version is not None and version not in known:
                there = ", ".join(map(str, known))
                raise NotFoundError(
                    f"process {process!r} has no version {version} by then; there are {there}"
                )

    def _compared(self, there: Sequence[int], known: Sequence[int]) -> tuple[int, int]:
        """Return the versions to compare: of those there were by then where none is named."""
        newer = (there or known)[-1] if self.to_version is None else self.to_version
        if self.from_version is not None:
            return self.from_version, newer
        among = there if newer in there else known
        earlier = bisect_left(among, newer) - 1
        return (among[earlier] if earlier >= 0 else newer), newer


def _has_deals(each: VersionStanding) -> bool:
    return any((each.open_deals, each.closed_deals, each.migrated_in, each.migrated_out))


class _Published(NamedTuple):
    """The versions of a process that are known, and which were taken out of use by then."""

    versions: Mapping[int, ProcessVersion]
    times: Mapping[int, Instant]
    retired: frozenset[int]
    as_of: Instant

    @classmethod
    def of(cls, process: str, reader: Reader) -> "_Published":
        """Read them from its stream; a version is published once, and that is never retracted.

        What was taken out of use is what is believed of the process at the moment.
        """
        versions: dict[int, ProcessVersion] = {}
        times: dict[int, Instant] = {}
        events = reader.events(process_id(process))
        for event in events:
            fact = event.fact
            if isinstance(fact, ProcessPublished) and fact.process.key == process:
                versions.setdefault(fact.process.version, fact.process)
                times.setdefault(fact.process.version, event.effective)
        ordered = {number: versions[number] for number in sorted(versions)}
        state = state_of(SalesProcess, SalesProcessState, events, reader)
        return cls(ordered, times, frozenset(state.retired), reader.read_point.as_of)


def _most_used(deals: HeldRows, reader: Reader) -> str:
    """Return the process that most open deals stand under; of equal ones the first by key."""
    rows = deals.among("outcome", "open")
    alike = grouped(rows["process"])
    keys = rows.cells("process", alike.first)
    counts = dict(zip(keys, alike.counts().tolist(), strict=True))
    there: dict[str, int] = counts or dict.fromkeys(reader.published(), 0)
    return min(there, key=lambda key: (-there[key], key))


class _Moves(NamedTuple):
    """Between which versions deals went over."""

    between: Mapping[tuple[int, int], int]
    into: Mapping[int, int]
    out_of: Mapping[int, int]


def _moves(rows: HeldRows, process: str) -> _Moves:
    """Count the deals that went from one version to another; rows of a deal stand in order."""
    deal, key, version = rows["entity_id"], rows["process"], rows["process_version"]
    mine = rows.code("process", process)
    order = np.lexsort([rows["valid_from"], deal])
    deal, key, version = deal[order], key[order], version[order]
    same = deal[1:] == deal[:-1]
    moved = same & ((key[1:] != key[:-1]) | (version[1:] != version[:-1]))
    here, there = np.flatnonzero(moved), np.flatnonzero(moved) + 1

    def deals_by(chosen: Any, *numbers: Any) -> Mapping[Any, int]:  # noqa: ANN401 - columns
        """Count different deals for each combination of numbers."""
        every = grouped(*numbers, deal[here[chosen]])
        some = [each[every.first] for each in numbers]
        alike = grouped(*some)
        keys = zip(*(each[alike.first].tolist() for each in some), strict=True)
        return dict(zip(keys, alike.counts().tolist(), strict=True))

    left, entered = key[here] == mine, key[there] == mine
    both = left & entered
    between = deals_by(both, version[here[both]], version[there[both]])
    into = deals_by(entered, version[there[entered]])
    out_of = deals_by(left, version[here[left]])
    return _Moves(
        between,
        {number: count for (number,), count in into.items()},
        {number: count for (number,), count in out_of.items()},
    )


def _versions(
    published: _Published, deals: HeldRows, moves: _Moves
) -> Iterator[VersionStanding]:
    is_open = deals.has("outcome", "open")
    version = deals["process_version"]
    for number in published.versions:
        mine = version == number
        count = int(np.count_nonzero(mine & is_open))
        yield VersionStanding(
            version=number,
            published_at=from_instant(published.times[number]),
            published=published.times[number] <= published.as_of,
            retired=number in published.retired,
            open_deals=count,
            closed_deals=int(np.count_nonzero(mine)) - count,
            migrated_in=moves.into.get(number, 0),
            migrated_out=moves.out_of.get(number, 0),
        )


def _stages(
    before: ProcessVersion, after: ProcessVersion, deals: HeldRows
) -> Iterator[StageDeals]:
    """Yield the stages of the newer version in their order, then those of the older alone."""
    rows = deals.among("outcome", "open")
    alike = grouped(rows["stage"], rows["process_version"])
    keys = rows.records("stage", "process_version", rows=alike.first)
    counts = dict(zip(keys, alike.counts().tolist(), strict=True))
    gone = [stage for stage in before.stages if stage.key not in after.by_key]
    for stage in (*after.stages, *gone):
        places = (before.order(stage.key), after.order(stage.key))
        yield StageDeals(
            stage=stage.key,
            stage_en=stage.name_en,
            stage_zh=stage.name_zh,
            place_from=None if places[0] < 0 else places[0] + 1,
            place_to=None if places[1] < 0 else places[1] + 1,
            deals_from=counts.get((stage.key, before.version), 0),
            deals_to=counts.get((stage.key, after.version), 0),
        )


# What differs, in the order of the stages; the process as a whole comes last.


def changes_between(before: ProcessVersion, after: ProcessVersion) -> Iterator[ProcessChange]:
    """Yield what differs between two versions."""
    moved = _moved(before, after)
    for stage in after.stages:
        old = before.by_key.get(stage.key)
        place = f"{after.order(stage.key) + 1}"
        if old is None:
            yield _change("stage_added", stage, None, place)
            continue
        if stage.key in moved:
            yield _change("stage_moved", stage, f"{before.order(stage.key) + 1}", place)
        yield from _stage_changes(old, stage)
        yield from _criteria(stage, before, after)
        yield from _labels("task", stage, old.tasks, stage.tasks)
        yield from _figures(old, stage)
    for stage in before.stages:
        if stage.key not in after.by_key:
            yield _change("stage_removed", stage, f"{before.order(stage.key) + 1}", None)
    yield from _labels("reason", None, before.loss_reasons, after.loss_reasons)
    yield from _rules(before, after)


def _moved(before: ProcessVersion, after: ProcessVersion) -> set[str]:
    """Return which common stages are not among the most that kept their order."""
    common = [stage.key for stage in after.stages if stage.key in before.by_key]
    longest: list[list[str]] = []
    for number, key in enumerate(common):
        place = before.order(key)
        ahead = [it for it in longest[:number] if before.order(it[-1]) < place]
        longest.append([*max(ahead, key=len, default=[]), key])
    kept = max(longest, key=len, default=[])
    return {*common} - {*kept}


def _stage_changes(old: Stage, new: Stage) -> Iterator[ProcessChange]:
    if (old.name_en, old.name_zh) != (new.name_en, new.name_zh):
        yield _change("stage_renamed", new, _name(old), _name(new))
    told: tuple[tuple[ChangeKind, Any, Any], ...] = (
        ("category_changed", old.category, new.category),
        ("probability_changed", given_percent(old.probability), given_percent(new.probability)),
        ("forecast_category_changed", old.forecast_category, new.forecast_category),
        ("limit_changed", old.max_days, new.max_days),
    )
    for kind, was, now in told:
        if was != now:
            yield _change(kind, new, _text(was), _text(now))


def _criteria(
    stage: Stage, before: ProcessVersion, after: ProcessVersion
) -> Iterator[ProcessChange]:
    """Yield the exit criteria of a stage that came and went, as people call them."""
    was, now = (version.by_key[stage.key].exit_criteria for version in (before, after))
    for criterion in now:
        if criterion not in was:
            named = _named(after, criterion)
            yield _change("criterion_added", stage, None, named, criterion)
    for criterion in was:
        if criterion not in now:
            named = _named(before, criterion)
            yield _change("criterion_removed", stage, named, None, criterion)


def _named(version: ProcessVersion, criterion: str) -> str:
    both = dict.fromkeys(version.criterion_name(criterion, each) for each in ("en", "zh"))
    return " / ".join(both)


def _figures(old: Stage, new: Stage) -> Iterator[ProcessChange]:
    was, now = ({kpi.metric: kpi.target for kpi in stage.kpis} for stage in (old, new))
    for metric in {**now, **was}:
        if metric not in was:
            yield _change("figure_added", new, None, metric, metric)
        elif metric not in now:
            yield _change("figure_removed", new, metric, None, metric)
        elif was[metric] != now[metric]:
            values = (_text(was[metric]), _text(now[metric]))
            yield _change("target_changed", new, *values, metric)


KINDS_OF_LABELS: Final[Mapping[str, tuple[ChangeKind, ChangeKind, ChangeKind]]] = {
    "task": ("task_added", "task_removed", "task_renamed"),
    "reason": ("reason_added", "reason_removed", "reason_renamed"),
}


def _labels(
    what: str, stage: Stage | None, old: Sequence[Label], new: Sequence[Label]
) -> Iterator[ProcessChange]:
    added, removed, renamed = KINDS_OF_LABELS[what]
    was, now = ({label.key: label for label in labels} for labels in (old, new))
    for key, label in now.items():
        if key not in was:
            yield _change(added, stage, None, _name(label), key)
        elif _name(was[key]) != _name(label):
            yield _change(renamed, stage, _name(was[key]), _name(label), key)
    for key, label in was.items():
        if key not in now:
            yield _change(removed, stage, _name(label), None, key)


def _rules(before: ProcessVersion, after: ProcessVersion) -> Iterator[ProcessChange]:
    told: tuple[tuple[ChangeKind, Any, Any], ...] = (
        ("qualifying_stage_changed", _qualifying(before), _qualifying(after)),
        ("skipping_changed", before.skipping_allowed, after.skipping_allowed),
        ("returning_changed", before.returning_allowed, after.returning_allowed),
        ("process_renamed", _name(before), _name(after)),
    )
    for kind, was, now in told:
        if was != now:
            yield _change(kind, None, _text(was), _text(now))


def _qualifying(version: ProcessVersion) -> str | None:
    stage = version.by_key.get(version.qualifying_stage or "")
    return None if stage is None else _name(stage)


def _change(
    kind: ChangeKind,
    stage: Stage | None,
    before: str | None,
    after: str | None,
    item: str | None = None,
) -> ProcessChange:
    return ProcessChange(
        kind=kind,
        stage=None if stage is None else stage.key,
        item=item,
        stage_en=None if stage is None else stage.name_en,
        stage_zh=None if stage is None else stage.name_zh,
        before=before,
        after=after,
    )


def _name(label: Label) -> str:
    both = dict.fromkeys((label.name_en, label.name_zh))
    return " / ".join(both)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)
