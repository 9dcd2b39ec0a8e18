"""A fold that failed for a while and is tried again, after more was recorded."""

from collections.abc import Iterable
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from properties.people_fold import PEOPLE
from properties.raw_log import rows_of
from salesflow import STANDARD, ExternalEvent, SalesFlow
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.projector.runner import Runner
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, Fact
from salesflow.domain.time import DAY, FOREVER
from salesflow.errors import ProjectionError
from salesflow.projections.table import Change, IntervalFold, IntervalTable

START = 1_735_689_600_000_000
OWNERS = IntervalTable("owners_of_this_test", 1, attributes=(sa.Column("owner", sa.Text),))


class Weather:
    """Whether it storms, when nothing can be told of Bob."""

    def __init__(self) -> None:
        self.storms = True


class OwnerState:
    """Whose a deal is, fact by fact."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather

    def apply(self, event: Event) -> Iterable[Change]:
        fact = event.fact
        if not isinstance(fact, DealOpened | OwnerAssigned):
            return ()
        if fact.owner == "bob" and self._weather.storms:
            raise ValueError("it storms")
        return (((), (fact.owner,)),)


def record(flow: SalesFlow, deal: UUID, day: int, owner: str, *, opens: bool = False) -> None:
    fact: Fact = OwnerAssigned(owner=owner)
    if opens:
        stage = STANDARD.open_stages[0].key
        named = {"process": STANDARD.key, "process_version": 1, "stage": stage}
        fact = DealOpened.model_validate({**named, "title": "ERP", "owner": owner})
    flow.record([ExternalEvent(deal, fact, START + day * DAY)])


def test_a_fold_that_is_tried_again_sees_what_was_told_late_meanwhile(
    database_url: str,
) -> None:
    weather, deal, other = Weather(), uuid4(), uuid4()
    with SalesFlow(database_url) as flow:
        fold = IntervalFold(OWNERS, PEOPLE.facts, lambda _: OwnerState(weather))
        runner = Runner(flow.log, {OWNERS.name: fold}, PublishedProcesses(flow.log))
        record(flow, deal, 0, "ann", opens=True)
        record(flow, deal, 9, "cid")
        record(flow, deal, 3, "dan")  # told late
        record(flow, other, 0, "bob", opens=True)
        with pytest.raises(ProjectionError, match="it storms"):
            runner.catch_up()
        weather.storms = False
        record(flow, deal, 6, "eve")  # told late
        runner.catch_up()
        days = sorted(
            ((row["valid_from"] - START) // DAY, row["owner"])
            for row in rows_of(flow, OWNERS.name)
            if row["owner"] != "bob" and row["known_to"] == FOREVER
        )
        assert days == [(0, "ann"), (3, "dan"), (6, "eve"), (9, "cid")]
