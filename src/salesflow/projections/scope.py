"""Scope: whom a figure is of, what its groups are called, and whether what is asked is known.

What happened counts for whoever had the deal, and for the team they were in, when it happened;
customers merged into one count as one. Groups, stages and reasons are named as their processes
name them. A question that names a process, a stage or a team nobody knows of is refused; of
reps, customers, channels and surveys anybody may ask whether one was ever met.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from itertools import count, pairwise, takewhile
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from salesflow.domain.process import Label
from salesflow.domain.time import FOREVER, Instant, Moment
from salesflow.domain.values import Reference
from salesflow.errors import NotFoundError
from salesflow.presentation.messages import Language, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, Words
from salesflow.projections.core.names import Labelled, Names
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Processes

__all__ = [
    "MET",
    "By",
    "Customers",
    "Group",
    "Meant",
    "MembershipPeriod",
    "Met",
    "MetView",
    "StageName",
    "TeamChange",
    "Teams",
    "early_reps_note",
    "ensure_known",
    "group_order",
    "head_of_groups",
    "named",
    "stage_name",
]


# Where a stage stands in its process and what it is called, for tables grouped by stage.


class StageName(NamedTuple):
    """A stage's place in its process, and its names; one sorts as it stands there."""

    order: int
    name_en: str
    name_zh: str


def stage_name(stage: str, process: str, version: int, processes: Processes) -> StageName:
    """Find a stage in a process version; one it does not know comes last, under its key."""
    found = processes.get((process, version))
    stages = () if found is None else found.stages
    for order, each in enumerate(stages):
        if each.key == stage:
            return StageName(order, each.name_en, each.name_zh)
    return StageName(len(stages), stage, stage)


# Who counts as one customer at a moment, for figures that count customers.
#
# Read once for a question: only entries that are merged or that are customers for longer than
# the log is old are read. While an entry is merged into another its deals count for that one,
# and on along a chain. Where entries were merged in a circle (each into the next, by two who
# did not know of one another), all of it is one customer under its lowest id.


class CustomerEntry(NamedTuple):
    """An entry in the books of customers."""

    entry: UUID
    into: UUID | None
    since: str | None


class Customers:
    """The merged customers as known at a moment, and since when customers are customers."""

    def __init__(self, into: Mapping[UUID, UUID], since: Mapping[UUID, date]) -> None:
        self._into = into
        self._since: dict[UUID, date] = {}
        for entry, day in since.items():
            survivor = self.survivor(entry)
            self._since[survivor] = min(day, self._since.get(survivor, day))

    @classmethod
    def read(cls, reader: Reader) -> "Customers":
        """Read them at the question's moment."""
        rows = reader.columns(CUSTOMER)
        rows = rows.where((rows["merged_into"] >= 0) | (rows["customer_since"] >= 0))
        cells = map(rows.cells, ("entity_id", "merged_into", "customer_since"))
        entries = [CustomerEntry(*cells) for cells in zip(*cells, strict=True)]
        return cls(
            {each.entry: each.into for each in entries if each.into is not None},
            {each.entry: date.fromisoformat(each.since) for each in entries if each.since},
        )

    def survivor(self, entry: UUID) -> UUID:
        """Return the customer an entry counts as; itself while it is not merged."""
        path = [entry]
        while (after := self._into.get(path[-1])) is not None:
            if after in path:
                return min(path[path.index(after) :])
            path.append(after)
        return path[-1]

    @property
    def merged(self) -> Sequence[UUID]:
        """The entries that are merged into others."""
        return [*self._into]

    @property
    def older(self) -> Sequence[UUID]:
        """The customers that are known to be older than the log."""
        return [*self._since]

    def since(self, survivor: UUID) -> date | None:
        """Return the earliest day any entry of a customer is known to be one; None without."""
        return self._since.get(survivor)


# In which team somebody was at an instant.
#
# Read once for a question: reps are few. What happened counts for the team the rep was in then,
# as known at the question's `known_at` whatever its `as_of`, so that a finished period never
# changes; where that lies before a rep's first team (a rep registered years after the imported
# deals), the first one is used, and whoever asks is told. What stands at a moment counts for
# the team that is valid then, or for none.


class MembershipPeriod(NamedTuple):
    """A span of time in a team, or in none: from `start` until the next one begins."""

    start: Instant
    team: str | None
    event_id: UUID
    """The fact that put the rep there."""


class TeamChange(NamedTuple):
    """A rep went from one team (or none) to another."""

    at: Instant
    left: str | None
    entered: str | None
    event_id: UUID


class Teams:
    """The teams of all reps as known at a moment."""

    def __init__(self, stays: Mapping[str, Sequence[MembershipPeriod]]) -> None:
        self._stays = stays
        self._early: set[str | None] = set()

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it, so far."""
        return len(self._early)

    @classmethod
    def read(cls, reader: Reader, *, known_at: Instant | None = None) -> "Teams":
        """Read all that is known of them at the question's moment, or was before it."""
        c, read_point = MEMBERSHIP.c, reader.read_point._replace(as_of=FOREVER)
        if known_at is not None:
            read_point = read_point._replace(known_at=known_at)
        shown: list[sa.ColumnElement[Any]] = [c.rep, c.valid_from, c.team, c.event_id]
        stays: dict[str, list[MembershipPeriod]] = defaultdict(list)
        for row in reader.rows(sa.select(*shown).where(MEMBERSHIP.started_by(read_point))):
            stays[row[0]].append(MembershipPeriod._make(row[1:]))
        for found in stays.values():
            found.sort(key=lambda period: period.start)
        return cls(stays)

    def of(self, rep: str | None, at: Instant) -> str | None:
        """Return the team for what a rep did at an instant; None where nobody said so."""
        period = self.stay(rep, at)
        if period is None:
            return None
        if at < period.start:
            self._early.add(rep)
        return period.team

    @cached_property
    def names(self) -> list[str]:
        """The teams that anybody is in, by their keys."""
        periods = (period for stays in self._stays.values() for period in stays)
        return sorted({period.team for period in periods if period.team is not None})

    def stays(self, rep: str | None) -> Sequence[MembershipPeriod]:
        """Return where a rep was, in order of time; nothing of who was in no team ever."""
        return self._stays.get(rep or "", ())

    def numbers(self, reps: Column, words: Words, at: Column) -> Column:
        """Return the team for what each rep did at an instant, by its place among the `names`.

        Reps are codes of words; `NOTHING` where nobody said so, see `of`.
        """
        numbers: dict[str | None, int] = {name: n for n, name in enumerate(self.names)}
        found = np.full(len(reps), NOTHING)
        for rows in grouped(reps).rows():
            rep = words[int(reps[rows[0]])]
            stays = self.stays(rep)
            if stays:
                self.of(rep, int(at[rows].min()))  # which notes who joins later
                begun = np.searchsorted([stay.start for stay in stays], at[rows], "right")
                teams = np.array([numbers.get(stay.team, NOTHING) for stay in stays])
                found[rows] = teams[np.maximum(begun - 1, 0)]
        return found

    def valid(self, rep: str | None, at: Instant) -> str | None:
        """Return the team of an instant, for what is so then; None before any."""
        period = self.stay(rep, at)
        return None if period is None or at < period.start else period.team

    def stay(self, rep: str | None, at: Instant) -> MembershipPeriod | None:
        """Return where a rep was at an instant; the first one for any time before it."""
        stays = self.stays(rep)
        if not stays:
            return None
        begun = bisect_right(stays, at, key=lambda period: period.start)
        return stays[max(begun - 1, 0)]

    def changes(
        self, rep: str | None, after: Instant, through: Instant
    ) -> Iterator[TeamChange]:
        """Yield the changes of team after one instant and up to another, in order."""
        for left, entered in pairwise(self.stays(rep)):
            if after < entered.start <= through and left.team != entered.team:
                yield TeamChange(entered.start, left.team, entered.team, entered.event_id)


def early_reps_note(reps: int, language: Language) -> str:
    """Return the note below figures of teams that reps had before they joined any."""
    return say_count(
        "{count:,} rep: before joining any team, counted under the first team",
        "{count:,} reps: before joining any team, counted under their first teams",
        reps,
        language,
    )


# By what figures of a period are grouped: a rep, a team, a customer, a channel, a process.

By = Literal["rep", "team", "customer", "channel", "process"]
Group = str | None


def head_of_groups(by: str) -> str:
    """Return the head of the column of groups: a channel here is a lead source."""
    return "Lead source" if by == "channel" else by.capitalize()


def group_order(group: Group) -> tuple[bool, str]:
    """Sort groups by name, the one nobody named last."""
    return group is None, group or ""


# What the reasons and stages of an answer are called, by the processes its deals closed under.
#
# A key means what its process says: two processes may call one key by two names, and one that
# was published later may call it by a third. So each question says under which process versions
# the deals it counts closed, and nobody else's names are taken. Where the processes of one
# answer disagree about a key, both of their names stand beside it.

BOTH = " / "


class Meant(NamedTuple):
    """A key of an answer, and a process version under which a deal closed that has it."""

    process: str
    version: int
    key: str | None


def named(meant: Iterable[Meant], processes: Processes) -> Names:
    """Return the names of the keys: of a process, as the newest of its versions calls them."""
    versions: dict[str, set[int]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    for process, version, key in meant:
        if key:
            versions[process].add(version)
            keys[key].add(process)
    labels = []
    for key in sorted(keys):
        found = [
            label
            for process in sorted(keys[key])
            if (label := _label(key, process, versions[process], processes)) is not None
        ]
        if found:
            labels.append(
                Labelled(
                    key=key,
                    name_en=_all(label.name_en for label in found),
                    name_zh=_all(label.name_zh for label in found),
                )
            )
    return Names(labels=tuple(labels))


def _label(key: str, process: str, versions: set[int], processes: Processes) -> Label | None:
    for version in sorted(versions, reverse=True):
        label = next(
            (each for each in _labels(process, version, processes) if each.key == key), None
        )
        if label is not None:
            return label
    return None


def _labels(process: str, version: int, processes: Processes) -> Iterator[Label]:
    found = processes.get((process, version))
    if found is not None:
        yield from found.loss_reasons
        yield from found.stages


def _all(names: Iterable[str]) -> str:
    return BOTH.join(dict.fromkeys(names))


# Whether what a question names is known at all: a process, a stage or a team.
#
# A misspelt key would give an empty answer, which looks like a true one. So it is refused, with
# those there are. Processes and stages are known once they are published, whatever the moment;
# a team once somebody has been in it by the moment. Leaves out what callers name by ids of
# their own, as reps, surveys and channels: of an unknown one there simply is nothing.

OURS = __name__.partition(".")[0]
STAGES = ("stage", "entered_stage")
"""What the tables of deals call the stage."""


def ensure_known(question: Question[View], reader: Reader) -> None:
    """Refuse a question that names a process, a stage or a team nobody knows of.

    A question from outside this package means by its parameters what it likes.

    Raises:
        NotFoundError: naming those there are.
    """
    if type(question).__module__.partition(".")[0] != OURS:
        return
    process, stage, team = (
        _named(question, parameter) for parameter in ("process", "stage", "team")
    )
    if process is not None and (process, 1) not in reader.processes:
        known_names = ", ".join(reader.published())
        raise NotFoundError(f"there is no process {process!r}; there are {known_names}")
    if stage is not None and (process is not None or not _met(stage, question, reader)):
        keys = reader.published() if process is None else [process]
        stages = dict.fromkeys(_stages(keys, reader.processes))
        if stage not in stages:
            raise NotFoundError(f"there is no stage {stage!r}; there are {', '.join(stages)}")
    if team is not None:
        _ensure_known_team(team, reader)


def _named(question: Question[View], parameter: str) -> str | None:
    found: str | None = getattr(question, parameter, None)
    return found


def _met(stage: str, question: Question[View], reader: Reader) -> bool:
    """Return whether a deal has been in a stage, which spares looking at every process."""
    for fold in FOLDS.values():
        c = fold.table.c
        column = next((c[name] for name in STAGES if name in c), None)
        if fold.table.name in question.folds and column is not None:
            mine = sa.select(column).where(
                c.tenant == reader.read_point.tenant, column == stage
            )
            if reader.rows(mine.limit(1)):
                return True
    return False


def _stages(keys: Iterable[str], processes: Processes) -> Iterator[str]:
    """Yield the stages of every version of some processes, in order."""
    for key in keys:
        versions = ((key, number) for number in count(1))
        for version in takewhile(processes.__contains__, versions):
            yield from (stage.key for stage in processes[version].stages)


def _ensure_known_team(team: str, reader: Reader) -> None:
    c = MEMBERSHIP.c
    named: sa.Select[Any] = (
        sa.select(c.team)
        .distinct()
        .where(MEMBERSHIP.started_by(reader.read_point), c.team.is_not(None))
        .order_by(c.team)
    )
    known = [row.team for row in reader.rows(named)]
    if team not in known:
        known_names = ", ".join(known) or "none"
        raise NotFoundError(f"nobody has been in a team {team!r} by then; teams: {known_names}")


# Whether what a question is narrowed to was ever met, as known at a moment.
#
# Reps, channels and surveys are named by texts of the caller's own, so that one nobody has
# heard of is no mistake the engine can see; an empty answer then looks like a true one. Whoever
# shows it can ask this.

Places = tuple[tuple[Any, str], ...]


class MetView(View):
    """Whether something a question is narrowed to was ever met."""

    population: ClassVar[str] = "everything known by the moment, whenever it held"
    formula: ClassVar[str] = "met = at least one deal, customer or survey has the value"
    met: bool

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out."""
        del language
        return [TableOfView("", ("Met",), ((str(self.met),),))]


class Met(Question[MetView]):
    """Was this value ever met?"""

    name: ClassVar[str] = "met"
    places: ClassVar[Places] = ()
    """The tables and columns it may stand in."""
    unmet: ClassVar[str] = ""
    """What is said where it was never met, in front of it."""
    value: Reference

    def answer(self, reader: Reader, moment: Moment) -> MetView:
        """Look for one row."""
        return MetView(moment=moment, met=any(self._rows(reader)))

    def _rows(self, reader: Reader) -> list[Any]:
        found: list[Any] = []
        for table, column in self.places:
            known_names = table.c[column]
            rows = sa.select(known_names).where(
                known_names == self._stored(), table.started_by(reader.read_point)
            )
            found += reader.rows(rows.limit(1))
        return found

    def _stored(self) -> str | UUID:
        return self.value


class _OwnerMet(Met):
    """Was any deal ever owned by this rep?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "owner"),)
    unmet: ClassVar[str] = "no deal was ever owned by"


class _ChannelMet(Met):
    """Did any deal ever come from this lead source?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "lead_source"),)
    unmet: ClassVar[str] = "no deal ever came from channel"


class _CurrencyMet(Met):
    """Was any deal ever in this currency?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "currency"),)
    unmet: ClassVar[str] = "no deal was ever in currency"


class _CustomerMet(Met):
    """Was this customer ever registered, or named by a deal?"""

    folds: ClassVar[tuple[str, ...]] = (CUSTOMER.name, DEAL_STATE.name)
    places: ClassVar[Places] = ((CUSTOMER, "entity_id"), (DEAL_STATE, "customer_id"))
    unmet: ClassVar[str] = "there was never a customer"

    def _stored(self) -> str | UUID:
        return UUID(self.value)


class _SurveyMet(Met):
    """Was this survey ever sent or answered?"""

    folds: ClassVar[tuple[str, ...]] = (FEEDBACK.name,)
    places: ClassVar[Places] = ((FEEDBACK, "survey"),)
    unmet: ClassVar[str] = "there was never a survey"


MET: Final[Mapping[str, type[Met]]] = MappingProxyType(
    {
        "owner": _OwnerMet,
        "channel": _ChannelMet,
        "currency": _CurrencyMet,
        "customer": _CustomerMet,
        "survey": _SurveyMet,
    }
)
"""By the name of a question's parameter, what finds out whether its value was ever met."""
