"""Won, lost, disqualified, and back to open."""

from decimal import Decimal

import pytest

from given import CLOSED_STAGES, HOUR, OTHER, START, cny, deal_of, decides, opened, refuses
from salesflow.domain.deal.activities import ObjectionRaised
from salesflow.domain.deal.merging import DealMerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.stages import Check, StageMoved
from salesflow.domain.standard_process import STANDARD
from salesflow.errors import DealClosedError, InputError, RuleError, StageError


def test_winning_ends_negotiation_and_opens_after_sales_service() -> None:
    deal = decides(
        given=[opened(stage="c", amount=cny("100"))],
        when=lambda deal: deal.win(because="signed"),
        then=[DealWon(because="signed")],
    )
    assert (deal.stage, deal.outcome, deal.is_open) == ("served", "won", False)
    assert (deal.amount, deal.forecast_category) == (cny("100"), "closed")
    assert deal.probability == 1


def test_a_deal_can_be_won_from_any_open_stage_for_what_was_signed() -> None:
    deal = decides(
        given=[opened(amount=cny("100"))],
        when=lambda deal: deal.win(cny("120")),
        then=[DealWon(amount=cny("120"))],
    )
    assert deal.amount == cny("120")


def test_no_gate_stops_a_signature_but_what_was_unmet_is_in_the_fact() -> None:
    decides(
        given=[opened(STANDARD, stage="negotiation"), ObjectionRaised(objection="O1")],
        when=lambda deal: deal.win(),
        then=[DealWon(checks=(Check(criterion="objections_resolved", result="failed"),))],
    )


def test_nobody_signs_less_than_nothing() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.win(cny("-1")),
        error=InputError,
        match="-1 CNY is less than nothing: what was signed is 0 or more",
    )


def test_a_deal_is_lost_for_a_reason_of_its_process() -> None:
    deal = decides(
        given=[opened(STANDARD)],
        when=lambda deal: deal.lose(because="price", competitor="Globex", note="by 3 %"),
        then=[DealLost(because="price", competitor="Globex", note="by 3 %")],
    )
    assert (deal.outcome, deal.stage) == ("lost", "prospecting")
    assert (deal.lost_because, deal.lost_to) == ("price", "Globex")
    assert (deal.probability, deal.forecast_category) == (Decimal(0), "omitted")


def test_a_reason_the_process_does_not_list_is_refused() -> None:
    refuses(
        given=[opened(STANDARD)],
        when=lambda deal: deal.lose(because="bad luck"),
        error=RuleError,
        match="'bad luck' is not a loss reason of process 'standard' version 1",
    )


def test_a_process_without_reasons_takes_any() -> None:
    decides(
        given=[opened()],
        when=lambda deal: deal.lose(because="bad luck"),
        then=[DealLost(because="bad luck")],
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.lose(because=""),
        error=InputError,
        match="a loss needs a reason",
    )


def test_a_deal_that_never_was_one_is_disqualified() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.disqualify(because="duplicate", note="see ERP 2"),
        then=[DealDisqualified(because="duplicate", note="see ERP 2")],
    )
    assert (deal.outcome, deal.disqualified_because) == ("disqualified", "duplicate")
    refuses(
        given=[opened()],
        when=lambda deal: deal.disqualify(because=""),
        error=InputError,
        match="disqualifying needs a reason",
    )


@pytest.mark.parametrize(
    ("fact", "outcome"),
    [
        (DealWon(), "won"),
        (DealLost(because="price"), "lost"),
        (DealDisqualified(because="spam"), "disqualified"),
    ],
)
def test_a_closed_deal_is_not_closed_again(
    fact: DealWon | DealLost | DealDisqualified, outcome: str
) -> None:
    given = [opened(), fact]
    match = f"already {outcome}; to .*, reopen it first"
    refuses(given=given, when=lambda d: d.win(), error=DealClosedError, match=match)
    refuses(given=given, when=lambda d: d.lose(because="x"), error=DealClosedError, match=match)
    refuses(
        given=given,
        when=lambda d: d.disqualify(because="x"),
        error=DealClosedError,
        match=match,
    )


def test_a_merged_deal_is_closed_in_its_survivor() -> None:
    given = [opened(), DealMerged(into=OTHER)]
    match = f"is merged into {OTHER}; win it there"
    refuses(given=given, when=lambda d: d.win(), error=DealClosedError, match=match)


@pytest.mark.parametrize(
    "closing", [DealWon(), DealLost(because="price"), DealDisqualified(because="spam")]
)
def test_a_deal_is_reopened_where_it_was_closed(
    closing: DealWon | DealLost | DealDisqualified,
) -> None:
    deal = decides(
        given=[opened(), StageMoved(target="b"), closing],
        when=lambda deal: deal.reopen(because="they called"),
        then=[DealReopened(because="they called")],
    )
    assert (deal.outcome, deal.stage, deal.closed_at) == ("open", "b", None)
    assert (deal.lost_because, deal.disqualified_because) == (None, None)


def test_a_deal_may_be_reopened_in_a_stage_one_names() -> None:
    deal = decides(
        given=[opened(), StageMoved(target="b"), DealLost(because="price")],
        when=lambda deal: deal.reopen(stage="a", because="from the start"),
        then=[DealReopened(stage="a", because="from the start")],
    )
    assert deal.stage == "a"


def test_a_deal_is_reopened_only_when_closed_and_only_in_an_open_stage() -> None:
    lost = [opened(), DealLost(because="price")]
    refuses(
        given=[opened()],
        when=lambda deal: deal.reopen(because="x"),
        error=DealClosedError,
        match="is open; there is nothing to reopen",
    )
    refuses(
        given=lost,
        when=lambda deal: deal.reopen(stage="served", because="x"),
        error=StageError,
        match="'served' is none",
    )
    refuses(
        given=lost,
        when=lambda deal: deal.reopen(stage="z", because="x"),
        error=InputError,
        match="no stage 'z'",
    )
    refuses(
        given=lost,
        when=lambda deal: deal.reopen(because=" "),
        error=InputError,
        match="reopening needs a reason",
    )


def test_the_first_outcome_stays_readable_whatever_follows() -> None:
    deal = deal_of(
        opened(),
        DealWon(),
        DealReopened(),
        DealLost(because="price"),
        DealReopened(),
        DealWon(amount=cny("120")),
    )
    assert (deal.outcome, deal.first_outcome) == ("won", "won")
    assert deal.first_closed_at == deal.first_won_at == START + HOUR
    assert deal.closed_at == START + 5 * HOUR


def test_a_deal_first_lost_and_later_won_keeps_both_times() -> None:
    deal = deal_of(opened(), DealLost(), DealReopened(), DealWon())
    assert (deal.first_outcome, deal.first_closed_at) == ("lost", START + HOUR)
    assert deal.first_won_at == deal.closed_at == START + 3 * HOUR


def test_entering_a_stage_that_means_lost_is_losing() -> None:
    deal = deal_of(
        opened(CLOSED_STAGES), StageMoved(target="talks"), StageMoved(target="closed_lost")
    )
    assert (deal.outcome, deal.stage, deal.closed_at) == (
        "lost",
        "closed_lost",
        START + 2 * HOUR,
    )
    deal.reopen(because="they called")
    assert (deal.outcome, deal.stage) == ("open", "talks")


def test_winning_under_such_a_process_enters_its_won_stage() -> None:
    deal = decides(
        given=[opened(CLOSED_STAGES)], when=lambda deal: deal.win(), then=[DealWon()]
    )
    assert deal.stage == "closed_won"


def test_a_deal_may_come_into_the_books_already_lost() -> None:
    deal = deal_of(opened(CLOSED_STAGES, stage="closed_lost"))
    assert (deal.outcome, deal.first_outcome) == ("lost", "lost")
    assert deal.opened_at == deal.closed_at == START
    deal.reopen(because="a mistake of the source")
    assert (deal.outcome, deal.stage) == ("open", "new")
