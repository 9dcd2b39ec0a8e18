"""Bounds: the greatest amount, and how much of its input an error repeats."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import Parameter, signature
from typing import Any

import pytest

from given import deal_of, opened
from salesflow.domain.deal import Deal
from salesflow.domain.values import MOST, Money
from salesflow.errors import InputError, SalesflowError

HUGE = "x" * 1_000_000
WORDS = "long word " * 100_000


def test_an_amount_is_at_most_what_64_bits_hold_in_millionths() -> None:
    assert int(MOST * 1_000_000) == 2**63 - 1
    assert Money(-MOST, "VND") == -Money(MOST, "VND")
    for beyond in ("9223372036854.775808", "-9223372036854.775808", "1E+13", "1E+40"):
        with pytest.raises(InputError, match=r"9,223,372,036,854\.775807"):
            Money(Decimal(beyond), "VND")


def commands() -> list[str]:
    named = [name for name in vars(Deal) if not name.startswith("_")]
    for base in Deal.__mro__[1:]:
        named += [name for name in vars(base) if not name.startswith("_")]
    return sorted({name for name in named if callable(getattr(Deal, name, None))})


def filled(command: Callable[..., object], text: str) -> dict[str, Any]:
    """Fill every parameter that takes a text with this one; the others with what is short."""
    found: dict[str, Any] = {}
    for name, parameter in signature(command).parameters.items():
        kind = str(parameter.annotation)
        if "str" in kind and "Sequence" not in kind and "tuple" not in kind:
            found[name] = text
        elif parameter.default is Parameter.empty:
            found[name] = _short(kind)
    return found


def _short(kind: str) -> object:
    if "datetime" in kind:
        return datetime(2026, 1, 1, tzinfo=UTC)
    return date(2026, 1, 1) if "date" in kind else Decimal("0.5") if "Decimal" in kind else ()


@pytest.mark.parametrize("text", [HUGE, WORDS], ids=["one word", "many words"])
def test_no_command_repeats_more_than_a_little_of_what_it_refuses(text: str) -> None:
    refused = 0
    for name in commands():
        command = getattr(deal_of(opened()), name)
        said = said_by(command, text)
        refused += said is not None
        assert len(said or "") <= 1_000, (name, said)
    assert refused > 20


def said_by(command: Callable[..., object], text: str) -> str | None:
    """Give what a command says when it refuses; its other arguments are stand-ins."""
    try:
        command(**filled(command, text))
    except SalesflowError as error:
        return str(error)
    except (TypeError, ValueError, AttributeError):
        return None
    return None


def test_the_end_of_a_long_message_is_kept() -> None:
    error = InputError(f"there is no column {HUGE}. There are: {WORDS}; name one of them")
    assert len(str(error)) <= 2_000
    assert str(error).endswith("name one of them")
    assert str(InputError("short")) == "short"
