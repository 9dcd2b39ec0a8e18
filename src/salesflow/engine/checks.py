"""What has to be true of everything recorded together, by a session or from elsewhere.

A deal names only a process version that was published before it, and a merge is recorded (or
retracted) on both deals at once. Only the few kinds of facts that can break these are looked
at, so that all others cost nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, get_args
from uuid import UUID

from salesflow.domain.deal.merging import MergingFact
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.facts import Event, Fact, FactRetracted
from salesflow.domain.history import refuse_retraction
from salesflow.domain.processes import ProcessPublished
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = [
    "PAIRED",
    "refuse_unpublished",
    "refuse_wrong_retraction",
]

PAIRED: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, *get_args(MergingFact)})
"""Facts that come in pairs, and those that may take half of a pair back."""


def refuse_unpublished(
    facts: Iterable[Fact], published: Callable[[tuple[str, int]], bool]
) -> None:
    """Refuse a deal under a version nothing before it has published, or one published twice.

    Raises:
        InputError: naming the version.
    """
    known: set[tuple[str, int]] = set()
    for fact in facts:
        if type(fact) is DealOpened or type(fact) is DealMigrated:
            key = (fact.process, fact.process_version)
            if key in known:
                continue
            if not published(key):
                raise InputError(
                    f"process {key[0]!r} version {key[1]} has not been published; publish it"
                    " first"
                )
            known.add(key)
        elif type(fact) is ProcessPublished:
            key = (fact.process.key, fact.process.version)
            if key in known or published(key):
                raise InputError(
                    f"process {key[0]!r} version {key[1]} is published already; a published"
                    " version never changes, publish a new one"
                )
            known.add(key)


def refuse_wrong_retraction(fact: FactRetracted, stream_id: UUID, stream: list[Event]) -> None:
    """Refuse what a source can never have told: a retraction of what cannot be retracted.

    Halves of a merge are retracted in pairs, which is for `missing_half` to see.

    Raises:
        InputError: when the stream has no such event, or that cannot be retracted.
    """
    try:
        refuse_retraction(fact.event_id, stream)
    except NotFoundError as error:
        raise InputError(f"{stream_id} has no event {fact.event_id} to retract") from error
    except RuleError as error:
        if not _about_a_merge(fact, stream):
            raise InputError(str(error)) from error


def _about_a_merge(fact: Fact, stream: Sequence[Event]) -> bool:
    events = {event.event_id: event.fact for event in stream}
    while isinstance(fact, FactRetracted):
        fact = events[fact.event_id]
    return isinstance(fact, get_args(MergingFact))
