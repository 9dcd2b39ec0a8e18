"""Which processes there are is found without walking the log, however long it is."""

import sqlalchemy as sa

from salesflow import STANDARD, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema import PUBLISHES_PROCESS, events
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.domain.process import ProcessPublished


def test_events_that_publish_a_process_are_found_by_their_index(database: Database) -> None:
    select = sa.select(events.c.stream_id).where(events.c.tenant == "main", PUBLISHES_PROCESS)
    text = select.compile(database.engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    with database.read() as connection:
        if database.dialect == "postgresql":  # which else walks a table of no rows
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"{explain} {text}").all()
    assert "salesflow_events_processes" in str(plan)


def test_the_index_is_of_the_events_that_publish_a_process(database_url: str) -> None:
    topics = [f"{ProcessPublished.kind}:{n + 1}" for n in range(ProcessPublished.version)]
    assert str(PUBLISHES_PROCESS) == f"topic IN ({str(topics)[1:-1]})"
    with SalesFlow(database_url) as flow, flow.log.database.read() as connection:
        assert PublishedProcesses(flow.log).process_keys(connection) == [STANDARD.key]
