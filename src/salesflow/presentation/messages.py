"""What is said to people, in their language: English in the code, the others in catalogues.

The catalogues are gettext's (`locale/zh/LC_MESSAGES/salesflow.po`), which Babel compiles and
any tool of translators opens. A message that a catalogue lacks is said in English.
"""

import gettext
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from salesflow.domain.event import Fact

__all__ = [
    "LOCALES",
    "WITH_ARGUMENTS",
    "Language",
    "Message",
    "fact_name",
    "in_language",
    "irregularity",
    "irregularity_name",
    "key_text",
    "kind_name",
    "name_facts",
    "recognized",
    "say",
    "say_count",
    "translated",
    "word_known",
    "words_in",
]


Language = Literal["en", "zh"]
LOCALES: Final = Path(__file__).parent / "locale"
DOMAIN: Final = "salesflow"
WITH_ARGUMENTS: Final = {"messages": "with arguments"}
"""The context of pydantic in which messages are written with their arguments."""


def say(message: str, language: Language = "en", /, **values: object) -> str:
    """Return a message in a language, its `{name}`s filled in."""
    text = translated(message, language)
    return text.format(**values) if values else text


def say_count(
    one: str, many: str, count: int, language: Language = "en", /, **values: object
) -> str:
    """Return a message about one thing or about several; `{count}` is filled in as well."""
    chosen = one if count == 1 else many
    text = chosen if language == "en" else _catalogue(language).ngettext(one, many, count)
    return text.format(count=count, **values)


def translated(message: str, language: Language, context: str | None = None) -> str:
    """Return a message in a language as the catalogue has it; `context` parts homonyms."""
    if language == "en" or not message:
        return message
    catalogue = _catalogue(language)
    if context is None:
        return catalogue.gettext(message)
    return catalogue.pgettext(context, message)


def in_language(word: str, language: Language) -> str:
    """Return a word in a language; keys of several words are written with blanks."""
    return translated(word.replace("_", " "), language)


READ_AS: Final[Mapping[str, str]] = {
    "came_from": "lead source:",
    "contacted_by": "activity by",
    "contacted_in": "activity in",
    "contacts": "activities",
    "cycle_days_median": "sales cycle, median (days)",
    "decreased": "amount reduced",
    "first_response_days": "first response, median (days)",
    "in": "inbound",
    "increased": "amount raised or first set",
    "middle": "mid period",
    "migrated": "process version changed",
    "opened": "created",
    "out": "outbound",
    "overdue_in": "past limit in",
    "pulled_in": "close date pulled in",
    "pushed": "close date pushed out",
    "recategorised": "forecast category changed",
    "redenominated": "currency changed",
    "reorganised": "team changed",
    "restated": "late changes",
    "reweighted": "probability changed",
    "start": "period start",
    "transferred": "owner changed",
    "velocity_per_day": "sales velocity per day",
}
"""What people read in English for keys that do not say enough by themselves."""


def key_text(key: str, language: Language) -> str:
    """Return what people read for a key that is stored or stands in JSON."""
    read_as = READ_AS.get(key) if language == "en" else None
    return read_as or in_language(key, language)


def word_known(word: str, language: Language) -> str:
    """Return a word of somebody's own choice, put into a language where a catalogue has it."""
    text = in_language(word, language)
    return word if text == word.replace("_", " ") else text


def words_in(words: Iterable[str], language: Language) -> list[str]:
    """Return several words in a language, in their order."""
    return [in_language(word, language) for word in words]


class Message(str):
    """An English sentence that can be said in other languages: its id and its arguments.

        problem = Message("has {count} fields where the header has {width}", count=3, width=4)
        problem == "has 3 fields where the header has 4"
        problem.in_language("zh")  # 有 3 个字段，而表头有 4 个

    The id is the English text with the names of its arguments, as catalogues have it. Whatever
    keeps, compares or counts texts takes a message for its English sentence. So does the JSON
    of a pydantic model; in the context `WITH_ARGUMENTS` it holds id and arguments. Where only a
    sentence is read back, a catalogue has it when it takes no arguments.
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

    def in_language(self, language: Language) -> str:
        """Return the sentence in a language, and its arguments where they are messages."""
        if language == "en":
            return str(self)
        arguments = {
            name: value.in_language(language) if isinstance(value, Message) else value
            for name, value in self.arguments.items()
        }
        return say(self.id, language, **arguments)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Keep a message in a model as it is; a text becomes one without arguments."""
        del source
        return core_schema.no_info_wrap_validator_function(
            cls._validated,
            handler(str),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialized, info_arg=True
            ),
        )

    @classmethod
    def _validated(cls, value: object, text: ValidatorFunctionWrapHandler) -> "Message":
        restored = _restored(value)
        return restored if isinstance(restored, Message) else cls(text(value))


def _serialized(message: Message, info: SerializationInfo) -> object:
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


def recognized(sentence: str, messages: Iterable[str]) -> Message:
    """Return the message a finished sentence came from: the first of these that can make it.

    It is for sentences that the domain finishes itself; one that is none of these is returned
    as a message without arguments.
    """
    for message in messages:
        arguments = _arguments(sentence, message)
        if arguments is not None:
            return Message(message, **arguments)
    return Message(sentence)


def _arguments(sentence: str, message: str) -> dict[str, str] | None:
    """Return the arguments with which a message makes a sentence; None when it cannot."""
    arguments: dict[str, str] = {}
    rest, before = sentence, None
    for text, name, _, _ in Formatter().parse(message):
        place = rest.find(text)
        if place < 0 or (place and before is None):
            return None
        if before is not None:
            arguments[before] = rest[:place]
        rest, before = rest[place + len(text) :], name
    if before is not None:
        arguments[before], rest = rest, ""
    return None if rest else arguments


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALES, [language])


# What we call things: words, facts, and why a fact is irregular, in English and Chinese.
#
# English words stand in the code as they are, the Chinese ones in the catalogue, with the terms
# of the glossary. Facts bring their names along, and so do the stages of a process.

IRREGULAR: Final = (
    "there is no quote {quote}",
    "it names another rep, {rep}",
    "joined while in team {team}",
)
"""Why a fact is irregular, where that names something; it stands last."""

WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")

FACTS_CALLED: Final[Mapping[str, str]] = {
    "deal.contact_logged": "Activity logged",
    "deal.opened": "Deal created",
}
"""What people read in English for facts whose classes are called by other words."""

OTHERS: "dict[str, type[Fact]]" = {}
"""Classes of facts that were handed in, by their kind."""


def fact_name(cls: "type[Fact]", language: Language = "en") -> str:
    """Return the name of a class of facts: "Deal created", 商机创建."""
    if language == "zh":
        return cls.name_zh
    return FACTS_CALLED.get(cls.kind) or WORD.sub(" ", cls.__name__).capitalize()


def kind_name(kind: str, language: Language = "en") -> str:
    """Return the name of a stored kind of facts."""
    cls = _classes().get(kind) or OTHERS.get(kind)
    return kind if cls is None else fact_name(cls, language)


def name_facts(classes: "Iterable[type[Fact]]") -> None:
    """Register facts of other people, so that they are named wherever their kind is said."""
    for cls in classes:
        OTHERS.setdefault(cls.kind, cls)


def irregularity(reason: str) -> Message:
    """Return why a fact is irregular, as a message."""
    return recognized(reason, IRREGULAR)


def irregularity_name(reason: str, language: Language = "en") -> str:
    """Return why a fact is irregular, in a language."""
    return irregularity(reason).in_language(language)


@cache
def _classes() -> "dict[str, type[Fact]]":
    """Return the classes of facts by kind; they are loaded when a fact is first named."""
    from salesflow.domain.catalogue import CATALOGUE

    return {cls.kind: cls for cls in CATALOGUE}
