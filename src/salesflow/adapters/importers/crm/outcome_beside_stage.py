"""Puts together what some systems keep apart: the stage of a deal, and whether it is closed.

In Pipedrive and Odoo a deal that is won or lost stays in the stage it was in; that it is closed
is a status beside it. Here a process has stages of its own for both, `won` and `lost`, in which
a closed deal is; taken up again it is in the stage it was in, or was moved to meanwhile. So
funnel, time in stages and conversion mean the same whatever the system.

A module of its own, as it is about two systems, and about none of the others.
"""

from typing import Any, Final

from salesflow.adapters.importers.crm.records import Attribute, CrmDeal
from salesflow.adapters.importers.crm.stages import CrmStage

__all__ = ["CLOSED_STAGES", "LOST", "WHEN_CLOSED", "WON", "with_outcomes"]


WON: Final = "won"
LOST: Final = "lost"
CLOSED_STAGES: Final = (
    CrmStage(WON, "Won", "赢单", "won"),
    CrmStage(LOST, "Lost", "输单", "lost"),
)
"""What every pipeline of such a system ends with."""
WHEN_CLOSED: Final = "in this stage when it was closed; no record says since when"
MOVING: Final[tuple[Attribute, ...]] = ("stage", "status")


def with_outcomes(deal: CrmDeal) -> None:
    """Put stage and status of a deal together, in its history and as it is now.

    Steps have to stand in order. Where no step tells of the stage, it was always the one it is
    in now.
    """
    running = {"stage": _first(deal, "stage"), "status": _first(deal, "status") or "open"}
    steps = []
    for step in deal.steps:
        before, after = dict(step.before), dict(step.after)
        moving = any(name in after for name in MOVING)
        if any(name in before for name in MOVING):
            before["stage"] = _effective({**running, **_of(step.before)})
        running.update(_of(step.after))
        if moving:
            after["stage"] = _effective(running)
        steps.append(
            step._replace(after=_without_status(after), before=_without_status(before))
        )
    deal.steps = steps
    if deal.now.get("stage") is not None:
        deal.now["stage"] = _effective({**deal.now})
    deal.now.pop("status", None)


def _first(deal: CrmDeal, name: Attribute) -> Any:  # noqa: ANN401 - a stage or a status
    """Return how a deal was before its first step."""
    for step in deal.steps:
        if step.before.get(name) is not None:
            return step.before[name]
        if step.after.get(name) is not None:
            return step.after[name] if name == "stage" else None
    return deal.now.get(name) if name == "stage" else None


def _of(values: Any) -> dict[str, Any]:  # noqa: ANN401 - the values of a step
    return {name: values[name] for name in MOVING if values.get(name) is not None}


def _effective(values: Any) -> Any:  # noqa: ANN401 - the stage of a deal
    status = values.get("status")
    return status if status in (WON, LOST) else values.get("stage")


def _without_status(values: dict[Attribute, object]) -> dict[Attribute, object]:
    return {name: value for name, value in values.items() if name != "status"}
