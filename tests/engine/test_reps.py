"""Reps in a database: found by the id that deals name, joined once, planned for later."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from salesflow import Rep, SalesFlow, Team
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.team import team_id
from salesflow.errors import InputError, NotFoundError, RuleError

MAY = datetime(2026, 5, 4, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.now = MAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flow(database_url: str, clock: Clock) -> Iterator[SalesFlow]:
    """An engine with team east and its rep ann."""
    with SalesFlow(database_url, timezone="Asia/Shanghai", clock=clock) as flow:
        with flow.session(actor="hr-1") as session:
            east = session.add(Team.form("east", name_en="East", name_zh="华东"))
            session.add(Rep.join("ann", team=east, name="Ann Li", occurred_at=date(2026, 5, 1)))
        yield flow


def test_a_rep_is_found_by_the_id_that_deals_name_as_owner(flow: SalesFlow) -> None:
    with flow.session() as session:
        session.get(Rep, rep_id("ann")).move("south", effective_from=date(2026, 7, 1))
    assert flow.get(Rep, rep_id("ann")).team == "east"
    assert flow.get(Rep, rep_id("ann"), as_of="2026-06-30").team == "east"
    assert flow.get(Rep, rep_id("ann"), as_of="2026-07-01").team == "south"
    assert flow.get(Team, team_id("east")).name("zh") == "华东"


def test_a_rep_joins_once(flow: SalesFlow) -> None:
    with pytest.raises(InputError, match="was recorded at"), flow.session() as session:
        session.add(Rep.join("ann", team="south", name="Ann Li"))
    with pytest.raises(RuleError, match="is in team 'east' already"), flow.session() as s:
        s.get(Rep, rep_id("ann")).rejoin("south")
    with pytest.raises(InputError, match="in this session already"), flow.session() as s:
        s.get(Rep, rep_id("ann"))
        s.add(Rep.join("ann", team="south", name="Ann Li"))


def test_who_joins_by_plan_is_there_from_that_day(flow: SalesFlow, clock: Clock) -> None:
    with flow.session() as session:
        session.add(Rep.join("bob", team="east", name="Bob", effective_from=JULY))
    with pytest.raises(NotFoundError, match="no rep"), flow.session() as session:
        session.get(Rep, rep_id("bob"))
    clock.now = JULY
    with flow.session() as session:
        assert session.get(Rep, rep_id("bob")).team == "east"


def test_a_plan_to_join_is_taken_back_and_made_anew(flow: SalesFlow) -> None:
    with flow.session() as session:
        session.add(Rep.join("bob", team="east", name="Bob", effective_from=JULY))
    planned = flow.history(rep_id("bob"))[0].event_id
    with flow.session() as session:
        session.retract(planned, because="he can start now")
        session.reopen_history(rep_id("bob"), RepJoined(rep="bob", team="south", name="Bob"))
    assert flow.get(Rep, rep_id("bob")).team == "south"


def test_a_rep_who_left_comes_back_in_another_team(flow: SalesFlow, clock: Clock) -> None:
    with flow.session() as session:
        session.get(Rep, rep_id("ann")).leave(because="a year off")
    clock.now = JULY
    with flow.session() as session:
        session.get(Rep, rep_id("ann")).rejoin("south")
    ann = flow.get(Rep, rep_id("ann"))
    assert (ann.team, ann.name, ann.irregular) == ("south", "Ann Li", ())
    assert flow.get(Rep, rep_id("ann"), as_of="2026-06-01").team is None
