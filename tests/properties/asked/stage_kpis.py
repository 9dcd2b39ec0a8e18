"""The KPIs of stages in a period, and what a naive replay says of them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import deal_at, deals_of, processes_of
from oracle.metrics import AT_STAGE, happened_at_stage, metrics_in, repeat_rate_in
from oracle.periods import period_before, period_of
from properties.asked.case import Case
from properties.asked.goal_attainment import _Close
from properties.asked.periods import periods
from salesflow.projections.goals.stage_kpis import StageKpis, StageKpisView

__all__ = ["CASE"]

CALLED = {"lead_conversion": "stage_conversion", "contact_count": "contacts_per_deal"}


def asked() -> st.SearchStrategy[StageKpis]:
    """Draw which stages to ask about."""
    only: tuple[dict[str, Any], ...] = (
        {},
        {"process": "standard"},
        {"owner": "ann"},
        {"team": "east"},
    )
    return st.builds(
        lambda days, only: StageKpis.model_validate({"from_": days[0], "to": days[1], **only}),
        periods(),
        st.sampled_from(only),
    )


def said(view: StageKpisView) -> list[tuple[Any, ...]]:
    """Write the figures as the oracle does."""
    return [
        (
            *(it.process, it.version, it.stage, it.kpi, it.target),
            *(it.value, it.rests_on, it.value_before, it.met),
        )
        for it in view.kpis
    ]


def wanted(
    raw: list[Raw], question: StageKpis, as_of: int, known_at: int
) -> list[tuple[Any, ...]]:
    """Measure every KPI of the newest version of each process by itself."""
    stood = [deal_at(raw, stream, as_of, known_at) for stream in deals_of(raw)]
    newest: dict[str, int] = {}
    for deal in filter(None, stood):
        if question.process in (None, deal["process"]):
            before = newest.get(deal["process"], 0)
            newest[deal["process"]] = max(before, deal["process_version"])
    days = (question.from_, question.to)
    spans = period_of(*days, as_of), period_before(*days, as_of)
    found = []
    for process in sorted(newest):
        for stage in processes_of(raw)[process, newest[process]]["stages"]:
            for kpi in stage.get("kpis", []):
                scope = {"process": process, "owner": question.owner, "team": question.team}
                scope["stage"] = stage["key"]
                (value, n), (earlier, _) = (
                    _value(raw, kpi["metric"], span, (as_of, known_at), scope) for span in spans
                )
                target = None if kpi.get("target") is None else Decimal(kpi["target"])
                met = None if None in (value, target) else value >= Fraction(target or 0)
                key = (process, newest[process], stage["key"], kpi["metric"], target)
                found.append((*key, _Close(value), n, _Close(earlier), met))
    return found


def _value(
    raw: list[Raw],
    kpi: str,
    span: tuple[int, int],
    at: tuple[int, int],
    scope: dict[str, Any],
) -> tuple[Any, int]:
    metric = CALLED.get(kpi, kpi)
    if metric == "repeat_rate":
        return _counted(repeat_rate_in(raw, span, at, scope))
    if metric in AT_STAGE:
        found = metrics_in(raw, [metric], span, at, by=None, scope=scope)
        return _counted(found[metric].get(None, (None, 0)))
    return _counted(happened_at_stage(raw, metric, span, at, scope))


def _counted(figure: tuple[Any, int | None]) -> tuple[Any, int]:
    return figure[0], figure[1] or 0


CASE = Case(asked(), said, wanted)
