"""A database of the first schema becomes one of the newest: whole, or not at all."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from databases import Postgres, plain_connection
from lake.rows import content, tell
from salesflow import SalesFlow
from salesflow.adapters.database import upgrade as upgrading
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.upgrade import REST, partition_name, upgrade
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.domain.ids import new_id
from salesflow.errors import (
    AlreadyRecordedError,
    ConcurrentChangeError,
    DatabaseError,
    InputError,
    SchemaError,
)
from simulated import ran


@pytest.fixture
def first_schema(postgres_url: str) -> Iterator[SalesFlow]:
    """A log of two tenants in the first schema that was released."""
    with SalesFlow(postgres_url) as flow, SalesFlow(postgres_url, tenant="acme") as acme:
        tell(flow, 3)
        tell(acme, 2)
        for each in (flow, acme):
            each.catch_up()
        yield flow


def url_of(flow: SalesFlow) -> str:
    return flow.log.database.url.render_as_string(hide_password=False)


def events_of(flow: SalesFlow) -> list[object]:
    return [*flow.log.stored_page(0, 10_000)]


def refused(url: str, statement: str) -> bool:
    with plain_connection(url) as connection:
        try:
            connection.execute(statement)
        except psycopg.errors.RestrictViolation:
            return True
    return False


def version_of(url: str) -> int:
    with plain_connection(url) as connection:
        [(version,)] = connection.execute("SELECT version FROM salesflow_schema").fetchall()
    return int(version)


def test_an_upgrade_changes_no_event_and_no_row(first_schema: SalesFlow) -> None:
    flow, url = first_schema, url_of(first_schema)
    with SalesFlow(url, tenant="acme") as acme:
        before = [(events_of(each), content(each)) for each in (flow, acme)]
        made = upgrade(flow.log.database, ["acme"])
        assert (made.before, made.after) == (3, 4)
        assert made.partitions == {
            REST: "DEFAULT",
            partition_name("acme"): "FOR VALUES IN ('acme')",
        }
        assert [(events_of(each), content(each)) for each in (flow, acme)] == before
        assert flow.check().problems == acme.check().problems == ()


def test_programs_that_have_it_open_go_on_recording(first_schema: SalesFlow) -> None:
    flow = first_schema
    url = url_of(flow)
    with SalesFlow(url, tenant="acme") as acme, SalesFlow(url, tenant="new") as new:
        upgrade(flow.log.database, ["acme", "new"])
        for each in (flow, acme, new):
            position = each.log.head().position
            tell(each, 1)
            each.catch_up()
            kept = content(each)
            each.rebuild()
            assert content(each) == kept
            assert each.log.head().position == position + 4
            assert each.check().problems == ()


def test_every_promise_of_the_log_holds_in_every_partition(first_schema: SalesFlow) -> None:
    flow = first_schema
    url = url_of(flow)
    upgrade(flow.log.database, ["large"])
    with Database(url) as database:
        for tenant in ("small", "large"):
            log = EventLog(database, tenant=tenant, catalogue=UNCHECKED)
            stream = uuid4()
            draft = NewEvent(stream, 1, "deal.unheard_of:1", b"{}", new_id(), None)
            receipt = log.append([draft], command_id="once")
            assert receipt.first == log.head().position
            with pytest.raises(AlreadyRecordedError):
                log.append([draft._replace(version=2)], command_id="once")
            with pytest.raises(ConcurrentChangeError):
                log.append([draft._replace(event_id=new_id())], command_id="twice")
            assert log.head().position == receipt.last
    for table in ("salesflow_events", REST, partition_name("large")):
        assert refused(url, f"UPDATE {table} SET actor = 'x'")
        assert refused(url, f"DELETE FROM {table}")
        assert refused(url, f"TRUNCATE {table}")
        replica = f"SET session_replication_role = replica; DELETE FROM {table}"
        assert refused(url, replica)


def test_an_upgrade_that_fails_leaves_the_first_schema(
    first_schema: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = first_schema
    before = events_of(flow)
    run = upgrading._run

    def fail(connection: sa.Connection, *statements: str) -> None:
        run(connection, *statements, "SELECT nothing FROM nowhere")

    with monkeypatch.context() as patch:
        patch.setattr(upgrading, "_run", fail)
        with pytest.raises(DatabaseError):
            upgrade(flow.log.database)
    assert events_of(flow) == before
    assert version_of(url_of(flow)) == 3
    assert upgrade(flow.log.database).after == 4


def test_what_was_granted_stays_granted_and_nothing_else(first_schema: SalesFlow) -> None:
    flow = first_schema
    url = url_of(flow)
    role = f"reader_{uuid4().hex[:8]}"
    with plain_connection(url) as connection:
        connection.execute(f"CREATE ROLE {role}")
        connection.execute(f"GRANT SELECT ON salesflow_events, salesflow_event_view TO {role}")
    try:
        upgrade(flow.log.database, ["acme"])
        with plain_connection(url) as connection:
            asked = "SELECT has_table_privilege(%s, %s, %s)"
            for table, privilege, may in (
                ("salesflow_events", "SELECT", True),
                ("salesflow_event_view", "SELECT", True),
                ("salesflow_events", "INSERT", False),
                ("salesflow_events", "DELETE", False),
            ):
                [(found,)] = connection.execute(asked, (role, table, privilege)).fetchall()
                assert found is may
    finally:
        with plain_connection(url) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_views_of_others_on_the_log_are_named_before_anything_is_done(
    first_schema: SalesFlow,
) -> None:
    flow = first_schema
    url = url_of(flow)
    with plain_connection(url) as connection:
        connection.execute("CREATE VIEW mine AS SELECT count(*) FROM salesflow_events")
    with pytest.raises(SchemaError, match="mine lean on salesflow_events"):
        upgrade(flow.log.database)
    assert version_of(url) == 3


def test_an_upgrade_can_be_run_again(first_schema: SalesFlow) -> None:
    flow = first_schema
    first = upgrade(flow.log.database, ["acme"])
    again = upgrade(flow.log.database, ["acme", "acme"])
    assert (again.before, again.after) == (4, 4)
    assert again.partitions == first.partitions


def test_the_command_says_what_it_did(first_schema: SalesFlow) -> None:
    url = url_of(first_schema)
    told = ran("upgrade", "--db", url, "--partition", "acme")
    assert (told.code, told.err) == (0, "")
    assert "schema version 3, now 4" in told.out
    assert "FOR VALUES IN ('acme')" in told.out
    assert "the newest one" in ran("upgrade", "--db", url).out
    assert ran("upgrade", "--db", url, "--partition", "a b").code == 2


def test_sqlite_has_nothing_to_upgrade_and_no_partitions(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        made = upgrade(flow.log.database)
        assert (made.before, made.after, made.partitions) == (3, 3, {})
        with pytest.raises(InputError, match="give a tenant its own file"):
            upgrade(flow.log.database, ["acme"])


def test_long_names_of_tenants_have_partitions_of_their_own(postgres: Postgres) -> None:
    names = ["a" * 64, "a" * 63 + "b", "A.b-c", "a_b_c"]
    assert len({partition_name(name) for name in names}) == 4
    assert all(len(partition_name(name)) < 64 for name in names)
    with postgres.database() as url, Database(url) as database:
        made = upgrade(database, names)
        assert len(made.partitions) == 5
