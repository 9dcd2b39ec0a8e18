"""Refusals that name deals, customers and events as people do: by title, name and number.

Below the command line a refusal names what it is of by its id, which nobody knows by heart.
What is said of an id besides, to be typed again, keeps it. A module of its own, since it is
loaded where something is refused alone.
"""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.cli.things.subjects import Subjects, kind_of
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.event import Event, believed_history
from salesflow.domain.wording import quoted
from salesflow.errors import SalesflowError
from salesflow.presentation.format import short_id
from salesflow.presentation.messages import Language, fact_name, in_language

__all__ = ["with_names"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

ID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NOUNS: Final = sorted({kind.noun for kind in AGGREGATES}, key=len, reverse=True)
CODE: Final = r"[a-z]+\.[a-z_]+"
"""A kind of facts as it is stored, such as deal.won."""


def with_names(said: str, flow: "SalesFlow", language: Language) -> str:
    """Return a refusal with names for ids: behind what they are of, and where it begins."""
    words = {noun: noun for noun in NOUNS} | {
        in_language(noun, language): noun for noun in NOUNS
    }
    nouns = "|".join(map(re.escape, words))
    named = re.compile(
        rf"(?<!['\"\w-])(?:(?P<noun>{nouns}|event|into|{CODE}) |^)(?P<id>{ID})(?!['\"\w-])"
    )
    subjects = Subjects(flow)
    called: dict[str, UUID] = {}

    def name(found: re.Match[str]) -> str:
        id, noun = UUID(found["id"]), found["noun"]
        with suppress(SalesflowError):
            if noun in words or (noun is None and flow.log.stream(id)):
                return _thing(id, noun)
            if noun == "into":
                return f"into {_thing(id, None)}"
            return _event(flow.log.find(id), language) or found[0]
        return found[0]

    def _thing(id: UUID, noun: str | None) -> str:
        events = flow.log.stream(id)
        opening = next(iter(believed_history(events) or events), None)
        if opening is None:
            return f"{noun or ''} {id}".strip()
        kind = kind_of(type(opening.fact))
        noun = noun or (opening.fact.kind if kind is None else in_language(kind.noun, language))
        title = subjects.name(opening)
        text = f"{noun} {title if title == short_id(id) else quoted(title)}"
        return text if called.setdefault(text, id) == id else f"{text} ({short_id(id)})"

    return named.sub(name, said)


def _event(event: Event | None, language: Language) -> str:
    """Name an event by what happened, and its number; nothing where there is none."""
    if event is None:
        return ""
    number = f"{in_language('event no.', language)} {event.position:,}"
    return f"{fact_name(type(event.fact), language)} ({number})"
