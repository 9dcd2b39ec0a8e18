"""A fold made for these tests: who works on a deal, one row for the owner and each colleague.

It does all a fold can do: rows with and without end, by key, that begin, change, end and come
back, some of them planned ahead. `people` answers the same naively.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from oracle.beliefs import Raw, believed, effect_of, of_stream
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft, OwnerAssigned
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.projections.table import Change, IntervalFold, IntervalTable

__all__ = ["PEOPLE", "TABLE", "people"]

TABLE = IntervalTable(
    "people_of_this_test",
    1,
    keys=(sa.Column("role", sa.String(20)),),
    attributes=(sa.Column("person", sa.String(20)),),
)


class PeopleState:
    """Who works on one deal, fact by fact."""

    def __init__(self) -> None:
        self.opened: int | None = None

    def apply(self, event: Event) -> Iterable[Change]:
        fact = event.fact
        if self.opened is None:
            self.opened = event.occurred
            return [(("owner",), (fact.owner if isinstance(fact, DealOpened) else None,))]
        if event.occurred < self.opened:
            return []
        match fact:
            case OwnerAssigned():
                return [(("owner",), (fact.owner,))]
            case CollaboratorJoined():
                return [((fact.person,), (fact.person,))]
            case CollaboratorLeft():
                return [((fact.person,), None)]
            case _:
                return []


PEOPLE = IntervalFold(
    TABLE,
    frozenset({DealOpened, OwnerAssigned, CollaboratorJoined, CollaboratorLeft}),
    lambda _: PeopleState(),
)


def people(events: list[Raw], stream: str, as_of: int, known_at: int) -> dict[str, str | None]:
    """Say naively who works on a deal at a moment, by role."""
    history = believed(of_stream(events, stream), known_at)
    if not history or history[0]["occurred"] > as_of:
        return {}
    found = {"owner": history[0]["payload"].get("owner")}
    for event in history[1:]:
        before = event["occurred"] < history[0]["occurred"]
        if before or event["occurred"] > as_of or effect_of(event) > as_of:
            continue
        fact = event["payload"]
        if event["kind"] == "deal.owner_assigned":
            found["owner"] = fact["owner"]
        elif event["kind"] == "deal.collaborator_joined":
            found[fact["person"]] = fact["person"]
        elif event["kind"] == "deal.collaborator_left":
            found.pop(fact["person"], None)
    return found
