"""What is said to people, in their language: English in the code, the others in catalogues.

The catalogues are gettext's (`locale/zh/LC_MESSAGES/salesflow.po`), which Babel compiles and
any tool of translators opens. A message that a catalogue lacks is said in English.
"""

import gettext
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from salesflow.domain.wording import Message

if TYPE_CHECKING:
    from salesflow.domain.event import Fact

__all__ = [
    "COLON",
    "LOCALES",
    "Language",
    "fact_name",
    "in_language",
    "key_text",
    "kind_name",
    "meant_in",
    "name_facts",
    "say",
    "say_count",
    "translated",
    "word_known",
    "words_in",
]


Language = Literal["en", "zh"]
LOCALES: Final = Path(__file__).parent / "locale"
DOMAIN: Final = "salesflow"
COLON: Final[Mapping[Language, str]] = {"en": ": ", "zh": "："}
"""What stands between a label and what it names."""


def say(message: str, language: Language = "en", /, **values: object) -> str:
    """Return a message in a language, its `{name}`s filled in.

    One that knows its arguments, such as a reason of the domain, is said with them, and so are
    those of them that are messages; a text that knows none is its own id.
    """
    if isinstance(message, Message):
        if language == "en":
            return str(message)
        values = {
            name: say(value, language) if isinstance(value, Message) else value
            for name, value in message.arguments.items()
        }
        message = message.id
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


def in_language(word: str, language: Language, *contexts: str) -> str:
    """Return a word in a language; keys of several words are written with blanks.

    Where the catalogue has it in one of the contexts (the title of a table, what it is a field
    of), that is what is meant: one English word may be several in another language.
    """
    plain = word.replace("_", " ")
    return meant_in(plain, language, *contexts) or translated(plain, language)


def meant_in(word: str, language: Language, *contexts: str) -> str | None:
    """Return a word as it is meant in the first of some contexts that knows it, or None."""
    for context in contexts:
        text = translated(word, language, context)
        if text != word:
            return text
    return None


READ_AS: Final[Mapping[str, str]] = {
    "against_expected": "against what was expected",
    "as_expected": "the way that was expected",
    "came_from": "lead source:",
    "changed_since": "changed, everybody at once",
    "changed_unmatched": "changed, nobody to compare with",
    "contacted_by": "activity by",
    "contacted_in": "activity in",
    "contacts": "activities",
    "cycle_days_median": "sales cycle, median (days)",
    "decreased": "amount reduced",
    "differed_before": "no evidence: the groups differed before",
    "first_response_days": "first response, median (days)",
    "in": "inbound",
    "increased": "amount raised or first set",
    "middle": "mid period",
    "migrated": "process version changed",
    "no_change_since": "no evidence of a change, everybody at once",
    "no_change_unmatched": "no evidence of a change, nobody to compare with",
    "no_comparison": "nobody to compare with",
    "no_placebo": "no evidence: the window before is not known",
    "not_started": "not started yet",
    "not_in_a_team": "not in a team all through the windows",
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
    "window_not_over": "no window is over yet",
}
"""What people read in English for keys that do not say enough by themselves."""


def key_text(key: str, language: Language, *contexts: str) -> str:
    """Return what people read for a key that is stored or stands in JSON."""
    read_as = READ_AS.get(key) if language == "en" else None
    return read_as or in_language(key, language, *contexts)


def word_known(word: str, language: Language) -> str:
    """Return a word of somebody's own choice, put into a language where a catalogue has it."""
    text = in_language(word, language)
    return word if text == word.replace("_", " ") else text


def words_in(words: Iterable[str], language: Language) -> list[str]:
    """Return several words in a language, in their order."""
    return [in_language(word, language) for word in words]


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALES, [language])


# Facts, by the names that their classes bring along.

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
    from salesflow.domain.catalogue import CATALOGUE  # loaded when a fact is first named

    cls = CATALOGUE.class_of(kind) or OTHERS.get(kind)
    return kind if cls is None else fact_name(cls, language)


def name_facts(classes: "Iterable[type[Fact]]") -> None:
    """Register facts of other people, so that they are named wherever their kind is said."""
    for cls in classes:
        OTHERS.setdefault(cls.kind, cls)
