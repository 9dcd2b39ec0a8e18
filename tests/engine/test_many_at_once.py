"""Many at once: everybody gets through, and what is closed stays closed."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from threading import Barrier
from uuid import UUID

import pytest
import sqlalchemy as sa

from salesflow import STANDARD, Deal, ExternalEvent, SalesFlow, Session
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.errors import ConcurrentChangeError, DatabaseError, InputError

THREADS = 24


def test_everybody_who_runs_a_command_on_the_same_deal_gets_through(database_url: str) -> None:
    with SalesFlow(database_url) as flow, ThreadPoolExecutor(THREADS) as pool:
        with flow.session() as s:
            deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        together = Barrier(THREADS)

        def call(number: int) -> None:
            together.wait()
            flow.run(
                lambda s: s.get(Deal, deal.id).log_contact(channel="call", direction="out"),
                command_id=f"call-{number}",
            )

        list(pool.map(call, range(THREADS)))
        assert flow.get(Deal, deal.id).contact_count == THREADS


def test_a_command_that_always_meets_others_ends_in_an_error(flow: SalesFlow) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    tried = []

    def call(s: Session) -> None:
        s.get(Deal, deal.id).log_contact(channel="call", direction="in")

    with ThreadPoolExecutor(1) as somebody:

        def late(s: Session) -> None:
            tried.append(s)
            call(s)
            somebody.submit(flow.run, call).result()

        for attempts in (1, 3, 6):
            tried.clear()
            with pytest.raises(ConcurrentChangeError, match="since it was loaded"):
                flow.run(late, attempts=attempts)
            assert len(tried) == attempts


def test_what_few_events_come_to_is_written_for_all_tables_at_once(flow: SalesFlow) -> None:
    commits = list[sa.Connection]()
    sa.event.listen(flow.log.database.engine, "commit", commits.append)
    for opened in (1, 2):
        flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
        flow.catch_up()
        if opened == 1:  # the tables were made and begun with it
            commits.clear()
    head = flow.log.head().position
    assert {stand.position for stand in flow.standings().values()} == {head}
    assert len(commits) == 1


def test_what_is_closed_records_and_reads_nothing(database_url: str) -> None:
    flow = SalesFlow(database_url)
    flow.close()
    with pytest.raises(DatabaseError, match="closed"), flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    with pytest.raises(DatabaseError, match="closed"):
        flow.run(lambda _: None)
    with pytest.raises(DatabaseError, match="closed"), flow.session():
        pass


@pytest.mark.parametrize("carry", [pickle.dumps, copy, deepcopy])
def test_what_belongs_to_an_engine_is_not_carried_elsewhere(
    flow: SalesFlow, carry: Callable[[object], object]
) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        with pytest.raises(InputError, match="a session cannot be pickled or copied"):
            carry(s)
        with pytest.raises(InputError, match="pass its id on"):
            carry(deal)
    with pytest.raises(InputError, match="open one there by its URL"):
        carry(flow)


def test_an_id_that_is_none_is_refused_in_words(flow: SalesFlow) -> None:
    for wrong in ("4f", "4f5e0c80-0000-4000-8000-000000000000"):
        with pytest.raises(InputError, match="pass a UUID"):
            flow.get(Deal, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("inner", ["run", "session", "record"])
def test_what_a_run_has_loaded_is_not_changed_by_another_session_within_it(
    flow: SalesFlow, inner: str
) -> None:
    with flow.session() as s:
        new = [s.add(Deal.open(STANDARD, title="ERP", owner="ann")) for _ in range(2)]
    deal, other = [each.id for each in new]
    head = flow.log.head().position

    def log_call(s: Session, id: UUID) -> None:
        s.get(Deal, id).log_contact(channel="call", direction="in")

    def call(id: UUID) -> None:
        if inner == "run":
            flow.run(lambda s: log_call(s, id))
        elif inner == "record":
            flow.record([ExternalEvent(id, OwnerAssigned(owner="bob"))])
        else:
            with flow.session() as s:
                log_call(s, id)

    def nested(s: Session, id: UUID) -> None:
        log_call(s, deal)
        call(id)

    with pytest.raises(InputError, match="hand its session on"):
        flow.run(lambda s: nested(s, deal))
    assert flow.log.head().position == head
    flow.run(lambda s: nested(s, other))  # which is about something else
    assert flow.log.head().position == head + 2
    call(deal)  # after the run
    assert flow.log.head().position == head + 3
