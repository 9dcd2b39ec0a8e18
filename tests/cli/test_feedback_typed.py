"""What a customer said is recorded once, and what may be a slip of it is told."""

import json

from simulated import typed

HOUSE = """
deal open standard --title ERP --owner ann --timezone Asia/Shanghai --occurred-at 2026-02-02
deal win ERP --amount "100 CNY" --occurred-at 2026-03-01
deal send-survey ERP Q3 --scale nps --occurred-at 2026-03-02
"""


def notes(line: str, house: str) -> list[str]:
    told = typed(f"{line} --json", house)
    assert told.code == 0, told.err
    found: list[str] = json.loads(told.out).get("notes", [])
    return found


def test_the_same_answer_is_recorded_once(house: str) -> None:
    said = "deal receive-feedback ERP --survey Q3 --score 3 --text slow"
    assert notes(said, house) == []
    again = typed(said, house)
    assert again.code != 0
    assert "has this feedback already" in again.err
    assert notes("deal receive-feedback ERP --survey Q3 --score 3 --text dear", house) == []


def test_a_score_alone_may_be_of_another_person_and_is_noted(house: str) -> None:
    said = "deal receive-feedback ERP --survey Q3 --score 9"
    assert notes(said, house) == []
    assert any("the very same" in each for each in notes(said, house))


def test_a_survey_that_was_never_sent_is_noted(house: str) -> None:
    said = "deal receive-feedback ERP --survey {} --scale nps --score 9"
    [note] = notes(said.format("Q33"), house)
    assert note == "survey 'Q33' was never sent to the customer of this deal; perhaps Q3"


def test_an_answer_on_another_scale_than_the_survey_was_sent_on_is_refused(house: str) -> None:
    other = typed("deal receive-feedback ERP --survey Q3 --scale csat --score 5", house)
    assert other.code != 0
    assert "'Q3' of deal 'ERP' was sent on the scale nps" in other.err
    assert "or leave the survey out, --survey" in other.err
    assert notes("deal receive-feedback ERP --scale csat --score 5", house) == []
    assert notes("deal receive-feedback ERP --survey Q3 --scale nps --score 5", house) == []


def test_somebody_comes_back_once_to_each_detractor(house: str) -> None:
    for words in ("slow", "dear"):
        typed(f"deal receive-feedback ERP --survey Q3 --score 3 --text {words}", house)
    called = "deal follow-up-feedback ERP --by ann --result called"
    assert typed(called, house).code == 0
    assert "has this follow-up already" in typed(called, house).err
    assert typed("deal follow-up-feedback ERP --by ann --result visited", house).code == 0
    assert "every detractor" in typed("deal follow-up-feedback ERP --by ann", house).err


def test_the_same_interview_is_recorded_once(house: str) -> None:
    said = "deal hold-interview ERP --by ann --reasons price --summary dear"
    assert typed(said, house).code == 0
    assert "has this interview already" in typed(said, house).err
