"""Metrics: listed for people, called by name, and suggested by common words."""

from pathlib import Path

import pytest

from salesflow.domain.metric import METRICS, OF_PRODUCTS, Metric, metric_of
from salesflow.errors import InputError
from salesflow.projections.goals.goal_check import GoalCheck
from salesflow.projections.incentives.leaderboard import Leaderboard
from simulated import ran

DOCUMENT = Path(__file__).parents[2] / "docs" / "goals.md"
AT_STAGE = {"never": "no", "may": "may be", "must": "has to be"}


def row(metric: Metric) -> str:
    """Write the row of a metric as the document has it."""
    better = "less" if metric.better == "lower" else "more"
    kind = "adds up" if metric.kind == "accumulating" else "level"
    product = "yes" if metric.key in OF_PRODUCTS else "no"
    said = (f"`{metric.key}`", metric.name_en, metric.name_zh, metric.unit, kind, better)
    return f"| {' | '.join((*map(str, said), AT_STAGE[metric.at_stage], product))} |"


def test_the_document_lists_every_metric_as_it_is() -> None:
    rows = [row(each) for each in METRICS.values()]
    listed = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert listed == rows, "\n" + "\n".join(rows)


@pytest.mark.parametrize("text", ["win_rate", "Win rate", "win-rate", "WIN_RATE", "成交率"])
def test_a_metric_is_called_by_key_or_name_in_commands_and_questions(text: str) -> None:
    assert metric_of(text).key == "win_rate"
    assert GoalCheck(metric=text).metric == Leaderboard(metric=text).metric == "win_rate"


@pytest.mark.parametrize(
    ("text", "meant"), [("revenue", "sales"), ("win_rates", "win_rate"), ("营业额", "sales")]
)
def test_what_is_no_metric_is_refused_with_the_one_that_is_near(text: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"\(perhaps {meant}\); there are sales, orders"):
        metric_of(text)
    with pytest.raises(InputError, match=rf"\(perhaps {meant}\); there are sales, orders"):
        GoalCheck(metric=text)


def test_help_lists_the_metrics_and_says_what_a_goal_is_of() -> None:
    for command in (("goal", "set"), ("ask", "goal-check"), ("contest", "open")):
        words = " ".join(ran(*command, "--help").out.replace("│", " ").split())
        assert "There are sales, orders, repeat_orders," in words, command
    words = " ".join(ran("goal", "set", "--help").out.replace("│", " ").split())
    assert "Of deals from this lead source" in words
    assert "How it was: call" not in words
