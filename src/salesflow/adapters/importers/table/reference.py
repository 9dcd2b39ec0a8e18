"""The facts a mapping can yield, as a table for people: made from the facts themselves.

docs/import-reference.md holds this table; a test compares the two. Print it with

    python -m salesflow.adapters.importers.table.reference
"""

import inspect
import sys
from collections.abc import Iterable

from pydantic import BaseModel

from salesflow.adapters.importers.table.fields import fields_of, kind_of_field, role_of
from salesflow.adapters.importers.table.plan import FILLED, facts_offered
from salesflow.adapters.importers.table.values import ID_KINDS, LOSS_REASON, STAGE_FIELDS
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.stages import DealOpened

__all__ = ["facts_as_markdown"]


KINDS = {
    "time": "time",
    "day": "day",
    "bool": "yes or no",
    "integer": "whole number",
    "number": "number",
    "money": "amount",
    "text": "text",
}


def facts_as_markdown() -> str:
    """Return a table of every fact, what it says, and its fields."""
    lines = ["| `kind` | what happened | `fields` |", "|---|---|---|"]
    for kind, cls in facts_offered().items():
        lines.append(_line(kind, cls))
    lines.append(_line(CustomerRegistered.kind, CustomerRegistered))
    return "\n".join(lines) + "\n"


def _line(kind: str, cls: type[BaseModel]) -> str:
    text = inspect.getdoc(cls) or ""
    first = " ".join(text.split("\n\n")[0].split())
    filled = FILLED if cls is DealOpened else ()
    fields = ", ".join(_fields(cls, filled))
    return f"| `{kind}` | {first} | {fields or '–'} |"


def _fields(cls: type[BaseModel], filled: Iterable[str]) -> Iterable[str]:
    for name, field in fields_of(cls).items():
        needed = field.is_required() and name not in filled
        label = f"**`{name}`**" if needed else f"`{name}`"
        yield f"{label} {_field_type(role_of(cls, name), field.annotation)}"


def _field_type(name: str, annotation: object) -> str:
    kind, detail = kind_of_field(annotation)
    if kind == "many":
        return f"several of: {_field_type(name, detail)}"
    if kind == "part":
        return f"({', '.join(_fields(detail, ()))})"
    if kind == "id":
        return f"id of a {ID_KINDS.get(name, 'deal').removesuffix('_id')}"
    if kind == "text" and detail:
        return " / ".join(str(choice) for choice in detail)
    if name == LOSS_REASON:
        return "loss reason"
    return "stage" if name in STAGE_FIELDS else KINDS[kind]


if __name__ == "__main__":
    sys.stdout.write(facts_as_markdown())
