"""What an event is of, as people call it: the title of a deal, the key of a goal, a rep.

It is a module of its own: whatever names an event's thing reads by it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.event import Event, Fact
from salesflow.errors import HistoryError, NotFoundError
from salesflow.presentation.format import short_id

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["Subjects", "kind_of"]


Called = Callable[[Any], str | None]


def _statement(statement: Any) -> str:  # noqa: ANN401 - a thing of its kind, as in CALLED
    figures = statement.figures
    return f"{figures.plan} {figures.rep} {figures.first_day}"


CALLED: Final[dict[str, Called]] = {
    "deal": lambda deal: deal.title,
    "customer": lambda customer: customer.name,
    "rep": lambda rep: f"{rep.reference} {rep.name or ''}".strip(),
    "sales process": lambda process: process.latest.key,
    "incentive plan": lambda plan: plan.latest.key,
    "statement": _statement,
    "contest": lambda contest: contest.opened.contest,
}
"""What things are called that are called by something else than their key."""


class Subjects:
    """Names what events are of, each thing looked up once."""

    def __init__(self, flow: "SalesFlow") -> None:
        self._flow = flow
        self._names: dict[UUID, str] = {}

    def name(self, event: Event) -> str:
        """Return what the thing of an event is called; its id where it has no name."""
        figure = getattr(event.fact, "figure", None)
        kind = kind_of(type(event.fact))
        if kind is not None and kind.noun == "book of outside figures":
            return str(figure or "")
        if event.stream_id not in self._names:
            self._names[event.stream_id] = self._look_up(event.stream_id, kind)
        return self._names[event.stream_id]

    def _look_up(self, id: UUID, kind: type[Aggregate] | None) -> str:
        name: str | None = None
        if kind is not None:
            with suppress(NotFoundError, HistoryError):
                thing = self._flow.get(kind, id)
                called = CALLED.get(kind.noun)
                name = called(thing) if called else getattr(thing, "key", None)
        return name or short_id(id)


def kind_of(fact: type[Fact]) -> type[Aggregate] | None:
    """Return the kind of thing that a fact is about; None for one of a host's own."""
    return next((kind for kind in AGGREGATES if fact in kind.facts), None)
