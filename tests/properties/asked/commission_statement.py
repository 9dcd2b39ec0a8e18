"""What a plan pays, and what a naive replay works out."""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.commissions import plan_of, statement_lines
from properties.asked.case import Case
from properties.plans import EVERYBODYS
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.statement_view import CommissionStatementView

__all__ = ["CASE"]

ASKED = (
    CommissionStatement(rep="ann"),
    CommissionStatement(rep="bob", plan=EVERYBODYS, from_=date(2024, 1, 1)),
    CommissionStatement(rep="ann", plan=EVERYBODYS, from_=date(2024, 1, 1)),
    CommissionStatement(rep="cho", from_=date(2024, 1, 1), to=date(2024, 2, 1)),
    CommissionStatement(rep="ann", from_=date(2023, 12, 1)),
)


def said(view: CommissionStatementView) -> list[Any]:
    """Write the lines as the oracle does."""
    assert view.totals.payable == sum(line.commission for line in view.lines)
    return sorted((str(e.event_id), e.credited, e.commission) for e in view.lines)


def wanted(
    raw: list[Raw], question: CommissionStatement, as_of: int, known_at: int
) -> list[Any] | None:
    """Ask the oracle for all lines, and pick those of the month."""
    if not plan_of(raw, EVERYBODYS, as_of, known_at):
        return None
    first = question.from_ or moment(as_of).date().replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    lines = statement_lines(raw, EVERYBODYS, question.rep, as_of, known_at)
    return sorted(line for when, line in lines if first <= moment(when).date() <= last)


CASE = Case(st.sampled_from(ASKED), said, wanted)
