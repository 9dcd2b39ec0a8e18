"""Compiles conditions: from what a mapping says of columns to a test of a row's cells."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from salesflow.adapters.importing.layout import Cells, Layout
from salesflow.adapters.importing.mapping import Condition, Constant
from salesflow.adapters.importing.problems import MappingError, Path

__all__ = ["FIRST", "LAST", "Test", "as_text", "compile_condition", "first_filled"]

Test = Callable[[Cells], bool]

FIRST: Final = "first"
LAST: Final = "last"


def compile_condition(when: Condition, layout: Layout, path: Path) -> Test:
    """Give the test of a row's cells that a condition stands for.

    Raises:
        MappingError: when it names a column there is not.
    """
    tests = [*_of_column(when, layout, path), *_of_flags(when, layout, path)]
    if when.all is not None:
        tests += [
            compile_condition(each, layout, (*path, "all", i))
            for i, each in enumerate(when.all)
        ]
    if when.any is not None:
        parts = [
            compile_condition(each, layout, (*path, "any", i))
            for i, each in enumerate(when.any)
        ]
        tests.append(lambda cells: any(part(cells) for part in parts))
    if when.not_ is not None:
        inner = compile_condition(when.not_, layout, (*path, "not"))
        tests.append(lambda cells: not inner(cells))
    return _every(tests)


def first_filled(slots: Sequence[int]) -> Callable[[Cells], str]:
    """Give a function that takes the first cell of these that is not empty."""
    if len(slots) == 1:
        (only,) = slots
        return lambda cells: cells[only]

    def first(cells: Cells) -> str:
        return next((cells[slot] for slot in slots if cells[slot]), "")

    return first


def as_text(value: Constant) -> str:
    """Write a constant as it stands in a cell: true, 5, 0.25, Won."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _of_column(when: Condition, layout: Layout, path: Path) -> list[Test]:
    if when.column is None:
        return []
    read = first_filled(layout.slots(when.column, (*path, "column")))
    form = str.casefold if when.ignore_case else str
    tests: list[Test] = []
    for wanted, holds in (
        (None if when.is_ is None else (when.is_,), True),
        (when.in_, True),
        (None if when.is_not is None else (when.is_not,), False),
        (when.not_in, False),
    ):
        if wanted is not None:
            tests.append(_among(read, frozenset(form(as_text(v)) for v in wanted), form, holds))
    if when.matches is not None:
        flags = re.IGNORECASE if when.ignore_case else 0
        search = re.compile(when.matches, flags).search
        tests.append(lambda cells: search(read(cells)) is not None)
    for asked, filled in ((when.empty, False), (when.filled, True)):
        if asked is not None:
            tests.append(_is_filled(read, asked is filled))
    return tests


def _among(
    read: Callable[[Cells], str],
    wanted: frozenset[str],
    form: Callable[[str], str],
    holds: bool,
) -> Test:
    if form is not str:
        return lambda cells: (form(read(cells)) in wanted) is holds
    if holds:
        return lambda cells: read(cells) in wanted
    return lambda cells: read(cells) not in wanted


def _is_filled(read: Callable[[Cells], str], wanted: bool) -> Test:
    return lambda cells: bool(read(cells)) is wanted


def _of_flags(when: Condition, layout: Layout, path: Path) -> list[Test]:
    tests: list[Test] = []
    for asked, name in ((when.first, FIRST), (when.last, LAST)):
        if asked is not None:
            tests.append(_is_filled(first_filled((layout.flag(name),)), asked))
    if when.changed is not None:
        slot = layout.changed(when.changed, (*path, "changed"))
        tests.append(lambda cells: bool(cells[slot]))
    return tests


def _every(tests: Sequence[Test]) -> Test:
    if not tests:
        raise MappingError("a condition that says nothing")
    if len(tests) == 1:
        return tests[0]
    return lambda cells: all(test(cells) for test in tests)
