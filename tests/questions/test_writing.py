"""Figures are written in one form, whichever question they answer."""

import re
from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.needed import needed_by, tell_what_is_needed
from questions.shop import deal_id, shop
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.presentation.format import given_percent, percent_text, span_text
from salesflow.projections.registry import QUESTIONS

OTHER_FORMS = re.compile(r"\d %|\d\.\d+%|^0\.\d\d+$")
"""A space before the sign, places behind the point, a share as a bare number."""


@pytest.mark.parametrize(
    ("share", "written"),
    [
        ("0", "0%"), ("1", "100%"), ("0.412", "41%"), ("0.004", "<1%"), ("0.006", "1%"),
        ("0.996", ">99%"), ("0.994", "99%"), ("1.75", "175%"), ("-0.21", "-21%"),
        ("-0.001", "0%"),
    ],
)  # fmt: skip
def test_a_share_that_was_worked_out_is_in_whole_per_cent(share: str, written: str) -> None:
    assert percent_text(Decimal(share)) == written


@pytest.mark.parametrize(
    ("share", "written"), [("0.125", "12.5%"), ("0.1", "10%"), ("0", "0%"), ("1", "100%")]
)
def test_a_share_that_was_given_keeps_its_digits(share: str, written: str) -> None:
    assert given_percent(Decimal(share)) == written


@pytest.mark.parametrize(
    ("first", "last", "written"),
    [
        ("2026-04-01", "2026-04-30", "2026-04"),
        ("2024-02-01", "2024-02-29", "2024-02"),
        ("2026-01-01", "2026-12-31", "2026"),
        ("2026-04-01", "2026-06-30", "2026-04-01 … 2026-06-30"),
        ("2026-04-01", "2027-03-31", "2026-04-01 … 2027-03-31"),
        ("2026-04-01", "2026-04-29", "2026-04-01 … 2026-04-29"),
    ],
)
def test_a_month_and_a_year_are_written_as_what_they_are(
    first: str, last: str, written: str
) -> None:
    assert span_text(date.fromisoformat(first), date.fromisoformat(last)) == written


def test_every_share_of_every_answer_is_written_in_one_form_and_a_period_once() -> None:
    asked = [
        question.model_validate(needed_by(question, deal_id(1)))
        for question in QUESTIONS.values()
    ]
    with shop() as books:
        tell_what_is_needed(books.flow)
        for number, end in ((1, DealWon()), (2, DealLost(because="price")), (3, DealWon())):
            books.tell(
                number,
                ("2026-04-01", opened(amount=cny(f"{number}000"))),
                ("2026-04-03", ContactLogged(channel="call", direction="out")),
                ("2026-04-05", StageMoved(target="b")),
                ("2026-04-09", FeedbackReceived(scale="csat", score=number + 1)),
                ("2026-04-20", end),
            )
        views = [books.flow.ask(question, as_of="2026-04-30") for question in asked]
    tables = [table for view in views for table in view.named_tables()]
    cells = {cell for table in tables for row in table.rows for cell in row}
    notes = {note for table in tables for note in table.notes}
    assert any("%" in cell for cell in cells)
    assert {each for each in cells | notes if OTHER_FORMS.search(each)} == set()
    for table in tables:
        for at, column in enumerate(table.columns):
            if column == "Period" and table.rows:
                assert len({row[at] for row in table.rows}) > 1, table.title
