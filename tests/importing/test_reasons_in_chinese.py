"""Every reason for which a row is refused or taken otherwise is told in Chinese as well.

The reasons are read off the code that gives them, whatever stands between their words.
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

from salesflow.adapters import importers
from salesflow.adapters.importers.report_entries import reason_in_chinese

WHERE = {"RowError": 0, "Adjustment": 0, "BadRow": 1}
"""At which place of their calls the reason stands."""

INFERRED = ("NO_DATE", "NO_OPENING", "NO_OPENING_DATE", "OPENED_EARLIER")
CHINESE = re.compile("[\u4e00-\u9fff]").search


def reasons_given(module: ModuleType) -> Iterator[str]:
    """Give the reasons that a module writes out itself, a 7 for whatever it fills in."""
    tree = ast.parse(Path(module.__file__ or "").read_text("utf-8"))
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    for call in ast.walk(tree):
        name = getattr(getattr(call, "func", None), "id", None)
        if isinstance(call, ast.Call) and name in WHERE and len(call.args) > WHERE[name]:
            yield from texts(call.args[WHERE[name]], module, functions)
    for name in INFERRED:
        if name in vars(module):
            yield vars(module)[name]


def texts(
    node: ast.expr, module: ModuleType, functions: dict[str, ast.FunctionDef]
) -> Iterator[str]:
    """Give what an expression comes to, where it is written out in the module."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            parts = (
                part.value if isinstance(part, ast.FormattedValue) else part for part in values
            )
            yield "".join(next(texts(part, module, {}), "7") for part in parts)
        case ast.Name(id=name) if isinstance(vars(module).get(name), str):
            yield vars(module)[name]
        case ast.Call(func=ast.Name(id=name)) if name in functions:
            for each in ast.walk(functions[name]):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield from texts(each.value, module, {})
        case _:
            pass


REASONS = sorted(
    {
        reason
        for found in walk_packages(importers.__path__, f"{importers.__name__}.")
        for reason in reasons_given(import_module(found.name))
        if re.match("[a-z]", reason)  # else it begins with what is filled in
    }
)


def test_reasons_are_found_in_the_code() -> None:
    assert len(REASONS) > 40
    assert "is not yes or no" in REASONS
    assert "has 7 fields where the header has 7" in REASONS


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_of_the_code_has_its_words_in_chinese(reason: str) -> None:
    assert CHINESE(reason_in_chinese(reason)), reason


def test_a_reason_without_words_would_be_noticed() -> None:
    assert not CHINESE(reason_in_chinese("is written by a left hand"))
