"""What people did together on a deal: a row per person of a message, meeting, help or joining.

Answers "who works with whom, on whose deals, and which departments take part?" for any moment.
An act that happened stays so: its row never ends. A message has a row for each who got it,
help one for whoever asked, a meeting one for each participant, and one for a department that
is named beside them. Owner and process are those of the deal at that time, departments those
in which its collaborators joined. Leaves out what was said and decided, which is personal.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.domain.deal.people import (
    CollaboratorJoined,
    CollaboratorLeft,
    HelpGiven,
    HelpRequested,
    MeetingHeld,
    MessagePosted,
)
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event
from salesflow.projections.deal_figures import actor_of
from salesflow.projections.table import (
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["COLLABORATION", "COLLABORATIONS"]

COLLABORATION: Final = IntervalTable(
    "collaboration",
    1,
    keys=(
        sa.Column("position", sa.BigInteger, autoincrement=False),
        sa.Column("number", sa.Integer, autoincrement=False),
    ),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("kind", sa.String(8)),
        sa.Column("channel", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("actor_department", sa.Text),
        sa.Column("person", sa.Text),
        sa.Column("department", sa.Text),
        sa.Column("process", sa.Text),
        sa.Column("owner", sa.Text),
    ),
)
"""`kind` is `message`, `meeting`, `help` or `joined`, `position` that of the fact, `number` the
person's within it. `actor` wrote, helped or, of a joining, owned the deal (null in a meeting,
where nobody comes first); `person` was written to, was helped, took part or joined (null
where nobody was named)."""


class _HelpAsked(NamedTuple):
    """Who asked for help, and which department."""

    by: str | None
    department: str | None


Person = tuple[str | None, str | None]
"""A person, and their department on the deal."""
NOBODY: Final[Person] = (None, None)


class CollaborationRows(CopyableRows):
    """One deal on its way through what people did together on it."""

    __slots__ = ("_asked", "_departments")

    def __init__(self) -> None:
        self._asked: dict[str, _HelpAsked] = {}
        """Who asked, by the key of the request."""
        self._departments: dict[str, str | None] = {}
        """The departments of the collaborators."""

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; one from before the opening does not."""
        fact = event.fact
        match fact:
            case MessagePosted():
                said_by = self._person(fact.by or actor_of(event))
                others = [each for each in dict.fromkeys(fact.to) if each != said_by[0]]
                pairs = [(said_by, self._person(each)) for each in others or (None,)]
                return self._rows(event, deal, "message", pairs, fact.channel)
            case MeetingHeld():
                return self._rows(event, deal, "meeting", [*self._met(fact)])
            case HelpRequested():
                by = fact.by or actor_of(event)
                self._asked[fact.request] = _HelpAsked(by, fact.department)
            case HelpGiven(request=key) if key in self._asked:
                asked = self._asked[key]
                helper = self._person(fact.by or actor_of(event), asked.department)
                pairs = [(helper, self._person(asked.by))]
                return self._rows(event, deal, "help", pairs)
            case CollaboratorJoined(person=person):
                is_new = person not in self._departments
                self._departments[person] = fact.department
                if is_new:
                    pairs = [(self._person(deal.owner), (person, fact.department))]
                    return self._rows(event, deal, "joined", pairs)
            case CollaboratorLeft():
                self._departments.pop(fact.person, None)
            case _:
                pass  # whose the deal is, its state says
        return ()

    def _met(self, fact: MeetingHeld) -> Iterator[tuple[Person, Person]]:
        """Yield who took part, then the departments that nobody of them is known to be of."""
        people = [self._person(person) for person in dict.fromkeys(fact.participants)]
        known = {department for _, department in people}
        others = [d for d in dict.fromkeys(fact.departments) if d not in known]
        named = [*people, *((None, department) for department in others)]
        for person in named or (NOBODY,):
            yield NOBODY, person

    def _person(self, person: str | None, department: str | None = None) -> Person:
        known = None if person is None else self._departments.get(person)
        return person, known or department

    def _rows(
        self,
        event: Event,
        deal: DealSummary,
        kind: str,
        pairs: Iterable[tuple[Person, Person]],
        channel: str | None = None,
    ) -> list[Change]:
        about = (deal.process, deal.owner)
        return [
            ((event.position, number), (event.effective, kind, channel, *by, *person, *about))
            for number, (by, person) in enumerate(pairs)
        ]


COLLABORATIONS: Final = IntervalFold(
    COLLABORATION,
    STATE_FACTS
    | {
        *(MessagePosted, MeetingHeld, HelpRequested, HelpGiven),
        *(CollaboratorJoined, CollaboratorLeft),
    },
    OnState(DealSummary, CollaborationRows),
)
