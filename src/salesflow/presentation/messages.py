"""What is said to people, in their language: English in the code, the others in catalogues.

The catalogues are gettext's (`locale/zh/LC_MESSAGES/salesflow.po`), which Babel compiles and
any tool of translators opens. A message that a catalogue lacks is said in English.
"""

import gettext
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from salesflow.domain.event import Fact

__all__ = [
    "LOCALES",
    "Language",
    "fact_name",
    "in_language",
    "irregularity_name",
    "kind_name",
    "name_facts",
    "say",
    "say_count",
    "translated",
    "words_in",
]


Language = Literal["en", "zh"]
LOCALES: Final = Path(__file__).parent / "locale"
DOMAIN: Final = "salesflow"


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


def words_in(words: Iterable[str], language: Language) -> list[str]:
    """Return several words in a language, in their order."""
    return [in_language(word, language) for word in words]


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

OTHERS: "dict[str, type[Fact]]" = {}
"""Classes of facts that were handed in, by their kind."""


def fact_name(cls: "type[Fact]", language: Language = "en") -> str:
    """Call a class of facts by its name: "Deal opened", 商机建立."""
    return cls.name_zh if language == "zh" else WORD.sub(" ", cls.__name__).capitalize()


def kind_name(kind: str, language: Language = "en") -> str:
    """Call a stored kind of facts by its name."""
    cls = _classes().get(kind) or OTHERS.get(kind)
    return kind if cls is None else fact_name(cls, language)


def name_facts(classes: "Iterable[type[Fact]]") -> None:
    """Call facts of other people by their names too, wherever their kind is said."""
    for cls in classes:
        OTHERS.setdefault(cls.kind, cls)


def irregularity_name(reason: str, language: Language = "en") -> str:
    """Return why a fact is irregular, in a language."""
    for message in IRREGULAR:
        known, _, name = message.rstrip("}").partition("{")
        if reason.startswith(known):
            return say(message, language, **{name: reason.removeprefix(known)})
    return translated(reason, language)


@cache
def _classes() -> "dict[str, type[Fact]]":
    """Give the classes of facts by kind; they are loaded when a fact is first named."""
    from salesflow.domain.catalogue import CATALOGUE

    return {cls.kind: cls for cls in CATALOGUE}
