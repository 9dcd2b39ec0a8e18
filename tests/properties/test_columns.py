"""Tables in memory hold what the database holds, at every moment, whatever is told."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import given

from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.world import at
from salesflow.adapters.event_store.reading import EventReading
from salesflow.adapters.projector import columns
from salesflow.adapters.projector.columns import _RowReader
from salesflow.domain.time import Moment
from salesflow.engine import SalesFlow
from salesflow.errors import InputError
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.factor import FACTOR
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.table import IntervalTable, LedgerTable, ReadTable

TABLES: tuple[ReadTable, ...] = (
    BOOKING,
    CLOSING,
    CONTACT,
    CUSTOMER,
    DEAL_STATE,
    FACTOR,
    FEEDBACK,
    MEMBERSHIP,
    PIPELINE,
    STAGE_VISIT,
)


class BothView(View):
    """How many rows of each table hold at a moment, and held before it."""

    population: ClassVar[str] = "rows of read tables"
    formula: ClassVar[str] = "count"
    rows: tuple[tuple[str, int], ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out."""
        del language
        return [TableOfView("", ("Rows",), ((str(len(self.rows)),),))]


class Both(Question[BothView]):
    """Are the rows in memory those of the database?"""

    name: ClassVar[str] = "both"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted(table.name for table in TABLES))

    def answer(self, reader: Reader, moment: Moment) -> BothView:
        """Read every table both ways, and count the rows that are the same."""
        found = []
        for table in TABLES:
            for ended in (False, True):
                there = in_database(table, reader, ended=ended)
                held = reader.columns(table, ended=ended)
                assert in_memory(table, held) == there, table.label
                assert isinstance(table, LedgerTable) or are_together(held)
                if isinstance(table, IntervalTable):
                    assert ends_in_memory(held, reader) == ends_in_database(
                        table, reader, ended
                    )
                for entity in held.cells("entity_id")[:1]:
                    alone = in_memory(table, reader.columns(table, of=entity, ended=ended))
                    assert alone == in_memory(table, held.among("entity_id", entity))
                found.append((table.label, there.total()))
        return BothView(moment=moment, rows=tuple(found))


def in_database(table: ReadTable, reader: Reader, *, ended: bool) -> Counter[Any]:
    shown: list[sa.ColumnElement[Any]] = [*table.table.columns][1:]
    if isinstance(table, IntervalTable):
        holds = table.started_by if ended else table.visible_at
    else:
        assert isinstance(table, LedgerTable)
        holds = table.posted_by
    rows = reader.rows(sa.select(*shown).where(holds(reader.read_point)))
    return Counter(map(tuple, rows))


def in_memory(table: ReadTable, rows: HeldRows) -> Counter[Any]:
    names = [column.name for column in [*table.table.columns][1:]]
    return Counter(zip(*map(rows.cells, names), strict=True))


def ends_in_database(table: IntervalTable, reader: Reader, ended: bool) -> Counter[int]:
    holds = table.started_by if ended else table.visible_at
    point = reader.read_point
    ends = reader.rows(sa.select(table.valid_to(point)).where(holds(point)))
    return Counter(row[0] for row in ends)


def ends_in_memory(rows: HeldRows, reader: Reader) -> Counter[int]:
    return Counter(rows.until(reader.read_point.known_at).tolist())


def are_together(rows: HeldRows) -> bool:
    """Say whether the rows of an entity follow one another, in order of their beginning."""
    entities, begun = rows.cells("entity_id"), rows.cells("valid_from")
    seen = list(dict.fromkeys(entities))
    order = sorted(zip(map(seen.index, entities), begun, strict=True))
    return [entity for entity, _ in order] == [*map(seen.index, entities)] and [
        time for _, time in order
    ] == begun


def asked(flow: SalesFlow, player: Player, pick: Pick) -> None:
    as_of, known_at = moment_of(pick, raw_log(player.flow))
    for known in (None, at(known_at)):
        view = flow.ask(Both(), as_of=at(as_of), known_at=known)
        TALLY["rows in memory beside those of the database"] += sum(n for _, n in view.rows)


def followed(url: str, history: list[Act], moments: list[Pick]) -> None:
    """Ask one engine after every act, and another one now and then."""
    with Player(url) as player, player.beside() as seldom:
        for number, act in enumerate(history):
            player.play(act)
            pick = moments[number % len(moments)]
            asked(player.flow, player, pick)
            if number % 5 == 0:
                asked(seldom, player, pick)
        player.flow.rebuild("deal_state", "pipeline", "stage_visit")
        for flow in (player.flow, seldom):
            asked(flow, player, moments[0])


HISTORIES = {
    "history": acts(3, least=8, customers=2, reps=2),
    "moments": picks(least=6, most=12),
}


@examples(3)
@given(**HISTORIES)
def followed_well(url: str, history: list[Act], moments: list[Pick]) -> None:
    followed(url, history, moments)


@pytest.mark.parametrize("share", [0, 1, 8], ids=["never", "often", "as always"])
def test_rows_in_memory_are_those_of_the_database_as_the_log_goes_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """However seldom all rows are read anew; of small tables they nearly always are."""
    monkeypatch.setattr(columns, "TAIL_SHARE", share)
    followed_well(database_url)


@examples(2)
@given(history=acts(3, least=6, most=14))
def test_rows_in_memory_are_those_of_each_snapshot_while_others_record(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player, player.beside() as asking:
        with ThreadPoolExecutor(3) as threads:
            recording = threads.submit(player.play_all, history)
            while not recording.done():
                for each in [threads.submit(asking.ask, Both()) for _ in range(2)]:
                    each.result()
            recording.result()
        asking.ask(Both())


@examples(12, shrink=False)
@given(**HISTORIES)
def followed_anyhow(url: str, history: list[Act], moments: list[Pick]) -> None:
    followed(url, history, moments)


class Unnamed(Both):
    """Does a question read a table that it does not name?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)


def test_a_question_that_reads_a_table_beside_its_folds_is_refused(database_url: str) -> None:
    with (
        SalesFlow(database_url) as flow,
        pytest.raises(InputError, match="booking is not among the `folds`"),
    ):
        flow.ask(Unnamed())


@pytest.mark.parametrize("overlooked", ["streams_told_of", "since"])
def test_columns_that_are_not_kept_level_are_found_out(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, overlooked: str
) -> None:
    monkeypatch.setattr(columns, "TAIL_SHARE", 0)
    if overlooked == "since":
        monkeypatch.setattr(
            _RowReader, "since", lambda self, table, *_: self.of(table, [], _[-1])
        )
    else:
        monkeypatch.setattr(EventReading, "streams_told_of", lambda *_: [])
    with pytest.raises(AssertionError):
        followed_anyhow(sqlite_url)
