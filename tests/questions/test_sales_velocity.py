"""How much money a day the pipeline brings, in numbers worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest

from given import PLAIN, cny, opened
from questions.shop import Shop, shop, told
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.values import Money
from salesflow.errors import InputError
from salesflow.projections.metrics.kpi_figures import Velocity
from salesflow.projections.performance.kpis import Kpis

SIZED = PLAIN.model_copy(update={"key": "sized", "qualifying_stage": "b"})
"""Open deals count from the second of three stages on."""
APRIL = "2026-04-01T00:00:00+00:00"
MARCH = {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)}
JUNE = "2026-06-01T00:00:00+00:00"


def velocity(books: Shop, as_of: str = JUNE, **asked: object) -> Velocity:
    [line] = books.flow.ask(Kpis.model_validate(MARCH | asked), as_of=as_of).lines
    return line.velocity


def per_day(books: Shop, as_of: str = JUNE, **asked: object) -> dict[str, Decimal]:
    found = velocity(books, as_of, **asked).per_day
    return {total.currency: total.amount for total in found}


def won(books: Shop, deal: int, opened_at: str, won_at: str, amount: Money | None) -> None:
    books.tell(deal, (opened_at, opened(SIZED)), (won_at, DealWon(amount=amount)))


def lost(books: Shop, deal: int, at: str) -> None:
    books.tell(deal, ("2026-02-01 09:00", opened(SIZED)), (at, DealLost(because="price")))


def pipeline(books: Shop) -> None:
    """Three open deals that count and one that does not; two won, two lost."""
    for deal, stage in enumerate(("b", "c", "c", "a"), start=1):
        books.tell(
            deal,
            ("2026-02-01 09:00", opened(SIZED, amount=cny("1"))),
            ("2026-02-02 09:00", StageMoved(target=stage)),
        )
    won(books, 5, "2026-03-01 09:00", "2026-03-11 09:00", cny("100"))
    won(books, 6, "2026-02-24 09:00", "2026-03-16 09:00", cny("200"))
    lost(books, 7, "2026-03-12 09:00")
    lost(books, 8, "2026-03-13 09:00")


def test_velocity_is_open_deals_times_amount_times_win_rate_by_cycle() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        found = velocity(books)
        assert found.open_deals == 3
        assert [told(t.currency, t.amount) for t in found.won_mean] == [("CNY", 150)]
        assert found.win_rate == Decimal("0.5")
        assert found.cycle_days == 15
        assert per_day(books) == {"CNY": 15}, "3 x 150 x 1/2 ÷ 15"


def test_a_disqualified_deal_counts_neither_way() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        books.tell(9, ("2026-03-01 09:00", opened(SIZED)))
        books.tell(9, ("2026-03-02 09:00", DealDisqualified(because="a double")))
        assert per_day(books) == {"CNY": 15}


def test_velocity_stands_at_the_end_of_the_period_or_at_the_moment_before() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        books.tell(1, ("2026-04-01 00:00", DealLost(because="price")))
        assert velocity(books).open_deals == 3, "at the end of March it was still open"
        assert velocity(books, as_of="2026-03-12T09:00:00+00:00").win_rate == Decimal("0.5")
        assert per_day(books, as_of="2026-03-11T09:00:00+00:00") == {"CNY": 30}
        assert velocity(books, from_=date(2026, 4, 1), to=date(2026, 5, 1)).open_deals == 2


def test_only_what_closed_in_the_days_before_is_judged_by() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        assert per_day(books, velocity_days=16) == {"CNY": 30}, "deal 6 on the 16th alone"
        assert per_day(books, velocity_days=15) == {}
        assert velocity(books, velocity_days=15).open_deals == 3
        assert velocity(books, velocity_days=15).win_rate is None


def test_the_first_of_ninety_days_counts_from_its_midnight_in_the_business_time_zone() -> None:
    with shop(SIZED, timezone="Asia/Shanghai") as books:
        won(books, 1, "2025-12-01 00:00", "2025-12-31 23:59", cny("100"))
        won(books, 2, "2025-12-02 00:00", "2026-01-01 00:00", cny("300"))
        [early] = velocity(books).won_mean
        assert early.amount == 300, "1 January is the first of 90 days up to 31 March"
        [longer] = velocity(books, velocity_days=91).won_mean
        assert longer.amount == 200


def test_unlike_currencies_stand_side_by_side() -> None:
    with shop(SIZED) as books:
        books.tell(1, ("2026-02-01 09:00", opened(SIZED, stage="b")))
        won(books, 2, "2026-03-01 09:00", "2026-03-11 09:00", cny("100"))
        won(books, 3, "2026-03-01 09:00", "2026-03-11 09:00", Money("60", "USD"))
        won(books, 4, "2026-03-01 09:00", "2026-03-11 09:00", None)
        found = velocity(books)
        assert [told(t.currency, t.amount) for t in found.won_mean] == [
            ("CNY", 50),
            ("USD", 30),
        ]
        assert per_day(books) == {"CNY": 5, "USD": 3}


def test_velocity_is_undefined_while_nothing_was_won_or_in_no_time() -> None:
    with shop(SIZED) as books:
        books.tell(1, ("2026-02-01 09:00", opened(SIZED, stage="b")))
        lost(books, 2, "2026-03-12 09:00")
        found = velocity(books)
        assert told(found.open_deals, found.win_rate, found.cycle_days) == (1, 0, None)
        assert (found.won_mean, found.per_day) == ((), ())
        won(books, 3, "2026-03-14 09:00", "2026-03-14 09:00", cny("100"))
        assert velocity(books).cycle_days == 0
        assert per_day(books) == {}


def test_without_open_deals_nothing_a_day_is_on_its_way() -> None:
    with shop(SIZED) as books:
        won(books, 1, "2026-03-01 09:00", "2026-03-11 09:00", cny("100"))
        assert per_day(books) == {"CNY": 0}


def test_where_no_stage_qualifies_deals_all_open_ones_count() -> None:
    with shop() as books:
        books.tell(1, ("2026-02-01 09:00", opened()))
        assert velocity(books).open_deals == 1


def test_a_reopened_deal_is_open_and_was_not_won() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        books.tell(5, ("2026-03-20 09:00", DealReopened(stage="b")))
        found = velocity(books)
        assert told(found.open_deals, found.cycle_days) == (4, 20)
        assert round(per_day(books)["CNY"] * 3, 20) == 40, "4 x 200 x 1/3 ÷ 20"
        assert per_day(books, as_of="2026-03-20T08:59:59+00:00") == {"CNY": 15}


def test_a_rep_whose_deals_stand_open_has_a_line_although_nothing_happened() -> None:
    with shop(SIZED) as books:
        pipeline(books)
        books.tell(3, ("2026-02-20 09:00", OwnerAssigned(owner="bob")))
        books.tell(4, ("2026-02-20 09:00", OwnerAssigned(owner="cho")))
        lines = books.flow.ask(Kpis.model_validate(MARCH | {"by": "rep"}), as_of=JUNE).lines
        assert [(line.group, line.velocity.open_deals) for line in lines] == [
            ("ann", 2),
            ("bob", 1),
        ]
        assert lines[1].velocity.per_day == (), "bob won nothing lately"


def test_deals_are_judged_by_one_day_at_least() -> None:
    with pytest.raises(InputError, match="velocity_days"):
        Kpis(velocity_days=0)
