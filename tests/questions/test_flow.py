"""The flow of the pipeline, worked out by hand."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from given import CLOSED_STAGES, cny, opened
from questions.shop import WORKED_EXAMPLE, Shop, deal_id, shop
from salesflow import Money
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Event
from salesflow.domain.rep import Rep, rep_id
from salesflow.errors import InputError
from salesflow.projections.core.balances import CellSums
from salesflow.projections.pipeline.flow import Flow, FlowAccount, FlowView
from salesflow.projections.pipeline.flow_lines import FlowLines, FlowNames

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
        sales.tell(1, *WORKED_EXAMPLE)
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


def test_flows_beside_one_another_show_no_ids_of_events_and_differ_where_these_do() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"))))
        sales.tell(2, ("2026-02-20", opened(amount=cny("100"))))
        asked = Flow.model_validate(FIRST_QUARTER)
        both = sales.flow.compare(asked, as_of="2026-03-01", to_as_of="2026-02-10")
        [account] = both.difference.lists["accounts"]
        [created] = account.lists["movements"]
        assert created.traits == ("events",)
        ids = [str(sales.events(deal)[0].event_id) for deal in (1, 2)]
        assert created.to_dict()["events"] == {"then": ids[:1], "now": sorted(ids)}
        shown = both.table()
        assert "created" in shown
        assert not any(id[:8] in shown for id in ids)


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


def test_days_of_closing_among_which_there_is_none_are_refused() -> None:
    june = date(2026, 6, 1)
    for before in (june, date(2026, 5, 1)):
        with pytest.raises(InputError, match="name a later closes_before"):
            Flow(closes_from=june, closes_before=before)
    Flow(closes_from=june, closes_before=date(2026, 6, 2))


def staffed(sales: Shop, *teams: tuple[str, str]) -> None:
    """Let reps join teams on 1 January, as was noted at once."""
    sales.turn("2026-01-01 12:00")
    with sales.flow.session() as session:
        for rep, team in teams:
            session.add(Rep.join(rep, team=team, name=rep, occurred_at=date(2026, 1, 1)))


def moved(sales: Shop, rep: str, team: str, day: str, *, effective: str | None = None) -> Event:
    """Put a rep into another team from a day on; give the fact."""
    with sales.flow.session() as session:
        session.get(Rep, rep_id(rep)).move(
            team,
            occurred_at=date.fromisoformat(day),
            effective_from=None if effective is None else date.fromisoformat(effective),
        )
    return sales.flow.history(rep_id(rep))[-1]


def by_team(view: FlowView) -> dict[str | None, dict[str, Decimal]]:
    return {account.group: amounts(account) for account in view.accounts}


def events(account: FlowAccount, kind: str) -> Sequence[UUID]:
    [movement] = [each for each in (*account.movements, account.restated) if each.kind == kind]
    return movement.events


def test_a_rep_who_moves_between_teams_takes_the_open_deals_along() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"), ("bob", "west"))
        sales.turn("2026-02-20")
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        sales.tell(2, ("2026-02-03", opened(amount=cny("40"), owner="ann")))
        sales.tell(3, ("2026-02-03", opened(amount=cny("7"), owner="bob")))
        sales.turn("2026-03-02")
        move = moved(sales, "ann", "west", "2026-03-01")
        sales.turn("2026-03-25")
        sales.tell(2, ("2026-03-05", DealWon()))
        sales.tell(1, ("2026-03-20", ForecastGiven(amount=cny("130"))))
        assert by_team(flow(sales, FIRST_QUARTER, by="team")) == {
            "east": {"opening": 0, "created": 140, "reorganised": -140, "closing": 0},
            "west": {
                "opening": 0, "created": 7, "increased": 30, "won": -40, "reorganised": 140,
                "closing": 137,
            },
        }  # fmt: skip
        west = only(flow(sales, FIRST_QUARTER, team="west"))
        assert amounts(west)["reorganised"] == 140
        assert events(west, "reorganised") == (move.event_id,)
        assert deals(west) == {
            "opening": 0, "created": 1, "won": -1, "increased": 0, "reorganised": 2,
            "closing": 2,
        }  # fmt: skip
        assert by_team(flow(sales, SECOND_QUARTER, by="team")) == {
            "west": {"opening": 137, "closing": 137}
        }
        assert amounts(only(flow(sales, FIRST_QUARTER))) == {
            "opening": 0, "created": 147, "increased": 30, "won": -40, "closing": 137,
        }  # fmt: skip


def test_a_move_known_late_restates_the_opening_of_both_teams() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-02-20").tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        sales.turn("2026-04-20")
        move = moved(sales, "ann", "west", "2026-03-10")
        then = {**SECOND_QUARTER, "as_known_then": True}
        assert by_team(flow(sales, SECOND_QUARTER, by="team")) == {
            "west": {"opening": 100, "closing": 100}
        }
        view = flow(sales, then, by="team")
        assert by_team(view) == {
            "east": {"opening": 100, "restated": -100, "closing": 0},
            "west": {"opening": 0, "restated": 100, "closing": 100},
        }
        assert {account.restated.events for account in view.accounts} == {(move.event_id,)}
        known_before = sales.flow.ask(
            Flow.model_validate({"by": "team", **FIRST_QUARTER}), known_at="2026-04-01"
        )
        assert by_team(known_before) == {"east": {"opening": 0, "created": 100, "closing": 100}}


def test_a_move_taken_back_is_restated_by_the_move() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-02-20").tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        sales.turn("2026-03-10")
        move = moved(sales, "ann", "west", "2026-03-10")
        sales.turn("2026-04-20").retract(move)
        view = flow(sales, {**SECOND_QUARTER, "as_known_then": True}, by="team")
        assert by_team(view) == {
            "east": {"opening": 0, "restated": 100, "closing": 100},
            "west": {"opening": 100, "restated": -100, "closing": 0},
        }
        assert {account.restated.events for account in view.accounts} == {(move.event_id,)}


def test_what_became_known_late_of_a_deal_counts_for_the_team_of_the_opening() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-03-10")
        moved(sales, "ann", "west", "2026-03-10")
        sales.turn("2026-04-20").tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        view = flow(sales, {**SECOND_QUARTER, "as_known_then": True}, by="team")
        assert by_team(view) == {"west": {"opening": 0, "restated": 100, "closing": 100}}
        assert view.accounts[0].restated.events == (sales.events(1)[0].event_id,)


def test_a_planned_move_takes_the_deals_along_when_it_takes_effect() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-02-20").tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        moved(sales, "ann", "west", "2026-02-20", effective="2026-05-01")
        east, west = {"opening": 100, "closing": 100}, {"opening": 0, "closing": 100}
        before = flow(sales, SECOND_QUARTER, as_of="2026-04-30", by="team")
        assert by_team(before) == {"east": east}
        after = flow(sales, SECOND_QUARTER, as_of="2026-05-01", by="team")
        assert by_team(after) == {
            "east": {"opening": 100, "reorganised": -100, "closing": 0},
            "west": {**west, "reorganised": 100},
        }


def test_a_deal_that_comes_in_the_instant_of_the_move_is_the_new_team_s() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-03-10").tell(
            1, ("2026-03-10 00:00", opened(amount=cny("100"), owner="ann"))
        )
        sales.turn("2026-03-11")
        moved(sales, "ann", "west", "2026-03-10")
        assert by_team(flow(sales, FIRST_QUARTER, by="team")) == {
            "west": {"opening": 0, "created": 100, "closing": 100}
        }


def test_a_transfer_between_reps_of_two_teams_is_a_transfer_for_each_team() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"), ("bob", "west"), ("cho", "east"))
        sales.turn("2026-03-25")
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"), owner="ann")),
            ("2026-02-10", OwnerAssigned(owner="cho")),
            ("2026-02-28", OwnerAssigned(owner="bob")),
        )
        view = flow(sales, FIRST_QUARTER, by="team")
        assert by_team(view) == {
            "east": {"opening": 0, "created": 100, "transferred": -100, "closing": 0},
            "west": {"opening": 0, "transferred": 100, "closing": 100},
        }
        assert events(view.accounts[0], "transferred") == (sales.events(1)[2].event_id,)


def test_the_deals_of_a_rep_who_left_or_never_joined_are_of_no_team() -> None:
    with shop() as sales:
        staffed(sales, ("ann", "east"))
        sales.turn("2026-02-20")
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        sales.tell(2, ("2026-02-01", opened(amount=cny("5"), owner="zoe")))
        sales.turn("2026-03-10")
        with sales.flow.session() as session:
            session.get(Rep, rep_id("ann")).leave()
        view = flow(sales, FIRST_QUARTER, by="team")
        assert view.tables()[0].about == "– · CNY · 2026-01-01 … 2026-03-31"
        assert by_team(view) == {
            None: {"opening": 0, "created": 5, "reorganised": 100, "closing": 105},
            "east": {"opening": 0, "created": 100, "reorganised": -100, "closing": 0},
        }


def test_before_a_rep_joined_their_first_team_stands_and_the_view_says_so() -> None:
    with shop() as sales:
        sales.turn("2026-01-20").tell(1, ("2026-01-10", opened(amount=cny("100"), owner="ann")))
        with sales.turn("2026-02-15").flow.session() as session:
            session.add(Rep.join("ann", team="east", name="Ann"))
        view = flow(sales, FIRST_QUARTER, by="team")
        assert by_team(view) == {"east": {"opening": 0, "created": 100, "closing": 100}}
        assert view.before_joining == 1
        assert "1 rep: before joining any team, counted under the first team" in view.table()
        assert flow(sales, SECOND_QUARTER, by="team").before_joining == 0
        earlier = flow(sales, FIRST_QUARTER, as_of="2026-02-14", by="team")
        assert by_team(earlier) == by_team(view), "whatever the moment it is asked as of"
        unknown = sales.flow.ask(
            Flow.model_validate({**FIRST_QUARTER, "by": "team"}),
            known_at="2026-02-14",
        )
        assert by_team(unknown) == {None: {"opening": 0, "created": 100, "closing": 100}}


def test_a_scope_that_is_no_attribute_of_a_cell_is_refused() -> None:
    with pytest.raises(InputError, match="channel"):
        Flow(channel="web")  # type: ignore[call-arg]


def test_an_opening_has_every_digit_that_stands_in_the_pipeline() -> None:
    amount, weighted = 12000999999999999_987999, 12000987998999999_987999012001
    cell = ("sales", 1, "proposal", "open", "CNY")
    found = {cell: CellSums(12_001, amount, weighted)}
    lines = FlowLines.opening(found, None, 0, FlowNames())
    assert (lines.units[0], lines.likely[0]) == (amount, weighted)
