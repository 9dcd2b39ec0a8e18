"""What is recorded twice, or again after a retraction, by the command line."""

import json
from pathlib import Path

import pytest

from simulated import typed

HOUSE = """
team form north --name-en North --name-zh 华北 --timezone Asia/Shanghai --occurred-at 2026-01-05
rep join wang --team north --name 王芳 --occurred-at 2026-01-05
customer register --name Acme
deal open standard --title ERP --owner wang --customer Acme --occurred-at 2026-02-02
training offer spin --name-en SPIN --name-zh 顾问式 --occurred-at 2026-01-05
goal set q3 --metric orders --target 1 --first-day 2026-07-01 --last-day 2026-09-30 --strategy s --why-achievable x --team north --occurred-at 2026-06-20
goal check-in q3 --confidence 0.7 --occurred-at 2026-07-20
"""  # noqa: E501 - as typed
GOAL = (
    "goal set q3 --metric orders --target 2 --first-day 2026-07-01 --last-day 2026-09-30"
    " --strategy s --why-achievable x --team north --occurred-at 2026-06-21"
)


def retract_opening(of: str, database: str) -> None:
    told = typed(f"{of} --json", database)
    event = json.loads(told.out)["events"][0]["event_id"]
    told = typed(f"retract {event} --because mistyped", database)
    assert told.code == 0, told.err


def test_a_thing_whose_opening_was_retracted_is_opened_again_with_what_it_had(
    house: str,
) -> None:
    retract_opening("goal history q3", house)
    assert typed("goal show q3", house).code == 2
    told = typed(GOAL, house)
    assert told.code == 0, told.err
    assert "note: goal 'q3' was opened before" in told.err
    shown = json.loads(typed("goal show q3 --json", house).out)
    assert (shown["target"], shown["check_ins"][0]["confidence"]) == ("2", "0.7")


@pytest.mark.parametrize(
    ("of", "again"),
    [
        ("team history north", "team form north --name-en North --name-zh 华北"),
        ("rep history wang", "rep join wang --team north --name 王方"),
        ("training history spin", "training offer spin --name-en Spin --name-zh 顾问"),
    ],
)
def test_whatever_has_a_key_can_be_recorded_anew_once_its_opening_was_retracted(
    house: str, of: str, again: str
) -> None:
    retract_opening(of, house)
    told = typed(f"{again} --occurred-at 2026-01-04", house)
    assert (told.code, told.err) == (0, "")
    told = typed(f"{again} --occurred-at 2026-01-04", house)
    assert (told.code, "is there already; change it with `salesflow " in told.err) == (2, True)


def test_a_deal_opened_twice_is_recorded_with_a_note(house: str, tmp_path: Path) -> None:
    file = tmp_path / "deals.json"
    deal = {"process": "standard", "title": "MES", "owner": "wang", "customer": "Acme"}
    file.write_text(json.dumps([{**deal, "occurred_at": "2026-03-02"}]))
    assert typed(f"deal open --input {file}", house).err == ""
    told = typed(f"deal open --input {file}", house)
    assert told.code == 0
    assert "a deal of this title, customer and day exists already, 'MES': 0" in told.err
    file.write_text(json.dumps([{**deal, "occurred_at": "2026-03-03"}]))
    assert typed(f"deal open --input {file}", house).err == ""


def test_a_customer_of_a_name_that_is_there_is_recorded_with_a_note(house: str) -> None:
    told = typed("customer register --name acme", house)
    assert told.code == 0
    assert "a customer of this name exists already" in told.err


def test_a_command_id_given_to_something_else_records_nothing_and_says_so(house: str) -> None:
    assert typed("deal state-intent ERP high --command-id c1", house).code == 0
    again = typed("deal state-intent ERP high --command-id c1", house)
    assert (again.code, "recorded before" in again.out) == (0, True)
    other = typed("deal state-intent ERP low --command-id c1", house)
    assert (other.code, other.out) == (2, "")
    assert "nothing of what was typed now is recorded: take another --command-id" in other.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("goal revise q3 --target 1 --why-achievable x", "is so already"),
        ("training complete wang spin --score 9 --occurred-at 2026-03-02", "already"),
        ("training assign wang spin --due 2026-03-01 --occurred-at 2026-03-02",
         "--due: 2026-03-01 lies before 2026-03-02"),
        ("rep agree-career-plan wang --steps senior:2026-03-01 --occurred-at 2026-03-02",
         "2026-03-01 lies before 2026-03-02"),
    ],
)  # fmt: skip
def test_what_changes_nothing_or_cannot_be_is_refused(house: str, line: str, says: str) -> None:
    done = "training complete wang spin --score 9 --occurred-at 2026-03-02"
    assert typed(done, house).code == 0
    told = typed(line, house)
    assert told.code in (1, 2)
    assert says in told.err


def test_a_proposal_that_was_mistyped_is_corrected_as_of_when_it_was_made(house: str) -> None:
    for line in (
        "improvement propose trial --hypothesis h --change strategy --metric orders"
        " --occurred-at 2026-03-02",
        "improvement start trial --occurred-at 2026-03-09",
    ):
        assert typed(line, house).code == 0
    told = typed(
        "improvement correct trial --metric win_rate --teams north --because mistyped", house
    )
    assert told.code == 1
    assert "its teams stay" in told.err
    told = typed("improvement correct trial --metric win_rate --because mistyped", house)
    assert told.code == 0, told.err
    shown = typed("improvement show trial --json --as-of 2026-03-10", house)
    proposed = json.loads(shown.out)["proposed"]
    assert (proposed["metric"], proposed["hypothesis"]) == ("win_rate", "h")
    assert json.loads(shown.out)["irregular"] == 0
    told = typed("improvement correct trial --metric win_rate --because again", house)
    assert "would be otherwise" in told.err


CALLED = "deal log-contact ERP --channel call --direction out --summary hello"


def test_a_contact_that_is_told_twice_is_recorded_with_a_note(house: str) -> None:
    for when in ("", " --occurred-at 2026-02-03", " --occurred-at 2026-02-06T10:00:00Z"):
        assert "the very same" not in typed(CALLED + when, house).err
        told = typed(CALLED + when, house)
        assert told.code == 0
        assert told.err.count("the very same is recorded of ") == 1
        assert told.err.count("note: ") == 1
    assert "same" not in typed(f"{CALLED} --next-step call", house).err
    assert "same" not in typed(f"{CALLED} --occurred-at 2026-02-04", house).err
    later = typed(f"{CALLED} --occurred-at 2026-02-06T15:00:00Z", house)
    assert "same" not in later.err, "two calls of a day may be alike"


def test_a_contact_that_was_retracted_may_be_told_again(house: str) -> None:
    told = json.loads(typed(f"{CALLED} --json", house).out)
    event = told["recorded"][0]["event_id"]
    assert typed(f"retract {event} --because mistyped", house).code == 0
    assert "the very same" not in typed(CALLED, house).err


def test_what_stands_twice_in_a_file_is_noted(house: str, tmp_path: Path) -> None:
    file = tmp_path / "calls.json"
    call = {"deal": "ERP", "channel": "call", "direction": "out", "occurred_at": "2026-02-05"}
    file.write_text(json.dumps([call, call]))
    told = typed(f"deal log-contact --input {file}", house)
    assert (told.code, "the very same is recorded of" in told.err) == (0, True), told.err


@pytest.fixture
def priced(house: str) -> str:
    deal = "deal open standard --title Papa --owner wang --amount '175000 CNY'"
    assert typed(f"{deal} --occurred-at 2026-02-02", house).code == 0
    return house


def test_a_win_of_ten_times_the_amount_is_noted_and_the_way_out_is_named(priced: str) -> None:
    told = typed("deal win Papa --amount '1750000 CNY'", priced)
    assert told.code == 0
    assert "more than 3 times what the deal stood at, 175,000 CNY" in told.err
    assert "`salesflow retract` takes this event back" in told.err
    again = typed("deal win Papa --amount '175000 CNY'", priced)
    [event] = [
        each
        for each in json.loads(typed("deal history Papa --json", priced).out)["events"]
        if each["kind"] == "deal.won"
    ]
    assert again.code == 1
    assert "already won; to win it, reopen it first" in again.err
    assert f"retract event no. {event['position']}" in again.err
    assert "or amend its contract" in again.err
    amended = typed("deal amend-contract Papa '175000 CNY' --because slip", priced)
    assert "less than a part in 3 of what the deal stood at, 1,750,000 CNY" in amended.err
    assert typed(f"retract {event['position']} --because slip", priced).code == 0


def test_a_win_near_what_the_deal_stood_at_is_not_noted(priced: str) -> None:
    assert "stood at" not in typed("deal win Papa --amount '500000 CNY'", priced).err


def test_a_loss_that_is_there_names_the_event_that_says_so(priced: str) -> None:
    assert typed("deal lose Papa --because price", priced).code == 0
    again = typed("deal lose Papa --because price", priced)
    assert "retract event no. " in again.err
    assert "contract" not in again.err


def test_an_award_is_granted_once_a_day_and_may_be_earned_again(house: str) -> None:
    grant = "award grant wang 'deal of the month' --because 'the largest one'"
    assert typed(f"{grant} --occurred-at 2026-03-31", house).code == 0
    told = typed(f"{grant} --occurred-at '2026-03-31 18:00'", house)
    assert (told.code, "was granted on that day already" in told.err) == (1, True)
    for more in ("--award-kind badge --occurred-at 2026-03-31", "--occurred-at 2026-04-30"):
        assert typed(f"{grant} {more}", house).code == 0, "another award, or earned once more"
    assert typed(grant, house).code == 0
    assert "was granted on that day already" in typed(grant, house).err


def test_two_reviews_that_follow_the_same_one_are_noted(house: str) -> None:
    opened = "review open {} --occurred-at 2026-06-02 --month 2026-05 --follows r1"
    assert typed("review open r1 --month 2026-04 --occurred-at 2026-05-02", house).code == 0
    assert typed("review close r1 --occurred-at 2026-05-03", house).code == 0
    first = typed(opened.format("r2"), house)
    assert (first.code, first.err) == (0, "")
    second = typed(opened.format("r3"), house)
    assert second.code == 0
    assert "note: review 'r2' follows 'r1' as well" in second.err
