"""Every end of a long row of days is what it is by itself, wherever days begin.

Days of balances begin where those of the business did in winter when the first bin was made;
in summer, or after a move, those of the business begin at another time.
"""

from datetime import date, timedelta

import pytest

from given import cny, opened
from questions.shop import Shop, shop
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.projections.pipeline.funnel_trend import FunnelTrend

FIRST = date(2025, 3, 1)


def tell_a_deal_every_ninth_day(sales: Shop) -> None:
    for number in range(45):
        day = FIRST + number * 9 * timedelta(days=1)
        sales.tell(number, (f"{day} 23:30", opened(amount=cny("10"))))
    sales.tell(1, ("2025-07-01 23:59:59.999999", DealWon()))
    sales.tell(2, ("2025-07-02 00:00:00", DealWon()))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_four_hundred_days_are_told_where_days_begin_elsewhere_in_summer(
    database_url: str, zone: str
) -> None:
    with shop(url=database_url, timezone=zone) as sales:
        tell_a_deal_every_ninth_day(sales)
        asked = FunnelTrend(from_=FIRST, to=FIRST + timedelta(days=400), every="day")
        open_deals = [end.open_deals for end in sales.flow.ask(asked).ends]
        expected = [day // 9 + 1 for day in range(400)]
        won = ((date(2025, 7, 1) - FIRST).days, (date(2025, 7, 2) - FIRST).days)
        assert open_deals == [
            each - sum(day >= at for at in won) for day, each in enumerate(expected)
        ]


def test_days_are_cut_anew_when_the_business_moves_to_another_zone(database_url: str) -> None:
    with shop(url=database_url) as sales:
        tell_a_deal_every_ninth_day(sales)
        asked = FunnelTrend(from_=FIRST, to=FIRST + timedelta(days=400), every="day")
        sales.flow.ask(asked)
        with sales.flow.session() as session:
            session.get(Settings, SETTINGS_ID).change(timezone="Asia/Shanghai")
        open_deals = [end.open_deals for end in sales.flow.ask(asked).ends]
        # 23:30 in UTC is 07:30 of the day after in Shanghai, 23:59 of 1 July that of 2 July
        expected = [(day - 1) // 9 + 1 for day in range(400)]
        won = (date(2025, 7, 2) - FIRST).days
        assert open_deals == [each - 2 * (day >= won) for day, each in enumerate(expected)]
