"""Compiles conditions: from what a mapping says of columns to a test of a row's cells.

A test raises RowError where a column that is to be compared as a time or a number holds
something else.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from salesflow.adapters.importers.csv import tidied
from salesflow.adapters.importers.errors import KeyPath, MappingError, RowError
from salesflow.adapters.importers.table.columns import Cells, Context, Layout
from salesflow.adapters.importers.table.mapping import Condition, Constant
from salesflow.adapters.importers.table.patterns import matcher

__all__ = [
    "FIRST",
    "LAST",
    "Test",
    "as_text",
    "asks_order",
    "compile_condition",
    "first_filled",
]


Test = Callable[[Cells], bool]
Text = Callable[[Cells], str]

FIRST: Final = "first"
LAST: Final = "last"


def compile_condition(when: Condition, context: Context, path: KeyPath) -> Test:
    """Return the test of a row's cells for a condition.

    Raises:
        MappingError: when it names a column there is not.
    """
    layout = context.layout
    tests = [
        *_of_column(when, layout, path),
        *_of_two(when, context, path),
        *_of_flags(when, layout, path),
    ]
    if when.all is not None:
        tests += [
            compile_condition(each, context, (*path, "all", i))
            for i, each in enumerate(when.all)
        ]
    if when.any is not None:
        parts = [
            compile_condition(each, context, (*path, "any", i))
            for i, each in enumerate(when.any)
        ]
        tests.append(lambda cells: any(part(cells) for part in parts))
    if when.not_ is not None:
        inner = compile_condition(when.not_, context, (*path, "not"))
        tests.append(lambda cells: not inner(cells))
    return _every(tests)


def asks_order(when: Condition | None) -> bool:
    """Return whether a condition asks about the order of the rows of a deal."""
    if when is None:
        return False
    asked = (when.changed, when.first, when.last, when.was, when.was_not)
    inner = (*(when.all or ()), *(when.any or ()), *((when.not_,) if when.not_ else ()))
    return any(each is not None for each in asked) or any(map(asks_order, inner))


def first_filled(slots: Sequence[int]) -> Callable[[Cells], str]:
    """Return a function that takes the first cell of these that is not empty."""
    if len(slots) == 1:
        (only,) = slots
        return lambda cells: cells[only]

    def first(cells: Cells) -> str:
        return next((cells[slot] for slot in slots if cells[slot]), "")

    return first


def as_text(value: Constant) -> str:
    """Return a constant as a cell has it: true, 5, 0.25, Won."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _of_column(when: Condition, layout: Layout, path: KeyPath) -> list[Test]:
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
            among = frozenset(form(tidied(as_text(value))) for value in wanted)
            tests.append(_among(read, among, form, holds))
    if when.matches is not None:
        is_match = matcher(when.matches, ignore_case=when.ignore_case)
        tests.append(lambda cells: is_match(read(cells)))
    for asked, filled in ((when.empty, False), (when.filled, True)):
        if asked is not None:
            tests.append(_is_filled(read, asked is filled))
    return tests


def _of_two(when: Condition, context: Context, path: KeyPath) -> list[Test]:
    """Compare a column with another one, or with what it held in the row before."""
    if when.column is None:
        return []
    layout = context.layout
    read = first_filled(layout.slots(when.column, (*path, "column")))
    form = str.casefold if when.ignore_case else str
    tests: list[Test] = []
    for wanted, holds in ((when.was, True), (when.was_not, False)):
        if wanted is not None:
            slots = [layout.before(name, (*path, "column")) for name in when.column]
            among = frozenset(form(as_text(value)) for value in wanted)
            tests.append(_among(first_filled(slots), among, form, holds))
    for other, holds in ((when.is_column, True), (when.is_not_column, False)):
        if other is not None:
            tests.append(_alike(read, layout.slot(other, path), form, holds))
    return tests + _of_size(when, read, context, path)


def _of_size(when: Condition, read: Text, context: Context, path: KeyPath) -> list[Test]:
    """Compare a column with another one as times or numbers."""
    names = " or ".join(when.column or ())
    times = context.times()

    def instant(text: str) -> int:
        return times.read(text).instant

    tests: list[Test] = []
    for key, other, measure, sign in (
        ("before", when.before, instant, -1),
        ("after", when.after, instant, 1),
        ("less_than", when.less_than, context.numbers.read, -1),
        ("more_than", when.more_than, context.numbers.read, 1),
    ):
        if other is not None:
            left = _measured(read, measure, names)
            right = _right_side(other, measure, context.layout, (*path, key))
            tests.append(_compared(left, right, sign))
    return tests


Measured = Callable[[Cells], int | Decimal | None]


def _right_side(
    other: str | Decimal,
    measure: Callable[[str], int | Decimal],
    layout: Layout,
    path: KeyPath,
) -> Measured:
    if isinstance(other, Decimal):
        return lambda _: other
    return _measured(first_filled((layout.slot(other, path),)), measure, other)


def _measured(read: Text, measure: Callable[[str], int | Decimal], names: str) -> Measured:
    """Read a cell as a time or a number; None where it is empty."""

    def measured(cells: Cells) -> int | Decimal | None:
        text = read(cells)
        if not text:
            return None
        try:
            return measure(text)
        except RowError as problem:
            raise RowError(problem.reason, names, text) from problem

    return measured


def _compared(left: Measured, right: Measured, sign: int) -> Test:
    """Return whether one is less (-1) or more (1) than the other; an empty one is neither."""

    def test(cells: Cells) -> bool:
        one, other = left(cells), right(cells)
        if one is None or other is None:
            return False
        return one < other if sign < 0 else one > other

    return test


def _alike(read: Text, slot: int, form: Callable[[str], str], holds: bool) -> Test:
    return lambda cells: (form(read(cells)) == form(cells[slot])) is holds


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


def _of_flags(when: Condition, layout: Layout, path: KeyPath) -> list[Test]:
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
