"""Whoever types a command is refused in the words of the command line, never in Python's.

What refuses lies below the command line and names parameters: `parent=…`, `currency='CNY'`,
`GoalSet: goal: …`. A few dozen refusals are made here of everything of management; the harness
of hostile commands looks at those of thousands of command lines in the same way.
"""

import json
import shlex
from itertools import count
from pathlib import Path

import pytest

from salesflow.cli.refusals import refusal_text
from salesflow.errors import InputError, SalesflowError
from simulated import Ran, ran
from words_of_python import python_in

TEAM = """
team form east --name-en East --name-zh 华东 --timezone Asia/Shanghai --occurred-at 2026-01-01
rep join ann --team east --name 陈安 --occurred-at 2026-01-01
deal open standard --title ERP --owner ann --amount "900000 CNY" --occurred-at 2026-02-02
deal win ERP --occurred-at 2026-05-20
deal open standard --title MES --owner ann --amount "600000 CNY" --occurred-at 2026-06-01
training offer spin --name-en SPIN --name-zh 顾问式 --occurred-at 2026-01-01
goal set q4 --metric orders --target 1 --first-day 2026-10-01 --last-day 2026-12-31 --strategy s --occurred-at 2026-10-08
goal lock q4 --by ann --because agreed --occurred-at 2026-10-09
plan publish ae --name-en AE --name-zh 客户 --currency CNY --starts 2026-01-01 --terms '{"rate": "0.05"}' --occurred-at 2026-01-01
review open r1 --month 2026-05 --occurred-at 2026-06-02
alert define a1 --question deal-health --figure open_deals --condition above --threshold 1
"""  # noqa: E501 - as typed
GOAL = "goal set g --first-day 2026-10-01 --last-day 2026-12-31"
PLAN = "plan publish p --name-en P --name-zh P --currency CNY --starts 2026-01-01"
CONTEST = "contest open c --name-en C --name-zh C --first-day 2026-01-01 --last-day 2026-06-30"
REFUSED = {
    f"{GOAL} --metric sales --target '1 CNY'": "--parent",
    f"{GOAL} --metric sales --target '9999999999 CNY' --strategy s": "--why-achievable",
    f"{GOAL} --metric sales --target 5 --strategy s": "such as --currency CNY",
    f"{GOAL} --metric figure:x --target 5 --strategy s": "--unit share",
    f"{GOAL} --metric orders --target 1 --strategy ''": "--strategy: must not be blank",
    "goal set '' --metric orders --target 1 --first-day 2026-10-01 --last-day 2026-12-31"
    " --strategy s": "KEY: must not be blank",
    "goal set q4 --metric orders --target 1 --first-day 2026-10-01 --last-day 2026-12-31"
    " --strategy s": "goal 'q4' is there already",
    "goal set g --metric orders --target 1 --first-day 2026-12-31 --last-day 2026-10-01"
    " --strategy s": "--last-day 2026-10-01 lies before --first-day 2026-12-31",
    "goal revise q4 --target 2": "--by, --because",
    "goal revise nope --target 1": "there is no goal 'nope'",
    "goal check-in q4 --confidence 1 --occurred-at 2025-01-01": "goal 'q4' was opened",
    "goal check-in q4 --confidence 1 --command-id ''": "--command-id",
    "team form east --name-en E --name-zh E": "team 'east' is there already",
    "team form west --name-en '' --name-zh E": "--name-en: must not be blank",
    "rep complete-training ann spin --score 9 --score-most 5": "--score-most",
    "rep complete-training ann spin --score 90%": "--score: '90%' is a share of what",
    "rep agree-career-plan ann --steps '[]'": "--steps: must be a JSON object",
    "rep agree-career-plan ann --steps '{\"level\": 1}'": "--steps: level: must be a text",
    "training revise spin": "--name-en",
    f"{PLAN} --terms '[]'": "--terms: must be a JSON object",
    f"{PLAN} --terms '{{\"rate\": \"0.1\", \"rate\": \"0.2\"}}'": "gives 'rate' twice",
    f"{PLAN} --terms '{{\"rate\": NaN}}'": "has no NaN",
    f"{PLAN} --terms {'[' * 100_000}": "nested too deeply",
    "plan supersede ae --starts 2026-02-01 --because x --terms '{\"rate\": \"0.1\"}'":
        "--occurred-at",
    f"{CONTEST} --metric sales": "--currency CNY",
    "deal open standard --owner ann --title x --amount '1e400 CNY'": "--amount: amount: write",
    "deal issue-quote MES --valid-until 2999-01-01 --lines"
    ' \'{"product": "a", "quantity": "1", "unit_price": "98 CNY"}\'': "must be like",
    "contest open c --name-en C --name-zh C --metric orders --first-day 2026-06-30"
    " --last-day 2026-01-01": "a contest ends before it begins",
    "review open r1 --month 2026-05": "review 'r1' is there already",
    "review open r2 --month 2026-05 --follows nope": "there is no review 'nope'",
    "review open r2 --month 2026-05 --as-of 2026-01-01": "--as-of",
    "review agree-action r1 '' --text x --owner ann --due 2027-01-01":
        "ACTION: must not be blank",
    "case publish c --deal MES": "is open at that time",
    "statement issue zoe --month 2026-05": "there was never a rep 'zoe'",
    "statement issue ann --month 2025-05": "no version of plan ae is in force",
    "statement issue ann --month 2026-05 --occurred-at 2026-05-20": "is not over",
    "statement issue ann --month 2030-05": "is not over",
    "review open r2 --month 2026-05 --known-at 2999-01-01": "lies in the future",
    "contest open c --name-en C --name-zh C --metric orders --first-day 0001-01-01"
    " --last-day 9999-12-31": "a period lies between 1900-01-02 and",
    "goal set g --metric orders --target 1 --first-day 9999-12-31 --last-day 9999-12-31"
    " --strategy s": "9999-12-31 is the last day there is",
    "improvement propose i --hypothesis x --change process --metric win_rate"
    " --process-version 3": "--process-version 3",
    "alert define a1 --question deal-health --figure open_deals --condition above"
    " --threshold 1": "alert 'a1' is there already",
    "alert define a2 --question deal-health --figure open_deals --condition rose_by"
    " --threshold 1 --days 0": "--days: must be at least 1",
}  # fmt: skip
"""What is typed, and what its refusal has to say."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A team with a bit of everything."""
    database = str(tmp_path_factory.mktemp("refusals") / "team.db")
    for line in TEAM.strip().splitlines():
        told = ran(*shlex.split(line), "--db", database)
        assert told.code == 0, (line, told.err)
    return database


def events(database: str) -> object:
    return json.loads(ran("status", "--db", database, "--json").out)["events"]


def refused(told: Ran, says: str) -> None:
    assert told.code in (1, 2), told
    assert not told.out
    assert says in told.err
    assert not python_in(told.err), told.err


@pytest.mark.parametrize(
    ("line", "says"), REFUSED.items(), ids=[*map(str, range(len(REFUSED)))]
)
def test_a_refusal_names_the_options_that_were_typed_and_nothing_of_python(
    team: str, line: str, says: str
) -> None:
    refused(ran(*shlex.split(line), "--db", team), says)


def test_nothing_of_what_was_refused_is_recorded(team: str) -> None:
    before = ran("log", "--db", team, "--json").out
    for line in [*REFUSED][:5]:
        ran(*shlex.split(line), "--db", team)
    assert ran("log", "--db", team, "--json").out == before


@pytest.mark.parametrize(
    ("text", "says"),
    {
        "": "no JSON",
        "[": "no JSON",
        "[" * 100_000: "nested too deeply",
        "[]": "JSON object",
        "null": "JSON object",
        '{"key": "a", "key": "b"}': "gives 'key' twice",
        '{"key": NaN}': "has no NaN",
        f'{{"key": 1{"0" * 5_000}}}': "too long",
        '{"nope": 1}': "there is no 'nope'; there are 'key', 'name_en'",
        '{"key": 5, "name_en": "E", "name_zh": "E"}': "KEY: 5 is not a text",
        '{"key": true, "name_en": "E", "name_zh": "E"}': "KEY: true is not a text",
        '[{"key": "n1", "name_en": "E", "name_zh": "E"}, {"key": "n2", "name_en": ""}]':
            "object 2: --name-en: must not be blank",
        '[{"key": "n1", "name_en": "E", "name_zh": "E"},'
        ' {"key": "n2", "name_en": "", "name_zh": "E"}]': "object 2: --name-en: must not",
        '[{"key": "n1", "name_en": "E", "name_zh": "E"},'
        ' {"key": "n1", "name_en": "E", "name_zh": "E"}]': "object 2: team 'n1' is named twice",
    }.items(),
    ids=count(),
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_with_its_place_and_nothing_of_it_is_recorded(
    team: str, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "input.json"
    file.write_text(text, encoding="utf-8")
    refused(ran("team", "form", "--input", str(file), "--db", team), says)
    there = ran("team", "list", "--db", team, "--json").out
    assert '"n1"' not in there


def test_an_id_of_another_command_is_refused_and_of_the_same_one_is_not(team: str) -> None:
    issue = ("statement", "issue", "ann", "--month", "2026-05", "--command-id", "may")
    first, again = (ran(*issue, "--db", team, "--json") for _ in range(2))
    assert [json.loads(each.out)["again"] for each in (first, again)] == [False, True]
    assert json.loads(first.out)["recorded"] == json.loads(again.out)["recorded"]
    june = ("statement", "issue", "ann", "--month", "2026-06", "--command-id", "may")
    refused(ran(*june, "--db", team), "nothing of what was typed now is recorded")
    other = ("team", "form", "may", "--name-en", "M", "--name-zh", "M", "--command-id", "may")
    refused(ran(*other, "--db", team), "nothing of what was typed now is recorded")


def test_a_number_with_a_currency_is_refused_with_the_number(team: str) -> None:
    told = ran("deal", "give-refund", "ERP", "5 CNY %", "--because", "x", "--db", team)
    assert told.code in (1, 2)
    told = ran("goal", "check-in", "q4", "--confidence", "5 CNY", "--db", team)
    refused(told, "write 5")


@pytest.mark.parametrize(
    ("line", "key"),
    {
        "rep join zed --name Zed --team typo": "typo",
        "rep assign-training ann typo": "typo",
        "review open r9 --month 2026-05 --team typo": "typo",
        "improvement propose i9 --hypothesis x --change process --metric win_rate"
        " --process typo --teams east": "typo",
        "rep join zoe --name Zoe --team east": "",
        "improvement propose i8 --hypothesis x --change process --metric win_rate"
        " --process standard --teams east": "",
    }.items(),
    ids=count(),
)
def test_a_key_of_what_is_not_there_is_refused(team: str, line: str, key: str) -> None:
    told = ran(*shlex.split(line), "--db", team, "--json")
    assert told.code == (2 if key else 0), told.err
    if key:
        refused(told, f"'{key}'")
    else:
        assert "notes" not in json.loads(told.out)


def test_what_was_typed_is_repeated_as_it_was_typed() -> None:
    error: SalesflowError = InputError("there is no 'parent=…'; name it, parent=…")
    options = {"parent": "--parent", "key": "KEY"}
    assert (
        refusal_text(error, str(error), options) == "there is no 'parent=…'; name it, --parent"
    )


def test_the_look_for_python_finds_it() -> None:
    for text in (
        "name it, parent=…",
        "such as currency='CNY'",
        "load it with `s.get(Goal, id)`",
        "hand in check=flow.ask(GoalCheck(…))",
        "GoalSet: goal: must not be blank",
        "Goal.set: nope",
        "must be a text, not None",
        "not of type list",
        "`to` is the first day",
    ):
        assert python_in(f"salesflow: {text}\n"), text
    for text in ("counts[reason=…].deals", "'parent=…' is no key", "--parent", "NAME=VALUE"):
        assert not python_in(f"salesflow: {text}\n"), text
