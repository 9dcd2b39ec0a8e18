"""What is believed of a stream at the moment of a question, and the state that follows from it.

Questions find things by their rows, and read what no row holds (notes, tiers, check-ins) in the
streams of those few. Facts that a service of its own appended to a stream are left to it.
"""

from collections.abc import Iterable
from typing import TypeVar

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import Event, believed_history, in_effect
from salesflow.domain.state import ReplayContext, State
from salesflow.projections.core.question import Reader

__all__ = ["believed", "state_of"]

StateT = TypeVar("StateT", bound=State)


def believed(
    events: Iterable[Event], reader: Reader, of: type[Aggregate] | None = None
) -> list[Event]:
    """Return what is believed of a stream to hold by the moment; nothing before it is opened.

    Of a kind of thing, only the facts which that kind knows.
    """
    history = _opened(events, reader)
    known = in_effect(history, reader.read_point.as_of)
    return [event for event in known if of is None or type(event.fact) in of.facts]


def state_of(
    kind: type[Aggregate], state: type[StateT], events: Iterable[Event], reader: Reader
) -> StateT:
    """Return the state of a thing that follows from its stream by the moment.

    One of which nothing is believed is as its class says.
    """
    point, history = reader.read_point, _opened(events, reader)
    context = ReplayContext(reader.processes, reader.timezone, point.as_of)
    found = state(context, history[0] if history else None)
    kind.evolve_all(found, in_effect(history, point.as_of))
    return found


def _opened(events: Iterable[Event], reader: Reader) -> list[Event]:
    """Return the believed history of a stream that is opened by the moment."""
    history = believed_history(events, reader.read_point.known_at)
    return history if history and history[0].occurred <= reader.read_point.as_of else []
