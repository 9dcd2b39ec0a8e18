"""Answers as tidy tables: nothing nested or counted twice, no currencies added up."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest

from questions.needed import needed_by, tell_what_is_needed
from salesflow import STANDARD, Deal, Deals, Funnel, FunnelTrend, Kpis, Money, SalesFlow
from salesflow.errors import SalesflowError
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ERP = UUID("e4900000-0000-4000-8000-000000000001")


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    """Three deals of ann in two currencies, one of them won."""
    with SalesFlow("sqlite://", timezone="Asia/Shanghai", clock=lambda: NOON) as opened:
        with opened.session() as s:
            for id, amount, currency in ((ERP, "100.000001", "CNY"), (None, "50", "CNY")):
                worth = Money(amount, currency)
                s.add(Deal.open(STANDARD, title="t", owner="ann", amount=worth, id=id))
            s.add(Deal.open(STANDARD, title="t", owner="ann", amount=Money("7", "USD")))
            s.get(Deal, ERP).win()
        yield opened


def nested(kind: pa.DataType) -> bool:
    scalars = pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type)
    return bool(pa.types.is_nested(kind)) and not scalars


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_in_tidy_tables_of_any_answer_nothing_is_nested(
    question: type[Question[View]], flow: SalesFlow
) -> None:
    tell_what_is_needed(flow)
    asked = question.model_validate(needed_by(question, ERP))
    tables = flow.ask(asked).to_arrow(tidy=True)
    assert tables
    for table in tables.values():
        assert [field.name for field in table.schema if nested(field.type)] == []
        assert len(set(table.column_names)) == len(table.column_names)


def test_amounts_are_rows_of_their_own_so_that_counts_are_not_repeated(flow: SalesFlow) -> None:
    tables = flow.ask(Funnel()).to_arrow(tidy=True)
    prospecting = [r for r in tables["stages"].to_pylist() if r["stage"] == "prospecting"]
    assert [row["deals"] for row in prospecting] == [2]
    amounts = [r for r in tables["stages_amounts"].to_pylist() if r["stage"] == "prospecting"]
    assert [(row["currency"], row["amounts"], row["weighted"]) for row in amounts] == [
        ("CNY", Decimal(50), Decimal(5)),
        ("USD", Decimal(7), Decimal("0.7")),
    ]


def test_amounts_stay_exact(flow: SalesFlow) -> None:
    [won] = (
        flow.ask(Kpis(), as_of="2026-06-30").to_arrow(tidy=True)["lines_amounts"].to_pylist()
    )
    assert (won["currency"], won["sales"]) == ("CNY", Decimal("100.000001"))


def test_a_list_inside_a_row_begins_with_the_keys_of_that_row(flow: SalesFlow) -> None:
    trend = flow.ask(FunnelTrend(from_=date(2026, 5, 1)), as_of="2026-06-30")
    tables = trend.to_arrow(tidy=True)
    assert tables["ends"]["last"].to_pylist() == [date(2026, 5, 31), date(2026, 6, 30)]
    stages = [r for r in tables["ends_stages"].to_pylist() if r["deals"]]
    assert [(r["ends_last"], r["stage"], r["deals"]) for r in stages] == [
        (date(2026, 6, 30), "prospecting", 2)
    ]
    amounts = tables["ends_stages_amounts"].to_pylist()
    assert {(r["ends_last"], r["stage"], r["currency"]) for r in amounts} == {
        (date(2026, 6, 30), "prospecting", currency) for currency in ("CNY", "USD")
    }


def test_the_columns_are_the_same_whatever_the_answer_holds(flow: SalesFlow) -> None:
    before = flow.ask(Funnel(), as_of="2026-01-01").to_arrow(tidy=True)
    after = flow.ask(Funnel()).to_arrow(tidy=True)
    assert {n: t.schema.types for n, t in before.items()} == {
        n: t.schema.types for n, t in after.items()
    }
    assert before["stages_amounts"].num_rows == 0


def test_a_tidy_table_tells_its_moment_and_time_zone(flow: SalesFlow) -> None:
    view = flow.ask(Deals())
    said = view.to_arrow(tidy=True)["deals"].schema.metadata
    assert said[b"as_of"].decode() == view.moment.as_of.isoformat()
    assert said[b"timezone"] == b"Asia/Shanghai"


def test_data_frames_hold_floats_and_timestamps_that_can_be_plotted(flow: SalesFlow) -> None:
    frames = flow.ask(FunnelTrend(from_=date(2026, 6, 1)), as_of="2026-06-30").to_pandas()
    kinds = {name: str(kind) for name, kind in frames["ends_amounts"].dtypes.items()}
    assert kinds["amounts"] == kinds["weighted"] == "float64"
    assert kinds["last"].startswith("datetime64")
    assert frames["ends"]["open_deals"].sum() == 2


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_answers_of_a_comparison_stand_below_each_other(
    question: type[Question[View]], flow: SalesFlow
) -> None:
    tell_what_is_needed(flow)
    asked = question.model_validate(needed_by(question, ERP))
    comparison = flow.compare(asked, to_as_of=date(2026, 6, 1))
    for tidy in (False, True):
        both, then, now = (
            each.to_arrow(tidy=tidy) for each in (comparison, comparison.then, comparison.now)
        )
        assert both.keys() == then.keys() == now.keys()
        for name, table in both.items():
            sides = table.column("moment").to_pylist()
            assert sides == ["then"] * then[name].num_rows + ["now"] * now[name].num_rows
            rows = table.drop_columns(["moment"]).to_pylist()
            assert rows == then[name].to_pylist() + now[name].to_pylist()


def test_a_comparison_is_plotted_from_data_frames(flow: SalesFlow) -> None:
    comparison = flow.compare(Funnel(), to_as_of=date(2026, 6, 1))
    stages = comparison.to_pandas()["stages"]
    assert stages.groupby("moment")["deals"].sum().to_dict() == {"then": 2, "now": 2}


def test_without_pandas_it_is_said_what_to_install(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salesflow.presentation.arrow.find_spec", lambda _: None)
    with pytest.raises(SalesflowError, match="pip install 'salesflow\\[notebook\\]'"):
        flow.ask(Deals()).to_pandas()


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_without_what_data_frames_need_it_says_what_to_install(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    view = flow.ask(Funnel())
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SalesflowError, match=r"pip install 'salesflow\[notebook\]'"):
        view.to_pandas()
