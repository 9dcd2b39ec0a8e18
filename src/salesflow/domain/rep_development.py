"""How a rep develops: level, career plan, skills as they were assessed, trainings.

The commands stand in `rep.py`. Skills are assessed time and again, each time on a scale that
is named, so that a later one on another scale is not taken for a fall.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Final, assert_never

from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.state import EMPTY, State, appended, with_item
from salesflow.domain.values import Day, Key, Number, Personal, Reason, Reference, Value

__all__ = [
    "SKILLS",
    "CareerPlanAgreed",
    "CareerStep",
    "DevelopmentFact",
    "DevelopmentState",
    "RepPromoted",
    "SkillAssessed",
    "SkillRating",
    "TrainingAssigned",
    "TrainingCompleted",
    "TrainingTaken",
    "next_step",
]


SKILLS: Final = ("communication", "negotiation", "product_knowledge")
"""The skills every seller needs; others are named by keys of one's own."""


class CareerStep(Value):
    """A level on the way of a career, and by when it should be reached."""

    level: Key
    due: Day | None = None
    """The day by which it should be reached, if one was agreed."""


def next_step(level: str | None, plan: Sequence[CareerStep]) -> CareerStep | None:
    """Return the step of a plan that comes behind a level; the first one where that is in none.

    None where the last level is reached, or there is no plan.
    """
    levels = [step.level for step in plan]
    at = levels.index(level) + 1 if level in levels else 0
    return plan[at] if at < len(plan) else None


class RepPromoted(PlannedFact):
    """A rep has another level from now on, such as senior."""

    kind: ClassVar[str] = "rep.promoted"
    name_zh: ClassVar[str] = "晋升"
    level: Key
    """The level that is reached: a key of your own, such as senior."""
    because: Reason | None = None


class CareerPlanAgreed(PlannedFact):
    """It was agreed which levels a rep works towards; it takes the place of an earlier plan."""

    kind: ClassVar[str] = "rep.career_plan_agreed"
    name_zh: ClassVar[str] = "职业发展规划"
    steps: tuple[CareerStep, ...]
    """The levels in their order, each with the day by which it should be reached."""
    note: Personal | None = None


class SkillAssessed(Fact):
    """Somebody judged how well a rep does something, on a scale, with what was seen."""

    kind: ClassVar[str] = "rep.skill_assessed"
    name_zh: ClassVar[str] = "技能评估"
    skill: Key
    """communication, negotiation, product_knowledge, or a skill of your own."""
    score: Number
    scale_least: Number
    """The lowest score that could have been given."""
    scale_most: Number
    """The highest score that could have been given."""
    assessed_by: Reference | None = None
    """Who judged, where that is not who recorded it."""
    evidence: Personal | None = None
    """What was seen or heard that the score rests on."""


class TrainingAssigned(PlannedFact):
    """A rep is to take a training."""

    kind: ClassVar[str] = "rep.training_assigned"
    name_zh: ClassVar[str] = "安排培训"
    training: Key
    """The key of the training."""
    due: Day | None = None
    """The day by which it should be completed."""
    because: Reason | None = None


class TrainingCompleted(Fact):
    """A rep has taken a training, whether it was assigned or not."""

    kind: ClassVar[str] = "rep.training_completed"
    name_zh: ClassVar[str] = "完成培训"
    training: Key
    """The key of the training."""
    score: Number | None = None
    """What they reached in its test, if there was one."""
    score_most: Number | None = None
    """The highest score that could have been reached."""


DevelopmentFact = (
    RepPromoted | CareerPlanAgreed | SkillAssessed | TrainingAssigned | TrainingCompleted
)


class SkillRating(Value):
    """One assessment of a skill, and when it took place."""

    skill: Key
    at: datetime
    score: Number
    scale_least: Number
    scale_most: Number
    assessed_by: Reference | None
    """Who judged: who recorded it, where nobody else is named."""
    evidence: Personal | None

    @property
    def share(self) -> Decimal | None:
        """How far up its scale it lies, from 0 to 1; None of a scale that has no length."""
        length = self.scale_most - self.scale_least
        return (self.score - self.scale_least) / length if length > 0 else None


class TrainingTaken(Value):
    """A training of a rep: when it was last assigned, and when it was completed."""

    training: Key
    assigned_at: datetime | None = None
    """When it was assigned last; None where it never was."""
    due: Day | None = None
    completed_at: datetime | None = None
    """When it was completed last."""
    first_completed_at: datetime | None = None
    score: Number | None = None
    score_most: Number | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was assigned and has not been completed since."""
        if self.assigned_at is None:
            return False
        return self.completed_at is None or self.completed_at < self.assigned_at


class DevelopmentState(State):
    """What became of a rep by now."""

    level: str | None = None
    """None where nobody said so."""
    level_since: datetime | None = None
    career_plan: Sequence[CareerStep] = ()
    """The levels of the plan that was agreed last."""
    ratings: Sequence[SkillRating] = ()
    """All assessments of skills, in order."""
    trainings: Mapping[str, TrainingTaken] = EMPTY
    """By their keys."""
    trainings_taken: Sequence[TrainingTaken] = ()
    """Each time a training was assigned or completed, in order; assigned anew while it is open,
    it is due anew."""
    levels_reached: Mapping[str, datetime] = EMPTY
    """When each level was given, the last time."""

    def _develop(self, event: Event, fact: DevelopmentFact) -> None:
        """Take in a fact that counts."""
        at = event.effective_at
        match fact:
            case RepPromoted():
                self.level, self.level_since = fact.level, at
                self.levels_reached = with_item(self.levels_reached, fact.level, at)
            case CareerPlanAgreed():
                self.career_plan = fact.steps
            case SkillAssessed():
                self.ratings = appended(self.ratings, _rating(fact, at, event.actor))
            case TrainingAssigned():
                before = self.trainings.get(fact.training)
                taken = {} if before is None else dict(before)
                taken |= {"training": fact.training, "assigned_at": at, "due": fact.due}
                self._assign(TrainingTaken(**taken), before)
            case TrainingCompleted():
                before = self.trainings.get(fact.training)
                self._complete(_completed(fact, before, at), before)
            case _:
                assert_never(fact)

    def _assign(self, taken: TrainingTaken, before: TrainingTaken | None) -> None:
        again = TrainingTaken(
            training=taken.training, assigned_at=taken.assigned_at, due=taken.due
        )
        if before is not None and not taken.is_open:  # completed at the very instant
            self._note(taken, open_one=True)
        else:
            self._note(again, open_one=before is not None and before.is_open)
        self.trainings = with_item(self.trainings, taken.training, taken)

    def _complete(self, taken: TrainingTaken, before: TrainingTaken | None) -> None:
        was_open = before is not None and before.is_open
        alone = {} if was_open else {"assigned_at": None, "due": None}
        self._note(taken.model_copy(update=alone), open_one=was_open)
        self.trainings = with_item(self.trainings, taken.training, taken)

    def _note(self, taken: TrainingTaken, *, open_one: bool) -> None:
        """Take it in behind those before, or in the place of the one that is open."""
        others = [*self.trainings_taken]
        if open_one:
            mine = (n for n, each in enumerate(others) if each.training == taken.training)
            del others[max(mine)]
        self.trainings_taken = [*others, taken]


def _rating(fact: SkillAssessed, at: datetime, actor: str | None) -> SkillRating:
    return SkillRating(
        skill=fact.skill,
        at=at,
        score=fact.score,
        scale_least=fact.scale_least,
        scale_most=fact.scale_most,
        assessed_by=fact.assessed_by or actor,
        evidence=fact.evidence,
    )


def _completed(
    fact: TrainingCompleted, before: TrainingTaken | None, at: datetime
) -> TrainingTaken:
    first = None if before is None else before.first_completed_at
    return TrainingTaken(
        training=fact.training,
        assigned_at=None if before is None else before.assigned_at,
        due=None if before is None else before.due,
        completed_at=at,
        first_completed_at=first or at,
        score=fact.score,
        score_most=fact.score_most,
    )
