"""How a tenant keeps its books: settings, exchange rates."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from given import event, read
from salesflow import SalesFlow
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished, RateTable
from salesflow.domain.settings import SETTINGS_ID, ClockAccepted, Settings, SettingsChanged
from salesflow.domain.time import zone
from salesflow.errors import InputError, RuleError

APRIL = FiscalCalendar(start_month=4)


def test_a_tenant_begins_with_a_time_zone() -> None:
    settings = Settings.begin(timezone="Asia/Shanghai", report_currency="CNY")
    assert settings.id == SETTINGS_ID
    assert settings.pending[0].fact == SettingsChanged(
        timezone="Asia/Shanghai", report_currency="CNY"
    )
    assert (settings.timezone.key, settings.report_currency) == ("Asia/Shanghai", "CNY")
    assert settings.working_days == (1, 2, 3, 4, 5)
    assert settings.fiscal_calendar == FiscalCalendar()


def test_before_anything_is_set_the_books_are_kept_in_utc() -> None:
    assert Settings.new(SETTINGS_ID).timezone.key == "UTC"
    assert Settings.begin().timezone.key == "UTC"


def test_what_is_not_named_stays_as_it_was() -> None:
    settings = read(Settings, [SettingsChanged(timezone="Asia/Shanghai")], id=SETTINGS_ID)
    settings.change(fiscal_calendar=APRIL, working_days=(6, 1, 1))
    assert settings.timezone.key == "Asia/Shanghai"
    assert (settings.fiscal_calendar, settings.working_days) == (APRIL, (1, 6))
    settings.change(report_currency="EUR", timezone="Europe/Berlin")
    assert (settings.report_currency, settings.timezone.key) == ("EUR", "Europe/Berlin")
    assert settings.working_days == (1, 6)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="'Mars/Base' is not a time zone"):
        Settings.begin(timezone="Mars/Base")
    settings = Settings.begin()
    with pytest.raises(InputError, match="name at least one setting"):
        settings.change()
    with pytest.raises(InputError, match="name at least one working day"):
        settings.change(working_days=())
    with pytest.raises(InputError, match="working_days"):
        settings.change(working_days=(8,))
    with pytest.raises(InputError, match="report_currency"):
        settings.change(report_currency="yuan")


def test_a_time_zone_this_host_does_not_know_counts_as_utc_but_can_be_read() -> None:
    settings = read(Settings, [SettingsChanged(timezone="Mars/Base")], id=SETTINGS_ID)
    assert settings.timezone.key == "UTC"


def test_a_clock_behind_the_log_is_accepted_on_record() -> None:
    settings = read(Settings, [SettingsChanged(timezone="UTC")], id=SETTINGS_ID)
    settings.accept_clock(because="the clock ran ahead in May")
    assert settings.pending[0].fact == ClockAccepted(because="the clock ran ahead in May")


def test_a_clock_is_not_accepted_without_a_reason() -> None:
    with pytest.raises(InputError, match="needs a reason"):
        Settings.begin().accept_clock(because=" ")


def test_settings_are_changed_back_and_not_retracted() -> None:
    facts = [SettingsChanged(timezone="UTC"), SettingsChanged(timezone="Asia/Shanghai")]
    settings = read(Settings, facts, id=SETTINGS_ID)
    with pytest.raises(RuleError, match="changed and never taken back"):
        settings.retract(event(2), because="typo")
    settings.change(timezone="UTC")
    assert settings.timezone.key == "UTC"


def table() -> RateTable:
    rates = RateTable.begin(
        day=date(2026, 3, 2),
        base="EUR",
        rates={"CNY": "8", "USD": Decimal("1.1")},
        source="ECB",
    )
    rates.publish(day=date(2026, 3, 4), base="EUR", rates={"CNY": "7.5"}, source="ECB")
    return rates


def test_rates_are_published_with_day_base_and_source() -> None:
    rates = table()
    assert rates.id == RATES_ID
    assert rates.pending[0].fact == RatesPublished(
        day=date(2026, 3, 2),
        base="EUR",
        rates=(
            Rate(currency="CNY", rate=Decimal(8)),
            Rate(currency="USD", rate=Decimal("1.1")),
        ),
        source="ECB",
    )


@pytest.mark.parametrize(
    ("source", "target", "day", "rate"),
    [
        ("EUR", "CNY", date(2026, 3, 2), Decimal(8)),
        ("EUR", "CNY", date(2026, 3, 3), Decimal(8)),
        ("EUR", "CNY", date(2026, 3, 4), Decimal("7.5")),
        ("CNY", "EUR", date(2030, 1, 1), 1 / Decimal("7.5")),
        ("USD", "CNY", date(2026, 3, 2), 8 / Decimal("1.1")),
        ("EUR", "CNY", date(2026, 3, 1), None),
        ("EUR", "JPY", date(2026, 3, 4), None),
        ("CNY", "CNY", date(1999, 1, 1), Decimal(1)),
    ],
)
def test_the_last_rate_on_or_before_a_day_holds(
    source: str, target: str, day: date, rate: Decimal | None
) -> None:
    assert table().rate(source, target, day) == rate


def test_a_later_publication_of_the_same_day_replaces_the_rate() -> None:
    rates = table()
    rates.publish(day=date(2026, 3, 2), base="EUR", rates={"CNY": "8.2"}, source="bank")
    assert rates.rate("EUR", "CNY", date(2026, 3, 2)) == Decimal("8.2")


def test_rates_that_lead_nowhere_are_refused() -> None:
    rates = table()
    day = date(2026, 3, 5)
    with pytest.raises(InputError, match="no rates are given"):
        rates.publish(day=day, base="EUR", rates={}, source="ECB")
    with pytest.raises(InputError, match="EUR is the base"):
        rates.publish(day=day, base="EUR", rates={"EUR": "1"}, source="ECB")
    for wrong in ("-1", "0", "much"):
        with pytest.raises(InputError):
            rates.publish(day=day, base="EUR", rates={"CNY": wrong}, source="ECB")


def test_a_zone_is_the_same_under_its_old_name(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url, timezone="Asia/Kolkata"):
        pass
    with SalesFlow(sqlite_url, timezone="Asia/Calcutta") as flow:
        assert flow.settings().timezone.key == "Asia/Kolkata"
    with pytest.raises(InputError, match="change the setting") as caught:
        SalesFlow(sqlite_url, timezone="Asia/Kathmandu")
    assert "s.get(Settings, SETTINGS_ID).change(timezone='Asia/Kathmandu')" in str(caught.value)
    with SalesFlow(sqlite_url) as flow, flow.session() as s:
        s.get(Settings, SETTINGS_ID).change(timezone="Asia/Kathmandu")
    with SalesFlow(sqlite_url, timezone="Asia/Katmandu") as flow:
        assert flow.settings().timezone.key == "Asia/Kathmandu"


@pytest.mark.parametrize("name", ["Europe", "A" * 300, "", "\0", "../etc/passwd", 5, None])
def test_what_is_no_zone_is_refused_in_one_sentence(name: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match="is not a time zone") as caught:
        zone(name)
    assert len(str(caught.value)) < 300


def test_a_fiscal_year_may_begin_in_mid_month() -> None:
    calendar = FiscalCalendar(start_month=4, start_day=6)
    day = date(2026, 4, 5)
    assert calendar.span("year", day) == (date(2025, 4, 6), day)
    assert calendar.span("quarter", day) == (date(2026, 1, 6), day)
    assert calendar.span("month", day) == (date(2026, 3, 6), day)
    assert calendar.numbers(day) == (2026, 4, 12)
    assert calendar.span("month", date(2026, 4, 6)) == (date(2026, 4, 6), date(2026, 5, 5))
    with pytest.raises(InputError, match="start_day"):
        FiscalCalendar(pattern="4-4-5", anchor=date(2024, 12, 30), start_day=6)
    with pytest.raises(InputError, match="start_day"):
        FiscalCalendar(start_day=29)
