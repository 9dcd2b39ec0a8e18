"""Reps: who sells, and in which team.

A rep is addressed by the opaque id that deals name as `owner`; the name behind it is personal
and stands in the joining alone. Membership may be told late or planned ahead. Later knowledge
may leave it without what it builds on: whoever turns out to have left in April did not move in
May. `RepState` is the one place that judges that, for the rep and for every fold. What a rep
can and learns, and where their career leads, counts while they are in a team
(`rep_development.py`).
"""

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar, Final, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.rep_awards import AwardGranted, Awards, AwardState
from salesflow.domain.rep_development import (
    CareerPlanAgreed,
    CareerStep,
    DevelopmentFact,
    DevelopmentState,
    RepPromoted,
    SkillAssessed,
    TrainingAssigned,
    TrainingCompleted,
)
from salesflow.domain.state import OpenedState
from salesflow.domain.team import Team
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.training import Training
from salesflow.domain.values import Name, Reason, Reference, id_of_key, number
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "MembershipFact",
    "Rep",
    "RepFact",
    "RepJoined",
    "RepLeft",
    "RepMoved",
    "RepState",
    "rep_id",
]


REPS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a03")
BEFORE_JOINING: Final = Message("before the rep joined")
MOVED_TEAMLESS: Final = Message("moved while in no team")
LEFT_TEAMLESS: Final = Message("left while in no team")
DEVELOPED_TEAMLESS: Final = Message("while in no team")


class RepJoined(PlannedFact):
    """A rep began to sell in a team; somebody who left may join again."""

    kind: ClassVar[str] = "rep.joined"
    name_zh: ClassVar[str] = "加入团队"
    is_opening: ClassVar[bool] = True
    rep: Reference
    team: Reference
    name: Name | None = None


class RepMoved(PlannedFact):
    """A rep went over to another team; what was sold before stays with the old one."""

    kind: ClassVar[str] = "rep.moved"
    name_zh: ClassVar[str] = "调换团队"
    team: Reference
    because: Reason | None = None


class RepLeft(PlannedFact):
    """A rep no longer sells for us, in any team."""

    kind: ClassVar[str] = "rep.left"
    name_zh: ClassVar[str] = "离开团队"
    because: Reason | None = None


MembershipFact = RepJoined | RepMoved | RepLeft
"""What says in which team a rep is."""
RepFact = MembershipFact | AwardGranted | DevelopmentFact


class RepState(OpenedState, AwardState, DevelopmentState):
    """Who a rep is, in which team, and what became of them, by now."""

    reference: str | None = None
    """The opaque id that deals name as owner."""
    name: str | None = None
    team: str | None = None
    """The key of the team; None before joining and after leaving."""
    left_at: datetime | None = None
    """When they left, of somebody who is in no team."""

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: RepFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred or event.effective < opening.effective:
            return BEFORE_JOINING
        match fact:
            case AwardGranted():
                self._evolve_awards(fact, event)
                return None
            case RepJoined():
                return self._join(fact, event.stream_id)
            case RepMoved():
                return self._leave_for(fact.team, MOVED_TEAMLESS)
            case RepLeft():
                left = self._leave_for(None, LEFT_TEAMLESS)
                self.left_at = event.effective_at if left is None else self.left_at
                return left
            case (
                RepPromoted()
                | CareerPlanAgreed()
                | SkillAssessed()
                | TrainingAssigned()
                | TrainingCompleted()
            ):
                if self.team is None:
                    return DEVELOPED_TEAMLESS
                self._develop(event, fact)
                return None
            case _:
                assert_never(fact)

    def _join(self, fact: RepJoined, stream_id: UUID) -> Message | None:
        if rep_id(fact.rep) != stream_id:
            return Message("it names another rep, {rep}", rep=repr(fact.rep))
        if self.team is not None:
            return Message("joined while in team {team}", team=repr(self.team))
        self.reference, self.team, self.left_at = fact.rep, fact.team, None
        self.name = fact.name or self.name
        return None

    def _leave_for(self, team: str | None, irregular: Message) -> Message | None:
        if self.team is None:
            return irregular
        self.team = team
        return None


class Rep(Awards, RepState):
    """A sales rep; `session.get(Rep, rep_id("ann"))` finds the one deals call "ann"."""

    noun: ClassVar[str] = "rep"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(RepFact)

    @classmethod
    def join(
        cls,
        rep: str,
        *,
        team: Team | str,
        name: str,
        effective_from: datetime | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Take a new rep into a team, under the id that deals name as owner.

        Where a later day is named, there is no such rep before it.
        """
        if not name.strip():
            raise InputError("a rep needs a name")
        fact = RepJoined(rep=rep, team=_key(team), name=name, effective_from=effective_from)
        self = cls.new(rep_id(fact.rep))
        self._record(fact, occurred_at)
        return self

    def rejoin(
        self,
        team: Team | str,
        *,
        name: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Take a rep who left into a team again; the name stays where none is given."""
        starts = self._effective(effective_from)
        then = self._then(occurred_at, starts)
        if then.team is not None:
            raise RuleError(f"{then._who} is in team {then.team!r} already and cannot join")
        if then.reference is None:
            raise RuleError(
                f"{then._who} has not joined by that time; retract the joining that stands and"
                " record the right one"
            )
        fact = RepJoined(rep=then.reference, team=_key(team), name=name, effective_from=starts)
        self._record(fact, occurred_at)

    def move(
        self,
        team: Team | str,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Put the rep into another team, perhaps from a later day."""
        starts = self._effective(effective_from)
        fact = RepMoved(team=_key(team), because=because, effective_from=starts)
        then = self._then(occurred_at, starts)
        then._ensure_in_team("move")
        if then.team == fact.team:
            raise RuleError(f"{then._who} is in team {then.team!r} already")
        self._record(fact, occurred_at)

    def leave(
        self,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that the rep sells no longer, perhaps from a later day."""
        starts = self._effective(effective_from)
        self._then(occurred_at, starts)._ensure_in_team("leave")
        self._record(RepLeft(because=because, effective_from=starts), occurred_at)

    def promote(
        self,
        level: str,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Give the rep another level, perhaps from a later day; levels are keys of your own."""
        starts = self._effective(effective_from)
        fact = RepPromoted(level=level, because=because, effective_from=starts)
        then = self._then(occurred_at, starts)
        then._ensure_in_team("be promoted")
        if then.level == fact.level:
            raise RuleError(f"{then._who} has level {then.level!r} already")
        self._record(fact, occurred_at)

    def agree_career_plan(
        self,
        steps: tuple[CareerStep, ...],
        *,
        note: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Agree which levels the rep works towards, in their order, each perhaps by a day."""
        starts = self._effective(effective_from)
        fact = CareerPlanAgreed(steps=steps, note=note, effective_from=starts)
        levels = [step.level for step in fact.steps]
        if not levels or len(set(levels)) < len(levels):
            raise InputError("a career plan names at least one level, and each of them once")
        days = [step.due for step in fact.steps if step.due is not None]
        if days != sorted(days):
            raise InputError("a later level of a career plan is reached on a later day")
        then = self._then(occurred_at, starts)
        then._ensure_in_team("agree on a career plan")
        self._record(fact, occurred_at)

    def assess_skill(
        self,
        skill: str,
        score: Decimal | str | int,
        *,
        evidence: str,
        scale_least: Decimal | str | int = 1,
        scale_most: Decimal | str | int = 5,
        assessed_by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note how well the rep does something, on a scale, and what that rests on.

        The scale is 1 to 5 unless another one is named.
        """
        if not evidence.strip():
            raise InputError("an assessment needs evidence; say what was seen or heard")
        fact = SkillAssessed(
            skill=skill,
            score=number(score),
            scale_least=number(scale_least),
            scale_most=number(scale_most),
            assessed_by=assessed_by,
            evidence=evidence,
        )
        if not fact.scale_least < fact.scale_most:
            raise InputError("scale_most: a scale goes up, from scale_least to scale_most")
        if not fact.scale_least <= fact.score <= fact.scale_most:
            raise InputError(
                f"score: {fact.score} is not on the scale from {fact.scale_least} to"
                f" {fact.scale_most}; name another scale with scale_least and scale_most"
            )
        self._then(occurred_at, None)._ensure_in_team("be assessed")
        self._record(fact, occurred_at)

    def assign_training(
        self,
        training: Training | str,
        *,
        due: date | None = None,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Ask the rep to take a training, perhaps by a day.

        Given the training itself, one that is retired is refused.
        """
        starts = self._effective(effective_from)
        fact = TrainingAssigned(
            training=_training_key(training), due=due, because=because, effective_from=starts
        )
        if isinstance(training, Training) and training.is_retired:
            raise RuleError(f"training {training.key!r} is retired; assign another one")
        then = self._then(occurred_at, starts)
        then._ensure_in_team("be assigned a training")
        taken = then.trainings.get(fact.training)
        if taken is not None and taken.is_open:
            raise RuleError(
                f"{then._who} was assigned training {fact.training!r} already and has not"
                " completed it; to change the day it is due, retract that assignment first"
            )
        self._record(fact, occurred_at)

    def complete_training(
        self,
        training: Training | str,
        *,
        score: Decimal | str | int | None = None,
        score_most: Decimal | str | int | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that the rep has taken a training, assigned or not, and what they reached."""
        fact = TrainingCompleted(
            training=_training_key(training),
            score=None if score is None else number(score),
            score_most=None if score_most is None else number(score_most),
        )
        if fact.score_most is not None and (fact.score is None or fact.score > fact.score_most):
            raise InputError("score: it has to be named with score_most, and be no higher")
        then = self._then(occurred_at, None)
        then._ensure_in_team("complete a training")
        taken = then.trainings.get(fact.training)
        same_day = self._of_that_day(TrainingCompleted, occurred_at)
        if taken is not None and not taken.is_open and fact in same_day:
            raise RuleError(
                f"{then._who} completed training {fact.training!r} on that day already, with"
                " the same score; to change it, retract that one first"
            )
        self._record(fact, occurred_at)

    @property
    def _who(self) -> str:
        return f"rep {self.id}" if self.reference is None else f"rep {self.reference!r}"

    def _then(self, occurred_at: OccurredAt, starts: datetime | None) -> Self:
        """Return the rep as believed when a command would hold."""
        if not self._history:
            self.ensure_exists()
        return self._planned(occurred_at, starts)

    def _ensure_in_time(self, fact: Fact, at: Instant) -> None:
        """Refuse a day that had passed when what is due by it was agreed."""
        super()._ensure_in_time(fact, at)
        due, done = None, "it is assigned"
        if isinstance(fact, TrainingAssigned):
            due = fact.due
        elif isinstance(fact, CareerPlanAgreed):
            done = "the career plan is agreed"
            due = next((step.due for step in fact.steps if step.due is not None), None)
        if due is None or not self._context.knows_days:
            return
        agreed = from_instant(fact.effective(at)).astimezone(self._context.timezone).date()
        if due < agreed:
            raise InputError(
                f"due: {due} lies before {agreed}, the day on which {done}; name a later one,"
                " or in occurred_at=… the day on which that was"
            )

    def _ensure_in_team(self, asked: str) -> None:
        if self.team is None:
            raise RuleError(f"{self._who} is in no team at that time and cannot {asked}")


@lru_cache(maxsize=4096)
def rep_id(reference: str) -> UUID:
    """Return the stream id of a rep; the same reference is the same rep everywhere."""
    return id_of_key(REPS, reference)


def _key(team: Team | str) -> str:
    return team.key if isinstance(team, Team) else team


def _training_key(training: Training | str) -> str:
    return training.key if isinstance(training, Training) else training
