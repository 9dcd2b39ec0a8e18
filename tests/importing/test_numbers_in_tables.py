"""How numbers are read that stand in tables."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.numbers import NumberReader, sign_outside
from salesflow.adapters.importers.table.fields import contradiction
from salesflow.adapters.importers.table.mapping import Numbers


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
    with pytest.raises(RowError, match="not a number"):
        NumberReader().read(text)


def test_thousands_stand_in_groups_of_three() -> None:
    with pytest.raises(RowError):
        NumberReader(".", ",").read("1,5")


@pytest.mark.parametrize("text", ["$1200", "1200 USD", "- $1200", "-$1200", "$ -1200"])
def test_signs_around_a_number_are_taken_off(text: str) -> None:
    assert abs(NumberReader(strip=["$", "USD"]).read(text)) == Decimal(1200)
    assert (NumberReader(strip=["$", "USD"]).read(text) < 0) is ("-" in text)


@pytest.mark.parametrize(
    "text",
    [
        "($1,200.00)",
        "$(1,200.00)",
        "(1,200.00 USD)",
        "(1,200.00) USD",
        "1,200.00-",
        "1,200.00 -",
        "-$1,200",
        "$-1,200",
        "$ - 1,200",
        "1,200-$",
        "−1,200",
        "–1,200",
        "\u00a0- 1,200\u202f",
    ],
)
def test_what_makes_a_number_negative_is_read_wherever_it_stands(text: str) -> None:
    assert NumberReader(".", ",", ["$", "USD"]).read(text) == -1200


@pytest.mark.parametrize("text", ["(-5)", "--5", "-5-", "-(5)", "+-5", "((5))", "-$-5"])
def test_a_number_with_two_signs_is_refused(text: str) -> None:
    with pytest.raises(RowError, match="more than one sign"):
        NumberReader(".", ",", ["$"]).read(text)


@pytest.mark.parametrize("text", ["(5", "5)", "()", "($)", "-", "$", "(5))"])
def test_a_bracket_that_is_not_closed_makes_no_number(text: str) -> None:
    with pytest.raises(RowError, match="is not a number"):
        NumberReader(".", ",", ["$"]).read(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("12,34,567.00", 1_234_567), ("1,23,45,678", 12_345_678), ("1,23,456", 123_456)],
)
def test_groups_of_two_are_read_as_in_india(text: str, number: int) -> None:
    assert NumberReader(".", ",").read(text) == number


@pytest.mark.parametrize("text", ["1,23", "12,34", "1,2,345", "123,45,678", "1,2345"])
def test_groups_of_no_custom_are_refused(text: str) -> None:
    with pytest.raises(RowError, match="not a number"):
        NumberReader(".", ",").read(text)


@pytest.mark.parametrize("mark", "\u0020\u00a0\u2007\u2009\u200a\u202f\u3000")
def test_every_space_stands_between_groups(mark: str) -> None:
    assert NumberReader(",", " ").read(f"-1{mark}234{mark}567,5") == Decimal("-1234567.5")


@pytest.mark.parametrize("mark", "'\u2019\u2018\u02bc\u2032`\u00b4\uff07")
def test_every_apostrophe_stands_between_groups(mark: str) -> None:
    numbers = Numbers.model_validate({"thousands": mark})
    assert NumberReader(".", numbers.thousands).read(f"1{mark}234{mark}567.5") == Decimal(
        "1234567.5"
    )


@pytest.mark.parametrize("sign", ["($", ")", "-", "−$", "5", "+", ""])
def test_what_makes_a_number_negative_cannot_be_stripped(sign: str) -> None:
    with pytest.raises(ValidationError, match="cannot be stripped"):
        Numbers(strip=("$", sign))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        *(("-1200", "1200"), ("(1200)", "1200"), ("1200-", "1200"), ("EUR -1200", "1200")),
        *(("-EUR 1200", "1200"), ("1200 EUR-", "1200"), ("(EUR 1200)", "1200")),
        *(("Total: -5", "5"), ("approx. (5)", ""), ("-$5", "5"), ("5- EUR", "5")),
    ],
)
def test_a_sign_left_behind_by_an_extract_is_seen(text: str, part: str) -> None:
    start = text.find(part)
    found = sign_outside(text, start, start + len(part))
    assert found is bool(part)


@pytest.mark.parametrize(
    ("text", "part"), [("A-12", "12"), ("5-10 units", "5"), ("Widgets (5)", "5"), ("5", "5")]
)
def test_a_hyphen_of_a_name_or_a_range_is_no_sign(text: str, part: str) -> None:
    start = text.find(part)
    assert not sign_outside(text, start, start + len(part))


@pytest.mark.parametrize(
    ("text", "currency", "contradicts"),
    [
        ("$5", "EUR", "$"),
        ("$5", "MXN", None),
        ("US$5", "CAD", "US$"),
        ("C$ 5", "CAD", None),
        ("5 €", "USD", "€"),
        ("£5", "EUR", "£"),
        ("¥5", "CNY", None),
        ("￥5", "JPY", None),
        ("¥5", "KRW", "¥"),
        ("₩5", "KRW", None),
        ("₹5", "USD", "₹"),
        ("฿5", "THB", None),
        ("5 ₫", "VND", None),
        ("5 ₫", "EUR", "₫"),
        ("5 zł", "CZK", "zł"),
        ("5 kr", "SEK", None),
        ("5 kr", "EUR", "kr"),
        ("USD 5", "EUR", "USD"),
        ("5EUR", "EUR", None),
        ("R$ 5", "USD", "R$"),
        ("1,234.50", "EUR", None),
        ("about 5 for ALL", "EUR", None),
    ],
)
def test_a_sign_of_another_currency_contradicts(
    text: str, currency: str, contradicts: str | None
) -> None:
    assert contradiction(text, currency) == contradicts


@settings(deadline=None)
@given(
    number=st.decimals(
        allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**12
    ),
    before=st.sampled_from(["", "$", "$ ", "USD "]),
    behind=st.sampled_from(["", " USD", "$"]),
    sign=st.sampled_from(["", "-", "−", "behind", "brackets", "inside", "outside"]),
)
def test_a_number_keeps_its_sign_however_it_is_written(
    number: Decimal, before: str, behind: str, sign: str
) -> None:
    bare = f"{number:,f}"
    text = {
        "": f"{before}{bare}{behind}",
        "behind": f"{before}{bare}-{behind}",
        "brackets": f"({before}{bare}{behind})",
        "inside": f"{before}({bare}){behind}",
        "outside": f"-{before}{bare}{behind}",
    }.get(sign, f"{before}{sign}{bare}{behind}")
    read = NumberReader(".", ",", ["$", "USD"]).read(text)
    assert read == (number if sign == "" else -number)


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
