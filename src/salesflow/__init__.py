"""An event-sourced sales process engine to embed in your own system.

    from salesflow import STANDARD, Customer, Deal, Funnel, Money, SalesFlow

    with SalesFlow("sqlite:///sales.db", timezone="Asia/Shanghai") as flow:
        with flow.session(actor="u-17") as s:
            acme = s.add(Customer.register(name="Acme"))
            s.add(Deal.open(STANDARD, customer=acme, title="ERP rollout", owner="u-17"))
        flow.ask(Funnel(), as_of="2026-03-31")

What an embedding needs is here: the engine, the aggregates, values, and every question that
can be asked. Errors are in `salesflow.errors`, the facts in `salesflow.domain`. A name is
imported when it is first used, so that whoever wants the errors alone does not load a database.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from salesflow.domain.customer import Customer
    from salesflow.domain.deal import Deal, QuoteLine
    from salesflow.domain.moments import Moment
    from salesflow.domain.processes import ProcessVersion, SalesProcess, Stage
    from salesflow.domain.reps import Rep
    from salesflow.domain.standard import STANDARD
    from salesflow.domain.teams import Team
    from salesflow.domain.values import Money
    from salesflow.engine import ForeignFact, Reactor, SalesFlow, Session
    from salesflow.errors import SalesflowError
    from salesflow.projections.case_study import CaseStudy
    from salesflow.projections.conversion import Conversion
    from salesflow.projections.deal_timeline import DealTimeline
    from salesflow.projections.deals import Deals
    from salesflow.projections.feedback import Feedback
    from salesflow.projections.flow import Flow
    from salesflow.projections.forecast import Forecast
    from salesflow.projections.funnel import Funnel
    from salesflow.projections.funnel_trend import FunnelTrend
    from salesflow.projections.kpis import Kpis
    from salesflow.projections.restatement import Restatement
    from salesflow.projections.retrospective import Retrospective
    from salesflow.projections.stage_times import StageTimes
    from salesflow.projections.win_loss import WinLoss

__all__ = [
    "STANDARD",
    "CaseStudy",
    "Conversion",
    "Customer",
    "Deal",
    "DealTimeline",
    "Deals",
    "Feedback",
    "Flow",
    "Forecast",
    "ForeignFact",
    "Funnel",
    "FunnelTrend",
    "Kpis",
    "Moment",
    "Money",
    "ProcessVersion",
    "QuoteLine",
    "Reactor",
    "Rep",
    "Restatement",
    "Retrospective",
    "SalesFlow",
    "SalesProcess",
    "SalesflowError",
    "Session",
    "Stage",
    "StageTimes",
    "Team",
    "WinLoss",
]

_HOMES = {
    "STANDARD": "domain.standard",
    "CaseStudy": "projections.case_study",
    "Conversion": "projections.conversion",
    "Customer": "domain.customer",
    "Deal": "domain.deal",
    "DealTimeline": "projections.deal_timeline",
    "Deals": "projections.deals",
    "Feedback": "projections.feedback",
    "Flow": "projections.flow",
    "Forecast": "projections.forecast",
    "ForeignFact": "engine",
    "Funnel": "projections.funnel",
    "FunnelTrend": "projections.funnel_trend",
    "Kpis": "projections.kpis",
    "Moment": "domain.moments",
    "Money": "domain.values",
    "ProcessVersion": "domain.processes",
    "QuoteLine": "domain.deal",
    "Reactor": "engine",
    "Rep": "domain.reps",
    "Restatement": "projections.restatement",
    "Retrospective": "projections.retrospective",
    "SalesFlow": "engine",
    "SalesProcess": "domain.processes",
    "SalesflowError": "errors",
    "Session": "engine",
    "Stage": "domain.processes",
    "StageTimes": "projections.stage_times",
    "Team": "domain.teams",
    "WinLoss": "projections.win_loss",
}


@contextmanager
def _true_dates() -> Iterator[None]:
    """Load modules with the types of dates that Python has, also where a test has frozen time.

    A library that freezes time puts types of its own in their place, of which no model can be
    made; it also asks modules for all their names, and so loads ours at just that moment.
    """
    found = {name: getattr(datetime, name) for name in ("datetime", "date")}
    frozen = {name: cls for name, cls in found.items() if _true(cls) is not cls}
    vars(datetime).update({name: _true(cls) for name, cls in frozen.items()})
    try:
        yield
    finally:
        vars(datetime).update(frozen)


def _true(cls: type) -> type:
    return next(each for each in cls.__mro__ if each.__module__ == "datetime")


if not TYPE_CHECKING:  # so that a type checker still refuses a name that is not there

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with _true_dates():
            return getattr(import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return __all__
