"""What is typed of improvements: percentages, effects for the worse, unknown versions."""

import pytest

from simulated import typed

HOUSE = """
team form north --name-en North --name-zh 华北 --timezone Asia/Shanghai --occurred-at 2026-01-05
rep join wang --team north --name 王芳 --occurred-at 2026-01-05
deal open standard --title ERP --owner wang --occurred-at 2026-02-02
"""
PROPOSED = "improvement propose trial --hypothesis h --change process"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--metric win_rate --expected-effect 20", "write 0.2 for 20 points"),
        (
            "--metric sales --expected-effect 20%",
            "a percentage is a share, and sales is",
        ),
    ],
)
def test_a_slip_of_a_percentage_is_refused_with_the_way_out(
    house: str, line: str, said: str
) -> None:
    told = typed(f"{PROPOSED} {line}", house)
    assert told.code == 2
    assert said in " ".join(told.err.split())
    assert typed(f"{PROPOSED} --metric win_rate --expected-effect 20%", house).err == ""
    told = typed(f"improvement correct trial --because slip {line}", house)
    assert told.code == 2
    assert said in " ".join(told.err.split())


def test_what_is_proposed_of_a_version_nobody_has_published_is_noted(house: str) -> None:
    told = typed(f"{PROPOSED} --metric won --process standard --process-version 7", house)
    assert told.code == 0, told.err
    assert "published versions up to 1; version 7 is none yet" in told.err
    told = typed("improvement correct trial --process-version 1 --because slip", house)
    assert (told.code, told.err) == (0, "")


def test_a_start_that_was_decided_before_is_shown_on_its_day(house: str) -> None:
    typed(f"{PROPOSED} --metric won --occurred-at 2026-03-01", house)
    start = "improvement start trial --effective-from 2026-03-20 --occurred-at 2026-03-02"
    assert typed(start, house).code == 0
    shown = typed("improvement show trial", house).out
    assert "2026-03-20 00:00:00" in shown
    assert "2026-03-02" not in shown


def test_an_effect_for_the_worse_is_noted(house: str) -> None:
    told = typed(
        f"{PROPOSED} --metric stage_days --stage negotiation --expected-effect 10", house
    )
    assert told.code == 0, told.err
    assert "the expected effect is for the worse: less of Days in stage, median is" in told.err
    told = typed("improvement correct trial --expected-effect=-10 --because slip", house)
    assert (told.code, told.err) == (0, "")
    other = PROPOSED.replace("trial", "other")
    assert (
        "more of Win rate is better"
        in typed(f"{other} --metric win_rate --expected-effect=-0.1", house).err
    )
