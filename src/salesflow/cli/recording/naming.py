"""What the words of a command name: people, things with a key, words of the house's own.

People are taken by id or name, things by key or name. What has a list of its own, such as teams
and trainings, is refused when it is on none; whatever a house calls as it likes, such as its
people and departments, is recorded, with a note where it was never met while others were. What
a parameter names follows from its name, so that a new command needs nothing here. A module of
its own, since it looks into all that is recorded, and the reading of values into none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from salesflow.cli.ids import find_rep, published_processes
from salesflow.cli.recording.values import Parameter, id_function
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact, believed_history
from salesflow.domain.metric import FIGURE, METRICS, STAGE_KPIS
from salesflow.domain.process import ProcessVersion
from salesflow.domain.rep import rep_id
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import trimmed
from salesflow.domain.wording import Message, quoted
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.messages import Language, say
from salesflow.projections import known_names as known
from salesflow.projections.core.left_out import Unmet

__all__ = ["Naming", "word_of"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]

PEOPLE: Final = frozenset(
    {"assessed_by", "by", "colleague", "lead", "member", "notify", "overridden_by", "owner"}
    | {"participants", "person", "rep", "reps", "responsible", "to"}
)
"""Parameters that name a person of ours, by what they are called."""
PERSON: Final = "person"
THINGS: Final[Mapping[str, str]] = {
    "contest": "contest",
    "parent": "goal",
    "plan": "incentive plan",
    "process": "sales process",
    "team": "team",
    "teams": "team",
    "training": "training",
}
"""Those that name a thing with a key, and which."""
WORDS: Final[Mapping[str, type[known.Met]]] = {
    "channel": known.ChannelMet,
    "department": known.DepartmentMet,
    "departments": known.DepartmentMet,
    "lead_source": known.ChannelMet,
    "level": known.LevelMet,
    "product": known.ProductMet,
    "region": known.RegionMet,
    "segment": known.SegmentMet,
    "skill": known.SkillMet,
    "skills": known.SkillMet,
}
"""Those that take a word of the house's own, and where it may have been met."""
OTHERWISE: Final[Mapping[tuple[str, str], type[known.Met] | str | None]] = {
    ("log_contact", "channel"): known.ContactChannelMet,
    ("log_contact", "participants"): None,  # people of the customer
    ("post_message", "channel"): known.MessageChannelMet,
    ("report", "figure"): known.FigureMet,
    ("publish", "audience"): "audience",
    ("address", "audience"): "audience",
    ("record_finding", "figure"): "figure",
    ("hold_interview", "reasons"): "reason",
    ("note_factor", "factor"): "reason",
}
"""Commands in which a parameter names something else than elsewhere."""
LISTED_MAX: Final = 10_000
BEHIND_MAX: Final = 50_000
"""Where read tables are so many events behind, no word is looked for in them."""
NEAR_MAX: Final = 3
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


def word_of(noun: str) -> str:
    """Return what commands about such things stand under."""
    return WORDS_OF.get(noun, noun)


class Stages(NamedTuple):
    """The process versions that a command is about, and whether its thing looks after them."""

    versions: Sequence[ProcessVersion]
    of_deal: bool


class Naming:
    """What is named in one run of a command; each thing is looked up once."""

    def __init__(self, flow: "SalesFlow", language: Language = "en") -> None:
        self._flow, self._language = flow, language
        self._people: dict[str, str] = {}
        self._met: dict[tuple[type[known.Met], str], known.MetView | None] = {}
        self._things: dict[str, dict[str, list[str]]] = {}
        self._made: set[tuple[str, str]] = set()
        self._alike: dict[str, dict[tuple[object, ...], UUID | None]] = {}
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """What whoever typed it should know of the words, each said once."""
        return [*self._notes]

    def note(self, text: str) -> None:
        """Say something besides."""
        self._notes[text] = None

    def note_reopened(self, noun: str, called: str, events: int) -> None:
        """Note that what was recorded before of a thing counts again, and from when on."""
        self.note(
            say(
                "{noun} {called} was opened before, and that was retracted; what else was"
                " recorded of it counts again ({events} events in all, see its history), from"
                " when on it is opened now: name --occurred-at where that is in the past",
                self._language,
                noun=say(noun, self._language),
                called=quoted(called),
                events=events,
            )
        )

    def note_alike(self, made: Aggregate) -> None:
        """Note that a deal or customer is called as one that is there: perhaps the same."""
        [opening, *_] = (each.fact for each in made.pending)
        said = SAID_TWICE.get(made.noun)
        if said is None or self._flow.log.head().position > ALIKE_MAX:
            return
        if made.noun not in self._alike:
            found = self._openings(opening.kind)
            self._alike[made.noun] = {_alike(fact, day): id for id, fact, day in found}
        noted, alike = made.pending[0], self._alike[made.noun]
        at = self._flow.log.now() if noted.occurred is None else noted.occurred
        key = _alike(opening, noted.day or self._day(at))
        if key in alike and self._is_believed(alike[key]):
            called, id = quoted(getattr(opening, said[0])), alike[key]
            where = say("named twice here", self._language) if id is None else str(id)
            self.note(say(said[1], self._language, called=called, id=where))
        alike.setdefault(key, None)

    def start_over(self) -> None:
        """Forget what was made, since it is made again."""
        self._alike.clear()

    def _is_believed(self, id: UUID | None) -> bool:
        return id is None or bool(believed_history(self._flow.log.stream(id)))

    def _openings(self, kind: str) -> Iterator[tuple[UUID, Fact, date]]:
        """Yield the openings of things that are believed to be there, the newest last."""
        from salesflow.adapters.event_store.search import LogSearch, search

        for entry in search(self._flow.log, LogSearch(kind=kind, oldest_first=True)):
            id = entry.stored.stream_id
            if entry.event is not None:
                yield id, entry.event.fact, self._day(entry.stored.occurred)

    def _day(self, at: Instant) -> date:
        return from_instant(at).astimezone(self._flow.settings().timezone).date()

    def makes(self, noun: str, key: object) -> None:
        """Note that the command itself makes a thing, which others of its file may name."""
        self._made.add((noun, str(key).strip()))

    def read(
        self, method: str, takes: Iterable[Parameter], values: Values, id: UUID | None = None
    ) -> Values:
        """Return the values of a command with ids and keys in the place of names.

        Raises:
            NotFoundError: for what has a list of its own and is not on it.
            InputError: when several are called so.
        """
        found = dict(values)
        for each in takes:
            if each.name not in found or str not in (each.kind, each.item):
                continue
            read = self._reader(method, each.name, found, id)
            if read is not None:
                value = found[each.name]
                many = isinstance(value, list | tuple)
                found[each.name] = tuple(map(read, value)) if many else read(value)
        return found

    def identified(
        self, kind: type[Aggregate], whose: Iterable[Parameter], said: Values
    ) -> Values:
        """Return what says which thing of a kind is meant, with keys in the place of names.

        That there is none is for whoever looks for it to say.
        """
        found, [*named] = dict(said), whose
        for each in named:
            value = found[each.name]
            if not isinstance(value, str) or kind.noun in FOUND_OTHERWISE:
                continue
            noun = kind.noun if len(named) == 1 else THINGS.get(each.name)
            if noun is not None:
                found[each.name] = self.key(noun, value) or value
            elif each.name in PEOPLE:
                found[each.name] = self.person(value)
        return found

    def _reader(
        self, method: str, name: str, values: Values, id: UUID | None
    ) -> Callable[[str], str] | None:
        """Return what reads a parameter; None where it names nothing."""
        named = self._named(method, name, values)
        if name == "stage":
            return lambda text: self._stage(text, self._stages(values, id))
        if named == PERSON:
            return self.person
        if isinstance(named, str) and named in KINDS:
            return lambda text: self.thing(named, text)
        if isinstance(named, str):
            return lambda text: self._open(named, text, self._stages(values, id))
        return None if named is None else lambda text: self._word(named, text)

    @staticmethod
    def _named(method: str, name: str, values: Values) -> type[known.Met] | str | None:
        """Return what a parameter names: a person, a thing of a kind, a word of a list."""
        if name == "participants" and values.get("by") == "team":
            return "team"
        if (method, name) in OTHERWISE:
            return OTHERWISE[method, name]
        return PERSON if name in PEOPLE else THINGS.get(name) or WORDS.get(name)

    # People

    def person(self, text: str) -> str:
        """Return the id of whoever is called so; who was never met is noted."""
        if text not in self._people:
            self._people[text] = self._person(text)
        return self._people[text]

    def _person(self, text: str) -> str:
        if not text.strip() or self._is_rep(text):
            return text
        found = find_rep(self._flow, text, known=lambda _: False)
        if found == text and ("rep", text.strip()) not in self._made:
            self._note_unmet(known.PersonMet, text)
        return found

    def actor(self, text: str) -> str:
        """Return the id of who records something; who never did, and is nobody, is noted."""
        from salesflow.adapters.event_store.search import LogSearch, search

        if any(search(self._flow.log, LogSearch(actor=text, limit=1))):
            return text
        return self.person(text)

    def _is_rep(self, text: str) -> bool:
        return self._is_there(rep_id, text)

    def _is_there(self, id_of: Callable[..., object], key: str) -> bool:
        try:
            id = id_of(key)
        except InputError:
            return False
        assert isinstance(id, UUID)
        return bool(believed_history(self._flow.log.stream(id)))

    # Words of the house's own

    def _word(self, met: type[known.Met], text: str) -> str:
        self._note_unmet(met, text)
        return text

    def _note_unmet(self, met: type[known.Met], text: str) -> None:
        """Note what was never met while others were."""
        found = self._found(met, text)
        if found is not None and not found.met and found.others:
            unmet = Unmet(value=trimmed(text), said=met.unmet, near=found.near)
            self.note(unmet.sentence(self._language))

    def _found(self, met: type[known.Met], text: str) -> known.MetView | None:
        """Ask whether a word was met; nothing where that cannot be said at once."""
        if (met, text) not in self._met:
            ask = bool(text.strip()) and not self._is_behind(met)
            self._met[met, text] = self._flow.ask(met(value=text)) if ask else None
        return self._met[met, text]

    def _is_behind(self, met: type[known.Met]) -> bool:
        head = self._flow.log.head().position
        if head <= BEHIND_MAX:
            return False
        stands = self._flow.standings()
        return head - min(stands[it.label].position for it, _ in met.places) > BEHIND_MAX

    # Things with a key

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
        if (noun, wanted) in self._made or self._is_there(id_function(kind), wanted):
            return wanted
        if noun == "sales process" and wanted == STANDARD.key:
            return wanted  # which is published when it is used
        keys = self._called(noun).get(_folded(wanted), [])
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
            found = self._found(known.TeamMet, wanted)
            return wanted if found is not None and found.met else None
        return None

    def perhaps(self, noun: str, text: str) -> str:
        """Return what may have been meant of the things of a kind, to stand behind a word."""
        called = {} if noun in FOUND_OTHERWISE else self._called(noun)
        keys = dict.fromkeys(key for near in _near(text, called) for key in called[near])
        return _perhaps(keys)

    def _called(self, noun: str) -> dict[str, list[str]]:
        """Return the keys of all things of a kind, by key and names in small letters."""
        if noun not in self._things:
            found: dict[str, dict[str, None]] = {}
            for key, names in self._keys(noun):
                for name in (key, *names):
                    found.setdefault(_folded(name), {})[key] = None
            self._things[noun] = {name: [*keys] for name, keys in found.items()}
        return self._things[noun]

    def _keys(self, noun: str) -> Iterator[tuple[str, list[str]]]:
        """Yield the key of each thing of a kind, and what it is called besides."""
        from salesflow.adapters.event_store.search import beginning_with

        if noun == "sales process":
            for version in self._published():
                yield version.key, [version.name_en, version.name_zh]
            return
        kind = KINDS[noun]
        for opening in (fact for fact in kind.facts if fact.is_opening):
            for id in beginning_with(self._flow.log, "", opened_by=opening, limit=LISTED_MAX):
                with suppress(NotFoundError, HistoryError):
                    thing = self._flow.get(kind, id)
                    yield _key_of(thing), [*_names_of(thing)]

    # Stages and reasons, of the processes

    def _published(self) -> list[ProcessVersion]:
        there = [v for each in published_processes(self._flow) for v in each.versions.values()]
        return there if any(v.key == STANDARD.key for v in there) else [*there, STANDARD]

    def _stages(self, values: Values, id: UUID | None) -> Stages:
        """Return the process versions that a command is about."""
        process = values.get("process")
        if isinstance(process, ProcessVersion):
            return Stages([process], of_deal=True)
        with suppress(NotFoundError, HistoryError):
            if id is not None:
                return Stages([self._flow.get(Deal, id).process_in_force], of_deal=True)
        published = self._published()
        if process is not None:
            published = [v for v in published if v.key == self.thing("sales process", process)]
        return Stages(published, of_deal=False)

    def _stage(self, text: str, stages: Stages) -> str:
        """Return the key of a stage by its key or name.

        That a deal's process has it the deal itself looks after.
        """
        found = [stage for version in stages.versions for stage in version.stages]
        keys = _keys_called(text, ((s.key, s.name_en, s.name_zh) for s in found))
        if len(keys) == 1:
            return keys[0]
        if len(keys) > 1:
            raise InputError(
                Message(
                    "several are called {said}: {keys}; write a key",
                    said=quoted(text),
                    keys=", ".join(keys),
                )
            )
        if stages.of_deal:
            return text
        there = dict.fromkeys(stage.key for stage in found)
        raise NotFoundError(
            Message(
                "there is no stage {said}{perhaps}; there are {keys}",
                said=quoted(text),
                perhaps=_perhaps(_near(text, there)),
                keys=", ".join(there),
            )
        )

    def _open(self, what: str, text: str, stages: Stages) -> str:
        """Read a word of a list that a house may add to: what is near one of it is refused.

        Any other word is one of the house's own, of which a note says so.
        """
        keys, names = self._list_of(what, stages)
        found = _keys_called(text, names)
        if len(found) == 1:
            return found[0]
        near = _near(text, keys)
        if near:
            raise NotFoundError(
                Message(
                    "there is no {what} {said}{perhaps}; write one of {keys}, or another word",
                    what=Message(what),
                    said=quoted(text),
                    perhaps=_perhaps(near),
                    keys=", ".join(keys),
                )
            )
        if keys:
            unmet = Unmet(value=trimmed(text), said=NONE_OF[what])
            self.note(unmet.sentence(self._language))
        return text

    def _list_of(
        self, what: str, stages: Stages
    ) -> tuple[list[str], Iterable[tuple[str, ...]]]:
        names: list[tuple[str, ...]]
        if what == "reason":
            labels = [each for version in stages.versions for each in version.loss_reasons]
            names = [(each.key, each.name_en, each.name_zh) for each in labels]
        elif what == "audience":
            levels = self._others(known.LevelMet)
            names = [*((key, *called) for key, called in self._keys("team"))]
            names += [(each,) for each in (*self._others(known.TeamMet), *levels)]
        else:
            figures = self._others(known.FigureMet)
            names = [(each.key, each.name_en, each.name_zh) for each in METRICS.values()]
            names += [(each,) for each in STAGE_KPIS]
            names += [(each, f"{FIGURE}{each}") for each in figures]
        return [*dict.fromkeys(name[0] for name in names)], names

    def _others(self, met: type[known.Met]) -> tuple[str, ...]:
        found = self._found(met, ANY)
        return () if found is None else found.others


FOUND_OTHERWISE: Final = ("deal", "customer")
"""Things that are called by titles and names, for which there are finders of their own."""
ANY: Final = "*"
NONE_OF: Final = {
    "reason": "no process has a reason",
    "audience": "no team and no level is called",
    "figure": "there is no figure",
}
KINDS: Final = {kind.noun: kind for kind in AGGREGATES}


SAID_TWICE: Final = {
    "customer": ("name", "a customer of this name exists already, {called}: {id}"),
    "deal": (
        "title",
        "a deal of this title, customer and day exists already, {called}: {id}",
    ),
}
"""What is called by names that are no keys: the name, and what is said of a second one."""
ALIKE_MAX: Final = 200_000
"""In a log of more events nobody looks for those that are called the same."""


def _alike(opening: Fact, day: date) -> tuple[object, ...]:
    """Return what makes two of them look like one."""
    if isinstance(opening, DealOpened):
        return _folded(opening.title or ""), opening.customer_id, day
    return (_folded(getattr(opening, "name", None) or ""),)


def _key_of(thing: Aggregate) -> str:
    """Return the key of a thing, by which its id is made."""
    wanted = next(iter(signature(id_function(type(thing))).parameters))
    for name in ("key", wanted):
        found = getattr(thing, name, None)
        if isinstance(found, str):
            return found
    opening = getattr(thing, "opened", None)
    return str(getattr(opening, wanted if wanted != "key" else thing.noun, ""))


def _names_of(thing: Aggregate) -> Iterator[str]:
    for holder in (thing, *(getattr(thing, part, None) for part in NAMED_IN)):
        for name in NAMES:
            value = getattr(holder, name, None)
            if isinstance(value, str):
                yield value


def _keys_called(text: str, named: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the keys of what is called so; of a key itself that one alone."""
    wanted, found = _folded(text), dict[str, None]()
    for key, *names in named:
        if key == text.strip():
            return [key]
        if wanted in map(_folded, (key, *names)):
            found[key] = None
    return [*found]


def _near(text: str, names: Iterable[str]) -> list[str]:
    wanted, folded = _folded(text), {_folded(name): name for name in names}
    inside = [key for key in folded if len(wanted) > 1 and wanted in key]
    alike = get_close_matches(wanted, folded, n=NEAR_MAX)
    return [folded[key] for key in dict.fromkeys([*alike, *inside])][:NEAR_MAX]


def _perhaps(near: Iterable[str]) -> str:
    names = ", ".join(near)
    return Message("; perhaps {names}", names=names) if names else ""


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
