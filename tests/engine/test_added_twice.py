"""What was recorded before is refused when it is added again; who loses a race tries anew."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from salesflow import STANDARD, Customer, Deal, Rep, SalesFlow, SalesProcess, Session
from salesflow.domain.process import ProcessVersion
from salesflow.domain.rep import rep_id
from salesflow.domain.team import Team
from salesflow.errors import ConcurrentChangeError, InputError, NotFoundError

OWN = ProcessVersion(key="own", name_en="Own", name_zh="自有", stages=STANDARD.stages)
ID = uuid4()
ADDED: dict[str, Callable[[], Any]] = {
    "SalesProcess": lambda: SalesProcess.publish(OWN),
    "Rep": lambda: Rep.join("ann", team="east", name="Ann"),
    "Team": lambda: Team.form("east", name_en="East", name_zh="华东"),
    "Customer": lambda: Customer.register(name="Acme", id=ID),
    "Deal": lambda: Deal.open(STANDARD, title="ERP", owner="ann", id=ID),
}


@pytest.mark.parametrize("kind", ADDED)
def test_what_was_recorded_is_not_added_again(url: str, kind: str) -> None:
    with SalesFlow(url) as flow:
        flow.run(lambda s: s.add(ADDED[kind]()))
        recorded = flow.log.head()
        said = rf"was recorded at 20.*s\.get\({kind}, id\).*command_id"
        attempts: list[Session] = []

        def again(s: Session) -> None:
            attempts.append(s)
            s.add(ADDED[kind]())

        with pytest.raises(InputError, match=said):
            flow.run(again)
        assert len(attempts) == 1
        with pytest.raises(InputError, match=said), flow.session() as s:
            s.add(ADDED[kind]())
        assert flow.log.head() == recorded


def test_it_is_refused_also_after_another_thing_was_refused(url: str) -> None:
    with SalesFlow(url) as flow:
        flow.run(lambda s: s.add(ADDED["Rep"]()))
        flow.run(lambda s: s.add(ADDED["Team"]()))
        attempts: list[Session] = []

        def again(s: Session) -> None:
            attempts.append(s)
            ann = s.get(Rep, rep_id("ann"))
            with pytest.raises(InputError, match="in this session already"):
                s.add(ADDED["Rep"]())
            s.add(ADDED["Team"]())
            ann.move(team="west")

        with pytest.raises(InputError, match=r"s\.get\(Team, id\)"):
            flow.run(again)
        assert len(attempts) == 1


def test_an_engine_that_has_seen_nothing_of_it_tries_once_more(url: str) -> None:
    with SalesFlow(url) as flow, SalesFlow(url) as other:
        flow.run(lambda s: s.add(ADDED["Rep"]()))
        attempts: list[Session] = []

        def added(s: Session) -> None:
            attempts.append(s)
            s.add(ADDED["Rep"]())

        with pytest.raises(InputError, match=r"s\.get\(Rep, id\)"):
            other.run(added)
        assert len(attempts) <= 2


def add_ann(flow: SalesFlow) -> None:
    with ThreadPoolExecutor(1) as thread:
        thread.submit(flow.run, lambda s: s.add(ADDED["Rep"]())).result()


def overtake(who: str, here: SalesFlow, other: SalesFlow) -> None:
    add_ann(here if who == "by this engine" else other)
    if who == "by another engine while this one records":
        here.run(lambda s: s.add(ADDED["Team"]()))


OVERTAKERS = ("by this engine", "by another engine", "by another engine while this one records")


@pytest.mark.parametrize("when", ["between looking and adding", "before recording"])
@pytest.mark.parametrize("who", OVERTAKERS)
def test_who_is_overtaken_finds_it_the_next_time(url: str, who: str, when: str) -> None:
    with SalesFlow(url) as flow, SalesFlow(url) as other:
        met: list[str] = []

        def found_or_added(s: Session) -> None:
            try:
                s.get(Rep, rep_id("ann")).move(team="west")
                met.append("found")
            except NotFoundError:
                met.append("overtaken")
                if when == "between looking and adding":
                    overtake(who, flow, other)
                s.add(ADDED["Rep"]())
                if when == "before recording":
                    overtake(who, flow, other)

        flow.run(found_or_added)
        assert met == ["overtaken", "found"]


def test_an_id_of_another_thing_is_named_as_that(url: str) -> None:
    with SalesFlow(url) as flow:
        flow.run(lambda s: s.add(ADDED["Customer"]()))
        with pytest.raises(
            InputError, match=r"is a customer recorded at .* give the deal another"
        ):
            flow.run(lambda s: s.add(ADDED["Deal"]()))


def test_what_was_retracted_is_opened_anew_and_not_added(url: str) -> None:
    with SalesFlow(url) as flow:
        receipt = flow.run(lambda s: s.add(ADDED["Deal"]()))
        assert receipt is not None
        flow.run(lambda s: s.retract(receipt.event_ids[0], because="wrong"))
        with pytest.raises(InputError, match=r"record it anew with `s\.reopen_history`"):
            flow.run(lambda s: s.add(ADDED["Deal"]()))


def test_a_session_that_is_overtaken_says_so(url: str) -> None:
    with (
        SalesFlow(url) as flow,
        SalesFlow(url) as other,
        pytest.raises(ConcurrentChangeError, match="stands at version 1"),
        flow.session() as s,
    ):
        s.add(ADDED["Rep"]())
        other.run(lambda o: o.add(ADDED["Rep"]()))


def test_a_transaction_of_the_host_goes_on_after_it(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)  # noqa: TID251
    with SalesFlow(url) as flow:
        before = flow.log.head().position
        flow.run(lambda s: s.add(ADDED["Rep"]()))
        with engine.begin() as host:
            with pytest.raises(InputError, match=r"s\.get\(Rep, id\)"):
                flow.run(lambda s: s.add(ADDED["Rep"]()), connection=host)
            flow.run(lambda s: s.add(ADDED["Team"]()), connection=host)
        assert flow.log.head().position == before + 2
