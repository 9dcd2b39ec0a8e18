"""Refusals name things by title and key and events by number; none begins with an id."""

import json
import re

import pytest

from simulated import typed

HOUSE = """
team form east --name-en E --name-zh E --timezone Asia/Shanghai --occurred-at 2026-01-05
rep join ann --team east --name 陈安 --occurred-at 2026-01-05
customer register --name Acme --occurred-at 2026-01-05
deal open standard --title "ERP 上线" --owner ann --customer Acme --occurred-at 2026-02-02
deal open standard --title Twin --owner ann --customer Acme --occurred-at 2026-02-02
deal open standard --title Twin --owner ann --customer Acme --occurred-at 2026-02-03
deal lose "ERP 上线" --because price --occurred-at 2026-03-02
contest open spring --name-en S --name-zh S --metric orders --first-day 2026-03-01
 --last-day 2026-03-31 --occurred-at 2026-02-01
review open q1 --from 2026-01-01 --to 2026-03-31
"""
BEGINS = re.compile(r"salesflow: (?:[0-9a-f]{8}-|[a-z]+\.[a-z_]+\b)")
CODE = re.compile(r"\b[a-z]+\.[a-z]+_?[a-z]* [0-9a-f]{8}-")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> str:
    db = str(tmp_path_factory.mktemp("refused") / "house.db")
    for line in HOUSE.strip().replace("\n ", " ").splitlines():
        told = typed(line, db)
        assert told.code == 0, (line, told.err)
    return db


def ids_of(word: str, house: str, kind: str) -> list[str]:
    told = typed(f"log --kind {kind} --json", house).out.splitlines()
    return [json.loads(line)[word] for line in told]


def test_a_deal_that_was_named_by_its_id_is_called_by_its_title(house: str) -> None:
    [lost] = ids_of("stream", house, "deal.lost")
    said = typed(f'deal win {lost} --amount "1 CNY"', house).err
    assert said.startswith(
        "salesflow: deal 'ERP 上线' is already lost; to win it, reopen it first"
    )
    said = typed(f'deal win {lost} --amount "1 CNY" --lang zh', house).err
    assert "'ERP 上线'" in said


def test_two_deals_of_one_title_are_told_apart(house: str) -> None:
    one, other = sorted(ids_of("stream", house, "deal.opened"))[-2:]
    assert typed(f"deal merge-into {one} {other} --because double", house).code == 0
    said = typed(f"deal merge-into {one} {other} --because double", house).err
    assert said.startswith("salesflow: deal 'Twin' is merged into deal 'Twin' (")


def test_an_event_is_called_by_what_happened_and_its_number(house: str) -> None:
    [published] = ids_of("event_id", house, "process.published")
    said = typed(f"retract {published} --because wrong", house).err
    assert re.match(r"salesflow: Process published \(event no\. \d\): ", said), said


def test_what_is_there_and_never_changes_is_retracted(house: str) -> None:
    said = typed(
        "contest open spring --name-en S --name-zh S --metric orders --first-day 2026-03-01"
        " --last-day 2026-03-31", house
    ).err  # fmt: skip
    assert "`salesflow contest history spring`" in said
    assert "`salesflow retract`" in said
    assert "`salesflow review history q1`" in typed("review open q1 --month 2026-05", house).err
    told = typed("contest history spring --json", house).out
    first = json.loads(told)["events"][0]["event_id"]
    assert typed(f"retract {first} --because wrong", house).code == 0
    anew = "contest open spring --name-en S --name-zh S --metric orders --first-day 2026-03-01"
    assert typed(f"{anew} --last-day 2026-03-31 --occurred-at 2026-02-01", house).code == 0


@pytest.mark.parametrize(
    "line",
    [
        'deal win "ERP 上线" --amount "1 CNY"',
        'deal amend-contract "ERP 上线" --amount "1 CNY" --because x',
        'deal accept-quote "ERP 上线" Q1',
        'deal deliver-service "ERP 上线" x',
        'deal follow-up-feedback "ERP 上线" --by ann',
        'deal receive-payment "ERP 上线" "1 CNY"',
        'deal acknowledge-handover "ERP 上线"',
        'deal give-help "ERP 上线" H1 --answer x',
        "customer unmerge Acme --because x",
        "case publish c --deal Twin",
        "rep join ann --team east --name 陈安",
    ],
)
def test_no_refusal_begins_with_an_id_or_a_kind_in_code(house: str, line: str) -> None:
    told = typed(line, house)
    assert told.code != 0
    assert not BEGINS.match(told.err), told.err
    assert not CODE.search(told.err), told.err
    assert not re.search(r"(?:deal|customer) [0-9a-f]{8}-", told.err), told.err
