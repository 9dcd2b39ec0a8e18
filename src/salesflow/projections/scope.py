"""Scope: whom a figure is of, and what its groups are called.

What happened counts for whoever had the deal, and for the team they were in, when it happened;
customers merged into one count as one. Groups, stages and reasons are named as their processes
name them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from salesflow.domain.computed_once import computed_once
from salesflow.domain.process import Label, ProcessVersion
from salesflow.domain.time import FOREVER, Instant, from_instant
from salesflow.presentation.messages import Language, say_count
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import (
    NOTHING,
    UNKNOWN,
    Column,
    Flags,
    Having,
    HeldRows,
    Words,
)
from salesflow.projections.core.names import Labelled, Names
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.table import Processes

__all__ = [
    "EVERYTHING",
    "By",
    "Customers",
    "Group",
    "GroupedBy",
    "Meant",
    "MembershipPeriod",
    "MetricScope",
    "StageName",
    "TeamChange",
    "Teams",
    "early_reps_note",
    "head_of_groups",
    "named",
    "names_in_order",
    "newest_names",
    "stage_name",
    "unnamed_last",
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


def newest_names(
    stage: str, process: str, versions: Iterable[int], processes: Processes
) -> tuple[str, str]:
    """Return what a stage is called by the newest of some process versions that knows it.

    In English and Chinese; a stage that none of them knows goes by its key.
    """
    for version in sorted(versions, reverse=True):
        found = processes[process, version].by_key.get(stage)
        if found is not None:
            return found.name_en, found.name_zh
    return stage, stage


# Who counts as one customer at a moment, for figures that count customers.
#
# Read once for a question: only entries that are merged or that are customers for longer than
# the log is old are read. While an entry is merged into another its deals count for that one,
# and on along a chain. Where entries were merged in a circle (each into the next, by two who
# did not know of one another), all of it is one customer under its lowest id.


class Customers:
    """The merged customers as known at a moment, and since when customers are customers.

    Entries and customers are codes of ids.
    """

    def __init__(self, into: Mapping[int, int], since: Mapping[int, str], ids: Words) -> None:
        self._into = into
        self._ids = ids
        self._merged = np.array([*into], np.int64)
        self._survivors = np.array([*map(self._survivor, into)], np.int64)
        self._since: dict[int, date] = {}
        for entry, text in since.items():
            survivor, day = self._survivor(entry), date.fromisoformat(text)
            self._since[survivor] = min(day, self._since.get(survivor, day))

    @classmethod
    def read(cls, reader: Reader) -> "Customers":
        """Read them at the moment of a question."""
        rows = reader.columns(CUSTOMER)
        entry, into, since = rows.cut("entity_id", "merged_into", "customer_since")
        merged, old = into != NOTHING, since != NOTHING
        days = rows.cells("customer_since", np.flatnonzero(old))
        return cls(
            dict(zip(entry[merged].tolist(), into[merged].tolist(), strict=True)),
            dict(zip(entry[old].tolist(), days, strict=True)),
            rows.words["entity_id"],
        )

    def _survivor(self, entry: int) -> int:
        """Return the customer an entry counts as; itself while it is not merged."""
        path = [entry]
        while (after := self._into.get(path[-1])) is not None:
            if after in path:
                return min(path[path.index(after) :], key=self._ids.__getitem__)
            path.append(after)
        return path[-1]

    def survivors(self, entries: Column) -> Column:
        """Return as which customer each entry counts."""
        if not len(self._merged):
            return entries
        place = places_among(self._merged, entries)
        return np.where(place < 0, entries, self._survivors[place])

    def survivor(self, customer: UUID) -> UUID:
        """Return the customer that an entry counts as."""
        code = self._ids.code(customer)
        return customer if code is None else self._ids[self._survivor(code)]

    def entries(self, customer: UUID) -> tuple[UUID, ...]:
        """Return all entries that count as the customer that one counts as."""
        code = self._ids.code(customer)
        if code is None:
            return (customer,)
        counts_as = self._survivor(code)
        merged = [entry for entry in self._into if self._survivor(entry) == counts_as]
        return tuple(self._ids[entry] for entry in dict.fromkeys((code, counts_as, *merged)))

    def are_new(self, survivors: Column, at: Column, timezone: ZoneInfo) -> Flags:
        """Return of which customers nothing says that they were one before a day.

        That is the day of the instant that stands beside each.
        """
        new = np.ones(len(survivors), np.bool_)
        older = np.isin(survivors, [*self._since])
        for row in np.flatnonzero(older).tolist():
            day = from_instant(int(at[row])).astimezone(timezone).date()
            new[row] = self._since[int(survivors[row])] >= day
        return new


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

    def until(self, at: Instant) -> "Teams":
        """Return what of it was so by an instant, and nothing of what began after that."""
        begun = {
            rep: [period for period in stays if period.start <= at]
            for rep, stays in self._stays.items()
        }
        return Teams({rep: stays for rep, stays in begun.items() if stays})

    def of(self, rep: str | None, at: Instant) -> str | None:
        """Return the team for what a rep did at an instant; None where nobody said so."""
        period = self.stay(rep, at)
        if period is None:
            return None
        if at < period.start:
            self._early.add(rep)
        return period.team

    @property
    def reps(self) -> list[str]:
        """Who was in a team ever, in order."""
        return sorted(self._stays)

    @computed_once
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
        for rows in grouped(reps).rows():  # which notes who joins later
            self.of(words[int(reps[rows[0]])], int(at[rows].min()))
        return self._numbers(reps, words, at, before_any=0)

    def valid_numbers(self, reps: Column, words: Words, at: Column) -> Column:
        """Return the same of the team of an instant, for what is so then; none before any."""
        return self._numbers(reps, words, at, before_any=-1)

    def are_in(self, teams: tuple[str, ...], reps: Column, words: Words, at: Column) -> Flags:
        """Return which reps count for one of some teams at an instant each, see `of`."""
        numbers = [number for number, name in enumerate(self.names) if name in teams]
        found: Flags = np.isin(self.numbers(reps, words, at), numbers)
        return found

    def _numbers(self, reps: Column, words: Words, at: Column, *, before_any: int) -> Column:
        """Return the teams; `before_any` is the period that stands for the time before all."""
        numbers: dict[str | None, int] = {name: n for n, name in enumerate(self.names)}
        found = np.full(len(reps), NOTHING)
        for rows in grouped(reps).rows():
            stays = self.stays(words[int(reps[rows[0]])])
            if stays:
                begun = np.searchsorted([stay.start for stay in stays], at[rows], "right")
                teams = [*(numbers.get(stay.team, NOTHING) for stay in stays), NOTHING]
                found[rows] = np.array(teams)[np.maximum(begun - 1, before_any)]
        return found

    def staffed(self, start: Instant, end: Instant) -> list[int]:
        """Return which of the `names` somebody was in between two instants, both included."""
        found = set()
        for stays in self._stays.values():
            ends = (*(stay.start for stay in stays[1:]), FOREVER)
            for stay, after in zip(stays, ends, strict=True):
                if stay.team is not None and stay.start <= end and start < after:
                    found.add(self.names.index(stay.team))
        return sorted(found)

    def members(self, *teams: str) -> tuple[str, ...]:
        """Return who was in a team, or in one of several, at any time."""
        return tuple(
            rep for rep, stays in self._stays.items() if any(it.team in teams for it in stays)
        )

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


# By what figures are grouped: a rep, a team, a customer, a channel, a process.
#
# What happened belongs to whoever had the deal when it happened; what stands open, to whoever
# has it at the time asked about. A customer is the one an entry counts as at the moment. Groups
# of whole columns are numbers, which have names.

By = Literal["rep", "team", "customer", "channel", "process"]
GroupedBy = By | Literal["currency"]
Group = str | None


def head_of_groups(by: str) -> str:
    """Return the head of the column of groups: a channel here is a lead source."""
    return "Lead source" if by == "channel" else by.capitalize()


def unnamed_last(name: str | None) -> tuple[bool, str]:
    """Sort groups or currencies by name, the one nobody named last."""
    return name is None, name or ""


def names_in_order(names: Collection[Group]) -> tuple[list[Group], Column]:
    """Return names, which all differ, in order, None last; and where each stands then."""
    ordered: list[Group] = [*sorted([name for name in names if name is not None])]
    if None in names:
        ordered.append(None)
    place = dict(zip(ordered, range(len(ordered)), strict=True))
    return ordered, np.array([*map(place.__getitem__, names)], np.int64)


class Attribution(NamedTuple):
    """The columns of rows that say to whom something belonged when it happened."""

    at: str
    rep: str
    customer: str
    process: str
    channel: str = "lead_source"
    currency: str = "currency"


class MetricScope(NamedTuple):
    """What figures are narrowed to; all that is named has to be so, None is for any."""

    process: str | None = None
    owner: str | tuple[str, ...] | None = None
    """A rep, who owns what is counted, or is credited with a part of it; or several."""
    team: str | tuple[str, ...] | None = None
    """A team, or several together."""
    customer: UUID | None = None
    """With all entries that are merged with it."""
    channel: str | None = None
    """A lead source."""
    stage: str | None = None
    """The stage at which something is measured, in whichever process has it."""
    product: str | None = None
    """What was sold, by the lines of the sale."""

    @property
    def teams(self) -> tuple[str, ...] | None:
        """The teams it is narrowed to; None for any."""
        return (self.team,) if isinstance(self.team, str) else self.team


EVERYTHING: Final = MetricScope()


class Grouping:
    """To which groups rows belong, and whether they were asked for at all."""

    def __init__(
        self,
        reader: Reader,
        by: GroupedBy | None,
        words: Mapping[str, Words],
        within: MetricScope = EVERYTHING,
    ) -> None:
        self.by: Final = by
        self._reader = reader
        self.within: Final = within
        self._texts: Final = words["process"]
        self._ids: Final = words["entity_id"]

    def wanted(self, whose: Attribution) -> Having:
        """Return what rows have that are asked for, but for the team; see `in_team`."""
        its = self.within
        found: dict[str, str | UUID | tuple[str | UUID, ...] | None] = {
            whose.process: its.process,
            whose.rep: its.owner,
        }
        if its.channel is not None:
            found[whose.channel] = its.channel
        if its.customer is not None:
            found[whose.customer] = self.customers.entries(its.customer)
        if its.teams is not None and its.owner is None:
            found[whose.rep] = self._teams.members(*its.teams)
        return found

    def in_team(
        self, rows: HeldRows, whose: Attribution, at: Column | None = None
    ) -> Flags | None:
        """Return which rows were of the team asked for; None where none was, as for all.

        At an instant of each, or where none is said when it happened.
        """
        teams = self.within.teams
        if teams is None:
            return None
        when = rows[whose.at] if at is None else at
        return self._teams.are_in(teams, rows[whose.rep], self._texts, when)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it, so far."""
        by_team = self.by == "team" or self.within.team is not None
        return self._teams.before_joining if by_team else 0

    def of(self, rows: HeldRows, whose: Attribution, at: Column | None = None) -> Column:
        """Return the number of the group of each row, or `NOTHING` for none; see `names`.

        The team is that of an instant of each, or where none is said of when it happened.
        """
        match self.by:
            case None:
                return np.full(rows.count, NOTHING)
            case "team":
                when = rows[whose.at] if at is None else at
                return self._teams.numbers(rows[whose.rep], self._texts, when)
            case "customer":
                return self.customers.survivors(rows[whose.customer])
            case word:
                return rows[getattr(whose, word)]

    def staffed(self, start: Instant, end: Instant) -> list[int]:
        """Return the numbers of the teams asked for that somebody was in, whatever happened.

        None without groups by team, and none where one rep is asked for.
        """
        if self.by != "team" or self.within.owner is not None:
            return []
        staffed, teams = self._teams.staffed(start, end), self.within.teams
        if teams is None:
            return staffed
        only = {*map(self.number, teams)}
        return [each for each in staffed if each in only]

    def standing(self, rows: HeldRows, whose: Attribution) -> Column:
        """Return the same of what stands at the moment: for the teams that are valid then."""
        if self.by != "team":
            return self.of(rows, whose)
        as_of = np.full(len(rows), self._reader.read_point.as_of)
        return self._teams.valid_numbers(rows[whose.rep], self._texts, as_of)

    def number(self, name: str) -> int:
        """Return the number of a group; one that no row has if there is none."""
        match self.by:
            case "team":
                names = self._teams.names
                return names.index(name) if name in names else UNKNOWN
            case "customer":
                found = self._ids.code(UUID(name))
            case _:
                found = self._texts.code(name)
        return UNKNOWN if found is None else found

    def names(self, numbers: Column) -> list[Group]:
        """Return what groups are called, by their numbers; None for `NOTHING`."""
        if self.by is None:
            return [None] * len(numbers)
        if self.by != "team":
            words = self._ids if self.by == "customer" else self._texts
            return words.texts(numbers)
        names = self._teams.names
        return [None if number == NOTHING else names[number] for number in numbers.tolist()]

    def in_order(self, numbers: Column) -> tuple[list[Group], Column]:
        """Return what the groups of rows are called, in order, and where each row's stands."""
        if self.by is None:
            return [None], np.zeros(len(numbers), np.int64)
        alike = grouped(numbers)
        ordered, place = names_in_order(self.names(numbers[alike.first]))
        return ordered, place[alike.of]

    @computed_once
    def customers(self) -> Customers:
        """Who counts as one customer at the moment."""
        return Customers.read(self._reader)

    @computed_once
    def _teams(self) -> Teams:
        return Teams.read(self._reader)


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
    by_process = {
        process: _labels([processes.get((process, each)) for each in sorted(of)])
        for process, of in versions.items()
    }
    labels = []
    for key in sorted(keys):
        called = [by_process[process].get(key) for process in sorted(keys[key])]
        found = [label for label in called if label is not None]
        if found:
            labels.append(
                Labelled(
                    key=key,
                    name_en=_all(label.name_en for label in found),
                    name_zh=_all(label.name_zh for label in found),
                )
            )
    return Names(labels=tuple(labels))


def _labels(versions: Iterable[ProcessVersion | None]) -> dict[str, Label]:
    """Return what the keys of a process mean by its versions, of which the last one counts.

    What is a reason and a stage is meant as the reason.
    """
    return {
        label.key: label
        for version in versions
        if version is not None
        for label in (*version.stages, *version.loss_reasons)
    }


def _all(names: Iterable[str]) -> str:
    return BOTH.join(dict.fromkeys(names))
