"""The service of the examples: rows of its own and facts, both or neither, whatever happens."""

import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from databases import plain_connection
from examples.newcomer import Newcomer, Terminal, newcomer
from ports import free_port
from properties.effort import TORTURE
from salesflow import SalesFlow
from salesflow.domain.deal.outcomes import DealWon

SQLITE = "sqlite:///orderdesk.db"
IN_STOCK = 3 + 1_000_000
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
SERVE = "uvicorn orderdesk.app:app --no-access-log --port"


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[Newcomer]:
    with newcomer("service", tmp_path) as found:
        yield found


class Client:
    """Ann, whose requests have keys that count."""

    def __init__(self, port: int, name: str) -> None:
        self._http = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": "Bearer ann-secret"},
            timeout=60,
        )
        self._name, self._keys = name, count()
        self.close = self._http.close

    def post(self, path: str, key: str | None = None, **body: object) -> httpx2.Response:
        sent = key or f"{self._name}-{next(self._keys)}"
        header = {"Idempotency-Key": sent.encode()}
        return self._http.post(path, json=body, headers=header)  # type: ignore[arg-type]

    def get(self, path: str) -> Any:  # noqa: ANN401
        return self._http.get(path).json()

    def deal(self, title: str = "ERP rollout") -> str:
        answer = self.post("/deals", title=title)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["deal"])

    def order(
        self, deal: str, number: str, sku: str = "BI-BOARD", key: str | None = None
    ) -> httpx2.Response:
        body = {"number": number, "sku": sku, "quantity": 1, "total": "10 CNY"}
        return self.post(f"/deals/{deal}/orders", key=key, **body)


def client(somebody: Newcomer, port: int | None = None, name: str = "t") -> Client:
    """Give Ann's client, closed at the end of the test."""
    made = Client(port or somebody.port, name=name)
    somebody.running.callback(made.close)
    return made


def started(somebody: Newcomer, port: int) -> Terminal:
    terminal = somebody.start(f"{SERVE} {port}")
    terminal.says("Uvicorn running")
    return terminal


def halves(url: str) -> list[str]:
    """Give what is only half there: orders without a won deal, won deals without an order."""
    with SalesFlow(url, create=False) as flow:
        pairs = [(event.stream_id, event.fact) for event in flow.log.page(0, 100_000)]
    wins = [(deal, fact.because) for deal, fact in pairs if isinstance(fact, DealWon)]
    won = {*wins}
    with plain_connection(url) as rows:
        ordered = rows.execute("SELECT deal, number, quantity FROM orders").fetchall()
        left = rows.execute("SELECT sum(stock) FROM products").fetchone()
    taken = {(UUID(str(deal)), number) for deal, number, _ in ordered}
    found = [f"{pair} only in the tables" for pair in taken - won]
    found += [f"{pair} only in the log" for pair in won - taken]
    if len(wins) != len(won):
        found.append("a deal was won twice")
    assert left is not None
    if IN_STOCK - left[0] != sum(quantity for _, _, quantity in ordered):
        found.append(f"{left[0]} left after {len(taken)} orders")
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="its README asks with curl")
def test_the_readme_is_true_and_rows_agree_with_facts_whatever_happens(
    somebody: Newcomer, database_url: str
) -> None:
    somebody.follow(instead={SQLITE: database_url})
    first, port = client(somebody, name="x"), free_port()
    other = started(somebody, port)
    second = client(somebody, port, name="y")
    odd_requests_are_problems(first)
    one_request_to_both_is_one_order(first, second)
    many_orders_for_the_last_in_stock_win_one_deal(second)
    assert halves(database_url) == []
    if database_url.startswith("postgresql"):
        a_service_killed_between_row_and_fact_has_written_neither(somebody, database_url)
        assert halves(database_url) == []
    else:
        killed_between_orders_and_sent_again_each_is_there_once(somebody, second)
        assert halves(database_url) == []
    assert second.get("/ready")["position"] > 0
    other.end(signal.SIGINT)  # Ctrl-C
    assert "Finished server process" in other.printed
    halves_would_be_found(database_url)


def many_orders_for_the_last_in_stock_win_one_deal(ann: Client) -> None:
    deals = [ann.deal() for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        sent = pool.map(lambda deal: ann.order(deal, f"for {deal}", sku="MES-LINE"), deals)
        codes = [answer.status_code for answer in sent]
    assert sorted(codes) == [201] + [409] * 15
    assert ann.get("/products/MES-LINE")["stock"] == 0
    outcomes = [ann.get(f"/deals/{deal}")["outcome"] for deal in deals]
    assert outcomes.count("won") == 1


def odd_requests_are_problems(ann: Client) -> None:
    deal = ann.deal()
    answers = {
        "no key": ann.post("/deals", key="k" * 101, title="x"),
        "no amount": ann.post("/deals", title="x", amount="98000"),
        "a float": ann.post("/deals", title="x", amount=98000.5),
        "no day": ann.post("/deals", title="x", occurred_at="2026-02-30"),
        "no zone": ann.post("/deals", title="x", occurred_at="2026-02-03T10:00"),
        "the future": ann.post("/deals", title="x", occurred_at="2999-01-01"),
        "unknown": ann.post("/deals", title="x", titel="y"),
        "a control": ann.post("/deals", title="a\u0000b"),
        "no product": ann.order(deal, "PO-9", sku="NO-SUCH"),
        "no deal": ann.order(str(UUID(int=7)), "PO-9"),
        "an old number": ann.order(deal, "PO-1"),
    }
    told = {name: answer.status_code for name, answer in answers.items()}
    wanted = dict.fromkeys(answers, 400)
    assert told == wanted | {"no product": 404, "no deal": 404, "an old number": 409}
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert ann.get(f"/deals/{deal}")["version"] == 1
    assert ann.get(f"/deals/{deal}?as_of=2999-01-01T10:00:00+08:00")["version"] == 1


def one_request_to_both_is_one_order(first: Client, second: Client) -> None:
    deal, clients = first.deal("陈安"), [first, second] * 4
    with ThreadPoolExecutor(len(clients)) as pool:
        sent = [
            pool.submit(each.order, deal, "PO-77", "BI-BOARD", "订单-77") for each in clients
        ]
        answers = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert replayed.count("true") == len(clients) - 1


def killed_between_orders_and_sent_again_each_is_there_once(
    somebody: Newcomer, second: Client
) -> None:
    """Kill a service between many orders; what it did not answer goes to the other one."""
    for kill in range(TORTURE):
        ann = client(somebody, name=f"kill-{kill}")
        for deal, number in orders_until_killed(
            ann, somebody.terminals[-1 if kill else 0], kill
        ):
            answer = second.order(deal, number, key=number)
            assert answer.status_code == 201, answer.text
        if kill + 1 < TORTURE:
            started(somebody, somebody.port)


def orders_until_killed(ann: Client, terminal: Terminal, kill: int) -> list[tuple[str, str]]:
    """Kill the service between many orders; give those that were not answered."""
    orders = [(ann.deal(), f"PO-{kill}-{number}") for number in range(30)]
    answered, after = count(1), Random(kill).randint(3, 20)

    def send(order: tuple[str, str]) -> bool:
        try:
            ann.order(*order, key=order[1]).raise_for_status()
        except httpx2.TransportError:
            return False
        if next(answered) == after:
            terminal.process.kill()
        return True

    with ThreadPoolExecutor(8) as pool:
        done = [*pool.map(send, orders)]
    unanswered = [order for order, was in zip(orders, done, strict=True) if not was]
    assert 0 < len(unanswered) < len(orders)
    return unanswered


def a_service_killed_between_row_and_fact_has_written_neither(
    somebody: Newcomer, url: str
) -> None:
    ann = client(somebody, name="between")
    deal, before = ann.deal(), ann.get("/products/BI-BOARD")["stock"]
    with (
        plain_connection(url) as watch,
        plain_connection(url) as holding,
        ThreadPoolExecutor(1) as pool,
    ):
        holding.execute("BEGIN")
        holding.execute("SELECT * FROM salesflow_head FOR UPDATE")
        sent = pool.submit(ann.order, deal, "PO-between", "BI-BOARD", "between")
        while watch.execute(WAITS).fetchone() == (0,):
            assert not sent.done(), (
                sent.result().text
            )  # the row is not written yet, or its fact does not wait for the log yet
        somebody.terminals[0].process.kill()
        with pytest.raises(httpx2.TransportError):
            sent.result()
    again = started(somebody, somebody.port)
    assert ann.get(f"/deals/{deal}")["outcome"] == "open"
    assert ann.get("/products/BI-BOARD")["stock"] == before
    assert ann.order(deal, "PO-between", key="between").status_code == 201
    again.end()


def halves_would_be_found(url: str) -> None:
    """Write what a service leaves that commits twice."""
    with plain_connection(url) as connection:
        connection.execute(
            "INSERT INTO orders (number, deal, sku, quantity, taken_by)"
            f" VALUES ('half', '{uuid4().hex}', 'BI-BOARD', 1, 'ann')"
        )
    assert len(halves(url)) == 2
