"""After-sales: service, repeat orders, surveys, what the customer says of us, and interviews.

Feedback may come at any time, also on a lost deal. Scores name their scale, and scales are
never mixed: nps runs from 0 to 10, csat from 1 to 5, ces from 1 to 7.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self, assert_never
from uuid import UUID

from pydantic import Field, Strict, model_validator

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import (
    DealCommands,
    DealCore,
    require_positive,
    require_text,
)
from salesflow.domain.event import Event, Fact, in_effect
from salesflow.domain.state import appended
from salesflow.domain.values import Key, Money, Personal, Reference, SafeName, SafeText
from salesflow.domain.wording import Message
from salesflow.errors import DealClosedError, InputError, NotFoundError, RuleError

__all__ = [
    "DETRACTOR_MAX",
    "SCALES",
    "AfterSales",
    "AfterSalesState",
    "FeedbackFollowedUp",
    "FeedbackReceived",
    "FeedbackTagged",
    "InterviewHeld",
    "RepeatOrderPlaced",
    "Scale",
    "ServiceDelivered",
    "ServiceFact",
    "SurveySent",
    "is_of_detractor",
]


Scale = Literal["nps", "csat", "ces"]
SCALES: Final[Mapping[Scale, tuple[int, int]]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
}
"""Lowest and highest score of each scale."""
DETRACTOR_MAX: Final = 6
"""The highest score of a detractor, of 10."""


class ServiceDelivered(Fact):
    """We did something for the customer after the sale."""

    kind: ClassVar[str] = "deal.service_delivered"
    name_zh: ClassVar[str] = "提供售后服务"
    service: SafeText | None = None
    note: Personal | None = None
    by: Reference | None = None


class RepeatOrderPlaced(Fact):
    """The customer bought again under this deal; it counts as an order of its own."""

    kind: ClassVar[str] = "deal.repeat_order_placed"
    name_zh: ClassVar[str] = "重复购买"
    order: Reference | None = None
    amount: Money | None = None


class SurveySent(Fact):
    """The customer was asked what they think of us."""

    kind: ClassVar[str] = "deal.survey_sent"
    name_zh: ClassVar[str] = "发送满意度调查"
    survey: Reference
    scale: Scale | None = None
    person_id: UUID | None = None


class FeedbackReceived(Fact):
    """The customer said what they think: a score on a named scale, words, or both."""

    kind: ClassVar[str] = "deal.feedback_received"
    name_zh: ClassVar[str] = "收到客户反馈"
    survey: Reference | None = None
    scale: Scale | None = None
    score: Annotated[int, Strict(), Field(ge=0, le=10)] | None = None
    text: Personal | None = None
    person_id: UUID | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.score is None:
            return self
        if self.scale is None:
            raise ValueError(Message("a score needs its scale: nps, csat or ces"))
        lowest, highest = SCALES[self.scale]
        if not lowest <= self.score <= highest:
            raise ValueError(
                Message(
                    "{score} is not on the {scale} scale of {lowest} to {highest}",
                    score=self.score,
                    scale=self.scale,
                    lowest=lowest,
                    highest=highest,
                )
            )
        return self


class FeedbackFollowedUp(Fact):
    """Somebody of ours came back to the customer about what they had said."""

    kind: ClassVar[str] = "deal.feedback_followed_up"
    name_zh: ClassVar[str] = "跟进客户反馈"
    feedback: UUID | None = None
    """The event with which the feedback was received; the latest detractor nobody has followed
    up when left out."""
    by: Reference | None = None
    """Who followed up."""
    result: Personal | None = None
    """What came of it."""


class FeedbackTagged(Fact):
    """Somebody said what a piece of feedback is about."""

    kind: ClassVar[str] = "deal.feedback_tagged"
    name_zh: ClassVar[str] = "标注反馈主题"
    themes: tuple[Key, ...]
    """What it is about, such as delivery or price."""
    feedback: UUID | None = None
    """The event with which the feedback was received; the latest one when left out."""


class InterviewHeld(Fact):
    """After the decision the customer was asked what it was decided by."""

    kind: ClassVar[str] = "deal.interview_held"
    name_zh: ClassVar[str] = "决策后访谈"
    reasons: tuple[Reference, ...] = ()
    """What the customer says it was decided by: loss reasons of the process, or other words."""
    competitor: SafeName | None = None
    """To whom it went, or who else was looked at, as the customer says."""
    by: Reference | None = None
    """Who held the interview."""
    person_id: UUID | None = None
    summary: Personal | None = None


ServiceFact = (
    ServiceDelivered
    | RepeatOrderPlaced
    | SurveySent
    | FeedbackReceived
    | FeedbackFollowedUp
    | FeedbackTagged
    | InterviewHeld
)


def is_of_detractor(feedback: FeedbackReceived) -> bool:
    """Return whether somebody says that they would not recommend us."""
    score = feedback.score
    return feedback.scale == "nps" and score is not None and score <= DETRACTOR_MAX


class AfterSalesState(DealCore):
    """What happened between the customer and us beside and after the sale."""

    services: Sequence[ServiceDelivered] = ()
    repeat_orders: Sequence[RepeatOrderPlaced] = ()
    surveys: Sequence[SurveySent] = ()
    feedback: Sequence[FeedbackReceived] = ()
    feedback_follow_ups: Sequence[FeedbackFollowedUp] = ()
    feedback_tags: Sequence[FeedbackTagged] = ()
    interviews: Sequence[InterviewHeld] = ()

    def _evolve_service(self, fact: ServiceFact, _: Event) -> Message | None:
        match fact:
            case ServiceDelivered():
                self.services = appended(self.services, fact)
            case RepeatOrderPlaced() if irregular := self._needs_win():
                return irregular
            case RepeatOrderPlaced():
                self.repeat_orders = appended(self.repeat_orders, fact)
            case SurveySent():
                self.surveys = appended(self.surveys, fact)
            case FeedbackReceived():
                self.feedback = appended(self.feedback, fact)
            case FeedbackFollowedUp():
                self.feedback_follow_ups = appended(self.feedback_follow_ups, fact)
            case FeedbackTagged():
                self.feedback_tags = appended(self.feedback_tags, fact)
            case InterviewHeld():
                self.interviews = appended(self.interviews, fact)
            case _:
                assert_never(fact)
        return None


class AfterSales(DealCommands, AfterSalesState):
    """What we do for the customer beside and after the sale, and what they say of it."""

    def deliver_service(
        self,
        service: str,
        *,
        note: str | None = None,
        by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what we did for the customer after the sale."""
        self._at(occurred_at)._ensure_was_won("deliver service for it")
        fact = ServiceDelivered(service=require_text(service, "a service"), note=note, by=by)
        self._record(fact, occurred_at)

    def place_repeat_order(
        self, amount: Money, *, order: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that the customer bought again."""
        self._at(occurred_at)._ensure_won("take a repeat order")
        self._record(
            RepeatOrderPlaced(order=order, amount=require_positive(amount)), occurred_at
        )

    def send_survey(
        self,
        survey: str,
        *,
        scale: Scale,
        person_id: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Ask the customer what they think of us."""
        self._record(SurveySent(survey=survey, scale=scale, person_id=person_id), occurred_at)

    def receive_feedback(
        self,
        *,
        survey: str | None = None,
        scale: Scale | None = None,
        score: int | None = None,
        text: str | None = None,
        person_id: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what the customer thinks: a score, words, or both.

        The scale may be left out when the survey was sent with one.

        Raises:
            RuleError: where the same person, or the same words, said the same on that day, or
                the survey was sent on another scale.
        """
        if score is None and not (text or "").strip():
            raise InputError("feedback has a score, words, or both")
        then = self._at(occurred_at)
        then._ensure_scale(survey, scale)
        if scale is None and score is not None:
            scale = next((s.scale for s in then.surveys if s.survey == survey), None)
        fact = FeedbackReceived(
            survey=survey, scale=scale, score=score, text=text, person_id=person_id
        )
        same_day = self._of_that_day(FeedbackReceived, occurred_at)
        if (fact.text is not None or fact.person_id is not None) and fact in same_day:
            raise RuleError(
                f"deal {self.id} has this feedback already, of the same day and the same in"
                " everything; of somebody else, name the person, person_id=…, or put it in"
                " their words"
            )
        self._record(fact, occurred_at)

    def follow_up_feedback(
        self,
        *,
        by: str,
        result: str | None = None,
        feedback: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note who came back to the customer about their feedback, and what came of it."""
        self._ensure_feedback(feedback, occurred_at)
        then = self._at(occurred_at)
        if feedback is None and not any(map(is_of_detractor, then.feedback)):
            raise RuleError(
                f"deal {self.id} has no feedback of a detractor at that time; name the one that"
                " was followed up, feedback=…"
            )
        by = require_text(by, "who followed up")
        fact = FeedbackFollowedUp(feedback=feedback, by=by, result=result)
        same_day = self._of_that_day(FeedbackFollowedUp, occurred_at)
        if fact.result is not None and fact in same_day:
            raise RuleError(
                f"deal {self.id} has this follow-up already, of the same day, by the same"
                " person and in the same words; of other feedback, name it, feedback=…, or put"
                " it otherwise"
            )
        if feedback is None and not then._detractors_left():
            raise RuleError(
                f"every detractor of deal {self.id} was followed up by then; name the feedback"
                " that somebody came back to once more, feedback=…"
            )
        self._record(fact, occurred_at)

    def tag_feedback(
        self,
        themes: tuple[str, ...],
        *,
        feedback: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Say what a piece of feedback is about; themes add up."""
        if not themes:
            raise InputError("name a theme, such as delivery; a tag without one says nothing")
        self._ensure_feedback(feedback, occurred_at)
        self._record(FeedbackTagged(themes=themes, feedback=feedback), occurred_at)

    def hold_interview(
        self,
        *,
        by: str,
        reasons: tuple[str, ...] = (),
        competitor: str | None = None,
        person_id: UUID | None = None,
        summary: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what the customer says, after the decision, that it was decided by.

        Raises:
            RuleError: where an interview of that day says the same in everything already.
        """
        then = self._at(occurred_at)
        if then.outcome == "open":
            raise DealClosedError(
                f"deal {self.id} is open at that time; customers are interviewed after the"
                " decision, until then log a contact"
            )
        if not reasons and not (summary or "").strip():
            raise InputError("an interview has reasons, a summary, or both")
        fact = InterviewHeld(
            reasons=reasons,
            competitor=competitor,
            by=require_text(by, "who held the interview"),
            person_id=person_id,
            summary=summary,
        )
        if fact in self._of_that_day(InterviewHeld, occurred_at):
            raise RuleError(
                f"deal {self.id} has this interview already, of the same day and the same in"
                " everything; of another person, name them, person_id=…, or say what they said,"
                " summary=…"
            )
        self._record(fact, occurred_at)

    def _ensure_scale(self, survey: str | None, scale: Scale | None) -> None:
        """Refuse an answer to a survey on a scale on which it was never sent."""
        sent = [it.scale for it in self.surveys if it.survey == survey and it.scale is not None]
        if survey is None or scale is None or not sent or scale in sent:
            return
        raise RuleError(
            f"survey {survey!r} of deal {self.id} was sent on the scale {sent[-1]}, and this is"
            f" an answer on {scale}: leave the scale out and give a score of {sent[-1]}, or"
            " leave the survey out, survey=…"
        )

    def _detractors_left(self) -> int:
        """Count the detractors that nobody has followed up; one named before goes first."""
        low: list[UUID] = []
        for event in in_effect([*self._history], self._as_of):
            fact = event.fact
            if isinstance(fact, FeedbackReceived) and is_of_detractor(fact):
                low.append(event.event_id)
            elif isinstance(fact, FeedbackFollowedUp) and low and fact.feedback is None:
                low.pop()
            elif isinstance(fact, FeedbackFollowedUp) and fact.feedback in low:
                low.remove(fact.feedback)
        return len(low)

    def _ensure_feedback(self, feedback: UUID | None, occurred_at: OccurredAt) -> None:
        then = self._at(occurred_at)
        if feedback is None:
            if not then.feedback:
                raise RuleError(f"deal {self.id} has no feedback at that time")
            return
        events = (event for event in self._history if event.event_id == feedback)
        found = next((e for e in events if isinstance(e.fact, FeedbackReceived)), None)
        if found is None:
            raise NotFoundError(
                f"deal {self.id} has no feedback {feedback}; name the event with which it was"
                " received"
            )
        if occurred_at is not None and found not in in_effect([*self._history], then._as_of):
            raise RuleError(
                f"feedback {feedback} of deal {self.id} was received at"
                f" {found.occurred_at.isoformat()}, later than that"
            )
