"""Stages: opening a deal, moving it through its process, migrating it to another version.

A forward move is checked against the exit criteria of the stage it leaves and of every stage
it skips; what was checked, and who overrode what, is in the fact. Going back or skipping is
for the process version to allow. A fact stores its target only: which stage was left, and
whether that was forward, follows from the facts around it.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.activities import Activities
from salesflow.domain.deal.core import require_reason
from salesflow.domain.deal.money import Billing
from salesflow.domain.deal.people import People
from salesflow.domain.deal.quotes import Quotes
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import TASK_COMPLETED, ProcessVersion, Stage, VersionNumber
from salesflow.domain.values import (
    Day,
    Key,
    Money,
    Reason,
    Reference,
    SafeName,
    SafeText,
    Value,
)
from salesflow.domain.wording import quoted
from salesflow.errors import GateError, InputError, RuleError, StageError

__all__ = [
    "Check",
    "CheckResult",
    "DealMigrated",
    "DealOpened",
    "StageFact",
    "StageMapping",
    "StageMoved",
    "Stages",
]

CheckResult = Literal["passed", "failed", "overridden", "not_checked"]


class DealOpened(Fact):
    """A rep took on a prospect; the deal begins in this stage of this process version."""

    kind: ClassVar[str] = "deal.opened"
    name_zh: ClassVar[str] = "商机建立"
    is_opening: ClassVar[bool] = True
    process: Key
    process_version: VersionNumber
    stage: Key
    title: SafeName | None = None
    owner: Reference | None = None
    customer_id: UUID | None = None
    amount: Money | None = None
    expected_close: Day | None = None
    lead_source: SafeText | None = None


class Check(Value):
    """What came of one exit criterion; an overridden one says by whom and why."""

    criterion: Reference
    result: CheckResult
    by: Reference | None = None
    because: Reason | None = None


class StageMoved(Fact):
    """The deal entered another stage; whether it advanced or returned is derived.

    Entering a stage of an imported process that means won, lost or disqualified *is* that
    outcome.
    """

    kind: ClassVar[str] = "deal.stage_moved"
    name_zh: ClassVar[str] = "阶段变动"
    target: Key
    because: Reason | None = None
    checks: tuple[Check, ...] = ()
    """What was checked; empty for imports, where nothing was."""


class StageMapping(Value):
    """Where a deal that stands in an old stage stands in the new process version."""

    old: Key
    new: Key


class DealMigrated(Fact):
    """The deal goes on under another process version; stages not mapped keep their key."""

    kind: ClassVar[str] = "deal.migrated"
    name_zh: ClassVar[str] = "流程版本迁移"
    process: Key
    process_version: VersionNumber
    mapping: tuple[StageMapping, ...] = ()
    because: Reason | None = None


StageFact = DealOpened | StageMoved | DealMigrated


class Stages(Activities, Quotes, Billing, People):
    """Where a deal stands in its process."""

    lead_source: str | None

    def advance(
        self,
        *,
        because: str,
        override: Mapping[str, str] | None = None,
        overridden_by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Move the deal to the next stage.

        Raises:
            GateError: when exit criteria are not met and nobody overrode them.
            StageError: in the last stage; then it is time to win or lose.
        """
        then = self.at(occurred_at)
        then._ensure_open("advance it")
        following = then.process_in_force.next_open(then.stage)
        if following is None:
            raise StageError(
                f"deal {self.id} is in {then.stage!r}, its last open stage; win it or lose it"
            )
        self.advance_to(
            following.key,
            because=because,
            override=override,
            overridden_by=overridden_by,
            occurred_at=occurred_at,
        )

    def advance_to(
        self,
        stage: str,
        *,
        because: str,
        override: Mapping[str, str] | None = None,
        overridden_by: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Move the deal forward to a stage; `override` says per criterion why it may be unmet.

        Raises:
            GateError: when exit criteria are not met and nobody overrode them.
            StageError: when the process version does not allow it.
        """
        then = self.at(occurred_at)
        process, target = then._way_to(stage, "advance it")
        here, there = process.order(then.stage), process.order(stage)
        if there < here:
            raise StageError(
                f"{quoted(stage)} lies before {then.stage!r}; use return_to to go back there"
            )
        passed = [
            s for s in process.stages[max(here, 0) : there] if s.category == target.category
        ]
        if here >= 0 and len(passed) > 1 and not process.skipping_allowed:
            skipped = ", ".join(each.key for each in passed[1:])
            raise StageError(
                f"process {process.key!r} version {process.version} does not allow skipping"
                f" {skipped}"
            )
        checks = then._checks(process, passed, override or {}, overridden_by)
        fact = StageMoved(
            target=stage, because=require_reason(because, "a move"), checks=checks
        )
        self._record(fact, occurred_at)

    def return_to(self, stage: str, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Take the deal back to an earlier stage, where the process version allows it."""
        then = self.at(occurred_at)
        process, _ = then._way_to(stage, "return it")
        if process.order(stage) > process.order(then.stage) >= 0:
            raise StageError(
                f"{quoted(stage)} lies behind {then.stage!r}; use advance_to to go there"
            )
        if not process.returning_allowed:
            raise StageError(
                f"process {process.key!r} version {process.version} does not allow going back"
            )
        self._record(
            StageMoved(target=stage, because=require_reason(because, "a return")), occurred_at
        )

    def migrate(
        self,
        process: ProcessVersion,
        *,
        mapping: Mapping[str, str] | None = None,
        because: str,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Let the deal go on under another process version; say where each old stage went."""
        then = self.at(occurred_at)
        then._ensure_unmerged("migrate it")
        if self.world.processes.get((process.key, process.version)) != process:
            raise InputError(
                f"process {process.key!r} version {process.version} has not been published"
            )
        if (then.process, then.process_version) == (process.key, process.version):
            raise RuleError(
                f"deal {self.id} stands on {process.key!r} version {process.version} already"
            )
        moves = dict(mapping or {})
        old = then.process_in_force
        for stage in {then.stage, then.last_open_stage or then.stage, *moves}:
            new = process.by_key.get(moves.get(stage, stage))
            if new is None or new.category != old.category(stage):
                raise StageError(
                    f"stage {quoted(stage)} needs a stage of the same category in"
                    f" {process.key!r} version {process.version}; name it in the mapping"
                )
        self._record(
            DealMigrated(
                process=process.key,
                process_version=process.version,
                mapping=tuple(StageMapping(old=old, new=moves[old]) for old in sorted(moves)),
                because=require_reason(because, "a migration"),
            ),
            occurred_at,
        )

    def _way_to(self, stage: str, asked: str) -> tuple[ProcessVersion, Stage]:
        """Refuse what can be no target from here, forward or back."""
        self._ensure_unmerged(asked)
        if self.outcome in ("lost", "disqualified"):
            self._ensure_open(asked)
        process = self.process_in_force
        target = process.by_key.get(stage)
        if target is None:
            raise StageError(
                f"process {process.key!r} version {process.version} has no stage"
                f" {quoted(stage)}; it has {', '.join(process.by_key)}"
            )
        if stage == self.stage:
            raise StageError(f"deal {self.id} is in {quoted(stage)} already")
        wanted = "after_sales" if self.outcome == "won" else "open"
        if target.category != wanted:
            raise StageError(
                f"deal {self.id} is {self.outcome}; {quoted(stage)} is a stage of category"
                f" {target.category}"
            )
        return process, target

    def _checks(
        self,
        process: ProcessVersion,
        stages: Iterable[Stage],
        override: Mapping[str, str],
        by: str | None,
    ) -> tuple[Check, ...]:
        """Check the exit criteria of the stages passed; refuse when one is unmet."""
        criteria = list(dict.fromkeys(c for stage in stages for c in stage.exit_criteria))
        strange = sorted(set(override) - set(criteria))
        if strange:
            raise InputError(f"{strange[0]!r} is not asked for here; there is no overriding it")
        if override and not (by or "").strip():
            raise InputError("say who overrides the exit criteria")
        checks = tuple(
            self._check(criterion, override.get(criterion), by) for criterion in criteria
        )
        missing = [c.criterion for c in checks if c.result == "failed"]
        if missing:
            names = ", ".join(f"{process.criterion_name(c)} ({c})" for c in missing)
            raise GateError(f"deal {self.id} cannot leave {self.stage!r}: not met: {names}")
        return checks

    def _check(self, criterion: str, why: str | None, by: str | None) -> Check:
        if self._meets(criterion):
            return Check(criterion=criterion, result="passed")
        if why is None:
            return Check(criterion=criterion, result="failed")
        because = require_reason(why, f"overriding {criterion}")
        return Check(criterion=criterion, result="overridden", by=by, because=because)

    def _meets(self, criterion: str) -> bool:
        """Look whether a criterion holds; one this version does not know does not."""
        met = {
            "contact_logged": bool(self.contacts),
            "customer_answered": any(c.direction == "in" for c in self.contacts),
            "customer_named": self.customer_id is not None,
            "intent_stated": self.intent is not None,
            "need_identified": bool(self.needs),
            "budget_confirmed": self.budget is not None,
            "decision_process_mapped": self.decision is not None,
            "solution_proposed": bool(self.solutions),
            "amount_known": self.amount is not None,
            "expected_close_known": self.expected_close is not None,
            "quote_issued": self.ever_issued,
            "quote_accepted": self.accepted_quote is not None,
            "terms_agreed": self.terms is not None,
            "objections_resolved": all(o.resolved for o in self.objections.values()),
        }
        if criterion.startswith(TASK_COMPLETED):
            return criterion.removeprefix(TASK_COMPLETED) in self.tasks_done
        return met.get(criterion, False)

    def _start_stages(self) -> None:
        self.lead_source = None

    def _apply_stage(self, fact: StageFact, event: Event) -> None:
        match fact:
            case DealOpened():
                self.title = fact.title or ""
                self.owner = fact.owner
                self.customer_id = fact.customer_id
                self.lead_source = fact.lead_source
                self.opened_at = self._time(event)
            case StageMoved() | DealMigrated():
                pass  # stage and process version are settled by the ground
            case _:
                assert_never(fact)
