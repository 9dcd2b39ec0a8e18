"""Where every question lives, by its name. Naming one here is all it takes.

The command line makes a command of each. A question is imported when it is first used, so that
a list of their names costs nothing.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Final

__all__ = ["QUESTION_HOMES", "installed_points", "question_homes"]

QUESTION_HOMES: Final = {
    "alerts": "salesflow.projections.alerts.alerts:Alerts",
    "funnel": "salesflow.projections.pipeline.funnel:Funnel",
    "bottlenecks": "salesflow.projections.stages.bottlenecks:Bottlenecks",
    "case-library": "salesflow.projections.cases.case_library:CaseLibrary",
    "case-study": "salesflow.projections.cases.case_study:CaseStudy",
    "commission-estimate": (
        "salesflow.projections.incentives.commission_estimate:CommissionEstimate"
    ),
    "commission-statement": (
        "salesflow.projections.incentives.commission_statement:CommissionStatement"
    ),
    "contest-standings": (
        "salesflow.projections.incentives.contest_standings:ContestStandings"
    ),
    "coaching": "salesflow.projections.people.coaching:Coaching",
    "collaboration": "salesflow.projections.collaboration.collaboration:Collaboration",
    "conversion": "salesflow.projections.stages.conversion:Conversion",
    "deal-health": "salesflow.projections.health.deal_health:DealHealth",
    "deals": "salesflow.projections.pipeline.deals:Deals",
    "deal-timeline": "salesflow.projections.pipeline.deal_timeline:DealTimeline",
    "feedback": "salesflow.projections.feedback.feedback:Feedback",
    "flow": "salesflow.projections.pipeline.flow:Flow",
    "forecast": "salesflow.projections.forecast.forecast:Forecast",
    "forecast-backtest": "salesflow.projections.forecast.forecast_backtest:ForecastBacktest",
    "forecast-range": "salesflow.projections.forecast.forecast_range:ForecastRange",
    "funnel-trend": "salesflow.projections.pipeline.funnel_trend:FunnelTrend",
    "improvement-effect": (
        "salesflow.projections.improvement.improvement_effect:ImprovementEffect"
    ),
    "goal-attainment": "salesflow.projections.goals.goal_attainment:GoalAttainment",
    "goal-check": "salesflow.projections.goals.goal_check:GoalCheck",
    "kpis": "salesflow.projections.performance.kpis:Kpis",
    "leaderboard": "salesflow.projections.incentives.leaderboard:Leaderboard",
    "process-diff": "salesflow.projections.improvement.process_diff:ProcessDiff",
    "rep-card": "salesflow.projections.people.rep_card:RepCard",
    "restatement": "salesflow.projections.pipeline.restatement:Restatement",
    "retrospective": "salesflow.projections.review.retrospective:Retrospective",
    "stage-kpis": "salesflow.projections.goals.stage_kpis:StageKpis",
    "stage-times": "salesflow.projections.stages.stage_times:StageTimes",
    "strategy-review": "salesflow.projections.review.strategy_review:StrategyReview",
    "training-effect": "salesflow.projections.people.training_effect:TrainingEffect",
    "win-loss": "salesflow.projections.cases.win_loss:WinLoss",
}
"""Module and class of each question, by its name in kebab case."""


@cache
def question_homes() -> Mapping[str, str]:
    """Return these and what installed packages hand in by the entry point salesflow.questions.

    A question of the package is never another one, whatever is installed.
    """
    installed = installed_points("salesflow.questions")
    return {**{point.name: point.value for point in installed}, **QUESTION_HOMES}


def installed_points(group: str) -> EntryPoints:
    """Return the entry points of a group that installed packages hand in."""
    return _all_points().select(group=group)


_all_points = cache(entry_points)
"""Reads the entry points of all installed packages, which takes milliseconds, once."""
