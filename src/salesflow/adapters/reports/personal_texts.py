"""Texts about people in answers: which questions give some, an answer without their names.

A module of its own, since what may go out is decided when a report is read and when it is made.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final, get_args, get_type_hints

from pydantic import BaseModel

from salesflow.adapters.exporters.fact_attributes import is_personal
from salesflow.projections.core.question import ENVELOPE, Question, View

__all__ = ["gives_personal_texts", "without_people"]


OF_FACTS: Final = frozenset({"deal-timeline"})
"""Questions that tell facts as they are, in texts without marks."""


@cache
def gives_personal_texts(question: type[Question[View]]) -> bool:
    """Return whether answers hold texts about people, or free texts; names aside."""
    view = get_type_hints(question.answer)["return"]
    return question.name in OF_FACTS or _holds_some(view, set())


def _holds_some(model: type[BaseModel], seen: set[type]) -> bool:
    """Return whether a model, or what stands in it, has fields with such texts."""
    if model in seen:
        return False
    seen.add(model)
    return any(
        is_personal(model, name) or any(_holds_some(m, seen) for m in _models_in(f.annotation))
        for name, f in model.model_fields.items()
        if name not in ENVELOPE
    )


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models_in(each)


def without_people(view: View) -> View:
    """Return an answer without the names of customers and reps; their ids stay."""
    names = BaseModel.model_copy(view.names, update={"customers": (), "reps": ()})
    return BaseModel.model_copy(view, update={"names": names})
