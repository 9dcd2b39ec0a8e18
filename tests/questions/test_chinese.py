"""Comparisons in Chinese: whatever a question answers has a Chinese name when compared."""

from collections.abc import Iterator
from datetime import date
from typing import get_type_hints

from pydantic import BaseModel

from catalogues import messages
from given import opened
from questions.needed import needed_by, tell_what_is_needed
from questions.shop import deal_id, shop
from salesflow.domain.deal.outcomes import DealWon
from salesflow.presentation.fields import bare, called, field_roles, is_record, item_of
from salesflow.presentation.format import Estimate
from salesflow.presentation.messages import in_language
from salesflow.projections.core.question import ENVELOPE
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.flow import Flow
from salesflow.projections.registry import QUESTIONS

SAID_IN_CHINESE = messages().keys()
APRIL = {"from_": date(2026, 4, 1), "to": date(2026, 5, 1)}


def fields_of(record: type[BaseModel]) -> Iterator[str]:
    """Give the fields that a comparison shows, also of the rows inside."""
    for name in field_roles(record):
        if name in ENVELOPE or name.endswith(("_en", "_zh")):
            continue
        yield name
        kind = bare(record.model_fields[name].annotation)
        for inside in (kind, item_of(kind)):
            if is_record(inside) and inside is not Estimate:
                assert isinstance(inside, type)
                yield from fields_of(inside)


def test_every_field_of_every_answer_has_a_chinese_name() -> None:
    views = [get_type_hints(question.answer)["return"] for question in QUESTIONS.values()]
    names = {name for view in views for name in fields_of(view)}
    assert len(names) > 200
    assert {called(name) for name in names} - SAID_IN_CHINESE == set()


def test_every_title_and_column_of_every_answer_has_a_chinese_name() -> None:
    asked = [
        question.model_validate(needed_by(question, deal_id(1)))
        for question in QUESTIONS.values()
    ]
    with shop() as books:
        tell_what_is_needed(books.flow)
        books.tell(1, ("2026-04-01", opened()), ("2026-04-20", DealWon()))
        books.tell(2, ("2026-04-02", opened()))
        views = [books.flow.ask(question, as_of="2026-04-30") for question in asked]
    tables = [table for view in views for table in view.tables("zh")]
    words = {word for table in tables for word in (table.title, *table.columns) if word}
    assert {word for word in words if word[0].isupper()} - SAID_IN_CHINESE == set()


def test_figures_movements_and_titles_are_compared_in_chinese() -> None:
    with shop() as books:
        books.tell(1, ("2026-04-01", opened()), ("2026-04-20", DealWon()))
        asked = [question.model_validate(APRIL) for question in (Kpis, Flow)]
        kpis, flow = (
            books.flow.compare(question, as_of="2026-04-30", to_as_of="2026-04-10")
            for question in asked
        )
    figures = {row[-4] for table in kpis.tables("zh") for row in table.rows}
    assert {"新建且已赢单", "新建商机至今赢单率", "销售周期 · 天数中位数"} <= figures
    assert in_language("Accounts", "zh") == "变动账"
    movements = {row[-4] for table in flow.tables("zh") for row in table.rows}
    assert "变动 · 赢单 · 商机数" in movements
