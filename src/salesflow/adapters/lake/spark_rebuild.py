"""Fills new tables on Apache Spark, or on Sail, which speaks like it and needs no Java.

The log is written as Parquet into a folder that the workers can read. Spark puts each stream in
one place and sorts it (`repartition`, `sortWithinPartitions`), and each partition is folded by
one call (`mapInArrow`), never one for each deal. What comes back is written beside the live
tables, by the same code as a rebuild in one process, which also swaps them: until then all that
can go wrong leaves the live tables as they are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID
from warnings import catch_warnings, filterwarnings, simplefilter

import sqlalchemy as sa

from salesflow import errors
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.lake.folding import FoldingTask, values_of
from salesflow.adapters.lake.log_columns import LOG_COLUMNS
from salesflow.adapters.lake.log_export import begun_manifest, with_log
from salesflow.adapters.lake.manifest import LakeFolder
from salesflow.adapters.lake.spark_worker import FOLDED, folder_of, read_stream
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.read_tables import LEFT_OUT, TableFold
from salesflow.adapters.projector.rebuild import fill, in_one_transaction
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.wording import shortened
from salesflow.errors import DatabaseError, InputError, SalesflowError
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Fold, Processes

__all__ = ["SparkFilling"]


SPARK_NEEDED: Final = (
    "a rebuild on Spark needs pyspark and pysail; run: pip install 'salesflow[spark]'"
)
SERVER: Final = "salesflow.adapters.lake.sail_server"
PARTITION_EVENTS: Final = 100_000
"""About so many events are in a partition."""
PARTITIONS_MIN: Final = 4
TRANSACTION_EVENTS: Final = 10_000
"""What about so many events come to is written in one transaction."""
RETRIES: Final = 4
"""So often a server that does not answer is asked again, within ten seconds."""
HERE: Final = frozenset({None, "", "localhost", "127.0.0.1", "::1"})


OfSpark = Any
"""What pyspark gives, which comes with an extra."""


class Loaded(NamedTuple):
    """A part of what Spark gave: rows of one table."""

    name: str
    rows: bytes
    left_out: bytes | None


class SparkFilling:
    """Fills tables beside the live ones on a Spark server, or on one of Sail that it starts."""

    def __init__(
        self, url: str | None = None, lake: str | None = None, partitions: int | None = None
    ) -> None:
        """Name a server (`sc://host:port`), and a folder that its workers can read.

        Without a server one of Sail is started for the time being; without a folder, which
        serves on this machine, the log is written into one that is removed again.

        Raises:
            InputError: when the address is none, or another machine could not read the log.
        """
        if url is not None:
            if urlsplit(url).scheme != "sc":
                raise InputError(
                    f"{url!r} is no address of a Spark Connect server; write sc://host:15002"
                )
            if lake is None and urlsplit(url).hostname not in HERE:
                raise InputError(
                    f"workers of {urlsplit(url).hostname} cannot read a folder of this machine;"
                    " name one that both can with --lake FOLDER"
                )
        if partitions is not None and partitions < 1:
            raise InputError(f"there is at least 1 partition, not {partitions}")
        self._url, self._lake, self._partitions = url, lake, partitions

    def __call__(
        self,
        log: EventLog,
        folds: Mapping[str, Fold],
        processes: Processes,
        goal: int,
        progress: Progress | None,
    ) -> None:
        """Fill empty tables, by their names, with what their folds say up to a position.

        Raises:
            ProjectionError: when a fold failed.
            DatabaseError: when the server failed, or gave back less than it was given.
        """
        if log.catalogue is not CATALOGUE:
            raise InputError(
                "facts of a service's own are known to this program alone, and not to workers"
                " of Spark; rebuild with --engine processes"
            )
        ours = {name: fold for name, fold in folds.items() if _is_ours(fold)}
        others = {name: fold for name, fold in folds.items() if name not in ours}
        if ours:
            self._fill(log, ours, goal, progress)
        if others:
            fill(log, others, processes, goal, progress, helpers_max=0)

    def _fill(
        self, log: EventLog, folds: Mapping[str, Fold], goal: int, progress: Progress | None
    ) -> None:
        with ExitStack() as stack:
            url = self._url or stack.enter_context(_sail())
            root = self._lake or stack.enter_context(TemporaryDirectory(prefix="salesflow-"))
            files = _log_in(LakeFolder(root), log, goal, lasting=self._lake is not None)
            session = stack.enter_context(_session(url))
            labels = {fold.table.label: name for name, fold in folds.items()}
            task = FoldingTask(log.tenant, tuple(labels), _published(log))
            frame = self._frame(session, files, goal, task)
            loading = _Loading(log, folds, goal, progress)
            with _told_as_ours(url):
                for row in frame.toLocalIterator():
                    loading.take(row, labels)
            loading.finish()

    def _frame(
        self,
        session: OfSpark,
        files: Sequence[str],
        goal: int,
        task: FoldingTask,
    ) -> OfSpark:
        """Return the frame of what all partitions come to."""
        many = self._partitions or max(PARTITIONS_MIN, goal // PARTITION_EVENTS)
        rows = session.read.parquet(*files).select(*LOG_COLUMNS)
        rows = rows.where(f"position <= {goal}").repartition(many, "stream_id")
        return rows.sortWithinPartitions("stream_id", "version").mapInArrow(
            folder_of(task), FOLDED
        )


class _Loading:
    """Writes what comes back, some events at a time."""

    def __init__(
        self, log: EventLog, folds: Mapping[str, Fold], goal: int, progress: Progress | None
    ) -> None:
        self._log, self._goal, self._progress = log, goal, progress
        here = (log.tenant, log.database.dialect)
        self._tables = {name: TableFold(fold, (name, *here)) for name, fold in folds.items()}
        self._held: list[Loaded] = []
        self._events = self._written = 0

    def take(self, row: OfSpark, labels: Mapping[str, str]) -> None:
        """Take one row of what a partition came to.

        Raises:
            SalesflowError: what went wrong there.
        """
        if row.error is not None:
            told = json.loads(row.error)
            raise getattr(errors, told["error"], DatabaseError)(told["message"])
        if row.name:
            left_out = None if row.left_out is None else bytes(row.left_out)
            self._held.append(Loaded(labels[row.name], bytes(row.rows), left_out))
            return
        if self._events - self._written >= TRANSACTION_EVENTS:
            self._write()
        self._events += row.events
        if self._progress is not None:
            self._progress(min(self._events, self._goal), self._goal)

    def finish(self) -> None:
        """Write the rest, and see that all events came back.

        Raises:
            DatabaseError: when some did not.
        """
        self._write()
        if self._events != self._goal:
            raise DatabaseError(
                f"Spark folded {self._events:,} of {self._goal:,} events; the read tables stand"
                " as they were"
            )

    def _write(self) -> None:
        parts, self._held, self._written = self._held, [], self._events
        if parts:
            in_one_transaction(self._log, lambda connection: self._add(connection, parts))

    def _add(self, connection: sa.Connection, parts: Sequence[Loaded]) -> None:
        for name, rows, left_out in parts:
            self._tables[name].add(connection, values_of(read_stream(rows)))
            if left_out is not None:
                here = {"tenant": self._log.tenant, "name": name}
                noted = [{**here, **_with_ids(r)} for r in read_stream(left_out).to_pylist()]
                connection.execute(sa.insert(LEFT_OUT), noted)


def _with_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: UUID(row[name]) if name.endswith("_id") else row[name] for name in row}


def _is_ours(fold: Fold) -> bool:
    """Return whether a worker would know a fold."""
    return FOLDS.get(fold.table.label) is fold


def _published(log: EventLog) -> dict[tuple[str, int], Any]:
    with log.database.read() as connection:
        return PublishedProcesses(log, connection).all(connection)


def _log_in(folder: LakeFolder, log: EventLog, goal: int, *, lasting: bool) -> list[str]:
    """Return the files of the log up to a position, written as far as they are not there."""
    manifest = begun_manifest(folder, log, None)
    if manifest.position < goal:
        manifest = with_log(folder, manifest, log, goal)
        if lasting:
            folder.replace(manifest)
    return [str(folder.root.resolve() / file.path) for file in manifest.log]


@contextmanager
def _sail() -> Iterator[str]:
    """Start a Sail server on this machine, and end it with the block, however that ends."""
    _spark()
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"RUST_LOG": "error", **os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for this process to heed
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise SalesflowError(SPARK_NEEDED)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _spark() -> OfSpark:
    """Return what speaks to a Spark Connect server.

    Raises:
        SalesflowError: when it is not installed.
    """
    try:
        with catch_warnings(), _main_with_file():
            simplefilter("ignore", FutureWarning)  # of pandas, which nothing here uses
            return import_module("pyspark.sql.connect.session").SparkSession
    except ImportError as error:
        raise SalesflowError(SPARK_NEEDED) from error


@contextmanager
def _main_with_file() -> Iterator[None]:
    """Let the main module have a file while pyspark is imported, which else ends the process.

    Of one without, as in `python -c`, pyspark thinks that it runs its own tests.
    """
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "-c"
    try:
        yield
    finally:
        del main.__file__


@contextmanager
def _session(url: str) -> Iterator[OfSpark]:
    """Open a session with a server, and close it with the block."""
    builder = _spark().builder.remote(url)
    with _told_as_ours(url):
        session = builder.create()
        policy = import_module("pyspark.sql.connect.client.retries").DefaultPolicy
        session.client.set_retry_policies([policy(max_retries=RETRIES)])
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def _told_as_ours(url: str) -> Iterator[None]:
    """Tell of what goes wrong on a server as of a rebuild that failed."""
    known: Callable[[str], Any] = import_module
    kinds = (known("pyspark.errors").PySparkException, known("grpc").RpcError)
    try:
        with catch_warnings():
            filterwarnings("ignore", message=".RETRIES_EXCEEDED")  # which is raised as well
            yield
    except kinds as error:
        said = [line for line in str(error).strip().splitlines() if line.strip()]
        raise DatabaseError(
            f"the Spark server at {url} failed: {shortened(said[-1] if said else repr(error))};"
            " the read tables stand as they were"
        ) from error
