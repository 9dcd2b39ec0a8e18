"""Numbers below 0 as people type them: behind an option, or where an argument stands."""

import json

import pytest

from simulated import ran, typed

HOUSE = """
team form east --name-en East --name-zh 华东 --timezone Asia/Shanghai --occurred-at 2026-01-01
rep join ann --team east --name 陈安 --occurred-at 2026-01-01
deal open standard --title ERP --owner ann --amount "900000 CNY" --occurred-at 2026-02-02
deal win ERP --occurred-at 2026-05-20
plan publish ae --name-en AE --name-zh 客户 --currency CNY --starts 2026-01-01 --terms '{"rate": "0.05"}' --occurred-at 2026-01-01
statement issue ann --month 2026-05 --occurred-at 2026-06-02
"""  # noqa: E501 - as typed


@pytest.mark.parametrize(
    "line", ["-500 --because typo", "--because typo -500", "-.5 --because x"]
)
def test_an_argument_may_be_a_number_below_nothing(house: str, line: str) -> None:
    told = typed(f"statement correct ae ann 2026-05-01 {line} --json", house)
    assert told.code == 0, told.err
    [event] = json.loads(told.out)["recorded"]
    assert event["fact"]["amount"] in ("-500", "-0.5")


def test_so_may_what_an_option_takes(house: str) -> None:
    line = "figure report trend --value -5 --unit points --source x --month 2026-05 --json"
    told = typed(line, house)
    assert told.code == 0, told.err
    assert json.loads(told.out)["recorded"][0]["fact"]["value"] == "-5"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("deal give-refund ERP '-500 CNY' --because x", "-500 CNY is not more than nothing"),
        ("deal forecast ERP --amount '-500 CNY'", "-500 CNY is less than nothing"),
        ("deal open standard --title X --owner ann --amount '-5 CNY'", "less than nothing"),
        ("deal show ERP -5", "unexpected extra argument(s) (-5)"),
    ],
)
def test_where_it_means_nothing_it_is_refused_in_words_of_its_own(
    house: str, line: str, says: str
) -> None:
    told = typed(line, house)
    assert told.code != 0
    assert says in told.err
    assert "No such option" not in told.err


def test_a_word_that_begins_with_a_dash_is_still_no_argument() -> None:
    told = ran("deal", "show", "-x")
    assert (told.code, "No such option: -x" in told.err) == (2, True)
