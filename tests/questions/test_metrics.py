"""Metrics: what each is, where it can be measured, and what it comes to at a stage."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from given import cny, opened
from properties.test_metrics import Measure
from questions.shop import Shop, shop
from salesflow import Kpis, SalesFlow
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.metric import METRICS, metric_of
from salesflow.errors import InputError
from salesflow.projections.metrics.metric_values import FIGURES, MetricFigure
from salesflow.projections.scope import By, MetricScope
from simulated import demo

MARCH = (date(2026, 3, 1), date(2026, 4, 1))
FIRST_QUARTER = (date(2026, 1, 1), date(2026, 4, 1))


def measured(
    sales: Shop, metric: str, *spans: tuple[date, date], stage: str | None = None
) -> list[MetricFigure]:
    asked = Measure(metrics=(metric,), spans=spans, by=None, scope=MetricScope(stage=stage))
    figures: list[MetricFigure]
    [[_, *figures]] = sales.flow.ask(asked).figures
    return figures


def test_every_metric_can_be_measured() -> None:
    assert FIGURES.keys() == METRICS.keys()


def test_a_metric_nobody_knows_is_refused_with_the_one_that_is_meant() -> None:
    with pytest.raises(InputError, match=r"no metric 'winrate' \(perhaps win_rate\)"):
        metric_of("winrate")


def test_a_figure_from_outside_is_named_by_its_key() -> None:
    figure = metric_of("figure:market-share")
    assert figure.is_figure
    assert figure.unit is None


def test_lead_conversion_is_the_conversion_of_a_stage() -> None:
    assert metric_of("lead_conversion") is METRICS["stage_conversion"]


def test_spans_may_overlap_and_each_has_its_own_figure() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-10", opened(amount=cny("100"))), ("2026-02-20", DealWon()))
        sales.tell(2, ("2026-03-10", opened(amount=cny("30"))), ("2026-03-20", DealWon()))
        figures = measured(sales, "sales", MARCH, FIRST_QUARTER, MARCH)
    sums = [figure.in_unit(METRICS["sales"], "CNY") for figure in figures]
    assert sums == [Decimal(30), Decimal(130), Decimal(30)]
    assert [figure.n for figure in figures] == [1, 2, 1]


def test_a_deal_that_comes_back_enters_a_stage_twice_and_is_called_so() -> None:
    with shop() as sales:
        way = (
            ("02", opened()),
            *((f"0{n}", StageMoved(target="ab"[n % 2])) for n in (3, 4, 5)),
        )
        sales.tell(1, *((f"2026-03-{day}", fact) for day, fact in way))
        [entries] = measured(sales, "stage_entries", MARCH, stage="b")
        [converted] = measured(sales, "stage_conversion", MARCH, stage="b")
    assert (entries.value, converted.n) == (Decimal(2), 1)
    assert METRICS["stage_entries"].name_en == "Entries into the stage"


def test_what_is_measured_at_a_stage_counts_what_happened_there() -> None:
    with shop() as sales:
        said = ContactLogged(channel="call", direction="out")
        sales.tell(
            1,
            ("2026-03-02", opened()),
            ("2026-03-03", said),
            ("2026-03-05", StageMoved(target="b")),
            ("2026-03-06", said),
            ("2026-03-07", said),
            ("2026-03-08", FeedbackReceived(survey="s", scale="csat", score=5)),
            ("2026-03-09", DealWon()),
        )
        sales.tell(2, ("2026-03-02", opened()), ("2026-03-04", DealLost(because="price")))
        for metric, stage, value, n in (
            ("contacts", "a", 1, 1),
            ("contacts_per_deal", "b", 2, 1),
            ("csat", "b", 1, 1),
            ("csat", "a", None, 0),
            ("win_rate", "b", 1, 1),
            ("win_rate", "a", 0, 1),
            ("won", "a", 0, 0),
            ("stage_conversion", "a", Decimal("0.5"), 2),
            ("stage_days", "a", Decimal("2.5"), 2),
            ("stage_entries", "b", 1, 1),
        ):
            [figure] = measured(sales, metric, MARCH, stage=stage)
            assert (figure.value, figure.n) == (value, n), (metric, stage)


def test_what_has_no_stage_is_not_measured_at_one() -> None:
    with shop() as sales, pytest.raises(InputError, match="sales is not measured at a stage"):
        measured(sales, "sales", MARCH, stage="a")


def test_what_is_of_a_stage_needs_one() -> None:
    with shop() as sales, pytest.raises(InputError, match="measured at a stage; name one"):
        measured(sales, "stage_conversion", MARCH)


def test_a_figure_from_outside_is_not_worked_out() -> None:
    with shop() as sales, pytest.raises(InputError, match="reported from outside"):
        measured(sales, "figure:market-share", MARCH)


OF_LINES: dict[str, Any] = {
    "sales": lambda it: it.sales,
    "orders": lambda it: it.orders,
    "repeat_orders": lambda it: it.repeat_orders,
    "created": lambda it: it.created,
    "won": lambda it: it.won,
    "lost": lambda it: it.lost,
    "disqualified": lambda it: it.disqualified,
    "new_customers": lambda it: it.new_customers,
    "contacts": lambda it: it.follow_ups.contacts,
    "contacts_per_deal": lambda it: it.follow_ups.per_deal,
    "win_rate": lambda it: None if it.win_rate is None else it.win_rate.value,
    "win_rate_of_created": lambda it: it.win_rate_of_created,
    "cycle_days": lambda it: it.cycle.days_median,
    "cycle_days_p90": lambda it: it.cycle.days_p90,
    "repeat_rate": lambda it: it.repeat_rate,
    "first_response_days": lambda it: it.first_response.days_median,
    "csat": lambda it: None if it.csat is None else it.csat.value,
    "velocity": lambda it: it.velocity.per_day,
    "qualified_deals": lambda it: it.velocity.open_deals,
}


@pytest.mark.parametrize("by", [None, "rep", "team", "customer", "channel", "process"])
def test_metrics_of_the_demo_are_its_kpis(by: By | None) -> None:
    """Of every month of a year, which lie beside a year of their own here."""
    starts = [date(2025, month, 1) for month in range(1, 13)]
    months = [*zip(starts, [*starts[1:], date(2026, 1, 1)], strict=True)]
    year = (date(2025, 1, 1), date(2026, 1, 1))
    asked = Measure(metrics=tuple(OF_LINES), spans=(year, *months), by=by, scope=MetricScope())
    with SalesFlow(demo().url, create=False) as flow:
        found = {
            (metric, each.span, each.group): each
            for metric, *figures in flow.ask(asked, as_of="2026-02-28").figures
            for each in figures
        }
        question = Kpis.model_validate(
            {"from_": year[0], "to": year[1], "each": "month", "by": by}
        )
        lines = flow.ask(question, as_of="2026-02-28").lines
    assert len({line.first for line in lines}) == len(months)
    for line in lines:
        span = 1 + starts.index(line.first)
        for metric, of in OF_LINES.items():
            figure = found.get((metric, span, line.group))
            money, wanted = METRICS[metric].unit == "money", of(line)
            if figure is None:
                assert not wanted, (metric, line.first, line.group)
            else:
                said = figure.amounts if money else figure.value
                assert said == wanted, (metric, line.first, line.group)
