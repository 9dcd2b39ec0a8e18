"""Statements on the command line: what is issued, and what is still to be paid."""

import json
from itertools import count
from pathlib import Path

import pytest

from questions.paying import corrected, issued, payroll, plan, won
from simulated import Ran, ran, typed


def cells(text: str, name: str) -> list[str]:
    """Give what stands in the last column, of lines that begin with a name."""
    return [line.split("  ")[-1].strip() for line in text.splitlines() if name in line]


def test_a_list_of_statements_and_each_of_them_say_what_is_not_paid_yet(
    sqlite_url: str,
) -> None:
    march = (plan(), won(1, "03-10", "10000"), issued("04-01", "2026-03"))
    with payroll(*march, corrected("04-02", "2026-03", "-200"), url=sqlite_url) as found:
        listed = ran("statement", "list", "--db", sqlite_url)
        assert "Not paid yet" in listed.out
        assert cells(listed.out, "2026-03") == ["-200 CNY"]
        shown = ran("statement", "show", "ae", "ann", "2026-03-01", "--db", sqlite_url)
        assert cells(shown.out, "Not paid yet") == ["-200 CNY"]
        found.play(issued("2027-06-02", "2026-07"))  # with the next one that is issued
        listed = ran("statement", "list", "--db", sqlite_url)
        assert cells(listed.out, "2026-03") == ["–"]
        then = ran("statement", "list", "--as-of", "2026-05-01", "--db", sqlite_url)
        assert cells(then.out, "2026-03") == ["-200 CNY"]


SOLD = """
deal open standard --title Line --owner ann --amount "10000 CNY" --occurred-at 2026-03-01
deal win Line --occurred-at 2026-03-10
deal receive-payment Line "10000 CNY" --occurred-at 2026-03-20
"""
NOTED = {
    'deal receive-payment Line "2000 CNY"': "2,000 CNY more has come in than is sold",
    'deal receive-payment Line "0.01 USD"': "is sold in CNY, not in USD: 0.01 USD counts for",
    'deal issue-invoice Line "500 USD"': "record how much that is in CNY",
    'deal issue-invoice Line "500 CNY"': "",
    'deal amend-contract Line "1500 USD" --because scope': (
        "was worth 10,000 CNY before: it is sold for 1,500 USD from then on"
    ),
    'deal amend-contract Line "12000 CNY" --because scope': "",
    'deal reopen Line --because scope; deal win Line --amount "5 USD"': (
        "where the currency is a slip, retract this and record it in CNY"
    ),
    "deal reopen Line --because scope; deal win Line": "",
    'deal give-refund Line "500 CNY" --because late': "sales fall by 500 CNY",
    'deal receive-payment Line "1000 CNY"; deal give-refund Line "1000 CNY" --because twice'
    " --overpayment": "sales and commission stay as they are",
    'deal receive-payment Line "1000 CNY"; deal give-refund Line "1000 CNY" --because twice': (
        "1,000 CNY more has come in than is sold; where this refund sends that back, retract it"
    ),
    "deal add-collaborator Line dan --credit 40%": "the deal was won on 2026-03-10",
    "deal add-collaborator Line dan --credit 40% --occurred-at 2026-03-05": "",
    "deal assign-owner Line bob": "stay with owner and shares of that time",
}


@pytest.mark.parametrize(("lines", "says"), NOTED.items(), ids=count())
def test_whoever_records_money_or_shares_of_a_win_is_told_what_that_does_to_its_sale(
    sqlite_url: str, lines: str, says: str
) -> None:
    for line in SOLD.strip().splitlines():
        assert typed(line, sqlite_url).code == 0
    told = [typed(line, sqlite_url) for line in lines.split("; ")]
    assert not any(each.code for each in told)
    notes = " ".join(told[-1].err.split())
    assert says in notes
    assert ("sale" in notes or "sold" in notes) == bool(says), notes


def test_what_is_taken_back_of_a_sale_is_in_its_currency(sqlite_url: str) -> None:
    """Or sales of nothing in another currency would fall below nothing."""
    for line in SOLD.strip().splitlines():
        typed(line, sqlite_url)
    typed('deal receive-payment Line "500 USD"', sqlite_url)
    for amount in ("100 USD", "100 EUR"):
        refused = typed(f'deal give-refund Line "{amount}" --because late', sqlite_url)
        said = " ".join(refused.err.split())
        assert refused.code == 1
        assert f"was sold for 10,000 CNY, so {amount} cannot be taken back of it" in said
    back = typed('deal give-refund Line "500 USD" --because x --overpayment', sqlite_url)
    assert back.code == 0
    more = typed('deal give-refund Line "1 EUR" --because x --overpayment', sqlite_url)
    assert (more.code, "sold for 10,000 CNY" in " ".join(more.err.split())) == (1, True)


@pytest.fixture
def two_reps(sqlite_url: str) -> str:
    """A plan, and a sale of each of two reps."""
    with payroll(
        plan(), won(1, "03-10", "10000"), won(2, "03-10", "20000", by="bob"), url=sqlite_url
    ):
        return sqlite_url


def issue_of(tmp_path: Path, asked: object, database: str) -> Ran:
    file = tmp_path / "issue.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    return ran("statement", "issue", "--input", str(file), "--db", database)


def test_the_statements_of_several_reps_are_issued_together_from_a_file(
    two_reps: str, tmp_path: Path
) -> None:
    both = [{"rep": "ann", "month": "2026-03"}, {"rep": "bob", "from": "2026-03-01"}]
    told = issue_of(tmp_path, both, two_reps)
    assert told.code == 0, told.err
    listed = ran("statement", "list", "--db", two_reps).out
    assert ("500 CNY" in listed, "1,000 CNY" in listed) == (True, True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"month": "2026-03"}, "REP is missing"),
        ([{"rep": "ann", "month": "2026-03"}, {"rep": "zoe", "month": "2026-03"}], "object 2"),
        (
            [{"rep": "ann", "month": "2026-03"}, {"rep": "ann", "month": "2026-04"}],
            "two statements of 'ann' cannot be issued together",
        ),
        ({"rep": "ann", "year": 2026}, "is settled by the month"),
        ({"rep": "ann", "monthly": "2026-03"}, "there is no 'monthly'"),
    ],
    ids=count(),
)
def test_a_file_of_statements_that_cannot_be_issued_is_refused_whole(
    two_reps: str, tmp_path: Path, asked: object, says: str
) -> None:
    told = issue_of(tmp_path, asked, two_reps)
    assert told.code
    assert says in " ".join(told.err.split())
    assert json.loads(ran("statement", "list", "--json", "--db", two_reps).out)["things"] == []
