"""Every reason for which a row is refused or taken otherwise is told in Chinese as well.

The messages are read off the code that gives them.
"""

import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from catalogues import messages, messages_in, modules_of
from salesflow.adapters import importers
from salesflow.adapters.importers.errors import CURRENCY, REASONS, RowError
from salesflow.domain.wording import Message
from salesflow.presentation.messages import say

WHERE = {"RowError": 0, "Adjustment": 0, "BadRow": 1, "_key_of": 1, "_once": 2}
"""At which place of their calls a message stands, beside messages themselves."""
SENTENCE = re.compile(r"[a-z{][a-z}]* .*")
NO_MESSAGES = {"AGAIN", "CHANGED", "NOTHING_TAKEN", "REPORT", "TOO_DEEP", "TOO_LARGE"}
"""Constants that are written into the log, or that errors about a mapping or a file hold."""
CHINESE = re.compile("[\u4e00-\u9fff]").search


def constants(module: ModuleType) -> Iterator[str]:
    for name, text in vars(module).items():
        if name.isupper() and isinstance(text, str) and SENTENCE.fullmatch(text):
            yield from () if name in NO_MESSAGES else (text,)


MESSAGES = sorted(
    {
        *(text for module in modules_of(importers) for text in messages_in(module, WHERE)),
        *(text for module in modules_of(importers) for text in constants(module)),
        *REASONS.values(),
    }
)


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
    assert not CHINESE(say(Message("is written by a left hand"), "zh"))


def test_a_refused_row_says_why_in_either_language() -> None:
    problem = RowError("is not one of {expected}", "Stage", "c", expected="a, b")
    assert problem.reason == str(problem) == "is not one of a, b"
    assert say(problem.reason, "zh") == "不在可选值之内：a, b"
    assert (problem.reason.id, problem.reason.arguments) == (
        "is not one of {expected}",
        {"expected": "a, b"},
    )


def test_what_a_message_is_about_is_said_in_the_same_language() -> None:
    reason = Message("{reason}; left out", reason=Message(CURRENCY))
    assert reason == f"{CURRENCY}; left out"
    assert say(reason, "zh") == "不是币种：应为三个大写字母，如 EUR；已略去"
