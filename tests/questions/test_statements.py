"""No question asks the database once per deal: how many statements it takes never grows."""

import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from given import cny, opened
from questions.needed import needed_by, tell_what_is_needed
from questions.shop import Shop, deal_id, publish, shop
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.projections.core.currency import MoneyQuestion
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS

FEW, MANY = 4, 40
PERIOD = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that any connection to a SQLite file runs from now on."""
    seen: list[str] = []
    right: Callable[..., sqlite3.Connection] = sqlite3.connect

    def traced(*given: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401 - as sqlite3
        connection = right(*given, **named)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return seen


def sell(sales: Shop, first: int, after: int) -> None:
    """Let some deals live and end, each in its own way."""
    for number in range(first, after):
        end = DealWon() if number % 2 else DealLost(because="price")
        sales.tell(
            number,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-02", ContactLogged(channel="call", direction="out")),
            ("2026-02-03", StageMoved(target="b")),
            *([("2026-02-10", end)] if number % 3 else []),
            ("2026-02-11", FeedbackReceived(scale="nps", score=9, text="good")),
        )


OF_OPEN_DEALS = {"commission-estimate", "deal-health"}


def asked(name: str) -> Question[View]:
    """Ask for the quarter, and of a deal for the first, or for an open one."""
    question = QUESTIONS[name]
    given = needed_by(question, deal_id(1))
    for field in question.model_fields:
        if field in PERIOD:
            given[field] = PERIOD[field]
        elif field == "deal":
            given[field] = deal_id(3 if name in OF_OPEN_DEALS else 1)
    return question.model_validate(given)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_more_deals_takes_no_more_statements(
    name: str, statements: list[str], tmp_path: Path
) -> None:
    with shop(url=f"sqlite:///{tmp_path / 'sales.db'}") as sales:
        tell_what_is_needed(sales.flow)
        counts = []
        for first, after in ((1, FEW), (FEW, MANY)):
            sell(sales, first, after)
            sales.flow.catch_up()
            sales.flow.ask(asked(name))
            del statements[:]
            sales.flow.ask(asked(name))
            counts.append(len(statements))
        assert counts[0] > 0, "statements are not seen at all"
        assert counts[1] <= counts[0], (counts, statements)


BACKTEST = "forecast-backtest"
IN_ONE_CURRENCY = [
    name
    for name in QUESTIONS
    if issubclass(QUESTIONS[name], MoneyQuestion) and name != BACKTEST
]
"""A back-test draws its weeks anew where amounts are converted, see below."""


def test_a_back_test_takes_as_many_statements_however_many_rates_there_are(
    statements: list[str], tmp_path: Path
) -> None:
    with shop(url=f"sqlite:///{tmp_path / 'sales.db'}") as sales:
        tell_what_is_needed(sales.flow)
        sell(sales, 1, FEW)
        question = asked(BACKTEST).model_copy(update={"report_currency": "USD"})
        counts = []
        for days in (range(1, 2), range(2, 28)):
            for day in days:
                publish(sales, f"2026-01-{day:02}", CNY="7.1")
            sales.flow.catch_up()
            for _ in range(2):
                sales.flow.ask(question)
            del statements[:]
            sales.flow.ask(question)
            counts.append(len(statements))
        assert counts[0] == counts[1] > 0, statements


@pytest.mark.parametrize("name", IN_ONE_CURRENCY)
def test_one_currency_takes_one_statement_more_however_many_rates_there_are(
    name: str, statements: list[str], tmp_path: Path
) -> None:
    with shop(url=f"sqlite:///{tmp_path / 'sales.db'}") as sales:
        tell_what_is_needed(sales.flow)
        sell(sales, 1, FEW)
        one = asked(name).model_copy(update={"report_currency": "USD"})
        for day in range(1, 28):
            publish(sales, f"2026-01-{day:02}", CNY="7.1")
        sales.flow.catch_up()
        counts = []
        for question in (asked(name), one):
            for _ in range(2):  # with the second answer a ledger is taken into memory
                sales.flow.ask(question)
            del statements[:]
            sales.flow.ask(question)
            counts.append(len(statements))
        assert counts[1] == counts[0] + 1, statements
