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
    from salesflow.domain.alert import Alert
    from salesflow.domain.case import Case
    from salesflow.domain.contest import Contest, Prize
    from salesflow.domain.customer import Customer
    from salesflow.domain.deal import Deal, QuoteLine
    from salesflow.domain.figures import Figures
    from salesflow.domain.goal import Goal
    from salesflow.domain.improvement import Improvement
    from salesflow.domain.incentive_plan import (
        Accelerator,
        Decelerator,
        IncentivePlan,
        PlanTerms,
        Spiff,
        Tier,
    )
    from salesflow.domain.process import ProcessVersion, SalesProcess, Stage
    from salesflow.domain.rep import Rep
    from salesflow.domain.review import Review
    from salesflow.domain.standard_process import STANDARD
    from salesflow.domain.statement import Statement
    from salesflow.domain.team import Team
    from salesflow.domain.time import Moment
    from salesflow.domain.training import Training
    from salesflow.domain.values import Money
    from salesflow.engine import ExternalEvent, Reactor, SalesFlow, Session
    from salesflow.errors import SalesflowError
    from salesflow.projections.alerts.alerts import Alerts
    from salesflow.projections.cases.case_library import CaseLibrary
    from salesflow.projections.cases.case_study import CaseStudy
    from salesflow.projections.cases.win_loss import WinLoss
    from salesflow.projections.collaboration.collaboration import Collaboration
    from salesflow.projections.feedback.feedback import Feedback
    from salesflow.projections.forecast.forecast import Forecast
    from salesflow.projections.forecast.forecast_backtest import ForecastBacktest
    from salesflow.projections.forecast.forecast_range import ForecastRange
    from salesflow.projections.goals.goal_attainment import GoalAttainment
    from salesflow.projections.goals.goal_check import GoalCheck
    from salesflow.projections.goals.stage_kpis import StageKpis
    from salesflow.projections.health.deal_health import DealHealth
    from salesflow.projections.improvement.improvement_effect import ImprovementEffect
    from salesflow.projections.improvement.process_diff import ProcessDiff
    from salesflow.projections.incentives.commission_estimate import CommissionEstimate
    from salesflow.projections.incentives.commission_statement import CommissionStatement
    from salesflow.projections.incentives.contest_standings import ContestStandings
    from salesflow.projections.incentives.leaderboard import Leaderboard
    from salesflow.projections.people.coaching import Coaching
    from salesflow.projections.people.rep_card import RepCard
    from salesflow.projections.people.training_effect import TrainingEffect
    from salesflow.projections.performance.kpis import Kpis
    from salesflow.projections.pipeline.deal_timeline import DealTimeline
    from salesflow.projections.pipeline.deals import Deals
    from salesflow.projections.pipeline.flow import Flow
    from salesflow.projections.pipeline.funnel import Funnel
    from salesflow.projections.pipeline.funnel_trend import FunnelTrend
    from salesflow.projections.pipeline.restatement import Restatement
    from salesflow.projections.review.retrospective import Retrospective
    from salesflow.projections.review.strategy_review import StrategyReview
    from salesflow.projections.stages.bottlenecks import Bottlenecks
    from salesflow.projections.stages.conversion import Conversion
    from salesflow.projections.stages.stage_times import StageTimes

__all__ = [
    "STANDARD",
    "Accelerator",
    "Alert",
    "Alerts",
    "Bottlenecks",
    "Case",
    "CaseLibrary",
    "CaseStudy",
    "Coaching",
    "Collaboration",
    "CommissionEstimate",
    "CommissionStatement",
    "Contest",
    "ContestStandings",
    "Conversion",
    "Customer",
    "Deal",
    "DealHealth",
    "DealTimeline",
    "Deals",
    "Decelerator",
    "ExternalEvent",
    "Feedback",
    "Figures",
    "Flow",
    "Forecast",
    "ForecastBacktest",
    "ForecastRange",
    "Funnel",
    "FunnelTrend",
    "Goal",
    "GoalAttainment",
    "GoalCheck",
    "Improvement",
    "ImprovementEffect",
    "IncentivePlan",
    "Kpis",
    "Leaderboard",
    "Moment",
    "Money",
    "PlanTerms",
    "Prize",
    "ProcessDiff",
    "ProcessVersion",
    "QuoteLine",
    "Reactor",
    "Rep",
    "RepCard",
    "Restatement",
    "Retrospective",
    "Review",
    "SalesFlow",
    "SalesProcess",
    "SalesflowError",
    "Session",
    "Spiff",
    "Stage",
    "StageKpis",
    "StageTimes",
    "Statement",
    "StrategyReview",
    "Team",
    "Tier",
    "Training",
    "TrainingEffect",
    "WinLoss",
]

_HOMES = {
    "STANDARD": "domain.standard_process",
    "Bottlenecks": "projections.stages.bottlenecks",
    "Case": "domain.case",
    "CaseLibrary": "projections.cases.case_library",
    "Alert": "domain.alert",
    "Alerts": "projections.alerts.alerts",
    "CaseStudy": "projections.cases.case_study",
    "Coaching": "projections.people.coaching",
    "Collaboration": "projections.collaboration.collaboration",
    "Conversion": "projections.stages.conversion",
    "Customer": "domain.customer",
    "Deal": "domain.deal",
    "DealHealth": "projections.health.deal_health",
    "DealTimeline": "projections.pipeline.deal_timeline",
    "Deals": "projections.pipeline.deals",
    "Feedback": "projections.feedback.feedback",
    "Flow": "projections.pipeline.flow",
    "Forecast": "projections.forecast.forecast",
    "ForecastBacktest": "projections.forecast.forecast_backtest",
    "ForecastRange": "projections.forecast.forecast_range",
    "ExternalEvent": "engine",
    "Funnel": "projections.pipeline.funnel",
    "FunnelTrend": "projections.pipeline.funnel_trend",
    "Improvement": "domain.improvement",
    "ImprovementEffect": "projections.improvement.improvement_effect",
    "Figures": "domain.figures",
    "Goal": "domain.goal",
    "GoalAttainment": "projections.goals.goal_attainment",
    "GoalCheck": "projections.goals.goal_check",
    "Kpis": "projections.performance.kpis",
    "Moment": "domain.time",
    "Money": "domain.values",
    "ProcessDiff": "projections.improvement.process_diff",
    "ProcessVersion": "domain.process",
    "QuoteLine": "domain.deal",
    "Reactor": "engine",
    "Rep": "domain.rep",
    "RepCard": "projections.people.rep_card",
    "Restatement": "projections.pipeline.restatement",
    "Review": "domain.review",
    "Retrospective": "projections.review.retrospective",
    "SalesFlow": "engine",
    "SalesProcess": "domain.process",
    "SalesflowError": "errors",
    "Session": "engine",
    "Stage": "domain.process",
    "StageKpis": "projections.goals.stage_kpis",
    "StageTimes": "projections.stages.stage_times",
    "StrategyReview": "projections.review.strategy_review",
    "Team": "domain.team",
    "Training": "domain.training",
    "TrainingEffect": "projections.people.training_effect",
    "WinLoss": "projections.cases.win_loss",
    "Contest": "domain.contest",
    "Prize": "domain.contest",
    "Accelerator": "domain.incentive_plan",
    "Decelerator": "domain.incentive_plan",
    "IncentivePlan": "domain.incentive_plan",
    "PlanTerms": "domain.incentive_plan",
    "Spiff": "domain.incentive_plan",
    "Tier": "domain.incentive_plan",
    "Statement": "domain.statement",
    "CommissionEstimate": "projections.incentives.commission_estimate",
    "CommissionStatement": "projections.incentives.commission_statement",
    "ContestStandings": "projections.incentives.contest_standings",
    "Leaderboard": "projections.incentives.leaderboard",
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
