"""A deal names a process version that was published before it, and is not out of use."""

import sqlite3
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from given import PLAIN, opened
from salesflow import STANDARD, Deal, ExternalEvent, Funnel, SalesFlow, SalesProcess
from salesflow.domain.deal.stages import DealMigrated
from salesflow.domain.process import process_id
from salesflow.errors import InputError, NotFoundError, RuleError

MAY = datetime(2026, 5, 1, tzinfo=UTC)
NEXT = STANDARD.model_copy(update={"version": 2})


def publish_next(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.get(SalesProcess, process_id("standard")).publish_version(NEXT)


def retire_first(flow: SalesFlow) -> None:
    publish_next(flow)
    with flow.session() as s:
        process = s.get(SalesProcess, process_id("standard"))
        process.retire(1, because="version 2 is better")


def url_of(flow: SalesFlow) -> str:
    return flow.log.database.url.render_as_string(hide_password=False)


def new_deal(flow: SalesFlow, occurred_at: datetime | None = None) -> UUID:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=occurred_at))
    return deal.id


def test_no_deal_is_opened_under_a_process_that_was_never_published(flow: SalesFlow) -> None:
    with (
        pytest.raises(InputError, match="'plain' version 1 has not been published"),
        flow.session() as s,
    ):
        s.add(Deal.open(PLAIN, title="ERP", owner="ann"))
    assert flow.log.head().position == 2


def test_no_history_is_reopened_under_a_process_that_was_never_published(
    flow: SalesFlow,
) -> None:
    id = new_deal(flow)
    with (
        pytest.raises(InputError, match="'plain' version 1 has not been published"),
        flow.session() as s,
    ):
        s.retract(flow.history(id)[0].event_id, because="wrong process")
        s.reopen_history(id, opened(PLAIN))
    assert len(flow.history(id)) == 1


def test_a_process_may_be_published_in_the_same_session_but_before_its_deals(
    flow: SalesFlow,
) -> None:
    with flow.session() as s:
        s.add(SalesProcess.publish(PLAIN))
        s.add(Deal.open(PLAIN, title="ERP", owner="ann"))
    late = PLAIN.model_copy(update={"key": "late"})
    with (
        pytest.raises(InputError, match="'late' version 1 has not been published"),
        flow.session() as s,
    ):
        s.add(Deal.open(late, title="ERP", owner="ann"))
        s.add(SalesProcess.publish(late))


def test_a_process_published_in_the_callers_transaction_counts_there(flow: SalesFlow) -> None:
    with flow.log.database.engine.begin() as connection:
        with flow.session(connection=connection) as s:
            s.add(SalesProcess.publish(PLAIN))
        with flow.session(connection=connection) as s:
            deal = s.add(Deal.open(PLAIN, title="ERP", owner="ann"))
        connection.execute(sa.text("SELECT 1"))
    assert flow.get(Deal, deal.id).process_in_force == PLAIN


def test_a_process_that_the_caller_rolled_back_does_not_count(flow: SalesFlow) -> None:
    with flow.log.database.engine.connect() as connection:
        with flow.session(connection=connection) as s:
            s.add(SalesProcess.publish(PLAIN))
        with flow.session(connection=connection) as s:
            s.add(Deal.open(PLAIN, title="ERP", owner="ann"))
        connection.rollback()
        with (
            pytest.raises(InputError, match="'plain' version 1 has not been published"),
            flow.session(connection=connection) as s,
        ):
            s.add(Deal.open(PLAIN, title="ERP", owner="ann"))


def test_a_process_is_read_once_for_all_transactions_of_callers(sqlite_url: str) -> None:
    process, said = process_id("standard"), list[str]()
    with SalesFlow(sqlite_url) as flow:
        deal = new_deal(flow)
    with SalesFlow(sqlite_url) as flow, flow.log.database.engine.connect() as connection:
        raw: object = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_trace_callback(said.append)
        for _ in range(2):
            with flow.session(connection=connection) as s:
                s.get(Deal, deal).log_contact(channel="call", direction="out")
    read = [each for each in said if each.startswith("SELECT topic")]
    assert [id for id in (deal, process) for each in read if id.hex in each] == [deal, deal]


def test_an_import_names_published_processes_in_the_order_of_the_log(flow: SalesFlow) -> None:
    deal, publishing = uuid4(), SalesProcess.publish(PLAIN)
    published = ExternalEvent(publishing.id, publishing.pending[0].fact)
    told = ExternalEvent(deal, opened(PLAIN))
    for facts in ([told], [told, published]):
        with pytest.raises(InputError, match="'plain' version 1 has not been published"):
            flow.record(facts)
    migrated = DealMigrated(process="plain", process_version=2)
    with pytest.raises(InputError, match="'plain' version 2 has not been published"):
        flow.record([published, told, ExternalEvent(deal, migrated)])
    flow.record([published, told])
    assert flow.get(Deal, deal).process_in_force == PLAIN


def test_no_new_deal_is_opened_under_a_retired_version(flow: SalesFlow) -> None:
    retire_first(flow)
    with pytest.raises(RuleError, match=r"version 1 of process 'standard' is retired.*use: 2"):
        new_deal(flow)
    with pytest.raises(RuleError, match="is retired"), flow.session() as s:
        s.get(SalesProcess, process_id("standard")).retire(2, because="no more")
        s.add(Deal.open(NEXT, title="ERP", owner="ann"))
    [in_use] = flow.get(SalesProcess, process_id("standard")).in_use
    with flow.session() as s:
        s.add(Deal.open(in_use, title="ERP", owner="ann"))


def test_the_newest_version_in_use_is_the_last_one(flow: SalesFlow) -> None:
    flow.run(lambda s: s.get(SalesProcess, process_id("standard")))
    retire_first(flow)
    third = NEXT.model_copy(update={"version": 3})
    with flow.session() as s:
        s.get(SalesProcess, process_id("standard")).publish_version(third)
    versions = flow.get(SalesProcess, process_id("standard")).in_use
    assert [each.version for each in versions] == [2, 3]


def test_a_deal_opened_before_its_version_was_retired_may_be_told_late(
    flow: SalesFlow,
) -> None:
    flow.run(lambda s: s.get(SalesProcess, process_id("standard")))
    retire_first(flow)
    assert flow.get(Deal, new_deal(flow, occurred_at=MAY)).stage == "prospecting"


def test_a_retirement_that_was_a_mistake_hinders_nobody(flow: SalesFlow) -> None:
    retire_first(flow)
    [*_, retired] = flow.history(process_id("standard"))
    with flow.session() as s:
        s.retract(retired.event_id, because="version 2 is not ready")
    new_deal(flow)


def test_deals_under_a_retired_version_go_on_and_imports_may_still_name_it(
    flow: SalesFlow,
) -> None:
    old, told = new_deal(flow), uuid4()
    retire_first(flow)
    with flow.session() as s:
        s.get(Deal, old).log_contact(channel="call", direction="out")
        s.get(Deal, old).advance(because="they want to talk")
    opening = flow.history(old)[0].fact
    flow.record([ExternalEvent(told, opening)])
    with flow.session() as s:
        s.retract(flow.history(old)[0].event_id, because="wrong owner")
        s.reopen_history(old, opening.model_copy(update={"owner": "bob"}), occurred_at=MAY)
    assert flow.get(Deal, old).owner == "bob"
    assert flow.get(Deal, told).process_version == 1


def test_a_retirement_by_another_process_is_noticed(flow: SalesFlow) -> None:
    new_deal(flow)
    with SalesFlow(url_of(flow)) as other:
        retire_first(other)
    with pytest.raises(RuleError, match="is retired"):
        new_deal(flow)


def test_a_process_published_meanwhile_is_named_where_one_is_misspelt(flow: SalesFlow) -> None:
    new_deal(flow)
    late = PLAIN.model_copy(update={"key": "late"})
    for published, named in ((None, "standard"), (PLAIN, "plain, standard"), (late, "late, p")):
        if published is not None:
            with SalesFlow(url_of(flow)) as other, other.session() as s:
                s.add(SalesProcess.publish(published))
        for _ in range(2):
            with pytest.raises(NotFoundError, match=f"no process 'typo'; there are {named}"):
                flow.ask(Funnel(process="typo"))
