"""Codes by which people mean another currency: refused where given, answered where recorded."""

from decimal import Decimal
from typing import Any

import pytest

from given import opened
from questions.shop import shop
from salesflow import Deals, Forecast, Funnel, Kpis, Money
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.errors import InputError
from salesflow.projections.core.question import Question


def test_a_log_that_holds_such_a_code_is_answered_with_it() -> None:
    old = Money.recorded(Decimal(500), "RMB")
    with shop() as sales:
        sales.tell(1, ("2026-03-02", opened(amount=old)), ("2026-03-03", DealWon(amount=old)))
        sales.tell(2, ("2026-03-02", opened(amount=old)))
        for question in (Deals(), Funnel(), Kpis(), Forecast()):
            assert "500 RMB" in sales.flow.ask(question, as_of="2026-03-05").table(), question


@pytest.mark.parametrize(
    ("question", "named"),
    [(Kpis, "report_currency"), (Forecast, "report_currency"), (Funnel, "currency")],
)
def test_no_question_is_asked_in_such_a_code(question: type[Question[Any]], named: str) -> None:
    with pytest.raises(InputError, match="RMB is no code of ISO 4217; write CNY"):
        question.model_validate({named: "RMB"})


def test_no_company_reports_in_such_a_code() -> None:
    refused = pytest.raises(InputError, match="RMB is no code of ISO 4217; write CNY")
    with shop() as sales, sales.flow.session() as session, refused:
        session.get(Settings, SETTINGS_ID).change(report_currency="RMB")
