"""Answers as Arrow tables: every amount exact, every time with its zone, every table dated."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any, ClassVar
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salesflow import STANDARD, Deal, Money, SalesFlow
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.errors import SalesflowError
from salesflow.presentation.format import Total
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import View
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

ERP = UUID("e4900000-0000-4000-8000-000000000001")
MES = UUID("3e500000-0000-4000-8000-000000000002")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOMENT = Moment(as_of=NOON, known_at=NOON, position=7, revision=1)
NUMBER = pa.decimal128(38, 12)


class Month(Value):
    """A row of every kind of field there may be."""

    first: date
    rep: UUID
    name: SafeText | None
    won: int
    share: Decimal | None
    days: Decimal | int
    signed: Money | None
    amounts: tuple[Total, ...]
    told_at: datetime
    took: timedelta
    told: int | str


class MonthsView(View):
    """A view with one list, one part and one figure."""

    population: ClassVar[str] = "won deals"
    formula: ClassVar[str] = "counted"
    period: Period
    reps: int
    months: tuple[Month, ...]

    def tables(self, language: str = "en") -> list[TableOfView]:
        return [TableOfView(language, (), ())]


class BareView(View):
    """A view with nothing but a list."""

    population: ClassVar[str] = "won deals"
    formula: ClassVar[str] = "counted"
    months: tuple[Month, ...]

    def tables(self, language: str = "en") -> list[TableOfView]:
        return [TableOfView(language, (), ())]


def month(**other: object) -> Month:
    fields: dict[str, Any] = {
        "first": date(2026, 3, 1),
        "rep": ERP,
        "name": None,
        "won": 3,
        "share": Decimal("0.25"),
        "days": 12,
        "signed": Money("98000.50", "CNY"),
        "amounts": (Total(currency="EUR", amount=Decimal("0.000001")),),
        "told_at": NOON,
        "took": timedelta(hours=1),
        "told": "late",
    }
    return Month(**{**fields, **other})


def months(*rows: Month) -> MonthsView:
    return MonthsView(moment=MOMENT, period=Period(start=NOON, end=NOON), reps=2, months=rows)


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    """Two deals in two currencies, one won, known at noon on the first of June."""
    with SalesFlow(database_url, clock=lambda: NOON) as opened:
        with opened.session(actor="ann") as s:
            s.add(
                Deal.open(
                    STANDARD, title="ERP", owner="ann", amount=Money("90000.5", "CNY"), id=ERP
                )
            )
            s.add(
                Deal.open(
                    STANDARD, title="MES", owner="bob", amount=Money("7000", "USD"), id=MES
                )
            )
            s.get(Deal, MES).win(amount=Money("6500.000001", "USD"))
        yield opened


def test_every_list_is_a_table_and_what_stands_beside_is_one_row() -> None:
    tables = months(month(), month()).to_arrow()
    assert list(tables) == ["answer", "months"]
    assert tables["answer"].to_pylist() == [{"period": {"start": NOON, "end": NOON}, "reps": 2}]
    assert tables["months"].num_rows == 2


def test_a_view_with_one_list_gives_one_table() -> None:
    assert list(BareView(moment=MOMENT, months=(month(),)).to_arrow()) == ["months"]


def test_types_come_from_the_fields() -> None:
    types = {field.name: field.type for field in months().to_arrow()["months"].schema}
    amount = pa.struct([("amount", NUMBER), ("currency", pa.string())])
    total = pa.struct([("currency", pa.string()), ("amount", NUMBER)])
    assert types == {
        "first": pa.date32(),
        "rep": pa.string(),
        "rep_name": pa.string(),
        "name": pa.string(),
        "won": pa.int64(),
        "share": NUMBER,
        "days": NUMBER,
        "signed": amount,
        "amounts": pa.list_(total),
        "told_at": pa.timestamp("us", tz="UTC"),
        "took": pa.duration("us"),
        "told": pa.string(),
    }


def test_a_row_comes_out_as_it_went_in() -> None:
    [row] = months(month()).to_arrow()["months"].to_pylist()
    assert row == {
        "first": date(2026, 3, 1),
        "rep": str(ERP),
        "rep_name": None,
        "name": None,
        "won": 3,
        "share": Decimal("0.25"),
        "days": Decimal(12),
        "signed": {"amount": Decimal("98000.5"), "currency": "CNY"},
        "amounts": [{"currency": "EUR", "amount": Decimal("0.000001")}],
        "told_at": NOON,
        "took": timedelta(hours=1),
        "told": "late",
    }


def test_a_field_of_unlike_types_is_kept_as_text() -> None:
    told = months(month(told=7), month(told="late")).to_arrow()["months"]["told"]
    assert told.to_pylist() == ["7", "late"]


def test_tables_of_different_moments_can_be_put_together() -> None:
    empty, full = months().to_arrow()["months"], months(month()).to_arrow()["months"]
    assert pa.concat_tables([empty, full]).num_rows == 1


def test_the_largest_sum_and_the_smallest_part_of_a_weighted_amount_stay_exact() -> None:
    large, small = Decimal("9" * 26 + "." + "9" * 12), Decimal("1E-12")
    [row] = months(month(share=small, days=large)).to_arrow()["months"].to_pylist()
    assert (row["share"], row["days"]) == (small, large)


def test_a_ratio_that_never_ends_is_rounded_half_even() -> None:
    rows = months(month(share=Decimal(2) / 3), month(share=Decimal("0.0000000000005")))
    shares = rows.to_arrow()["months"]["share"].to_pylist()
    assert shares == [Decimal("0.666666666667"), Decimal(0)]


def test_a_table_carries_its_moment_population_and_formula_also_through_parquet() -> None:
    file = BytesIO()
    view = months(month()).model_copy(update={"known_since": NOON})
    pq.write_table(view.to_arrow()["months"], file)
    said = {k.decode(): v.decode() for k, v in pq.read_schema(file).metadata.items()}
    said.pop("ARROW:schema", None)
    assert said == {
        "question": "Months",
        "population": "won deals",
        "formula": "counted",
        "as_of": "2026-06-01T12:00:00+00:00",
        "known_at": "2026-06-01T12:00:00+00:00",
        "position": "7",
        "revision": "1",
        "known_since": "2026-06-01T12:00:00+00:00",
        "timezone": "UTC",
    }


def test_the_funnel_keeps_currencies_apart(flow: SalesFlow) -> None:
    tables = flow.ask(Funnel()).to_arrow()
    assert list(tables) == ["answer", "stages", "closed"]
    assert tables["answer"].to_pylist() == [{"rates": None, "by": None, "open_deals": 1}]
    first, *_ = tables["stages"].to_pylist()
    assert first["amounts"] == [{"currency": "CNY", "amount": Decimal("90000.5")}]
    assert first["weighted"] == [{"currency": "CNY", "amount": Decimal("9000.05")}]
    won, *_ = tables["closed"].to_pylist()
    assert won["amounts"] == [{"currency": "USD", "amount": Decimal("6500.000001")}]


def test_the_list_of_deals_is_a_row_per_deal(flow: SalesFlow) -> None:
    deals = flow.ask(Deals()).to_arrow()["deals"]
    said = {row["deal"]: (row["amount"], row["currency"]) for row in deals.to_pylist()}
    assert said == {
        str(ERP): (Decimal("90000.5"), "CNY"),
        str(MES): (Decimal("6500.000001"), "USD"),
    }
    assert deals.schema.field("since").type == pa.timestamp("us", tz="UTC")


def test_a_timeline_is_a_table_of_spans_and_a_table_of_facts(flow: SalesFlow) -> None:
    tables = flow.ask(DealTimeline(deal=MES)).to_arrow()
    assert list(tables) == ["answer", "spans", "facts"]
    assert tables["facts"]["kind"].to_pylist() == ["deal.opened", "deal.won"]
    assert tables["spans"]["outcome"].to_pylist()[-1] == "won"


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SalesflowError, match=r"pip install 'salesflow\[analytics\]'"):
        months().to_arrow()


def test_a_field_about_a_person_or_a_key_is_text() -> None:
    class Row(Value):
        owner: Reference

    class RowsView(BareView):
        rows: tuple[Row, ...]

    view = RowsView(moment=MOMENT, months=(), rows=(Row(owner="ann"),))
    assert view.to_arrow()["rows"].to_pylist() == [{"owner": "ann", "owner_name": None}]
