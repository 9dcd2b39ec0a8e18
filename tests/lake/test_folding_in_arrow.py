"""Whole streams in Arrow come to the rows that were kept up live, whoever sorts them."""

import random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.rows import Content, content, log_of, only, tell
from properties.effort import examples
from properties.playing import Act, Player, acts
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.lake.folding import ArrowFolding, FoldingTask, in_order, whole_streams
from salesflow.adapters.lake.log_columns import arrow_of_log, log_rows, raw_rows
from salesflow.adapters.lake.spark_worker import fold_partition, read_stream
from salesflow.engine import SalesFlow
from salesflow.errors import HistoryError, ProjectionError
from salesflow.projections.registry import FOLDS


def task_of(flow: SalesFlow) -> FoldingTask:
    with flow.log.database.read() as connection:
        published = PublishedProcesses(flow.log, connection).all(connection)
    return FoldingTask(flow.log.tenant, tuple(FOLDS), published)


def partitions(log: pa.Table, many: int, seed: int) -> list[list[pa.RecordBatch]]:
    """Put each stream into one of so many partitions, its events in any order."""
    ids = log.column("stream_id").to_pylist()
    place = random.Random(seed)
    of = {id: place.randrange(many) for id in sorted({*ids})}
    found = []
    for number in range(many):
        rows = [n for n, id in enumerate(ids) if of[id] == number]
        place.shuffle(rows)
        found.append(log.take(rows).to_batches(max_chunksize=place.randrange(1, 9)))
    return found


def folded(flow: SalesFlow, parts: list[list[pa.RecordBatch]], size: int) -> Content:
    """Give what partitions come to, as the database would hold it."""
    folding, rows = ArrowFolding(task_of(flow)), dict[str, list[dict[str, Any]]]()
    for part in parts:
        for streams in whole_streams(in_order(part), size):
            for label, table in folding.fold(streams).items():
                tenant = {"tenant": flow.log.tenant}
                rows.setdefault(label, []).extend(
                    {**tenant, **row} for row in table.rows.to_pylist()
                )
    return {label: only(rows.get(label, [])) for label in FOLDS}


@examples(3)
@given(
    history=acts(3, least=8),
    many=st.integers(1, 4),
    seed=st.integers(0, 99),
    size=st.sampled_from((1, 3, 10_000)),
)
def test_streams_come_to_the_rows_that_were_kept_up_however_they_are_spread(
    sqlite_url: str, history: list[Act], many: int, seed: int, size: int
) -> None:
    with Player(sqlite_url) as player:
        player.play_kept_up(history, every=2)
        parts = partitions(log_of(player.flow), many, seed)
        assert folded(player.flow, parts, size) == content(player.flow)


def test_rows_of_the_log_come_back_from_arrow_as_they_were(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow:
        [page] = raw_rows(flow.log, 0, flow.log.head().position)
        back = log_rows(arrow_of_log(page))
        assert flow.log._reader._checksums.misfits(back) == {}
        assert [row[12:] for row in back] == [tuple(row[12:]) for row in page]


def test_a_stream_that_is_handed_on_in_parts_is_refused(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 2)
        rows, folding = log_of(flow), ArrowFolding(task_of(flow))
        whole = pa.Table.from_batches(in_order(rows.to_batches()))
        assert folding.fold(whole)["deal_state"].rows.num_rows > 2
        second = whole.column("version").to_pylist().index(2)
        without_one = [n for n in range(whole.num_rows) if n != second]
        for wrong in (
            whole.take(without_one),
            whole.take([second]),
            whole.take([*range(whole.num_rows), 0]),
            whole.take([*range(whole.num_rows)][::-1]),
            rows,
        ):
            with pytest.raises(ProjectionError, match="in parts or out of order"):
                folding.fold(wrong)


def test_an_event_that_was_changed_on_its_way_is_found_by_its_checksum(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 1)
        log, task = log_of(flow), task_of(flow)
        place = log.schema.get_field_index("recorded")
        later = pa.array([at + 1 for at in log.column("recorded").to_pylist()])
        changed = log.set_column(place, "recorded", later)
        with pytest.raises(HistoryError, match="does not fit its checksum"):
            ArrowFolding(task).fold(pa.Table.from_batches(in_order(changed.to_batches())))


def test_what_goes_wrong_on_a_worker_is_told_as_a_row(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        tell(flow, 1)
        log = log_of(flow)
        beginning = log.filter(pc.greater(log.column("version"), 1))
        [*told] = fold_partition(task_of(flow), beginning.to_batches())
        [error] = [row["error"] for each in told for row in each.to_pylist() if row["error"]]
        assert "ProjectionError" in error
        [*rows] = fold_partition(task_of(flow), log.to_batches())
        found = [row for each in rows for row in each.to_pylist()]
        assert sum(row["events"] for row in found) == log.num_rows
        assert all(read_stream(row["rows"]).num_rows for row in found if row["name"])
        assert [row["error"] for row in found if row["error"]] == []
