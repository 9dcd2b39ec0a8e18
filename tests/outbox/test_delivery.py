"""Deliveries: at least once, in order per deal, never in a replay, with patience."""

import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Self

import pytest
import sqlalchemy as sa

from outbox.receiving import (
    SECRET,
    SECRET_NAME,
    Receiver,
    called,
    deal_events,
    opened,
    what_went_wrong,
)
from salesflow import Deal, SalesFlow
from salesflow.adapters.outbox.endpoints import Endpoint, endpoint_of
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.store import MESSAGES, OutboxStore
from salesflow.engine.outbox import Delivered, EndpointStanding
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.messages import say

pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


class Clock:
    """A clock that is turned by hand, and moves a little each time that it is read."""

    def __init__(self) -> None:
        self.at = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


class Trickling:
    """A receiver that answers byte by byte, each well within any timeout, for ever."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._cut = Flag()
        self._thread = Thread(target=self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()

    def endpoint(self, **given: object) -> Endpoint:
        url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        told = {"name": "crm", "url": url, "after": 0, "facts": ["deal.*"], **given}
        made = endpoint_of({**told, "secret_env": SECRET_NAME})
        return replace(made, environment={SECRET_NAME: SECRET}.get)

    def was_cut(self) -> bool:
        """Say whether the other side ended it."""
        return self._cut.wait(60)

    def _answer(self) -> None:
        came, _ = self._listening.accept()
        with came, suppress(OSError):
            came.sendall(b"HTTP/1.1 204 No Content\r\nx-slow: ")
            while not select.select([came], [], [], 0.02)[0] or came.recv(65_536):
                came.sendall(b"x")
        self._cut.set()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path) as running:
        yield running


def standing(flow: SalesFlow) -> EndpointStanding:
    [found] = flow.outbox.standings()
    return found


def test_everything_is_delivered_once_and_in_order(
    database_url: str, receiver: Receiver
) -> None:
    with SalesFlow(database_url) as flow:
        called(flow, opened(flow), opened(flow), opened(flow), times=30)
        events = deal_events(flow)
        found = flow.outbox.deliver([receiver.endpoint()])
        assert found == Delivered({"crm": 93}, {"crm": 0}, {"crm": 0}, {})
        assert flow.outbox.deliver([receiver.endpoint()]).delivered == {"crm": 0}
        assert what_went_wrong(receiver.notes, events) == []
        assert len(receiver.notes) == 93
        stands = standing(flow)
        assert (stands.waiting, stands.lag, stands.row.delivered) == (0, 0, 93)
        assert flow.reactors.positions() == {"outbox:crm": flow.log.head().position}


def test_it_is_signed_by_every_secret_and_read_by_others(
    sqlite_url: str, receiver: Receiver
) -> None:
    standardwebhooks = pytest.importorskip("standardwebhooks")
    cloudevents = pytest.importorskip("cloudevents.core.bindings.http")
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    both = receiver.endpoint(secret_env=["NEW", "OLD"])
    vars(both)["environment"] = {"NEW": OTHER_SECRET, "OLD": SECRET}.get
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        flow.outbox.deliver([both])
        [event] = deal_events(flow)
    [note] = receiver.notes
    for secret in (SECRET, OTHER_SECRET):
        read = standardwebhooks.Webhook(secret).verify(note["body"], note["headers"])
        assert read["id"] == note["headers"]["webhook-id"] == str(event.event_id)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(note["body"] + " ", note["headers"])
    assert note["headers"]["content-type"].startswith("application/cloudevents+json")
    message = cloudevents.HTTPMessage(note["headers"], note["body"].encode())
    told = cloudevents.from_http(message, JSONFormat(), CloudEvent)
    assert told.get_type() == "com.salesflow.deal.opened"
    assert told.get_subject() == str(event.stream_id)


def test_without_a_position_it_begins_with_what_is_recorded_from_then_on(
    database_url: str, receiver: Receiver
) -> None:
    endpoint = receiver.endpoint(after=5)
    vars(endpoint)["after"] = None
    with SalesFlow(database_url) as flow:
        opened(flow)
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 0}
        deal = opened(flow)
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 1}
    assert [note["subject"] for note in receiver.notes] == [str(deal.id)]


def test_neither_a_rebuild_nor_another_start_sends_anything_again(
    database_url: str, receiver: Receiver
) -> None:
    with SalesFlow(database_url) as flow:
        called(flow, opened(flow), times=3)
        flow.outbox.deliver([receiver.endpoint()])
        flow.rebuild()
    with SalesFlow(database_url) as flow:
        flow.catch_up()
        flow.outbox.deliver([receiver.endpoint()])
    assert len(receiver.notes) == 4


def test_only_what_an_endpoint_asks_for_goes_there(sqlite_url: str, receiver: Receiver) -> None:
    narrow = receiver.endpoint("narrow", facts=["deal.lost"])
    nothing = receiver.endpoint("nothing", facts=[])
    with SalesFlow(sqlite_url) as flow:
        deal = opened(flow)
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).lose(because="price")
        with flow.session(actor="ann") as s:
            s.retract(flow.history(deal.id)[-1].event_id, because="a slip")
        found = flow.outbox.deliver([narrow, nothing])
    assert found.delivered == {"narrow": 2, "nothing": 0}
    assert [note["type"] for note in receiver.notes] == [
        "com.salesflow.deal.lost",
        "com.salesflow.deal.lost.retracted",
    ]


def test_who_is_away_gets_everything_when_it_is_back(
    database_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(database_url, clock=clock) as flow:
        called(flow, opened(flow), opened(flow), times=5)
        receiver.kill()
        endpoint = receiver.endpoint(retry_seconds=5, attempts=1, concurrency=1)
        found = flow.outbox.deliver([endpoint])
        assert found.delivered == {"crm": 0}
        assert found.problems["crm"].startswith("nobody answers at its address")
        assert flow.outbox.dead() == []
        receiver._start()
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 0}  # it rests
        clock.turn(seconds=6)
        flow.outbox.deliver([endpoint])
        assert what_went_wrong(receiver.notes, deal_events(flow)) == []


def test_a_host_that_is_down_is_tried_with_one_message_however_many_wait(
    sqlite_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(sqlite_url, clock=clock) as flow:
        for _ in range(40):
            opened(flow)
        receiver.order(status=503)
        endpoint = receiver.endpoint(retry_seconds=5, concurrency=2)
        for _ in range(4):
            flow.outbox.deliver([endpoint])
            clock.turn(minutes=6)
        first, *rest = [*receiver.notes]
        assert first["status"] == 503
        assert len(rest) <= 3 + 3  # of the first time those on their way, then one at a time
        receiver.order()
        flow.outbox.deliver([endpoint])
        assert what_went_wrong(receiver.notes, deal_events(flow)) == []


def test_what_is_refused_for_too_long_is_dead_and_holds_back_its_deal_alone(
    database_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(database_url, clock=clock) as flow:
        deal, other = opened(flow), opened(flow)
        called(flow, deal, other, times=3)
        wrong = flow.history(deal.id)[1]
        receiver.order(status=400, refused=[str(wrong.event_id)])
        endpoint = receiver.endpoint(attempts=3, retry_seconds=5)
        for _ in range(5):
            flow.outbox.deliver([endpoint])
            clock.turn(minutes=10)
        told = [note["id"] for note in receiver.notes]
        assert told.count(str(wrong.event_id)) == 3
        [dead] = flow.outbox.dead()
        assert (dead.id, dead.tries, dead.held) == (str(wrong.event_id), 3, 2)
        assert dead.failure == "the answer was 400"
        assert {str(e.event_id) for e in flow.history(other.id)} <= {*told}
        stands = standing(flow)
        assert (stands.dead, stands.held, stands.waiting) == (1, 2, 0)
        receiver.order()
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 0}
        assert [each.id for each in flow.outbox.resend("crm", [dead.id])] == [dead.id]
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 3}
        assert what_went_wrong(receiver.notes, deal_events(flow)) == []
        assert standing(flow).dead == 0


def test_a_dead_message_that_is_skipped_lets_its_deal_go_on(
    database_url: str, receiver: Receiver
) -> None:
    with SalesFlow(database_url) as flow:
        deal = opened(flow)
        called(flow, deal, times=2)
        wrong = flow.history(deal.id)[1]
        receiver.order(status=400, refused=[str(wrong.event_id)])
        endpoint = receiver.endpoint(attempts=1)
        flow.outbox.deliver([endpoint])
        with pytest.raises(NotFoundError, match=r"no message x of endpoint 'crm' is dead"):
            flow.outbox.skip("crm", ["x"])
        with pytest.raises(NotFoundError, match=r"no endpoint 'crn' \(perhaps crm\)"):
            flow.outbox.skip("crn", ["x"])
        with pytest.raises(InputError, match="name the messages to skip"):
            flow.outbox.skip("crm", [])
        assert len(flow.outbox.skip("crm", [str(wrong.event_id)])) == 1
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 1}
        assert standing(flow).row.skipped == 1
        assert standing(flow).row.delivered == 2
        last = flow.history(deal.id)[-1]
        receiver.order(status=400, refused=[str(last.event_id)])
        called(flow, deal)
        newest = str(flow.history(deal.id)[-1].event_id)
        receiver.order(status=400, refused=[newest])
        flow.outbox.deliver([endpoint])
        assert len(flow.outbox.skip("crm", [newest])) == 1
        assert (standing(flow).dead, standing(flow).waiting) == (0, 0)


def test_what_was_tried_for_days_is_given_up_even_where_nobody_answers(
    sqlite_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(sqlite_url, clock=clock) as flow:
        opened(flow)
        receiver.kill()
        endpoint = receiver.endpoint(give_up_hours=24)
        for _ in range(3):
            flow.outbox.deliver([endpoint])
            clock.turn(hours=13)
        assert len(flow.outbox.dead("crm")) == 1
        receiver._start()


def test_who_asks_for_patience_is_given_it(sqlite_url: str, receiver: Receiver) -> None:
    clock = Clock()
    with SalesFlow(sqlite_url, clock=clock) as flow:
        opened(flow)
        endpoint = receiver.endpoint(retry_seconds=1)
        for written in ("3600", "%a, %d %b %Y %H:%M:%S GMT"):
            asked = (clock.at + timedelta(hours=1)).strftime(written)
            receiver.order(status=429, headers={"retry-after": asked})
            flow.outbox.deliver([endpoint])
            before = len(receiver.notes)
            clock.turn(minutes=58)
            flow.outbox.deliver([endpoint])
            assert len(receiver.notes) == before
            clock.turn(minutes=3)
        receiver.order()
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 1}


def test_who_wants_no_more_messages_gets_none_until_it_is_asked_again(
    database_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(database_url, clock=clock) as flow:
        deal = opened(flow)
        receiver.order(status=410)
        flow.outbox.deliver([receiver.endpoint()])
        called(flow, deal)
        receiver.order()
        for _ in range(2):
            clock.turn(days=1)
            assert flow.outbox.deliver([receiver.endpoint()]).delivered == {"crm": 0}
        assert len(receiver.notes) == 1
        assert standing(flow).row.off_since is not None
        assert flow.outbox.dead() == []
        assert flow.outbox.resend("crm") == []
        assert flow.outbox.deliver([receiver.endpoint()]).delivered == {"crm": 2}


def test_a_redirect_is_not_followed(sqlite_url: str, receiver: Receiver) -> None:
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        receiver.order(status=302, headers={"location": "/elsewhere"})
        found = flow.outbox.deliver([receiver.endpoint()])
    assert "redirects are not followed" in found.problems["crm"]
    assert {note["path"] for note in receiver.notes} == {"/hook"}


def test_an_answer_that_trickles_in_is_not_waited_for_longer_than_the_timeout(
    sqlite_url: str,
) -> None:
    """The control: a library's timeout is of one read, so it would wait for the last byte."""
    with SalesFlow(sqlite_url) as flow, Trickling() as slow:
        opened(flow)
        endpoint = slow.endpoint(timeout=0.3, attempts=1)
        found = flow.outbox.deliver([endpoint])
        assert found.problems == {"crm": "the answer was not there after 0.3 seconds"}
        assert slow.was_cut()
        [dead] = flow.outbox.dead()
        assert say(dead.failure or "", "zh") == "0.3 秒后仍未收到完整应答"


def test_a_claim_that_ran_out_is_taken_over_and_one_that_has_not_is_left_alone(
    database_url: str, receiver: Receiver
) -> None:
    clock = Clock()
    with SalesFlow(database_url, clock=clock) as flow:
        opened(flow)
        endpoint = receiver.endpoint(facts=[])
        flow.outbox.deliver([endpoint])
        store = OutboxStore(flow.log)
        [event] = deal_events(flow)
        message = OutgoingMessage.from_bytes(flow.outbox._page(endpoint, [event])[0].to_bytes())
        with flow.log.database.begin() as connection:
            flow.outbox.put(connection, ["crm"], message)
        until = flow.log.now() + 60_000_000
        assert len(store.claim("crm", "killed", until, queues=5, messages=5)) == 1
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 0}
        clock.turn(minutes=2)
        assert flow.outbox.deliver([endpoint]).delivered == {"crm": 1}


def test_workers_side_by_side_send_everything_once(
    database_url: str, receiver: Receiver
) -> None:
    stop = Flag()
    with SalesFlow(database_url) as flow, SalesFlow(database_url) as other:
        deals = [opened(flow) for _ in range(20)]
        workers = [
            Thread(
                target=each.outbox.deliver,
                args=([receiver.endpoint()],),
                kwargs={"follow": True, "stop": stop},
            )
            for each in (flow, other)
        ]
        for worker in workers:
            worker.start()
        with SalesFlow(database_url) as service:
            called(service, *deals, times=10)
        receiver.wait_until(lambda notes: len(notes) >= 220)
        stop.set()
        for worker in workers:
            worker.join()
        assert what_went_wrong(receiver.notes, deal_events(flow)) == []
        assert len(receiver.notes) == 220
        assert standing(flow).waiting == 0


def test_what_waits_is_bounded_however_much_is_recorded(
    sqlite_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salesflow.adapters.outbox.delivery.WINDOW_MESSAGES", 20)
    monkeypatch.setattr("salesflow.engine.reactors.PAGE_EVENTS", 30)
    most = 0
    with SalesFlow(sqlite_url) as flow:
        called(flow, *(opened(flow) for _ in range(10)), times=20)

        def look(_: Delivered) -> None:
            nonlocal most
            with flow.log.database.read() as connection:
                counted = sa.select(sa.func.count()).select_from(MESSAGES)
                most = max(most, connection.execute(counted).scalar_one())

        flow.outbox.deliver([receiver.endpoint()], on_delivered=look)
        assert 0 < most <= 50
        assert what_went_wrong(receiver.notes, deal_events(flow)) == []


def test_a_message_of_anything_goes_the_same_way_in_its_own_order(
    database_url: str, receiver: Receiver
) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    with SalesFlow(database_url) as flow:
        flow.outbox.begin(["crm"])
        for number in range(3):
            message = OutgoingMessage(
                id=f"weekly-{number}",
                type="com.salesflow.report",
                source="urn:salesflow:main",
                subject="weekly",
                time=at,
                recorded_at=at,
                ordering_key="report:weekly",
                sequence=7,
                data={"number": number},
            )
            with flow.log.database.begin() as connection:
                flow.outbox.put(connection, ["crm"], message)
        flow.outbox.deliver([receiver.endpoint(facts=[])])
    assert [note["id"] for note in receiver.notes] == ["weekly-0", "weekly-1", "weekly-2"]


def test_what_would_be_sent_is_shown_and_nothing_is_noted(
    database_url: str, receiver: Receiver
) -> None:
    with SalesFlow(database_url) as flow:
        called(flow, opened(flow), times=5)
        endpoint = receiver.endpoint()
        found = flow.outbox.preview([endpoint], 4)
        assert [each.message.id for each in found] == [
            str(event.event_id) for event in deal_events(flow)[:4]
        ]
        assert flow.reactors.positions() == {}
        assert flow.outbox.standings() == []
        receiver.order(status=500)
        flow.outbox.deliver([endpoint])
        assert len(flow.outbox.preview([endpoint])) == 6


def test_tenants_have_outboxes_of_their_own(database_url: str, receiver: Receiver) -> None:
    with (
        SalesFlow(database_url) as flow,
        SalesFlow(database_url, tenant="other") as other,
    ):
        opened(flow)
        receiver.order(status=500)
        flow.outbox.deliver([receiver.endpoint()])
        assert other.outbox.standings() == []
        assert other.outbox.deliver([receiver.endpoint()]).delivered == {"crm": 0}
        assert other.outbox.waiting() == []
        assert len(flow.outbox.waiting()) == 1
