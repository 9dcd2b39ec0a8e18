"""The read tables hold what a naive replay says, however they came to be filled."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import deal_at, deals_of
from oracle.rows import seen
from properties.agreement import said_by_row, said_of_row
from properties.effort import TALLY, TORTURE, examples
from properties.moments import instants
from properties.people_fold import PEOPLE, TABLE, people
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.projector import catching_up
from salesflow.adapters.projector import rebuild as filling
from salesflow.adapters.projector.runner import Runner
from salesflow.domain.contest import Contest
from salesflow.domain.deal import Deal
from salesflow.domain.incentive_plan import IncentivePlan
from salesflow.engine import SalesFlow
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.registry import FOLDS

TOLD = {*Deal.facts, *IncentivePlan.facts, *Contest.facts}
FILLED = sorted(label for label, fold in FOLDS.items() if fold.facts & TOLD)
"""What these histories leave rows in; to build the others takes as long, and gives none."""

Content = dict[str, Counter[tuple[tuple[str, Any], ...]]]


def content(flow: SalesFlow) -> Content:
    """Give every row of every read table, known axis and all."""
    return {
        label: Counter(map(frozen, rows_of(flow, fold.table.name)))
        for label, fold in FOLDS.items()
    }


def rebuilt(flow: SalesFlow) -> Content:
    """Rebuild the tables with rows, and give the rows of all; under torture build all."""
    flow.rebuild(*([] if TORTURE > 1 else FILLED))
    return content(flow)


@examples(4)
@given(history=acts(3, least=8), every=st.integers(1, 4))
def test_a_rebuilt_table_equals_one_kept_up_append_by_append(
    database_url: str, history: list[Act], every: int
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, every=every)
        kept = content(player.flow)
        TALLY["rows compared after a rebuild"] += sum(c.total() for c in kept.values())
        assert {label for label, rows in kept.items() if rows} <= {*FILLED}
        player.flow.rebuild()
        assert content(player.flow) == kept, shown(raw_log(player.flow))


@examples(4)
@given(
    history=acts(3, least=8),
    size=st.sampled_from((1, 2, 3, 5, 8, 21)),
    read=st.sampled_from((1, 2, 3, 500)),
)
def test_rows_do_not_depend_on_the_size_of_a_page_nor_on_how_much_is_read_at_once(
    database_url: str, history: list[Act], size: int, read: int
) -> None:
    with Player(database_url) as player, pytest.MonkeyPatch.context() as patched:
        player.play_all(history)
        patched.setattr(catching_up, "PAGE_EVENTS", size)
        patched.setattr(catching_up, "READ_EVENTS", read)
        player.flow.catch_up()
        in_pages = content(player.flow)
        assert rebuilt(player.flow) == in_pages, shown(raw_log(player.flow))


@examples(4)
@given(history=acts(3, least=8), size=st.sampled_from((1, 2, 3, 5, 8)))
def test_rows_do_not_depend_on_the_slices_of_a_rebuild(
    database_url: str, history: list[Act], size: int
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, every=1)
        kept = content(player.flow)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(filling, "SLICE_EVENTS", size)
            patched.setattr(filling, "SAMPLES", 1)
            assert rebuilt(player.flow) == kept, shown(raw_log(player.flow))


@examples(3)
@given(history=acts(3, least=6, most=14))
def test_two_processes_that_catch_up_at_once_fill_the_table_once(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player, player.beside() as one, player.beside() as other:
        player.play_all(history)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(catching_up, "PAGE_EVENTS", 2)
            together(one.catch_up, other.catch_up)
        found = content(player.flow)
        assert {s.position for s in one.standings().values()} == {
            player.flow.log.head().position
        }
        assert found == rebuilt(player.flow), shown(raw_log(player.flow))


@examples(4)
@given(history=acts(2, least=8), turns=st.lists(st.integers(0, 3), min_size=3, max_size=9))
def test_processes_that_catch_up_in_turn_fill_the_table_as_one_would(
    database_url: str, history: list[Act], turns: list[int]
) -> None:
    with Player(database_url) as player, player.beside() as one, player.beside() as other:
        for number, act in enumerate(history):
            player.play(act)
            match turns[number % len(turns)]:
                case 0:
                    one.catch_up()
                case 1:
                    other.catch_up()
                case 2:
                    rebuilt(other)
                case _:
                    pass
        one.catch_up()
        found = content(player.flow)
        TALLY["rows compared after a rebuild"] += sum(c.total() for c in found.values())
        assert found == rebuilt(player.flow), shown(raw_log(player.flow))


@examples(3)
@given(history=acts(3, least=6, most=14))
def test_catching_up_while_others_record_loses_nothing(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player, player.beside() as one, player.beside() as other:
        while_recording(player, history, [one.catch_up, other.catch_up])
        player.flow.catch_up()
        found = content(player.flow)
        assert found == rebuilt(player.flow), shown(raw_log(player.flow))


@examples(3)
@given(history=acts(3, least=6, most=12))
def test_a_table_may_be_rebuilt_while_others_record_follow_and_rebuild(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player, player.beside() as one, player.beside() as other:
        rebuilding = [lambda: [rebuilt(one), rebuilt(one)], lambda: rebuilt(player.flow)]
        while_recording(player, history, [other.catch_up], once=rebuilding)
        player.flow.catch_up()
        found = content(player.flow)
        assert found == rebuilt(player.flow), shown(raw_log(player.flow))


@examples(3)
@given(history=acts(2, least=8), others=acts(2, least=3))
def test_tenants_that_rebuild_at_once_do_not_touch_each_other(
    database_url: str, history: list[Act], others: list[Act]
) -> None:
    with Player(database_url) as one, Player(database_url) as other:
        one.play_all(history)
        other.play_all(others)
        together(lambda: rebuilt(one.flow), lambda: rebuilt(other.flow))
        for player in (one, other):
            found = content(player.flow)
            assert found == rebuilt(player.flow), shown(raw_log(player.flow))


def while_recording(
    player: Player,
    history: list[Act],
    again: list[Callable[[], object]],
    *,
    once: Sequence[Callable[[], object]] = (),
) -> None:
    """Play a history while others do things once, or again and again until it is played."""
    done = threading.Event()

    def record() -> None:
        try:
            player.play_all(history)
        finally:
            done.set()

    def until_done(work: Callable[[], object]) -> None:
        while not done.is_set():
            work()

    together(record, *[partial(until_done, work) for work in again], *once)


def together(*work: Callable[[], object]) -> None:
    """Do things in threads of their own, and fail when one of them does."""
    with ThreadPoolExecutor(len(work)) as threads:
        for done in [threads.submit(one) for one in work]:
            done.result()


@examples(3)
@given(history=acts(2, least=8), size=st.sampled_from((1, 2, 4, 100)))
def test_a_table_with_keys_holds_what_a_naive_replay_says(
    database_url: str, history: list[Act], size: int
) -> None:
    with Player(database_url) as player, pytest.MonkeyPatch.context() as patched:
        patched.setattr(catching_up, "PAGE_EVENTS", size)
        log = player.flow.log
        keeper = Runner(log, {TABLE.name: PEOPLE}, PublishedProcesses(log))
        for act in history:
            player.play(act)
            if act.gap % 2:
                keeper.catch_up()
        keeper.catch_up()
        raw = raw_log(player.flow)
        rows = rows_of(player.flow, TABLE.name)
        for stream in deals_of(raw):
            own = [row for row in rows if UUID(row["entity_id"]) == UUID(stream)]
            for as_of, known_at in grid(raw):
                found = {
                    row["role"]: row["person"] for row in own if seen(row, as_of, known_at)
                }
                TALLY["moments of rows in databases"] += 1
                wanted = people(raw, stream, as_of, known_at)
                assert found == wanted, (as_of, known_at, shown(raw))
        keeper.rebuild([TABLE.name])
        again = rows_of(player.flow, TABLE.name)
        assert Counter(map(frozen, again)) == Counter(map(frozen, rows)), shown(raw)


@examples(4)
@given(history=acts(3, least=8), every=st.integers(1, 4))
def test_the_table_of_deal_states_holds_what_a_naive_replay_says_at_every_moment(
    database_url: str, history: list[Act], every: int
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, DEAL_STATE, every=every)
        check_states(player.flow)


def check_states(flow: SalesFlow) -> None:
    """Look at the stored rows at every moment that could matter."""
    raw = raw_log(flow)
    rows = rows_of(flow, DEAL_STATE.name)
    for stream in deals_of(raw):
        own = [row for row in rows if UUID(row["entity_id"]) == UUID(stream)]
        for as_of, known_at in grid(raw):
            found = [said_by_row(row) for row in own if seen(row, as_of, known_at)]
            state = deal_at(raw, stream, as_of, known_at)
            TALLY["moments of rows in databases"] += 1
            wanted = [] if state is None else [said_of_row(state)]
            assert found == wanted, (as_of, known_at, stream, shown(raw))


def frozen(row: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(row.items())


def grid(raw: list[Raw]) -> Iterator[tuple[int, int]]:
    """Give every moment that could matter: each recorded instant with each other instant."""
    for known_at in sorted({event["recorded"] for event in raw}):
        for as_of in instants(raw):
            yield as_of, known_at
