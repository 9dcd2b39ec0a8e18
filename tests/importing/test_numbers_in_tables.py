"""How numbers are read that stand in tables."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesflow.adapters.importing.numbers import NumberReader
from salesflow.adapters.importing.problems import RowProblem


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1054", "1054"),
        ("5000.0", "5000.0"),
        ("-3.50", "-3.50"),
        ("+7", "7"),
        (".5", "0.5"),
        ("(12.5)", "-12.5"),
        ("−4", "-4"),
    ],
)
def test_a_plain_number_is_read_exactly(text: str, number: str) -> None:
    assert str(NumberReader().read(text)) == number


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "number"),
    [
        ("1,234,567.89", ".", ",", "1234567.89"),
        ("1.234.567,89", ",", ".", "1234567.89"),
        ("1 234,5", ",", " ", "1234.5"),
        ("1\u00a0234,5", ",", " ", "1234.5"),
        ("1234.5", ".", ",", "1234.5"),
    ],
)
def test_marks_between_thousands_are_read_when_the_mapping_says_so(
    text: str, decimal: str, thousands: str, number: str
) -> None:
    assert NumberReader(decimal, thousands).read(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["1,5", "1,234.50", "1e5", "abc", "", "-", "1.2.3", "NaN", "٣"]
)
def test_nothing_is_guessed_about_a_number(text: str) -> None:
    with pytest.raises(RowProblem, match="not a number"):
        NumberReader().read(text)


def test_thousands_stand_in_groups_of_three() -> None:
    with pytest.raises(RowProblem):
        NumberReader(".", ",").read("1,5")


@pytest.mark.parametrize("text", ["$1200", "1200 USD", "- $1200", "-$1200", "$ -1200"])
def test_signs_around_a_number_are_taken_off(text: str) -> None:
    assert abs(NumberReader(strip=["$", "USD"]).read(text)) == Decimal(1200)
    assert (NumberReader(strip=["$", "USD"]).read(text) < 0) is ("-" in text)


@settings(deadline=None)
@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=-(10**11), max_value=10**11
    )
)
def test_every_number_written_out_comes_back(number: Decimal) -> None:
    assert NumberReader().read(f"{number:f}") == number
    german = f"{number:,f}".replace(",", " ").replace(".", ",").replace(" ", ".")
    assert NumberReader(",", ".").read(german) == number
