"""An answer as text, for a notebook or a log: what the command line shows, without it."""

from datetime import UTC, datetime, timedelta
from pydoc import render_doc
from xml.etree import ElementTree

import pytest

from questions.needed import needed_by, tell_what_is_needed
from salesflow import STANDARD, Deal, Deals, DealTimeline, Funnel, Money, SalesFlow
from salesflow.presentation.table import TableOfView
from salesflow.presentation.text import text_of
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def with_a_deal(timezone: str = "UTC", title: str = "ERP") -> SalesFlow:
    flow = SalesFlow("sqlite://", timezone=timezone, clock=lambda: NOON)
    with flow.session() as s:
        amount = Money("98000.50", "CNY")
        s.add(Deal.open(STANDARD, title=title, owner="ann", amount=amount))
    return flow


def test_a_view_is_text_with_its_tables_its_meaning_and_its_moment() -> None:
    with with_a_deal() as flow:
        lines = flow.ask(Funnel()).table().splitlines()
    assert lines[0] == "Funnel"
    [row] = [line.split() for line in lines if "Prospecting" in line]
    assert row == ["Prospecting", "1", "98,000.50", "CNY", "9,800.05", "CNY"]
    assert lines[-3] == "Scope: every deal on record at the as-of time"
    moment = "2026-06-01 12:00:00.000001"
    assert lines[-1] == f"as of {moment} · data recorded up to {moment} · event no. 3 · UTC"
    assert not any(line.endswith(" ") for line in lines)


def test_it_is_in_chinese_when_asked_for() -> None:
    with with_a_deal() as flow:
        text = flow.ask(Funnel()).table("zh")
    assert "潜在客户识别" in text
    assert "统计范围：截至该时刻有效记录的全部商机" in text


def test_it_is_laid_out_in_the_width_there_is_with_its_notes() -> None:
    with with_a_deal() as flow:
        [deal] = {event.stream_id for event in flow.log.page(2, 9)}
        text = flow.ask(DealTimeline(deal=deal)).table(width=60)
    assert "  times are those of UTC" in text.splitlines()
    assert max(map(len, text.split("Scope")[0].splitlines())) <= 60


def test_its_moment_is_told_in_business_time() -> None:
    with with_a_deal("Asia/Shanghai") as flow:
        last = flow.ask(Deals(), as_of="2026-06-01").table().splitlines()[-1]
        zone = flow.ask(Deals()).timezone
    known = "data recorded up to 2026-06-01 20:00:00.000001"
    assert last == f"as of end of 2026-06-01 · {known} · event no. 3 · Asia/Shanghai"
    assert zone == "Asia/Shanghai"


def test_it_says_that_nothing_was_known_before_the_log_began() -> None:
    with with_a_deal() as flow:
        lines = flow.ask(Deals(), known_at="2026-05-01").table().splitlines()
    assert lines[-2] == "nothing was known yet, the log begins at 2026-06-01 12:00:00"


def test_a_notebook_shows_it_as_tables_with_everything_escaped() -> None:
    with with_a_deal(title="<b>ERP</b> & 上海") as flow:
        shown = flow.ask(Deals())._repr_html_()
    page = ElementTree.fromstring(shown.replace("<br>", "<br/>"))
    texts = ["".join(each.itertext()) for each in page.iter("td")]
    assert "<b>ERP</b> & 上海" in texts
    assert "98,000.50 CNY" in texts
    [amount] = [each for each in page.iter("td") if each.text == "98,000.50 CNY"]
    assert "text-align:right" in amount.get("style", "")
    said = ["".join(each.itertext()) for each in page.iter("p")]
    assert any(line.startswith("Scope: ") for line in said)
    assert said[-1].endswith("event no. 3 · UTC")


def test_every_answer_can_be_shown_in_a_notebook() -> None:
    with with_a_deal() as flow:
        deal = next(event.stream_id for event in flow.log.page(2, 1))
        flow.run(lambda s: s.get(Deal, deal).win())
        tell_what_is_needed(flow)
        for question in QUESTIONS.values():
            asked = question.model_validate(needed_by(question, deal))
            ElementTree.fromstring(flow.ask(asked)._repr_html_().replace("<br>", "<br/>"))


def test_a_comparison_is_text_and_shown_like_an_answer() -> None:
    with with_a_deal() as flow:
        compared = flow.compare(Funnel(), to_as_of=NOON - timedelta(days=1))
    lines = compared.table().splitlines()
    assert lines[0] == "Funnel"
    assert lines[-2].startswith(
        "Compared with: as of 2026-05-31 12:00:00 · data recorded up to 2026-06-01"
    )
    assert lines[-1].startswith("As asked: as of 2026-06-01 12:00:00.000001")
    assert "对比时点：截至" in compared.table("zh")
    assert max(map(len, compared.table(width=60).split("Scope")[0].splitlines())) <= 60
    page = ElementTree.fromstring(compared._repr_html_().replace("<br>", "<br/>"))
    sides = ["Compared with", "As asked", "Difference"]
    assert [each.text for each in page.iter("th")][-3:] == sides


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_help_tells_what_every_parameter_means(question: type[Question[View]]) -> None:
    told = render_doc(question)
    summary, _, parameters = (question.__doc__ or "").partition("\n\nParameters:\n")
    assert summary == question.summary
    assert summary.endswith("?")
    for name, field in question.model_fields.items():
        assert field.description
        assert f"    {name}: {field.description.split()[0]}" in parameters
        assert f"{name}: " in told


def test_a_line_is_left_between_notes_and_the_table_below_them() -> None:
    first = TableOfView("First", ("Deals",), (("1",),), notes=("one is left out",))
    second = TableOfView("Second", ("Deals",), (("2",),))
    lines = text_of([first, second], "en", 80).splitlines()
    note = lines.index("  one is left out")
    assert lines[note + 1 : note + 3] == ["", "Second"]
