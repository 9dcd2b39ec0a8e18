"""A team's forecast and KPIs: what its members of the time had, and the goal of that team."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from given import PLAIN, cny, opened
from questions.shop import Shop, shop
from salesflow import Forecast, Goal, Kpis, Money, Rep, Team
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.errors import NotFoundError
from salesflow.projections.forecast.forecast import ForecastView

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)
QUARTER = {"from_": FIRST, "to": date(2026, 4, 1)}
EAST_SINCE, SOUTH_SINCE = datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Let ann sell in the east until February, then in the south, where bob always was."""
    with shop() as found:
        found.turn("2026-03-15")
        with found.flow.session(actor="eva") as session:
            for team in ("east", "south"):
                session.add(Team.form(team, name_en=team, name_zh=team, occurred_at=EAST_SINCE))
            ann = session.add(Rep.join("ann", name="Ann", team="east", occurred_at=EAST_SINCE))
            session.add(Rep.join("bob", name="Bob", team="south", occurred_at=EAST_SINCE))
            ann.move("south", occurred_at=SOUTH_SINCE)
        deal(found, 1, "ann", "100", won="2026-01-20")
        deal(found, 2, "ann", "30", won="2026-02-20")
        deal(found, 3, "bob", "7")
        deal(found, 4, "ann", "5")
        yield found


def deal(sales: Shop, number: int, owner: str, amount: str, won: str | None = None) -> None:
    facts = [
        ("2026-01-05", opened(PLAIN, owner=owner, amount=cny(amount), expected_close=LAST))
    ]
    sales.tell(number, *facts, *([(won, DealWon(amount=cny(amount)))] if won else []))


def ask(sales: Shop, team: str, as_of: str = "2026-03-10") -> ForecastView:
    return sales.flow.ask(Forecast.model_validate({**QUARTER, "team": team}), as_of=as_of)


def sums(view: ForecastView) -> list[Decimal]:
    [line] = view.lines
    return [line.won, line.amount]


def test_what_was_sold_belongs_to_the_team_of_then_what_is_open_to_that_of_now(
    sales: Shop,
) -> None:
    assert sums(ask(sales, "east")) == [100, 0]
    assert sums(ask(sales, "south")) == [30, 12]
    assert sums(ask(sales, "east", "2026-01-31")) == [100, 35]
    assert sums(ask(sales, "south", "2026-01-31")) == [0, 7]


def test_the_goal_of_a_team_stands_beside_its_forecast(sales: Shop) -> None:
    with sales.flow.session(actor="eva") as session:
        session.add(
            Goal.set(
                "south-q1", metric="sales", target=Money("42", "CNY"), team="south",
                first_day=FIRST, last_day=LAST, strategy="grow", why_achievable="two hires",
                occurred_at=EAST_SINCE,
            )
        )  # fmt: skip
    [line] = ask(sales, "south").lines
    assert line.coverage == 1, "12 open of 42 - 30"
    assert ask(sales, "east").lines[0].coverage is None


def test_key_figures_of_a_team_are_those_of_its_members_of_the_time(sales: Shop) -> None:
    sales.tell(5, ("2026-01-06", opened(PLAIN, owner="bob")), ("2026-02-03", DealLost()))
    found = {
        team: sales.flow.ask(
            Kpis(from_=FIRST, to=date(2026, 4, 1), team=team), as_of="2026-03-10"
        ).lines[0]
        for team in ("east", "south")
    }
    assert [found[team].sales[0].amount for team in found] == [100, 30]
    assert [(found[team].won, found[team].lost) for team in found] == [(1, 0), (1, 1)]


def test_a_team_that_nobody_was_in_is_refused(sales: Shop) -> None:
    for question in (Forecast(team="nort"), Kpis(team="nort")):
        with pytest.raises(NotFoundError, match="nort"):
            sales.flow.ask(question)
