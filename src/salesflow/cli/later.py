"""Things that there are, and that were not there yet at the moment somebody asks about.

`rep 'south-05' joins on 2026-03-02, after the moment asked` is what a reader needs to hear
where an answer of that moment can only say that there is no such rep. It is a module of its
own, since whoever shows a thing needs it as well as whoever asks.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.cli.things.known_things import KINDS, id_function
from salesflow.domain.deal import Deal
from salesflow.domain.event import believed_history
from salesflow.domain.time import FOREVER, Instant, from_instant, instant_of
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.format import local_day, short_id
from salesflow.projections.core.question import Question, View

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["Named", "deal_at", "later_told", "named_by"]

Named = tuple[str, str, UUID]
"""A noun, how a thing was said, and its id."""
NOUNS: Final = {"plan": "incentive plan", "owner": "rep", "process": "sales process"}
"""What parameters name that are called otherwise than the things."""
BEGINS: Final = {
    "case": "is published",
    "contest": "is opened",
    "customer": "is registered",
    "deal": "is opened",
    "goal": "is set",
    "improvement": "is proposed",
    "incentive plan": "is published",
    "rep": "joins",
    "review": "is opened",
    "team": "is formed",
    "training": "is offered",
}
"""How things begin."""


def later_told(
    flow: "SalesFlow", named: Iterable[Named], as_of: str | None, known_at: str | None
) -> list[str]:
    """Return what begins, or becomes known, after a moment, a sentence of each."""
    if as_of is None and known_at is None:
        return []
    zone = flow.settings().timezone
    limits = [FOREVER if at is None else instant_of(at, zone) for at in (as_of, known_at)]
    return [*_later(flow, named, limits, zone)]


def _later(
    flow: "SalesFlow", named: Iterable[Named], limits: Sequence[Instant], zone: ZoneInfo
) -> Iterator[Message]:
    for noun, said, id in named:
        history = believed_history(flow.log.stream(id))
        if not history:
            continue
        opening = history[0]
        happens, told = opening.effective > limits[0], opening.recorded > limits[1]
        if happens or told:
            at = opening.effective if happens else opening.recorded
            yield Message(
                "{noun} {said} {begins} on {day}, after the moment asked",
                noun=noun,
                said=quoted(said),
                begins=BEGINS.get(noun, "begins") if happens else "becomes known",
                day=local_day(from_instant(at), zone),
            )


def deal_at(flow: "SalesFlow", id: UUID, as_of: str | None, known_at: str | None) -> Deal:
    """Return a deal as it stood at a moment.

    Raises:
        NotFoundError: when it did not, saying when it is opened where that is later.
    """
    try:
        return flow.get(Deal, id, as_of=as_of, known_at=known_at)
    except NotFoundError as error:
        told = later_told(flow, [("deal", short_id(id), id)], as_of, known_at)
        raise NotFoundError("; ".join([str(error), *told])) from error


def named_by(asked: Question[View]) -> Iterator[Named]:
    """Yield the things that a question names by key or id."""
    for name in type(asked).model_fields:
        value = getattr(asked, name)
        noun = NOUNS.get(name, name)
        if noun not in KINDS or not isinstance(value, str | UUID):
            continue
        if isinstance(value, UUID):
            yield noun, short_id(value), value
            continue
        try:
            id = id_function(KINDS[noun])(value)
        except InputError:
            continue
        if isinstance(id, UUID):
            yield noun, value, id
