"""Awards of reps: what is given for good work and is no money.

Facts of the rep's own stream, so that whoever looks at a rep has them at hand. It is a module
of its own since awards say nothing of where a rep sells. Money is paid by incentive plans.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.state import State, appended
from salesflow.domain.values import Key, Reason, SafeName
from salesflow.domain.wording import quoted
from salesflow.errors import RuleError

__all__ = ["Award", "AwardGranted", "AwardKind", "AwardState", "Awards"]


AwardKind = Literal["badge", "recognition", "growth_opportunity"]


class AwardGranted(Fact):
    """A rep was given an award that is no money."""

    kind: ClassVar[str] = "rep.award_granted"
    name_zh: ClassVar[str] = "授予荣誉"
    award: SafeName
    award_kind: AwardKind = "recognition"
    """A badge, a recognition, or an opportunity to grow (a training, a project, a mentor)."""
    contest: Key | None = None
    """The contest it was won in."""
    because: Reason | None = None


class Award(NamedTuple):
    """An award of a rep."""

    award: str
    kind: AwardKind
    contest: str | None
    because: str | None
    granted_at: datetime


class AwardState(State):
    """Which awards a rep has by now."""

    awards: Sequence[Award] = ()

    def _evolve_awards(self, fact: AwardGranted, event: Event) -> None:
        award = Award(
            fact.award, fact.award_kind, fact.contest, fact.because, event.occurred_at
        )
        self.awards = appended(self.awards, award)


class Awards(PlannedAggregate, AwardState):
    """What a rep is given beside money."""

    def grant_award(
        self,
        award: str,
        *,
        because: str,
        award_kind: AwardKind = "recognition",
        contest: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Give the rep an award, and say what for.

        Raises:
            RuleError: when it was given on that day already.
        """
        self._at(occurred_at)
        fact = AwardGranted(
            award=award,
            award_kind=award_kind,
            contest=contest,
            because=require_reason(because, "an award"),
        )
        self._ensure_not_granted(fact, occurred_at)
        self._record(fact, occurred_at)

    def _ensure_not_granted(self, fact: AwardGranted, occurred_at: OccurredAt) -> None:
        """Refuse an award twice on a day; on another day it may be earned again."""
        for each in self._of_that_day(AwardGranted, occurred_at):
            if (each.award, each.award_kind, each.contest) == (
                *(fact.award, fact.award_kind, fact.contest),
            ):
                raise RuleError(
                    f"{quoted(fact.award)} was granted on that day already; an award is granted"
                    " once a day: where it is another one, name it otherwise"
                )
