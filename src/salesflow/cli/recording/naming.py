"""What the words of a command name: people, things with a key, words of the house's own.

People are taken by id or name, things by key or name. What has a list of its own, such as teams
and trainings, is refused when it is on none; whatever a house calls as it likes, such as its
people and departments, is recorded, with a note where it was never met while others were. What
a parameter names follows from its name, so that a new command needs nothing here. A module of
its own, since it looks into all that is recorded, and the reading of values into none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from salesflow.cli.recording.looking_alike import LookingAlike
from salesflow.cli.recording.values import COMMA, CONTACTS, Parameter
from salesflow.cli.recording.version_notes import VersionNotes
from salesflow.cli.things.ids import find_rep
from salesflow.cli.things.known_things import KINDS, KnownThings
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.alike_names import folded, is_slip, near_names
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.metric import FIGURE, METRICS, STAGE_KPIS
from salesflow.domain.process import ProcessVersion
from salesflow.domain.rep import Rep, rep_id
from salesflow.domain.values import trimmed
from salesflow.domain.wording import Message, quoted
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.format import NO_VALUE, local_day
from salesflow.presentation.messages import Language, say, say_count
from salesflow.projections import known_names as known
from salesflow.projections.core.left_out import Unmet, perhaps_of

__all__ = ["Naming"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]

PEOPLE: Final = frozenset(
    {"assessed_by", "by", "colleague", "lead", "member", "notify", "overridden_by", "owner"}
    | {"participants", "person", "rep", "reps", "responsible", "to"}
)
"""Parameters that name a person of ours, by what they are called."""
PERSON: Final = "person"
NAMES: Final = "names"
"""What takes any names, such as those of people of a customer or of themes."""
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
    ("log_contact", "participants"): NAMES,
    ("post_message", "channel"): known.MessageChannelMet,
    ("report", "figure"): known.FigureMet,
    ("publish", "audience"): "audience",
    ("address", "audience"): "audience",
    ("record_finding", "figure"): "figure",
    ("hold_interview", "reasons"): "reason",
    ("note_factor", "factor"): "reason",
}
"""Commands in which a parameter names something else than elsewhere."""
TAKE_PART: Final = frozenset({"lead", "owner", "person", "rep", "responsible", "to"})
"""Parameters that name who is to do something, which nobody does who has left."""
BEHIND_MAX: Final = 50_000
"""Where read tables are so many events behind, no word is looked for in them."""


class MeantVersions(NamedTuple):
    """The process versions that a command is about, and whether its thing looks after them."""

    versions: Sequence[ProcessVersion]
    of_deal: bool


class Naming:
    """What is named in one run of a command; each thing is looked up once."""

    def __init__(self, flow: "SalesFlow", language: Language = "en") -> None:
        self._flow, self._language = flow, language
        self._people: dict[str, str] = {}
        self._met: dict[tuple[type[known.Met], str], known.MetView | None] = {}
        self.things: Final = KnownThings(flow)
        self._alike = LookingAlike(flow, language)
        self._versions = VersionNotes(flow, language)
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """What whoever typed it should know of the words, each said once."""
        return [*self._notes]

    def note(self, text: str) -> None:
        """Say something besides."""
        self._notes[text] = None

    def note_reopened(self, noun: str, called: str, others: int) -> None:
        """Note that what was recorded before of a thing counts again, and from when on."""
        self.note(
            say_count(
                "{noun} {called} was opened before: {count:,} more event of it counts again if"
                " it happened after this opening; name --occurred-at where that is in the past",
                "{noun} {called} was opened before: {count:,} more events of it count again if"
                " they happened after this opening; name --occurred-at where that is in the"
                " past",
                others,
                self._language,
                noun=say(noun, self._language),
                called=quoted(called),
            )
        )

    def note_alike(self, made: Aggregate) -> None:
        """Note that a deal or customer is called as one that is there: perhaps the same."""
        note = self._alike.note_of(made)
        if note is not None:
            self.note(note)

    def note_recorded(self, thing: Aggregate, amount: object) -> None:
        """Note what looks like a slip: an amount far from what the deal stood at."""
        note = self._alike.note_of_amount(thing, amount)
        if note is not None:
            self.note(note)

    def note_version(self, values: Values) -> None:
        """Note that a deal of the past is to go by a process version that came later."""
        version = values.get("process")
        if isinstance(version, ProcessVersion):
            note = self._versions.note_of(version, values.get("occurred_at"))
            if note is not None:
                self.note(note)

    def start_over(self) -> None:
        """Forget what was made, since it is made again."""
        self._alike.start_over()

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
            read = self._reader(method, each, found, id) if each.name in found else None
            if read is not None:
                value = found[each.name]
                many = isinstance(value, list | tuple)
                found[each.name] = (
                    tuple(map(read, self._parted(value))) if many else read(value)
                )
        if method == "identify_committee_member" and "person_id" not in found:
            found |= self._same_contact(found.get("name"), id)
        self._note_people(method, found, id)
        return found

    def _note_people(self, method: str, values: Values, id: UUID | None) -> None:
        """Note who has left, and whose name is another one's too."""
        for name in sorted(values.keys() & TAKE_PART):
            for person in _each(values[name]):
                self._note_left(person, values.get("occurred_at"))
        called = values.get("name")
        if method in ("join", "rejoin") and isinstance(called, str):
            self._note_namesake(called, rep_id(str(values["rep"])) if id is None else id)

    def _note_left(self, person: str, occurred_at: Any) -> None:  # noqa: ANN401
        """Note that somebody had left by the time at which they are to do something."""
        if not self._is_rep(person):
            return
        with suppress(NotFoundError, HistoryError, InputError):
            rep = self._flow.get(Rep, rep_id(person), as_of=occurred_at)
            if rep.left_at is not None:
                zone = self._flow.settings().timezone
                self.note(
                    say(
                        "{person} left on {day} and is in no team",
                        self._language,
                        person=person,
                        day=local_day(rep.left_at, zone),
                    )
                )

    def _note_namesake(self, name: str, id: UUID) -> None:
        """Note that a rep is called as another one is, whom nobody can name by it any more."""
        others = name
        try:
            others = find_rep(self._flow, name, known=lambda _: False)
        except InputError:
            others = say("several others", self._language)
        if others != name and rep_id(others) != id:
            self.note(
                say(
                    "{name} is the name of {others} too: commands know them apart by their ids"
                    " alone",
                    self._language,
                    name=quoted(name),
                    others=others,
                )
            )

    def _parted(self, texts: Iterable[object]) -> Iterator[Any]:
        """Yield each of several, also where they were typed as one with commas between."""
        for text in texts:
            if not isinstance(text, str) or not COMMA.search(text) or self._is_rep(text):
                yield text
            else:
                yield from filter(None, map(str.strip, COMMA.split(text)))

    def identified(
        self, kind: type[Aggregate], whose: Iterable[Parameter], said: Values
    ) -> Values:
        """Return what says which thing of a kind is meant, with keys in the place of names.

        That there is none is for whoever looks for it to say.
        """
        found, [*named] = dict(said), whose
        for each in named:
            value = found[each.name]
            if not isinstance(value, str) or kind.noun in ("deal", "customer", "rep"):
                continue
            noun = kind.noun if len(named) == 1 else THINGS.get(each.name)
            if noun is not None:
                found[each.name] = self.things.key(noun, value) or value
            elif each.name in PEOPLE:
                found[each.name] = self.person(value)
        return found

    def _reader(
        self, method: str, parameter: Parameter, values: Values, id: UUID | None
    ) -> Callable[[Any], object] | None:
        """Return what reads a parameter; None where it names nothing."""
        name = parameter.name
        if name in CONTACTS and id is not None:
            return lambda text: self._contact(text, id)
        is_text = str in (parameter.kind, parameter.item)
        named = self._named(method, name, values) if is_text else None
        if name == "stage" and is_text:
            return lambda text: self._stage(text, self._stages(values, id))
        if named == PERSON:
            return self.person
        if named is None and parameter.item is str and parameter.is_parted:
            named = NAMES
        if isinstance(named, str):
            return lambda text: self._called(named, text, values, id)
        return None if named is None else lambda text: self._word(named, text)

    def _called(self, named: str, text: str, values: Values, id: UUID | None) -> str:
        """Return what a text names, by what its parameter names."""
        if named == NAMES:
            return text
        if named in KINDS:
            return self.things.thing(named, text)
        return self._open(named, text, self._stages(values, id))

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
        if found == text and not self.things.is_made("rep", text):
            self._note_unmet(known.PersonMet, text)
        return found

    def actor(self, text: str) -> str:
        """Return the id of who records something; who never did, and is nobody, is noted."""
        from salesflow.adapters.event_store.search import LogSearch, search

        if any(search(self._flow.log, LogSearch(actor=text, limit=1))):
            return text
        return self.person(text)

    def _is_rep(self, text: str) -> bool:
        return self.things.is_there(rep_id, text)

    # People of a customer

    def _contact(self, text: UUID | str, id: UUID) -> UUID:
        """Return the id of somebody of the customer, or on the committee of the deal.

        Raises:
            NotFoundError: when nobody there is called so.
            InputError: when several are.
        """
        if isinstance(text, UUID):
            return text
        people = self._contacts(id)
        found = [person for person, name in people.items() if folded(name) == folded(text)]
        if len(found) > 1:
            raise InputError(
                Message(
                    "several are called {said}: {keys}; write an id",
                    said=quoted(text),
                    keys=", ".join(map(str, found)),
                )
            )
        if found:
            return found[0]
        raise NotFoundError(
            Message(
                "there is no contact person {said}{perhaps}; there are {names}; `salesflow"
                " customer add-person` adds one",
                said=quoted(text),
                perhaps=perhaps_of(near_names(text, people.values())),
                names=", ".join(dict.fromkeys(people.values())) or NO_VALUE,
            )
        )

    def _contacts(self, id: UUID) -> dict[UUID, str]:
        """Return the names of the people of a customer, and of a deal's committee."""
        found: dict[UUID, str | None] = {}
        customer: UUID | None = id
        with suppress(NotFoundError, HistoryError):
            deal = self._flow.get(Deal, id)
            customer = deal.customer_id
            found |= {person: it.name for person, it in deal.committee.items()}
        with suppress(NotFoundError, HistoryError):
            if customer is not None:
                people = self._flow.get(Customer, customer).people
                found |= {person: it.name for person, it in people.items()}
        return {person: name for person, name in found.items() if name}

    def _same_contact(self, name: object, id: UUID | None) -> Values:
        """Return the id of the one person of that name there is, who is not another one."""
        if id is None or not isinstance(name, str):
            return {}
        people = self._contacts(id).items()
        found = [person for person, called in people if folded(called) == folded(name)]
        return {"person_id": found[0]} if len(found) == 1 else {}

    # Words of the house's own

    def _word(self, met: type[known.Met], text: str) -> str:
        self._note_unmet(met, text)
        found = self._found(met, text)
        if found is not None and found.met:
            self._note_alike_words(text, self._others(met))
        return text

    def _note_alike_words(self, text: str, others: Iterable[str]) -> None:
        """Note that a word was written in other letters before, which makes it another one."""
        word = trimmed(text)
        alike = [each for each in others if each != word and folded(each) == folded(word)]
        if alike:
            self.note(
                say(
                    "{word} was written {others} as well: those are counted apart",
                    self._language,
                    word=quoted(word),
                    others=", ".join(alike),
                )
            )

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

    # Stages and reasons, of the processes

    def _stages(self, values: Values, id: UUID | None) -> MeantVersions:
        """Return the process versions that a command is about."""
        process = values.get("process")
        if isinstance(process, ProcessVersion):
            return MeantVersions([process], of_deal=True)
        with suppress(NotFoundError, HistoryError):
            if id is not None:
                return MeantVersions([self._flow.get(Deal, id).process_in_force], of_deal=True)
        published = self.things.published()
        if process is not None:
            published = [
                v for v in published if v.key == self.things.thing("sales process", process)
            ]
        return MeantVersions(published, of_deal=False)

    def _stage(self, text: str, stages: MeantVersions) -> str:
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
                perhaps=perhaps_of(near_names(text, there)),
                keys=", ".join(there),
            )
        )

    def _open(self, what: str, text: str, stages: MeantVersions) -> str:
        """Read a word of a list that a house may add to: what is near one of it is refused.

        Any other word is one of the house's own, of which a note says so.
        """
        keys, names = self._list_of(what, stages)
        found = _keys_called(text, names)
        if len(found) == 1:
            return found[0]
        near = [each for each in near_names(text, keys) if is_slip(text, each)]
        if near:
            raise NotFoundError(
                Message(
                    "there is no {what} {said}{perhaps}; write one of {keys}, or another word",
                    what=Message(what),
                    said=quoted(text),
                    perhaps=perhaps_of(near),
                    keys=", ".join(keys),
                )
            )
        if keys:
            unmet = Unmet(value=trimmed(text), said=NONE_OF[what])
            self.note(unmet.sentence(self._language))
        return text

    def _list_of(
        self, what: str, stages: MeantVersions
    ) -> tuple[list[str], Iterable[tuple[str, ...]]]:
        names: list[tuple[str, ...]]
        if what == "reason":
            labels = [each for version in stages.versions for each in version.loss_reasons]
            names = [(each.key, each.name_en, each.name_zh) for each in labels]
        elif what == "audience":
            levels = self._others(known.LevelMet)
            names = [*((key, *called) for key, called in self.things.keys("team"))]
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


ANY: Final = "*"
NONE_OF: Final = {
    "reason": "no process has a reason",
    "audience": "no team and no level is called",
    "figure": "there is no figure",
}


def _each(value: object) -> Iterator[str]:
    """Yield the texts of a value, which may be several."""
    for each in value if isinstance(value, list | tuple) else (value,):
        if isinstance(each, str):
            yield each


def _keys_called(text: str, named: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the keys of what is called so; of a key itself that one alone."""
    wanted, found = folded(text), dict[str, None]()
    for key, *names in named:
        if key == text.strip():
            return [key]
        if wanted in map(folded, (key, *names)):
            found[key] = None
    return [*found]
