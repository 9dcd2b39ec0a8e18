"""Priced offers: drafted, issued, revised, then accepted, rejected, withdrawn or expired."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from given import (
    HOUR,
    NOW,
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
from salesflow.domain.deal import Deal, QuoteLine
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteRejected,
    QuoteRevised,
    QuoteState,
    QuoteWithdrawn,
)
from salesflow.domain.state import ReplayContext
from salesflow.errors import InputError, QuoteError

LINES = (line("100"), line("20"))
MARCH_31 = datetime(2026, 3, 31, 16, tzinfo=UTC)
"""The end of 31 March in Shanghai."""
ISSUED = QuoteIssued(
    quote="Q1", lines=LINES, valid_until=day("2026-03-31"), expires_at=MARCH_31
)
OPEN_ENDED = QuoteIssued(quote="Q1", lines=LINES)

STATES: dict[QuoteState, list[Given]] = {
    "drafted": [QuoteDrafted(quote="Q1", lines=LINES)],
    "issued": [OPEN_ENDED],
    "revised": [OPEN_ENDED, QuoteRevised(quote="Q1", lines=LINES)],
    "accepted": [OPEN_ENDED, QuoteAccepted(quote="Q1")],
    "rejected": [OPEN_ENDED, QuoteRejected(quote="Q1")],
    "withdrawn": [OPEN_ENDED, QuoteWithdrawn(quote="Q1")],
    "expired": [ISSUED],
}
ALLOWED: dict[str, set[QuoteState]] = {
    "issue": {"drafted"},
    "revise": {"issued", "revised", "expired"},
    "accept": {"issued", "revised"},
    "reject": {"issued", "revised", "expired"},
    "withdraw": {"drafted", "issued", "revised"},
    "expire": {"issued", "revised"},
}


def act(deal: Deal, what: str) -> None:
    match what:
        case "issue":
            deal.issue_quote("Q1")
        case "revise":
            deal.revise_quote("Q1", lines=LINES, because="they haggle")
        case "accept":
            deal.accept_quote("Q1")
        case "reject":
            deal.reject_quote("Q1")
        case "withdraw":
            deal.withdraw_quote("Q1", because="mistake")
        case _:
            deal.expire_quote("Q1")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", ALLOWED)
def test_what_may_happen_to_a_quote_depends_on_its_state(what: str, state: QuoteState) -> None:
    given = [opened(), *STATES[state]]
    assert deal_of(*given).quotes["Q1"].state == state
    if state in ALLOWED[what]:
        deal = deal_of(*given)
        act(deal, what)
        assert len(deal.pending) == 1
    else:
        refuses(
            given=given,
            when=lambda deal: act(deal, what),
            error=QuoteError,
            match=f"quote 'Q1' of deal .* is {state}; cannot {what} it",
        )


@pytest.mark.parametrize("what", [what for what in ALLOWED if what != "issue"])
def test_nothing_happens_to_a_quote_that_is_not_there(what: str) -> None:
    refuses(
        given=[opened()],
        when=lambda deal: act(deal, what),
        error=QuoteError,
        match="has no quote 'Q1'",
    )


def test_a_quote_is_drafted_under_the_next_number_or_one_of_the_house() -> None:
    given = [opened(), QuoteDrafted(quote="Q2", lines=LINES)]
    deal = decides(
        given=given,
        when=lambda deal: deal.draft_quote(LINES),
        then=[QuoteDrafted(quote="Q3", lines=LINES)],
    )
    assert deal.quotes["Q3"].total == cny("120")
    decides(
        given=given,
        when=lambda deal: deal.draft_quote(LINES, quote="2026-17"),
        then=[QuoteDrafted(quote="2026-17", lines=LINES)],
    )
    refuses(
        given=given,
        when=lambda deal: deal.draft_quote(LINES, quote="Q2"),
        error=QuoteError,
        match="has a quote 'Q2' already",
    )


def test_a_quote_expires_at_the_end_of_its_last_day_in_the_business_time_zone() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.issue_quote(
            lines=LINES, valid_until=day("2026-03-31"), occurred_at=START + HOUR
        ),
        then=[ISSUED],
    )
    assert deal.at(MARCH_31 - timedelta(microseconds=1)).quotes["Q1"].state == "issued"
    assert deal.at(MARCH_31).quotes["Q1"].state == "expired"
    assert deal.quotes["Q1"].state == "expired"


def test_a_quote_cannot_be_issued_when_it_would_have_expired() -> None:
    for late in (None, MARCH_31):
        refuses(
            given=[opened()],
            when=lambda deal, late=late: deal.issue_quote(  # type: ignore[misc]
                lines=LINES, valid_until=day("2026-03-31"), occurred_at=late
            ),
            error=InputError,
            match="valid until 2026-03-31 would have expired already",
        )


def test_a_draft_is_issued_with_its_lines_or_better_ones() -> None:
    given = [opened(), QuoteDrafted(quote="Q1", lines=LINES)]
    decides(given=given, when=lambda deal: deal.issue_quote("Q1"), then=[OPEN_ENDED])
    better = (line("90"),)
    deal = decides(
        given=given,
        when=lambda deal: deal.issue_quote("Q1", lines=better),
        then=[QuoteIssued(quote="Q1", lines=better)],
    )
    assert deal.quotes["Q1"].total == cny("90")


def test_a_quote_without_lines_must_have_been_drafted() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.issue_quote("Q7"),
        error=QuoteError,
        match="has no quote 'Q7'; name its lines",
    )


def test_a_quote_needs_lines_in_one_currency() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.draft_quote([]),
        error=InputError,
        match="at least one line",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.draft_quote([line(), line(currency="EUR")]),
        error=InputError,
        match="in CNY and EUR",
    )


def test_a_revision_replaces_the_offer_and_its_last_day() -> None:
    june = datetime(2026, 6, 30, 16, tzinfo=UTC)
    deal = decides(
        given=[opened(), ISSUED],
        when=lambda deal: deal.revise_quote(
            "Q1", lines=[line("80")], valid_until=day("2026-06-30"), because="they haggle"
        ),
        then=[
            QuoteRevised(
                quote="Q1",
                lines=(line("80"),),
                valid_until=day("2026-06-30"),
                expires_at=june,
                because="they haggle",
            )
        ],
    )
    quote = deal.quotes["Q1"]
    assert (quote.state, quote.total, quote.revisions) == ("revised", cny("80"), 1)
    assert quote.expires_at == june


def test_a_quote_is_accepted_while_it_holds_even_when_that_is_told_later() -> None:
    decides(
        given=[opened(), ISSUED],
        when=lambda deal: deal.accept_quote("Q1", occurred_at=MARCH_31 - HOUR),
        then=[QuoteAccepted(quote="Q1")],
    )
    refuses(
        given=[opened(), ISSUED],
        when=lambda deal: deal.accept_quote("Q1", occurred_at=MARCH_31),
        error=QuoteError,
        match="is expired; cannot accept",
    )


def test_a_quote_of_a_deal_nobody_has_recorded_yet_has_not_expired() -> None:
    deal = Deal.open(deal_of(opened()).process_in_force, title="ERP", owner="ann")
    deal.attach(ReplayContext(deal.context.processes, SHANGHAI))
    key = deal.issue_quote(lines=LINES, valid_until=day("2020-01-01"))
    deal.accept_quote(key)
    assert deal.quotes[key].state == "accepted"


def test_at_most_one_accepted_quote_stands() -> None:
    two = [
        opened(),
        OPEN_ENDED,
        QuoteIssued(quote="Q2", lines=LINES),
        QuoteAccepted(quote="Q1"),
    ]
    refuses(
        given=two,
        when=lambda deal: deal.accept_quote("Q2"),
        error=QuoteError,
        match="quote 'Q1' of deal .* stands accepted; 'Q2' cannot",
    )
    deal = decides(
        given=two,
        when=lambda deal: deal.accept_quote("Q2", occurred_at=START + 2.5 * HOUR),
        then=[QuoteAccepted(quote="Q2")],
    )
    assert [quote.state for quote in deal.quotes.values()] == ["accepted", "superseded"]
    assert deal.accepted_quote == deal.quotes["Q1"]


def test_a_quote_moves_neither_amount_nor_outcome_also_after_the_end() -> None:
    lost = [opened(amount=cny("5")), OPEN_ENDED, DealLost(because="price")]
    deal = decides(
        given=lost,
        when=lambda deal: deal.accept_quote("Q1", note="too late"),
        then=[QuoteAccepted(quote="Q1", note="too late")],
    )
    assert (deal.amount, deal.outcome, deal.irregular) == (cny("5"), "lost", ())
    decides(
        given=lost,
        when=lambda deal: deal.issue_quote(lines=LINES),
        then=[QuoteIssued(quote="Q2", lines=LINES)],
    )


def test_reasons_are_asked_where_we_changed_our_mind() -> None:
    given = [opened(), OPEN_ENDED]
    refuses(
        given=given,
        when=lambda deal: deal.withdraw_quote("Q1", because=""),
        error=InputError,
        match="withdrawing a quote needs a reason",
    )
    refuses(
        given=given,
        when=lambda deal: deal.revise_quote("Q1", lines=LINES, because=""),
        error=InputError,
        match="revising a quote needs a reason",
    )
    decides(
        given=given,
        when=lambda deal: deal.reject_quote("Q1", because="too dear"),
        then=[QuoteRejected(quote="Q1", because="too dear")],
    )
    decides(
        given=given,
        when=lambda deal: deal.expire_quote("Q1"),
        then=[QuoteExpired(quote="Q1")],
    )


def test_a_source_may_know_the_total_only() -> None:
    deal = deal_of(
        opened(),
        QuoteIssued(quote="Q1", total=cny("77")),
        QuoteRevised(quote="Q1"),
        on(QuoteAccepted(quote="Q9"), NOW - HOUR),
    )
    assert (deal.quotes["Q1"].total, deal.quotes["Q1"].revisions) == (cny("77"), 1)
    assert deal.irregular[0][1] == "there is no quote 'Q9'"


def test_nothing_is_offered_for_more_than_an_amount_can_hold() -> None:
    with pytest.raises(InputError, match="a line cannot be worth that much"):
        QuoteLine(product="gold", quantity=Decimal(10**7), unit_price=cny("1000000"))
    dear = line("9000000000000")
    assert deal_of(opened(amount=cny("5")), LineItemsAgreed(lines=(dear, dear))).amount == cny(
        "5"
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.draft_quote([dear, dear]),
        error=InputError,
        match="add up to more than an amount can hold",
    )


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "total"),
    [
        ("3", "33.33", "0.1", "89.991"),
        ("1", "0.000001", "0.5", "0"),
        ("1", "0.000003", "0.5", "0.000002"),
        ("1000000", "100", "0", "100000000"),
    ],
)
def test_a_line_is_worth_quantity_times_price_less_discount(
    quantity: str, price: str, discount: str, total: str
) -> None:
    here = QuoteLine(
        product="licence",
        quantity=Decimal(quantity),
        unit_price=cny(price),
        discount=Decimal(discount),
    )
    assert here.total == cny(total)
    assert str(here.total.amount) == total
