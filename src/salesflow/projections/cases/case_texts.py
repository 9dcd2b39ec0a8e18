"""What is said in a case, to be searched by words in any language.

Every text of a deal's facts that are in effect (title, contacts, needs, objections and answers,
reasons, notes), the names of its stages and reasons in English and Chinese, and what people
noted in the case itself. Texts are compared in one normal form, wide letters like narrow ones
and capitals like small ones; a word is found within any text, since Chinese parts none.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from salesflow.domain.case import CaseState
from salesflow.domain.event import Event
from salesflow.domain.process import ProcessVersion
from salesflow.domain.values import Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole

__all__ = ["CaseMatch", "SearchedText", "case_texts", "deal_texts", "matches", "words_of"]

EXCERPT: Final = 120
"""How much of a text is shown around a word."""


class SearchedText(NamedTuple):
    """A text, and the event that says so."""

    text: str
    event: Event


class CaseMatch(Value):
    """Where words that were asked for stand."""

    position: Annotated[int, FieldRole.KEY]
    text: Annotated[Personal, FieldRole.KEY]
    """The text, or the part of it around the first word."""
    kind: Annotated[Reference, FieldRole.TRAIT]
    """The stored kind of the fact that holds it."""
    event_id: Annotated[UUID, FieldRole.TRAIT]
    words: tuple[SafeText, ...]
    """Which of the words stand there."""


def words_of(asked: str) -> tuple[str, ...]:
    """Return the words asked for, in the form in which they are looked for."""
    return tuple(dict.fromkeys(_normal(asked).split()))


def deal_texts(
    events: Iterable[Event], versions: Iterable[ProcessVersion | None]
) -> Iterator[SearchedText]:
    """Yield all that is said in the facts of a deal, with the names of keys beside them."""
    names = _names(versions)
    for event in events:
        for text in _texts_in(event.fact):
            yield SearchedText(text, event)
            for name in names.get(text, ()):
                yield SearchedText(name, event)


def case_texts(case: CaseState) -> Iterator[SearchedText]:
    """Yield all that people say in a case."""
    assert case.opening is not None, "it was published"
    said = (case.key, case.title, case.summary, *case.audience, *case.trainings)
    yield from (SearchedText(text, case.opening) for text in said if text)
    for factor in case.factors:
        both = (factor.factor, factor.text)
        yield from (SearchedText(text, factor.event) for text in both if text)
    for lesson in case.lessons:
        yield SearchedText(lesson.text, lesson.event)


def matches(texts: Iterable[SearchedText], words: Sequence[str]) -> list[CaseMatch] | None:
    """Return where words stand; None unless each of them stands somewhere."""
    missing, found = set(words), dict[tuple[int, str], CaseMatch]()
    for text, event in texts:
        normal = _normal(text)
        here = tuple(word for word in words if word in normal)
        if here:
            missing.difference_update(here)
            shown = _excerpt(text, normal, here[0])
            found.setdefault(
                (event.position, shown),
                CaseMatch(
                    position=event.position,
                    text=shown,
                    kind=event.fact.kind,
                    event_id=event.event_id,
                    words=here,
                ),
            )
    return None if missing else [*found.values()]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _excerpt(text: str, normal: str, word: str) -> str:
    """Return a text, or what stands around a word in it."""
    if len(text) <= EXCERPT:
        return text
    start = max(min(normal.find(word), len(text)) - EXCERPT // 3, 0)
    cut = text[start : start + EXCERPT]
    return ("…" if start else "") + cut + ("…" if start + EXCERPT < len(text) else "")


def _texts_in(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case tuple():
            for each in value:
                yield from _texts_in(each)
        case BaseModel():
            for name in type(value).model_fields:
                yield from _texts_in(getattr(value, name))
        case _:
            pass


def _names(versions: Iterable[ProcessVersion | None]) -> Mapping[str, list[str]]:
    """Return what keys of process versions are called, in both languages."""
    found: dict[str, list[str]] = {}
    for version in versions:
        if version is None:
            continue
        tasks = (task for stage in version.stages for task in stage.tasks)
        for label in (*version.stages, *version.loss_reasons, *tasks):
            names = found.setdefault(label.key, [])
            names += [
                name
                for name in (label.name_en, label.name_zh)
                if name not in (label.key, *names)
            ]
    return found
