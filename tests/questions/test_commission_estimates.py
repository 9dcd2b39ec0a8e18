"""What an open deal would pay: an estimate, before anything is owed."""

from decimal import Decimal
from typing import Any

import pytest

from given import cny, opened
from questions.paying import (
    Payroll,
    Step,
    _tell,
    joined,
    lost,
    moved,
    payroll,
    plan,
    rates,
    revised,
    won,
)
from questions.shop import deal_id, told
from salesflow import CommissionEstimate, CommissionStatement, Money, QuoteLine
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.projections.incentives.commission_estimate import CommissionEstimateView

TIERS = ({"starts_at": "100000", "rate": "0.08"},)


def offered(amount: str | None = "10000", **changes: Any) -> Step:  # noqa: ANN401 - of a deal
    """Open deal 9 of rep ann."""
    money = None if amount is None else cny(amount)
    return _tell(9, "03-20", ("09:00", opened(amount=money, **changes)))


def estimate(found: Payroll, **asked: object) -> CommissionEstimateView:
    found.sales.turn("2027-06-01 12:00")
    question = CommissionEstimate.model_validate({"deal": deal_id(9), **asked})
    return found.flow.ask(question, as_of="2026-03-25")


def paying(view: CommissionEstimateView) -> dict[str, str]:
    return {each.rep: str(each.commission) for each in view.estimates}


def test_an_open_deal_pays_by_the_plan_in_force_and_what_has_accrued() -> None:
    with payroll(plan(tiers=TIERS), won(1, "03-10", "95000"), offered()) as found:
        view = estimate(found)
        [each] = view.estimates
        # 95,000 have accrued: 5,000 x 5 % + 5,000 x 8 %
        assert told(each.accrued, each.credited, each.commission) == (95000, 10000, 650)
        assert "an estimate, nothing is owed by it" in view.population


def test_it_is_what_the_statement_says_once_the_deal_is_won() -> None:
    with payroll(plan(tiers=TIERS), won(1, "03-10", "95000"), offered()) as found:
        [guess] = estimate(found).estimates
        found.sales.tell(9, ("2026-03-25 23:59", DealWon()))
        told = found.flow.ask(CommissionStatement(rep="ann"), as_of="2026-03-25")
        assert told.lines[-1].commission == guess.commission


def test_everybody_who_has_a_part_is_told_theirs() -> None:
    share = CollaboratorJoined(person="bob", credit=Decimal("0.3"))
    with payroll(plan(reps=("ann",)), offered(), _tell(9, "03-21", ("09:00", share))) as found:
        view = estimate(found)
        assert paying(view) == {"ann": "350"}
        assert view.without_plan == ("bob",)
        assert paying(estimate(found, rep="ann")) == {"ann": "350"}
        with pytest.raises(NotFoundError, match="is for 'cat'; there are ann, bob"):
            estimate(found, rep="cat")


def test_a_quote_is_estimated_at_its_total() -> None:
    line = QuoteLine(product="MES", unit_price=Money("40000", "CNY"))
    with payroll(
        plan(spiffs=({"key": "mes", "bonus": "100", "product": "MES"},)),
        offered(),
        _tell(9, "03-21", ("09:00", QuoteIssued(quote="Q1", lines=(line,)))),
    ) as found:
        assert paying(estimate(found)) == {"ann": "500"}
        view = estimate(found, quote="Q1")
        assert (view.quote, view.amount) == ("Q1", cny("40000"))
        assert paying(view) == {"ann": "2100"}  # 40,000 x 5 % + 100
        with pytest.raises(NotFoundError, match="has no quote 'Q2'; there are Q1"):
            estimate(found, quote="Q2")


def test_a_plan_that_credits_payments_is_estimated_as_if_all_were_paid() -> None:
    with payroll(plan(crediting="payment"), offered()) as found:
        assert paying(estimate(found)) == {"ann": "500"}


def test_the_version_and_the_team_of_the_moment_decide() -> None:
    with payroll(
        plan(teams=("east",)), joined("01-05"), offered(), revised("03-22", rate="0.06")
    ) as found:
        assert paying(estimate(found)) == {"ann": "600"}
        found.play(late_move())
        assert estimate(found).estimates == ()


def late_move() -> Step:
    step = moved("03-24")
    return Step(step.day, step.act, "2027-06-01")


def test_a_new_customer_is_one_until_something_was_sold_to_them() -> None:
    new = {"key": "new logo", "bonus": "300", "customers": "new"}
    with payroll(plan(spiffs=(new,)), offered(customer_id=deal_id(77))) as found:
        assert paying(estimate(found)) == {"ann": "800"}
    with payroll(
        plan(spiffs=(new,)),
        won(1, "03-10", "100", customer=deal_id(77).int),
        offered(customer_id=deal_id(77)),
    ) as found:
        assert paying(estimate(found)) == {"ann": "500"}


def test_agreed_lines_and_another_currency_are_taken_as_they_are() -> None:
    line = QuoteLine(product="MES", unit_price=Money("1000", "USD"))
    with payroll(
        plan(),
        rates("03-01", CNY="7"),
        offered(),
        _tell(9, "03-21", ("09:00", LineItemsAgreed(lines=(line,)))),
    ) as found:
        assert paying(estimate(found)) == {"ann": "350"}  # 7,000 x 5 %


def test_what_is_closed_or_unknown_is_refused_and_without_an_amount_nothing_is_said() -> None:
    with payroll(plan(), offered(None)) as found:
        view = estimate(found)
        assert (view.amount, view.estimates, view.without_plan) == (None, (), ())
        assert "no amount is known; forecast one" in view.table()
        with pytest.raises(NotFoundError, match="is believed to exist"):
            estimate(found, deal=deal_id(1))
    steps = (plan(), offered(), lost(9, "03-21"))
    with payroll(*steps) as found, pytest.raises(DealClosedError, match="is lost at that"):
        estimate(found)
