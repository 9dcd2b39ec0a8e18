"""What is written down of every fact: its stored format, and what an import can tell of it.

`domain/stored_format.json` has one example of every kind and version there ever was, in the
very bytes the log holds; docs/import-reference.md has a table of today's facts. After adding a
fact, or raising a version, write both anew and look at the difference:

    python tests/stored_format.py

An example that changes without a new version means that logs written before read differently.
"""

import json
import re
import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from salesflow.adapters.importers.table.reference import facts_as_markdown
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import Fact
from salesflow.domain.metric import MetricKey
from salesflow.domain.values import Currency, GivenCurrency, Money

__all__ = ["HOW", "example_of", "stored", "table_shown", "topics"]

HOW = "run `python tests/stored_format.py` and look at the difference"
FILE = Path(__file__).parent / "domain" / "stored_format.json"
DOCUMENT = Path(__file__).parents[1] / "docs" / "import-reference.md"
TABLE = re.compile(r"(?<=<!-- facts: made by python tests/stored_format.py -->\n)\|[^<]*")

EXAMPLES: dict[object, object] = {
    str: "text 文本",
    bool: True,
    int: 3,
    date: date(2026, 3, 31),
    datetime: datetime(2026, 3, 31, 16, 0, 0, 1, tzinfo=UTC),
    Decimal: Decimal("0.25"),
    UUID: UUID("0198a2b4-7c1e-7def-8a3b-5f2f6f0c9d11"),
    Money: Money("98000.50", "CNY"),
    FiscalCalendar: FiscalCalendar(pattern="4-4-5", anchor=date(2024, 12, 30)),
}
METRIC = [each.func for each in typing.get_args(MetricKey) if hasattr(each, "func")][-1]
"""What says whether a text is the key of a metric."""
FIELDS: dict[str, object] = {
    "exit_criteria": ("contact_logged",),
    "qualifying_stage": "text 文本",
    "Accelerator.factor": Decimal(1),
    "Decelerator.factor": Decimal(1),
    "metric": "sales",
}


def example_of(fact: type[Fact]) -> Fact:
    """Fill every field of a fact with something that tells its type."""
    filled = _filled(fact)
    assert isinstance(filled, Fact)
    return filled


def topics() -> dict[str, type[Fact]]:
    """Give today's facts by the name and version they are stored under."""
    return {fact.stored_as: fact for fact in CATALOGUE}


def stored() -> dict[str, bytes]:
    """Read the examples that were written, each as the bytes a log holds."""
    examples = json.loads(FILE.read_text(encoding="utf-8"))
    return {topic: _bytes(example) for topic, example in examples.items()}


def table_shown() -> str:
    """Read the table of facts that was written."""
    [shown] = TABLE.findall(DOCUMENT.read_text(encoding="utf-8"))
    return str(shown)


def _bytes(example: object) -> bytes:
    return json.dumps(example, ensure_ascii=False, separators=(",", ":")).encode()


def _filled(model: object) -> BaseModel:
    assert isinstance(model, type), model
    assert issubclass(model, BaseModel), model
    fields = {
        name: "sales" if _is_metric(field) else _example(model, name, field)
        for name, field in model.model_fields.items()
    }
    return model.model_validate(fields)


def _example(model: type[BaseModel], name: str, field: FieldInfo) -> object:
    named = FIELDS.get(f"{model.__name__}.{name}", FIELDS.get(name))
    return _value_of(field) if named is None else named


def _is_metric(field: FieldInfo) -> bool:
    return any(getattr(mark, "func", None) is METRIC for mark in field.metadata)


def _value_of(field: FieldInfo) -> object:
    return _value(field.annotation, field.metadata)


def _value(annotation: object, metadata: list[Any]) -> object:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Currency, GivenCurrency) or any(
        getattr(mark, "pattern", None) for mark in metadata
    ):
        return "CNY"
    if origin is typing.Annotated:
        metric = annotation == MetricKey
        return "win_rate" if metric else _value(arguments[0], [*arguments[1:]])
    if origin in (typing.Union, types.UnionType):
        return _value(arguments[0], metadata)
    if origin is tuple:
        return (_value(arguments[0], []),)
    if origin is typing.Literal:
        return arguments[0]
    return EXAMPLES[annotation] if annotation in EXAMPLES else _filled(annotation)


def _write() -> None:
    known = stored() if FILE.exists() else {}
    today = {topic: example_of(fact).to_json() for topic, fact in topics().items()}
    lines = [
        f"  {json.dumps(topic)}: {example.decode()}"
        for topic, example in sorted((known | today).items())
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    document = TABLE.sub(lambda _: facts_as_markdown(), document)
    DOCUMENT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    _write()
