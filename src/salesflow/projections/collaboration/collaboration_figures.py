"""What people did together in a period, as figures: in all, by pair, department and person.

Columns come in, figures go out, and what is shown of them is told in
`collaboration`. Each act counts once wherever it is counted: a message to three people is one
message, though it brings three pairs together.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.column_figures import elapsed, exact_sums, places_among, runs_of
from salesflow.projections.core.column_groups import grouped, rows_in
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows, Words
from salesflow.projections.core.statistics import Spread, in_days, spread, spreads
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "ChannelFigures",
    "CollaborationFigures",
    "DepartmentFigures",
    "HandoverLine",
    "OpenRequest",
    "PeriodRows",
    "PersonFigures",
    "WorkingPair",
    "channel_figures",
    "credits_of",
    "department_figures",
    "longest_waiting",
    "newest_handovers",
    "person_figures",
    "total_figures",
    "working_pairs",
]

TOGETHER: Final = ("message", "meeting", "help", "joined")
"""The kinds of acts that bring two people together."""


class CollaborationFigures(Value):
    """What was done together in a period."""

    deals: int
    """On how many deals anything was."""
    collaborators_joined: int
    messages: int
    meetings: int
    help_requests: int
    answered: int
    """How many of those requests have an answer by the moment."""
    open_requests: int
    response: Spread
    """From asking to the first answer, of those that have one."""
    handovers: int
    handed_over: int
    """With how many of them anything was handed over by the moment."""
    acknowledged: int


class WorkingPair(Value):
    """Two people, and what they did together."""

    person: Annotated[Reference, FieldRole.KEY]
    colleague: Annotated[Reference, FieldRole.KEY]
    deals: int
    messages: int
    meetings: int
    help_given: int
    joined: int
    """How often one of them joined a deal of the other's."""


class DepartmentFigures(Value):
    """What a department did, and how soon it answered."""

    department: Annotated[SafeText | None, FieldRole.KEY]
    """None for requests that were put to no department."""
    deals: int
    people: int
    joined: int
    messages: int
    meetings: int
    help_given: int
    help_requests: int
    answered: int
    open_requests: int
    response: Spread


class PersonFigures(Value):
    """What one person did with others, and how soon they helped."""

    person: Annotated[Reference | None, FieldRole.KEY]
    """None for what is credited to nobody."""
    department: SafeText | None
    """The last one they are known to be of."""
    deals: int
    messages: int
    """Those they wrote."""
    meetings: int
    help_asked: int
    help_given: int
    first_answers: int
    """How many requests they were the first to answer."""
    response: Spread
    credited: Decimal
    """Of the deals won in the period: the sum of their shares."""


class ChannelFigures(Value):
    """How messages were sent."""

    channel: Annotated[Reference | None, FieldRole.KEY]
    messages: int
    deals: int


class HandoverLine(Value):
    """A deal that went from one owner to another in the period."""

    position: Annotated[int, FieldRole.KEY]
    deal: UUID
    occurred_at: datetime
    former: Reference
    owner: Reference
    handed_over_at: datetime | None
    """None where nothing was handed over by the moment."""
    open_tasks: int
    promises: int
    contact_people: int
    """How many contact people the new owner was introduced to."""
    acknowledged_at: datetime | None


class OpenRequest(Value):
    """Help that was asked for and has no answer yet."""

    position: Annotated[int, FieldRole.KEY]
    deal: UUID
    occurred_at: datetime
    asked_by: Reference | None
    department: SafeText | None
    days_waiting: Decimal


class PeriodRows(NamedTuple):
    """What happened in a period on the deals asked about."""

    acts: HeldRows
    requests: HeldRows
    handovers: HeldRows
    timezone: ZoneInfo

    def is_answered(self) -> Flags:
        """Return which requests have an answer."""
        return self.requests.known("answered")

    def waited(self, answered: Flags) -> Column:
        """Return how long the answered requests waited for the first answer."""
        rows = self.requests
        start, end = rows["occurred"][answered], rows["answered"][answered]
        days_only = rows.say("day_only", "answered_day_only")[answered]
        return elapsed(start, end, days_only, self.timezone)


def total_figures(rows: PeriodRows) -> CollaborationFigures:
    """Count what was done together."""
    acts, requests, handovers = rows.acts, rows.requests, rows.handovers
    answered = rows.is_answered()
    first = acts["number"] == 0
    kinds = {kind: int(np.count_nonzero(first & acts.has("kind", kind))) for kind in TOGETHER}
    deals = np.concatenate([each["entity_id"] for each in (acts, requests, handovers)])
    count = int(np.count_nonzero(answered))
    return CollaborationFigures(
        deals=len(grouped(deals).first),
        collaborators_joined=kinds["joined"],
        messages=kinds["message"],
        meetings=kinds["meeting"],
        help_requests=len(requests),
        answered=count,
        open_requests=len(requests) - count,
        response=spread(rows.waited(answered)),
        handovers=len(handovers),
        handed_over=int(np.count_nonzero(handovers.known("handed_over"))),
        acknowledged=int(np.count_nonzero(handovers.known("acknowledged"))),
    )


# Who works with whom.


class _Pairs(NamedTuple):
    """Two people in each act that brought them together."""

    one: Column
    other: Column
    deal: Column
    kind: Column


def working_pairs(acts: HeldRows, limit: int) -> tuple[list[WorkingPair], int]:
    """Return the pairs that did most together, so many at most, and how many there are."""
    pairs = _pairs(acts)
    low, high = np.minimum(pairs.one, pairs.other), np.maximum(pairs.one, pairs.other)
    groups = grouped(low, high)
    count = len(groups.first)
    by_kind = {
        kind: _counted(groups.of[pairs.kind == acts.code("kind", kind)], count)
        for kind in TOGETHER
    }
    deals = _distinct(groups.of, pairs.deal, count=count)
    together = sum(by_kind.values(), start=np.zeros(count, np.int64))
    words = acts.words["person"]
    called = [
        tuple(sorted((words[int(a)], words[int(b)])))
        for a, b in zip(low[groups.first], high[groups.first], strict=True)
    ]
    order = sorted(range(count), key=lambda number: (-int(together[number]), called[number]))
    found = [
        WorkingPair(
            person=called[number][0],
            colleague=called[number][1],
            deals=int(deals[number]),
            messages=int(by_kind["message"][number]),
            meetings=int(by_kind["meeting"][number]),
            help_given=int(by_kind["help"][number]),
            joined=int(by_kind["joined"][number]),
        )
        for number in order[:limit]
    ]
    return found, count


def _pairs(acts: HeldRows) -> _Pairs:
    """Return actor and person of each row, and whoever met each other."""
    actor, person, deal, kind = acts.cut("actor", "person", "entity_id", "kind")
    direct = (actor != NOTHING) & (person != NOTHING) & (actor != person)
    met = acts.where(acts.has("kind", "meeting") & (person != NOTHING))
    met = met.ordered(np.lexsort([met["number"], met["position"]]))
    first, last = runs_of(met["position"])
    after = np.repeat(last + 1, last - first + 1)
    others, one = rows_in(np.arange(len(met)) + 1, after)
    return _Pairs(
        np.concatenate([actor[direct], met["person"][one]]),
        np.concatenate([person[direct], met["person"][others]]),
        np.concatenate([deal[direct], met["entity_id"][one]]),
        np.concatenate([kind[direct], met["kind"][one]]),
    )


# By department and by person: each act has two sides, either of which may be somebody.


class _Sides(NamedTuple):
    """The people in acts, with their departments; each act once for each of its sides."""

    person: Column
    department: Column
    is_actor: Column
    deal: Column
    position: Column
    occurred: Column
    kind: Column

    def where(self, wanted: Flags) -> "_Sides":
        return _Sides(*(column[wanted] for column in self))


def _sides(acts: HeldRows) -> _Sides:
    names = ("entity_id", "position", "occurred", "kind")
    twice = (np.concatenate([column, column]) for column in acts.cut(*names))
    return _Sides(
        np.concatenate(acts.cut("actor", "person")),
        np.concatenate(acts.cut("actor_department", "department")),
        np.repeat([True, False], len(acts)),
        *twice,
    )


def department_figures(rows: PeriodRows) -> list[DepartmentFigures]:
    """Count what each department did, those that are asked for help most first."""
    sides = _sides(rows.acts)
    sides = sides.where(sides.department != NOTHING)
    requests, words = rows.requests, rows.acts.words["department"]
    of, names = _numbered([sides.department, requests["department"]], words)
    [ours, asked], count = of, len(names)
    answered = rows.is_answered()
    kinds = _of_kinds(rows.acts, sides, ours, count)
    helped = sides.is_actor & (sides.kind == rows.acts.code("kind", "help"))
    joined = ~sides.is_actor & (sides.kind == rows.acts.code("kind", "joined"))
    somebody = sides.person != NOTHING
    deals = np.concatenate([sides.deal, requests["entity_id"]])
    columns = (
        _distinct(np.concatenate([ours, asked]), deals, count=count),
        _distinct(ours[somebody], sides.person[somebody], count=count),
        _counted(ours[joined], count),
        kinds["message"],
        kinds["meeting"],
        _counted(ours[helped], count),
        _counted(asked, count),
        _counted(asked[answered], count),
        _counted(asked[~answered], count),
    )
    responses = spreads(asked[answered], rows.waited(answered), count)
    fields = [*DepartmentFigures.model_fields][1:-1]
    found = [
        DepartmentFigures.model_validate(
            {
                "department": name,
                **{f: int(c[number]) for f, c in zip(fields, columns, strict=True)},
                "response": responses[number],
            }
        )
        for number, name in enumerate(names)
    ]
    return sorted(found, key=lambda it: (-it.help_requests, -it.deals, it.department or ""))


def person_figures(
    rows: PeriodRows, credits: Sequence[tuple[int, int]], limit: int
) -> tuple[list[PersonFigures], int]:
    """Count what each person did, those on most deals first, and how many people there are.

    `credits` are codes of people with their shares of deals won, in millionths.
    """
    sides, requests = _sides(rows.acts), rows.requests
    sides = sides.where(sides.person != NOTHING)
    asked, helped = requests.known("asked_by"), requests.known("answered_by")
    credited = np.array(credits, np.int64).reshape(-1, 2)
    askers, helpers = requests["asked_by"][asked], requests["answered_by"][helped]
    words = rows.acts.words["person"]
    of, names = _numbered([sides.person, askers, helpers, credited[:, 0]], words)
    [ours, asking, first, whose], count = of, len(names)
    deals = np.concatenate([sides.deal, requests["entity_id"][asked]])
    columns = {
        "deals": _distinct(np.concatenate([ours, asking]), deals, count=count),
        **_acts_of_people(rows.acts, sides, ours, count),
        "help_asked": _counted(asking, count),
        "first_answers": _counted(first, count),
    }
    responses = spreads(first, rows.waited(helped), count)
    shares = exact_sums(credited[:, 1], whose, count)
    departments = words.of(_last_departments(sides, ours, count))

    def shown(number: int) -> PersonFigures:
        return PersonFigures.model_validate(
            {
                "person": names[number],
                "department": departments[number],
                **{name: int(column[number]) for name, column in columns.items()},
                "response": responses[number],
                "credited": Decimal(int(shares[number])) / AMOUNT_SCALE,
            }
        )

    ranked = [*zip((-columns["deals"]).tolist(), (-shares).tolist(), strict=True)]
    order = sorted(range(count), key=lambda n: (*ranked[n], names[n] or ""))
    return [*map(shown, order[:limit])], count


def _acts_of_people(
    acts: HeldRows, sides: _Sides, people: Column, count: int
) -> dict[str, Column]:
    """Count what each of so many people wrote, where they met, and whom they helped."""
    wrote = sides.is_actor & (sides.kind == acts.code("kind", "message"))
    helped = sides.is_actor & (sides.kind == acts.code("kind", "help"))
    return {
        "messages": _distinct(people[wrote], sides.position[wrote], count=count),
        "meetings": _of_kinds(acts, sides, people, count)["meeting"],
        "help_given": _counted(people[helped], count),
    }


def channel_figures(acts: HeldRows) -> list[ChannelFigures]:
    """Count messages by channel, the usual ones first."""
    sent = acts.where(acts.has("kind", "message") & (acts["number"] == 0))
    groups = grouped(sent["channel"])
    counts = groups.counts()
    deals = _distinct(groups.of, sent["entity_id"], count=len(counts))
    found = [
        ChannelFigures(channel=channel, messages=messages, deals=on)
        for channel, messages, on in zip(
            sent.cells("channel", groups.first), counts.tolist(), deals.tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda each: (-each.messages, each.channel or ""))


def newest_handovers(rows: HeldRows, limit: int) -> list[HandoverLine]:
    """Return the last changes of owner, so many at most."""
    newest = rows.ordered(np.lexsort([-rows["position"], -rows["occurred"]])[:limit])
    whose = newest.records("position", "entity_id", "former", "owner")
    times = newest.records("occurred", "handed_over", "acknowledged")
    counts = newest.records("open_tasks", "promises", "contact_people")
    return [
        HandoverLine(
            position=position,
            deal=deal,
            occurred_at=from_instant(at),
            former=former,
            owner=owner,
            handed_over_at=None if handed is None else from_instant(handed),
            open_tasks=tasks,
            promises=promises,
            contact_people=people,
            acknowledged_at=None if known is None else from_instant(known),
        )
        for (position, deal, former, owner), (at, handed, known), (tasks, promises, people) in (
            zip(whose, times, counts, strict=True)
        )
    ]


def longest_waiting(
    rows: HeldRows, as_of: Instant, timezone: ZoneInfo, limit: int
) -> list[OpenRequest]:
    """Return the requests without an answer that wait longest, so many at most."""
    oldest = rows.ordered(np.lexsort([rows["position"], rows["occurred"]])[:limit])
    begun, days_only = oldest["occurred"], np.zeros(len(oldest), np.bool_)
    waits = elapsed(begun, np.full(len(oldest), as_of), days_only, timezone)
    names = ("position", "entity_id", "occurred", "asked_by", "department")
    return [
        OpenRequest(
            position=position,
            deal=deal,
            occurred_at=from_instant(at),
            asked_by=asked_by,
            department=department,
            days_waiting=in_days(wait),
        )
        for (position, deal, at, asked_by, department), wait in zip(
            oldest.records(*names), waits.tolist(), strict=True
        )
    ]


def _of_kinds(acts: HeldRows, sides: _Sides, groups: Column, count: int) -> dict[str, Column]:
    """Count the messages and meetings of each group, each once."""
    found = {}
    for kind in ("message", "meeting"):
        of_kind = sides.kind == acts.code("kind", kind)
        found[kind] = _distinct(groups[of_kind], sides.position[of_kind], count=count)
    return found


def _last_departments(sides: _Sides, people: Column, count: int) -> Column:
    """Return the department each person was known to be of last; `NOTHING` for none."""
    found = np.full(count, NOTHING)
    known = sides.department != NOTHING
    order = np.lexsort([sides.position[known], sides.occurred[known]])
    found[people[known][order]] = sides.department[known][order]  # the last one stays
    return found


def _numbered(columns: Sequence[Column], words: Words) -> tuple[list[Column], list[str | None]]:
    """Number the words in some columns together; return the numbers, and the words."""
    groups = grouped(np.concatenate(columns))
    ends = np.cumsum([len(column) for column in columns])
    whole = np.concatenate(columns)
    return np.split(groups.of, ends[:-1]), words.of(whole[groups.first])


def _counted(groups: Column, count: int) -> Column:
    return np.bincount(groups, minlength=count)


def _distinct(groups: Column, *values: Column, count: int) -> Column:
    """Count the values that differ in each of so many groups."""
    apart = grouped(groups, *values)
    return _counted(groups[apart.first], count)


def credits_of(
    bookings: HeldRows, won: HeldRows, kinds: Iterable[str]
) -> list[tuple[int, int]]:
    """Return who is credited with which share of each deal won, as it was when it was won.

    The shares of a deal add up to one, whatever is known of them: each deal is credited once.
    """
    rows = bookings.among("kind", *kinds)
    deal = places_among(won["entity_id"], rows["entity_id"])
    rows, deal = rows.where(deal >= 0), deal[deal >= 0]
    alike = grouped(deal, *rows.cut("occurred", "position", "role", "person", "share"))
    stands = alike.sums(rows["sign"]) > 0
    first = alike.first[stands]
    of, occurred, position = deal[first], rows["occurred"][first], rows["position"][first]
    order = np.lexsort([position, occurred, of])
    if not len(order):
        return []
    _, last = runs_of(of[order])
    latest = np.zeros(len(won), np.int64)
    latest[of[order][last]] = order[last]
    newest = latest[of]
    kept = (occurred == occurred[newest]) & (position == position[newest])
    chosen = first[kept]
    return [*zip(rows["person"][chosen].tolist(), rows["share"][chosen].tolist(), strict=True)]
