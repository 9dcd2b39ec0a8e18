"""After the sale: service, repeat orders, surveys, and what customers say of us."""

import pytest

from given import OTHER, Given, cny, decides, opened, refuses
from salesflow.domain.deal.after_sales import (
    FeedbackReceived,
    RepeatOrderPlaced,
    Scale,
    ServiceDelivered,
    SurveySent,
)
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.errors import DealClosedError, InputError


def test_service_is_delivered_after_winning() -> None:
    deal = decides(
        given=[opened(), DealWon()],
        when=lambda deal: deal.deliver_service("training", note="two days", by="lea"),
        then=[ServiceDelivered(service="training", note="two days", by="lea")],
    )
    assert len(deal.services) == 1
    refuses(
        given=[opened()],
        when=lambda deal: deal.deliver_service("training"),
        error=DealClosedError,
        match="was never won; cannot deliver service",
    )


def test_a_customer_buys_again_under_a_won_deal() -> None:
    deal = decides(
        given=[opened(), DealWon(amount=cny("100"))],
        when=lambda deal: deal.place_repeat_order(cny("40"), order="B-2"),
        then=[RepeatOrderPlaced(order="B-2", amount=cny("40"))],
    )
    assert (deal.amount, len(deal.repeat_orders)) == (cny("100"), 1)
    refuses(
        given=[opened(), DealWon()],
        when=lambda deal: deal.place_repeat_order(cny("0")),
        error=InputError,
        match="not more than nothing",
    )


@pytest.mark.parametrize("state", [[], [DealLost()], [DealWon(), DealReopened()]])
def test_there_is_no_repeat_order_without_a_standing_win(state: list[Given]) -> None:
    refuses(
        given=[opened(), *state],
        when=lambda deal: deal.place_repeat_order(cny("40")),
        error=DealClosedError,
        match="not won; cannot take a repeat order",
    )


def test_a_survey_goes_out_and_its_answer_knows_its_scale() -> None:
    survey = SurveySent(survey="spring", scale="nps", person_id=OTHER)
    deal = decides(
        given=[opened(), DealWon()],
        when=lambda deal: deal.send_survey("spring", scale="nps", person_id=OTHER),
        then=[survey],
    )
    assert deal.surveys == (survey,)
    deal = decides(
        given=[opened(), DealWon(), survey],
        when=lambda deal: deal.receive_feedback(survey="spring", score=9, text="fine"),
        then=[FeedbackReceived(survey="spring", scale="nps", score=9, text="fine")],
    )
    assert len(deal.feedback) == 1


def test_customers_of_a_lost_deal_may_say_what_they_think() -> None:
    decides(
        given=[opened(), DealLost()],
        when=lambda deal: deal.receive_feedback(text="too pushy", person_id=OTHER),
        then=[FeedbackReceived(text="too pushy", person_id=OTHER)],
    )


@pytest.mark.parametrize(
    ("scale", "lowest", "highest"), [("nps", 0, 10), ("csat", 1, 5), ("ces", 1, 7)]
)
def test_a_score_lies_on_its_scale(scale: Scale, lowest: int, highest: int) -> None:
    for score in (lowest, highest):
        decides(
            given=[opened()],
            when=lambda deal, score=score: deal.receive_feedback(  # type: ignore[misc]
                scale=scale, score=score
            ),
            then=[FeedbackReceived(scale=scale, score=score)],
        )
    for score in (lowest - 1, highest + 1):
        refuses(
            given=[opened()],
            when=lambda deal, score=score: deal.receive_feedback(  # type: ignore[misc]
                scale=scale, score=score
            ),
            error=InputError,
            match="FeedbackReceived: ",
        )


def test_feedback_has_a_score_with_its_scale_or_words() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.receive_feedback(survey="spring", text=" "),
        error=InputError,
        match="a score, words, or both",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.receive_feedback(survey="spring", score=5),
        error=InputError,
        match="a score needs its scale",
    )
