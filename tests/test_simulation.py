"""The simulated sales team: everything happens in it, late and wrong things too."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from salesflow import Deal, Rep, SalesFlow, Team
from salesflow.demo.house import NEW_VERSION
from salesflow.demo.offers import cny_per
from salesflow.demo.office import SeededIds
from salesflow.demo.simulation import SCRIPT, simulate
from salesflow.demo.world import CUSTOMERS, END, REPS, START, ZONE, TurnedClock, office_time
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.event import Event, FactRetracted
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.process import SalesProcess, process_id
from salesflow.domain.rep import rep_id
from salesflow.domain.team import team_id
from salesflow.domain.time import to_instant
from salesflow.errors import NotFoundError
from salesflow.projections.goals.goal_attainment import GoalAttainment
from salesflow.projections.pipeline.funnel import Funnel
from simulated import demo

SOME_MONTHS = datetime(2024, 5, 31, 23, tzinfo=ZONE)
HOUR, DAY = 3_600_000_000, 86_400_000_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Every event of the simulated database, in the order of the log."""
    with SalesFlow(demo().url, create=False) as flow:
        return flow.log.page(0, 1_000_000)


def of_kind(events: list[Event], kind: type) -> list[Event]:
    return [event for event in events if isinstance(event.fact, kind)]


def lived(path: Path, seed: int) -> list[Event]:
    """Simulate some months in a new database."""
    clock = TurnedClock(START)
    with SalesFlow(
        f"sqlite:///{path}",
        timezone=ZONE.key,
        clock=clock,
        event_ids=SeededIds(clock, seed),
    ) as flow:
        simulate(flow, clock, seed=seed, until=SOME_MONTHS)
        return flow.log.page(0, 1_000_000)


def test_whatever_the_script_lists_happens_to_the_team(events: list[Event]) -> None:
    assert {event.fact.kind for event in events} == SCRIPT


def test_the_log_is_recorded_as_things_become_known(events: list[Event]) -> None:
    recorded = [event.recorded for event in events]
    assert recorded == sorted(recorded)
    assert recorded[0] >= to_instant(START)
    assert recorded[-1] <= to_instant(END)
    assert all(event.occurred <= event.recorded for event in events)


def test_most_facts_are_prompt_and_some_are_late_by_hours_days_and_weeks(
    events: list[Event],
) -> None:
    late = [event.recorded - event.occurred for event in events]
    shares = [sum(lag > limit for lag in late) / len(late) for limit in (HOUR, DAY, 14 * DAY)]
    assert 0.2 < shares[0] < 0.6
    assert 0.05 < shares[1] < 0.25
    assert 0.005 < shares[2] < 0.1


def test_mistakes_are_retracted_and_retractions_too(events: list[Event]) -> None:
    retractions = of_kind(events, FactRetracted)
    ids = {event.event_id for event in retractions}
    assert len(retractions) > 30
    assert any(event.fact.event_id in ids for event in retractions)  # type: ignore[attr-defined]


def test_some_facts_take_effect_later_than_they_were_decided(events: list[Event]) -> None:
    kinds = {event.fact.kind for event in events if event.effective > event.occurred}
    assert {"deal.owner_assigned", "deal.contract_amended"} <= kinds


def test_reps_join_change_teams_and_leave_by_plan(events: list[Event]) -> None:
    days = ("2024-01-01", "2024-09-01", "2024-09-02", "2025-07-01", "2026-06-30")
    with SalesFlow(demo().url, create=False) as flow:
        teams = [Counter(map(str, teams_on(flow, day))) for day in days]
        south = flow.get(Team, team_id("south"))
    assert teams[0] == teams[1] == {"east": 3, "south": 3, "None": 2}
    assert teams[2] == {"east": 4, "south": 3, "None": 1}
    assert teams[3] == teams[4] == {"east": 2, "south": 5, "None": 1}
    assert (south.name(), south.at(START).name("zh")) == ("South and Southwest", "华南团队")
    planned = {event.fact.kind for event in events if event.effective > event.occurred}
    assert {"rep.joined", "rep.moved", "rep.left", "team.renamed"} <= planned


def teams_on(flow: SalesFlow, day: str) -> Iterator[str | None]:
    """Give the team of every rep at the end of a day; None for those who are in none."""
    for rep in REPS:
        try:
            yield flow.get(Rep, rep_id(rep.id), as_of=day).team
        except NotFoundError:
            yield None


def test_deals_grow_in_number_and_pause_at_spring_festival(events: list[Event]) -> None:
    months = Counter(e.occurred_at.astimezone(ZONE).strftime("%Y-%m") for e in openings(events))
    assert 700 <= sum(months.values()) <= 1_500
    assert len(months) == 30
    assert months["2024-02"] < months["2024-03"]
    assert sum(months[f"2025-{m:02}"] for m in range(1, 7)) > sum(
        months[f"2024-{m:02}"] for m in range(1, 7)
    )


def openings(events: list[Event]) -> list[Event]:
    return of_kind(events, DealOpened)


def test_something_is_won_and_more_is_lost(events: list[Event]) -> None:
    won, lost = len(of_kind(events, DealWon)), len(of_kind(events, DealLost))
    assert 0.25 < won / (won + lost) < 0.5


def test_the_second_version_of_the_process_takes_the_open_deals_over(
    events: list[Event],
) -> None:
    assert len(of_kind(events, DealMigrated)) > 30
    with SalesFlow(demo().url, create=False) as flow:
        process = flow.get(SalesProcess, process_id("standard"))
    assert process.latest == NEW_VERSION
    assert process.retired == {1}


def test_a_misprinted_rate_is_put_right() -> None:
    with SalesFlow(demo().url, create=False) as flow:
        then = flow.get(RateTable, RATES_ID, known_at="2025-05-10")
        now = flow.get(RateTable, RATES_ID)
    day = date(2025, 5, 5)
    assert then.rate("EUR", "CNY", day) != cny_per("EUR", day)
    assert now.rate("EUR", "CNY", day) == cny_per("EUR", day)


def test_some_facts_are_left_without_ground(events: list[Event]) -> None:
    with SalesFlow(demo().url, create=False) as flow:
        retracted = {event.stream_id for event in of_kind(events, FactRetracted)}
        deals = {event.stream_id for event in openings(events)}
        irregular = [flow.get(Deal, id).irregular for id in sorted(retracted & deals)]
    assert any(irregular)


def test_a_month_restates_itself_as_late_facts_come_in() -> None:
    with SalesFlow(demo().url, create=False) as flow:
        then = flow.ask(Funnel(), as_of="2025-12-31", known_at="2025-12-31")
        now = flow.ask(Funnel(), as_of="2025-12-31")
    assert then.closed != now.closed
    assert {total.currency for stage in now.stages for total in stage.amounts} >= {
        "CNY",
        "USD",
        "EUR",
    }


def test_the_team_pursues_goals_of_a_product_and_attains_them() -> None:
    with SalesFlow(demo().url, create=False) as flow:
        for key, share in (("2026-q1-erp-core", "1.09"), ("2026-q2-erp-core", "1.68")):
            view = flow.ask(GoalAttainment(goal=key), as_of="2026-06-30")
            [line] = [each for each in view.goals if each.goal == key]
            assert (line.product, line.target) == ("ERP-CORE", Decimal(2_300_000))
            assert line.status == "attained"
            assert line.attainment is not None
            assert round(line.attainment, 2) == Decimal(share)


def test_the_same_seed_lives_the_same_life_to_the_last_byte(tmp_path: Path) -> None:
    first, again = lived(tmp_path / "a.db", 7), lived(tmp_path / "b.db", 7)
    assert first == again
    assert len(first) > 500


def test_another_seed_lives_another_life(tmp_path: Path) -> None:
    assert lived(tmp_path / "a.db", 7) != lived(tmp_path / "b.db", 8)


def test_nobody_works_on_a_holiday_or_at_night() -> None:
    chance = Random(1)
    for day in range(400):
        at = office_time(chance, START + timedelta(days=day, hours=day % 24))
        local = at.astimezone(ZONE)
        assert local.weekday() < 5
        assert 8 <= local.hour < 19
        assert not (date(2024, 2, 9) <= local.date() <= date(2024, 2, 17))


def test_the_invented_people_are_two_teams_and_sixty_customers() -> None:
    assert Counter(rep.team for rep in REPS) == {"east": 4, "south": 4}
    assert len({company.name for company in CUSTOMERS}) == len(CUSTOMERS) >= 60
    assert {company.currency for company in CUSTOMERS} == {"CNY", "USD", "EUR"}
