"""What is said to people, in their language: English in the code, the others in catalogues.

The catalogues are gettext's (`locale/zh/LC_MESSAGES/salesflow.po`), which Babel compiles and
any tool of translators opens. A message that a catalogue lacks is said in English.
"""

import gettext
from functools import cache
from pathlib import Path
from typing import Final, Literal

__all__ = ["LOCALES", "Language", "in_language", "say", "say_count", "translated"]

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


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALES, [language])
