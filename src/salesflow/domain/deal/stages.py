"""Stages: opening a deal, moving it by exit criteria, migrating it to another version.

A forward move is checked against the exit criteria of the stage it leaves and of every stage
it skips; what was checked, and who overrode what, is in the fact. Going back or skipping is
for the process version to allow. A fact stores its target only: which stage was left, and
whether that was forward, follows from the facts around it.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.deal.core import DealCommands, DealCore
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import (
    OUTCOME_OF_CATEGORY,
    Category,
    ProcessVersion,
    Stage,
    VersionNumber,
)
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
from salesflow.domain.wording import Message, quoted
from salesflow.errors import GateError, InputError, RuleError, StageError

__all__ = [
    "Check",
    "CheckResult",
    "DealMigrated",
    "DealOpened",
    "StageFact",
    "StageMapping",
    "StageMoved",
    "StageState",
    "Stages",
    "check_criteria",
    "check_criterion",
]


# Exit criteria: what must be so before a deal moves on, and what came of checking it.
#
# Which criteria there are is said in `process.py`, when each is met in `state.py`. The result
# of every check is part of the fact that it allowed.

CheckResult = Literal["passed", "failed", "overridden", "not_checked"]


class Check(Value):
    """What came of one exit criterion; an overridden one says by whom and why."""

    criterion: Reference
    result: CheckResult
    by: Reference | None = None
    because: Reason | None = None


def check_criteria(
    deal: DealCommands,
    process: ProcessVersion,
    stages: Iterable[Stage],
    override: Mapping[str, str],
    by: str | None,
) -> tuple[Check, ...]:
    """Check the exit criteria of the stages that a move leaves behind.

    `override` says per criterion why it may be unmet, `by` who decided that.

    Raises:
        GateError: when one is unmet and nobody overrode it.
        InputError: for an override that nothing asks for, or that nobody answers for.
    """
    asked_by: dict[str, str] = {}
    for stage in stages:
        for each in stage.exit_criteria:
            asked_by.setdefault(each, stage.key)
    criteria = [*asked_by]
    strange = sorted(set(override) - set(criteria))
    if strange:
        raise InputError(f"{strange[0]!r} is not asked for here; there is no overriding it")
    if override and not (by or "").strip():
        raise InputError("say who overrides the exit criteria")
    state: DealCore = deal._state
    checks = tuple(check_criterion(state, each, override.get(each), by) for each in criteria)
    missing = [c.criterion for c in checks if c.result == "failed"]
    if missing:
        raise GateError(_unmet(deal, process, {c: asked_by[c] for c in missing}))
    return checks


def _unmet(deal: DealCommands, process: ProcessVersion, missing: Mapping[str, str]) -> str:
    """Say which criteria keep a deal from leaving which stages, and what can be done."""
    stages = [
        f"{stage!r}: not met: "
        + ", ".join(
            f"{process.criterion_name(c)} ({c})" for c in missing if missing[c] == stage
        )
        for stage in dict.fromkeys(missing.values())
    ]
    return (
        f"deal {deal.id} cannot leave {'; nor '.join(stages)}; meet what is missing, or say by"
        " `override` why each may be unmet, and by `overridden_by` who decided that"
    )


def check_criterion(
    state: DealCore, criterion: str, override: str | None = None, by: str | None = None
) -> Check:
    """Check one exit criterion; one that is unmet but overridden says why, and by whom."""
    if state.meets(criterion):
        return Check(criterion=criterion, result="passed")
    if override is None:
        return Check(criterion=criterion, result="failed")
    because = require_reason(override, f"overriding {criterion}")
    return Check(criterion=criterion, result="overridden", by=by, because=because)


class DealOpened(Fact):
    """A rep took on a prospect; the deal begins in this stage of this process version."""

    kind: ClassVar[str] = "deal.opened"
    name_zh: ClassVar[str] = "商机创建"
    changes_summary: ClassVar[bool] = True
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


class StageMoved(Fact):
    """The deal entered another stage; whether it advanced or returned is derived.

    Entering a stage of an imported process that means won, lost or disqualified *is* that
    outcome.
    """

    kind: ClassVar[str] = "deal.stage_moved"
    name_zh: ClassVar[str] = "阶段变动"
    changes_summary: ClassVar[bool] = True
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
    changes_summary: ClassVar[bool] = True
    process: Key
    process_version: VersionNumber
    mapping: tuple[StageMapping, ...] = ()
    because: Reason | None = None


StageFact = DealOpened | StageMoved | DealMigrated


class StageState(DealCore):
    """Where a deal stands in its process."""

    lead_source: str | None = None

    def category(self, stage: str) -> Category:
        """Return a stage's category under the version in force; unknown ones are open."""
        return self._category(stage)

    def _category(self, stage: str) -> Category:
        process = self.version_in_force
        return "open" if process is None else process.categories[stage]

    def _evolve_stages(self, fact: StageFact, event: Event) -> Message | None:
        match fact:
            case StageMoved():
                return self._move(fact)
            case DealMigrated():
                self._migrate(fact)
            case DealOpened():
                return self._open(fact, event)
            case _:
                assert_never(fact)
        return None

    def _name_process(self, key: str, version: int) -> None:
        self.process, self.process_version = key, version
        self.version_in_force = self._context.processes.get((key, version))

    def _open(self, fact: DealOpened, event: Event) -> Message | None:
        if self._opening is not event:
            return Message("the deal was opened before")
        self._name_process(fact.process, fact.process_version)
        category = self._category(fact.stage)
        self.title, self.stage = fact.title or "", fact.stage
        self.outcome = OUTCOME_OF_CATEGORY.get(category, "open")
        if category == "open":
            self.last_open_stage = fact.stage
        self.owner, self.customer_id = fact.owner, fact.customer_id
        self.amount, self.expected_close = fact.amount, fact.expected_close
        self.lead_source = fact.lead_source
        return None

    def _move(self, fact: StageMoved) -> Message | None:
        category = self._category(fact.target)
        closing = OUTCOME_OF_CATEGORY.get(category)
        if closing is not None:
            return self._close(closing, fact.target)
        if self.merged_into is not None:
            return Message("moved while merged")
        if self.outcome == "lost":
            return Message("moved while lost")
        if self.outcome == "disqualified":
            return Message("moved while disqualified")
        if category == "open":
            if self.outcome == "won":
                return Message("moved to an open stage while won")
            self.last_open_stage = fact.target
        self.stage = fact.target
        return None

    def _migrate(self, fact: DealMigrated) -> None:
        moves = {each.old: each.new for each in fact.mapping}
        self._name_process(fact.process, fact.process_version)
        self.stage = moves.get(self.stage, self.stage)
        if self.last_open_stage is not None:
            self.last_open_stage = moves.get(self.last_open_stage, self.last_open_stage)


class Stages(DealCommands, StageState):
    """How a deal is taken through its process."""

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
        then = self._at(occurred_at)
        process = then._process_while_open("advance it")
        following = process.next_open(then.stage)
        if following is None:
            raise StageError(
                f"deal {self.id} is in {then.stage!r}, its last open stage; win it or lose it"
            )
        self._advance(
            then, process, following, because, override or {}, overridden_by, occurred_at
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
        """Move the deal forward to a stage, perhaps over exit criteria that are unmet.

        Raises:
            GateError: when exit criteria are not met and nobody overrode them.
            StageError: when the process version does not allow it.
        """
        then = self._at(occurred_at)
        process, target = then._resolve_target(stage, "advance it")
        self._advance(
            then, process, target, because, override or {}, overridden_by, occurred_at
        )

    def _advance(
        self,
        then: "Stages",
        process: ProcessVersion,
        target: Stage,
        because: str,
        override: Mapping[str, str],
        overridden_by: str | None,
        occurred_at: OccurredAt,
    ) -> None:
        here, there = process.places.get(then.stage, -1), process.places[target.key]
        if there < here:
            raise StageError(
                f"{quoted(target.key)} lies before {then.stage!r}; use return_to to go back"
                " there"
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
        checks = check_criteria(then, process, passed, override, overridden_by)
        fact = StageMoved(
            target=target.key, because=require_reason(because, "a move"), checks=checks
        )
        self._record(fact, occurred_at)

    def return_to(self, stage: str, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Take the deal back to an earlier stage, where the process version allows it."""
        then = self._at(occurred_at)
        process, _ = then._resolve_target(stage, "return it")
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
        then = self._at(occurred_at)
        then._ensure_unmerged("migrate it")
        if self.context.processes.get((process.key, process.version)) != process:
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
            if new is None or new.category != old.categories[stage]:
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

    def _resolve_target(self, stage: str, action: str) -> tuple[ProcessVersion, Stage]:
        """Refuse what can be no target from here, forward or back."""
        self._ensure_unmerged(action)
        if self.outcome in ("lost", "disqualified"):
            self._ensure_open(action)
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
