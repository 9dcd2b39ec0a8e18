"""The golden scenarios: histories that every figure has to get right, and where that is shown.

Each is shown by tests with numbers worked out by hand, named here; a test that is renamed
without this list fails it. Those that had no home stand below.
"""

import ast
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from given import cny, opened
from questions.shop import shop
from salesflow import STANDARD, Customer, Deal, SalesFlow
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.flow import Flow
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.stages.stage_times import StageTimes

HERE = Path(__file__).parent
SCENARIOS = {
    "won, reopened, lost, won over two quarters": (
        "test_kpis.py::test_the_worked_example_of_the_definitions",
        "test_flow.py::test_won_reopened_lost_and_won_again_over_two_quarters",
        "test_retrospective.py"
        "::test_a_deal_won_reopened_lost_and_won_again_counts_in_the_quarter_it_was_won_in",
    ),
    "won deal moved through after-sales stages": (
        "test_golden_scenarios.py::test_a_won_deal_goes_through_after_sales_and_stays_won",
        "test_stage_times.py"
        "::test_stages_of_after_sales_are_left_by_moving_on_or_by_losing_the_deal_again",
    ),
    "stage renamed, removed, inserted in a new process version while deals are open": (
        "test_conversion.py"
        "::test_deals_go_on_from_a_stage_that_was_renamed_removed_or_followed_by_a_new_one",
        "test_stage_times.py"
        "::test_a_visit_goes_on_under_a_new_version_and_ends_where_the_stage_was_renamed",
    ),
    "A, B, A inside a minute": (
        "test_conversion.py::test_there_and_back_inside_a_minute_are_two_entries_of_one_deal",
        "test_stage_times.py::test_there_and_back_inside_a_minute_are_three_visits",
    ),
    "several moves in one append": (
        "test_conversion.py::test_several_moves_in_one_append_are_all_entries",
        "test_stage_times.py::test_several_moves_in_one_append_are_visits_of_no_length",
    ),
    "amount changed after winning": (
        "test_kpis.py::test_an_amended_contract_books_the_difference_and_a_refund_its_amount",
        "test_flow.py::test_a_change_of_the_amount_after_winning_moves_the_won_cell_alone",
    ),
    "owner changed on the closing day": (
        "test_kpis.py::test_a_sale_is_credited_to_owner_and_shares_of_the_day_it_was_won",
    ),
    "two deals merged, then unmerged": (
        "test_flow.py::test_merged_money_leaves_by_kind_merged_and_comes_back_by_unmerged",
        "test_stage_times.py"
        "::test_a_deal_merged_and_unmerged_is_there_again_and_was_closed_between",
        "test_conversion.py::test_a_deal_that_is_unmerged_goes_on_and_enters_nothing",
    ),
    "rate change between creation, closing and report": (
        "test_one_currency.py::test_a_rate_that_changes_between_creation_closing_and_report",
    ),
    "split changed after a payout": (
        "test_commission_cases.py::test_what_is_paid_is_what_was_worked_out_by_hand",
        "test_commission_statements.py::test_nobody_is_wiped_from_a_sale_silently",
    ),
    "refund inside and outside the clawback window": (
        "test_commission_cases.py::test_what_is_paid_is_what_was_worked_out_by_hand",
        "test_commission_statements.py::test_a_refund_is_negative",
        "test_commission_statements.py::test_what_counts_for_nothing_is_named_with_the_reason",
    ),
    "goal revised in mid-period": (
        "test_goals.py::test_a_goal_revised_in_mid_period_reads_as_it_stood",
        "test_goals.py::test_a_revision_nobody_knew_of_yet_changes_no_answer_of_that_time",
    ),
    "currency of a deal changed": (
        "test_flow.py::test_the_currency_of_a_deal_changes_and_nothing_is_added_across",
        "test_forecast.py::test_nothing_is_added_across_currencies_when_that_of_a_deal_changes",
        "test_one_currency.py"
        "::test_a_deal_whose_currency_changed_counts_each_booking_at_its_own_rate",
    ),
    "close date pushed three times and pulled back once inside the period": (
        "test_flow.py"
        "::test_a_closing_date_pushed_three_times_and_pulled_in_once_shows_in_its_window_only",
        "test_forecast.py"
        "::test_a_closing_date_pushed_three_times_and_pulled_back_once_has_not_slipped",
    ),
    "deal created already lost": (
        "test_flow.py::test_a_deal_created_already_lost_never_was_in_the_open_pipeline",
        "test_conversion.py::test_a_deal_created_lost_is_created_and_comes_nowhere",
        "test_stage_times.py::test_a_deal_created_lost_never_was_in_a_stage",
    ),
    "import with only first and last stage": (
        "test_conversion.py"
        "::test_a_deal_told_with_its_first_and_last_stage_only_passed_those_between",
    ),
    "imported facts before the opening": (
        "test_conversion.py::test_what_happened_before_the_opening_is_no_entry",
        "test_stage_times.py::test_what_happened_before_the_opening_is_no_visit",
        "test_feedback.py::test_feedback_from_before_the_deal_was_opened_has_no_ground",
    ),
    "late correction after the quarter closed": (
        "test_flow.py::test_a_late_correction_after_the_quarter_closed_is_restated",
        "test_restatement.py"
        "::test_a_correction_after_the_quarter_closed_restates_it_and_is_named",
        "test_kpis.py::test_what_becomes_known_late_restates_the_period_it_happened_in",
    ),
    "opening fact retracted and restored": (
        "test_restatement.py::test_a_retracted_opening_takes_the_deal_out_and_brings_it_back",
        "test_feedback.py"
        "::test_a_retracted_opening_takes_what_was_said_with_it_and_brings_it_back",
    ),
    "month edge across a DST change and across time zones": (
        "test_conversion.py"
        "::test_a_month_is_cut_where_the_business_is_also_when_its_clocks_are_turned",
        "test_golden_scenarios.py::test_one_instant_is_march_in_new_york_and_april_in_shanghai",
    ),
    "event exactly at midnight of a period edge": (
        "test_flow.py::test_an_event_exactly_at_midnight_belongs_to_the_period_that_begins",
        "test_forecast.py::test_a_win_exactly_at_midnight_belongs_to_the_period_that_begins",
        "test_kpis_of_customers.py"
        "::test_a_first_deal_won_at_midnight_belongs_to_the_day_that_begins",
    ),
    "4-4-5 quarter with a 53rd week": (
        "test_kpis.py::test_a_quarter_of_4_4_5_weeks_with_a_53rd_week_has_fourteen_weeks",
    ),
    "rep moved between teams with open deals": (
        "test_flow.py::test_a_rep_who_moves_between_teams_takes_the_open_deals_along",
        "test_kpis.py::test_a_team_keeps_what_its_reps_sold_before_they_moved",
    ),
    "feedback on a lost deal": ("test_feedback.py::test_feedback_on_a_lost_deal_counts",),
    "late fact older than everything known": (
        "test_restatement.py"
        "::test_a_fact_older_than_everything_known_restates_only_the_days_before_the_next",
    ),
    "a late move that turns a stored advance into a return": (
        "test_flow.py::test_a_late_move_turns_a_stored_advance_into_a_return",
        "test_conversion.py::test_a_late_move_turns_an_advance_into_a_return",
    ),
    "retraction of a retraction": (
        "test_restatement.py::test_a_retraction_of_a_retraction_restates_what_was_restated",
    ),
    "two facts with the same microsecond": (
        "test_restatement.py::test_of_two_facts_of_one_microsecond_the_later_told_decides",
        "test_feedback.py"
        "::test_of_the_same_microsecond_what_stands_first_in_the_log_came_first",
    ),
    "a question asked while an append is in flight, asked again at its position": (
        "test_golden_scenarios.py"
        "::test_a_question_asked_while_an_append_is_in_flight_keeps_its_answer",
    ),
}
"""Every scenario that can be told, and the tests that show it."""


@cache
def named_in(file: str) -> frozenset[str]:
    """Name the tests of a module beside this one."""
    body = ast.parse((HERE / file).read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_golden_scenario_is_shown_by_tests_that_exist(scenario: str) -> None:
    for name in SCENARIOS[scenario]:
        file, test = name.split("::")
        assert test in named_in(file), f"{scenario}: there is no {name}"


def test_a_won_deal_goes_through_after_sales_and_stays_won() -> None:
    """Served for 3 days, renewed since: won in Q1 for 100, whatever comes after."""
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 00:00", opened(amount=cny("100"))),
            ("2026-03-28 00:00", DealWon()),
            ("2026-03-31 00:00", StageMoved(target="renewed")),
        )
        first = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
        for as_of in ("2026-03-28", "2026-03-31", "2026-05-31"):
            funnel = books.flow.ask(Funnel(), as_of=as_of)
            won = next(each for each in funnel.closed if each.outcome == "won")
            assert (funnel.open_deals, won.deals) == (0, 1)
            [line] = books.flow.ask(Kpis.model_validate(first), as_of=as_of).lines
            assert (line.orders, line.won, line.lost) == (1, 1, 0)
            [sales] = line.sales
            assert (sales.currency, sales.amount) == ("CNY", Decimal(100))
            [account] = books.flow.ask(Flow.model_validate(first), as_of=as_of).accounts
            assert {each.kind: each.amount for each in account.movements} == {
                "created": 100,
                "won": -100,
            }
            assert account.closing.amount == 0
        times = books.flow.ask(StageTimes(), as_of="2026-04-10T00:00:00+00:00")
    days = {each.stage: each.latest.days_median for each in times.stages if each.visits}
    assert days == {"a": 27, "served": 3, "renewed": 10}


def test_one_instant_is_march_in_new_york_and_april_in_shanghai() -> None:
    """Signed on 31 March at 20:00 UTC: 16:00 of that day there, 04:00 of the next one here."""
    told = {"America/New_York": "2026-03-31 16:00", "Asia/Shanghai": "2026-04-01 04:00"}
    sold: dict[tuple[str, int], Decimal | int] = {}
    for timezone, signed in told.items():
        with shop(timezone=timezone) as books:
            books.tell(1, ("2026-02-01", opened(amount=cny("100"))), (signed, DealWon()))
            won = next(event for event in books.events(1) if isinstance(event.fact, DealWon))
            assert won.occurred_at == datetime(2026, 3, 31, 20, tzinfo=UTC)
            for month in (3, 4):
                period = {"from_": date(2026, month, 1), "to": date(2026, month + 1, 1)}
                [line] = books.flow.ask(Kpis.model_validate(period)).lines
                sold[timezone, month] = sum(each.amount for each in line.sales)
            at_the_end = books.flow.ask(Funnel(), as_of="2026-03-31")
            sold[timezone, 0] = at_the_end.open_deals
    assert sold == {
        ("America/New_York", 3): 100,
        ("America/New_York", 4): 0,
        ("America/New_York", 0): 0,
        ("Asia/Shanghai", 3): 0,
        ("Asia/Shanghai", 4): 100,
        ("Asia/Shanghai", 0): 1,
    }


def test_a_question_asked_while_an_append_is_in_flight_keeps_its_answer(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow, SalesFlow(database_url) as asker:
        with flow.session() as s:
            customer = s.add(Customer.register(name="Acme"))
            deal = s.add(Deal.open(STANDARD, customer=customer, title="ERP", owner="ann"))
        asker.catch_up()
        with flow.log.database.begin() as connection:
            with flow.session(connection=connection) as s:
                s.get(Deal, deal.id).lose(because="price")
            during = asker.ask(Funnel())
            assert during.open_deals == 1
        after = asker.ask(Funnel())
        assert (after.open_deals, after.moment.position) == (0, during.moment.position + 1)
        assert asker.ask(Funnel(), at=during.moment) == during
        assert flow.ask(Funnel(), at=during.moment) == during
