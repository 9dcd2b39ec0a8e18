"""Merging: two deals turned out to be one, or not.

A merge is a pair of facts in one append: DealMerged on the deal that is absorbed, DealAbsorbed
on the survivor. Retracting only one of the two is refused. While merged, the absorbed deal is
out of all counts; its history stays its own, and unmerging puts it back where it stood.
"""

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, Self, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import said
from salesflow.domain.deal.outcomes import Outcomes
from salesflow.domain.deal.service import Service
from salesflow.domain.facts import Event, Fact, FactRetracted
from salesflow.domain.values import Personal
from salesflow.errors import NotFoundError, RuleError

__all__ = [
    "DealAbsorbed",
    "DealMerged",
    "DealReleased",
    "DealUnmerged",
    "Merging",
    "MergingFact",
    "refuse_half_merges",
]

PAIRED = "a merge is a pair of facts and is retracted as one; use Deal.retract_pair"


class DealMerged(Fact):
    """This deal turned out to be part of another; from now on only that one counts."""

    kind: ClassVar[str] = "deal.merged"
    stands_because: ClassVar[str | None] = PAIRED
    into: UUID
    because: Personal | None = None


class DealAbsorbed(Fact):
    """Another deal turned out to be part of this one. Its amount is not added."""

    kind: ClassVar[str] = "deal.absorbed"
    stands_because: ClassVar[str | None] = PAIRED
    absorbed: UUID
    because: Personal | None = None


class DealUnmerged(Fact):
    """They are two deals after all; this one is back where it stood before."""

    kind: ClassVar[str] = "deal.unmerged"
    stands_because: ClassVar[str | None] = PAIRED
    out_of: UUID
    because: Personal | None = None


class DealReleased(Fact):
    """They are two deals after all; the other one went out of this."""

    kind: ClassVar[str] = "deal.released"
    stands_because: ClassVar[str | None] = PAIRED
    released: UUID
    because: Personal | None = None


MergingFact = DealMerged | DealAbsorbed | DealUnmerged | DealReleased


class Merging(Outcomes, Service):
    """Which deals are one."""

    absorbed: set[UUID]

    def merge_into(
        self, survivor: Self, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that this deal is part of another one; both must be of the same session."""
        then, other = self.at(occurred_at), survivor.at(occurred_at)
        if survivor.id == self.id:
            raise RuleError(f"deal {self.id} cannot be merged into itself")
        then._refuse_merged("merge it")
        other._refuse_merged("merge into it")
        if other.outcome in ("lost", "disqualified"):
            raise RuleError(f"deal {other.id} is {other.outcome}; nothing can go on in it")
        said(because, "a merge")
        self._record(DealMerged(into=survivor.id, because=because), occurred_at)
        survivor._record(DealAbsorbed(absorbed=self.id, because=because), occurred_at)

    def unmerge_from(
        self, survivor: Self, *, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Say that they are two deals after all; this one goes on where it stood."""
        then = self.at(occurred_at)
        survivor.at(occurred_at)
        if then.merged_into != survivor.id:
            raise RuleError(f"deal {self.id} is not merged into {survivor.id}")
        said(because, "unmerging")
        self._record(DealUnmerged(out_of=survivor.id, because=because), occurred_at)
        survivor._record(DealReleased(released=self.id, because=because), occurred_at)

    def retract_pair(self, event_id: UUID, other: Self, *, because: str) -> None:
        """Say that a merge or unmerge (or its retraction) was wrong, on both deals at once."""
        here = self._paired_event(event_id)
        there = other._counterpart(here, self)
        for deal, event in ((self, here), (other, there)):
            retraction = FactRetracted(event_id=event.event_id, because=because)
            deal._record(retraction, None)

    def _paired_event(self, event_id: UUID) -> Event:
        found = next((e for e in self._log if e.event_id == event_id), None)
        if found is None:
            raise NotFoundError(f"deal {self.id} has no event {event_id} to retract")
        return found

    def _counterpart(self, event: Event, other: "Merging") -> Event:
        """Find this deal's half of a pair: of the same append, naming the other deal."""
        wanted: Fact | None = None
        match event.fact:
            case FactRetracted(event_id=target):
                half = self._counterpart(other._paired_event(target), other)
                wanted = FactRetracted(event_id=half.event_id, because=event.fact.because)
            case DealMerged(into=self.id):
                wanted = DealAbsorbed(absorbed=other.id, because=event.fact.because)
            case DealAbsorbed(absorbed=self.id):
                wanted = DealMerged(into=other.id, because=event.fact.because)
            case DealUnmerged(out_of=self.id):
                wanted = DealReleased(released=other.id, because=event.fact.because)
            case DealReleased(released=self.id):
                wanted = DealUnmerged(out_of=other.id, because=event.fact.because)
            case _:
                pass
        for each in self._log:
            if each.recorded == event.recorded and each.fact == wanted:
                return each
        raise RuleError(
            f"event {event.event_id} of deal {other.id} has no other half on deal {self.id}"
        )

    def _start_merging(self) -> None:
        self.absorbed = set()

    def _apply_merging(self, fact: MergingFact, _: Event) -> None:
        match fact:
            case DealMerged() | DealUnmerged():
                pass  # settled by the ground
            case DealAbsorbed():
                self.absorbed.add(fact.absorbed)
            case DealReleased():
                self.absorbed.discard(fact.released)
            case _:
                assert_never(fact)


def refuse_half_merges(recorded: Iterable[tuple[UUID, Fact]]) -> None:
    """Refuse to append one half of a merge without the other; for who appends a session.

    Raises:
        RuleError: when a deal is merged (or unmerged) whose other deal is not of the session.
    """
    balance: Counter[tuple[str, UUID, UUID]] = Counter()
    for deal_id, fact in recorded:
        match fact:
            case DealMerged():
                balance["merged into", deal_id, fact.into] += 1
            case DealAbsorbed():
                balance["merged into", fact.absorbed, deal_id] -= 1
            case DealUnmerged():
                balance["unmerged from", deal_id, fact.out_of] += 1
            case DealReleased():
                balance["unmerged from", fact.released, deal_id] -= 1
            case _:
                pass
    for (what, deal_id, survivor), halves in balance.items():
        if halves:
            raise RuleError(
                f"deal {deal_id} is {what} {survivor}: load both deals in one session"
            )
