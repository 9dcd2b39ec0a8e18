"""Commas in numbers: between thousands they are read, elsewhere the number is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesflow import GoalCheck
from salesflow.domain.digits import without_thousands
from salesflow.errors import InputError


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=3))
def test_a_number_written_with_thousands_is_read_as_it_was(number: Decimal) -> None:
    assert Decimal(without_thousands(f"{number:,}")) == number


@given(st.integers(0, 10**9), st.from_regex(r"\A(?:[0-9]{1,2}|[0-9]{4,6})\Z"))
def test_a_comma_for_the_point_never_makes_a_greater_number(whole: int, rest: str) -> None:
    with pytest.raises(InputError, match=rf"write {whole}\.{rest}"):
        without_thousands(f"{whole},{rest}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1.234,50", "1234.50, or 123450"),
        ("0,500", "0.500"),
        ("-0,5%", "-0.5%"),
        (",5", "0.5"),
        ("12，5", "12.5, or 125"),
        ("10,00,000", "1000000"),
        ("1,234,5", "12345"),
    ],
)
def test_what_may_be_meant_by_a_comma_elsewhere_is_said(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"does not part thousands; write {meant}$"):
        without_thousands(typed)


def test_a_question_takes_no_comma_for_a_point_either() -> None:
    with pytest.raises(InputError, match=r"write 12\.50, or 1250"):
        GoalCheck(metric="sales", target="12,50 EUR")  # type: ignore[arg-type]
