"""The flow of the pipeline, worked out by hand."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from given import CLOSED_STAGES, cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import Money
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.money import ContractAmended, ForecastGiven
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import StageMoved
from salesflow.errors import InputError
from salesflow.projections.flow import Flow, FlowAccount, FlowView

FIRST_QUARTER = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
SECOND_QUARTER = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1)}


def amounts(account: FlowAccount) -> dict[str, Decimal]:
    """Give the amounts of an account by kind, opening and closing included."""
    return {
        "opening": account.opening.amount,
        **{each.kind: each.amount for each in account.movements},
        **({"restated": account.restated.amount} if account.restated.events else {}),
        "closing": account.closing.amount,
    }


def deals(account: FlowAccount) -> dict[str, int]:
    return {
        "opening": account.opening.deals,
        **{each.kind: each.deals for each in account.movements},
        "closing": account.closing.deals,
    }


def only(view: FlowView) -> FlowAccount:
    [account] = view.accounts
    return account


def flow(
    sales: Shop, period: Mapping[str, object], as_of: str = "2026-05-31", **asked: object
) -> FlowView:
    return sales.flow.ask(Flow.model_validate({**period, **asked}), as_of=as_of)


def test_won_reopened_lost_and_won_again_over_two_quarters() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-10", DealWon()),
            ("2026-02-20", DealReopened()),
            ("2026-03-05", DealLost(because="price")),
            ("2026-04-10", DealWon(amount=cny("120"))),
        )
        first = only(flow(sales, FIRST_QUARTER))
        assert amounts(first) == {
            "opening": 0, "created": 100, "won": -100, "lost": -100, "reopened": 100,
            "closing": 0,
        }  # fmt: skip
        assert flow(sales, SECOND_QUARTER).accounts == ()
        won = only(flow(sales, SECOND_QUARTER, outcome="won"))
        assert amounts(won) == {"opening": 0, "won": 120, "closing": 120}


def test_a_change_of_the_amount_after_winning_moves_the_won_cell_alone() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-10", DealWon()),
            ("2026-04-02", ContractAmended(amount=cny("130"))),
        )
        won = only(flow(sales, SECOND_QUARTER, outcome="won"))
        assert amounts(won) == {"opening": 100, "increased": 30, "closing": 130}
        assert flow(sales, SECOND_QUARTER).accounts == ()


def test_a_transfer_is_nothing_to_the_company_and_something_to_each_rep() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"), owner="ann")),
            ("2026-02-28 09:00", OwnerAssigned(owner="bob")),
        )
        assert amounts(only(flow(sales, FIRST_QUARTER))) == {
            "opening": 0, "created": 100, "closing": 100,
        }  # fmt: skip
        ann = only(flow(sales, FIRST_QUARTER, owner="ann"))
        assert amounts(ann) == {"opening": 0, "created": 100, "transferred": -100, "closing": 0}
        bob = only(flow(sales, FIRST_QUARTER, owner="bob"))
        assert amounts(bob) == {"opening": 0, "transferred": 100, "closing": 100}


def test_books_of_each_stage_show_what_advanced_and_what_returned() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-02", StageMoved(target="b")),
            ("2026-02-03", StageMoved(target="a")),
            ("2026-02-04", StageMoved(target="b")),
        )
        books = {a.group: amounts(a) for a in flow(sales, FIRST_QUARTER, by="stage").accounts}
        assert books == {
            "a": {
                "opening": 0,
                "created": 100,
                "advanced": -200,
                "returned": 100,
                "closing": 0,
            },
            "b": {"opening": 0, "advanced": 200, "returned": -100, "closing": 100},
        }


def test_a_closing_date_pushed_three_times_and_pulled_in_once_shows_in_its_window_only() -> (
    None
):
    window: dict[str, object] = {
        "closes_from": date(2026, 3, 1),
        "closes_before": date(2026, 4, 1),
    }

    def expected(day: date) -> ForecastGiven:
        return ForecastGiven(expected_close=day)

    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"), expected_close=date(2026, 3, 10))),
            ("2026-02-05", expected(date(2026, 4, 10))),
            ("2026-02-06", expected(date(2026, 5, 10))),
            ("2026-02-07", expected(date(2026, 6, 10))),
            ("2026-02-08", expected(date(2026, 3, 20))),
        )
        march = only(flow(sales, {**window, **FIRST_QUARTER}))
        assert amounts(march) == {
            "opening": 0, "created": 100, "pushed": -100, "pulled_in": 100, "closing": 100,
        }  # fmt: skip
        assert set(amounts(only(flow(sales, FIRST_QUARTER)))) == {
            "opening", "created", "closing",
        }  # fmt: skip


def test_no_expected_date_counts_as_the_far_future() -> None:
    window: dict[str, object] = {"closes_before": date(2027, 1, 1)}
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-05", ForecastGiven(expected_close=date(2026, 3, 1))),
            ("2026-04-05", ForecastGiven(cleared=("expected_close",))),
        )
        assert amounts(only(flow(sales, {**window, **FIRST_QUARTER}))) == {
            "opening": 0, "pulled_in": 100, "closing": 100,
        }  # fmt: skip
        assert amounts(only(flow(sales, {**window, **SECOND_QUARTER}))) == {
            "opening": 100, "pushed": -100, "closing": 0,
        }  # fmt: skip


def test_the_currency_of_a_deal_changes_and_nothing_is_added_across() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("700"))),
            ("2026-02-05", ForecastGiven(amount=Money("100", "USD"))),
        )
        books = {a.currency: amounts(a) for a in flow(sales, FIRST_QUARTER).accounts}
        assert books == {
            "CNY": {
                "opening": 0, "created": 700, "decreased": -600, "redenominated": -100,
                "closing": 0,
            },
            "USD": {"opening": 0, "redenominated": 100, "closing": 100},
        }  # fmt: skip


def test_a_first_amount_takes_a_deal_from_those_without_one() -> None:
    with shop() as sales:
        sales.tell(
            1, ("2026-02-01", opened()), ("2026-02-05", ForecastGiven(amount=cny("100")))
        )
        books = {a.currency: deals(a) for a in flow(sales, FIRST_QUARTER).accounts}
        assert books == {
            None: {"opening": 0, "created": 1, "increased": -1, "closing": 0},
            "CNY": {"opening": 0, "increased": 1, "closing": 1},
        }


def test_merged_money_leaves_by_kind_merged_and_comes_back_by_unmerged() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"))))
        sales.tell(2, ("2026-02-01", opened(amount=cny("40"))))
        sales.tell_all(
            (2, "2026-02-10", DealMerged(into=deal_id(1))),
            (1, "2026-02-10", DealAbsorbed(absorbed=deal_id(2))),
        )
        sales.tell_all(
            (2, "2026-04-10", DealUnmerged(out_of=deal_id(1))),
            (1, "2026-04-10", DealReleased(released=deal_id(2))),
        )
        assert amounts(only(flow(sales, FIRST_QUARTER))) == {
            "opening": 0, "created": 140, "merged": -40, "closing": 100,
        }  # fmt: skip
        assert amounts(only(flow(sales, SECOND_QUARTER))) == {
            "opening": 100, "unmerged": 40, "closing": 140,
        }  # fmt: skip


def test_a_late_correction_after_the_quarter_closed_is_restated() -> None:
    with shop() as sales:
        sales.turn("2026-03-20").tell(1, ("2026-02-01", opened(amount=cny("100"))))
        sales.turn("2026-05-10").tell(1, ("2026-03-15", ForecastGiven(amount=cny("80"))))
        asked = {**SECOND_QUARTER, "as_known_then": True}
        assert amounts(only(flow(sales, SECOND_QUARTER))) == {"opening": 80, "closing": 80}
        assert amounts(only(flow(sales, asked))) == {
            "opening": 100, "restated": -20, "closing": 80,
        }  # fmt: skip
        correction = sales.events(1)[1]
        assert only(flow(sales, asked)).restated.events == (correction.event_id,)


def test_a_late_move_turns_a_stored_advance_into_a_return() -> None:
    with shop() as sales:
        sales.turn("2026-03-20").tell(
            1, ("2026-02-01", opened(amount=cny("100"))), ("2026-02-20", StageMoved(target="b"))
        )
        before = flow(sales, FIRST_QUARTER, by="stage")
        sales.turn("2026-03-25").tell(1, ("2026-02-10", StageMoved(target="c")))
        after = flow(sales, FIRST_QUARTER, by="stage")
        kinds = {account.group: set(amounts(account)) for account in after.accounts}
        assert kinds["b"] == {"opening", "returned", "closing"}
        assert kinds["c"] == {"opening", "advanced", "returned", "closing"}
        assert (
            sales.flow.ask(
                Flow.model_validate({"by": "stage", **FIRST_QUARTER}), at=before.moment
            )
            == before
        )


def test_an_event_exactly_at_midnight_belongs_to_the_period_that_begins() -> None:
    with shop(timezone="Asia/Shanghai") as sales:
        sales.tell(1, ("2026-04-01 00:00", opened(amount=cny("100"))))
        assert flow(sales, FIRST_QUARTER).accounts == ()
        assert amounts(only(flow(sales, SECOND_QUARTER))) == {
            "opening": 0, "created": 100, "closing": 100,
        }  # fmt: skip


def test_a_period_ends_with_the_moment_it_is_asked_at() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"))), ("2026-02-20", DealWon()))
        view = flow(sales, FIRST_QUARTER, as_of="2026-02-19")
        assert amounts(only(view)) == {"opening": 0, "created": 100, "closing": 100}
        assert flow(sales, FIRST_QUARTER, as_of="2026-01-31").accounts == ()
        ahead = flow(sales, SECOND_QUARTER, as_of="2026-02-19")
        assert amounts(only(ahead)) == {"opening": 100, "closing": 100}


def test_without_a_period_it_is_the_quarter_of_the_moment() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"))))
        period = flow(sales, {}, as_of="2026-02-19").period
        assert (period.start.date(), period.end.date()) == (date(2026, 1, 1), date(2026, 4, 1))


def test_a_deal_created_already_lost_never_was_in_the_open_pipeline() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(CLOSED_STAGES, stage="closed_lost", amount=cny("100"))),
        )
        assert flow(sales, FIRST_QUARTER).accounts == ()
        lost = only(flow(sales, FIRST_QUARTER, outcome="lost"))
        assert amounts(lost) == {"opening": 0, "created": 100, "closing": 100}


def test_a_period_without_a_day_is_refused() -> None:
    with shop() as sales, pytest.raises(InputError, match="holds no day"):
        flow(sales, {"from_": date(2026, 4, 1), "to": date(2026, 4, 1)})
