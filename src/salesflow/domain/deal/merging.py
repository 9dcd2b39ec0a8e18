"""Merging: two deals turned out to be one, or not.

A merge is a pair of facts in one append: DealMerged on the deal that is absorbed, DealAbsorbed
on the survivor. Retracting only one of the two is refused. While merged, the absorbed deal is
out of all counts; its history stays its own, and unmerging puts it back where it stood.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from typing import ClassVar, NamedTuple, Self, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import DealCommands, DealCore, require_reason
from salesflow.domain.event import Event, Fact, FactRetracted, ensure_not_retracted
from salesflow.domain.state import with_member, without_member
from salesflow.domain.values import Reason
from salesflow.domain.wording import Message
from salesflow.errors import NotFoundError, RuleError

__all__ = [
    "DealAbsorbed",
    "DealMerged",
    "DealReleased",
    "DealUnmerged",
    "MergeState",
    "Merging",
    "MergingFact",
    "counterpart_event",
    "counterpart_of",
    "describe_pair",
    "ensure_whole_merges",
    "missing_half",
    "other_deal",
]


StreamEvents = Callable[[UUID], Sequence[Event]]
"""Gives the events of a stream."""
Mark = tuple[object, ...]
"""What the two halves of a pair have in common, and no other pair of the same append."""

PAIRED = "a merge is a pair of facts and is retracted as one; use Deal.retract_pair"


class DealMerged(Fact):
    """This deal turned out to be part of another; from now on only that one counts."""

    kind: ClassVar[str] = "deal.merged"
    name_zh: ClassVar[str] = "合并"
    changes_summary: ClassVar[bool] = True
    retraction_error: ClassVar[str | None] = PAIRED
    into: UUID
    because: Reason | None = None


class DealAbsorbed(Fact):
    """Another deal turned out to be part of this one. Its amount is not added."""

    kind: ClassVar[str] = "deal.absorbed"
    name_zh: ClassVar[str] = "被合并方并入"
    retraction_error: ClassVar[str | None] = PAIRED
    absorbed: UUID
    because: Reason | None = None


class DealUnmerged(Fact):
    """They are two deals after all; this one is back where it stood before."""

    kind: ClassVar[str] = "deal.unmerged"
    name_zh: ClassVar[str] = "取消合并"
    changes_summary: ClassVar[bool] = True
    retraction_error: ClassVar[str | None] = PAIRED
    out_of: UUID
    because: Reason | None = None


class DealReleased(Fact):
    """They are two deals after all; the other one went out of this."""

    kind: ClassVar[str] = "deal.released"
    name_zh: ClassVar[str] = "解除并入"
    retraction_error: ClassVar[str | None] = PAIRED
    released: UUID
    because: Reason | None = None


MergingFact = DealMerged | DealAbsorbed | DealUnmerged | DealReleased


class MergeState(DealCore):
    """Which deals are one; the deal it was merged into stands in `DealCore`."""

    absorbed: Set[UUID] = frozenset()
    """The deals that are merged into it."""

    def _evolve_merging(self, fact: MergingFact, _: Event) -> Message | None:
        match fact:
            case DealMerged():
                if self.merged_into is not None:
                    return Message("merged while already merged")
                self.merged_into = fact.into
            case DealUnmerged():
                self.merged_into = None
            case DealAbsorbed():
                self.absorbed = with_member(self.absorbed, fact.absorbed)
            case DealReleased():
                self.absorbed = without_member(self.absorbed, fact.released)
            case _:
                assert_never(fact)
        return None


class Merging(DealCommands, MergeState):
    """How deals are made one, and two again."""

    def merge_into(
        self, survivor: Self, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that this deal is part of another one.

        Raises:
            RuleError: when one of them is merged or the other one is closed; both have to come
                from one session.
        """
        then, other = self._at(occurred_at), survivor._at(occurred_at)
        if survivor.id == self.id:
            raise RuleError(f"deal {self.id} cannot be merged into itself")
        then._ensure_unmerged("merge it")
        other._ensure_unmerged("merge into it")
        if other.outcome in ("lost", "disqualified"):
            raise RuleError(f"deal {other.id} is {other.outcome}; nothing can go on in it")
        require_reason(because, "a merge")
        survivor.ensure_open()
        self._record(DealMerged(into=survivor.id, because=because), occurred_at)
        survivor._record(DealAbsorbed(absorbed=self.id, because=because), occurred_at)

    def unmerge_from(
        self, survivor: Self, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that they are two deals after all; this one goes on where it stood."""
        then = self._at(occurred_at)
        survivor._at(occurred_at)
        if then.merged_into != survivor.id:
            raise RuleError(f"deal {self.id} is not merged into {survivor.id}")
        require_reason(because, "unmerging")
        survivor.ensure_open()
        self._record(DealUnmerged(out_of=survivor.id, because=because), occurred_at)
        survivor._record(DealReleased(released=self.id, because=because), occurred_at)

    def retract_pair(self, event_id: UUID, other: Self, *, because: str) -> None:
        """Say that a merge or unmerge (or its retraction) was wrong, on both deals at once.

        Both deals must be of the same session.
        """
        here = next((event for event in self._stored if event.event_id == event_id), None)
        if here is None:
            raise NotFoundError(f"deal {self.id} has no event {event_id} to retract")
        other.ensure_open()
        logs = {self.id: self._stored, other.id: other._stored}
        there = counterpart_event(here, lambda id: logs.get(id, []))
        if there is None or there.stream_id != other.id:
            raise RuleError(
                f"event {event_id} of deal {self.id} has no other half on deal {other.id}"
            )
        require_reason(because, "a retraction")
        ensure_not_retracted(event_id, self._stored)
        for deal, event in ((self, here), (other, there)):
            retraction = FactRetracted(event_id=event.event_id, because=because)
            deal._record(retraction, None)


def ensure_whole_merges(recorded: Iterable[tuple[UUID, Fact]], stored: StreamEvents) -> None:
    """Refuse to append one half of a merge without the other; for who appends a session.

    Raises:
        RuleError: when a deal is merged (or unmerged, or either is retracted) whose other deal
            is not of the session.
    """
    missing = missing_half(recorded, stored)
    if missing is not None:
        raise RuleError(f"{missing}: load both deals in one session")


def missing_half(recorded: Iterable[tuple[UUID, Fact]], stored: StreamEvents) -> str | None:
    """Return which half of a pair of one append lacks the other; None when all are whole.

    `stored` gives what was recorded of a deal before, to know what a retraction is about.
    """
    balance: Counter[Mark] = Counter()
    halves_by_mark: dict[Mark, tuple[UUID, Fact]] = {}
    for deal_id, fact in recorded:
        found = _half(deal_id, fact, stored)
        if found is not None:
            balance[found.mark] += found.side
            halves_by_mark[found.mark] = deal_id, fact
    for mark, halves in balance.items():
        if halves:
            return _describe_half(*halves_by_mark[mark], stored)
    return None


def other_deal(deal_id: UUID, fact: Fact, stored: StreamEvents) -> UUID | None:
    """Return the deal that the other half of a pair belongs to; None for any other fact."""
    found = _half(deal_id, fact, stored)
    return None if found is None else found.other


def counterpart_of(deal_id: UUID, fact: Fact) -> tuple[UUID, MergingFact] | None:
    """Return the other deal of a merge, and what happened to that; None for any other fact."""
    match fact:
        case DealMerged(into=other):
            counterpart: MergingFact = DealAbsorbed(absorbed=deal_id, because=fact.because)
        case DealAbsorbed(absorbed=other):
            counterpart = DealMerged(into=deal_id, because=fact.because)
        case DealUnmerged(out_of=other):
            counterpart = DealReleased(released=deal_id, because=fact.because)
        case DealReleased(released=other):
            counterpart = DealUnmerged(out_of=deal_id, because=fact.because)
        case _:
            return None
    return other, counterpart.model_copy(update={"inferred": fact.inferred})


def counterpart_event(event: Event, stored: StreamEvents) -> Event | None:
    """Find the event on the other deal that was recorded with this half of a pair."""
    found = _half(event.stream_id, event.fact, stored)
    if found is None:
        return None

    def alike(stream: Sequence[Event]) -> list[Event]:
        halves = ((e, _half(e.stream_id, e.fact, stored)) for e in stream)
        return [
            e for e, half in halves if half and half.mark == found.mark and e.recorded == at
        ]

    at = event.recorded
    ours, theirs = alike(stored(event.stream_id)), alike(stored(found.other))
    return dict(zip((e.event_id for e in ours), theirs, strict=False)).get(event.event_id)


class _Half(NamedTuple):
    """One of the two facts of a pair: what both share, which side it is, the other deal."""

    mark: Mark
    side: int
    other: UUID


def _half(deal_id: UUID, fact: Fact, stored: StreamEvents) -> _Half | None:
    if isinstance(fact, FactRetracted):
        for event in stored(deal_id):
            if event.event_id == fact.event_id:
                half = _half(deal_id, event.fact, stored)
                return half and half._replace(mark=(event.recorded, *half.mark))
    counterpart = counterpart_of(deal_id, fact)
    if counterpart is None:
        return None
    other, _ = counterpart
    what = "merged into" if isinstance(fact, DealMerged | DealAbsorbed) else "unmerged from"
    if isinstance(fact, DealMerged | DealUnmerged):
        return _Half((what, deal_id, other), 1, other)
    return _Half((what, other, deal_id), -1, other)


def _describe_half(deal_id: UUID, fact: Fact, stored: StreamEvents) -> str:
    """Name a half whose other half is missing."""
    half = _half(deal_id, fact, stored)
    assert half is not None
    if not isinstance(fact, FactRetracted):
        what, absorbed, survivor = half.mark
        return f"deal {absorbed} is {what} {survivor}"
    [event] = [each for each in stored(deal_id) if each.event_id == fact.event_id]
    return describe_pair(event, stored)


def describe_pair(event: Event, stored: StreamEvents) -> str:
    """Return which two events are a pair."""
    other = counterpart_event(event, stored)
    there = "an event" if other is None else f"{other.fact.kind} {other.event_id}"
    half = _half(event.stream_id, event.fact, stored)
    assert half is not None
    return (
        f"{event.fact.kind} {event.event_id} of deal {event.stream_id} and {there} of deal"
        f" {half.other} are a pair and are retracted as one"
    )
