"""What is typed for a parameter of a command, or given in JSON, as the command takes it.

The annotation of the parameter says how: a text, an amount such as "98000 CNY", a day, a time,
a word of a closed list, somebody or something by its name, several of these, or a value of
several fields as JSON. A text may be `@FILE`, to be read from a file, where it is JSON. A
module of its own, so that a new kind of value is read in one place.
"""

import inspect
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Final,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError

from salesflow.cli.context import day_text, time_text
from salesflow.cli.recording.json_text import json_in, json_reason, json_shown
from salesflow.cli.things.ids import (
    find_customer,
    find_deal,
    find_process,
    find_stage,
    find_version,
)
from salesflow.cli.things.known_things import id_function
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import DecisionMaker
from salesflow.domain.digits import without_thousands
from salesflow.domain.process import ProcessVersion
from salesflow.domain.rep_development import CareerStep
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.time import by_clocks, from_instant, read_day, start_of_day
from salesflow.domain.values import Money
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError

__all__ = ["COMMA", "CONTACTS", "Parameter", "Percentage", "flag_of", "parameters_of"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow, Session

NOT_GIVEN: Final = frozenset({"id"})
"""Parameters that are not for people: a session gives a new thing its id."""
STAGES: Final = frozenset({"stage"})
"""Parameters that name a stage of a process, which may be said by name."""
NO_SHARES: Final = frozenset({"amount", "score", "score_most", "scale_least", "scale_most"})
"""Parameters whose number is no part of something, so that a percentage says nothing."""
CONTACTS: Final = frozenset({"person_id", "contact_people"})
"""Parameters that name people of a customer, who may be said by name."""
SENTENCES: Final = frozenset({"open_tasks", "promises"})
"""Parameters of several texts that are sentences, in which a comma may stand."""
FILE_MAX: Final = 16 * 1024 * 1024
PAIR: Final = "="


class Parameter(NamedTuple):
    """One parameter of a command, and how it is typed."""

    name: str
    kind: object
    """What it takes, None aside."""
    required: bool
    placed: bool
    """Whether it is typed without a name."""
    item: object = None
    """What each of them is, where it takes several."""

    @property
    def is_flag(self) -> bool:
        """Whether it is said by its name alone."""
        return self.kind is bool

    @property
    def typed(self) -> str:
        """How help and messages call it: an option, or an argument in capitals."""
        return self.name.upper() if self.placed else flag_of(self.name)

    @property
    def choices(self) -> object | None:
        """The closed list it takes a word of."""
        kind = self.kind if self.item is None else self.item
        return kind if get_origin(kind) is Literal else None

    @property
    def is_list(self) -> bool:
        """Whether it may be given several times."""
        return self.item is not None

    @property
    def is_parted(self) -> bool:
        """Whether several may be typed as one, with commas between them."""
        if self.item is str:
            return self.name not in SENTENCES
        return self.choices is not None or self.item in SHORT or self.item is UUID

    @property
    def hint(self) -> str:
        """What is typed for it, as help shows it."""
        kind = self.kind if self.item is None else self.item
        hints: dict[object, str] = {
            Money: "'AMOUNT CUR'",
            AMOUNT_OR_NUMBER: "NUMBER or 'AMOUNT CUR'",
            datetime: "TIME",
            TIME_ALONE: "TIME",
            date: "DAY",
            int: "NUMBER",
            Decimal: "NUMBER",
            Mapping: "KEY=VALUE",
        }
        if kind in SHORT:
            return "{}[:{}]".format(*SHORT[kind]).upper()
        if isinstance(kind, type) and kind not in hints and _is_record(kind):
            return "KEY[:VERSION]" if kind is ProcessVersion and not self._publishes else "JSON"
        return hints.get(kind, "TEXT")

    @property
    def _publishes(self) -> bool:
        return self.name == "version"

    def read(self, given: object, flow: "SalesFlow") -> object:
        """Return what is meant, as the command takes it; things may be a function of a session.

        Raises:
            InputError: when it can never be that.
        """
        try:
            if self.item is not None:
                many = given if isinstance(given, list | tuple) else [given]
                if self.item is Mapping:
                    return _pairs(many, self.name)
                if (
                    self.is_parted and self.item is not str
                ):  # texts are parted as they are named
                    many = [part for each in many for part in _parted(each, self.item)]
                return tuple(self._one(self.item, each, flow) for each in many)
            return self._one(self.kind, given, flow)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = f"{where}: " if where else ""
            raise InputError(f"{self.typed}: {said}{json_reason(first)}") from None
        except InputError as error:
            text = str(error)
            begun = text.startswith(self.typed)
            raise InputError(text if begun else f"{self.typed}: {text}") from error

    def _one(self, kind: object, given: object, flow: "SalesFlow") -> object:
        if isinstance(kind, type) and issubclass(kind, Aggregate):
            return _thing(kind, str(given), flow)
        if kind in FINDERS:
            return FINDERS[kind](self.name, given, flow)
        if self.name in STAGES and kind is str and isinstance(given, str):
            return find_stage(flow, given)
        if self.name in NO_SHARES and str(given).strip().endswith("%"):
            raise InputError(f"{quoted(given)} is a share of what? write the number itself")
        return _value(kind, given)


def flag_of(name: str) -> str:
    """Return the option of a parameter."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def parameters_of(function: Callable[..., object], owner: type) -> list[Parameter]:
    """Return what a function takes that people may say, in its order.

    `owner` stands for `Self`: another thing of the same kind.
    """
    found = []
    for each in inspect.signature(function, eval_str=True).parameters.values():
        if each.name in NOT_GIVEN or each.name == "self":
            continue
        kinds = _kinds(each.annotation, owner)
        kind, item = _meant(kinds)
        required = each.default is inspect.Parameter.empty
        by_place = each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        placed = required and by_place and item is None and not _is_json(kind)
        found.append(Parameter(each.name, kind, required, placed, item))
    return found


def _kinds(annotation: object, owner: type) -> list[object]:
    """Return the types an annotation allows, None left out."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part, owner)]
    if origin is Annotated:
        return _kinds(get_args(annotation)[0], owner)
    if annotation is Self or isinstance(annotation, TypeVar):
        return [owner]
    return [] if annotation in (None, types.NoneType) else [annotation]


def _meant(kinds: list[object]) -> tuple[object, object]:
    """Return what is typed for one of some types, and of what where there may be several."""
    several = next((kind for kind in kinds if get_origin(kind) in COLLECTIONS), None)
    if several is not None:
        if get_origin(several) in (dict, Mapping):
            return several, Mapping
        inner = _kinds(get_args(several)[0], object)
        return several, _meant(inner)[0]
    if Money in kinds and Decimal in kinds:
        return AMOUNT_OR_NUMBER, None
    if datetime in kinds and date not in kinds:
        return TIME_ALONE, None
    for kind in (Deal, bool, Money, Decimal, int, datetime, date, UUID):
        if kind in kinds:
            return kind, None
    texts = [kind for kind in kinds if kind is str]
    return (texts or kinds or [str])[0], None


NOT_JSON: Final = frozenset({Money, ProcessVersion})
TIME_ALONE: Final = "time"
"""Of a parameter that takes no day: what is typed as one begins with that day."""
AMOUNT_OR_NUMBER: Final = "amount or number"
SHORT: Final = {CareerStep: ("level", "due"), DecisionMaker: ("name", "role")}
"""Values that people write with a colon: senior:2026-12-31."""
COLLECTIONS: Final = (tuple, list, Sequence, dict, Mapping, frozenset, set)


def _is_json(kind: object) -> bool:
    """Return whether it is typed as JSON."""
    return isinstance(kind, type) and kind not in NOT_JSON and _is_record(kind)


def _is_record(kind: type) -> bool:
    return issubclass(kind, BaseModel) or hasattr(kind, "_fields")


def _pairs(many: Sequence[object], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in many:
        if isinstance(each, Mapping):
            found |= {str(key): str(value) for key, value in each.items()}
            continue
        key, sign, value = str(each).partition(PAIR)
        if not sign:
            raise InputError(f"{flag_of(name)}: {quoted(key)} is no pair; write KEY=VALUE")
        found[key] = value
    return found


# Each kind of value by how it is typed.


def _money(given: object) -> Money:
    if isinstance(given, str):
        amount, _, currency = given.strip().rpartition(" ")
        if amount:
            return Money(without_thousands(amount.strip()), currency.upper())
        raise InputError(f"{quoted(given)} is no amount; write it like '98000 CNY'")
    if isinstance(given, Mapping):
        return Money.model_validate(given)
    raise InputError(f"{json_shown(given)} is no amount; write it like '98000 CNY'")


def _time(_: str, given: object, flow: "SalesFlow") -> datetime | date:
    """Read a day, or a time: without a zone of its own it is one of the business time zone."""
    text = str(given).strip()
    with suppress(ValueError):
        naive = datetime.fromisoformat(text)
        if naive.tzinfo is None and not DAY_ALONE.fullmatch(text):
            return by_clocks(naive, text, flow.settings().timezone)
    text = time_text(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)


DAY_ALONE: Final = re.compile(r"[0-9-]+(?:W[0-9-]+)?")


def _day(given: object) -> date:
    return read_day(day_text(str(given)))


CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")


def _whole(given: object) -> int:
    text = without_thousands(str(given).strip())
    if isinstance(given, bool) or not WHOLE_NUMBER.fullmatch(text):
        raise InputError(f"{json_shown(given)} is not a whole number, such as 12")
    return int(text)


class Percentage(str):
    """A share that was typed as a percentage: 0.45, and 45% as it was typed."""

    __slots__ = ("typed",)
    typed: str

    def __new__(cls, share: str, typed: str) -> Self:
        """Take the share, and what was typed for it."""
        made = super().__new__(cls, share)
        made.typed = typed
        return made


def _number(given: object) -> str:
    """Read a number, of which a percentage is a hundredth; JSON may have it as text or not."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise InputError(f"{json_shown(given)} is not a number")
    text = str(given).strip()
    number, _, currency = text.rpartition(" ")
    if number and CURRENCY.fullmatch(currency):
        raise InputError(
            f"{quoted(given)} has a currency where only a number is taken; write {number}"
        )
    text = without_thousands(text)
    if not text.endswith("%"):
        return text
    try:
        return Percentage(f"{Decimal(text[:-1].strip()) / 100:f}", text)
    except ArithmeticError:
        raise InputError(f"{quoted(text)} is not a number") from None


JOINED: Final = re.compile(r"([-+]?[0-9][0-9.,]*)([A-Za-z]{3})")


def _amount_or_number(given: object) -> object:
    joined = JOINED.fullmatch(given.strip()) if isinstance(given, str) else None
    if joined is not None:
        given = f"{joined[1]} {joined[2]}"
    is_amount = " " in given.strip() if isinstance(given, str) else isinstance(given, Mapping)
    return _money(given) if is_amount else _number(given)


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    raise InputError(f"{json_shown(given)} is neither true nor false")


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    raise InputError(f"{json_shown(given)} is not a text")


READERS: Final[Mapping[object, Callable[[object], object]]] = {
    AMOUNT_OR_NUMBER: _amount_or_number,
    Money: _money,
    date: _day,
    int: _whole,
    Decimal: _number,
    bool: _flag,
    str: _text,
}


def _value(kind: object, given: object) -> object:
    """Read what is meant by itself, whatever the log holds."""
    if kind in READERS:
        return READERS[kind](given)
    if get_origin(kind) is Literal and given not in get_args(kind):
        raise InputError(f"{json_shown(given)} is not one of {', '.join(get_args(kind))}")
    if isinstance(kind, type) and _is_record(kind):
        if (
            isinstance(given, str)
            and kind in SHORT
            and given.strip()[:1] not in ("{", "@", "[")
        ):
            given = _short(given, SHORT[kind])
        return TypeAdapter(kind).validate_python(_parts_of_percentages(_json(given)))
    return given


COMMA: Final = re.compile("[,，、]")


def _parted(given: object, kind: object) -> Sequence[object]:
    """Return several that were typed as one with commas between them.

    Names of people may have a comma: those are several where each part has its own role.
    """
    if not isinstance(given, str) or given.strip()[:1] in ("{", "@", "["):
        return [given]
    parts = [part.strip() for part in COMMA.split(given) if part.strip()]
    are_several = kind is not DecisionMaker or all(":" in part for part in parts)
    return parts if parts and are_several else [given]


def _short(given: str, names: tuple[str, str]) -> dict[str, str]:
    """Read a value of two fields as people write it: the first, and perhaps the second."""
    first, _, second = given.strip().partition(":")
    found = {names[0]: first.strip(), names[1]: second.strip()}
    return {name: value for name, value in found.items() if value or name == names[0]}


RATES: Final = frozenset({"rate", "factor"})
OF_QUOTA: Final = frozenset({"accelerators", "decelerators"})
"""Lists in which every number is a part of something."""


def _parts_of_percentages(found: object, *, of_quota: bool = False) -> object:
    """Return JSON in which rates that are written as percentages are parts: 5% is 0.05.

    Elsewhere a percentage says nothing, such as of an amount, and is refused by what takes it.
    """
    if isinstance(found, list):
        return [_parts_of_percentages(each, of_quota=of_quota) for each in found]
    if not isinstance(found, Mapping):
        return found
    return {
        key: _number(each)
        if isinstance(each, str) and each.strip().endswith("%") and (key in RATES or of_quota)
        else _parts_of_percentages(each, of_quota=key in OF_QUOTA)
        for key, each in found.items()
    }


def _json(given: object) -> object:
    """Read a value of several fields: JSON, or a file that holds it."""
    if not isinstance(given, str):
        return given
    text = read_file(Path(given[1:])) if given.startswith("@") else given
    try:
        return json_in(text)
    except InputError as error:
        raise InputError(
            f"{quoted(given)} {error}; write JSON in single quotes, or @FILE"
        ) from error


def _typed_in() -> bytes:
    """Return what comes by stdin, as it comes."""
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("nothing can be read from stdin, which is closed; name a file")
    plain = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read().encode() if plain is None else bytes(plain.read(FILE_MAX + 1))


def read_file(path: Path) -> str:
    """Return what stands in a file; - is stdin.

    Raises:
        InputError: when it is too large for what is typed, or no text in UTF-8.
        OSError: when it cannot be read.
    """
    if str(path) == "-":
        found = _typed_in()
    else:
        with path.open("rb") as file:
            found = file.read(FILE_MAX + 1)
    if len(found) > FILE_MAX:
        raise InputError(f"{path} holds more than {FILE_MAX // 2**20} MiB")
    try:
        return found.decode("utf-8-sig")
    except UnicodeError as error:
        raise InputError(f"{path} is no text in UTF-8") from error


# Somebody or something that is said by its name.


def _id(name: str, given: object, flow: "SalesFlow") -> UUID | str:
    text, noun = str(given), name.partition("_")[0].removesuffix("s")
    find = {"deal": find_deal, "customer": find_customer}.get(noun)
    if find is not None:
        return find(flow, text)
    try:
        return UUID(text)
    except ValueError:
        if name in CONTACTS:
            return text  # by whom it is said which deal or customer they are of
        raise InputError(f"{quoted(text)} is not an id") from None


def _thing(kind: type[Aggregate], text: str, flow: "SalesFlow") -> object:
    """Return an aggregate, or what loads it in the session of the command."""
    find = {"deal": find_deal, "customer": find_customer}.get(kind.noun)
    id = find(flow, text) if find is not None else id_function(kind)(text)
    assert isinstance(id, UUID)

    def load(session: "Session") -> Aggregate:
        try:
            return session.get(kind, id)
        except NotFoundError as error:
            raise NotFoundError(f"there is no {kind.noun} {quoted(text)}") from error

    return load


def _published(_: str, given: object, flow: "SalesFlow") -> object:
    """Find the version of a process by KEY or KEY:VERSION; the latest where none is said.

    What is to be published is a version as JSON.
    """
    if isinstance(given, str) and given.endswith(".json") and Path(given).is_file():
        given = f"@{given}"
    if not isinstance(given, str) or given[:1] in ("{", "@"):
        return _value(ProcessVersion, given)
    key, _, number = given.partition(":")
    try:
        process = find_process(flow, key)
    except NotFoundError:
        if key == STANDARD.key and number in ("", "1"):  # which is published when it is used
            return STANDARD
        raise
    return find_version(process, number)


def _instant(name: str, given: object, flow: "SalesFlow") -> datetime:
    """Read a time where no day is taken; a day is its beginning."""
    found = _time(name, given, flow)
    if isinstance(found, datetime):
        return found
    return from_instant(start_of_day(found, flow.settings().timezone))


FINDERS: Final[Mapping[object, "Callable[[str, object, SalesFlow], object]"]] = {
    UUID: _id,
    ProcessVersion: _published,
    TIME_ALONE: _instant,
    datetime: _time,
}
"""Kinds of values that are found in the log, or that mean something by its settings."""
