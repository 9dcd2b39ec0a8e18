"""Why deals are won and lost, worked out by hand."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop, told
from salesflow import Money, QuoteLine
from salesflow.domain.deal.activities import ContactLogged, ObjectionRaised
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.domain.deal.stages import StageMoved
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.projections.cases.win_loss import Driver, WinLoss, WinLossView

QUARTER: Mapping[str, object] = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}


CHEAPER = QuoteLine(product="x", unit_price=cny("100"), discount=Decimal("0.1"))


def win_loss(sales: Shop, as_of: str = "2026-05-31", **asked: object) -> WinLossView:
    return sales.flow.ask(WinLoss.model_validate({**QUARTER, **asked}), as_of=as_of)


def driver(view: WinLossView, factor: str, detail: str = "") -> Driver:
    [found] = [d for d in view.drivers if (d.factor, d.detail) == (factor, detail)]
    return found


def test_visited_deals_are_compared_with_those_nobody_visited() -> None:
    with shop() as sales:
        for number, (visited, won) in enumerate(
            [(True, True), (True, True), (True, False), (False, True), (False, False)], 1
        ):
            visit = [("2026-02-02", ContactLogged(channel="visit"))] if visited else []
            end = DealWon() if won else DealLost(because="price")
            sales.tell(number, ("2026-02-01", opened()), *visit, ("2026-02-10", end))
        view = win_loss(sales)
        assert (view.won, view.lost) == (3, 2)
        visits = driver(view, "contacted_by", "visit")
        assert (visits.won_with, visits.lost_with) == (2, 1)
        assert (visits.won_without, visits.lost_without) == (1, 1)
        assert visits.win_rate_without == Decimal("0.5")
        assert visits.difference is not None
        assert round(visits.difference.value, 6) == Decimal("0.166667")
        assert visits.difference.interval is not None
        low, high = visits.difference.interval.low, visits.difference.interval.high
        assert low < 0 < high, "five deals prove nothing"
        assert visits.few


def test_what_happens_after_closing_is_no_factor_of_it() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-10", DealWon()),
            ("2026-02-12", ContactLogged(channel="visit")),
        )
        assert [d.factor for d in win_loss(sales).drivers] == []


def test_a_reopened_deal_has_no_factors_until_it_closes_again_and_then_all_of_them() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(lead_source="fair")),
            ("2026-02-02", ObjectionRaised(objection="price")),
            ("2026-02-10", DealLost(because="price")),
            ("2026-02-20", DealReopened()),
            ("2026-02-21", QuoteIssued(quote="Q1", lines=(CHEAPER,))),
            ("2026-03-05", DealWon()),
        )
        assert win_loss(sales, as_of="2026-02-25").drivers == ()
        assert {d.factor for d in win_loss(sales, as_of="2026-02-15").drivers} == {
            "came_from",
            "objection_raised",
        }
        assert {d.factor for d in win_loss(sales).drivers} == {
            "came_from", "objection_raised", "quote_issued", "discount_offered",
        }  # fmt: skip


def test_what_happened_in_a_stage_is_compared_among_deals_that_stood_there() -> None:
    """Of four lost deals two never came to the stage: they are none without a call in it."""
    lost = DealLost(because="price")
    with shop() as sales:
        for number, (reached, called, end) in enumerate(
            [
                *((True, True, DealWon()), (True, True, lost), (True, False, lost)),
                *((False, False, lost), (False, False, lost)),
            ],
            1,
        ):
            facts = [
                ("2026-02-01", opened()),
                *([("2026-02-02", StageMoved(target="b"))] if reached else []),
                *([("2026-02-03", ContactLogged(channel="call"))] if called else []),
                ("2026-02-10", end),
            ]
            sales.tell(number, *facts)
        drivers = {(d.factor, d.detail): d for d in win_loss(sales).drivers}
        there = drivers["contacted_in", "b"]
        assert (there.won_with, there.lost_with) == (1, 1)
        assert (there.won_without, there.lost_without) == (0, 1)
        anywhere = drivers["contacted_by", "call"]
        assert (anywhere.won_without, anywhere.lost_without) == (0, 3)


def test_skipping_and_returning_are_factors_and_so_is_a_late_one() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-02", StageMoved(target="c")),
            ("2026-02-10", DealWon()),
        )
        before = win_loss(sales)
        assert {d.factor for d in before.drivers} == {"stage_skipped"}
        sales.turn("2026-06-02").tell(1, ("2026-02-03", StageMoved(target="a")))
        after = win_loss(sales)
        assert {d.factor for d in after.drivers} == {"stage_skipped", "stage_returned"}
        assert sales.flow.ask(WinLoss.model_validate(QUARTER), at=before.moment) == before


def test_reasons_are_sorted_by_what_they_cost_in_each_currency() -> None:
    with shop() as sales:
        for number, (amount, because, competitor) in enumerate(
            [
                (cny("300"), "price", "Rival"),
                (cny("100"), "price", None),
                (cny("500"), "timing", "Rival"),
                (cny("100"), None, None),
                (Money("7", "USD"), "price", None),
                (None, "price", None),
            ],
            1,
        ):
            end = DealLost(because=because, competitor=competitor)
            sales.tell(number, ("2026-02-01", opened(amount=amount)), ("2026-02-10", end))
        view = win_loss(sales)
        assert [
            told(loss.currency, loss.because, loss.deals, loss.amount, loss.share)
            for loss in view.losses
        ] == [
            ("CNY", "timing", 1, 500, Decimal("0.5")),
            ("CNY", "price", 2, 400, Decimal("0.4")),
            ("CNY", None, 1, 100, Decimal("0.1")),
            ("USD", "price", 1, 7, 1),
            (None, "price", 1, 0, 1),
        ]
        assert view.losses[1].cumulative_share == Decimal("0.9")
        [rival] = view.lost_to
        assert told(rival.competitor, rival.deals, rival.amounts[0].amount) == ("Rival", 2, 800)


def test_a_period_in_which_nothing_closed_has_no_drivers() -> None:
    with shop() as sales:
        view = win_loss(sales, as_of="2019-01-01")
        assert (view.won, view.lost, view.drivers, view.losses) == (0, 0, (), ())


def three_closed(sales: Shop) -> None:
    """Two deals won and one lost; the second is of another lead source."""
    won = ("2026-02-10", DealWon())
    sales.tell(
        2,
        ("2026-02-01", opened(amount=cny("120"), lead_source="fair")),
        ("2026-02-02", StageMoved(target="b")),
        won,
    )
    sales.tell(3, ("2026-02-01", opened(amount=cny("100"), lead_source="web")), won)
    sales.tell(
        4,
        ("2025-02-01", opened(amount=cny("900"), lead_source="fair")),
        ("2025-02-03", DealLost(because="price")),
    )


def test_the_closed_deals_most_like_an_open_one_stand_beside_with_how_many_were_won() -> None:
    with shop() as sales:
        three_closed(sales)
        sales.tell(
            1,
            ("2026-03-01", opened(amount=cny("1000"), lead_source="fair")),
            ("2026-03-02", StageMoved(target="b")),
            ("2026-03-03", ForecastGiven(amount=cny("110"))),
        )
        view = win_loss(sales, deal=deal_id(1))
        assert [
            (s.deal, s.outcome, s.score, s.stages_shared, s.stages_all, s.reasons)
            for s in view.similar
        ] == [
            (
                deal_id(2), "won", 3, 2, 2,
                ("same_stage_path", "similar_amount", "same_lead_source"),
            ),
            (deal_id(3), "won", Decimal("1.5"), 1, 2, ("shared_stages", "similar_amount")),
            (deal_id(4), "lost", Decimal("1.5"), 1, 2, ("shared_stages", "same_lead_source")),
        ]  # fmt: skip
        assert view.similar_won is not None
        assert view.similar_won.interval is not None
        assert round(view.similar_won.value, 3) == Decimal("0.667")
        low, high = view.similar_won.interval.low, view.similar_won.interval.high
        assert (round(low, 3), round(high, 3)) == (Decimal("0.208"), Decimal("0.939"))
        assert (view.won, view.lost) == (2, 0), "only the drivers are of the period"
        nearest = win_loss(sales, deal=deal_id(1), similar=1)
        assert [s.deal for s in nearest.similar] == [deal_id(2)]
        assert "Win rate of similar deals: 67% (21 … 94)" in view.table()
        assert "相似商机赢单率" in view.table("zh")


def test_an_open_deal_is_compared_as_it_stood_at_the_moment() -> None:
    with shop() as sales:
        three_closed(sales)
        sales.tell(
            1,
            ("2026-02-15", opened(amount=cny("1000"))),
            ("2026-03-03", ForecastGiven(amount=cny("110"))),
        )
        before = win_loss(sales, as_of="2026-03-02", deal=deal_id(1))
        assert [(s.deal, s.reasons) for s in before.similar] == [
            (deal_id(4), ("same_stage_path", "similar_amount")),
            (deal_id(3), ("same_stage_path",)),
            (deal_id(2), ("shared_stages",)),
        ]
        after = win_loss(sales, as_of="2026-03-03", deal=deal_id(1))
        assert [(s.deal, s.reasons) for s in after.similar] == [
            (deal_id(3), ("same_stage_path", "similar_amount")),
            (deal_id(2), ("shared_stages", "similar_amount")),
            (deal_id(4), ("same_stage_path",)),
        ]
        early = win_loss(sales, as_of="2026-02-09", deal=deal_id(2))
        assert [s.deal for s in early.similar] == [deal_id(4)], (
            "nothing else has closed by then"
        )


def test_a_closed_deal_is_compared_as_it_closed_and_is_not_like_itself() -> None:
    with shop() as sales:
        three_closed(sales)
        view = win_loss(sales, deal=deal_id(3))
        assert [s.deal for s in view.similar] == [deal_id(2), deal_id(4)]
        assert view.similar_won is not None
        assert view.similar_won.value == Decimal("0.5")


def test_without_a_deal_nothing_is_said_of_similar_ones() -> None:
    with shop() as sales:
        three_closed(sales)
        view = win_loss(sales)
        assert (view.similar, view.similar_won) == ((), None)
        assert [table.title for table in view.tables()] == [
            "Win and loss drivers", "Loss reasons", "Lost to competitors",
        ]  # fmt: skip


def test_a_deal_unlike_all_closed_ones_has_no_share_of_them() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-03-01", opened(amount=cny("1000"))))
        view = win_loss(sales, deal=deal_id(1))
        assert (view.similar, view.similar_won) == ((), None)
        assert [table.title for table in view.tables()][-1] == "Similar deals"


def test_the_like_of_a_deal_that_is_not_there_or_merged_cannot_be_asked_for() -> None:
    with shop() as sales:
        three_closed(sales)
        sales.tell(1, ("2026-02-01", opened()))
        sales.tell_all(
            (1, "2026-02-20", DealMerged(into=deal_id(2))),
            (2, "2026-02-20", DealAbsorbed(absorbed=deal_id(1))),
        )
        with pytest.raises(NotFoundError, match="no deal"):
            win_loss(sales, deal=deal_id(9))
        with pytest.raises(DealClosedError, match="merged"):
            win_loss(sales, deal=deal_id(1))


def test_reasons_of_several_currencies_stand_in_a_table_each() -> None:
    with shop() as sales:
        for number, currency in enumerate(("CNY", "USD"), 1):
            asked = opened(amount=Money("100", currency))
            sales.tell(number, ("2026-02-01", asked), ("2026-02-10", DealLost(because="price")))
        titled = [
            (table.about, len(table.rows))
            for table in win_loss(sales).tables()
            if table.title == "Loss reasons"
        ]
        assert titled == [("CNY", 1), ("USD", 1)]
