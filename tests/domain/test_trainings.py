"""Trainings: offered, revised and retired, late and by plan."""

from datetime import datetime

import pytest

from given import HOUR, SHANGHAI, START, Given, day, event, on, read
from salesflow.domain.event import FactRetracted
from salesflow.domain.training import (
    Training,
    TrainingCourse,
    TrainingOffered,
    TrainingRetired,
    TrainingRevised,
    training_id,
)
from salesflow.errors import InputError, RuleError

JULY = datetime(2026, 7, 1, tzinfo=SHANGHAI)
COURSE = TrainingCourse(
    name_en="Hard bargaining", name_zh="强势谈判", skills=("negotiation",), metric="win_rate"
)
OFFERED = TrainingOffered(training="nego-1", course=COURSE)


def nego(*given: Given) -> Training:
    return read(Training, [OFFERED, *given], id=training_id("nego-1"))


def test_a_training_is_offered_with_what_it_is_for_and_what_it_should_move() -> None:
    training = Training.offer(
        "nego-1",
        name_en="Hard bargaining",
        name_zh="强势谈判",
        skills=("negotiation",),
        metric="win_rate",
    )
    assert [each.fact for each in training.pending] == [OFFERED]
    assert (training.id, training.key) == (training_id("nego-1"), "nego-1")
    assert (training.name(), training.name("zh")) == ("Hard bargaining", "强势谈判")


@pytest.mark.parametrize(
    ("key", "en", "skills", "match"),
    [
        (" ", "Hard bargaining", (), "training: must not be blank"),
        ("nego-1", " ", (), "name_en: must not be blank"),
        ("nego-1", "Hard bargaining", ("a", "a"), "skills: each is named once"),
    ],
)
def test_a_training_needs_a_key_and_names_and_each_skill_once(
    key: str, en: str, skills: tuple[str, ...], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        Training.offer(key, name_en=en, name_zh="强势谈判", skills=skills)


def test_what_is_not_named_stays_when_a_training_is_revised() -> None:
    training = nego()
    training.revise(metric="sales", because="it is about price")
    [pending] = training.pending
    assert pending.fact == TrainingRevised(
        course=COURSE.model_copy(update={"metric": "sales"}), because="it is about price"
    )
    assert training.course is not None
    assert (training.course.metric, training.name()) == ("sales", "Hard bargaining")
    with pytest.raises(RuleError, match="is that already"):
        training.revise(metric="sales")
    with pytest.raises(InputError, match="name what changes"):
        training.revise(because="who knows")


def test_a_training_that_will_be_retired_by_then_is_neither_revised_nor_retired() -> None:
    training = nego()
    training.retire(because="a better one came", effective_from=day("2026-07-01"))
    assert (training.is_retired, training.at(JULY).is_retired) == (False, True)
    with pytest.raises(RuleError, match="is retired at that time and cannot be revised"):
        training.revise(metric="sales", effective_from=day("2026-08-01"))
    with pytest.raises(RuleError, match="is retired at that time and cannot be retired"):
        training.retire(effective_from=day("2026-08-01"))


def test_what_later_knowledge_leaves_without_ground_counts_for_nothing() -> None:
    renamed = TrainingRevised(course=TrainingCourse(name_en="Other", name_zh="其他"))
    early = nego(on(renamed, START - HOUR), OFFERED)
    assert early.name() == "Hard bargaining"
    retired = nego(TrainingRetired(), renamed, TrainingRetired())
    assert (retired.is_retired, retired.name()) == (True, "Hard bargaining")


def test_a_retired_training_comes_back_when_its_retiring_is_retracted() -> None:
    back = nego(TrainingRetired(), FactRetracted(event_id=event(2), because="it goes on"))
    assert not back.is_retired


def test_what_is_told_under_another_key_is_not_this_training() -> None:
    other = read(Training, [OFFERED], id=training_id("other"))
    assert (other.key, other.name()) == ("", "")
