"""Exit criteria: what must be so before a deal moves on, and what came of checking it.

Which criteria there are is said in `process.py`, when each is met in `state.py`. The result of
every check is part of the fact that it allowed.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from salesflow.domain.deal.core import DealCommands, DealCore
from salesflow.domain.process import ProcessVersion, Stage
from salesflow.domain.values import Reason, Reference, Value
from salesflow.domain.wording import require_reason
from salesflow.errors import GateError, InputError

__all__ = ["Check", "CheckResult", "check_criteria", "check_criterion"]

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
    criteria = list(dict.fromkeys(c for stage in stages for c in stage.exit_criteria))
    strange = sorted(set(override) - set(criteria))
    if strange:
        raise InputError(f"{strange[0]!r} is not asked for here; there is no overriding it")
    if override and not (by or "").strip():
        raise InputError("say who overrides the exit criteria")
    checks = tuple(check_criterion(deal, each, override.get(each), by) for each in criteria)
    missing = [c.criterion for c in checks if c.result == "failed"]
    if missing:
        names = ", ".join(f"{process.criterion_name(c)} ({c})" for c in missing)
        raise GateError(f"deal {deal.id} cannot leave {deal.stage!r}: not met: {names}")
    return checks


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
