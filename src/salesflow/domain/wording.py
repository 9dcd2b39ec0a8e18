"""What is said of what is wrong: messages that know their arguments, and the words of them.

The domain finishes no sentence that somebody may read in another language: why a value can
never be right, why a fact is irregular and why a merge cannot be are messages. Of a field it is
said what it must be and what it is not; never what was in it, which may be about a person.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from salesflow.errors import REPEATED_MAX, InputError

if TYPE_CHECKING:  # texts alone need no models
    from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidatorFunctionWrapHandler
    from pydantic_core import CoreSchema, ErrorDetails

__all__ = [
    "AT_LEAST",
    "AT_MOST",
    "AT_MOST_ALL",
    "DAY",
    "MONEY",
    "TIME",
    "WITH_ARGUMENTS",
    "Message",
    "quoted",
    "reason_of",
    "refuse_so_much",
    "shortened",
    "unchangeable",
]


WITH_ARGUMENTS: Final = {"messages": "with arguments"}
"""The context of pydantic in which messages are written with their arguments."""


class Message(str):
    """An English sentence that can be said in other languages: its id and its arguments.

        problem = Message("has {count} fields where the header has {width}", count=3, width=4)
        problem == "has 3 fields where the header has 4"
        say(problem, "zh")  # 有 3 个字段，而表头有 4 个

    The id is the English text with the names of its arguments, as catalogues have it (see
    `salesflow.presentation.messages`). Whatever keeps, compares or counts texts takes a message
    for its English sentence. So does the JSON of a pydantic model; in the context
    `WITH_ARGUMENTS` it holds id and arguments. Where only a sentence is read back, a catalogue
    has it when it takes no arguments.
    """

    id: str
    arguments: Mapping[str, object]

    def __new__(cls, id: str, /, **arguments: object) -> Self:
        """Fill in the arguments, which may be messages themselves; a message stays itself."""
        if isinstance(id, cls) and not arguments:
            return id
        message = super().__new__(cls, id.format(**arguments) if arguments else id)
        message.id, message.arguments = str(id), arguments
        return message

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        """Keep a message in a model as it is; a text becomes one without arguments."""
        from pydantic_core import core_schema

        del source
        return core_schema.no_info_wrap_validator_function(
            cls._validated,
            handler(str),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialized, info_arg=True
            ),
        )

    @classmethod
    def _validated(cls, value: object, text: "ValidatorFunctionWrapHandler") -> "Message":
        restored = _restored(value)
        return restored if isinstance(restored, Message) else cls(text(value))


def _serialized(message: Message, info: "SerializationInfo") -> object:
    return _with_arguments(message) if info.context == WITH_ARGUMENTS else str(message)


def _with_arguments(value: object) -> object:
    """Return an argument as JSON has it; numbers stay numbers, which messages may format."""
    if isinstance(value, Message):
        arguments = {name: _with_arguments(each) for name, each in value.arguments.items()}
        return {"id": value.id, "arguments": arguments}
    return value if isinstance(value, int) else str(value)


def _restored(value: object) -> object:
    """Return an argument from JSON."""
    match value:
        case {"id": str(id), "arguments": dict(arguments)}:
            return Message(id, **{name: _restored(each) for name, each in arguments.items()})
        case _:
            return value


# How messages repeat what was given: at most 200 characters of it; and what needs words.


def shortened(given: object, most: int = REPEATED_MAX) -> str:
    """Return what was given as text, and only its beginning where it is too long to repeat."""
    text = str(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(given: object) -> str:
    """Quote what was given."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))


MONEY: Final = 'Money("98000", "CNY")'
DAY: Final = "must be a date, or its text such as 2026-03-31"
TIME: Final = "must be an aware datetime, or its text such as 2026-03-31T09:00:00Z"
AT_LEAST: Final = "must be at least {ge}"
AT_MOST: Final = "must be at most {le}"
PER_CENT: Final = 100
AT_MOST_ALL: Final = "must be at most 1, which is all of it; {percent}% is {share}"
REASONS: Final = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must look like {pattern}",
    "int_": "must be a whole number",
    "bool_": "must be true or false",
    "date_": DAY,
    "datetime_": TIME,
    "uuid_": "must be a UUID",
    "literal_error": "must be one of {expected}",
    "tuple_type": "must be a tuple or a list",
    "model_type": "must be a {class_name}",
    "model_attributes_type": "must be a {class_name}",
    "greater_than_equal": AT_LEAST,
    "greater_than": "must be more than {gt}",
    "less_than_equal": AT_MOST,
    "less_than": "must be less than {lt}",
}
"""What to say, by how pydantic names it; its own words where nothing fits."""
OF_A_TYPE: Final = ("_type", "_parsing", "_inexact", "_from_float", "_object_invalid")
CURRENCY: Final = "^[A-Z]{3}$"


def reason_of(error: "ErrorDetails") -> Message:
    """Return what is wrong with a field, as a sentence that goes on from its name."""
    kind, named = error["type"], error.get("ctx", {})
    if named.get("class_name") == "Money":
        return _not_this(error, Message("must be a Money, such as {example}", example=MONEY))
    if named.get("pattern") == CURRENCY:
        return Message("must be three capital letters, such as CNY")
    template = REASONS.get(kind) or REASONS.get(f"{kind.partition('_')[0]}_")
    if template is None or ("{" in template and not named):
        return _raised(error, named.get("error"))
    written = (
        {name: _written(value) for name, value in named.items()} if "{" in template else {}
    )
    reason = Message(template, **written)
    return _not_this(error, reason) if kind.endswith(OF_A_TYPE) else reason


def _raised(error: "ErrorDetails", cause: object) -> Message:
    """Return what a validator raised: the message it holds, or the words of somebody else."""
    raised = next(iter(cause.args), None) if isinstance(cause, ValueError) else None
    text = error["msg"].removeprefix("Value error, ")
    return raised if isinstance(raised, Message) else Message(text)


def _written(value: object) -> str:
    """Return a bound or an expected text as a message says it."""
    return f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)


def _not_this(error: "ErrorDetails", reason: Message) -> Message:
    """Name the type of what was given instead, where that is known."""
    given = error.get("input", "")
    if isinstance(given, str):
        return reason
    if given is None:
        return Message("{reason}, not None", reason=reason)
    return Message("{reason}, not of type {type}", reason=reason, type=type(given).__name__)


# What is said where somebody assigns to what never changes: a value, a fact, an answer.


def unchangeable(
    thing: object, name: str, done: str, fields: Collection[str], instead: str
) -> InputError:
    """Return the error of who assigns to what never changes, with what to do instead."""
    kind = type(thing).__name__
    refused = f"{kind}.{shortened(name)} cannot be {done}, since it never changes"
    if name not in fields:
        return InputError(f"{refused}; {kind} has no such field, but {', '.join(fields)}")
    return InputError(f"{refused}; {instead}")


def refuse_so_much(given: Decimal, most: Decimal) -> NoReturn:
    """Refuse more than there may be; of a part of one, with what a percentage is."""
    if most == 1 and 0 < given <= PER_CENT:
        share = f"{given / PER_CENT:f}"
        raise ValueError(Message(AT_MOST_ALL, percent=f"{given:f}", share=share))
    raise ValueError(Message(AT_MOST, le=f"{most:,}"))
