"""What is allowed and may be a slip is said where it is recorded; what never is, is refused."""

import json

import pytest

from simulated import typed

HOUSE = """
team form north --name-en North --occurred-at 2026-01-01
team form south --name-en South --occurred-at 2026-01-01
rep join ann --name 陈安 --team north --occurred-at 2026-01-01
rep join bo --name 李博 --team south --occurred-at 2026-01-01
rep join gus --name Gus --team north --occurred-at 2026-01-01
rep leave gus --occurred-at 2026-06-20
training offer neg --name-en Negotiation --occurred-at 2026-02-01
training offer old --name-en Old --occurred-at 2026-02-01
training retire old --because x --occurred-at 2026-03-01
deal open standard --title Hofer --owner ann --amount '900 CNY' --occurred-at 2026-04-02
deal request-help Hofer 'who knows?' --request H1 --occurred-at 2026-04-03
deal win Hofer --amount '900 CNY' --occurred-at 2026-06-01
goal set y26 --metric orders --target 1 --year 2026 --strategy s --why-achievable x \
    --occurred-at 2026-01-02
"""
NOTED = {
    "rep join hal --name 陈安 --team north": "'陈安' is the name of ann too: commands know them"
    " apart by their ids alone",
    "deal open standard --title ERP --owner gus": "gus left on 2026-06-20 and is in no team",
    "goal set g27 --metric orders --target 1 --year 2027 --rep gus --strategy s"
    " --why-achievable x": "gus left on 2026-06-20 and is in no team",
    "goal set low --metric sales --target '10 CNY' --quarter 2026-Q3 --strategy s"
    " --occurred-at 2026-07-02": "the past lies beyond the target already: the periods before"
    " came to 900 CNY",
    "goal set b --metric orders --target 1 --year 2026 --rep bo --team north --strategy s"
    " --why-achievable x": "bo is not in team north in the period of this goal, but in south:"
    " nothing counts for it",
    "rep leave gus --occurred-at 2026-06-10": "no longer counts: left while in no team",
    "training complete ann neg --occurred-at 2026-01-10": "training neg was offered on"
    " 2026-02-01 only, after that",
}
ONCE = {
    "deal open standard --title ERP --owner gus --occurred-at 2026-05-01": "left on",
    "goal set b --metric orders --target 1 --year 2026 --rep bo --team south --strategy s"
    " --why-achievable x": "nothing counts",
    "rep join hal --name Hal --team north": "is the name of",
    "goal set hard --metric sales --target '9000 CNY' --quarter 2026-Q3 --strategy s"
    " --why-achievable x": "beyond the target",
    "training complete ann neg --occurred-at 2026-03-10": "offered",
}
"""What looks much alike and is no slip, and what would be said if it were."""


@pytest.mark.parametrize("command", NOTED)
def test_what_may_be_a_slip_is_said_where_it_is_recorded(house: str, command: str) -> None:
    told = typed(command, house)
    assert told.code == 0, told.err
    assert NOTED[command] in told.out + told.err


@pytest.mark.parametrize("command", ONCE)
def test_nothing_is_said_of_what_is_no_slip(house: str, command: str) -> None:
    told = typed(command, house)
    assert told.code == 0, told.err
    assert ONCE[command] not in told.out + told.err


@pytest.mark.parametrize(
    "command",
    [
        "deal give-help Hofer H1 --answer 'I do' --by bo",
        "rep assess-skill ann negotiation 4 --evidence 'seen it'",
        "goal check-in y26 --confidence 70%",
        "deal give-refund Hofer '5 CNY' --because late",
    ],
)
def test_what_is_told_twice_of_one_day_is_said_to_be_there_already(
    house: str, command: str
) -> None:
    first, again, later = (
        typed(f"{command} {when}", house)
        for when in ("--occurred-at 2026-06-02", "--occurred-at 2026-06-02", "")
    )
    said = "the very same is recorded of 2026-06-02 already, as event no."
    assert [each.code for each in (first, again, later)] == [0, 0, 0], again.err
    assert [said in each.out + each.err for each in (first, again, later)] == [0, 1, 0]


def test_a_word_in_other_letters_is_said_to_be_another_one(house: str) -> None:
    skills = ("negotiation", "Negotiation", "negotiation", "drawing")
    told = [typed(f"rep assess-skill ann {it} 4 --evidence x", house) for it in skills]
    said = [each.out + each.err for each in told]
    assert ["perhaps negotiation" in each for each in said] == [0, 1, 0, 0]
    assert ["'negotiation' was written Negotiation as well" in each for each in said] == [
        0, 0, 1, 0,
    ]  # fmt: skip


def test_what_is_typed_by_its_place_is_told_so_where_it_is_written_as_an_option(
    house: str,
) -> None:
    told = typed("rep rejoin gus --team north", house)
    assert told.code != 0
    assert (
        "there is no option --team: it is typed by its place alone, as in REP TEAM" in told.err
    )


def test_an_amount_may_have_its_currency_right_behind_it(house: str) -> None:
    command = "--metric sales --target 300000CNY --quarter 2026-Q4"
    told = typed(f"goal set q4 {command} --strategy s --why-achievable x --json", house)
    [event] = json.loads(told.out)["recorded"]
    assert (event["fact"]["target"], event["fact"]["currency"]) == ("300000", "CNY")
    assert "300,000 CNY" in typed(f"ask goal-check {command}", house).out


def test_times_are_told_by_the_clocks_of_the_business_and_no_finer_than_needed(
    house: str,
) -> None:
    told = typed("goal lock y26 --occurred-at 2026-01-01", house)
    assert "was opened at 2026-01-02 00:00+00:00; nothing can be recorded of it before, at" in (
        told.err
    )


def test_a_goal_check_rests_on_the_past_and_calls_for_no_later_events(house: str) -> None:
    check = "ask goal-check --metric orders --target 2 --quarter 2026-Q3 --as-of 2026-07-01"
    assert "nothing has happened since" not in typed(check, house).out
    figures = "ask kpis --month 2026-07 --as-of 2026-07-01"
    assert "nothing has happened since" in typed(figures, house).out


def test_a_list_of_goals_calls_customers_by_their_names(house: str) -> None:
    for command in (
        "customer register --name 江南精密",
        "goal set c --metric orders --target 1 --year 2026 --customer 江南精密 --strategy s"
        " --why-achievable x",
    ):
        told = typed(command, house)
        assert told.code == 0, told.err
    assert "customer 江南精密" in typed("goal list", house).out


def test_a_list_with_commas_is_several_wherever_each_is_one_word(house: str) -> None:
    for command, names, found in (
        ("rep agree-career-plan ann --steps senior,principal", "steps", 2),
        (
            "deal identify-committee-member Hofer --name Li --roles champion,user",
            "roles",
            2,
        ),
    ):
        told = typed(f"{command} --json", house)
        assert told.code == 0, told.err
        [event] = json.loads(told.out)["recorded"]
        assert len(event["fact"][names]) == found


def test_a_training_that_is_retired_is_assigned_to_nobody(house: str) -> None:
    told = typed("training assign ann old", house)
    assert (told.code, "training 'old' is retired at that time" in told.err) == (1, True)
    before = typed("training assign ann old --occurred-at 2026-02-15", house)
    assert before.code == 0, before.err
