"""Outcomes: won, lost, disqualified, and back to open.

An outcome is not a stage. Winning ends negotiation and opens after-sales service; a lost deal
stays where it was lost. Reopening keeps the first outcome readable. A signature is a fact of
the world, so no exit criterion stops a win; which exit criteria were unmet is in the fact.
"""

from typing import ClassVar, Final, assert_never

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import DealCommands, DealCore, require_reason, require_worth
from salesflow.domain.deal.stages import Check, check_criterion
from salesflow.domain.event import Event, Fact
from salesflow.domain.values import Key, Money, Personal, Reason, SafeName, SafeReason
from salesflow.domain.wording import Message, quoted
from salesflow.errors import DealClosedError, RuleError, StageError

__all__ = [
    "FAR_OFF",
    "DealDisqualified",
    "DealLost",
    "DealReopened",
    "DealWon",
    "OutcomeFact",
    "OutcomeState",
    "Outcomes",
]

FAR_OFF: Final = 3
"""So many times as much as a deal stood at, or as little, is far off: perhaps mistyped."""


class DealWon(Fact):
    """The customer signed; the deal enters after-sales service."""

    kind: ClassVar[str] = "deal.won"
    name_zh: ClassVar[str] = "赢单"
    changes_summary: ClassVar[bool] = True
    amount: Money | None = None
    """What was signed; what the deal was worth anyway when left out."""
    because: Reason | None = None
    checks: tuple[Check, ...] = ()


class DealLost(Fact):
    """The customer decided against us, or against buying."""

    kind: ClassVar[str] = "deal.lost"
    name_zh: ClassVar[str] = "输单"
    changes_summary: ClassVar[bool] = True
    because: SafeReason | None = None
    """The key of a loss reason of the process, where it names any: `salesflow process show` has
    them; else in words."""
    competitor: SafeName | None = None
    note: Personal | None = None


class DealDisqualified(Fact):
    """It never was a chance to sell: a duplicate, a mistake, nobody to buy."""

    kind: ClassVar[str] = "deal.disqualified"
    name_zh: ClassVar[str] = "无效"
    changes_summary: ClassVar[bool] = True
    because: SafeReason | None = None
    note: Personal | None = None


class DealReopened(Fact):
    """A closed deal is open again, in this stage or where it stood open last."""

    kind: ClassVar[str] = "deal.reopened"
    name_zh: ClassVar[str] = "重新激活"
    changes_summary: ClassVar[bool] = True
    stage: Key | None = None
    because: Reason | None = None


OutcomeFact = DealWon | DealLost | DealDisqualified | DealReopened


class OutcomeState(DealCore):
    """How a deal ended, if it did."""

    lost_because: str | None = None
    """The reason of the standing loss."""
    lost_to: str | None = None
    disqualified_because: str | None = None

    def _evolve_outcome(self, fact: OutcomeFact, _: Event) -> Message | None:
        match fact:
            case DealWon():
                irregular = self._close("won", self._first_stage("after_sales", "won"))
                if irregular is None and fact.amount is not None:
                    self.amount = fact.amount
            case DealLost():
                irregular = self._close("lost", self._first_stage("lost"))
            case DealDisqualified():
                irregular = self._close("disqualified", self._first_stage("disqualified"))
            case DealReopened():
                irregular = self._reopen(fact)
            case _:
                assert_never(fact)
        return irregular

    def _reopen(self, fact: DealReopened) -> Message | None:
        if self.outcome == "open":
            return Message("reopened while open")
        self.outcome = "open"
        self.stage = (
            fact.stage or self.last_open_stage or self._first_stage("open") or self.stage
        )
        self.last_open_stage = self.stage
        return None

    def _note_outcome(self, event: Event) -> None:
        """Note why and when the outcome came about; the first one is kept for good."""
        fact = event.fact
        self.lost_because = fact.because if isinstance(fact, DealLost) else None
        self.lost_to = fact.competitor if isinstance(fact, DealLost) else None
        self.disqualified_because = fact.because if isinstance(fact, DealDisqualified) else None
        self._closing = None if self.outcome == "open" else event
        if self.outcome != "open" and self.first_outcome is None:
            self.first_outcome, self._first_closing = self.outcome, event
        if self.outcome == "won" and self._first_win is None:
            self._first_win = event


class Outcomes(DealCommands, OutcomeState):
    """How a deal is closed and taken up again."""

    def win(
        self,
        amount: Money | None = None,
        *,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that they signed, and for how much where that is news."""
        then = self._at(occurred_at)
        then._ensure_open("win it")
        require_worth(amount, what="what was signed")
        here = then.process_in_force.by_key.get(then.stage)
        criteria = () if here is None else here.exit_criteria
        checks = tuple(check_criterion(then, criterion) for criterion in criteria)
        self._record(DealWon(amount=amount, because=because, checks=checks), occurred_at)

    def lose(
        self,
        *,
        because: str,
        competitor: str | None = None,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that we lost it, why, and to whom if anybody."""
        then = self._at(occurred_at)
        then._ensure_open("lose it")
        require_reason(because, "a loss")
        reasons = [reason.key for reason in then.process_in_force.loss_reasons]
        if reasons and because not in reasons:
            raise RuleError(
                f"{quoted(because)} is not a loss reason of process {then.process!r} version"
                f" {then.process_version}; there are {', '.join(reasons)} (and a free note)"
            )
        fact = DealLost(because=because, competitor=competitor, note=note)
        self._record(fact, occurred_at)

    def disqualify(
        self, *, because: str, note: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Say that it never was a chance to sell, and why."""
        self._at(occurred_at)._ensure_open("disqualify it")
        fact = DealDisqualified(because=require_reason(because, "disqualifying"), note=note)
        self._record(fact, occurred_at)

    def reopen(
        self, *, stage: str | None = None, because: str, occurred_at: OccurredAt = None
    ) -> None:
        """Take a closed deal up again, where it stood open last or in a stage you name."""
        then = self._at(occurred_at)
        then._ensure_unmerged("reopen it")
        if then.outcome == "open":
            raise DealClosedError(f"deal {self.id} is open; there is nothing to reopen")
        process = then.process_in_force
        if stage is not None and process.stage(stage).category != "open":
            raise StageError(f"a deal is reopened in an open stage; {quoted(stage)} is none")
        fact = DealReopened(stage=stage, because=require_reason(because, "reopening"))
        self._record(fact, occurred_at)
