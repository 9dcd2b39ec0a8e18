"""A rebuild on Spark gives the rows of a rebuild here; whatever goes wrong, the old stand.

The common runs use Sail, which speaks Spark's protocol without Java and runs the same code.
Under torture Apache Spark itself runs, on a Java 17 of the machine.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfile, which

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from databases import tamper
from importing.test_real_tables import MAPPINGS, MAVEN
from lake.rows import balances, content, needs_sail, tell
from ports import free_port
from properties.effort import TORTURE, examples
from properties.playing import Act, Player, acts
from salesflow import SalesFlow
from salesflow.adapters.importers import import_table
from salesflow.adapters.lake import spark_rebuild, spark_worker
from salesflow.adapters.lake.folding import FoldingTask, values_of
from salesflow.adapters.lake.manifest import LakeFolder
from salesflow.adapters.lake.spark_rebuild import OfSpark, SparkFilling
from salesflow.errors import DatabaseError, InputError, ProjectionError
from salesflow.projections.registry import FOLDS
from simulated import demo, ran

pytestmark = needs_sail


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """The address of a server of Sail, which speaks like Spark."""
    with spark_rebuild._sail() as url:
        yield url


def tables_beside(flow: SalesFlow) -> list[str]:
    with flow.log.database.read() as connection:
        return [name for name in sa.inspect(connection).get_table_names() if "__" in name]


def spoil(flow: SalesFlow) -> None:
    """Let read tables hold what is not in the log, which only a rebuild mends."""
    with flow.log.database.begin() as connection:
        connection.execute(sa.text(f"DELETE FROM {FOLDS['deal_state'].table.name}"))


def test_rows_and_balances_are_those_of_a_rebuild_here(database_url: str, sail: str) -> None:
    with SalesFlow(database_url) as flow:
        tell(flow, 12)
        flow.catch_up()
        kept = content(flow)
        assert kept["pipeline"].total() > 40
        reached: list[int] = []
        for many in (1, 7):
            spoil(flow)
            assert content(flow) != kept
            filling = SparkFilling(sail, partitions=many)
            flow.rebuild(filling=filling, progress=lambda done, _: reached.append(done))
            assert content(flow) == kept
            assert not tables_beside(flow)
        assert reached[-1] == flow.log.head().position


@examples(1)
@given(history=acts(3, least=12), many=st.integers(1, 5))
def test_random_histories_come_to_the_rows_that_were_kept_up(
    sqlite_url: str, sail: str, history: list[Act], many: int
) -> None:
    with Player(sqlite_url) as player:
        player.play_kept_up(history, every=3)
        kept = content(player.flow)
        spoil(player.flow)
        player.flow.rebuild(filling=SparkFilling(sail, partitions=many))
        assert content(player.flow) == kept


def test_the_simulated_log_comes_to_the_same_in_this_process_and_in_others(
    tmp_path: Path, sail: str
) -> None:
    url = f"sqlite:///{copyfile(demo().url.removeprefix('sqlite:///'), tmp_path / 'demo.db')}"
    with SalesFlow(url, tenant="main") as flow:
        flow.catch_up()
        before, balanced = content(flow), balances(flow)
        assert any(balanced.values())
        spoil(flow)
        flow.rebuild(filling=SparkFilling(sail))
        assert content(flow) == before
        assert balances(flow) == balanced


@pytest.mark.skipif(not MAVEN.is_file(), reason="there is no real data")
def test_a_real_log_comes_to_the_same(tmp_path: Path, sail: str, sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        import_table(MAVEN, MAPPINGS / "maven_crm.toml", log=flow.log)
        flow.catch_up()
        kept = content(flow)
        assert kept["deal_state"].total() > 8_000
        spoil(flow)
        flow.rebuild(filling=SparkFilling(sail, lake=str(tmp_path / "lake"), partitions=3))
        assert content(flow) == kept


def test_a_fact_that_cannot_be_read_is_left_out_as_it_is_here(
    database_url: str, sail: str
) -> None:
    with SalesFlow(database_url) as flow:
        tell(flow, 4)
        position = flow.log.head().position - 2
        tamper(
            database_url,
            f"UPDATE salesflow_events SET topic = 'deal.unknown:1' WHERE position = {position}",
        )
        flow.rebuild()
        here, said = content(flow), flow.left_out()
        assert [each.position for each in said] == [position]
        flow.rebuild(filling=SparkFilling(sail))
        assert content(flow) == here
        assert flow.left_out() == said


def test_a_log_in_a_folder_is_gone_on_with(sqlite_url: str, sail: str, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with SalesFlow(sqlite_url) as flow:
        filling = SparkFilling(sail, lake=str(lake))
        for _ in range(2):
            tell(flow, 2)
            flow.rebuild("deal_state", filling=filling)
        found = LakeFolder(lake).manifest("main")
        assert found is not None
        assert found.position == flow.log.head().position
        assert len({file.first for file in found.log}) == 2
        flow.catch_up()
        kept = content(flow)
        flow.rebuild("deal_state", filling=filling)
        assert content(flow) == kept


# What goes wrong.


def test_streams_in_parts_are_found_out_and_the_old_rows_stand(
    sqlite_url: str, sail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_streams_together(
        _self: SparkFilling, session: OfSpark, files: list[str], _goal: int, task: FoldingTask
    ) -> OfSpark:
        rows = session.read.parquet(*files).repartition(3, "position")
        return rows.mapInArrow(spark_worker.folder_of(task), spark_worker.FOLDED)

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 6)
        flow.catch_up()
        kept = content(flow)
        monkeypatch.setattr(SparkFilling, "_frame", without_streams_together)
        with pytest.raises(ProjectionError, match="in parts or out of order"):
            flow.rebuild(filling=SparkFilling(sail))
        assert content(flow) == kept
        assert not tables_beside(flow)


def test_events_that_an_engine_loses_are_missed_and_the_old_rows_stand(
    sqlite_url: str, sail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SparkFilling._frame

    def without_one(
        self: SparkFilling, session: OfSpark, files: list[str], goal: int, task: FoldingTask
    ) -> OfSpark:
        return whole(self, session, files, goal - 1, task)

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 3)
        flow.catch_up()
        kept, goal = content(flow), flow.log.head().position
        monkeypatch.setattr(SparkFilling, "_frame", without_one)
        with pytest.raises(DatabaseError, match=rf"folded {goal - 1:,} of {goal:,} events"):
            flow.rebuild(filling=SparkFilling(sail))
        assert content(flow) == kept
        assert not tables_beside(flow)


def test_rows_of_a_wrong_fold_are_not_taken_for_the_same(
    sqlite_url: str, sail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison that all of this rests on sees one cell that is another one."""
    added = values_of

    def one_off(table: pa.Table) -> list[object]:
        values = added(table)
        if "ann" in values:
            values[values.index("ann")] = "bob"
        return values

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 3)
        flow.catch_up()
        kept = content(flow)
        monkeypatch.setattr(spark_rebuild, "values_of", one_off)
        flow.rebuild(filling=SparkFilling(sail))
        assert content(flow) != kept


def servers_started(patch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Give the servers that are started from now on."""
    started: list[subprocess.Popen[str]] = []

    class Server(subprocess.Popen[str]):
        def __init__(self, *given: OfSpark, **named: OfSpark) -> None:
            super().__init__(*given, **named)
            started.append(self)

    patch.setattr(subprocess, "Popen", Server)
    return started


def test_a_server_that_is_killed_fails_the_rebuild_and_the_old_rows_stand(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_rebuild, "RETRIES", 1)
    started = servers_started(monkeypatch)

    taken = spark_rebuild._Loading.take

    def take_and_kill(
        self: spark_rebuild._Loading, row: OfSpark, labels: dict[str, str]
    ) -> None:
        started[0].kill()
        taken(self, row, labels)

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 40)
        flow.catch_up()
        kept = content(flow)
        monkeypatch.setattr(spark_rebuild._Loading, "take", take_and_kill)
        with pytest.raises(DatabaseError, match=r"Spark .*the read tables stand as they were"):
            flow.rebuild(filling=SparkFilling(partitions=8))
        assert content(flow) == kept
        assert not tables_beside(flow)
        assert started[0].poll() is not None


def test_ctrl_c_leaves_the_old_rows_and_no_server(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = servers_started(monkeypatch)

    def stop(_done: int, _goal: int) -> None:
        raise KeyboardInterrupt

    with SalesFlow(sqlite_url) as flow:
        tell(flow, 4)
        flow.catch_up()
        kept = content(flow)
        with pytest.raises(KeyboardInterrupt):
            flow.rebuild(filling=SparkFilling(), progress=stop)
        assert content(flow) == kept
        assert not tables_beside(flow)
        assert started[0].poll() is not None


def test_another_log_in_the_folder_is_refused(
    sqlite_url: str, tmp_path: Path, sail: str
) -> None:
    filling = SparkFilling(sail, lake=str(tmp_path / "lake"))
    with SalesFlow(sqlite_url) as flow, SalesFlow(f"{sqlite_url}-2") as other:
        tell(flow, 1)
        tell(other, 1)
        flow.rebuild("deal_state", filling=filling)
        with pytest.raises(InputError, match="holds another log of tenant main"):
            other.rebuild("deal_state", filling=filling)


# The command line.


def test_a_rebuild_on_spark_is_one_command(sqlite_url: str, sail: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 2)
        flow.catch_up()
        kept = content(flow)
        spoil(flow)
    told = ran("rebuild", "--db", sqlite_url, "--engine", "spark", "--spark-url", sail)
    assert (told.code, told.err) == (0, "")
    assert "deal_state" in told.out
    with SalesFlow(sqlite_url) as flow:
        assert content(flow) == kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--spark-url sc://x:1", "--spark-url is for --engine spark"),
        ("--lake here", "--lake is for --engine spark"),
        ("--engine spark --spark-url http://x", "write sc://host:15002"),
        ("--engine spark --spark-url sc://far:1", "workers of far cannot read a folder"),
        ("--engine flink", "flink"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    sqlite_url: str, options: str, said: str
) -> None:
    SalesFlow(sqlite_url).close()
    told = ran("rebuild", "--db", sqlite_url, *options.split())
    assert told.code == 2
    assert said in told.err


# Apache Spark itself, in the long run.


@contextmanager
def apache_spark(log: Path) -> Iterator[str]:
    """Run a Spark Connect server of Apache Spark here, and end it with the block."""
    home, port = Path(os.environ["SPARK_HOME"]), free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
    }
    with log.open("w") as words:
        server = subprocess.Popen(
            [
                *(home / "bin" / "spark-submit", "--class", SERVER, "--master", "local[2]"),
                *(part for each in settings.items() for part in ("--conf", "=".join(each))),
                "spark-internal",
            ],
            env={
                **os.environ,
                "PYSPARK_PYTHON": sys.executable,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
    try:
        wait_for(port, server)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens."""
    while server.poll() is None:
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.2)
    raise AssertionError("Apache Spark ended by itself")


@pytest.mark.skipif(TORTURE == 1, reason="SALESFLOW_TORTURE runs it on Apache Spark")
@pytest.mark.skipif("SPARK_HOME" not in os.environ, reason="SPARK_HOME names no Apache Spark")
@pytest.mark.skipif(which("java") is None, reason="there is no Java")
def test_apache_spark_gives_the_rows_of_a_rebuild_here(tmp_path: Path) -> None:
    url = f"sqlite:///{copyfile(demo().url.removeprefix('sqlite:///'), tmp_path / 'demo.db')}"
    with apache_spark(tmp_path / "spark.log") as server, SalesFlow(url, tenant="main") as flow:
        flow.catch_up()
        before, balanced = content(flow), balances(flow)
        for many in (1, 5):
            spoil(flow)
            flow.rebuild(filling=SparkFilling(server, partitions=many))
            assert content(flow) == before
            assert balances(flow) == balanced
