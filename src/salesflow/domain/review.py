"""Reviews: a period looked back on together, what was found, and who does what about it.

A review has a key, and names whose sales it is of (the company's, a team's, a rep's), the
period, and the moment at which its figures are fixed: figures are no facts, the question
`Retrospective` asks for them at that moment, for ever the same. Actions that are agreed live on
until they are done, dropped for a reason or carried over to the next review, which takes them
over when it is opened; a review closes when none is left open.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import ClassVar, Final, Literal, NamedTuple, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.fixed_figures import FixedFigures, SaidMoment
from salesflow.domain.state import EMPTY, OpenedState, appended, with_item
from salesflow.domain.time import ONE_DAY, Time, ensure_period
from salesflow.domain.values import (
    Day,
    Key,
    Personal,
    Reason,
    Reference,
    Value,
    id_of_key,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = [
    "ActionAgreed",
    "ActionCarriedOver",
    "ActionCompleted",
    "ActionDropped",
    "ActionState",
    "AgreedAction",
    "CarriedAction",
    "FindingRecorded",
    "Review",
    "ReviewClosed",
    "ReviewFact",
    "ReviewFinding",
    "ReviewOpened",
    "ReviewState",
    "review_id",
]


REVIEWS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a31")
ActionState = Literal["open", "done", "dropped", "carried_over"]
BEFORE_OPENING: Final = Message("before the review was opened")
OPENED_BEFORE: Final = Message("the review was opened before")
CLOSED_BEFORE: Final = Message("the review was closed before")


class CarriedAction(Value):
    """An action that an earlier review left for this one, as it was agreed there."""

    action: Key
    text: Reason
    owner: Reference
    due: Day
    agreed_in: Key
    """The review in which it was agreed first."""


class ReviewOpened(Fact):
    """People came together to look back on a period."""

    kind: ClassVar[str] = "review.opened"
    name_zh: ClassVar[str] = "复盘开启"
    is_opening: ClassVar[bool] = True
    review: Key
    from_: Day
    """The first day of the period it looks back on."""
    to: Day
    """The first day after that period."""
    owner: Reference | None = None
    """The rep whose sales it is of; those of a team or of the company when left out."""
    team: Reference | None = None
    """The team (its key) whose sales it is of; those of the company when left out."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    follows: Key | None = None
    """The review before this one, whose open actions it takes over."""
    carried: tuple[CarriedAction, ...] = ()
    """The actions it takes over from the review before."""
    as_of: Time | None = None
    """What had happened by then is in its figures, by the end of a day that is named; the time
    of opening when left out."""
    known_at: Time | None = None
    """What was known by then is in its figures, by the end of a day that is named; all that was
    recorded when it was opened when left out."""

    @property
    def figures_seen(self) -> tuple[datetime | None, datetime | None]:
        """The moment of the figures that it fixes."""
        return self.as_of, self.known_at


class FindingRecorded(Fact):
    """Something was found out in a review."""

    kind: ClassVar[str] = "review.finding_recorded"
    name_zh: ClassVar[str] = "记录发现"
    text: Reason
    figure: Reference | None = None
    """The figure it is about, such as win_rate."""
    deal: UUID | None = None
    """The deal that shows it."""


class ActionAgreed(Fact):
    """Somebody is to do something about it, by a day."""

    kind: ClassVar[str] = "review.action_agreed"
    name_zh: ClassVar[str] = "确定改进措施"
    action: Key
    text: Reason
    """What is to be done."""
    owner: Reference
    """Who does it."""
    due: Day
    """By the end of which day."""


class ActionCompleted(Fact):
    """An action was done."""

    kind: ClassVar[str] = "review.action_completed"
    name_zh: ClassVar[str] = "措施完成"
    action: Key
    result: Personal | None = None
    """What came of it."""


class ActionDropped(Fact):
    """An action will not be done, for a reason."""

    kind: ClassVar[str] = "review.action_dropped"
    name_zh: ClassVar[str] = "措施取消"
    action: Key
    because: Reason | None = None


class ActionCarriedOver(Fact):
    """An action is left for the next review, which takes it over when it is opened."""

    kind: ClassVar[str] = "review.action_carried_over"
    name_zh: ClassVar[str] = "措施结转"
    action: Key
    due: Day | None = None
    """By the end of which day it is to be done now; the day stays when left out."""
    because: Reason | None = None


class ReviewClosed(Fact):
    """The review is over: each of its actions is done, dropped or carried over."""

    kind: ClassVar[str] = "review.closed"
    name_zh: ClassVar[str] = "复盘结束"
    summary: Personal | None = None


ReviewFact = (
    ReviewOpened
    | FindingRecorded
    | ActionAgreed
    | ActionCompleted
    | ActionDropped
    | ActionCarriedOver
    | ReviewClosed
)


class ReviewFinding(NamedTuple):
    """What was found out, and the event that says so."""

    text: str
    figure: str | None
    deal: UUID | None
    event: Event


class AgreedAction(NamedTuple):
    """What somebody is to do, and what has become of it."""

    action: str
    text: str
    owner: str
    due: date
    agreed_in: str
    """The review in which it was agreed first."""
    state: ActionState
    event: Event
    """The event that brought it into this review."""
    ended: Event | None = None
    """The event by which it was done, dropped or carried over; None while it is open."""
    outcome: str | None = None
    """What came of it, or why it was dropped or carried over."""


class ReviewState(OpenedState):
    """What a review is of, and what was found and agreed in it by now."""

    key: str = ""
    from_: date | None = None
    to: date | None = None
    owner: str | None = None
    team: str | None = None
    process: str | None = None
    follows: str | None = None
    as_of: datetime | None = None
    """What had happened by then is in its figures; the time of opening where it is None."""
    known_at: datetime | None = None
    """What was known by then is in its figures; all that was when it was opened where None."""
    findings: Sequence[ReviewFinding] = ()
    actions: Mapping[str, AgreedAction] = EMPTY
    """By their keys, those of the review before among them."""
    closed: Event | None = None
    summary: str | None = None

    @property
    def opening(self) -> Event | None:
        """The event that opened it."""
        return self._opening

    @property
    def open_actions(self) -> tuple[AgreedAction, ...]:
        """The actions that are neither done nor dropped nor carried over."""
        return tuple(each for each in self.actions.values() if each.state == "open")

    @property
    def carried_over(self) -> tuple[AgreedAction, ...]:
        """The actions left for the next review."""
        return tuple(each for each in self.actions.values() if each.state == "carried_over")

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: ReviewFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return BEFORE_OPENING
        match fact:
            case ReviewOpened():
                return OPENED_BEFORE if event is not opening else self._open(fact, event)
            case FindingRecorded():
                found = ReviewFinding(fact.text, fact.figure, fact.deal, event)
                self.findings = appended(self.findings, found)
            case ActionAgreed():
                return self._agree(fact, event)
            case ActionCompleted():
                return self._end(fact.action, "done", fact.result, event)
            case ActionDropped():
                return self._end(fact.action, "dropped", fact.because, event)
            case ActionCarriedOver():
                return self._end(fact.action, "carried_over", fact.because, event, fact.due)
            case ReviewClosed() if self.closed is not None:
                return CLOSED_BEFORE
            case ReviewClosed():
                self.closed, self.summary = event, fact.summary
            case _:
                assert_never(fact)
        return None

    def _open(self, fact: ReviewOpened, event: Event) -> Message | None:
        if review_id(fact.review) != event.stream_id:
            return Message("it names another review, {review}", review=repr(fact.review))
        self.key, self.as_of, self.known_at = fact.review, fact.as_of, fact.known_at
        self.from_, self.to = fact.from_, fact.to
        self.owner, self.team, self.process = fact.owner, fact.team, fact.process
        self.follows = fact.follows
        for each in fact.carried:
            taken = (each.action, each.text, each.owner, each.due, each.agreed_in)
            self.actions = with_item(
                self.actions, each.action, AgreedAction(*taken, "open", event)
            )
        return None

    def _agree(self, fact: ActionAgreed, event: Event) -> Message | None:
        if fact.action in self.actions:
            return Message("action {action} was agreed before", action=repr(fact.action))
        agreed = (fact.action, fact.text, fact.owner, fact.due, self.key)
        self.actions = with_item(
            self.actions, fact.action, AgreedAction(*agreed, "open", event)
        )
        return None

    def _end(
        self,
        key: str,
        state: ActionState,
        outcome: str | None,
        event: Event,
        due: date | None = None,
    ) -> Message | None:
        action = self.actions.get(key)
        if action is None:
            return Message("there is no action {action}", action=repr(key))
        if action.state != "open":
            return Message("action {action} is open no more", action=repr(key))
        ended = action._replace(
            state=state, outcome=outcome, ended=event, due=due or action.due
        )
        self.actions = with_item(self.actions, key, ended)
        return None


class Review(FixedFigures, ReviewState):
    """A review by its key; `session.get(Review, review_id("q1"))` finds it."""

    noun: ClassVar[str] = "review"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(ReviewFact)

    @classmethod
    def open(
        cls,
        review: str,
        *,
        from_: date,
        to: date,
        owner: str | None = None,
        team: str | None = None,
        process: str | None = None,
        follows: "Review | None" = None,
        as_of: datetime | date | None = None,
        known_at: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Open a review of a period `[from_, to)`, perhaps of a rep or a team alone.

        It takes over the actions that the review it follows carried over. Its figures are fixed
        when it is opened, or at the moment you name; a day means its end.
        """
        _ensure_period(from_, to, as_of, occurred_at)
        if owner is not None and team is not None:
            raise InputError(
                "a review is of a rep or of a team, not of both; leave owner or team out"
            )
        self = cls.new(review_id(review))
        figures = self._figures_at(as_of, known_at)
        fact = ReviewOpened(
            review=review,
            from_=from_,
            to=to,
            owner=owner,
            team=team,
            process=process,
            follows=None if follows is None else follows.key,
            carried=() if follows is None else follows._left_for(review),
            as_of=figures.as_of,
            known_at=figures.known_at,
        )
        self._record(fact, occurred_at)
        return self

    def record_finding(
        self,
        text: str,
        *,
        figure: str | None = None,
        deal: UUID | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what was found out, the figure it is about and a deal that shows it."""
        self._at(occurred_at)._ensure_not_closed("note a finding")
        fact = FindingRecorded(text=text, figure=figure, deal=deal)
        about = (fact.text, fact.figure, fact.deal)
        if any((each.text, each.figure, each.deal) == about for each in self.findings):
            raise RuleError(
                f"review {self.key!r} has this finding already, in the same words; where it is"
                " another one, put it otherwise, or name another figure or deal"
            )
        self._record(fact, occurred_at)

    def agree_action(
        self, action: str, *, text: str, owner: str, due: date, occurred_at: OccurredAt = None
    ) -> None:
        """Agree on what somebody does, and by which day, under a key of your own."""
        then = self._at(occurred_at)
        then._ensure_not_closed("agree on an action")
        fact = ActionAgreed(action=action, text=text, owner=owner, due=due)
        if fact.action in then.actions:
            raise RuleError(f"review {then.key!r} has an action {quoted(fact.action)} already")
        self._record(fact, occurred_at)

    def complete_action(
        self, action: str, *, result: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that an action was done, and what came of it."""
        fact = ActionCompleted(action=action, result=result)
        self._at(occurred_at)._ensure_open_action(fact.action, "be completed")
        self._record(fact, occurred_at)

    def drop_action(self, action: str, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Say that an action will not be done, and why."""
        because = require_reason(because, "dropping an action")
        fact = ActionDropped(action=action, because=because)
        self._at(occurred_at)._ensure_open_action(fact.action, "be dropped")
        self._record(fact, occurred_at)

    def carry_over_action(
        self,
        action: str,
        *,
        due: date | None = None,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Leave an action for the next review, perhaps with another day to do it by.

        The review that is opened as following this one takes it over.
        """
        fact = ActionCarriedOver(action=action, due=due, because=because)
        self._at(occurred_at)._ensure_open_action(fact.action, "be carried over")
        self._record(fact, occurred_at)

    def close_review(
        self, *, summary: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """End the review; every action is done, dropped with a reason or carried over by then.

        Raises:
            RuleError: naming each action that is still open.
        """
        then = self._at(occurred_at)
        then._ensure_not_closed("close it")
        if then.open_actions:
            left = "; ".join(
                f"{each.action!r} ({each.owner}, due {each.due}"
                + (")" if each.agreed_in == then.key else f", from {each.agreed_in!r})")
                for each in then.open_actions
            )
            raise RuleError(
                f"review {then.key!r} has {len(then.open_actions)} open: {left}; complete each,"
                " drop it with a reason, or carry it over to the next review"
            )
        self._record(ReviewClosed(summary=summary), occurred_at)

    def _left_for(self, review: str) -> tuple[CarriedAction, ...]:
        """Return what a review that follows this one takes over."""
        self.ensure_exists()
        if self.key == review:
            raise InputError(f"review {review!r} cannot follow itself")
        if self.closed is None:
            raise RuleError(
                f"review {self.key!r} is not closed; close it before one that follows it is"
                " opened, so that what it carries over is known"
            )
        return tuple(
            CarriedAction(
                action=each.action,
                text=each.text,
                owner=each.owner,
                due=each.due,
                agreed_in=each.agreed_in,
            )
            for each in self.carried_over
        )

    def _ensure_not_closed(self, asked: str) -> None:
        if self.closed is not None:
            raise RuleError(
                f"review {self.key!r} is closed at that time and you cannot {asked}; open the"
                " next one, or retract the closing"
            )

    def _ensure_open_action(self, key: str, asked: str) -> None:
        action = self.actions.get(key)
        if action is None:
            known = ", ".join(self.actions) or "none"
            raise NotFoundError(
                f"review {self.key!r} has no action {quoted(key)} at that time; there are"
                f" {known}"
            )
        if action.state != "open":
            said = action.state.replace("_", " ")
            raise RuleError(f"action {action.action!r} is {said} already and cannot {asked}")


def _ensure_period(from_: date, to: date, as_of: SaidMoment, opened: OccurredAt) -> None:
    """Refuse a period without a day, and figures of a time before it or after the opening."""
    if to <= from_:
        raise InputError(
            f"a period from {from_} to {to} holds no day; `to` is the first day after it"
        )
    ensure_period(from_, to - ONE_DAY)
    is_time = isinstance(as_of, datetime)
    day = as_of.date() if isinstance(as_of, datetime) else as_of
    if day is not None and (from_ - day).days > is_time:  # a time may be of the next day there
        raise InputError(
            f"as_of lies before the period begins on {from_}: nothing of it would be seen"
        )
    if isinstance(as_of, datetime) and isinstance(opened, datetime) and as_of > opened:
        raise InputError(
            "as_of lies after the review was opened; its figures are of that time or before"
        )


@lru_cache(maxsize=1024)
def review_id(key: str) -> UUID:
    """Return the stream id of a review; the same key is the same review everywhere."""
    return id_of_key(REVIEWS, key)
