"""Cases: a won or lost deal that others can learn from, and what people make of it.

A case has a key, and names its deal and a moment: what was known of the deal when the case was
published stays readable beside what is known of it now. What happened in the deal is told by
the deal itself (`CaseStudy`); here stands what people add: factors, lessons, for whom it is,
and the trainings that use it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import ClassVar, Final, Literal, NamedTuple, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact
from salesflow.domain.fixed_figures import FixedFigures, SaidMoment, moment_of
from salesflow.domain.state import OpenedState, appended
from salesflow.domain.time import Time, to_instant
from salesflow.domain.values import (
    Key,
    Personal,
    Reason,
    Reference,
    SafeName,
    id_of_key,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import DealClosedError, InputError, NotFoundError, RuleError

__all__ = [
    "Case",
    "CaseAddressed",
    "CaseFact",
    "CaseFactor",
    "CaseLesson",
    "CaseLinked",
    "CasePublished",
    "CaseState",
    "CaseWithdrawn",
    "FactorNoted",
    "LessonNoted",
    "Tendency",
    "case_id",
]


CASES = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a32")
Tendency = Literal["helped", "hindered"]
BEFORE_PUBLISHING: Final = Message("before the case was published")


class CasePublished(Fact):
    """A deal was put into the case library."""

    kind: ClassVar[str] = "case.published"
    name_zh: ClassVar[str] = "发布案例"
    is_opening: ClassVar[bool] = True
    case: Key
    deal: UUID
    """The deal (its id) that the case is of."""
    title: SafeName | None = None
    """What the case is called; the title of its deal when left out."""
    summary: Personal | None = None
    audience: tuple[Key, ...] = ()
    """Whom it is for: teams, roles, levels."""
    as_of: Time | None = None
    """The case shows what had happened by then, by the end of a day that is named; by its
    publication when left out."""
    known_at: Time | None = None
    """The case shows what was known by then, by the end of a day that is named; all that was
    recorded when it was published when left out."""

    @property
    def figures_seen(self) -> tuple[datetime | None, datetime | None]:
        """The moment of the figures that it shows."""
        return self.as_of, self.known_at


class FactorNoted(Fact):
    """Somebody judged what the deal was decided by."""

    kind: ClassVar[str] = "case.factor_noted"
    name_zh: ClassVar[str] = "记录成败因素"
    factor: Reference
    """A loss reason of the process, or any other word, such as response_time."""
    tendency: Tendency | None = None
    """Whether it helped to win the deal or hindered it."""
    text: Personal | None = None


class LessonNoted(Fact):
    """Somebody said what is to be learned from it."""

    kind: ClassVar[str] = "case.lesson_noted"
    name_zh: ClassVar[str] = "记录经验教训"
    text: Reason


class CaseAddressed(Fact):
    """The case is for these people from now on, and for no others."""

    kind: ClassVar[str] = "case.addressed"
    name_zh: ClassVar[str] = "确定案例受众"
    audience: tuple[Key, ...]
    """Whom it is for: teams, roles, levels; for everybody when empty."""


class CaseLinked(Fact):
    """A training uses the case."""

    kind: ClassVar[str] = "case.linked"
    name_zh: ClassVar[str] = "案例关联培训"
    training: Key
    """The training (its key) that uses it."""


class CaseWithdrawn(Fact):
    """The case was taken out of the library; it stays readable where it is asked for."""

    kind: ClassVar[str] = "case.withdrawn"
    name_zh: ClassVar[str] = "撤回案例"
    because: Reason | None = None


CaseFact = (
    CasePublished | FactorNoted | LessonNoted | CaseAddressed | CaseLinked | CaseWithdrawn
)


class CaseFactor(NamedTuple):
    """What a deal was decided by, as somebody judged."""

    factor: str
    tendency: Tendency | None
    text: str | None
    event: Event


class CaseLesson(NamedTuple):
    """What is to be learned, as somebody said."""

    text: str
    event: Event


class CaseState(OpenedState):
    """What people made of a deal by now."""

    key: str = ""
    deal: UUID | None = None
    title: str | None = None
    summary: str | None = None
    as_of: datetime | None = None
    """It shows what had happened by then; by its publication where it is None."""
    known_at: datetime | None = None
    """It shows what was known by then; all that was at its publication where it is None."""
    audience: Sequence[str] = ()
    factors: Sequence[CaseFactor] = ()
    lessons: Sequence[CaseLesson] = ()
    trainings: Sequence[str] = ()
    withdrawn: Event | None = None
    withdrawn_because: str | None = None

    @property
    def opening(self) -> Event | None:
        """The event that published it."""
        return self._opening

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: CaseFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return BEFORE_PUBLISHING
        match fact:
            case CasePublished():
                return self._publish(fact, event, opening)
            case FactorNoted():
                factor = CaseFactor(fact.factor, fact.tendency, fact.text, event)
                self.factors = appended(self.factors, factor)
            case LessonNoted():
                self.lessons = appended(self.lessons, CaseLesson(fact.text, event))
            case CaseAddressed():
                self.audience = fact.audience
            case CaseLinked(training=training):
                if training in self.trainings:
                    return Message("training {training} uses it already", training=training)
                self.trainings = appended(self.trainings, training)
            case CaseWithdrawn() if self.withdrawn is not None:
                return Message("the case was withdrawn before")
            case CaseWithdrawn():
                self.withdrawn, self.withdrawn_because = event, fact.because
            case _:
                assert_never(fact)
        return None

    def _publish(self, fact: CasePublished, event: Event, opening: Event) -> Message | None:
        if event is not opening:
            return Message("the case was published before")
        if case_id(fact.case) != event.stream_id:
            return Message("it names another case, {case}", case=repr(fact.case))
        self.key, self.deal = fact.case, fact.deal
        self.as_of, self.known_at = fact.as_of, fact.known_at
        self.title, self.summary, self.audience = fact.title, fact.summary, fact.audience
        return None


class Case(FixedFigures, CaseState):
    """A case by its key; `session.get(Case, case_id("acme-erp"))` finds it."""

    noun: ClassVar[str] = "case"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(CaseFact)

    @classmethod
    def publish(
        cls,
        case: str,
        *,
        deal: Deal | UUID,
        title: str | None = None,
        summary: str | None = None,
        audience: tuple[str, ...] = (),
        as_of: datetime | date | None = None,
        known_at: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Put a deal that is won, lost or disqualified into the case library.

        It is shown as it is known when it is published, or at the moment you name (a day means
        its end), beside what is known of it whenever somebody looks.

        Raises:
            DealClosedError: for a deal that is open or merged then, or at the moment you name,
                where the `Deal` is handed in.
            NotFoundError: for a deal that was not there at that moment.
        """
        if isinstance(deal, Deal):
            _ensure_decided(deal, occurred_at)
            _ensure_decided_by(deal, as_of, known_at, occurred_at)
        _ensure_seen_by_then(as_of, occurred_at)
        self = cls.new(case_id(case))
        figures = self._figures_at(as_of, known_at)
        fact = CasePublished(
            case=case,
            deal=deal.id if isinstance(deal, Deal) else deal,
            title=title,
            summary=summary,
            audience=audience,
            as_of=figures.as_of,
            known_at=figures.known_at,
        )
        self._record(fact, occurred_at)
        return self

    def note_factor(
        self,
        factor: str,
        *,
        tendency: Tendency | None = None,
        text: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what the deal was decided by, and whether that helped or hindered."""
        self._at(occurred_at)._ensure_in_library("note a factor")
        self._record(FactorNoted(factor=factor, tendency=tendency, text=text), occurred_at)

    def note_lesson(self, text: str, *, occurred_at: OccurredAt = None) -> None:
        """Note what is to be learned from it."""
        self._at(occurred_at)._ensure_in_library("note a lesson")
        fact = LessonNoted(text=text)
        if any(each.text == fact.text for each in self.lessons):
            raise RuleError(
                f"case {self.key!r} has this lesson already, in the same words; where it is"
                " another one, put it otherwise"
            )
        self._record(fact, occurred_at)

    def address(self, audience: tuple[str, ...], *, occurred_at: OccurredAt = None) -> None:
        """Say whom it is for from now on; nobody named means everybody."""
        self._at(occurred_at)._ensure_in_library("address it")
        self._record(CaseAddressed(audience=audience), occurred_at)

    def link(self, training: str, *, occurred_at: OccurredAt = None) -> None:
        """Note that a training (its key) uses it."""
        then = self._at(occurred_at)
        then._ensure_in_library("link it")
        fact = CaseLinked(training=training)
        if fact.training in then.trainings:
            raise RuleError(f"training {quoted(fact.training)} uses case {then.key!r} already")
        self._record(fact, occurred_at)

    def withdraw(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Take it out of the library, and say why."""
        self._at(occurred_at)._ensure_in_library("withdraw it")
        because = require_reason(because, "withdrawing a case")
        self._record(CaseWithdrawn(because=because), occurred_at)

    def _ensure_in_library(self, asked: str) -> None:
        if self.withdrawn is not None:
            raise RuleError(
                f"case {self.key!r} is withdrawn at that time and you cannot {asked}; retract"
                " the withdrawal to have it back"
            )


def _ensure_decided(deal: Deal, occurred_at: OccurredAt) -> None:
    then = deal.at(occurred_at)
    if then.status in ("open", "merged"):
        raise DealClosedError(
            f"deal {deal.id} is {then.status} at that time; a case is of a deal that is won,"
            " lost or disqualified"
        )


def _ensure_seen_by_then(as_of: SaidMoment, occurred_at: OccurredAt) -> None:
    """Refuse a time after the publication; days are looked at where the zone is known."""
    timed = isinstance(as_of, datetime) and isinstance(occurred_at, datetime)
    if timed and as_of > occurred_at:  # type: ignore[operator]
        raise InputError(
            "as_of lies after the case was published; it shows that time or one before"
        )


def _ensure_decided_by(
    deal: Deal, as_of: SaidMoment, known_at: SaidMoment, occurred_at: OccurredAt
) -> None:
    """Refuse a moment by which nobody knew the deal, or knew how it was decided."""
    if as_of is None and known_at is None:
        return
    zone = deal.context.timezone
    then, known = (moment_of(each, zone) for each in (as_of, known_at))
    if known is not None and not _is_until_now(deal, known_at, known):
        stored = [it for it in deal._stored if it.recorded <= to_instant(known)]
        deal = Deal.load(deal.id, stored, context=deal.context)
    opening = deal.history[0] if deal.history else None
    moment = " and ".join(
        f"{name} {said}"
        for name, said in (("as of", as_of), ("known at", known_at))
        if said is not None
    )
    if opening is None or (then is not None and opening.occurred > to_instant(then)):
        raise NotFoundError(
            f"the deal was not there {moment}, so that the case would show nothing; name a"
            " later moment, or none for what is known now"
        )
    status = deal.at(occurred_at if then is None else then).status
    if status in ("open", "merged"):
        raise DealClosedError(
            f"the deal is {status} {moment}, so that the case would not show how it was"
            " decided; name a later moment, or none for what is known now"
        )


def _is_until_now(deal: Deal, said: SaidMoment, known: datetime) -> bool:
    """Return whether a day is not over, by which what waits to be recorded is known too."""
    now = deal._now()
    return not isinstance(said, datetime) and now is not None and to_instant(known) >= now


@lru_cache(maxsize=1024)
def case_id(key: str) -> UUID:
    """Return the stream id of a case; the same key is the same case everywhere."""
    return id_of_key(CASES, key)
