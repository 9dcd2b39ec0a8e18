"""Exchange rates at the terminal: imported, published, listed, and used."""

import json
from pathlib import Path

import pytest

from simulated import ran

FILE = "day,base,currency,rate\n2026-03-02,USD,CNY,7.2\n2026-03-03,USD,CNY,7.3\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bank.csv"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    return tmp_path / "rates.db"


def test_a_file_of_rates_is_imported_once_and_listed(sheet: Path, file: Path) -> None:
    into = ("--db", str(sheet))
    first = ran("import", "rates", str(file), *into)
    assert "Rates recorded   2" in first.out
    again = json.loads(ran("import", "rates", str(file), "--json", *into).out)
    assert (again["rates_recorded"], again["rates_known"]) == (0, 2)
    assert "USD        CNY    7.3   2026-03-03   bank.csv" in ran("rates", "list", *into).out
    earlier = json.loads(ran("rates", "list", "--on", "2026-03-02", "--json", *into).out)
    assert earlier == [
        {"base": "USD", "currency": "CNY", "day": "2026-03-02", "rate": "7.2",
         "source": "bank.csv"}
    ]  # fmt: skip
    before = ran("rates", "list", "--known-at", "2020-01-01", *into)
    assert (before.code, "no exchange rates are known" in before.err) == (2, True)


def test_lines_that_are_refused_are_shown_and_a_file_of_them_fails(
    sheet: Path, file: Path
) -> None:
    file.write_text(f"{FILE}2026-03-04,USD,CNY,much\n", encoding="utf-8")
    told = ran("import", "rates", str(file), "--db", str(sheet))
    assert told.code == 0
    assert "4   'much' is not a number" in told.out
    strict = ran("import", "rates", str(file), "--strict", "--db", str(sheet.with_name("b")))
    assert (strict.code, "nothing was recorded" in strict.err) == (2, True)
    assert not sheet.with_name("b").exists()
    file.write_text("day,base,currency,rate\n2026-03-04,USD,CNY,much\n", encoding="utf-8")
    nothing = ran("import", "rates", str(file), "--db", str(sheet))
    assert (nothing.code, "every line" in nothing.err) == (1, True)


def test_rates_are_published_by_hand(db: str) -> None:
    said = ("--source", "treasury", "--actor", "u-9", "--db", db)
    published = ("rates", "publish", "--day", "2026-03-02", "--base", "USD")
    assert ran(*published, "CNY=7.2", "EUR=0.92", *said).code == 0
    assert "recorded as event no." in ran(*published, "CNY=7.25", *said).out
    listed = json.loads(ran("rates", "list", "--db", db, "--json").out)
    assert {each["currency"]: each["rate"] for each in listed} == {"CNY": "7.25", "EUR": "0.92"}
    for wrong, reason in (
        ("CNY", "'CNY' is not a rate; write one like CNY=7.21"),
        ("CNY=x", "'x' is not a number"),
        ("USD=1", "USD is the base"),
    ):
        refused = ran(*published, wrong, *said)
        assert (refused.code, reason in refused.err) == (2, True), refused.err


def test_rates_of_the_central_bank_are_imported_since_a_day(sheet: Path) -> None:
    given = ("import", "ecb", "--since", "2025-01-02", "--currency", "USD", "--db", str(sheet))
    done = json.loads(ran(*given, "--json").out)
    assert done["source"] == "European Central Bank"
    assert done["rates_told"] == done["rates_recorded"] == done["days_recorded"] > 250
    assert json.loads(ran(*given, "--json").out)["rates_recorded"] == 0
    assert "is not a day" in ran("import", "ecb", "--since", "then", "--db", str(sheet)).err


def test_a_question_names_the_currency_and_the_rule_at_the_terminal(db: str) -> None:
    ran("rates", "publish", "CNY=7.2", "--day", "2026-03-01", "--base", "USD",
        "--source", "bank", "--db", db)  # fmt: skip
    asked = ("ask", "funnel", "--report-currency", "CNY", "--db", db)
    told = ran(*asked, "--as-of", "2026-03-31")
    # 7,000 USD at 7.2
    assert "50,400 CNY" in told.out
    assert "in CNY at the last rate on or before the period end or the moment" in told.out
    said = json.loads(ran(*asked, "--as-of", "2026-03-31", "--json").out)
    assert said["rates"]["sources"] == ["bank"]
    assert said["formula"].endswith("(rates of 2026-03-01), source bank")
    refused = ran(*asked, "--rates", "closing")
    assert (refused.code, "'period_end', 'fixed'" in refused.err) == (2, True)
    chinese = ran(*asked, "--as-of", "2026-03-31", "--lang", "zh")
    assert "折算为 CNY" in chinese.out
    assert "no report currency is set" in ran("ask", "kpis", "--rates", "event", "--db", db).err


def test_rates_told_in_both_directions_that_disagree_are_named(sheet: Path, file: Path) -> None:
    file.write_text(
        "day,base,currency,rate\n2026-03-02,EUR,USD,1.0845\n2026-03-02,USD,EUR,0.9221\n"
        "2026-03-02,EUR,GBP,0.85\n2026-03-02,GBP,EUR,1.30\n",
        encoding="utf-8",
    )
    said = "told in both directions and disagreeing, the first counts: EUR GBP 0.85"
    into = ("--db", str(sheet))
    for out in (ran("import", "rates", str(file), *into).out, ran("rates", "list", *into).out):
        told = " ".join(out.split())
        assert said in told
        assert "GBP EUR 1.30" in told or "GBP EUR 1.3" in told
        assert "EUR USD 1.0845 (" not in told, "its inverse is the other, as rounded"
