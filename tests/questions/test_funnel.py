"""The funnel by group and in parts, and its trend: numbers worked out by hand."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from given import PLAIN, cny, opened
from questions.shop import Shop, publish, shop
from salesflow import Customer, ExternalEvent, Money
from salesflow.domain.customer import CustomerMerged, CustomerRegistered
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.process import ProcessVersion, Stage
from salesflow.domain.rep import Rep, rep_id
from salesflow.errors import InputError
from salesflow.projections.pipeline.funnel import GROUPED, Funnel, FunnelView
from salesflow.projections.pipeline.funnel_trend import FunnelTrend, FunnelTrendView

FIRST_HALF = {"from_": date(2026, 1, 1), "to": date(2026, 7, 1)}
FIRST, SECOND, THIRD = PLAIN.open_stages
SERVICE = PLAIN.stages[3:]


@pytest.fixture
def sales(database_url: str) -> Iterator[Shop]:
    with shop(url=database_url) as here:
        yield here


def changed(version: int, *stages: Stage) -> ProcessVersion:
    """Give a later version of the plain process."""
    return PLAIN.model_copy(update={"version": version, "stages": stages + SERVICE})


def deals(view: FunnelView) -> dict[tuple[str | None, str], int]:
    """Give the number of open deals by group and stage, empty stages left out."""
    return {(s.group, s.stage): s.deals for s in view.stages if s.deals}


def together(view: FunnelView, *, in_money: bool) -> dict[tuple[str, str], Decimal]:
    """Give the deals of all groups by stage or outcome, and perhaps what they are worth."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    rows = [(stage.stage, stage.deals, stage.amounts) for stage in view.stages]
    rows += [(closed.outcome, closed.deals, closed.amounts) for closed in view.closed]
    for where, count, amounts in rows:
        if count:
            found[where, "deals"] += count
        for total in amounts if in_money else ():
            found[where, total.currency] += total.amount
    return found


def join(sales: Shop, rep: str, team: str, day: str) -> None:
    with sales.flow.session() as session:
        joined = date.fromisoformat(day)
        session.add(Rep.join(rep, team=team, name=rep, occurred_at=joined))


def test_a_deal_stands_in_the_team_of_its_owner_at_the_moment(sales: Shop) -> None:
    join(sales, "ann", "east", "2026-01-01")
    join(sales, "bob", "west", "2026-01-01")
    sales.tell(
        1, ("2026-02-01", opened(owner="ann")), ("2026-03-01", OwnerAssigned(owner="bob"))
    )
    sales.tell(2, ("2026-02-01", opened(owner="ann")), ("2026-02-10", StageMoved(target="b")))
    sales.tell(3, ("2026-02-01", opened(owner="eve")))
    with sales.flow.session() as session:
        session.get(Rep, rep_id("ann")).move("west", occurred_at=date(2026, 4, 1))
    ask = sales.flow.ask
    assert deals(ask(Funnel(by="team"), as_of="2026-02-28")) == {
        ("east", "a"): 1, ("east", "b"): 1, (None, "a"): 1
    }  # fmt: skip
    assert deals(ask(Funnel(by="team"), as_of="2026-03-31")) == {
        ("east", "b"): 1, ("west", "a"): 1, (None, "a"): 1
    }  # fmt: skip
    assert deals(ask(Funnel(by="team"), as_of="2026-04-01")) == {
        ("west", "a"): 1, ("west", "b"): 1, (None, "a"): 1
    }  # fmt: skip
    assert deals(ask(Funnel(team="east"), as_of="2026-03-31")) == {(None, "b"): 1}


def test_what_stands_before_a_rep_joined_is_of_no_team(sales: Shop) -> None:
    sales.tell(1, ("2026-01-10", opened(owner="ann")))
    join(sales, "ann", "east", "2026-02-15")
    view = sales.flow.ask(Funnel(by="team"), as_of="2026-03-01")
    assert deals(view) == {("east", "a"): 1}
    then = sales.flow.ask(Funnel(by="team"), as_of="2026-01-31")
    assert deals(then) == {(None, "a"): 1}, "nobody had joined by then"


def test_deals_of_merged_customers_count_for_the_one_that_is_left(sales: Shop) -> None:
    with sales.turn("2026-01-05 09:00").flow.session() as session:
        acme = session.add(Customer.register(name="Acme"))
        twin = session.add(Customer.register(name="ACME Ltd"))
    sales.tell(1, ("2026-01-02", opened(customer_id=acme.id)))
    sales.tell(2, ("2026-01-02", opened(customer_id=twin.id)))
    with sales.turn("2026-03-01 09:00").flow.session() as session:
        survivor = session.get(Customer, acme.id)
        session.get(Customer, twin.id).merge_into(survivor, because="one and the same")
    by_customer = Funnel(by="customer")
    ask = sales.turn("2026-06-01").flow.ask
    assert deals(ask(by_customer, as_of="2026-02-28")) == {
        (str(acme.id), "a"): 1, (str(twin.id), "a"): 1
    }  # fmt: skip
    assert deals(ask(by_customer)) == {(str(acme.id), "a"): 2}
    assert deals(ask(Funnel(customer=acme.id))) == {(None, "a"): 2}
    assert deals(ask(Funnel(customer=UUID(int=7)))) == {}


def test_unlike_currencies_are_groups_of_their_own_and_nothing_is_added(sales: Shop) -> None:
    sales.tell(1, ("2026-01-02", opened(amount=cny("100.25"), lead_source="fair")))
    sales.tell(2, ("2026-01-02", opened(amount=Money("80", "USD"), lead_source="web")))
    sales.tell(3, ("2026-01-02", opened(lead_source="web")))
    view = sales.flow.ask(Funnel(by="currency"))
    found = {s.group: (s.deals, s.deals_without_amount) for s in view.stages if s.deals}
    assert found == {"CNY": (1, 0), "USD": (1, 0), None: (1, 1)}
    assert [(t.currency, t.amount) for s in view.stages for t in s.amounts] == [
        ("CNY", Decimal("100.25")), ("USD", Decimal(80))
    ]  # fmt: skip
    web = sales.flow.ask(Funnel(by="channel", currency="USD"))
    assert deals(web) == {("web", "a"): 1}
    assert web.open_deals == 1


def test_a_funnel_of_a_part_is_the_same_as_the_whole_where_the_part_is_all(sales: Shop) -> None:
    sales.tell(1, ("2026-01-02", opened(owner="ann", amount=cny("100"))))
    sales.tell(
        2, ("2026-01-03", opened(owner="ann", amount=cny("50"))), ("2026-02-01", DealWon())
    )
    whole, part = (
        sales.flow.ask(f, as_of="2026-03-01") for f in (Funnel(), Funnel(owner="ann"))
    )
    assert whole == part


@pytest.mark.parametrize("asked", [{}, {"report_currency": "CNY"}])
@pytest.mark.parametrize("by", GROUPED)
def test_a_funnel_of_each_is_the_funnel_of_that_one_alone(
    sales: Shop, by: str, asked: dict[str, str]
) -> None:
    """And all of them together hold what the funnel of all holds."""
    publish(sales, "2026-01-02", CNY="7.0000001")
    sales.publish(changed(2, FIRST, THIRD))
    for rep, team in (("ann", "east"), ("bob", "west"), ("cyd", "east")):
        join(sales, rep, team, "2026-01-01")
    entries = [UUID(int=1 + number) for number in range(4)]
    start, merged = datetime(2026, 1, 5, tzinfo=UTC), CustomerMerged(into=entries[0])
    told = [ExternalEvent(each, CustomerRegistered(name="Acme"), start) for each in entries]
    sales.flow.record([*told, ExternalEvent(entries[3], merged, start)])
    money = cny("0.5"), Money("33.333333", "USD"), Money("9", "JPY"), None
    for number in range(16):
        deal = opened(
            PLAIN if number < 8 else changed(2, FIRST, THIRD),
            stage=("a", "b", "c")[number // 3] if number < 8 else "c",
            owner=("ann", "bob", "cyd")[number % 5 % 3],
            customer_id=entries[number // 2 % 4],
            lead_source=("fair", "web")[number // 2 % 2],
            amount=money[number % 4],
        )
        sales.tell(number, ("2026-01-10", deal))
        if number % 3:
            ends = (DealLost(because="price"), DealWon())[number % 3 - 1]
            sales.tell(number, ("2026-02-01", ends))
    ask = sales.flow.ask
    whole = ask(Funnel.model_validate({"by": by, **asked}), as_of="2026-03-01")
    open_deals = 0
    for group in dict.fromkeys(row.group for row in whole.closed if row.group is not None):
        alone = ask(Funnel.model_validate({by: group, **asked}), as_of="2026-03-01")
        open_deals += alone.open_deals
        for rows, its in ((whole.stages, alone.stages), (whole.closed, alone.closed)):
            mine = [row for row in rows if row.group == group]
            assert [row.model_copy(update={"group": None}) for row in mine] == [*its]
    every = ask(Funnel.model_validate(asked), as_of="2026-03-01")
    assert whole.open_deals == every.open_deals == sum(row.deals for row in every.stages) == 6
    assert together(whole, in_money=not asked) == together(every, in_money=not asked)
    assert open_deals == 6 - 2 * (by == "currency"), "two open deals have no currency"
    assert whole.rates == every.rates
    assert by != "customer" or str(entries[3]) not in {row.group for row in whole.closed}


def test_a_group_has_the_stages_of_the_newest_version_that_any_of_its_deals_is_of(
    sales: Shop,
) -> None:
    """Also where that deal is closed, or all of them are."""
    second = changed(2, FIRST, THIRD)
    sales.publish(second)
    sales.tell(1, ("2026-01-10", opened(owner="ann")))
    sales.tell(2, ("2026-01-11", opened(second, owner="ann")), ("2026-01-12", DealWon()))
    sales.tell(3, ("2026-01-11", opened(owner="bob")), ("2026-01-12", DealWon()))
    stages = sales.flow.ask(Funnel(by="owner")).stages
    assert [(row.group, row.stage, row.deals) for row in stages] == [
        ("ann", "a", 1), ("ann", "c", 0), ("bob", "a", 0), ("bob", "b", 0), ("bob", "c", 0)
    ]  # fmt: skip


def test_a_stage_that_is_gone_is_called_as_by_the_newest_version_of_the_deals_in_it(
    sales: Shop,
) -> None:
    offered, quoted = (
        SECOND.model_copy(update={"name_en": name, "name_zh": name})
        for name in ("Offered", "Quoted")
    )
    second, third = changed(2, FIRST, offered, THIRD), changed(3, FIRST, quoted, THIRD)
    fourth = changed(4, FIRST, THIRD)
    for version in (second, third, fourth):
        sales.publish(version)
    told = (("ann", PLAIN), ("bob", PLAIN), ("bob", second), ("cyd", third))
    for number, (owner, process) in enumerate(told):
        sales.tell(number, ("2026-01-10", opened(process, stage="b", owner=owner)))
    for number, owner in enumerate(("ann", "bob", "cyd")):
        newest = opened(fourth, owner=owner)
        sales.tell(10 + number, ("2026-01-10", newest), ("2026-01-11", DealWon()))
    stages = sales.flow.ask(Funnel(by="owner")).stages
    assert [(row.group, row.name_en, row.deals) for row in stages if row.deals] == [
        ("ann", "b", 1), ("bob", "Offered", 2), ("cyd", "Quoted", 1)
    ]  # fmt: skip
    whole = sales.flow.ask(Funnel()).stages
    assert [(row.name_en, row.name_zh, row.deals) for row in whole] == [
        ("a", "a", 0), ("c", "c", 0), ("Quoted", "Quoted", 4)
    ]  # fmt: skip


def test_the_amounts_of_each_owner_of_a_team_are_rounded_and_then_added_up(
    sales: Shop,
) -> None:
    publish(sales, "2026-01-01", CNY="0.5")
    for number, rep in enumerate(("ann", "bob")):
        join(sales, rep, "east", "2026-01-01")
        deal = opened(owner=rep, amount=Money("0.000001", "USD"))
        sales.tell(number, ("2026-01-10", deal), ("2026-01-11", DealWon()))
    view = sales.flow.ask(Funnel(by="team", report_currency="CNY"))
    [won] = [row for row in view.closed if row.deals]
    assert (won.group, won.deals) == ("east", 2)
    assert [total.amount for total in won.amounts] == [0]


def trend(sales: Shop, as_of: datetime | None = None, **asked: object) -> FunnelTrendView:
    return sales.flow.ask(FunnelTrend.model_validate({**FIRST_HALF, **asked}), as_of=as_of)


def test_the_trend_is_the_funnel_of_every_month_end_and_of_the_moment(sales: Shop) -> None:
    sales.tell(1, ("2026-01-10", opened(amount=cny("100"))), ("2026-03-01", DealWon()))
    sales.tell(
        2, ("2026-02-10", opened(amount=cny("40"))), ("2026-02-28", StageMoved(target="b"))
    )
    sales.tell(3, ("2026-04-30", opened()), ("2026-05-02", DealLost(because="price")))
    moment = datetime(2026, 5, 15, 12, tzinfo=UTC)
    found = trend(sales, moment).ends
    assert [str(end.last) for end in found] == [
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"
    ]  # fmt: skip
    assert found[-1].as_of == moment
    assert [end.open_deals for end in found] == [1, 2, 1, 2, 1]
    assert [end.deals_without_amount for end in found] == [0, 0, 0, 1, 0]
    won = [[c.deals for c in end.closed if c.outcome == "won"] for end in found]
    assert won == [[0], [0], [1], [1], [1]]
    amounts = [[total.amount for total in end.amounts] for end in found]
    assert amounts == [[100], [140], [40], [40], [40]]
    weighted = [[total.amount for total in end.weighted] for end in found]
    assert weighted == [[10], [18], [8], [8], [8]]


def test_an_event_at_midnight_of_a_month_edge_belongs_to_the_new_month(
    database_url: str,
) -> None:
    with shop(url=database_url, timezone="Europe/Berlin") as sales:
        sales.tell(1, ("2026-03-31 23:59:59.999999", opened()))
        sales.tell(2, ("2026-04-01 00:00:00", opened()))
        sales.tell(3, ("2026-03-29 01:59:59", opened()))
        sales.tell(4, ("2026-03-29 03:00:00", opened()))
        ends = trend(sales, to=date(2026, 5, 1)).ends
        assert [end.open_deals for end in ends] == [0, 0, 3, 4]
        days = trend(sales, from_=date(2026, 3, 28), to=date(2026, 3, 31), every="day")
        assert [end.open_deals for end in days.ends] == [0, 2, 2]


def test_the_same_month_ends_lie_elsewhere_in_another_zone(database_url: str) -> None:
    with shop(url=database_url, timezone="Asia/Shanghai") as sales:
        sales.tell(1, ("2026-03-31 23:30", opened()))
        sales.tell(2, ("2026-04-01 00:30", opened()))
        assert [end.open_deals for end in trend(sales, to=date(2026, 5, 1)).ends] == [
            0,
            0,
            1,
            2,
        ]
    assert sales.zone.key == "Asia/Shanghai"


def test_an_end_is_told_as_it_was_known_then_where_known_at_says_so(sales: Shop) -> None:
    sales.turn("2026-02-05").tell(1, ("2026-01-10", opened()))
    sales.turn("2026-04-05").tell(2, ("2026-01-20", opened()))
    sales.turn("2026-05-15 12:00")
    ask = sales.flow.ask
    months = FunnelTrend.model_validate({**FIRST_HALF, "to": date(2026, 3, 1)})
    assert [end.open_deals for end in ask(months).ends] == [2, 2]
    assert [end.open_deals for end in ask(months, known_at="2026-03-01").ends] == [1, 1]
    assert [end.open_deals for end in ask(months, known_at="2026-01-31").ends] == [0, 0]


def test_before_the_first_event_every_end_is_empty(sales: Shop) -> None:
    sales.tell(1, ("2026-01-10", opened()))
    view = sales.flow.ask(FunnelTrend(from_=date(2025, 1, 1), to=date(2025, 3, 1)))
    assert [(end.open_deals, end.stages) for end in view.ends] == [(0, ()), (0, ())]


def test_more_ends_than_anybody_can_read_are_refused(sales: Shop) -> None:
    asked = FunnelTrend(from_=date(2020, 1, 1), to=date(2026, 1, 1), every="day")
    with pytest.raises(InputError, match="more than 400 ends of a day from 2020-01-01"):
        sales.flow.ask(asked)


def test_the_trend_is_laid_out_by_its_last_days_in_both_languages(sales: Shop) -> None:
    sales.tell(1, ("2026-01-10", opened(amount=cny("100"))))
    view = trend(sales, to=date(2026, 3, 1))
    assert view.tables("en")[0].rows[0][:6] == (
        "2026-01-31",
        "1",
        "100 CNY",
        "10 CNY",
        "0",
        "0",
    )
    assert "漏斗趋势" in view.table("zh")
    assert "各阶段进行中商机" in view.table("zh")
