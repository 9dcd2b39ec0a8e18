"""Facts and events: what is stored, and how it is read back after years.

A *fact* says what happened (`StageMoved`); an *event* is a fact with its envelope: when it
happened, when it became known, who said so, where it stands in the log. What is stored of a
class is its `kind` and `version`, never its Python path, so classes may be renamed freely.
A stored shape that has changed is upcast on the raw dict, next to the class.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from salesflow.domain.moments import Instant, Time, from_instant, to_instant
from salesflow.domain.values import SafeText, Value
from salesflow.domain.wording import quoted
from salesflow.errors import HistoryError

__all__ = [
    "Event",
    "Fact",
    "FactCatalogue",
    "FactRetracted",
    "PlannedFact",
    "Precision",
    "Upcast",
]

Precision = Literal["microsecond", "day"]
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class Fact(Value):
    """Something that happened, named with the past participle of a business act.

    `kind` is the stored name and outlives renames; `name_zh` is what the glossary calls it.
    `upcasts` maps an old version to the function that lifts its raw dict to the next one.
    """

    kind: ClassVar[str]
    name_zh: ClassVar[str]
    version: ClassVar[int] = 1
    opens: ClassVar[bool] = False
    """Whether this fact opens its stream (DealOpened, CustomerRegistered …)."""
    upcasts: ClassVar[Mapping[int, Upcast]] = {}
    stands_because: ClassVar[str | None] = None
    """Why a fact of this kind cannot be retracted by itself; None when it can."""
    plain: ClassVar[bool] = True
    """Whether it holds from when it happened and takes nothing back: nearly all facts."""

    stored_as: ClassVar[str]
    """Kind and version, as in `deal.stage_moved:1`."""

    inferred: SafeText | None = None
    """How an importer deduced this fact from an end state; None for what was told."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Name what is stored of the class, once for all its facts."""
        cls.stored_as = f"{getattr(cls, 'kind', cls.__name__)}:{cls.version}"

    def to_json(self) -> bytes:
        """Give the bytes that are stored: UTF-8 JSON, fields without a value left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    def effect(self, occurred: Instant) -> Instant:
        """Say from when the fact holds; the same instant unless it was planned ahead."""
        return occurred


class PlannedFact(Fact):
    """A fact that may take effect later than it was decided."""

    plain: ClassVar[bool] = False
    effective_from: Time | None = None

    def effect(self, occurred: Instant) -> Instant:
        """Give the later of the decision and the time it takes effect."""
        if self.effective_from is None:
            return occurred
        return max(occurred, to_instant(self.effective_from))


class FactRetracted(Fact):
    """An earlier fact of this stream was wrong; from now on it counts for nothing.

    Lives on the known axis only. The fact named may itself be a retraction.
    """

    kind: ClassVar[str] = "fact.retracted"
    name_zh: ClassVar[str] = "更正 / 撤销"
    plain: ClassVar[bool] = False
    event_id: UUID
    because: SafeText


class Event(NamedTuple):
    """A fact with its envelope. `occurred` and `recorded` are microseconds since 1970 UTC."""

    fact: Fact
    stream_id: UUID
    version: int
    position: int
    occurred: Instant
    recorded: Instant
    event_id: UUID
    precision: Precision = "microsecond"
    actor: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    source: str | None = None
    source_id: str | None = None

    @property
    def occurred_at(self) -> datetime:
        """When it happened in the world."""
        return from_instant(self.occurred)

    @property
    def recorded_at(self) -> datetime:
        """When the log learned of it."""
        return from_instant(self.recorded)

    @property
    def effect(self) -> Instant:
        """From when it holds: `occurred`, or later when it was planned ahead."""
        fact = self.fact
        return self.occurred if fact.plain else fact.effect(self.occurred)


class FactCatalogue:
    """The closed list of fact classes by stored kind; nothing else is ever read back."""

    def __init__(self, classes: Iterable[type[Fact]]) -> None:
        self._current: dict[str, type[Fact]] = {}
        self._kinds: dict[str, type[Fact]] = {}
        for cls in classes:
            known = self._kinds.setdefault(cls.kind, cls)
            if known is not cls:
                raise ValueError(
                    f"{cls.kind} is the kind of {known.__name__} and {cls.__name__}"
                )
            self._current[cls.stored_as] = cls

    def __iter__(self) -> Iterator[type[Fact]]:
        return iter(self._kinds.values())

    def topics_besides(self, wanted: Collection[type[Fact]]) -> list[str]:
        """Name what is stored of all other facts than these, in every version known."""
        return [
            f"{cls.kind}:{version}"
            for cls in self._kinds.values()
            if cls not in wanted
            for version in range(1, cls.version + 1)
        ]

    def decode(self, topic: str, payload: bytes, *, where: str) -> Fact:
        """Read a stored fact, upcasting an old shape.

        Raises:
            HistoryError: for an unknown kind, a newer version, an unknown field or a wrong
                type; the message says `where`.
        """
        cls = self._current.get(topic)
        try:
            if cls is not None:
                fact: Fact = cls.__pydantic_validator__.validate_json(payload)
                return fact
            return self._decode_old(topic, payload)
        except (ValidationError, ValueError, KeyError) as error:
            raise HistoryError(f"{topic} at {where} cannot be read: {error}") from error

    def _decode_old(self, topic: str, payload: bytes) -> Fact:
        kind, _, number = topic.partition(":")
        cls = self._kinds.get(kind)
        if cls is None:
            raise ValueError(
                f"no fact of kind {quoted(kind)} is known to this version of salesflow"
            )
        version = int(number)
        if version > cls.version:
            raise ValueError(f"stored by a newer salesflow; this one reads up to {cls.version}")
        data = json.loads(payload)
        for old in range(version, cls.version):
            data = cls.upcasts[old](data)
        return cls.model_validate_json(json.dumps(data))
