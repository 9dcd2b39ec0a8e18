"""The key a fact of a source is known by ever after: given here, and split again.

A key says from which history row, which time or which column a fact comes, and by which rule.
So a fact that is imported again is found, also under another key, by what it says.
"""

import re
from collections import Counter
from functools import cache
from typing import Final, Literal, NamedTuple

from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.ids import split_source_id
from salesflow.domain.event import Fact

__all__ = ["OPENED", "KeyParts", "Keys", "key_parts", "sub_of"]


OPENED: Final = "opened"
SUB_FIELDS: Final = (
    "quote",
    "objection",
    "request",
    "invoice",
    "order",
    "survey",
    "task",
    "person",
)
"""Fields that tell apart facts of one kind that happen to one deal at one time."""
TIMED = re.compile(r"(\d{4}-\d\d-\d\dT[^/]*\+00:00|undated)/")


class Keys:
    """Gives each fact of a deal the key it is known by ever after."""

    def __init__(self, object: str, *, repeated: bool) -> None:
        self._object = object
        self._repeated = repeated
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, int] = {}
        self._given: list[str] = []

    def begin(self) -> None:
        """Begin a row."""
        self._given.clear()

    def undo(self) -> None:
        """Remove the keys of a row that is refused."""
        for key in self._given:
            self._counts[key] -= 1
            if not self._counts[key]:
                self._lines.pop(key, None)

    def of(self, fact: Fact, label: str, row_id: str, occurred_at: str, line: int) -> str:
        """Return the key of a fact: its history row or column, and what tells it apart.

        `label` names its rule, `row_id` its history row, where that has an id.

        Raises:
            RowError: when an earlier row, or another rule, has yielded it already.
        """
        sub = sub_of(fact)
        if label == OPENED:
            return self._once(label, line, "opens the deal as an earlier row")
        tail = f"{label}/{sub}" if sub else label
        if row_id:
            return self._once(f"{row_id}/{tail}", line, "is the same event as an earlier row")
        if not self._repeated:
            return self._once(tail, line, "tells the same of the deal as an earlier row")
        key = f"{occurred_at}/{tail}"
        self._count(key)
        return key if self._counts[key] == 1 else f"{key}/{self._counts[key]}"

    def _once(self, key: str, line: int, twice: str) -> str:
        first = self._lines.setdefault(key, line)
        if first != line:
            raise RowError(twice, value=f"line {first}")
        if self._counts[key]:
            raise RowError(
                "two rules tell {key} of this row; give one of them a name of its own",
                key=repr(key),
            )
        self._count(key)
        return key

    def _count(self, key: str) -> None:
        self._counts[key] += 1
        self._given.append(key)


class KeyParts(NamedTuple):
    """A key split: the row or column the fact comes from, and the rule."""

    by: Literal["id", "time", "column"]
    row: str
    label: str


def sub_of(fact: Fact) -> str | None:
    """Return what tells a fact apart from others of its kind: its quote, its invoice."""
    name = _sub_field(type(fact))
    return getattr(fact, name) if name else None


def key_parts(source_id: str, fact: Fact, labels: frozenset[str]) -> KeyParts:
    """Split the key of a fact; `labels` are those of the rules there are."""
    key = split_source_id(source_id)[1]
    timed = TIMED.match(key)
    if timed:
        return KeyParts("time", timed[1], _among(key[timed.end() :], labels))
    sub = sub_of(fact)
    bare = key.removesuffix(f"/{sub}") if sub else key
    if bare in labels or bare.startswith(f"{fact.kind.partition('.')[2]}@"):
        return KeyParts("column", "", bare)
    ends = [label for label in labels if bare.endswith(f"/{label}")]
    if ends:
        label = max(ends, key=len)
        return KeyParts("id", bare.removesuffix(f"/{label}"), label)
    row, between, label = bare.rpartition("/")
    return KeyParts("id", row, label) if between else KeyParts("column", "", bare)


def _among(rest: str, labels: frozenset[str]) -> str:
    """Return the label a key of a time goes on with."""
    matching = [label for label in labels if rest == label or rest.startswith(f"{label}/")]
    return max(matching, key=len, default=rest.partition("/")[0])


@cache
def _sub_field(cls: type[Fact]) -> str | None:
    """Return the field that tells apart facts of this kind at one time."""
    return next((name for name in SUB_FIELDS if name in cls.model_fields), None)
