"""Eight threads in two processes write; a reader in a third gets every event once, in order."""

import pytest

from databases import plain_connection
from store.sizes import CONTROL_EVENTS, TAIL_EVENTS
from store.tailing import Outcome, check, run


def test_a_reader_beside_eight_writers_gets_every_event_once_in_order(
    database_url: str,
) -> None:
    assert run(database_url, TAIL_EVENTS) == Outcome([], [], [], [])


def test_control_a_reader_that_goes_on_from_the_head_is_caught(database_url: str) -> None:
    outcome = run(database_url, CONTROL_EVENTS, "careless")
    assert outcome.missed
    assert not outcome.is_right


def test_control_a_reader_that_reads_some_events_again_is_caught(database_url: str) -> None:
    outcome = run(database_url, CONTROL_EVENTS, "forgetful")
    assert outcome.twice
    assert outcome.out_of_order


def test_control_a_log_numbered_by_a_sequence_is_caught(postgres_url: str) -> None:
    """What most event stores on SQL do: who commits later may have the lower number."""
    with plain_connection(postgres_url) as slow, plain_connection(postgres_url) as fast:
        slow.execute("CREATE TABLE loose (position serial, event text)")
        slow.execute("BEGIN")
        slow.execute("INSERT INTO loose (event) VALUES ('slow')")
        fast.execute("INSERT INTO loose (event) VALUES ('fast')")
        read: list[tuple[int, str]] = list(fast.execute("SELECT * FROM loose").fetchall())
        slow.execute("COMMIT")
        after = f"SELECT * FROM loose WHERE position > {read[-1][0]}"
        read += fast.execute(after).fetchall()
    assert check({1: "slow", 2: "fast"}, read).missed == [1]


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        ([(1, "a"), (2, "b"), (3, "c")], Outcome([], [], [], [])),
        ([(1, "a"), (3, "c")], Outcome([2], [], [], [])),
        ([(1, "a"), (2, "b"), (2, "b"), (3, "c")], Outcome([], [2], [2], [])),
        ([(2, "b"), (1, "a"), (3, "c")], Outcome([], [], [1], [])),
        ([(1, "a"), (2, "x"), (3, "c")], Outcome([], [], [], [2])),
        ([], Outcome([1, 2, 3], [], [], [])),
    ],
)
def test_the_check_itself_tells_right_from_wrong(
    read: list[tuple[int, str]], wrong: Outcome
) -> None:
    assert check({1: "a", 2: "b", 3: "c"}, read) == wrong
