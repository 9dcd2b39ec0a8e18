"""What is allowed of goals, plans, contests and people, and is said to be a slip perhaps."""

from itertools import count

import pytest

from simulated import Ran, typed

COMPANY = """
team form east --name-en East --name-zh 华东 --timezone Asia/Shanghai --occurred-at 2026-01-01
team form west --name-en West --name-zh 华西 --timezone Asia/Shanghai --occurred-at 2026-01-01
rep join ann --team east --name Ann --occurred-at 2026-01-01
rep join emma --team west --name Emma --occurred-at 2026-01-01
plan publish ae --name-en AE --name-zh AE --currency CNY --starts 2026-01-01 --teams east
    --terms '{"rate": "5%", "draw": "1000"}' --occurred-at 2026-01-01
plan publish we --name-en WE --name-zh WE --currency CNY --starts 2026-01-01 --teams west
    --terms '{"rate": "5%"}' --occurred-at 2026-01-01
deal open standard --title D --owner ann --amount "50000 CNY" --occurred-at 2026-01-05
deal win D --occurred-at 2026-02-10
deal open standard --title E --owner ann --amount "70000 CNY" --occurred-at 2026-01-05
figure report market-share --value 14% --unit share --quarter 2026-Q1 --source IDC
    --occurred-at 2026-04-20
contest open spring --name-en Spring --name-zh 春 --metric sales --currency CNY --by rep
    --first-day 2026-02-01 --last-day 2026-02-28 --occurred-at 2026-01-20
contest decide spring --occurred-at 2026-03-05
statement issue ann --month 2026-02 --occurred-at 2026-03-02
"""
GOAL = "--why-achievable x --strategy s --occurred-at 2026-01-02"
NOTED = {
    f"goal set a --metric figure:market-shar --unit share --target 20% --year 2026 {GOAL}": (
        "no figure market-shar has been reported; perhaps market-share is meant"
    ),
    f"goal set b --metric figure:market-share --unit share --target 20% --year 2026 {GOAL}": "",
    f"goal set c --metric orders --target 3.5 --year 2026 {GOAL}": "3.5 is reached with 4",
    f"goal set d --metric orders --target 4 --year 2026 {GOAL}": "",
    "figure report market-share --value 15% --unit share --quarter 2026-Q3 --source IDC"
    " --occurred-at 2026-04-21": "has not begun on 2026-04-21",
    "contest open old --name-en Old --name-zh 旧 --metric won --by rep --first-day 2026-01-01"
    " --last-day 2026-01-31 --occurred-at 2026-03-01": "were over on 2026-01-31",
    "rep assess-skill ann negotation 3 --evidence x": "perhaps negotiation",
    "rep assess-skill ann negotiation 3 --evidence x": "",
    "plan acknowledge ae emma": "is for east, and was never for emma",
    "plan acknowledge ae ann": "",
    "statement correct ae ann 2026-02-01 9999999 --because typo": "more than ten times",
    "statement correct ae ann 2026-02-01 -100 --because typo": "",
    "award grant emma bike --award-kind recognition --because won --contest spring": (
        "first in contest spring is ann, not emma"
    ),
    "award grant ann bike --award-kind recognition --because won --contest spring": "",
    "statement issue ann --month 2026-05 --occurred-at 2026-06-02": "for 2026-03, 2026-04",
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A company of two teams with a plan each, of which one has a draw."""
    url = f"sqlite:///{tmp_path_factory.mktemp('slips') / 'slips.db'}"
    for line in COMPANY.replace("\n    ", " ").strip().splitlines():
        told = typed(line, url)
        assert told.code == 0, (line, told.err)
    return url


def notes_of(told: Ran) -> str:
    """Give what was noted beside what was recorded."""
    return " ".join(told.err.split())


@pytest.mark.parametrize(("line", "says"), NOTED.items(), ids=count())
def test_whoever_records_what_may_be_a_slip_is_told_so(db: str, line: str, says: str) -> None:
    told = typed(line, db)
    assert told.code == 0, told.err
    assert says in notes_of(told)
    assert bool(notes_of(told)) == bool(says), told.err


def test_a_statement_issued_before_earlier_ones_names_them(db: str) -> None:
    told = typed("statement issue emma --month 2026-04 --occurred-at 2026-05-02", db)
    assert "to emma by plan we for 2026-01, 2026-02, 2026-03" in notes_of(told)


def test_a_statement_of_days_to_come_says_that_they_have_not_begun(db: str) -> None:
    asked = "ask commission-statement ann --month 2027-06 --as-of 2026-12-01"
    assert "the period has not begun on 2026-12-01" in " ".join(typed(asked, db).out.split())


def test_an_estimate_by_a_plan_of_others_names_the_one_that_is_for_the_rep(db: str) -> None:
    asked = typed("ask commission-estimate E --as-of 2026-03-01 --plan we", db)
    assert "plan we is not in force for ann; there ae is" in " ".join(asked.out.split())


def test_a_goal_is_checked_in_the_unit_of_its_figure(db: str) -> None:
    asked = typed("ask goal-check --metric figure:market-share --target 20% --year 2027", db)
    out = " ".join(asked.out.split())
    assert "14%" in out
    assert "20%" in out


def test_a_contest_that_has_not_begun_has_nobody_first(db: str) -> None:
    asked = typed("ask contest-standings spring --as-of 2026-01-25", db)
    assert "contest not begun: nobody is first yet" in asked.out
    row = next(line.split() for line in asked.out.splitlines() if "ann" in line)
    assert row[0] == "–"


def test_the_effect_of_a_training_before_it_was_offered_says_so(db: str) -> None:
    offer = "training offer nego --name-en Negotiation --name-zh 谈判 --metric win_rate"
    assert typed(f"{offer} --occurred-at 2026-05-01", db).code == 0
    asked = "ask training-effect nego --as-of 2026-04-01"
    assert "offered on 2026-05-01 only" in " ".join(typed(asked, db).out.split())


def test_a_quarter_is_written_in_one_way(db: str) -> None:
    assert " 2026-Q1 " in typed("figure show", db).out
    goal = "goal set q --metric orders --target 4 --quarter 2026-Q2"
    assert typed(f"{goal} {GOAL}", db).code == 0
    for command in ("goal list", "goal show q", "ask goal-attainment --as-of 2026-05-01"):
        assert "2026-Q2" in typed(command, db).out


def test_a_goal_of_a_century_names_no_day_that_nobody_typed(db: str) -> None:
    days = "--first-day 1999-01-01 --last-day 2099-12-31"
    told = typed(f"goal set yz --metric orders --target 4 {days} {GOAL}", db)
    assert "a goal is of 20 years at most" in told.err
    assert "1897" not in told.err


def test_what_is_no_metric_is_named_once_in_the_refusal(db: str) -> None:
    told = typed("ask goal-check --metric winrate --target 3 --year 2027", db)
    assert told.err.count("'winrate'") == 1
    assert "(perhaps win_rate)" in told.err


def test_the_places_of_a_command_are_explained(db: str) -> None:
    out = " ".join(typed("statement show --help", db).out.split())
    assert "The key of the plan." in out
    assert "The id of the rep, or the name." in out


def test_what_is_paid_out_has_no_more_digits_than_money(db: str) -> None:
    terms = """'{"rate": "5%", "draw": "1000.005"}'"""
    line = "plan publish x --name-en X --name-zh X --currency CNY --starts 2027-01-01 --terms"
    told = typed(f"{line} {terms}", db)
    assert told.code in (1, 2)
    assert "the smallest amount of CNY is 0.01" in " ".join(told.err.split())
