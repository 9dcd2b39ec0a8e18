"""Every answer counts a win rate by the one definition."""

from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import Forecast, Kpis, WinLoss
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealWon
from salesflow.domain.process import WIN_RATE

HALF, THIRD = Decimal("0.5"), Decimal(1) / 3
QUARTER = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
AS_OF = "2026-03-31"


def win_rates(sales: Shop) -> dict[str, Decimal | None]:
    """Return every win rate that any question says of the same deals."""
    ask = sales.flow.ask
    [kpis] = ask(Kpis.model_validate(QUARTER), as_of=AS_OF).lines
    [forecast] = ask(Forecast.model_validate(QUARTER), as_of=AS_OF).lines
    beside = ask(WinLoss.model_validate({**QUARTER, "deal": deal_id(9)}), as_of=AS_OF)
    [visited] = [each for each in beside.drivers if each.detail == "visit"]
    assert kpis.win_rate is not None
    assert beside.similar_won is not None
    return {
        "kpis": kpis.win_rate.value,
        "kpis by value": kpis.win_rate_by_value[0].rate,
        "velocity": kpis.velocity.win_rate,
        "forecast": forecast.win_rate_by_value,
        "with a factor": visited.win_rate_with,
        "similar deals": beside.similar_won.value,
    }


def test_what_counts_as_won_and_lost_is_said_in_one_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = (DealWon(), DealLost(because="price"), DealDisqualified(because="no budget"))
    rates = []
    for disqualified_counts in (False, True):
        if disqualified_counts:
            monkeypatch.setitem(WIN_RATE, "disqualified", False)
        with shop() as sales:
            for number, end in enumerate(ends, 1):
                visit = ("2026-02-02", ContactLogged(channel="visit"))
                begun = ("2026-02-01", opened(amount=cny("100")))
                sales.tell(number, begun, visit, ("2026-02-10", end))
            still_open = opened(amount=cny("100"), expected_close=date(2026, 3, 30))
            visit = ("2026-02-12", ContactLogged(channel="visit"))
            sales.tell(9, ("2026-02-11", still_open), visit)
            rates.append(win_rates(sales))
    assert set(rates[0].values()) == {HALF}
    assert {name: round(rate or 0, 6) for name, rate in rates[1].items()} == dict.fromkeys(
        rates[0], round(THIRD, 6)
    )
