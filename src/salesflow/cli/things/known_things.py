"""Things with a key, such as teams and trainings, by their keys or names.

Whoever asks, lists and shows finds them in it as well as whoever records something of one.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from inspect import signature
from itertools import chain
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.alike_names import folded, near_names
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.event import believed_history
from salesflow.domain.process import ProcessVersion
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.wording import Message, quoted
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.projections.core.left_out import perhaps_of
from salesflow.projections.known_names import TeamMet

__all__ = [
    "KINDS",
    "KnownThings",
    "already_there",
    "id_function",
    "ids_of_things",
    "word_of",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

LISTED_MAX: Final = 10_000
NAMES: Final = ("name", "name_en", "name_zh", "title_en", "title_zh")
"""What things with a key are called besides it, by the names of their values."""
NAMED_IN: Final = ("opened", "course", "latest")
"""Values of a thing that hold its names, where it has none itself."""
WORDS_OF: Final = {"sales process": "process", "incentive plan": "plan"}
MADE_BY: Final = {
    "contest": "open",
    "goal": "set",
    "incentive plan": "publish",
    "sales process": "publish",
    "team": "form",
    "training": "offer",
}
"""The command that makes a thing of each kind."""
CHANGED_BY: Final = {
    "alert": "revise",
    "goal": "revise",
    "improvement": "correct",
    "incentive plan": "supersede",
    "rep": "move",
    "sales process": "publish-version",
    "statement": "correct",
    "team": "rename",
    "training": "revise",
}
"""The command that changes a thing of each kind which is there already."""


def word_of(noun: str) -> str:
    """Return what commands about such things stand under."""
    return WORDS_OF.get(noun, noun)


def already_there(noun: str, called: str, *, twice: bool) -> InputError:
    """Return what refuses a thing of a kind; of one that is named twice, that it is."""
    named, word = {"noun": noun, "called": quoted(called)}, word_of(noun)
    if twice:
        said = Message("{noun} {called} is named twice", **named)
    elif noun not in CHANGED_BY:
        said = Message(
            "{noun} {called} is there already, and how it was opened is never changed; where"
            " that was wrong, `salesflow retract` the event that {told} lists first and record"
            " it anew, or take another key",
            **named,
            told=f"`salesflow {word} history {called}`",
        )
    else:
        said = Message(
            "{noun} {called} is there already; change it with {way_out}, or take another key",
            **named,
            way_out=f"`salesflow {word} {CHANGED_BY[noun]}`",
        )
    return InputError(said)


def id_function(kind: type[Aggregate]) -> Callable[..., object]:
    """Return the function beside an aggregate that makes an id of its key."""
    name = word_of(kind.noun).replace(" ", "_")
    found: Callable[..., object] = getattr(import_module(kind.__module__), f"{name}_id")
    return found


def ids_of_things(flow: "SalesFlow", kind: type[Aggregate], most: int) -> list[UUID]:
    """Return the ids of all things of a kind that were ever opened, so many at most."""
    from salesflow.adapters.event_store.search import beginning_with

    openings = (fact for fact in kind.facts if fact.is_opening)
    found = (beginning_with(flow.log, "", opened_by=each, limit=most) for each in openings)
    return [*dict.fromkeys(chain.from_iterable(found))]


class KnownThings:
    """The things with a key that there are, each kind looked through once."""

    def __init__(self, flow: "SalesFlow") -> None:
        self._flow = flow
        self._things: dict[str, dict[str, list[str]]] = {}
        self._made: set[tuple[str, str]] = set()

    def makes(self, noun: str, key: object) -> None:
        """Note that the command itself makes a thing, which others of its file may name."""
        self._made.add((noun, str(key).strip()))

    def is_made(self, noun: str, key: str) -> bool:
        """Return whether the command itself makes it."""
        return (noun, key.strip()) in self._made

    def thing(self, noun: str, text: str) -> str:
        """Return the key of a thing by its key or one of its names.

        Raises:
            NotFoundError: when there is none, naming what is near and the way out.
            InputError: when several are called so.
        """
        key = self.key(noun, text)
        if key is not None:
            return key
        word = word_of(noun)
        raise NotFoundError(
            Message(
                "there is no {noun} {said}{perhaps}; `salesflow {word} list` shows those there"
                " are, `salesflow {word} {make}` makes one",
                noun=Message(noun),
                said=quoted(text),
                perhaps=self.perhaps(noun, text),
                word=word,
                make=MADE_BY[noun],
            )
        )

    def key(self, noun: str, text: str) -> str | None:
        """Return the key of what is called so; None where there is none of that kind."""
        kind, wanted = KINDS[noun], str(text).strip()
        if self.is_made(noun, wanted) or self.is_there(id_function(kind), wanted):
            return wanted
        if noun == "sales process" and wanted == STANDARD.key:
            return wanted  # which is published when it is used
        keys = self._called(noun).get(folded(wanted), [])
        if len(keys) > 1:
            raise InputError(
                Message(
                    "several are called {said}: {keys}; write a key",
                    said=quoted(text),
                    keys=", ".join(keys),
                )
            )
        if keys:
            return keys[0]
        if noun == "team" and wanted:  # whoever imports reps may form none
            return wanted if self._flow.ask(TeamMet(value=wanted)).met else None
        return None

    def perhaps(self, noun: str, text: str) -> str:
        """Return what may have been meant of the things of a kind, to stand behind a word."""
        called = {} if noun in FOUND_OTHERWISE else self._called(noun)
        keys = dict.fromkeys(key for near in near_names(text, called) for key in called[near])
        return perhaps_of(keys)

    def _called(self, noun: str) -> dict[str, list[str]]:
        """Return the keys of all things of a kind, by key and names in small letters."""
        if noun not in self._things:
            found: dict[str, dict[str, None]] = {}
            for key, names in self.keys(noun):
                for name in (key, *names):
                    found.setdefault(folded(name), {})[key] = None
            self._things[noun] = {name: [*keys] for name, keys in found.items()}
        return self._things[noun]

    def keys(self, noun: str) -> Iterator[tuple[str, list[str]]]:
        """Yield the key of each thing of a kind, and what it is called besides."""
        if noun == "sales process":
            for version in self.published():
                yield version.key, [version.name_en, version.name_zh]
            return
        kind = KINDS[noun]
        for id in ids_of_things(self._flow, kind, LISTED_MAX):
            with suppress(NotFoundError, HistoryError):
                thing = self._flow.get(kind, id)
                yield _key_of(thing), [*_names_of(thing)]

    def published(self) -> list[ProcessVersion]:
        """Return the versions of all processes, the standard one included."""
        from salesflow.engine.processes import published_processes

        there = [v for each in published_processes(self._flow) for v in each.versions.values()]
        return there if any(v.key == STANDARD.key for v in there) else [*there, STANDARD]

    def is_there(self, id_of: Callable[..., object], key: str) -> bool:
        """Return whether a thing of that key is believed to be there."""
        try:
            id = id_of(key)
        except InputError:
            return False
        assert isinstance(id, UUID)
        return bool(believed_history(self._flow.log.stream(id)))


FOUND_OTHERWISE: Final = ("deal", "customer")
"""Things that are called by titles and names, for which there are finders of their own."""
KINDS: Final = {kind.noun: kind for kind in AGGREGATES}


def _key_of(thing: Aggregate) -> str:
    """Return the key of a thing, by which its id is made."""
    wanted = next(iter(signature(id_function(type(thing))).parameters))
    for holder in _holders(thing):
        for name in ("key", wanted, thing.noun):
            found = getattr(holder, name, None)
            if isinstance(found, str):
                return found
    return ""


def _holders(thing: Aggregate) -> Iterator[object]:
    """Yield the thing, and its values that hold its key or names where it has none itself."""
    yield thing
    for part in NAMED_IN:
        with suppress(AttributeError, ValueError):  # such as the latest of no versions
            yield getattr(thing, part)


def _names_of(thing: Aggregate) -> Iterator[str]:
    for holder in _holders(thing):
        for name in NAMES:
            value = getattr(holder, name, None)
            if isinstance(value, str):
                yield value
