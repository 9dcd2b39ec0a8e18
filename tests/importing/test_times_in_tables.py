"""How times are read that stand in tables."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.times import (
    Ambiguous,
    MissingZoneError,
    Nonexistent,
    Rules,
    TimeReader,
)
from salesflow.domain.time import from_instant

BERLIN = ZoneInfo("Europe/Berlin")


def read(
    text: str,
    *formats: str,
    zone: ZoneInfo | None = BERLIN,
    day_zone: ZoneInfo | None = None,
    days: bool = False,
    ambiguous: Ambiguous = "earlier",
    nonexistent: Nonexistent = "shift",
) -> str:
    reader = TimeReader(
        formats or ("iso",),
        zone,
        rules=Rules(ambiguous, nonexistent),
        days=days,
        day_zone=day_zone,
    )
    found = reader.read(text)
    shown = from_instant(found.instant).isoformat()
    return f"{shown} (day)" if found.precision == "day" else shown


def note(text: str) -> str | None:
    return TimeReader(("iso",), BERLIN).read(text).note


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2016-03-03T16:31:41.007000+01:00", "2016-03-03T15:31:41.007000+00:00"),
        ("2016-03-03T16:31:41.007Z", "2016-03-03T16:31:41.007000+00:00"),
        ("2016-03-03 16:31:41 UTC", "2016-03-03T16:31:41+00:00"),
        ("2016-03-03 16:31:41.5 +01:00", "2016-03-03T15:31:41.500000+00:00"),
        ("2016-03-03 16:31:41+0100", "2016-03-03T15:31:41+00:00"),
        ("2016-07-03 16:31", "2016-07-03T14:31:00+00:00"),
        ("2016-03-03", "2016-03-02T23:00:00+00:00 (day)"),
        ("20160303", "2016-03-02T23:00:00+00:00 (day)"),
    ],
)
def test_an_iso_time_is_read_in_all_its_forms(text: str, instant: str) -> None:
    assert read(text) == instant


@pytest.mark.parametrize(
    ("text", "pattern", "instant"),
    [
        ("07/04/2016", "%m/%d/%Y", "2016-07-03T22:00:00+00:00 (day)"),
        ("07/04/16 03:05 PM", "%m/%d/%y %I:%M %p", "2016-07-04T13:05:00+00:00"),
        ("4.7.2016 15:05", "%d.%m.%Y %H:%M", "2016-07-04T13:05:00+00:00"),
        ("2016年7月4日", "%Y年%m月%d日", "2016-07-03T22:00:00+00:00 (day)"),
        (
            "2016-07-04T15:05:06.007Z",
            "%Y-%m-%dT%H:%M:%S.%fZ",
            "2016-07-04T15:05:06.007000+00:00",
        ),
        ("4 Jul 2016 15:05 UTC", "%d %b %Y %H:%M UTC", "2016-07-04T15:05:00+00:00"),
        ("2016/07/04 15:05:06+08:00", "%Y/%m/%d %H:%M:%S%z", "2016-07-04T07:05:06+00:00"),
        ("1457019101007", "epoch_ms", "2016-03-03T15:31:41.007000+00:00"),
        ("1457019101.25", "epoch_s", "2016-03-03T15:31:41.250000+00:00"),
    ],
)
def test_a_format_of_the_mapping_is_followed(text: str, pattern: str, instant: str) -> None:
    assert read(text, pattern) == instant


def test_the_first_format_that_fits_counts() -> None:
    assert read("31/12/2016", "%m/%d/%Y", "%d/%m/%Y").startswith("2016-12-30T23")


@pytest.mark.parametrize("text", ["soon", "2016-13-01", "2016-02-30", "0", "31/12/2016", "-"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RowError, match="not a time"):
        read(text)


def test_a_time_before_1900_is_refused() -> None:
    with pytest.raises(RowError, match="1900"):
        read("0001-01-01")


def test_a_local_time_that_happened_twice_is_the_earlier_unless_said_otherwise() -> None:
    assert read("2016-10-30 02:30") == "2016-10-30T00:30:00+00:00"
    assert read("2016-10-30 02:30", ambiguous="later") == "2016-10-30T01:30:00+00:00"
    assert "took the earlier" in str(note("2016-10-30 02:30"))
    with pytest.raises(RowError, match="twice"):
        read("2016-10-30 02:30", ambiguous="refuse")


def test_a_local_time_that_never_was_is_as_much_later() -> None:
    assert read("2016-03-27 02:30") == "2016-03-27T01:30:00+00:00"
    assert "never was" in str(note("2016-03-27 02:30"))
    with pytest.raises(RowError, match="never was"):
        read("2016-03-27 02:30", nonexistent="refuse")


def test_a_time_with_an_offset_is_never_ambiguous() -> None:
    assert note("2016-10-30 02:30+01:00") is None


def test_a_day_without_a_midnight_begins_when_clocks_were_put_forward() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    assert read("2018-11-04", zone=zone) == "2018-11-04T03:00:00+00:00 (day)"


def test_digits_finer_than_a_microsecond_are_reported() -> None:
    assert read("2016-03-03T16:31:41.1234567Z") == "2016-03-03T16:31:41.123456+00:00"
    assert "finer" in str(note("2016-03-03T16:31:41.1234567Z"))
    assert note("2016-03-03T16:31:41.1234560Z") is None


def test_days_are_days_of_the_business_and_times_of_the_source() -> None:
    utc = ZoneInfo("UTC")
    assert read("2016-07-04", zone=utc, day_zone=BERLIN) == "2016-07-03T22:00:00+00:00 (day)"
    assert read("2016-07-04 10:00", zone=utc, day_zone=BERLIN) == "2016-07-04T10:00:00+00:00"


def test_a_midnight_may_stand_for_a_day() -> None:
    assert read("2016-07-04 00:00:00", days=True) == "2016-07-03T22:00:00+00:00 (day)"


def test_a_time_without_a_zone_needs_one() -> None:
    with pytest.raises(MissingZoneError, match="--timezone"):
        read("2016-07-04 10:00", zone=None)
    with pytest.raises(MissingZoneError, match="--timezone"):
        read("2016-07-04", zone=None)
    assert read("2016-07-04 10:00Z", zone=None) == "2016-07-04T10:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "name", "instant"),
    [
        ("45383", "excel", "2024-03-31T22:00:00+00:00 (day)"),
        ("45383.0", "excel", "2024-03-31T22:00:00+00:00 (day)"),
        ("45383.75", "excel", "2024-04-01T16:00:00+00:00"),
        ("45383,75", "excel", "2024-04-01T16:00:00+00:00"),
        ("45383.7506944444", "excel", "2024-04-01T16:01:00+00:00"),
        ("45383.9999999999", "excel", "2024-04-01T22:00:00+00:00"),
        ("61", "excel", "1900-02-28T23:00:00+00:00 (day)"),
        ("59", "excel", "1900-02-27T23:00:00+00:00 (day)"),
        ("43921", "excel_1904", "2024-03-31T22:00:00+00:00 (day)"),
        ("43921.5", "excel_1904", "2024-04-01T10:00:00+00:00"),
        ("0", "excel_1904", "1903-12-31T23:00:00+00:00 (day)"),
    ],
)
def test_a_day_number_of_a_spreadsheet_is_read(text: str, name: str, instant: str) -> None:
    assert read(text, name) == instant


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("60", "excel", "29 February 1900 in Excel, a day that never was"),
        ("0.5", "excel", "no day number"),
        ("-1", "excel_1904", "no day number"),
        ("1680311384", "excel", "as epoch_s it is 2023-04-01"),
        ("2958466", "excel", "no day number"),
        ("4.5383E+04", "excel", "not a time"),
        ("1900-02-29", "iso", "not a time"),
        ("29/02/1900", "%d/%m/%Y", "not a time"),
    ],
)
def test_a_day_that_spreadsheets_do_not_have_is_refused(
    text: str, name: str, match: str
) -> None:
    with pytest.raises(RowError, match=match):
        read(text, name)


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("45383", "iso", r"2024-04-01 when read as a day number of Excel: formats = \["),
        ("1680311384", "iso", "2023-04-01 when read as epoch_s"),
        ("1680311384000", "%d/%m/%Y", "2023-04-01 when read as epoch_ms"),
        ("1680311384000000", "iso", "2023-04-01 when read as epoch_us"),
        ("1680311384", "epoch_ms", "in 1970 when read as epoch_ms; as epoch_s it is 2023"),
        (
            "1680311384000",
            "epoch_s",
            "out of range when read as epoch_s; as epoch_ms it is 2023",
        ),
        ("1680311384000", "epoch_us", "in 1970 when read as epoch_us; as epoch_ms it is 2023"),
        ("1680311384000000", "epoch_ms", "when read as epoch_ms; as epoch_us it is 2023"),
        (
            "45383",
            "epoch_s",
            "in 1970 when read as epoch_s; as a day number of Excel it is 2024",
        ),
    ],
)
def test_a_number_counted_in_another_unit_is_refused_and_the_unit_named(
    text: str, name: str, match: str
) -> None:
    with pytest.raises(RowError, match=match):
        read(text, name)


@pytest.mark.parametrize("text", ["0", "86400", "-86400", "315532800"])
def test_a_number_that_fits_no_other_unit_is_taken(text: str) -> None:
    assert read(text, "epoch_s").startswith(("1970", "1969", "1980"))


def test_a_value_that_two_formats_read_as_two_times_is_refused() -> None:
    both = ("%d/%m/%Y", "%m/%d/%Y")
    with pytest.raises(RowError, match="2025-01-12 by %d/%m/%Y and 2025-12-01 by %m/%d/%Y"):
        read("12/01/2025", *both)
    assert read("12/31/2025", *both).startswith("2025-12-30T23")
    assert read("07/07/2025", *both).startswith("2025-07-06T22")
    first = TimeReader(both, BERLIN, rules=Rules(disagreeing="first")).read("12/01/2025")
    assert first.day == date(2025, 1, 12)
    assert "took the first" in str(first.note)


PHOENIX = ZoneInfo("America/Phoenix")


@pytest.mark.parametrize(
    ("text", "name"),
    [("2023-04-01T01:09:44Z", "iso"), ("1680311384000", "epoch_ms"), ("1680311384", "epoch_s")],
)
def test_the_day_of_an_instant_is_its_day_in_the_zone_of_days(text: str, name: str) -> None:
    reader = TimeReader((name,), PHOENIX, days=True)
    assert reader.day(text) == (date(2023, 3, 31), None)
    assert reader.read(text).day == date(2023, 3, 31)
    utc = TimeReader((name,), PHOENIX, cut_zone=ZoneInfo("UTC"))
    assert utc.day(text)[0] == date(2023, 4, 1)


def test_the_day_of_a_time_in_another_zone_is_its_day_in_the_zone_of_days() -> None:
    reader = TimeReader(("iso",), ZoneInfo("UTC"), day_zone=PHOENIX)
    assert reader.day("2023-04-01 01:09:44")[0] == date(2023, 3, 31)
    assert reader.day("2023-04-01 00:00:00")[0] == date(2023, 4, 1)
    assert TimeReader(("iso",), PHOENIX).day("2023-04-01 01:09:44")[0] == date(2023, 4, 1)


def test_a_midnight_that_falls_on_the_day_before_is_reported() -> None:
    day, note = TimeReader(("iso",), PHOENIX).day("2023-04-01T00:00:00Z")
    assert day == date(2023, 3, 31)
    assert 'say timezone = "UTC" for this column' in str(note)


def test_the_day_of_an_instant_needs_a_zone() -> None:
    with pytest.raises(MissingZoneError, match="--timezone"):
        TimeReader(("iso",), None).day("2023-04-01T01:09:44Z")


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_every_time_written_with_its_offset_comes_back(local: datetime) -> None:
    at = local.replace(tzinfo=UTC).astimezone(BERLIN)
    assert read(at.isoformat()) == at.astimezone(UTC).isoformat()


@settings(deadline=None)
@given(st.dates(min_value=date(1901, 1, 1), max_value=date(2100, 1, 1)))
def test_every_day_begins_at_its_local_midnight(day: date) -> None:
    instant = from_instant(TimeReader(("iso",), BERLIN).read(day.isoformat()).instant)
    assert instant.astimezone(BERLIN).date() == day
    assert (instant - timedelta(microseconds=1)).astimezone(BERLIN).date() < day
