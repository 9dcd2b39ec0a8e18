"""Exchange rates from elsewhere: recorded once, with a source; what cannot be is refused."""

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from salesflow import SalesFlow
from salesflow.adapters.importers.rates import (
    ECB,
    ExtractedRate,
    RateImport,
    RefusedLine,
    euro_rates,
    import_rates,
    record_rates,
)
from salesflow.domain.event import FactRetracted
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished, RateTable
from salesflow.domain.wording import Message
from salesflow.errors import InputError, SalesflowError

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MARCH_2, MARCH_3 = date(2026, 3, 2), date(2026, 3, 3)
FILE = """day,base,currency,rate
2026-03-02,USD,CNY,7.2
2026-03-02,USD,EUR,0.92
2026-03-03,USD,CNY,7.21
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(FILE, encoding="utf-8")
    return path


def opened(url: str) -> SalesFlow:
    return SalesFlow(url, timezone="Asia/Shanghai", clock=lambda: NOW)


def imported(file: Path, flow: SalesFlow, *, strict: bool = False) -> RateImport:
    return import_rates(file, flow.log, source="bank", timezone=SHANGHAI, strict=strict)


def yuan(flow: SalesFlow, day: date) -> Decimal | None:
    return flow.get(RateTable, RATES_ID).rate("USD", "CNY", day)


def test_each_day_becomes_a_fact_of_that_day_with_its_source(
    database_url: str, file: Path
) -> None:
    with opened(database_url) as flow:
        done = imported(file, flow)
        assert (done.rates_told, done.rates_recorded, done.days_recorded) == (3, 3, 2)
        second, third = flow.history(RATES_ID)
        assert second.fact == RatesPublished(
            day=MARCH_2,
            base="USD",
            rates=(
                Rate(currency="CNY", rate=Decimal("7.2")),
                Rate(currency="EUR", rate=Decimal("0.92")),
            ),
            source="bank",
        )
        assert (second.source, second.source_id) == ("bank", "2026-03-02/USD")
        assert second.occurred_at == datetime(2026, 3, 2, tzinfo=SHANGHAI)
        assert second.precision == "day"
        assert second.recorded == third.recorded
        assert yuan(flow, MARCH_3) == Decimal("7.21")


def test_the_same_file_again_records_nothing_and_one_that_grew_only_what_is_new(
    database_url: str, file: Path
) -> None:
    with opened(database_url) as flow:
        imported(file, flow)
        head = flow.log.head()
        again = imported(file, flow)
        assert (again.rates_recorded, again.rates_known) == (0, 3)
        assert flow.log.head() == head
        more = FILE.replace("0.92", "0.93") + "2026-03-04,USD,CNY,7.3\n"
        file.write_text(more, encoding="utf-8")
        grown = imported(file, flow)
        assert (grown.rates_recorded, grown.rates_known) == (2, 2)
        corrected, new = flow.history(RATES_ID)[2:]
        assert isinstance(corrected.fact, RatesPublished)
        assert corrected.fact.rates == (Rate(currency="EUR", rate=Decimal("0.93")),)
        assert new.source_id == "2026-03-04/USD"


def test_what_somebody_retracted_is_not_told_again_by_the_same_file(file: Path) -> None:
    with opened("sqlite://") as flow:
        imported(file, flow)
        wrong = flow.history(RATES_ID)[1]
        with flow.session() as session:
            session.retract(wrong.event_id, because="a misprint")
        assert imported(file, flow).rates_recorded == 0
        assert yuan(flow, MARCH_3) == Decimal("7.2")
        assert isinstance(flow.history(RATES_ID)[-1].fact, FactRetracted)


def test_a_source_that_takes_its_word_back_is_believed_again() -> None:
    with opened("sqlite://") as flow:
        for rate, source in (("7.2", "a"), ("7.3", "a"), ("7.2", "a"), ("7.2", "b")):
            told = [ExtractedRate(MARCH_2, "USD", "CNY", Decimal(rate))]
            recorded = record_rates(told, flow.log, source=source, timezone=SHANGHAI)
            assert (recorded.rates, yuan(flow, MARCH_2)) == (1, Decimal(rate))


def test_a_line_that_cannot_be_right_is_refused_and_the_others_are_recorded(
    file: Path,
) -> None:
    with file.open("a", encoding="utf-8") as more:
        more.write(
            "2026-03-32,USD,CNY,7.2\n"
            "2026-06-02,USD,CNY,7.2\n"
            "2026-03-05,USD,CNY,-1\n"
            "2026-03-05,USD,CNY,seven\n"
            "2026-03-05,USD,yuan,7\n"
            "2026-03-05,USD,USD,1\n"
            "2026-03-05,USD\n"
            "2026-03-02,USD,CNY,7.9\n"
            "2026-03-02,USD,CNY,7.20\n"
            "2026-03-06,USD,CNY,7.4\n"
        )
    with opened("sqlite://") as flow:
        done = imported(file, flow)
        assert (done.rates_told, done.rates_recorded, done.lines_refused) == (4, 4, 8)
        assert [each.line for each in done.refused] == [5, 6, 7, 8, 9, 10, 11, 12]
        assert done.refused[0] == RefusedLine(
            line=5, reason=Message("'2026-03-32' is not a day; write one like 2026-03-31")
        )
        reasons = [each.reason for each in done.refused]
        assert reasons[1] == "2026-06-02 lies ahead"
        assert "'seven' is not a number" in reasons[3]
        assert reasons[4] == "'yuan' is no currency: three capital letters, such as EUR"
        assert reasons[5] == "USD is the base; it needs no rate"
        assert reasons[7] == "line 2 tells another rate of that day"
        assert yuan(flow, date(2026, 3, 6)) == Decimal("7.4")


def test_strict_records_all_of_a_file_or_nothing(file: Path) -> None:
    with file.open("a", encoding="utf-8") as more:
        more.write("2026-03-05,USD,CNY,0\n")
    with opened("sqlite://") as flow:
        head = flow.log.head()
        with pytest.raises(InputError, match=r"line 5: .*1 of 4 lines cannot be taken"):
            imported(file, flow, strict=True)
        assert flow.log.head() == head


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("day,currency,rate\n2026-03-02,CNY,7.2\n", encoding="utf-8")
    with opened("sqlite://") as flow, pytest.raises(InputError, match="has no column 'base'"):
        imported(path, flow)


def test_the_rates_of_the_central_bank_are_taken_as_they_were_published() -> None:
    told = list(euro_rates(date(2014, 3, 28), ["USD"]))
    # Friday and Monday, and nothing in between
    assert told[:2] == [
        ExtractedRate(date(2014, 3, 28), "EUR", "USD", Decimal("1.3759")),
        ExtractedRate(date(2014, 3, 31), "EUR", "USD", Decimal("1.3788")),
    ]
    assert all(each.day.isoweekday() <= 5 for each in told)
    # the lira of old was no longer quoted
    assert not list(euro_rates(date(2014, 3, 28), ["TRL"]))


def test_the_rates_of_the_central_bank_are_recorded_once() -> None:
    since = date(2026, 5, 25)
    told = [each for each in euro_rates(since) if each.day <= date(2026, 5, 29)]
    with opened("sqlite://") as flow:
        recorded = record_rates(told, flow.log, source=ECB, timezone=SHANGHAI)
        assert (recorded.rates, recorded.days) == (len(told), 5)
        assert record_rates(told, flow.log, source=ECB, timezone=SHANGHAI).rates == 0
        sunday = yuan(flow, date(2026, 5, 31))
        assert sunday == yuan(flow, date(2026, 5, 29)) != yuan(flow, date(2026, 5, 28))


def test_a_currency_the_central_bank_never_quoted_is_refused() -> None:
    with pytest.raises(InputError, match="quotes no ZZZ; it quotes AUD"):
        list(euro_rates(date(2026, 1, 1), ["ZZZ"]))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "currency_converter", None)
    with pytest.raises(SalesflowError, match=r"pip install 'salesflow\[fx\]'"):
        list(euro_rates(date(2026, 1, 1)))
