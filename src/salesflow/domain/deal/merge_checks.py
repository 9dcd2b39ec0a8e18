"""Merges that cannot be: into itself, in a circle, or into what does not exist.

A deal that is merged counts in the deal it was merged into, a customer's deals in the other
customer. Where that chain ends nowhere money would be in no figure and nobody would miss it, so
such a merge never enters the log. `impossible_merges` says which of the facts about to be
recorded would do that, and why: the checks of every append ask it, and so does whoever wants
to leave those out beforehand (an import, which lists them).

A merge is judged at every time it is believed to stand, also when it is told late: two deals
that were merged into one another in turn, with an unmerge between, are no circle.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, get_args
from uuid import UUID

from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.merging import (
    DealAbsorbed,
    DealMerged,
    DealUnmerged,
    MergingFact,
    StreamEvents,
)
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, Fact, FactRetracted, believed_history
from salesflow.domain.time import FOREVER, Instant, instant_from
from salesflow.domain.wording import Message

__all__ = [
    "MAY_MERGE",
    "CandidateFact",
    "ImpossibleMerge",
    "impossible_merges",
    "merge_faults",
    "takes_back_a_customer",
]


MAY_MERGE: Final[frozenset[type[Fact]]] = frozenset(
    {FactRetracted, CustomerMerged, CustomerUnmerged, *get_args(MergingFact)}
)
"""The facts after which a merge may stand that did not before; without one, nothing to ask."""


class CandidateFact(NamedTuple):
    """A fact about to be recorded in a stream; `occurred` None is the time of recording."""

    stream_id: UUID
    fact: Fact
    occurred: Instant | None = None


class ImpossibleMerge(NamedTuple):
    """A merge that cannot be; of deals, both of its halves have to be left out."""

    absorbed: UUID
    into: UUID
    because: Message
    """A sentence, such as `deal 4f… cannot be merged into itself`."""


class _CountedSpan(NamedTuple):
    """From when a deal or customer counts in another one, or in itself (None)."""

    start: Instant
    into: UUID | None


MergeEdge = tuple[UUID, UUID, Instant]
"""Who is merged into whom, from when."""


def impossible_merges(
    candidate: Iterable[CandidateFact], stored: StreamEvents, others: Iterable[UUID] = ()
) -> list[ImpossibleMerge]:
    """Return which merges of what is about to be recorded cannot be; empty when all can.

    `candidate` is all that is recorded together, openings included (of an import: all that its
    file says); `stored` gives what the log holds of a stream. `others` may be merged into what
    is taken back, of which its own stream says nothing (see `takes_back_a_customer`). The
    earlier of two merges that close a circle stands, the later one is named. Without the
    DealMerged and DealAbsorbed of every merge named the rest can be recorded. What stood
    impossibly before is not named again.
    """
    facts = list(candidate)
    graph = _Graph(stored)
    touched = {each.stream_id for each in facts if type(each.fact) in MAY_MERGE}
    touched |= {other for stream_id in touched for other in graph.absorbed_by(stream_id)}
    touched.update(others)
    before = graph.faults(touched)
    existing = graph.merges(touched)
    merges = [each for each in facts if isinstance(each.fact, DealMerged | CustomerMerged)]
    for each in facts:
        if not isinstance(each.fact, DealMerged | CustomerMerged):
            graph.add(each)
    found = graph.faults(touched, besides=before)
    for each in sorted(merges, key=instant_from):
        graph.add(each)
        new = graph.faults({each.stream_id}, besides=before | found)
        if new:
            graph.remove(each)
            found |= new
    return [
        ImpossibleMerge(
            *merge[:2],
            Message("{reason}; take that merge back first", reason=why)
            if merge in existing
            else why,
        )
        for merge, why in found.items()
    ]


def takes_back_a_customer(candidate: Iterable[CandidateFact], stored: StreamEvents) -> bool:
    """Return whether the registration of a customer is retracted, where others may count."""
    return any(
        event.event_id == each.fact.event_id and isinstance(event.fact, CustomerRegistered)
        for each in candidate
        if isinstance(each.fact, FactRetracted)
        for event in stored(each.stream_id)
    )


def merge_faults(streams: Iterable[UUID], stored: StreamEvents) -> list[Message]:
    """Return of the merges of these which stand and cannot be, and why."""
    return list(_Graph(stored).faults(streams).values())


class _Graph:
    """Which deal or customer counts in which, at every time, as stored and as told so far."""

    def __init__(self, stored: StreamEvents) -> None:
        self._stored = stored
        self._events: dict[UUID, list[Event]] = {}
        self._spans: dict[UUID, list[_CountedSpan]] = {}
        self._number = 0

    def add(self, candidate: CandidateFact) -> None:
        """Believe a fact as the last of its stream."""
        self._number += 1
        last, no_event = FOREVER + self._number, UUID(int=self._number)
        event = Event(
            candidate.fact,
            candidate.stream_id,
            last,
            last,
            instant_from(candidate),
            FOREVER,
            no_event,
        )
        self._of(candidate.stream_id).append(event)
        self._spans.pop(candidate.stream_id, None)

    def remove(self, candidate: CandidateFact) -> None:
        """Take back what was told last."""
        self._of(candidate.stream_id).pop()
        self._spans.pop(candidate.stream_id, None)

    def absorbed_by(self, survivor: UUID) -> set[UUID]:
        """Name the deals that were ever merged into this one."""
        facts = (event.fact for event in self._of(survivor))
        return {fact.absorbed for fact in facts if isinstance(fact, DealAbsorbed)}

    def faults(
        self, streams: Iterable[UUID], besides: Iterable[MergeEdge] = ()
    ) -> dict[MergeEdge, Message]:
        """Return of merges that cannot be: why, by whom, into which deal and since when."""
        return {
            (id, span.into, span.start): why
            for id in streams
            for span in self._merged(id)
            if span.into is not None
            and (id, span.into, span.start) not in besides
            and (why := self._fault(id, span.into, span.start)) is not None
        }

    def merges(self, streams: Iterable[UUID]) -> set[MergeEdge]:
        """Return all merges of these that stand at some time."""
        spans = ((id, span) for id in streams for span in self._merged(id))
        return {(id, span.into, span.start) for id, span in spans if span.into is not None}

    def _fault(self, id: UUID, into: UUID, start: Instant) -> Message | None:
        noun = _noun(self._opening(id))
        deal = _named(noun, id)
        if into == id:
            return Message("{deal} cannot be merged into itself", deal=deal)
        opening = self._opening(into)
        if opening is None or _noun(opening) != noun:
            return Message(
                "{deal} cannot be merged into {into}: there is no such {kind}",
                deal=deal,
                into=str(into),
                kind=noun,
            )
        if opening.occurred > start:
            return Message(
                "{deal} cannot be merged into {into}, which was begun only later; say that it"
                " was there before, or merge it later",
                deal=deal,
                into=str(into),
            )
        chain = self._circle(id)
        if chain is None:
            return None
        return Message(
            "{deal} cannot be merged into {into}: that is a circle",
            deal=deal,
            into=_chained(chain[1:]),
        )

    def _circle(self, id: UUID) -> list[UUID] | None:
        """Find a time at which the chain of one comes back to it, and give the chain."""
        near, waiting = {id}, [id]
        while waiting:
            further = {span.into for span in self._merged(waiting.pop())} - {None, *near}
            named = [each for each in further if each is not None]
            near.update(named)
            waiting += named
        if all(span.into != id for each in near for span in self._merged(each)):
            return None
        starts = sorted({span.start for each in near for span in self._merged(each)})
        chains = (self._chain(id, at) for at in starts)
        return next((chain for chain in chains if chain[1:] and chain[-1] == id), None)

    def _chain(self, id: UUID, at: Instant) -> list[UUID]:
        """Follow one at a time until its chain ends, or meets itself."""
        chain = [id]
        while (into := self._into(chain[-1], at)) is not None:
            met = into in chain
            chain.append(into)
            if met:
                break
        return chain

    def _into(self, id: UUID, at: Instant) -> UUID | None:
        survivors = [span.into for span in self._merged(id) if span.start <= at]
        return survivors[-1] if survivors else None

    def _merged(self, id: UUID) -> Sequence[_CountedSpan]:
        found = self._spans.get(id)
        if found is None:
            found = self._spans[id] = _spans(believed_history(self._of(id)))
        return found

    def _opening(self, id: UUID) -> Event | None:
        history = believed_history(self._of(id))
        return history[0] if history else None

    def _of(self, id: UUID) -> list[Event]:
        found = self._events.get(id)
        if found is None:
            found = self._events[id] = list(self._stored(id))
        return found


def _spans(history: Sequence[Event]) -> list[_CountedSpan]:
    """Return from when one counted where; the process of a deal decides nothing about it."""
    spans: list[_CountedSpan] = []
    deal = DealState()
    into: UUID | None = None
    for event in history:
        irregular = deal.evolve(event)
        early = event.occurred < history[0].occurred
        match event.fact:
            case CustomerMerged(into=other) if not early:
                now: UUID | None = other
            case CustomerUnmerged() if not early:
                now = None
            case DealMerged(into=other) if irregular is None:
                now = other
            case DealUnmerged() if irregular is None:
                now = None
            case _:
                continue
        if now != into:
            spans.append(_CountedSpan(event.effective, now))
            into = now
    return spans


def _named(noun: str, id: UUID) -> Message:
    """Name what is merged; only deals and customers are, but a log may hold anything."""
    if noun == "deal":
        return Message("deal {id}", id=str(id))
    if noun == "customer":
        return Message("customer {id}", id=str(id))
    return Message("{kind} {id}", kind=noun, id=str(id))


def _chained(chain: Sequence[UUID]) -> str:
    """Say into what one is merged, and that into what; halved, so that long ones are flat."""
    if len(chain) == 1:
        return str(chain[0])
    half = len(chain) // 2
    first, then = _chained(chain[:half]), _chained(chain[half:])
    return Message("{first} and so into {then}", first=first, then=then)


def _noun(opening: Event | None) -> str:
    """Name what was begun; a deal's merge may be told before anything begins."""
    if opening is None or isinstance(opening.fact, DealOpened):
        return "deal"
    return "customer" if isinstance(opening.fact, CustomerRegistered) else opening.fact.kind
