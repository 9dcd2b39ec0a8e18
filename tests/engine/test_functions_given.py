"""A function of the host is called with what it takes, or is refused before it is."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from threading import Event as Flag
from typing import Any

import pytest

from salesflow import Customer, Reactor, SalesFlow, Session
from salesflow.domain.deal.outcomes import DealWon
from salesflow.errors import InputError


async def promised(s: Session) -> None:
    s.add(Customer.register(name="Acme"))


def given_bit_by_bit(s: Session) -> Iterator[None]:
    yield None
    s.add(Customer.register(name="Acme"))


async def promised_bit_by_bit(s: Session) -> AsyncIterator[None]:
    yield None
    s.add(Customer.register(name="Acme"))


def to_be_awaited(s: Session) -> Awaitable[None]:
    return promised(s)


@pytest.mark.parametrize(
    "function",
    [lambda: 1, lambda s, t: (s, t), lambda *, s: s],
    ids=["none", "two", "by name"],
)
def test_a_function_that_takes_no_session_is_refused(
    flow: SalesFlow, function: Callable[..., object]
) -> None:
    with pytest.raises(InputError, match=r"is called with a session; .* does not take that"):
        flow.run(function)


@pytest.mark.parametrize(
    "function", [promised, given_bit_by_bit, promised_bit_by_bit, to_be_awaited]
)
def test_a_function_that_only_promises_to_record_is_refused(
    flow: SalesFlow, function: Callable[..., object]
) -> None:
    head = flow.log.head()
    with pytest.raises(InputError, match="acts before it returns; pass a plain function"):
        flow.run(function)
    assert flow.log.head() == head


def test_an_error_within_a_function_stays_its_own(flow: SalesFlow) -> None:
    with pytest.raises(IndexError, match="out of range"):
        flow.run(lambda s: [s][5])


@pytest.mark.parametrize("attempts", [0, -1, True, 1.5, "3"])
def test_there_is_at_least_one_attempt(flow: SalesFlow, attempts: object) -> None:
    with pytest.raises(InputError, match=r"attempts is .*; write a whole number, 1 or more"):
        flow.run(lambda s: s.add(Customer.register(name="x")), attempts=attempts)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"act": 5}, "is called with an event; pass a function, not 5"),
        ({"act": lambda: 1}, "is called with an event; .* does not take that"),
        ({"act": promised}, "acts before it returns"),
        ({"write": lambda event: event}, "is called with an event and a connection"),
        ({"name": 5}, "a reactor needs a name"),
        ({"name": " "}, "a reactor needs a name"),
        ({"facts": DealWon}, r"as in \[DealWon\]"),
        ({"facts": ["deal.won"]}, r"as in \[DealWon\]"),
        ({"after": -1}, "begins after position -1; write a whole number"),
        ({"after": "x"}, "begins after position 'x'; write a whole number"),
        ({"lease_seconds": -1}, "lease of -1 seconds; write a number, 0 to 31,622,400"),
        ({"lease_seconds": float("nan")}, "lease of nan seconds; write a number, 0 to"),
        ({"lease_seconds": 1e300}, "lease of 1e\\+300 seconds; write a number, 0 to"),
    ],
)
def test_a_reactor_that_could_never_react_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    given = {"name": "x", "facts": [DealWon], **changes}
    with pytest.raises(InputError, match=said):
        Reactor(**({"act": print} if "write" not in changes else {}) | given)


def test_whoever_is_told_how_things_stand_takes_that(flow: SalesFlow) -> None:
    stop = Flag()
    stop.set()
    with pytest.raises(InputError, match="on_caught_up is called with how the read tables"):
        flow.follow(stop=stop, on_caught_up=lambda: None)  # type: ignore[arg-type, misc]
    with pytest.raises(InputError, match="on_reacted is called with how the reactors"):
        flow.reactors.follow(stop=stop, on_reacted=lambda: None)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize("what", ["clock", "event_ids"])
def test_a_clock_takes_nothing(sqlite_url: str, what: str) -> None:
    with pytest.raises(InputError, match=f"{what} is called with nothing; .* does not take"):
        SalesFlow(sqlite_url, **{what: lambda more: more})  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [["booking"], [], [None]], ids=str)
def test_a_list_where_names_follow_one_another_is_refused(names: list[str]) -> None:
    with SalesFlow("sqlite://") as flow:
        with pytest.raises(InputError, match=r"rebuild: names is a value of type .*, not str"):
            flow.rebuild(names)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"rebuild: names is a value of type .*, not str"):
            flow.rebuild("booking", names)  # type: ignore[arg-type]
        assert flow.rebuild("booking") == {"booking": 0}
