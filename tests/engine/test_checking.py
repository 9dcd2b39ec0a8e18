"""A check of log and read tables: it finds what was changed by hand, and nothing else."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from databases import plain_connection, reading_only, reseal
from databases import tamper as tamper_with
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, SalesFlow, Session
from salesflow.adapters.checks import check as checking
from salesflow.adapters.checks import check_tables as checking_tables
from salesflow.adapters.projector import balances as balancing
from salesflow.adapters.projector import projection_task as projecting
from salesflow.adapters.projector import rebuild as filling
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.event import Event
from salesflow.domain.settings import SETTINGS_ID
from salesflow.errors import DamagedError, HistoryError, SchemaError
from salesflow.projections.core.left_out import Checked
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import Funnel

DEALS = 6
HOUR = 3_600_000_000
Statements = list[str]


def live(flow: SalesFlow) -> None:
    for number in range(DEALS):
        with flow.session(command_id=f"open-{number}") as s:
            s.add(Customer.register(name=f"Acme {number}"))
            opened = Deal.open(STANDARD, title="ERP", owner="ann", amount=Money(7, "EUR"))
            deal = s.add(opened).id
        called(flow, deal)
        amounts = [ForecastGiven(amount=Money(number + each, "EUR")) for each in range(3)]
        at = flow.history(deal)[0].occurred
        flow.record([ExternalEvent(deal, fact, at + n) for n, fact in enumerate(amounts)])
        won_for_nine(flow, deal)
        if number % 2:
            won = flow.history(deal)[-1].event_id
            with flow.session() as s:
                s.retract(won, because="mistyped")
        flow.catch_up()


def called(flow: SalesFlow, deal: UUID) -> None:
    flow.run(lambda s: s.get(Deal, deal).log_contact(channel="call", direction="in"))


def won_for_nine(flow: SalesFlow, deal: UUID) -> None:
    flow.run(lambda s: s.get(Deal, deal).win(amount=Money(9, "EUR")))


def tamper(flow: SalesFlow, *statements: str) -> None:
    tamper_with(flow.log.database.url.render_as_string(hide_password=False), *statements)


def bytes_of(flow: SalesFlow, text: str) -> str:
    content = text.encode().hex()
    if flow.log.database.dialect == "sqlite":
        return f"x'{content}'"
    return f"decode('{content}', 'hex')"


def event(flow: SalesFlow, kind: str) -> Event:
    """Give the last event of a kind."""
    return next(e for e in reversed(flow.log.page(0, 1_000)) if e.fact.kind == kind)


def changes_a_payload(flow: SalesFlow) -> None:
    text = '{"amount":{"amount":"999200","currency":"EUR"}}'
    where = f"position = {event(flow, 'deal.forecast_given').position}"
    tamper(flow, f"UPDATE salesflow_events SET payload = {bytes_of(flow, text)} WHERE {where}")


def spoils_a_payload(flow: SalesFlow) -> None:
    where = f"position = {event(flow, 'deal.forecast_given').position}"
    tamper(flow, f"UPDATE salesflow_events SET payload = {bytes_of(flow, '{')} WHERE {where}")


def deletes_the_last_event(flow: SalesFlow) -> None:
    tamper(flow, f"DELETE FROM salesflow_events WHERE position = {flow.log.head().position}")


def deletes_an_event_in_the_middle(flow: SalesFlow) -> None:
    tamper(flow, "DELETE FROM salesflow_events WHERE position = 7")


def swaps_two_times(flow: SalesFlow) -> None:
    first, second = flow.log.page(9, 1)[0], flow.log.page(12, 1)[0]
    assert first.recorded < second.recorded
    tamper(
        flow,
        f"UPDATE salesflow_events SET recorded = {second.recorded} WHERE position = 10",
        f"UPDATE salesflow_events SET recorded = {first.recorded} WHERE position = 13",
    )


def leaves_a_gap_in_versions(flow: SalesFlow) -> None:
    where = f"position = {event(flow, 'deal.won').position}"
    tamper(flow, f"UPDATE salesflow_events SET version = version + 5 WHERE {where}")


def swaps_two_versions(flow: SalesFlow) -> None:
    won = event(flow, "deal.won")
    before = flow.history(won.stream_id)[won.version - 2]
    moved = "UPDATE salesflow_events SET version = {} WHERE position = {}"
    tamper(
        flow,
        moved.format(1_000, won.position),
        moved.format(won.version, before.position),
        moved.format(won.version - 1, won.position),
    )


def changes_an_actor_of_a_command(flow: SalesFlow) -> None:
    tamper(flow, "UPDATE salesflow_commands SET last = last + 1 WHERE command_id = 'open-3'")


def forgets_a_command(flow: SalesFlow) -> None:
    tamper(flow, "DELETE FROM salesflow_commands WHERE command_id = 'open-3'")


def changes_an_amount_of_a_read_table(flow: SalesFlow) -> None:
    tamper(flow, f"UPDATE {DEAL_STATE.name} SET amount = amount + 1 WHERE outcome = 'won'")


def changes_an_amount_of_a_ledger(flow: SalesFlow) -> None:
    tamper(flow, f"UPDATE {PIPELINE.name} SET entered_amount = 1 WHERE kind = 'created'")


def removes_a_row(flow: SalesFlow) -> None:
    tamper(flow, f"DELETE FROM {DEAL_STATE.name} WHERE outcome = 'won'")


def changes_a_bin(flow: SalesFlow) -> None:
    tamper(flow, f"UPDATE {PIPELINE.name}_balance SET amount = amount + 1 WHERE level = 0")


def changes_what_was_carried(flow: SalesFlow) -> None:
    tamper(flow, f"UPDATE {PIPELINE.name}_balance SET deals = deals + 1 WHERE level = 1")


def changes_a_span(flow: SalesFlow) -> None:
    tamper(flow, f"UPDATE {PIPELINE.name}_balance SET deals = deals + 1 WHERE level = 2")


def drops_a_read_table(flow: SalesFlow) -> None:
    cascade = "" if flow.log.database.dialect == "sqlite" else " CASCADE"
    tamper(flow, f"DROP TABLE {DEAL_STATE.name}{cascade}")


TAMPERED: dict[Callable[[SalesFlow], None], set[str]] = {
    changes_a_payload: {"rows"},
    spoils_a_payload: {"unreadable", "left_out"},
    deletes_an_event_in_the_middle: {"gap", "version"},
    swaps_two_times: {"time"},
    leaves_a_gap_in_versions: {"version"},
    swaps_two_versions: {"version"},
    changes_an_actor_of_a_command: {"command"},
    forgets_a_command: {"command"},
    changes_an_amount_of_a_read_table: {"rows"},
    changes_an_amount_of_a_ledger: {"rows", "balance"},
    removes_a_row: {"rows"},
    changes_a_bin: {"balance"},
    changes_what_was_carried: {"balance"},
    changes_a_span: {"balance"},
    drops_a_read_table: {"missing"},
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whatever_was_changed_by_hand_is_found(
    sqlite_url: str, how: Callable[[SalesFlow], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(sqlite_url, monkeypatch) as flow:
        how(flow)
        assert TAMPERED[how] <= kinds(flow.check())


def test_all_of_it_is_found_on_postgresql_too(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(postgres_url, monkeypatch) as flow:
        for how in (changes_a_bin, changes_an_amount_of_a_ledger, forgets_a_command):
            how(flow)
            assert TAMPERED[how] <= kinds(flow.check())
        for how in (leaves_a_gap_in_versions, spoils_a_payload, swaps_two_times):
            how(flow)
            assert TAMPERED[how] <= kinds(flow.check())
        deletes_the_last_event(flow)
        assert "head" in kinds(flow.check())


def small(url: str, patch: pytest.MonkeyPatch) -> SalesFlow:
    patch.setattr(balancing, "BIN_MOVEMENTS", 4)
    patch.setattr(balancing, "CARRY_ROWS", 6)
    patch.setattr(projecting, "BALANCES_EVERY", 0)
    patch.setattr(filling, "SLICE_EVENTS", 8)
    patch.setattr(checking_tables, "SAMPLE_SLICES", 100)
    flow = SalesFlow(url)
    live(flow)
    return flow


def kinds(found: Checked) -> set[str]:
    assert not found.whole
    for problem in found.problems:
        assert problem.where in problem.sentence()
        assert problem.where in problem.sentence("zh")
    return {problem.kind for problem in found.problems}


def test_nothing_is_wrong_with_a_log_and_tables_as_they_were_written(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(database_url, monkeypatch) as flow:
        told: list[tuple[int, int]] = []
        found = flow.check()
        for whole in (False, True):
            found = flow.check(all=whole, progress=lambda *at: told.append(at))
            assert (found.problems, found.more, found.whole) == ((), 0, True)
            assert found.position == flow.log.head().position
            assert (found.streams, found.streams_compared) == (2 * DEALS + 2, 2 * DEALS)
            assert found.bins_compared > 3
        assert max(told) == (2 * found.position,) * 2
        flow.rebuild()
        assert flow.check(all=True).whole


def test_a_log_of_which_nothing_was_asked_yet_is_whole(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        assert flow.check().whole
        flow.catch_up()
        assert flow.check().whole


def test_a_sample_says_how_many_streams_it_compared(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(sqlite_url, monkeypatch) as flow:
        monkeypatch.setattr(checking_tables, "SAMPLE_SLICES", 1)
        assert 0 < flow.check().streams_compared < flow.check(all=True).streams_compared


def test_many_problems_of_a_kind_are_counted_and_some_are_named(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(sqlite_url, monkeypatch) as flow:
        monkeypatch.setattr(checking, "NAMED_MAX", 2)
        changes_an_amount_of_a_ledger(flow)
        found = flow.check()
        named = [problem for problem in found.problems if problem.kind == "rows"]
        assert len(named) == 2
        assert found.more > 0


def test_a_table_behind_the_log_is_compared_where_it_stands(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(sqlite_url, monkeypatch) as flow:
        deal = event(flow, "deal.won").stream_id
        flow.run(lambda s: s.get(Deal, deal).log_contact(channel="call", direction="in"))
        assert flow.check(all=True).whole


def test_a_check_changes_nothing_and_needs_no_right_to_write(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        with flow.session() as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        flow.catch_up()
    with SalesFlow(reading_only(postgres_url)) as reading:
        assert reading.check(all=True).whole


def test_an_event_that_was_retracted_need_not_be_readable(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        live(flow)
        spoils_a_payload(flow)
        flow.rebuild()
        assert kinds(flow.check()) == {"unreadable"}
        with flow.session() as s:
            s.retract(event(flow, "fact.unreadable").event_id, because="spoiled")
        flow.catch_up()
        assert flow.check(all=True).whole


def test_a_trigger_that_is_switched_off_or_replaced_is_named(database_url: str) -> None:
    change, named = {
        "sqlite": (
            (
                "DROP TRIGGER salesflow_events_update",
                "CREATE TRIGGER salesflow_events_update BEFORE UPDATE ON salesflow_events"
                " BEGIN SELECT 1; END",
            ),
            ["trigger salesflow_events_update is another one"],
        ),
        "postgresql": (
            (
                "ALTER TABLE salesflow_events DISABLE TRIGGER salesflow_events_rows",
                "ALTER TABLE salesflow_commands ENABLE TRIGGER salesflow_commands_rows",
                "ALTER TABLE salesflow_head ENABLE REPLICA TRIGGER salesflow_head_update",
                "CREATE OR REPLACE FUNCTION salesflow_forward() RETURNS trigger"
                " LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            ),
            [
                "function salesflow_forward is another one",
                "trigger salesflow_events_rows is disabled",
                "trigger salesflow_commands_rows does not fire in every session"
                " (ENABLE ALWAYS)",
                "trigger salesflow_head_update is disabled",
            ],
        ),
    }[database_url.partition("+")[0].partition(":")[0]]
    with SalesFlow(database_url) as flow:
        with plain_connection(database_url) as connection:
            for statement in change:
                connection.execute(statement)
        found = flow.check()
        assert [each.where for each in found.problems] == named
        assert {each.kind for each in found.problems} == {"schema"}


STORE = ["salesflow_commands", "salesflow_events", "salesflow_head", "salesflow_schema"]


@pytest.mark.parametrize("table", STORE)
def test_a_table_of_the_store_that_was_dropped_is_named_by_whatever_meets_it(
    database_url: str, table: str
) -> None:
    here = database_url[: database_url.index(":")].partition("+")[0]
    if (table, here) == ("salesflow_head", "sqlite"):
        table = "salesflow_clock"  # which is the table behind that view
    with SalesFlow(database_url) as flow:
        flow.ask(Funnel())
        cascade = "" if here == "sqlite" else " CASCADE"
        tamper(flow, f"DROP TABLE {table}{cascade}")
        found = flow.check().problems
        assert (found[0].kind, found[0].where) == ("schema", f"table {table}")
        assert "from a backup" in found[0].sentence()
        uses: list[Callable[[], object]] = [
            lambda: flow.ask(Funnel()),
            flow.catch_up,
            flow.rebuild,
            lambda: flow.run(lambda s: s.add(Customer.register(name="A")), command_id="b"),
            lambda: SalesFlow(database_url),
        ]
        met = [error for use in uses if (error := refusal(use)) is not None]
        assert len(met) >= {"salesflow_schema": 4}.get(table, 5)
        for error in met:
            assert re.search(f"{table}.*dropped.*back from a backup", str(error))


def refusal(use: Callable[[], object]) -> str | None:
    """Say how it was refused; None where it was not, as it needs no such table."""
    try:
        use()
    except (DamagedError, SchemaError) as error:
        return str(error)
    return None


def test_where_the_read_tables_stand_is_found_out_again(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        live(flow)
        funnel = flow.ask(Funnel())
        cascade = "" if flow.log.database.dialect == "sqlite" else " CASCADE"
        tamper(flow, f"DROP TABLE salesflow_projections{cascade}")
        assert flow.ask(Funnel(), at=funnel.moment) == funnel
        assert flow.check(all=True).whole


def test_a_column_that_was_dropped_is_named(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        tamper(flow, "ALTER TABLE salesflow_commands DROP COLUMN fingerprint")
        found = flow.check().problems
        assert [each.where for each in found] == ["column salesflow_commands.fingerprint"]
        with pytest.raises(DamagedError, match=r"dropped or changed.*fingerprint.*backup"):
            flow.run(lambda s: s.add(Customer.register(name="A")), command_id="b")


def merge(absorbed: UUID, into: UUID, s: Session) -> None:
    s.get(Deal, absorbed).merge_into(s.get(Deal, into), because="the same")


def test_a_merge_stored_in_a_circle_is_named(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        deals = []
        for _ in range(3):
            with flow.session() as s:
                opened = Deal.open(STANDARD, title="ERP", owner="ann", amount=Money(7, "EUR"))
                deals.append(s.add(opened).id)
        for absorbed, into in pairwise(deals):
            flow.run(partial(merge, absorbed, into))
        assert flow.check().whole
        merged = event(flow, "deal.merged")
        text = merged.fact.model_dump_json().replace(str(deals[2]), str(deals[0]))
        where = f"position = {merged.position}"
        tamper(
            flow, f"UPDATE salesflow_events SET payload = {bytes_of(flow, text)} WHERE {where}"
        )
        reseal(flow.log.database.url.render_as_string(hide_password=False))
        found = [each for each in flow.check().problems if each.kind == "merge"]
        assert len(found) == 2
        assert f"deal {deals[0]} cannot be merged into" in found[0].where
        assert "that is a circle" in found[0].where
        assert "撤销" in found[0].sentence("zh")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        live(flow)
    with plain_connection(f"sqlite:///{path}") as connection:
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'salesflow_deal_state_1'"
        )
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with SalesFlow(f"sqlite:///{path}") as flow:
        found = flow.check().problems
        assert {each.kind for each in found} == {"damaged"}
        assert "put it back from a backup" in found[0].sentence()
        assert "从备份恢复" in found[0].sentence("zh")
        with pytest.raises(DamagedError, match=r"is damaged.*put the database back"):
            flow.rebuild("pipeline", "deal_state")


def test_a_stream_that_its_index_does_not_name_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}", timezone="Asia/Shanghai") as flow:
        flow.run(lambda s: s.add(Customer.register(name="Acme")))
    with plain_connection(f"sqlite:///{path}") as connection:
        [(size,)] = connection.execute("PRAGMA page_size")
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_master"
            " WHERE name = 'sqlite_autoindex_salesflow_events_2'"
        )
    content = bytearray(path.read_bytes())
    place = content.index(SETTINGS_ID.bytes, (page - 1) * size, page * size)
    content[place + 15] ^= 1
    path.write_bytes(content)
    with SalesFlow(f"sqlite:///{path}") as flow:
        assert {each.kind for each in flow.check().problems} == {"damaged"}
        with pytest.raises(HistoryError, match=r"settings.*salesflow check"):
            flow.ask(Funnel())


def test_a_missing_trigger_or_view_is_named(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        assert flow.check().whole
        here = flow.log.database.dialect
        trigger, table = {
            "sqlite": ("salesflow_events_update", ""),
            "postgresql": ("salesflow_events_rows", " ON salesflow_events"),
        }[here]
        with plain_connection(database_url) as connection:
            connection.execute(f"DROP TRIGGER {trigger}{table}")
            connection.execute("DROP VIEW salesflow_event_view")
        found = flow.check()
        assert [(each.kind, each.where) for each in found.problems] == [
            ("schema", f"trigger {trigger}"),
            ("schema", "view salesflow_event_view"),
        ]
        assert "from a backup" in found.problems[0].sentence()
        assert "从备份恢复" in found.problems[0].sentence("zh")
