"""What is asked about before it is there: when it begins, instead of that there is none."""

import pytest

from simulated import typed

HOUSE = """
team form south --name-en South --name-zh 华南 --timezone Asia/Shanghai --occurred-at 2026-01-05
rep join wang --team south --name 王芳 --occurred-at 2026-01-05
deal open standard --title ERP --owner wang --lead-source campaign --occurred-at 2026-02-02
training offer spin --name-en SPIN --name-zh 顾问式 --occurred-at 2026-01-05
"""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rep show wang", "rep 'wang' joins on 2026-01-05"),
        ("team show 华南", "team '华南' is formed on 2026-01-05"),
        ("training show spin", "training 'spin' is offered on 2026-01-05"),
        ("deal show ERP", "is opened on 2026-02-02"),
        ("deal replay ERP", "is opened on 2026-02-02"),
        ("ask deal-timeline ERP", "is opened on 2026-02-02"),
        ("ask kpis --team south", "team 'south' is formed on 2026-01-05"),
    ],
)
def test_what_begins_after_the_moment_asked_is_said_to_begin_then(
    house: str, line: str, says: str
) -> None:
    told = typed(f"{line} --as-of 2026-01-04", house)
    assert (told.code, told.out) == (2, "")
    assert f"{says}, after the moment asked" in told.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ask rep-card wang", "there was never a rep 'wang' up to the moment asked; first on"),
        ("ask deals --owner wang", "no deal was ever owned by 'wang' up to the moment asked"),
        ("ask funnel --channel campaign", "no deal ever came from channel 'campaign' up to"),
        ("ask rep-card wang --lang zh", "（截至所问时点）；首次出现于 2026-01-05"),
    ],
)
def test_who_is_met_after_the_moment_asked_was_not_never_met(
    house: str, line: str, says: str
) -> None:
    told = typed(f"{line} --as-of 2026-01-04", house)
    assert (told.code, says in told.out) == (0, True)


def test_what_became_known_after_the_moment_is_said_to_become_known_then(house: str) -> None:
    told = typed("rep show wang --known-at 2026-01-04", house)
    assert "rep 'wang' becomes known on" in told.err
    told = typed("ask rep-card wang --known-at 2026-01-04", house)
    assert "rep 'wang' becomes known on" in told.out


def test_what_there_never_was_is_said_to_be_nowhere(house: str) -> None:
    told = typed("rep show nobody --as-of 2026-01-04", house)
    assert "after the moment asked" not in told.err
    told = typed("ask rep-card nobody --as-of 2026-01-04", house)
    assert told.out.startswith("there was never a rep 'nobody'")
    assert "moment asked" not in told.out
