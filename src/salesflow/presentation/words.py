"""What we call things: words, facts, and why a fact is irregular, in English and Chinese.

English words stand in the code as they are, the Chinese ones in the catalogue, with the terms
of the glossary. Facts bring their names along, and so do the stages of a process.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final

from salesflow.presentation.messages import Language, say, translated

__all__ = [
    "Language",
    "fact_name",
    "irregularity_name",
    "kind_name",
    "name_facts",
]


if TYPE_CHECKING:  # a word of a table needs no fact
    from salesflow.domain.event import Fact


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
