"""The funnel, and what a naive replay says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import processes_of
from oracle.funnels import funnel_at
from properties.asked.case import Case, by_currency
from salesflow.projections.funnel import Funnel, FunnelView

__all__ = ["CASE", "said"]

FUNNELS = (
    Funnel(),
    Funnel(),
    Funnel(process="standard"),
    Funnel(process="crm"),
    Funnel(owner="ann"),
    Funnel(process="standard", owner="bob"),
)


def said(view: FunnelView) -> dict[str, Any]:
    """Write a funnel as the oracle does; empty stages are left out."""
    return {
        "stages": {
            (stage.process, stage.stage): (
                stage.deals,
                stage.deals_without_amount,
                by_currency(stage.amounts),
                by_currency(stage.weighted),
            )
            for stage in view.stages
            if stage.deals or stage.amounts
        },
        "closed": {
            closed.outcome: (closed.deals, by_currency(closed.amounts))
            for closed in view.closed
        },
        "open_deals": view.open_deals,
    }


def wanted(raw: list[Raw], question: Funnel, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle."""
    found = funnel_at(raw, as_of, known_at, process=question.process, owner=question.owner)
    found["order"] = _open_stages(raw, found)
    del found["processes"]
    return found


def _open_stages(raw: list[Raw], found: dict[str, Any]) -> list[tuple[str, str]]:
    """List every open stage of the newest version in use, then others that hold deals."""
    order = []
    versions = processes_of(raw)
    for key, newest in found["processes"].items():
        stages = versions[key, newest]["stages"]
        own = [s["key"] for s in stages if s.get("category", "open") == "open"]
        gone = sorted({stage for p, stage in found["stages"] if p == key} - set(own))
        order += [(key, stage) for stage in [*own, *gone]]
    return order


CASE = Case(
    st.sampled_from(FUNNELS),
    lambda view: {**said(view), "order": [(s.process, s.stage) for s in view.stages]},
    wanted,
)
