"""Every reason for which a row is refused or taken otherwise is told in Chinese as well.

The messages are read off the code that gives them.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

from catalogues import messages
from salesflow.adapters import importers
from salesflow.adapters.importers.errors import CURRENCY, OF_VALUES, WORDS, RowError
from salesflow.presentation.messages import IRREGULAR, Message, recognized

WHERE = {"RowError": 0, "Adjustment": 0, "Message": 0, "BadRow": 1, "_key_of": 1, "_once": 2}
"""At which place of their calls the message stands."""
SENTENCE = re.compile(r"[a-z{][a-z}]* .*")
NO_MESSAGES = {"AGAIN", "CHANGED", "REPORT", "TOO_DEEP", "TOO_LARGE"}
"""Constants that are written into the log, or that errors about a mapping hold."""
CHINESE = re.compile("[\u4e00-\u9fff]").search


def written_messages(module: ModuleType) -> Iterator[str]:
    """Give the messages that a module writes out: in its calls, and in its constants."""
    for call in ast.walk(ast.parse(Path(module.__file__ or "").read_text("utf-8"))):
        name = getattr(getattr(call, "func", None), "id", None)
        if isinstance(call, ast.Call) and name in WHERE and len(call.args) > WHERE[name]:
            message = call.args[WHERE[name]]
            assert not isinstance(message, ast.JoinedStr), ast.unparse(message)
            if isinstance(message, ast.Constant):
                yield str(message.value)
    for name, text in vars(module).items():
        if name.isupper() and isinstance(text, str) and SENTENCE.fullmatch(text):
            yield from () if name in NO_MESSAGES else (text,)


def found_in(package: ModuleType) -> Iterable[str]:
    for found in walk_packages(package.__path__, f"{package.__name__}."):
        yield from written_messages(import_module(found.name))


MESSAGES = sorted({*found_in(importers), *OF_VALUES, *WORDS.values(), *IRREGULAR})


def test_messages_are_found_in_the_code() -> None:
    assert len(MESSAGES) > 100
    assert "is not yes or no" in MESSAGES
    assert "has {count} fields where the header has {width}" in MESSAGES
    assert "is no loss reason of the process; there are {keys}" in MESSAGES


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_code_is_in_the_catalogue(message: str) -> None:
    assert message in messages(), message


def test_a_message_that_is_in_no_catalogue_would_be_noticed() -> None:
    assert "is written by a left hand" not in messages()
    assert not CHINESE(Message("is written by a left hand").in_language("zh"))


def test_a_refused_row_says_why_in_either_language() -> None:
    problem = RowError("is not one of {expected}", "Stage", "c", expected="a, b")
    assert problem.reason == str(problem) == "is not one of a, b"
    assert problem.reason.in_language("zh") == "不在可选值之内：a, b"
    assert (problem.reason.id, problem.reason.arguments) == (
        "is not one of {expected}",
        {"expected": "a, b"},
    )


def test_what_a_message_is_about_is_said_in_the_same_language() -> None:
    reason = Message("{reason}; left out", reason=Message(CURRENCY))
    assert reason == f"{CURRENCY}; left out"
    assert reason.in_language("zh") == "不是币种：应为三个大写字母，如 EUR；已略去"


def test_a_sentence_of_the_domain_is_known_by_its_message() -> None:
    assert recognized("longer than 200 characters", OF_VALUES).arguments == {"length": "200"}
    assert recognized("must not be blank", OF_VALUES).arguments == {}
    assert recognized("a line cannot be worth that much", OF_VALUES).arguments == {}
    assert recognized("no quote 'x'", IRREGULAR).id == "no quote 'x'"
