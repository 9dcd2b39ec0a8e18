"""The closed list of facts: how each is written and read back; no other kind ever is.

A stored shape that has changed is upcast on the raw dict, by what stands next to the class.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType, UnionType
from typing import Any, ClassVar, Final, Union, get_args, get_origin
from unicodedata import is_normalized

from pydantic import BaseModel, ValidationError

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, FactRetracted, UnreadableFact
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.figures import Figures
from salesflow.domain.goal import Goal
from salesflow.domain.process import SalesProcess
from salesflow.domain.rep import Rep
from salesflow.domain.settings import Settings
from salesflow.domain.state import State
from salesflow.domain.team import Team
from salesflow.domain.training import Training
from salesflow.domain.unchecked import Decode, NotWrittenHereError, decoder_of
from salesflow.domain.values import shown
from salesflow.domain.wording import quoted, reason_of, shortened
from salesflow.errors import HistoryError, InputError

__all__ = [
    "AGGREGATES",
    "CATALOGUE",
    "UNREADABLE",
    "EncodedFact",
    "FactCatalogue",
    "aggregate_of",
    "why",
]


# What stored JSON may not be, and what is said of it: short, and never what was in it.

COMPLAINTS_MAX: Final = 3
AFTER_NAMES: Final = (b'" ', b"\n", b"\t", b"\r")
"""Bytes that are in no fact as we write it, unless within a text that quotes something."""

UNREADABLE: Final = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError),
)
"""What reading a stored fact may raise, its upcasts included."""


def _ensure_no_repeats(payload: bytes, colons: int, read: BaseModel) -> None:
    """Refuse bytes that name a field twice: more names are in them than fields were read.

    A colon follows every name, so where there are as many colons as fields none is there twice.
    Texts may have more of them: then those behind a quote are counted, which they follow at
    once in all that we write. What is left is read once more.

    Raises:
        ValueError: naming the field.
    """
    names = _names(read)
    if colons == names:
        return
    if payload.count(b'":') != names or any(map(payload.count, AFTER_NAMES)):
        json.loads(payload, object_pairs_hook=_dict_without_repeats)


def _dict_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of what JSON names, each name once.

    Raises:
        ValueError: naming the one given twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{quoted(twice)} is given twice")
    return found


def why(error: Exception) -> str:
    """Return what was wrong with a stored fact, briefly."""
    if not isinstance(error, ValidationError):
        text = str(error) if isinstance(error, ValueError) else repr(error)
        return shortened(text)
    found = error.errors(include_url=False, include_input=False)
    complaints = [
        shortened(f"{'.'.join(map(str, each['loc'])) or 'value'}: {reason_of(each)}")
        for each in found[:COMPLAINTS_MAX]
    ]
    more = len(found) - len(complaints)
    return "; ".join(complaints) + (f" and {more} more" if more else "")


def _names(value: BaseModel) -> int:
    """Count the names of fields in what a value was read from."""
    names, fields = len(value.__pydantic_fields_set__), value.__dict__
    for name, always in _nested(type(value)):
        held = fields[name]
        if held is None:
            continue
        if always:
            names += always
        elif type(held) is tuple:
            names += sum([_names(each) for each in held if isinstance(each, BaseModel)])
        elif isinstance(held, BaseModel):
            names += _names(held)
    return names


@cache
def _nested(cls: type[BaseModel]) -> tuple[tuple[str, int], ...]:
    """Name the fields that hold values with fields of their own, and always how many.

    0 where that differs from value to value.
    """
    fields = cls.model_fields.items()
    return tuple((n, _always(f.annotation)) for n, f in fields if _holds_fields(f.annotation))


def _always(annotation: object) -> int:
    """Return how many fields every value of a type names, None aside; 0 where it depends."""
    one_of = get_origin(annotation) in (Union, UnionType)
    kinds = {*(get_args(annotation) if one_of else (annotation,))} - {type(None)}
    cls = kinds.pop()
    if kinds or not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        return 0
    fields = cls.model_fields.values()
    flat = all(f.is_required() and not _holds_fields(f.annotation) for f in fields)
    return len(fields) if flat else 0


def _holds_fields(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_fields, get_args(annotation)))


KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+").fullmatch
KIND_LENGTH_MAX = 100
ALIKE_LENGTH_MAX, ALIKE_MAX = 200, 1_000
"""Up to how many bytes a fact is long that is kept when read, and how many of each kind are.

A move to a stage is among them, with the criteria that were checked."""
CACHED_MAX: Final = 64
"""How many facts of a kind are kept that are read time and again, however long."""
NONE_ALIKE: Final[Mapping[bytes, "Fact"]] = MappingProxyType({})


class EncodedFact(bytes):
    """The bytes of a fact that are proven to be read back as that fact; see `encode`."""

    __slots__ = ()


class FactCatalogue:
    """The closed list of fact classes by stored kind; nothing else is written or read back.

    `homes` says of a class which kind of thing its stream is about ("deal"); a fact that is
    not named there may stand in any stream. `own` are classes from outside the package.
    """

    def __init__(
        self,
        classes: Iterable[type[Fact]],
        *,
        homes: Mapping[type[Fact], str] | None = None,
        own: Iterable[type[Fact]] = (),
    ) -> None:
        self._current: dict[str, type[Fact]] = {}
        self._kinds: dict[str, type[Fact]] = {}
        self._homes: dict[str, str] = {}
        self._alike: dict[str, dict[bytes, Fact]] = {}
        """Facts that were read a moment ago, by what is stored of them."""
        self._trusted = frozenset(classes := list(classes))
        self._writers: Final = {
            cls: (cls.stored_as, cls.__pydantic_serializer__.to_json) for cls in self._trusted
        }
        """Topics of trusted classes, and what writes their facts."""
        self._decoders: dict[str, Decode] = {}
        """What builds facts without validating them, by topic; made when first asked for."""
        named = dict(homes or {})
        for cls in classes:
            self._take(cls, named.get(cls))
        for cls in own:
            self._take(_checked_class(cls), cls.kind if cls.is_opening else None)
        self._all_homes = named

    def __iter__(self) -> Iterator[type[Fact]]:
        return iter(self._kinds.values())

    def with_own(self, own: Iterable[type[Fact]]) -> "FactCatalogue":
        """Return a catalogue that knows classes from outside too; itself when there are none.

        Raises:
            InputError: for what is no class of facts, and for a kind that is taken.
        """
        more = list(dict.fromkeys(own))
        if not more:
            return self
        return FactCatalogue(self._trusted, homes=self._all_homes, own=more)

    def knows(self, topic: str) -> bool:
        """Return whether facts of a kind and version can be read."""
        if topic in self._current:
            return True
        kind, _, version = topic.partition(":")
        cls = self._kinds.get(kind)
        return cls is not None and version.isdecimal() and 1 <= int(version) <= cls.version

    def home(self, topic: str) -> str | None:
        """Return which kind of thing a stream with such a fact is about; None when any may."""
        home = self._homes.get(topic)
        return self._homes.get(topic.partition(":")[0]) if home is None else home

    def homes_of(self, topics: Iterable[str]) -> dict[str, str | None]:
        """Return by topic, for those that can be read, what `home` says of them."""
        return {topic: self.home(topic) for topic in topics if self.knows(topic)}

    def topics_besides(self, wanted: Collection[type[Fact]]) -> list[str]:
        """Name what is stored of all other facts than these, in every version known."""
        return [
            f"{cls.kind}:{version}"
            for cls in self._kinds.values()
            if cls not in wanted
            for version in range(1, cls.version + 1)
        ]

    def encode(self, fact: Fact) -> tuple[str, EncodedFact]:
        """Return what is stored of a fact, and prove that it can be read back.

        A fact of the package was checked when it was made (`Value` lets none be made or copied
        unchecked), and digits and ASCII come back as they were written; so does text in other
        letters that is printable and in normal form, which is what reading makes of it. Only
        what could come back otherwise is read at once: all else, and facts of other people.

        Raises:
            InputError: for a class that was not handed in, and what reads back otherwise.
        """
        cls = type(fact)
        written = self._writers.get(cls)
        if written is not None:
            topic, to_json = written
            payload = to_json(fact, exclude_none=True)
            if payload.isascii() or _is_settled(payload):
                return topic, EncodedFact(payload)
        elif not isinstance(fact, Fact):
            raise InputError(f"{shown(fact)} is no fact; make one, such as DealWon()")
        elif self._current.get(cls.stored_as) is not cls:
            raise InputError(self._unknown_class(cls))
        else:
            payload = _to_json(fact)
        topic = cls.stored_as
        self._ensure_reads_back(fact, topic, payload)
        return topic, EncodedFact(payload)

    def decode(self, topic: str, payload: bytes, *, where: str) -> Fact:
        """Read a stored fact, upcasting an old shape.

        Raises:
            HistoryError: for an unknown kind, a newer version, an unknown field, a field given
                twice or a wrong type; the message says `where`.
        """
        try:
            return self.read(topic, payload)
        except UNREADABLE as error:
            text = f"{shortened(topic)} at {where} cannot be read: {why(error)}"
            raise HistoryError(text) from error

    def read(self, topic: str, payload: bytes) -> Fact:
        """Read a stored fact as `decode` does; what is wrong is raised as it comes.

        Raises:
            Exception: one of `UNREADABLE`.
        """
        cls = self._current.get(topic)
        if cls is None:
            return self._read_old(topic, payload)
        if cls.is_cached:
            return self._read_once(cls, payload)
        return self._read(cls, payload)

    def read_as_written(self, topic: str, payload: bytes) -> Fact:
        """Read a fact of bytes that are as they were written, as `read` does.

        Raises:
            Exception: one of `UNREADABLE`.
        """
        decode = self._decoders.get(topic) or self._decoder(topic)
        try:
            return decode(payload)
        except NotWrittenHereError:
            return self.read(topic, payload)

    def _decoder(self, topic: str) -> Decode:
        cls = self._current.get(topic)
        decode = decoder_of(cls) if cls in self._trusted and not cls.is_cached else None
        if decode is None:
            decode = partial(self.read, topic)
        if cls is not None:
            self._decoders[topic] = decode
        return decode

    def _read_once(self, cls: type[Fact], payload: bytes) -> Fact:
        """Read a fact that is read time and again, once."""
        known = self._alike.get(cls.stored_as, NONE_ALIKE).get(payload)
        if known is None:
            known = self._read(cls, payload)
            self._keep(cls.stored_as, payload, known, CACHED_MAX)
        return known

    def _read(self, cls: type[Fact], payload: bytes) -> Fact:
        fact: Fact = cls.__pydantic_validator__.validate_json(payload)
        colons = payload.count(b":")
        if colons != len(fact.__pydantic_fields_set__):
            _ensure_no_repeats(payload, colons, fact)
        return fact

    def read_all(self, rows: Sequence[Sequence[Any]]) -> list[Fact]:
        """Read the facts of rows that begin with topic and payload, and fit their checksums.

        As `read` reads each, but facts of the package are not validated again. What is short is
        told over and over (a call was made, a stage was entered), and values never change, so
        facts that were read a moment ago stand for those that are told alike.

        Raises:
            Exception: one of `UNREADABLE`.
        """
        known, read, facts = self._alike, self.read_as_written, []
        for row in rows:
            topic, payload = row[0], row[1]
            if len(payload) > ALIKE_LENGTH_MAX:
                facts.append(read(topic, payload))
                continue
            fact = known.get(topic, NONE_ALIKE).get(payload)
            if fact is None:
                fact = read(topic, payload)
                if type(fact) in self._trusted:
                    self._keep(topic, payload, fact, ALIKE_MAX)
            facts.append(fact)
        return facts

    def _keep(self, topic: str, payload: bytes, fact: Fact, most: int) -> None:
        alike = self._alike.setdefault(topic, {})
        if len(alike) >= most:
            alike.clear()
        alike[payload] = fact

    def class_of(self, topic: str) -> type[Fact] | None:
        """Return the class that a fact stored under a kind and version belongs to, if any."""
        return self._kinds.get(topic.partition(":")[0])

    def _take(self, cls: type[Fact], home: str | None) -> None:
        known = self._kinds.setdefault(cls.kind, cls)
        if known is not cls:
            raise InputError(
                f"{cls.kind!r} is the kind of {known.__name__} and of {cls.__name__}; give"
                " one of them another, such as one that begins with your own name"
            )
        self._current[cls.stored_as] = cls
        if home is not None:
            self._homes[cls.kind] = self._homes[cls.stored_as] = home

    def _ensure_reads_back(self, fact: Fact, topic: str, payload: bytes) -> None:
        try:
            again = self.decode(topic, payload, where="once written")
        except HistoryError as error:
            raise InputError(f"{type(fact).__name__} would be lost: {error}") from error
        if again != fact:
            raise InputError(
                f"{type(fact).__name__} would be read back as something else than it is; each"
                " of its fields has to come back from JSON as it was"
            )

    def _unknown_class(self, cls: type[Fact]) -> str:
        known = self._current.get(cls.stored_as)
        if known is not None and known.__name__ != cls.__name__:
            return (
                f"{cls.__name__} would be stored as {cls.kind!r}, which is the kind of"
                f" {known.__name__}; give it a kind of its own and hand it in:"
                f" SalesFlow(url, facts=[{cls.__name__}])"
            )
        return (
            f"no fact of kind {getattr(cls, 'kind', cls.__name__)!r} was handed in, so it"
            f" could never be read back; open with SalesFlow(url, facts=[{cls.__name__}])"
        )

    def _read_old(self, topic: str, payload: bytes) -> Fact:
        kind, _, number = topic.partition(":")
        cls = self._kinds.get(kind)
        if cls is None:
            raise ValueError(
                f"no fact of kind {quoted(kind)} is known to this version of salesflow; if it"
                " is one of your own, hand its class in: SalesFlow(url, facts=[…]), or the"
                " entry point salesflow.facts"
            )
        version = int(number)
        if version > cls.version:
            raise ValueError(f"stored by a newer salesflow; this one reads up to {cls.version}")
        data = json.loads(payload, object_pairs_hook=_dict_without_repeats)
        for old in range(version, cls.version):
            data = cls.upcasts[old](data)
        read: Fact = cls.__pydantic_validator__.validate_json(json.dumps(data))
        return read


def _checked_class(cls: object) -> type[Fact]:
    """Refuse what is no class of facts, or says too little of itself."""
    if not (isinstance(cls, type) and issubclass(cls, Fact)):
        raise InputError(f"facts: {shown(cls)} is no class of facts")
    kind, version = getattr(cls, "kind", None), cls.version
    if not isinstance(kind, str) or len(kind) > KIND_LENGTH_MAX or not KIND(kind):
        raise InputError(
            f"{cls.__name__}: give it a kind, such as kind = 'acme.demo_given' (small"
            f" letters, digits and _, parted by dots), not {shown(kind)}"
        )
    if not isinstance(getattr(cls, "name_zh", None), str):
        raise InputError(f"{cls.__name__}: give it a name in Chinese, name_zh = '…'")
    if type(version) is not int or not 1 <= version < 2**31:
        raise InputError(f"{cls.__name__}: its version counts from 1, not {shown(version)}")
    return cls


def _is_settled(payload: bytes) -> bool:
    """Return whether reading changes no text in these bytes: parts of normal form are such."""
    text = payload.decode()
    return text.isprintable() and is_normalized("NFC", text)


def _to_json(fact: Fact) -> bytes:
    try:
        return fact.to_json()
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{type(fact).__name__} cannot be written: {error}") from error


# All facts of the package.

AGGREGATES: Final = (
    *(Settings, RateTable, SalesProcess, Team, Training, Rep, Customer, Deal),
    *(Figures, Goal),
)

CATALOGUE: Final = FactCatalogue(
    (FactRetracted, *(fact for aggregate in AGGREGATES for fact in aggregate.facts)),
    homes={fact: aggregate.noun for aggregate in AGGREGATES for fact in aggregate.facts},
)
"""Every fact of the package, by its stored kind and version."""


class _OtherState(State):
    """Nothing: what the facts of other people mean is not known here."""

    def evolve(self, _: Event) -> str | None:
        """Leave it to whoever knows."""
        return None


class _Other(Aggregate, _OtherState):
    """Something of which only facts of other people are told; see `aggregate_of`."""

    noun: ClassVar[str] = "thing"


def aggregate_of(stream: Iterable[Event]) -> type[Aggregate]:
    """Return what a stream is about, by the first of its facts that some aggregate records.

    A stream that only facts of other people tell of can be mended all the same.
    """
    facts = [_class_of(event.fact) for event in stream]
    ours = (kind for fact in facts for kind in AGGREGATES if fact in kind.facts)
    return next(ours, None) or type(
        "_Other", (_Other,), {"facts": (*filter(None, dict.fromkeys(facts)),)}
    )


def _class_of(fact: Fact) -> type[Fact] | None:
    return CATALOGUE.class_of(fact.stored) if isinstance(fact, UnreadableFact) else type(fact)
