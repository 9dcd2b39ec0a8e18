"""Goals and outside figures at the command line: what a slip is refused by, or said to be."""

import json
import shlex
from pathlib import Path

import pytest

from simulated import Ran, ran

NOW = "--occurred-at 2026-06-20"
BEFORE = """
goal set y26 --metric sales --target '1000000 CNY' --year 2026 --strategy s
    --why-achievable 'two hires' --occurred-at 2026-01-02
goal set q3 --metric sales --target '300000 CNY' --quarter 2026-Q3 --parent y26
    --why-achievable 'two hires' --occurred-at 2026-06-20
figure report market-share --value 14% --unit share --quarter 2026-Q1 --source IDC
    --occurred-at 2026-04-20
figure report nps --value 45 --unit points --quarter 2026-Q1 --source IDC
    --occurred-at 2026-04-20
deal open standard --title won --owner ann --amount '5 CNY' --occurred-at 2026-05-02
deal win won --amount '5 CNY' --occurred-at 2026-05-03
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A company with a goal for the year and one for a quarter of it, and outside figures."""
    url = f"sqlite:///{tmp_path_factory.mktemp('goals') / 'goals.db'}"
    for command in BEFORE.replace("\n    ", " ").strip().splitlines():
        told = ran(*shlex.split(command), "--db", url)
        assert told.code == 0, told.err
    return url


def given(db: str, command: str, *more: str) -> Ran:
    return ran(*shlex.split(command), *more, "--db", db)


REFUSED = {
    "goal set me --metric orders --target 1 --year 2026 --parent me": "cannot serve itself",
    "goal revise y26 --parent q3": "in a circle: y26 → q3 → y26; name another goal above,"
    " --parent",
    "goal set x --metric orders --target 1 --quarter 2026-Q3 --parent y62": "there is no goal"
    " 'y62'; perhaps y26; `salesflow goal list`",
    "figure report market-share --value 14 --unit share --quarter 2026-Q2 --source IDC": "14 is"
    " none; write 0.14 for 14%",
    "figure report nps --value 45% --unit points --quarter 2026-Q2 --source IDC": "--value 45%:"
    " a percentage is a share, and this is counted in points; write 45",
    "goal set x --metric figure:market-share --target 15 --unit share --year 2026 --strategy s":
    "15 is none; write 0.15 for 15%",
    "goal set x --metric orders --target 80% --year 2026 --strategy s": "--target 80%: a"
    " percentage is a share, and this is counted in whole numbers; write 80",
    "goal revise q3 --target 80%": "this is counted in money; write 80",
    "goal set x --metric sales --target '-5 CNY' --year 2026 --strategy s": "never below 0",
    "goal set x --metric sales --target '0 CNY' --year 2026 --strategy s": "reached by nothing",
    "goal set x --metric orders --target 9 --year 2027": "goal 'x' serves nothing (the R of"
    " SMART): name the goal above it, --parent, or the strategy, --strategy; and it is not"
    " shown to be achievable",
    "goal set x --metric orders --target 9 --strategy s": "name the period: --quarter, --month",
    "goal set x --metric orders --target 9 --strategy s --from 2026-01-01": "--to is missing",
    "goal set x --metric orders --target 9 --strategy s --year 2026 --first-day 2026-01-01": ""
    "--first-day, --year: say the period in one way only",
    "goal set x --metric orders --target 9 --strategy s --last-day 2026-01-01": "--first-day is"
    " missing",
    "goal set x --metric orders --target 9 --strategy s --first-day 2026-09-30"
    " --last-day 2026-07-01": "--last-day 2026-07-01 lies before --first-day 2026-09-30",
    "goal revise q3 --target '9000000 CNY'": "lies beyond",
    "goal revise q3 --last-day 2026-06-01": "2026-06-01, lies before the first day, 2026-07-01",
    "goal set x --metric win_rate --target 60% --baseline 70% --year 2026 --strategy s": "the"
    " baseline 70% lies beyond the target 60% already; take another target, or leave"
    " --baseline out",
    "ask goal-check --metric win_rate --target 60% --baseline 70%": "leave --baseline out",
    "ask goal-check --metric orders --target 6%": "orders is counted in whole numbers",
}  # fmt: skip


@pytest.mark.parametrize("command", REFUSED)
def test_what_can_never_be_meant_is_refused_with_the_way_out(db: str, command: str) -> None:
    told = given(db, command)
    assert told.code in (1, 2), told.out
    assert REFUSED[command] in told.err


def notes(told: Ran) -> str:
    assert told.code == 0, told.err
    return "; ".join(json.loads(told.out).get("notes", ()))


def test_a_goal_is_set_for_a_period_as_questions_are_asked_about_one(db: str) -> None:
    for typed in (
        "--quarter 2026-Q4",
        "--from 2026-10-01 --to 2026-12-31",
        "--first-day 2026-10-01 --last-day 2026-12-31",
    ):
        key = typed.replace(" ", "")
        why = f"--parent y26 --why-achievable hires {NOW}"
        told = given(
            db, f"goal set {key[2:]} --metric orders --target 9 {typed} {why}", "--json"
        )
        [recorded] = json.loads(told.out)["recorded"]
        days = [recorded["fact"][name] for name in ("first_day", "last_day")]
        assert days == ["2026-10-01", "2026-12-31"]


def test_a_stage_is_named_as_people_call_it(db: str) -> None:
    why = f"--parent y26 --why-achievable hires {NOW}"
    command = f"goal set stage --metric stage_conversion --target 9% --year 2026 {why}"
    told = given(db, command, "--stage", "Initial contact", "--json")
    [recorded] = json.loads(told.out)["recorded"]
    assert recorded["fact"]["scope"] == {"stage": "initial_contact"}


def test_a_goal_that_its_parent_cannot_contain_is_noted(db: str) -> None:
    why = f"--parent y26 --why-achievable hires {NOW}"
    told = given(
        db, f"goal set o27 --metric orders --target 9 --quarter 2027-Q4 {why}", "--json"
    )
    assert notes(told) == (
        "o27 is no part of y26: it is of Orders, and that of Sales CNY; it is for"
        " 2027-10-01 … 2027-12-31, and that for 2026"
    )


def test_a_goal_for_a_time_that_is_over_or_far_ahead_is_noted(db: str) -> None:
    why = f"--strategy s --why-achievable hires {NOW}"
    told = given(db, f"goal set o25 --metric orders --target 9 --year 2025 {why}", "--json")
    assert "was over on 2025-12-31" in notes(told)
    told = given(db, f"goal set o52 --metric orders --target 9 --year 2052 {why}", "--json")
    assert "begins on 2052-01-01 only" in notes(told)
    told = given(db, f"goal set o26 --metric orders --target 9 --year 2026 {why}", "--json")
    assert notes(told) == ""


def test_a_past_beyond_the_target_is_said_to_be_no_baseline(db: str) -> None:
    command = "goal set rate --metric win_rate --target 60% --quarter 2026-Q3 --strategy s"
    told = given(db, f"{command} --occurred-at 2026-07-01", "--json")
    assert "where it stood before, 100%, lies beyond the target already" in notes(told)


def test_goals_set_together_may_name_one_another_and_never_in_a_circle(
    db: str, tmp_path: Path
) -> None:
    same = {"metric": "orders", "target": "9", "quarter": "2026-Q4", "why_achievable": "so"}
    same |= {"occurred_at": "2026-06-20"}
    goals = [{"key": "child", "parent": "mother"}, {"key": "mother", "parent": "y26"}]
    file = tmp_path / "goals.json"
    file.write_text(json.dumps([each | same for each in goals]))
    assert given(db, f"goal set --input {file}").code == 0
    goals = [{"key": "a", "parent": "b"}, {"key": "b", "parent": "a"}]
    file.write_text(json.dumps([each | same for each in goals]))
    told = given(db, f"goal set --input {file}")
    assert (
        f"{file}, object 1: goals cannot serve one another in a circle: a → b → a" in told.err
    )
    goals = [{"key": "c", "strategy": "s"}, {"key": "d"}]
    file.write_text(json.dumps([each | same for each in goals]))
    told = given(db, f"goal set --input {file}")
    assert f"{file}, object 2: goal 'd' serves nothing" in told.err


def test_the_target_of_a_check_is_typed_as_the_target_of_a_goal(db: str) -> None:
    told = given(db, "ask goal-check --metric sales --target '700000 CNY' --json")
    view = json.loads(told.out)
    assert (view["target"], view["evidence"]["currency"]) == ("700000", "CNY")
    told = given(db, "ask goal-check --metric win_rate --target 80% --json")
    assert json.loads(told.out)["target"] == "0.8"


def test_a_goal_above_is_the_one_that_is_found_by_what_was_typed(db: str) -> None:
    told = given(
        db, "goal set x --metric orders --target 1 --quarter 2026-Q4 --parent Y26"
        " --why-achievable ok --json"
    )  # fmt: skip
    assert told.code == 0, told.err
    assert json.loads(told.out)["recorded"][0]["fact"]["parent"] == "y26"
    told = given(db, "goal revise y26 --parent X --because x --by eva")
    assert "in a circle: y26 → x → y26" in told.err
