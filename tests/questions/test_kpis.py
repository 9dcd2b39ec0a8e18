"""The figures of a period, worked out by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest

from given import PLAIN, cny, opened
from questions.shop import WORKED_EXAMPLE, Shop, deal_id, shop, told
from salesflow import Deal, Money, Rep
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import ContractAmended, PaymentReceived, RefundGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealUnmerged, counterpart_of
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CollaboratorJoined, OwnerAssigned
from salesflow.domain.event import Fact
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.values import MOST
from salesflow.errors import InputError
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.performance.kpis import Kpis, KpisView


class Quarter(NamedTuple):
    """The figures of one line that the worked example of the definitions gives."""

    sales: Decimal
    orders: int
    win_rate: tuple[int, int] | None


FIRST: Mapping[str, object] = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
SECOND: Mapping[str, object] = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1)}


def kpis(
    sales: Shop, period: Mapping[str, object], as_of: str = "2026-05-31", **asked: object
) -> KpisView:
    return sales.flow.ask(Kpis.model_validate({**period, **asked}), as_of=as_of)


def only(view: KpisView) -> KpiLine:
    [line] = view.lines
    return line


def quarter(line: KpiLine) -> Quarter:
    [sold] = line.sales or [None]
    rate = (line.won, line.won + line.lost) if line.won + line.lost else None
    return Quarter(Decimal(0) if sold is None else sold.amount, line.orders, rate)


def sold(line: KpiLine) -> dict[str, Decimal]:
    return {total.currency: total.amount for total in line.sales}


def test_the_worked_example_of_the_definitions() -> None:
    with shop() as sales:
        sales.tell(1, *WORKED_EXAMPLE)
        march = quarter(only(kpis(sales, FIRST, as_of="2026-03-31")))
        assert march == Quarter(Decimal(0), 0, (0, 1))
        april = kpis(sales, FIRST, as_of="2026-04-30"), kpis(sales, SECOND, as_of="2026-04-30")
        assert quarter(only(april[0])) == Quarter(Decimal(0), 0, None)
        assert quarter(only(april[1])) == Quarter(Decimal(120), 1, (1, 1))
        assert only(april[1]).win_rate_by_value[0].rate == 1


def test_an_amended_contract_books_the_difference_and_a_refund_its_amount() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-10", DealWon()),
            ("2026-04-02", ContractAmended(amount=cny("130"))),
            ("2026-04-20", RefundGiven(amount=cny("25"))),
            ("2026-04-21", RepeatOrderPlaced(amount=Money("9", "USD"))),
            ("2026-05-05", DealReopened()),
        )
        assert sold(only(kpis(sales, FIRST))) == {"CNY": 100}
        before = only(kpis(sales, SECOND, as_of="2026-05-04"))
        assert told(sold(before), before.orders) == ({"CNY": 5, "USD": 9}, 1)
        after = only(kpis(sales, SECOND))
        assert told(sold(after), after.orders) == ({"CNY": -100, "USD": 9}, 1)
        assert only(kpis(sales, FIRST)).orders == 0


def test_what_came_in_beyond_the_contract_is_no_sale_and_its_return_no_loss() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-10", DealWon()),
            ("2026-02-20", PaymentReceived(amount=cny("100"))),
            ("2026-02-21", PaymentReceived(amount=cny("100"))),
            ("2026-04-01", RefundGiven(amount=cny("100"), overpayment=True)),
        )
        assert sold(only(kpis(sales, FIRST))) == {"CNY": 100}
        assert sold(only(kpis(sales, SECOND))) == {}
        sales.tell(1, ("2026-04-02", RefundGiven(amount=cny("30"))))
        assert sold(only(kpis(sales, SECOND))) == {"CNY": -30}
        sales.tell(1, ("2026-04-03", ContractAmended(amount=cny("70"))))
        that = RefundGiven(amount=cny("30"), overpayment=True)
        sales.tell(1, ("2026-04-04", that))
        assert sold(only(kpis(sales, SECOND))) == {"CNY": -60}


def test_the_largest_amounts_are_amended_given_back_and_undone_to_the_last_digit() -> None:
    with shop() as sales:
        for deal in (1, 2):
            sales.tell(
                deal,
                ("2026-02-01", opened(amount=Money(MOST, "CNY"))),
                ("2026-02-10", DealWon()),
            )
        sales.tell(1, ("2026-04-02", ContractAmended(amount=Money(-MOST, "CNY"))))
        sales.tell(2, *[("2026-04-02", RefundGiven(amount=Money(MOST, "CNY")))] * 3)
        assert sold(only(kpis(sales, FIRST))) == {"CNY": 2 * MOST}
        assert sold(only(kpis(sales, SECOND))) == {"CNY": -5 * MOST}
        sales.tell(2, ("2026-04-03", DealReopened()))
        assert sold(only(kpis(sales, SECOND))) == {"CNY": -3 * MOST}
        sales.tell(1, ("2026-04-03", DealReopened()))
        assert sold(only(kpis(sales, SECOND))) == {"CNY": -2 * MOST}


def test_a_sale_is_credited_to_owner_and_shares_of_the_day_it_was_won() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"), owner="ann")),
            ("2026-02-05", CollaboratorJoined(person="cho", credit=Decimal("0.25"))),
            ("2026-02-10 09:00", OwnerAssigned(owner="bob")),
            ("2026-02-10 10:00", DealWon()),
            ("2026-02-10 11:00", OwnerAssigned(owner="ann")),
            ("2026-04-02", ContractAmended(amount=cny("140"))),
        )
        by_rep = {line.group: sold(line) for line in kpis(sales, FIRST, by="rep").lines}
        assert by_rep == {"ann": {}, "bob": {"CNY": 75}, "cho": {"CNY": 25}}
        later = {line.group: sold(line) for line in kpis(sales, SECOND, by="rep").lines}
        assert later == {"bob": {"CNY": 30}, "cho": {"CNY": 10}}
        assert only(kpis(sales, FIRST, owner="bob")).orders == 1


def test_a_team_keeps_what_its_reps_sold_before_they_moved() -> None:
    with shop() as sales:
        with sales.flow.session() as session:
            rep = session.add(
                Rep.join(
                    "ann", name="Ann", team="east", occurred_at=datetime(2026, 2, 5, tzinfo=UTC)
                )
            )
            rep.move(team="south", occurred_at=datetime(2026, 3, 1, tzinfo=UTC))
        sales.tell(1, ("2026-01-10", opened(amount=cny("1"))), ("2026-02-01", DealWon()))
        sales.tell(2, ("2026-01-10", opened(amount=cny("10"))), ("2026-02-10", DealWon()))
        sales.tell(3, ("2026-01-10", opened(amount=cny("100"))), ("2026-03-10", DealWon()))
        view = kpis(sales, FIRST, by="team")
        assert {line.group: sold(line) for line in view.lines} == {
            "east": {"CNY": 11},
            "south": {"CNY": 100},
        }
        assert view.before_joining == 1, (
            "of one rep, however many deals and months are asked of"
        )
        months = kpis(sales, FIRST, by="team", each="month")
        assert (months.before_joining, len(months.lines)) == (1, 3)


def test_a_deal_closed_twice_counts_once_in_the_period_of_its_last_closing() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-10", DealLost(because="price")),
            ("2026-02-20", DealReopened()),
            ("2026-04-05", DealLost(because="price")),
        )
        assert only(kpis(sales, FIRST)).lost == 0
        assert only(kpis(sales, SECOND)).lost == 1
        assert only(kpis(sales, FIRST, as_of="2026-02-15")).lost == 1


def test_disqualified_and_merged_deals_are_in_no_win_rate() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-03", DealWon()))
        sales.tell(
            2, ("2026-02-01", opened()), ("2026-02-03", DealDisqualified(because="spam"))
        )
        sales.tell(3, ("2026-02-01", opened()))
        sales.tell_all(
            (3, "2026-02-10", DealMerged(into=deal_id(1))),
            (1, "2026-02-10", DealAbsorbed(absorbed=deal_id(3))),
        )
        line = only(kpis(sales, FIRST))
        assert (line.won, line.lost, line.disqualified, line.created) == (1, 0, 1, 2)
        assert line.win_rate is not None
        assert told(line.win_rate.value, line.win_rate.count) == (1, 1)
        assert line.win_rate_of_created == Decimal("0.5")


def test_the_cycle_between_two_days_is_counted_in_calendar_days() -> None:
    with shop(timezone="Europe/Berlin") as sales:
        sales.tell(1, ("2026-03-28", opened()), ("2026-03-30", DealWon()))
        sales.tell(2, ("2026-03-28 12:00", opened()), ("2026-03-30 12:00", DealWon()))
        cycle = only(kpis(sales, FIRST)).cycle
        assert cycle.days_mean is not None
        assert cycle.days_median == cycle.days_mean
        hours = cycle.days_mean * 2 * 24
        assert round(hours, 6) == 48 + 47, "clocks went forward on the 29th"


def test_what_becomes_known_late_restates_the_period_it_happened_in() -> None:
    with shop() as sales:
        sales.turn("2026-03-31 18:00").tell(
            1, ("2026-02-01", opened(amount=cny("100"))), ("2026-03-20", DealWon())
        )
        sales.turn("2026-04-15 09:00").retract(sales.events(1)[1])
        sales.tell(1, ("2026-04-02", DealWon()))
        asked = Kpis.model_validate(FIRST)
        then = sales.flow.ask(asked, as_of="2026-03-31", known_at="2026-03-31")
        now = sales.flow.ask(asked, as_of="2026-03-31")
        assert (only(then).orders, only(now).orders) == (1, 0)
        assert sales.flow.ask(asked, at=then.moment) == then


def test_each_month_of_a_quarter_has_its_line_and_the_quarter_before_stands_beside() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened(amount=cny("100"))), ("2026-03-31", DealWon()))
        view = kpis(sales, SECOND, each="month")
        assert [(line.first, line.last) for line in view.lines] == [
            (date(2026, 4, 1), date(2026, 4, 30)),
            (date(2026, 5, 1), date(2026, 5, 31)),
            (date(2026, 6, 1), date(2026, 6, 30)),
        ]
        [before] = view.lines_before
        assert told(before.first, before.last, sold(before)) == (
            date(2026, 1, 1),
            date(2026, 3, 31),
            {"CNY": 100},
        )


def test_a_quarter_of_4_4_5_weeks_with_a_53rd_week_has_fourteen_weeks() -> None:
    with shop() as sales:
        with sales.flow.session() as session:
            session.get(Settings, SETTINGS_ID).change(
                fiscal_calendar=FiscalCalendar(pattern="4-4-5", anchor=date(2023, 1, 29))
            )
        view = kpis(sales, {}, as_of="2023-11-01", each="month")
        weeks = [((line.last - line.first).days + 1) // 7 for line in view.lines]
        assert weeks == [4, 4, 6]


def test_nothing_is_worth_nothing_and_rates_of_nothing_are_undefined() -> None:
    with shop() as sales:
        line = only(kpis(sales, FIRST, as_of="2019-01-01"))
        assert (line.sales, line.orders, line.created) == ((), 0, 0)
        assert line.win_rate is None
        assert line.win_rate_of_created is None
        assert line.cycle.days_median is None


def test_a_wrong_group_is_refused_with_the_right_ones() -> None:
    with pytest.raises(InputError, match="'rep', 'team', 'customer', 'channel' or 'process'"):
        Kpis(by="region")  # type: ignore[arg-type]


@pytest.mark.parametrize("ended", [DealWon(), DealLost(because="price")])
def test_an_unmerged_deal_counts_in_the_period_in_which_it_was_closed(ended: Fact) -> None:
    def figures(sales: Shop) -> list[tuple[int, int, object]]:
        lines = [
            only(kpis(sales, period, as_of="2026-05-31", process="plain"))
            for period in (FIRST, SECOND)
        ]
        return [(line.orders, line.lost, line.cycle) for line in lines]

    with shop() as sales:
        sales.turn("2026-04-01")
        sales.tell(1, ("2026-01-01", opened(amount=cny("100"))), ("2026-01-11 12:00", ended))
        sales.tell(
            2, ("2026-01-01 12:00", opened()), ("2026-04-01 00:00", DealLost(because="x"))
        )
        never = figures(sales)
        merged(sales, "2026-03-01 00:00", DealMerged(into=deal_id(2)))
        away = figures(sales)
        sales.turn("2026-05-02")
        merged(sales, "2026-05-01 12:00", DealUnmerged(out_of=deal_id(2)))
        assert figures(sales) == never != away
        assert sales.flow.get(Deal, deal_id(1)).closed_at == datetime(
            2026, 1, 11, 12, tzinfo=UTC
        )


def test_a_deal_reopened_while_it_was_merged_is_open_when_it_is_unmerged() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-01", opened()), ("2026-01-11", DealWon()))
        sales.tell(2, ("2026-01-01", opened()))
        merged(sales, "2026-02-01", DealMerged(into=deal_id(2)))
        sales.tell(1, ("2026-02-10", DealReopened()), ("2026-02-11", DealLost(because="x")))
        merged(sales, "2026-03-01", DealUnmerged(out_of=deal_id(2)))
        line = only(kpis(sales, FIRST))
        assert (line.orders, line.lost) == (0, 1)


def merged(sales: Shop, when: str, fact: DealMerged | DealUnmerged) -> None:
    """Tell both halves of a merge of the first deal, or of its undoing."""
    twin = counterpart_of(deal_id(1), fact)
    assert twin is not None
    sales.tell_all((1, when, fact), (2, when, twin[1]))


def test_a_period_stands_beside_the_one_before_it_and_groups_in_tables_of_their_own() -> None:
    with shop() as books:
        books.tell(1, ("2026-04-01", opened(amount=cny("100"))), ("2026-04-20", DealWon()))
        alone = books.flow.ask(Kpis(), as_of="2026-06-30")
        by_rep = books.flow.ask(Kpis(by="rep"), as_of="2026-06-30")
    [table] = alone.tables()
    assert table.columns == ("Figure", "2026-04-01 … 2026-06-30", "2026-01-01 … 2026-03-31")
    assert ("Sales", "100 CNY", "–") in table.rows
    assert ("Win rate by value", "100% (CNY)", "–") in table.rows
    told = [(table.title, table.about) for table in by_rep.tables()]
    assert told[0] == ("Sales and open pipeline", "2026-04-01 … 2026-06-30")
    assert all(table.columns[0] == "Rep" for table in by_rep.tables())
    assert all(len(table.columns) <= 8 for table in by_rep.tables())


def test_processes_of_which_every_open_deal_counts_as_qualified_are_named() -> None:
    qualifying = PLAIN.open_stages[1].key
    late = PLAIN.model_copy(update={"key": "late", "qualifying_stage": qualifying})
    with shop(late) as sales:
        sales.tell(1, ("2026-04-01", opened(late)))
        view = sales.flow.ask(Kpis())
        assert (view.all_qualified, view.lines[0].velocity.open_deals) == ((), 0)
        sales.tell(2, ("2026-04-01", opened()))
        view = sales.flow.ask(Kpis())
        assert view.lines[0].velocity.open_deals == 1
        assert "every open deal counts as qualified: " + PLAIN.key in view.table()
        assert sales.flow.ask(Kpis(process="late")).all_qualified == ()
