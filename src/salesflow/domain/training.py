"""Trainings: the courses that reps are sent to, and what each of them should move.

A training has a key, which facts about reps name it by. Who was assigned it and who completed
it is told of the reps (`rep_development.py`); whether it moved anything is a question. A
retired training keeps its key: who completed it stays known.
"""

from datetime import date, datetime
from functools import lru_cache
from typing import ClassVar, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.metric import MetricKey, ensure_at_stage, metric_of
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.state import OpenedState
from salesflow.domain.values import Key, Reason, Reference, Value, id_of_key
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "Training",
    "TrainingCourse",
    "TrainingFact",
    "TrainingOffered",
    "TrainingRetired",
    "TrainingRevised",
    "TrainingState",
    "training_id",
]


TRAININGS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a21")


class TrainingCourse(Value):
    """What a training is: its names, the skills it is for, and the figure it should move."""

    name_en: Reference
    name_zh: Reference
    skills: tuple[Key, ...] = ()
    """The skills it is for: communication, negotiation, product_knowledge or others."""
    metric: MetricKey | None = None
    """The figure of a rep that it should move, such as win_rate or contacts."""
    stage: Key | None = None
    """The stage at which that is measured, where it is one of a stage, such as
    stage_conversion."""


class TrainingOffered(Fact):
    """A course is there, and reps may be sent to it."""

    kind: ClassVar[str] = "training.offered"
    name_zh: ClassVar[str] = "开设培训"
    is_opening: ClassVar[bool] = True
    training: Key
    course: TrainingCourse


class TrainingRevised(PlannedFact):
    """A course has another name, or is for something else from now on."""

    kind: ClassVar[str] = "training.revised"
    name_zh: ClassVar[str] = "修订培训"
    course: TrainingCourse
    because: Reason | None = None


class TrainingRetired(PlannedFact):
    """A course is given no more; nobody is sent to it from now on."""

    kind: ClassVar[str] = "training.retired"
    name_zh: ClassVar[str] = "停办培训"
    because: Reason | None = None


TrainingFact = TrainingOffered | TrainingRevised | TrainingRetired


class TrainingState(OpenedState):
    """What a training is by now."""

    key: str = ""
    course: TrainingCourse | None = None
    is_retired: bool = False

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: TrainingFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred or event.effective < opening.effective:
            return Message("before the training was offered")
        match fact:
            case TrainingOffered():
                if event is not opening:
                    return Message("the training was offered before")
                if training_id(fact.training) != event.stream_id:
                    return Message(
                        "it names another training, {training}", training=fact.training
                    )
                self.key, self.course = fact.training, fact.course
            case TrainingRevised():
                if self.is_retired:
                    return Message("the training was retired before")
                self.course = fact.course
            case TrainingRetired():
                if self.is_retired:
                    return Message("the training was retired before")
                self.is_retired = True
            case _:
                assert_never(fact)
        return None

    def name(self, language: str = "en") -> str:
        """Return its name in English (`en`) or Chinese (`zh`)."""
        if self.course is None:
            return self.key
        return self.course.name_zh if language == "zh" else self.course.name_en


class Training(PlannedAggregate, TrainingState):
    """A course by its key; `session.get(Training, training_id("negotiation-1"))` finds it."""

    noun: ClassVar[str] = "training"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(TrainingFact)

    @classmethod
    def offer(
        cls,
        key: str,
        *,
        name_en: str,
        name_zh: str,
        skills: tuple[str, ...] = (),
        metric: str | None = None,
        stage: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Offer a course; its key is what facts about reps name it by."""
        course = _course(name_en, name_zh, skills, metric, stage)
        fact = TrainingOffered(training=key, course=course)
        self = cls.new(training_id(fact.training))
        self._record(fact, occurred_at)
        return self

    def revise(
        self,
        *,
        name_en: str | None = None,
        name_zh: str | None = None,
        skills: tuple[str, ...] | None = None,
        metric: str | None = None,
        stage: str | None = None,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Change what the course is; what is not named stays as it is."""
        starts = self._effective(effective_from)
        then = self._planned(occurred_at, starts)
        then._ensure_given("be revised")
        before = then.course
        if before is None or (name_en, name_zh, skills, metric, stage) == (None,) * 5:
            raise InputError("name what changes: name_en, name_zh, skills, metric or stage")
        course = _course(
            before.name_en if name_en is None else name_en,
            before.name_zh if name_zh is None else name_zh,
            before.skills if skills is None else skills,
            before.metric if metric is None else metric,
            before.stage if stage is None and metric is None else stage,
        )
        if course == before:
            raise RuleError(f"training {then.key!r} is that already")
        fact = TrainingRevised(course=course, because=because, effective_from=starts)
        self._record(fact, occurred_at)

    def retire(
        self,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Give the course no more, perhaps from a later day."""
        starts = self._effective(effective_from)
        self._planned(occurred_at, starts)._ensure_given("be retired")
        self._record(TrainingRetired(because=because, effective_from=starts), occurred_at)

    def _ensure_given(self, asked: str) -> None:
        if self.is_retired:
            raise RuleError(f"training {self.key!r} is retired at that time and cannot {asked}")


def _course(
    name_en: str,
    name_zh: str,
    skills: tuple[str, ...],
    metric: str | None,
    stage: str | None,
) -> TrainingCourse:
    course = TrainingCourse(
        name_en=name_en, name_zh=name_zh, skills=skills, metric=metric, stage=stage
    )
    if len(set(course.skills)) < len(course.skills):
        raise InputError(f"skills: each is named once, not {', '.join(course.skills)}")
    if course.metric is not None:
        ensure_at_stage(metric_of(course.metric), course.stage)
    elif course.stage is not None:
        raise InputError("stage: it is of a metric; name that too, metric=…")
    return course


@lru_cache(maxsize=1024)
def training_id(key: str) -> UUID:
    """Return the stream id of a training; the same key is the same training everywhere."""
    return id_of_key(TRAININGS, key)
