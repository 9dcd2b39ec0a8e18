"""What embeddings may lean on: whoever changes these names changes other people's code."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import salesflow
import salesflow.engine
import salesflow.errors
from salesflow.projections.registry import QUESTIONS

PUBLIC = [
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
ERRORS = [
    "AlreadyRecordedError",
    "ArgumentError",
    "BusyError",
    "ClockError",
    "ConcurrentChangeError",
    "DamagedError",
    "DatabaseError",
    "DealClosedError",
    "DisconnectedError",
    "ForkedError",
    "GateError",
    "HistoryError",
    "InputError",
    "NotFoundError",
    "OwnTransactionError",
    "ProjectionError",
    "QuoteError",
    "ReactorError",
    "ReplacedError",
    "RuleError",
    "SalesflowError",
    "SchemaError",
    "StageError",
    "StaleTransactionError",
    "TimeLimitError",
    "UnwritableError",
]
ENGINE = {
    "accept_clock",
    "ask",
    "backup",
    "catch_up",
    "check",
    "close",
    "compare",
    "disagreements",
    "exports",
    "follow",
    "get",
    "history",
    "left_out",
    "log",
    "outbox",
    "reactors",
    "rebuild",
    "record",
    "run",
    "session",
    "settings",
    "sql",
    "standings",
    "unfinished_rebuilds",
}
WITHOUT_POSTGRES = """
import sys
sys.modules["psycopg"] = None
from salesflow import SalesFlow
with SalesFlow("sqlite://") as flow:
    print(len(flow.standings()) > 0)
"""
WITHOUT_THE_COMMAND_LINE = """
import sys
sys.modules["typer"] = sys.modules["rich"] = None
from salesflow import Funnel, SalesFlow, SalesflowError
with SalesFlow("sqlite://") as flow:
    view = flow.ask(Funnel())
    print(view.open_deals, "<table>" in view._repr_html_())
    try:
        view.table()
    except SalesflowError as error:
        print(error)
from salesflow.cli import main
sys.stderr = sys.stdout
print(main(["--version"]))
"""
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(salesflow.__path__, "salesflow.")
    if not module.name.endswith("__main__")
)


def test_the_package_offers_these_names_and_no_others() -> None:
    assert salesflow.__all__ == PUBLIC
    assert sorted(dir(salesflow)) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_offered_is_there(name: str) -> None:
    assert getattr(salesflow, name) is not None


def test_every_question_is_offered_by_name() -> None:
    assert {question.__name__ for question in QUESTIONS.values()} <= set(salesflow.__all__)


def test_a_name_that_is_not_offered_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Opportunity'"):
        _ = salesflow.Opportunity  # type: ignore[attr-defined]


def test_every_error_is_one_of_these() -> None:
    assert salesflow.errors.__all__ == sorted([*ERRORS, "NeverAddedWarning"])
    for name in ERRORS:
        assert issubclass(getattr(salesflow.errors, name), salesflow.SalesflowError)


def test_the_engine_offers_these_methods_and_no_others() -> None:
    with salesflow.SalesFlow("sqlite://") as flow:
        assert {name for name in dir(flow) if not name.startswith("_")} == ENGINE


@pytest.mark.parametrize("name", MODULES)
def test_a_module_offers_only_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", [])
    assert [public for public in offered if not hasattr(module, public)] == []


def test_the_errors_alone_load_no_database() -> None:
    asks = "import sys, salesflow.errors; print('sqlalchemy' in sys.modules)"
    assert printed_by(asks) == "False"


def test_sqlite_needs_no_driver_of_postgresql() -> None:
    assert printed_by(WITHOUT_POSTGRES) == "True"


def test_an_embedding_needs_nothing_of_the_command_line() -> None:
    asked, text, command, code = printed_by(WITHOUT_THE_COMMAND_LINE).splitlines()
    assert asked == "0 True"
    assert text.endswith("laid out by rich; run: pip install 'salesflow[cli]'")
    assert "needs typer and rich; run: pip install 'salesflow[cli]'" in command
    assert code == "2"


def printed_by(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()
