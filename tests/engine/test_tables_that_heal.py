"""Read tables that do not agree with the log, or are not there: named, and made again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Event as Flag
from threading import Thread
from uuid import UUID, uuid4

import pytest

from databases import plain_connection, reseal, tamper
from properties.raw_log import rows_of
from salesflow import STANDARD, Deal, ExternalEvent, Money, SalesFlow
from salesflow.adapters.projector import balances as balancing
from salesflow.adapters.projector import catching_up
from salesflow.adapters.projector import entity_updates as refolding
from salesflow.adapters.projector import projection_task as projecting
from salesflow.adapters.projector.balances import Balancer
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealOpened
from salesflow.engine.worker import CaughtUp
from salesflow.errors import HistoryError, ProjectionError, ReplacedError
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.registry import FOLDS
from simulated import ran

WAIT_SECONDS = 60
DEALS = 3


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    """Three open deals, in tables that stand at the head."""
    with SalesFlow(database_url) as flow:
        for _ in range(DEALS):
            opened(flow)
        flow.catch_up()
        yield flow


def opened(flow: SalesFlow) -> UUID:
    with flow.session() as s:
        deal = Deal.open(STANDARD, title="ERP", owner="ann", amount=Money("7", "EUR"))
        return s.add(deal).id


def url_of(flow: SalesFlow) -> str:
    return flow.log.database.url.render_as_string(hide_password=False)


@contextmanager
def tampering(flow: SalesFlow) -> Iterator[list[str]]:
    """Collect statements, and do them with no trigger in the way."""
    statements: list[str] = []
    yield statements
    tamper(url_of(flow), *statements)


def remove_tail(flow: SalesFlow) -> None:
    """Take the last event away, as an administrator does to undo it."""
    head = flow.log.head().position
    with tampering(flow) as statements:
        statements.append(f"DELETE FROM salesflow_events WHERE position = {head}")
        if flow.log.database.dialect == "postgresql":
            statements.append(
                "UPDATE salesflow_head SET position = e.position, recorded = e.recorded FROM"
                " (SELECT position, recorded FROM salesflow_events ORDER BY position DESC"
                " LIMIT 1) AS e"
            )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (DEAL_STATE.name, "ask"),
        (PIPELINE.name, "catch_up"),
        (f"{PIPELINE.name}_balance", "ask"),
        (DEAL_STATE.name, "rebuild"),
    ],
)
def test_a_table_that_is_missing_is_made_again(flow: SalesFlow, name: str, how: str) -> None:
    before = flow.ask(Funnel())
    tables = [DEAL_STATE.name, PIPELINE.name]
    kept = [sorted(map(repr, rows_of(flow, each))) for each in tables]
    with tampering(flow) as statements:
        cascade = "" if flow.log.database.dialect == "sqlite" else " CASCADE"
        statements.append(f"DROP TABLE {name}{cascade}")
    if how == "ask":
        flow.ask(Funnel())
    elif how == "catch_up":
        flow.catch_up()
    else:
        flow.rebuild()
    assert flow.ask(Funnel()).stages == before.stages
    flow.catch_up()
    assert [sorted(map(repr, rows_of(flow, each))) for each in tables] == kept
    with SalesFlow(url_of(flow)) as other:
        assert other.ask(Funnel()).open_deals == DEALS


def test_a_view_and_an_index_that_are_missing_are_made_again(flow: SalesFlow) -> None:
    shown = "SELECT count(*) FROM salesflow_deal_state"
    with plain_connection(url_of(flow)) as connection:
        index = f"{PIPELINE.name}_recorded"
        connection.execute("DROP VIEW salesflow_deal_state")
        connection.execute(f"DROP INDEX {index}")
        flow.ask(Funnel())
        assert connection.execute(shown).fetchall() == [(DEALS,)]
        connection.execute(f"DROP INDEX {index}")  # which fails where there is none


def test_a_position_that_nobody_knows_any_more_is_begun_anew(flow: SalesFlow) -> None:
    before = flow.ask(Funnel())
    with tampering(flow) as statements:
        statements.append("DELETE FROM salesflow_projections")
    assert flow.ask(Funnel()).stages == before.stages


@pytest.mark.parametrize("further", [0, 1, 3])
def test_a_table_beyond_the_head_is_named_by_every_command_and_a_rebuild_heals_it(
    flow: SalesFlow, database_url: str, further: int
) -> None:
    remove_tail(flow)
    said = r"read table \w+ stands at position 5, .* `salesflow rebuild \w+`"
    with SalesFlow(database_url) as anew:
        for _ in range(further):  # the position freed is taken by another event
            opened(anew)
        with pytest.raises(ProjectionError, match=said):
            anew.ask(Funnel())
        with pytest.raises(ProjectionError, match=said):
            anew.catch_up()
        told = followed(anew)
        assert {"deal_state", "pipeline"} <= told.failed.keys()
        anew.rebuild()
        assert anew.ask(Funnel()).open_deals == DEALS - 1 + further
        assert followed(anew).failed == {}


def test_a_log_that_goes_back_while_it_is_open_is_named_by_every_command(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        flow.ask(Funnel())
        remove_tail(flow)
        before = flow.log.page(0, 10)
        for use in (
            lambda: opened(flow),
            lambda: flow.ask(Funnel()),
            flow.catch_up,
            flow.rebuild,
            lambda: opened(flow),
        ):
            with pytest.raises(
                ReplacedError, match=r"stood at position 3, and stands at 2 now"
            ):
                use()
        assert flow.log.page(0, 10) == before


def followed(flow: SalesFlow) -> CaughtUp:
    """Give what a follower tells first."""
    stop, told = Flag(), Queue[CaughtUp]()

    def tell(found: CaughtUp) -> None:
        told.put(found)
        stop.set()

    flow.follow(stop=stop, on_caught_up=tell)
    return told.get(timeout=WAIT_SECONDS)


def test_a_server_that_lost_a_commit_is_followed_by_who_had_folded_it(
    postgres_url: str,
) -> None:
    """Put back all tables as they stood, let another engine go on, then ask the first one."""
    with SalesFlow(postgres_url) as survivor:
        deal = opened(survivor)
        assert owners_and_amounts(survivor) == [("ann", 7)]
        with plain_connection(postgres_url) as connection:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT relname FROM pg_class WHERE relkind = 'r'"
                    " AND relname LIKE 'salesflow%' AND pg_table_is_visible(oid)"
                ).fetchall()
            ]
            for name in names:
                connection.execute(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
            connection.commit()
            survivor.run(lambda s: s.get(Deal, deal).forecast(amount=Money(700, "EUR")))
            assert owners_and_amounts(survivor) == [("ann", 700)]
            for name in names:
                connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER ALL")
                connection.execute(f"DELETE FROM {name}")
                connection.execute(f"INSERT INTO {name} SELECT * FROM kept_{name}")
                connection.execute(f"DROP TABLE kept_{name}")
                connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER ALL")
            connection.commit()
        with SalesFlow(postgres_url) as other:
            other.run(lambda s: s.get(Deal, deal).assign_owner("bob"))
            assert owners_and_amounts(other) == [("bob", 7)]
            other.run(lambda s: s.get(Deal, deal).forecast(amount=Money(5, "EUR")))
            assert owners_and_amounts(survivor) == owners_and_amounts(other) == [("bob", 5)]
        assert [each.deals for each in survivor.ask(Funnel()).stages if each.deals] == [1]
        kinds = {each.kind for each in survivor.check(all=True).problems}
        assert kinds <= {"schema"}  # of the triggers, which were enabled otherwise


def owners_and_amounts(flow: SalesFlow) -> list[tuple[str | None, int]]:
    found = flow.ask(Funnel(by="owner"))
    return [(each.group, int(each.amounts[0].amount)) for each in found.stages if each.deals]


def test_a_rebuild_of_a_log_that_goes_back_ends(flow: SalesFlow, database_url: str) -> None:
    remove_tail(flow)
    with SalesFlow(database_url) as anew:
        assert anew.rebuild("deal_state") == {"deal_state": DEALS - 1}


@pytest.mark.parametrize("read_at_once", [1, 2, 3, 500])
def test_a_position_missing_in_the_middle_is_named(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(catching_up, "READ_EVENTS", read_at_once)
    with tampering(flow) as statements:
        statements.append("DELETE FROM salesflow_events WHERE position = 4")
    said = r"position 4 is missing from the log.*`salesflow check`"
    with pytest.raises(HistoryError, match=said):
        flow.rebuild()
    with tampering(flow) as statements:
        statements.append(f"DROP TABLE {DEAL_STATE.name} {cascade(flow)}")
    for read in (lambda: flow.ask(Funnel()), flow.catch_up, flow.rebuild):
        with pytest.raises(HistoryError, match=said):
            read()
    assert "position 4 is missing" in followed(flow).failed["deal_state"]


def cascade(flow: SalesFlow) -> str:
    return "" if flow.log.database.dialect == "sqlite" else "CASCADE"


def test_a_head_without_its_event_is_named(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        opened(flow)
        flow.catch_up()
        with tampering(flow) as statements:
            statements.append("DELETE FROM salesflow_events WHERE position = 3")
        for read in (lambda: flow.ask(Funnel()), flow.catch_up, flow.rebuild):
            with pytest.raises(HistoryError, match="stands at position 3, where there is no"):
                read()


@pytest.mark.parametrize("read_at_once", [1, 2, 3, 500])
def test_times_that_do_not_grow_are_named(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(catching_up, "READ_EVENTS", read_at_once)
    with tampering(flow) as statements:
        statements.append(
            "UPDATE salesflow_events SET recorded = recorded + 10000000000000"
            " WHERE position = 3"
        )
        statements.append(f"DROP TABLE {DEAL_STATE.name} {cascade(flow)}")
    with pytest.raises(HistoryError, match="position 3 cannot be read: it does not fit its"):
        flow.ask(Funnel())
    reseal(url_of(flow))
    with pytest.raises(HistoryError, match="position 4 was recorded before the one before it"):
        flow.ask(Funnel())


def test_versions_with_a_gap_are_named_by_who_reads_the_stream(flow: SalesFlow) -> None:
    deal = opened(flow)
    for _ in range(2):
        flow.run(lambda s: s.get(Deal, deal).log_contact(channel="call", direction="in"))
    head = flow.log.head().position
    with tampering(flow) as statements:
        statements.append(f"UPDATE salesflow_events SET version = 9 WHERE position = {head}")
    with pytest.raises(HistoryError, match=rf"stream {deal} has no version 3 after position"):
        flow.get(Deal, deal)


def test_a_rebuild_does_not_make_questions_of_the_same_engine_wait(flow: SalesFlow) -> None:
    """Ask in the middle of a rebuild, and go on with it only when the answer is there."""
    begun, answered = Flag(), Flag()
    asked: list[int] = []

    def halt(_done: int, _goal: int) -> None:
        begun.set()
        assert answered.wait(WAIT_SECONDS), "the question waits for the rebuild"

    worker = Thread(target=lambda: flow.rebuild(progress=halt))
    worker.start()
    assert begun.wait(WAIT_SECONDS)
    opened(flow)
    asked.append(flow.ask(Funnel()).open_deals)
    answered.set()
    worker.join(WAIT_SECONDS)
    assert not worker.is_alive()
    assert asked == [DEALS + 1] == [flow.ask(Funnel()).open_deals]


class Count:
    """Counts how often bins are begun, and how many movements a balance is summed from."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bins = 0
        right = Balancer._bin

        def bin_(*given: object) -> None:
            self.bins += 1
            right(*given)  # type: ignore[arg-type]

        patch.setattr(Balancer, "_bin", bin_)


def test_bins_in_which_nothing_changed_its_cell_are_made_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owners change forty bins long: nobody sums up the same movements twice."""
    monkeypatch.setattr(balancing, "BIN_MOVEMENTS", 4)
    monkeypatch.setattr(projecting, "BALANCES_EVERY", 0)
    count = Count(monkeypatch)
    with SalesFlow(database_url) as flow:
        deal, start = uuid4(), 1_735_689_600_000_000
        told = DealOpened(process=STANDARD.key, process_version=1, stage="negotiation")
        flow.record([ExternalEvent(deal, told, start)])
        for number in range(1, 41):
            owners = [OwnerAssigned(owner=f"rep-{each}") for each in range(4)]
            times = enumerate(owners, start + number * 10)
            flow.record([ExternalEvent(deal, owner, at) for at, owner in times])
        flow.catch_up()
        whole = 161 // 4
        assert flow.rebuild("pipeline") == {"pipeline": 161}
        assert whole <= count.bins <= 2 * whole + 4
        flow.record([ExternalEvent(deal, OwnerAssigned(owner="zoe"), start + 9_999)])
        before = count.bins
        assert flow.ask(Funnel()).open_deals == 1
        assert count.bins - before <= 1


def test_what_is_held_of_entities_is_bounded_and_changes_no_row(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold two deals at most, and streams of three events: the rows are those of a rebuild."""
    most = 2 * refolding.ENTITY_WEIGHT + 2
    monkeypatch.setattr(refolding, "CACHED_MAX", most)
    monkeypatch.setattr(projecting, "STREAM_EVENTS_MAX", 3)
    monkeypatch.setattr(catching_up, "PAGE_EVENTS", 17)
    with SalesFlow(sqlite_url) as flow:
        deals = [opened(flow) for _ in range(6)]
        start = flow.history(deals[0])[0].occurred
        for number in range(4):
            for deal in deals:
                owner = OwnerAssigned(owner=f"rep-{number}")
                late = max(flow.history(deal)[0].occurred, start) + 10 - number
                flow.record([ExternalEvent(deal, owner, late)])
            wrong = flow.history(deals[number])[-1].event_id
            with flow.session() as s:
                s.retract(wrong, because="mistyped")
        flow.catch_up()
        names = [fold.table.name for fold in FOLDS.values()]
        kept = [sorted(map(repr, rows_of(flow, name))) for name in names]
        for projection in flow._tables()._projections.values():
            assert projection.together is not None
            for numbers, folding in projection.together._foldings:
                updater = folding.updater
                weighed = [held.current_weight() for held in updater._cache.values()]
                assert updater._cached_weight == sum(weighed) <= most * len(numbers)
        flow.rebuild()
        assert [sorted(map(repr, rows_of(flow, name))) for name in names] == kept
        assert sum(map(len, kept)) > len(deals)


def test_status_names_what_does_not_agree(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        flow.catch_up()
        remove_tail(flow)
        told = ran("status", "--db", sqlite_url)
        assert told.code == 1
        assert "read table deal_state stands at position 3, beyond the head" in told.out
        assert json.loads(ran("status", "--json", "--db", sqlite_url).out)["problems"]
    with SalesFlow(sqlite_url) as flow:
        flow.rebuild()
        assert ran("status", "--db", sqlite_url).code == 0
        opened(flow)
        opened(flow)
    tamper(sqlite_url, "DELETE FROM salesflow_events WHERE position = 3")
    told = ran("status", "--db", sqlite_url)
    assert told.code == 1
    assert "the log holds 3 events, its head stands at 4" in told.out
