"""What a deal is worth: forecasts, agreed lines, signature, amendments; and what was paid."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from given import (
    HOUR,
    NOW,
    OTHER,
    SHANGHAI,
    START,
    Given,
    cny,
    day,
    deal_of,
    decides,
    line,
    on,
    opened,
    refuses,
)
from salesflow.domain.deal import Deal
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import (
    ContractAmended,
    ForecastGiven,
    InvoiceIssued,
    LineItemsAgreed,
    PaymentReceived,
    RefundGiven,
    TermsAgreed,
)
from salesflow.domain.deal.merging import DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteIssued
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.values import Money
from salesflow.errors import DealClosedError, InputError, RuleError


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ([], "100"),
        ([ForecastGiven(amount=cny("110"))], "110"),
        ([ForecastGiven(expected_close=day("2026-07-01"))], "100"),
        ([LineItemsAgreed(lines=(line("60"), line("70")))], "130"),
        ([LineItemsAgreed()], "100"),
        ([QuoteIssued(quote="Q1", lines=(line("1"),)), QuoteAccepted(quote="Q1")], "100"),
        ([TermsAgreed(terms="30 days")], "100"),
        ([DealWon()], "100"),
        ([DealWon(amount=cny("140"))], "140"),
        ([DealWon(amount=cny("140")), ContractAmended(amount=cny("150"))], "150"),
        ([DealWon(amount=cny("140")), ContractAmended()], "140"),
        ([DealWon(), RefundGiven(amount=cny("9")), RepeatOrderPlaced(amount=cny("8"))], "100"),
        ([ContractAmended(amount=cny("150"))], "100"),
    ],
)
def test_the_amount_is_the_latest_that_was_said_of_it(facts: list[Given], amount: str) -> None:
    assert deal_of(opened(amount=cny("100")), *facts).amount == cny(amount)


def test_a_late_fact_does_not_move_an_amount_that_was_said_after_it() -> None:
    deal = deal_of(
        opened(),
        on(ForecastGiven(amount=cny("200")), START + 2 * HOUR),
        on(ForecastGiven(amount=cny("150")), START + HOUR, recorded_at=NOW),
    )
    assert deal.amount == cny("200")


def test_the_currency_of_a_deal_may_change() -> None:
    deal = deal_of(opened(amount=cny("100")), ForecastGiven(amount=Money("13", "EUR")))
    assert deal.amount == Money("13", "EUR")


def test_a_forecast_names_what_changed_and_leaves_the_rest() -> None:
    deal = decides(
        given=[opened(amount=cny("100"), expected_close=day("2026-07-01"))],
        when=lambda deal: deal.forecast(
            expected_close=day("2026-08-01"),
            category="commit",
            probability="0.9",
            because="they said so",
        ),
        then=[
            ForecastGiven(
                expected_close=day("2026-08-01"),
                category="commit",
                probability=Decimal("0.9"),
                because="they said so",
            )
        ],
    )
    assert (deal.amount, deal.expected_close) == (cny("100"), day("2026-08-01"))
    assert (deal.forecast_category, deal.probability) == ("commit", Decimal("0.9"))


def test_a_given_probability_stands_until_it_is_cleared() -> None:
    given = [
        opened(),
        ForecastGiven(probability=Decimal("0.9"), category="commit"),
        StageMoved(target="b"),
    ]
    assert deal_of(*given).probability == Decimal("0.9")
    deal = decides(
        given=given,
        when=lambda deal: deal.forecast(clear=["probability", "category"]),
        then=[ForecastGiven(cleared=("probability", "category"))],
    )
    assert (deal.probability, deal.forecast_category) == (Decimal("0.2"), "pipeline")


def test_amount_and_closing_date_may_become_unknown() -> None:
    deal = decides(
        given=[opened(amount=cny("100"), expected_close=day("2026-07-01"))],
        when=lambda deal: deal.forecast(clear=["amount", "expected_close"]),
        then=[ForecastGiven(cleared=("amount", "expected_close"))],
    )
    assert (deal.amount, deal.expected_close) == (None, None)


def test_a_forecast_says_something_and_nothing_twice() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.forecast(because="just so"),
        error=InputError,
        match="a forecast names an amount",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.forecast(amount=cny("1"), clear=["amount"]),
        error=InputError,
        match="amount cannot be given and cleared at once",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.forecast(probability="1.5"),
        error=InputError,
        match="probability: must be at most 1",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.forecast(probability="likely"),
        error=InputError,
        match="'likely' is not a number",
    )


@pytest.mark.parametrize("closing", [DealWon(), DealLost()])
def test_a_closed_deal_is_not_forecast(closing: DealWon | DealLost) -> None:
    refuses(
        given=[opened(), closing],
        when=lambda deal: deal.forecast(amount=cny("1")),
        error=DealClosedError,
        match="to forecast it, reopen it first",
    )
    refuses(
        given=[opened(), closing],
        when=lambda deal: deal.agree_line_items([line()]),
        error=DealClosedError,
        match="to agree line items, reopen it first",
    )


def test_agreed_line_items_make_the_amount() -> None:
    deal = decides(
        given=[opened(amount=cny("100"))],
        when=lambda deal: deal.agree_line_items([line("60"), line("70")]),
        then=[LineItemsAgreed(lines=(line("60"), line("70")))],
    )
    assert (deal.amount, len(deal.line_items)) == (cny("130"), 2)


def test_terms_are_agreed_before_or_after_the_signature() -> None:
    fact = TermsAgreed(terms="net 30", payment_days=30, contract="C-1")
    for given in ([opened()], [opened(), DealWon()]):
        deal = decides(
            given=given,
            when=lambda deal: deal.agree_terms("net 30", payment_days=30, contract="C-1"),
            then=[fact],
        )
        assert deal.terms == fact
    refuses(
        given=[opened(), DealMerged(into=OTHER)],
        when=lambda deal: deal.agree_terms("net 30"),
        error=DealClosedError,
        match="is merged into",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.agree_terms(" "),
        error=InputError,
        match="terms cannot be blank",
    )


@pytest.mark.parametrize(
    "say",
    [
        lambda deal: deal.forecast(amount=cny("-5")),
        lambda deal: deal.confirm_budget(cny("-5")),
        lambda deal: deal.win(cny("-5")),
        lambda deal: deal.agree_line_items([line("20"), line("-25")]),
        lambda deal: deal.issue_quote(lines=[line("-5")], valid_until=day("2026-07-01")),
    ],
    ids=["forecast", "budget", "win", "lines", "quote"],
)
def test_nothing_is_expected_offered_or_signed_for_less_than_nothing(
    say: Callable[[Deal], None],
) -> None:
    refuses(given=[opened()], when=say, error=InputError, match="-5 CNY.* less than nothing")


def test_a_deal_is_not_opened_for_less_than_nothing() -> None:
    with pytest.raises(InputError, match="-5 CNY is less than nothing: what a deal may bring"):
        Deal.open(STANDARD, title="ERP", owner="ann", amount=cny("-5"))


def test_a_contract_is_amended_to_nothing_at_the_least() -> None:
    won = [opened(), DealWon(amount=cny("100"))]
    decides(
        given=won,
        when=lambda deal: deal.amend_contract(cny("0"), because="cancelled"),
        then=[ContractAmended(amount=cny("0"), because="cancelled")],
    )
    refuses(
        given=won,
        when=lambda deal: deal.amend_contract(cny("-5"), because="cancelled"),
        error=InputError,
        match="-5 CNY is less than nothing: what a contract is worth is 0 or more",
    )


@pytest.mark.parametrize(
    ("history", "left", "others"),
    [
        ([], "100", "sold for 100 CNY, 0 CNY was paid, 0 CNY was refunded before"),
        ([RefundGiven(amount=cny("30"))], "70", "30 CNY was refunded before"),
        ([ContractAmended(amount=cny("130"))], "130", "sold for 130 CNY"),
        ([RepeatOrderPlaced(amount=cny("20"))], "120", "sold for 120 CNY"),
        ([PaymentReceived(amount=cny("113"))], "113", "113 CNY was paid"),
        (
            [PaymentReceived(amount=cny("113")), RefundGiven(amount=cny("100"))],
            "13",
            "100 CNY was refunded before",
        ),
        (
            [RefundGiven(amount=cny("90")), DealReopened(), DealWon(amount=cny("40"))],
            "40",
            "sold for 40 CNY",
        ),
    ],
)
def test_no_more_is_refunded_than_was_sold_or_paid_and_not_refunded_before(
    history: list[Given], left: str, others: str
) -> None:
    given = [opened(), DealWon(amount=cny("100")), *history]
    more = Money(Decimal(left) + Decimal("0.01"), "CNY")
    refuses(
        given=given,
        when=lambda deal: deal.give_refund(more, because="a fault"),
        error=RuleError,
        match=f"{more} is more than deal .* can be refunded at that time, {left} CNY.*{others}",
    )
    decides(
        given=given,
        when=lambda deal: deal.give_refund(cny(left), because="a fault"),
        then=[RefundGiven(amount=cny(left), because="a fault")],
    )


def test_a_refund_is_in_a_currency_of_the_sale() -> None:
    refuses(
        given=[opened(), DealWon(amount=cny("100"))],
        when=lambda deal: deal.give_refund(Money("1", "USD"), because="a fault"),
        error=RuleError,
        match="was sold for 100 CNY, so 1 USD cannot be taken back of it: .* in CNY",
    )


def test_what_a_sale_of_unknown_worth_gives_back_is_not_bounded() -> None:
    decides(
        given=[opened(), DealWon()],
        when=lambda deal: deal.give_refund(cny("5"), because="late"),
        then=[RefundGiven(amount=cny("5"), because="late")],
    )


def test_as_an_overpayment_goes_back_what_came_in_beyond_the_sale_and_no_more() -> None:
    given: list[Given] = [
        opened(),
        DealWon(amount=cny("100")),
        PaymentReceived(amount=cny("113")),
        RefundGiven(amount=cny("20")),  # of the sale: what came in beyond it is as it was
        RefundGiven(amount=cny("3"), overpayment=True),
    ]
    refuses(
        given=given,
        when=lambda deal: deal.give_refund(cny("11"), because="twice", overpayment=True),
        error=RuleError,
        match="10 CNY came in beyond what is sold .* not 11 CNY",
    )
    decides(
        given=given,
        when=lambda deal: deal.give_refund(cny("10"), because="twice", overpayment=True),
        then=[RefundGiven(amount=cny("10"), because="twice", overpayment=True)],
    )


def test_a_refund_stands_when_the_sale_is_known_to_be_smaller_later() -> None:
    """Facts of the world stay; what is refused is refused when it is said."""
    deal = deal_of(
        opened(),
        on(DealWon(amount=cny("100")), START + HOUR),
        on(RefundGiven(amount=cny("90")), START + 3 * HOUR),
        on(ContractAmended(amount=cny("50")), START + 2 * HOUR, recorded_at=NOW),
    )
    assert ([*deal.irregular], len(deal.refunds)) == ([], 1)
    with pytest.raises(RuleError, match="0 CNY: it was sold for 50 CNY"):
        deal.give_refund(cny("1"), because="more")


def test_a_signed_contract_is_amended_from_a_day_on() -> None:
    july = datetime(2026, 7, 1, tzinfo=SHANGHAI)
    deal = decides(
        given=[opened(amount=cny("100")), DealWon()],
        when=lambda deal: deal.amend_contract(
            cny("130"), because="two more seats", effective_from=day("2026-07-01")
        ),
        then=[
            ContractAmended(amount=cny("130"), because="two more seats", effective_from=july)
        ],
    )
    assert deal.amount == cny("100")
    assert deal.at(july).amount == cny("130")


@pytest.mark.parametrize("state", [[], [DealLost()], [DealWon(), DealReopened()]])
def test_what_was_not_won_is_neither_amended_nor_refunded(state: list[Given]) -> None:
    refuses(
        given=[opened(), *state],
        when=lambda deal: deal.amend_contract(cny("1"), because="x"),
        error=DealClosedError,
        match="not won; cannot amend its contract",
    )
    refuses(
        given=[opened(), *state],
        when=lambda deal: deal.give_refund(cny("1"), because="x"),
        error=DealClosedError,
        match="not won; cannot refund it",
    )


def test_money_changes_hands_after_winning() -> None:
    won = [opened(), DealWon(amount=cny("100"))]
    decides(
        given=won,
        when=lambda deal: deal.issue_invoice(cny("50"), invoice="R-1", due=day("2026-07-01")),
        then=[InvoiceIssued(amount=cny("50"), invoice="R-1", due=day("2026-07-01"))],
    )
    decides(
        given=won,
        when=lambda deal: deal.receive_payment(cny("50"), invoice="R-1"),
        then=[PaymentReceived(amount=cny("50"), invoice="R-1")],
    )
    deal = decides(
        given=won,
        when=lambda deal: deal.give_refund(cny("5"), invoice="R-1", because="late"),
        then=[RefundGiven(amount=cny("5"), invoice="R-1", because="late")],
    )
    assert (len(deal.invoices), len(deal.payments), len(deal.refunds)) == (0, 0, 1)


def test_paperwork_trails_a_win_also_when_the_deal_is_open_again() -> None:
    given = [opened(), DealWon(), DealReopened()]
    deal = deal_of(*given)
    deal.issue_invoice(cny("1"))
    deal.receive_payment(cny("1"))
    assert (deal.outcome, len(deal.invoices), len(deal.payments)) == ("open", 1, 1)


def test_nobody_is_billed_for_what_was_never_won() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.issue_invoice(cny("1")),
        error=DealClosedError,
        match="was never won; cannot bill it",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.receive_payment(cny("1")),
        error=DealClosedError,
        match="was never won; cannot take a payment",
    )


def test_sums_that_change_hands_are_more_than_nothing() -> None:
    for amount in ("0", "-5"):
        refuses(
            given=[opened(), DealWon()],
            when=lambda deal, amount=amount: deal.give_refund(  # type: ignore[misc]
                cny(amount), because="x"
            ),
            error=InputError,
            match=f"{amount} CNY is not more than nothing",
        )
