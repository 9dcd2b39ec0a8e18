"""An answer as text, for a notebook or a log: what the command line shows, without it."""

from datetime import UTC, datetime

from salesflow import STANDARD, Deal, Money, SalesFlow
from salesflow.projections.deal_timeline import DealTimeline
from salesflow.projections.funnel import Funnel

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def with_a_deal() -> SalesFlow:
    flow = SalesFlow("sqlite://", clock=lambda: NOON)
    with flow.session() as s:
        amount = Money("98000.50", "CNY")
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=amount))
    return flow


def test_a_view_is_text_with_its_tables_its_meaning_and_its_moment() -> None:
    with with_a_deal() as flow:
        lines = flow.ask(Funnel()).table().splitlines()
    assert lines[0] == "Funnel"
    [row] = [line.split() for line in lines if "Prospecting" in line]
    assert row == ["Prospecting", "1", "98,000.50", "CNY", "9,800.05", "CNY"]
    assert lines[-3] == "Population: every deal believed to exist at the moment"
    moment = "2026-06-01T12:00:00.000001+00:00"
    assert lines[-1] == f"as of {moment} · known at {moment} · position 3"
    assert not any(line.endswith(" ") for line in lines)


def test_it_is_in_chinese_when_asked_for() -> None:
    with with_a_deal() as flow:
        text = flow.ask(Funnel()).table("zh")
    assert "潜在客户识别" in text
    assert "总体：截至该时刻所知存在的全部商机" in text


def test_it_is_laid_out_in_the_width_there_is_with_its_notes() -> None:
    with with_a_deal() as flow:
        [deal] = {event.stream_id for event in flow.log.page(2, 9)}
        text = flow.ask(DealTimeline(deal=deal)).table(width=60)
    assert "  times are those of UTC" in text.splitlines()
    assert max(map(len, text.split("Population")[0].splitlines())) <= 60
