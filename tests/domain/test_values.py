"""Money, text, shares, instants: exact, marked, and refused when they can never be right."""

import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pkgutil import walk_packages
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from given import SHANGHAI, cny
from salesflow import domain
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.time import (
    Period,
    end_of_day,
    from_instant,
    instant_of,
    start_of_day,
    to_instant,
    zone,
)
from salesflow.domain.values import NOT_IN_A_LINE, NOT_IN_TEXT, Money, number
from salesflow.errors import InputError


def test_money_adds_up_within_one_currency() -> None:
    assert cny("1.10") + cny("2") == cny("3.10")
    assert cny("1") - cny("2") == -cny("1")
    assert str(cny("98000")) == "98,000 CNY"
    with pytest.raises(InputError, match="unlike currencies"):
        cny("1") + Money("1", "EUR")


@pytest.mark.parametrize(
    "amount",
    ["1e3", "NaN", "Infinity", "ten", "1" * 30, "0.0000001", "12345678901234", "", "1_0"],
)
def test_money_that_is_no_plain_amount_is_refused(amount: str) -> None:
    with pytest.raises(InputError, match="amount"):
        Money(amount, "CNY")


def test_money_is_never_a_float_nor_of_an_unknown_kind_of_currency() -> None:
    with pytest.raises(InputError, match="never a float"):
        Money(1.5, "CNY")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="currency"):
        Money("1", "yuan")
    with pytest.raises(InputError, match="never a float"):
        Money(True, "CNY")


@settings(deadline=None)
@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=-(10**11), max_value=10**11
    )
)
def test_money_is_read_back_as_it_was_stored(amount: Decimal) -> None:
    money = Money(amount, "CNY")
    assert Money.model_validate_json(money.model_dump_json()) == money


@pytest.mark.parametrize(
    "amount", ["1E+5", "0E-7", "0E+3", "1.1000000000", "-5.00000000000000000000"]
)
def test_an_amount_is_stored_in_plain_digits_however_it_was_computed(amount: str) -> None:
    money = Money(Decimal(amount), "CNY")
    stored = money.model_dump_json()
    assert "E" not in stored
    assert Money.model_validate_json(stored) == money


def test_a_number_is_read_from_plain_digits() -> None:
    assert number("2.50") == Decimal("2.5")
    for text in ("much", "NaN", "sNaN"):
        with pytest.raises(InputError, match="is not a"):
            number(text)


def test_a_text_is_one_normal_form_without_hidden_characters() -> None:
    composed = DealOpened(process="p", process_version=1, stage="a", title="Cafe\u0301")
    assert composed.title == "Caf\u00e9"
    for hidden in ("a\x00b", "a\u202eb", "a\nb", "\ud800"):
        with pytest.raises(InputError, match="title"):
            DealOpened(process="p", process_version=1, stage="a", title=hidden)
    assert ContactLogged(summary="first\nsecond\tline").summary == "first\nsecond\tline"
    with pytest.raises(InputError, match="is not allowed in text"):
        ContactLogged(summary="a\u2066b")


def test_what_is_printable_may_stand_in_every_text() -> None:
    printable = "".join(filter(str.isprintable, map(chr, range(sys.maxunicode + 1))))
    assert len(printable) > 100_000
    assert NOT_IN_A_LINE(printable) is None
    assert NOT_IN_TEXT(printable) is None


def test_a_text_has_an_end() -> None:
    assert ContactLogged(summary="é" * 10_000).summary is not None
    with pytest.raises(InputError, match="longer than 10000"):
        ContactLogged(summary="x" * 10_001)
    with pytest.raises(InputError, match="longer than 500"):
        DealOpened(process="p", process_version=1, stage="a", title="x" * 501)
    with pytest.raises(InputError, match="must not be blank"):
        DealOpened(process=" ", process_version=1, stage="a")


def test_an_error_names_the_field_but_never_repeats_what_was_in_it() -> None:
    with pytest.raises(InputError) as caught:
        ContactLogged(channel="x", direction="sideways", summary="secret\x00")  # type: ignore[arg-type]
    assert "direction: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_unknown_fields_are_refused_and_facts_never_change() -> None:
    with pytest.raises(InputError, match="mood: there is no such field"):
        ContactLogged(mood="good")  # type: ignore[call-arg]
    fact = ContactLogged(channel="call")
    with pytest.raises(ValueError, match="never changes"):
        fact.channel = "mail"  # type: ignore[misc]


def test_an_instant_is_whole_microseconds_and_there_and_back_again() -> None:
    at = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=SHANGHAI)
    assert from_instant(to_instant(at)) == at
    assert to_instant(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    with pytest.raises(InputError, match="no time zone"):
        to_instant(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InputError, match="before 1900"):
        to_instant(datetime(1899, 12, 31, tzinfo=UTC))


def test_a_bare_date_means_the_end_of_that_day_in_the_business_time_zone() -> None:
    last = datetime(2026, 3, 31, 15, 59, 59, 999999, tzinfo=UTC)
    for when in ("2026-03-31", date(2026, 3, 31), last, "2026-03-31T23:59:59.999999+08:00"):
        assert instant_of(when, SHANGHAI) == to_instant(last)
    with pytest.raises(InputError, match="'soon' is not a time"):
        instant_of("soon", SHANGHAI)
    noon = datetime(2026, 3, 31, 12, tzinfo=SHANGHAI)
    assert instant_of("2026-03-31T12:00:00", SHANGHAI) == to_instant(noon)


@pytest.mark.parametrize(("day", "hours"), [(29, 23), (30, 24)])
def test_a_day_of_a_clock_change_is_shorter(day: int, hours: int) -> None:
    berlin = zone("Europe/Berlin")
    length = (
        end_of_day(date(2026, 3, day), berlin) + 1 - start_of_day(date(2026, 3, day), berlin)
    )
    assert timedelta(microseconds=length) == timedelta(hours=hours)


def test_a_period_is_whole_days_and_half_open() -> None:
    march = Period.of_days(date(2026, 3, 1), date(2026, 3, 31), SHANGHAI)
    assert march.start == datetime(2026, 3, 1, tzinfo=SHANGHAI)
    assert march.end == datetime(2026, 4, 1, tzinfo=SHANGHAI)
    with pytest.raises(InputError, match="cannot end"):
        Period.of_days(date(2026, 3, 2), date(2026, 3, 1), SHANGHAI)


def test_a_time_zone_has_a_name_of_the_iana() -> None:
    assert zone("Asia/Shanghai").key == "Asia/Shanghai"
    for name in ("Mars/Base", "../etc/passwd", ""):
        with pytest.raises(InputError, match="is not a time zone"):
            zone(name)


def test_no_two_kinds_of_things_make_the_same_id_of_a_key() -> None:
    names = (each.name for each in walk_packages(domain.__path__, "salesflow.domain."))
    spaces = {
        name: value
        for module in map(import_module, names)
        for name, value in vars(module).items()
        if isinstance(value, UUID) and value.int
    }
    assert {"TRAININGS", "PLANS", "GOALS", "RATES_ID"} <= spaces.keys()
    assert [*Counter(spaces.values()).values()] == [1] * len(spaces)


def test_a_code_by_which_people_mean_another_currency_is_refused_with_that_one() -> None:
    with pytest.raises(InputError, match=r"RMB is no code of ISO 4217; write CNY"):
        Money("5", "RMB")
    with pytest.raises(InputError, match=r"NTD is no code of ISO 4217; write TWD"):
        DealOpened.model_validate(
            {
                "process": "standard",
                "version": 1,
                "stage": "lead",
                "owner": "ann",
                "amount": {"amount": "5", "currency": "NTD"},
            }
        )


def test_what_was_recorded_in_such_a_code_is_read_and_reckoned_with() -> None:
    old = Money.model_validate_json('{"amount":"5","currency":"RMB"}')
    assert old == Money.recorded(Decimal(5), "RMB")
    assert old + old - (-old) == Money.recorded(Decimal(15), "RMB")
