"""Replays a deal: its believed history fact by fact, and what each fact changed.

A fact that later knowledge left without ground changes nothing and says why.
"""

from datetime import timedelta
from typing import NamedTuple

from salesflow.cli.facets import facets_of
from salesflow.cli.naming import Called
from salesflow.domain.aggregate import World
from salesflow.domain.deal import Deal
from salesflow.domain.facts import Event
from salesflow.domain.moments import Instant
from salesflow.projections.words import Language, in_language

__all__ = ["Change", "Step", "lateness", "replay"]

WORTH_TELLING = timedelta(hours=1)
DAY = timedelta(days=1)


class Change(NamedTuple):
    """One facet of a deal before and after a fact; empty where there was or is none."""

    label: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.label}: {self.after}"
        return f"{self.label}: {self.before} → {self.after or '–'}"


class Step(NamedTuple):
    """One fact of a deal's history, the deal behind it, and what it changed."""

    number: int
    event: Event
    deal: Deal
    changes: tuple[Change, ...]
    groundless: str | None


def replay(deal: Deal, called: Called, language: Language, as_of: Instant) -> list[Step]:
    """Go through a deal's believed history up to an instant."""
    steps: list[Step] = []
    before: dict[str, str] = {}
    happened = [event for event in deal.history if event.effect <= as_of]
    for number, event in enumerate(happened, 1):
        then = Deal.replay(deal.id, happened[:number], world=_world_at(deal, event))
        after = facets_of(then, called, language)
        groundless = next((why for odd, why in then.irregular if odd is event), None)
        steps.append(Step(number, event, then, _changes(before, after), groundless))
        before = after
    return steps


def lateness(event: Event, language: Language) -> str:
    """Say how long after it happened a fact was recorded, when that is worth telling."""
    late = timedelta(microseconds=event.recorded - event.occurred)
    if late < WORTH_TELLING:
        return ""
    if late < DAY:
        return f"{late // timedelta(hours=1)} {in_language('h', language)}"
    return f"{late // DAY:,} {in_language('d', language)}"


def _world_at(deal: Deal, event: Event) -> World:
    """Give the world when a fact took effect; a quote had not run out then that has now."""
    return World(deal.world.processes, deal.world.timezone, event.effect)


def _changes(before: dict[str, str], after: dict[str, str]) -> tuple[Change, ...]:
    labels = [*after, *(label for label in before if label not in after)]
    return tuple(
        Change(label, before.get(label, ""), after.get(label, ""))
        for label in labels
        if before.get(label) != after.get(label)
    )
