"""Errors pass from one process to another whole, as whoever runs work in processes needs."""

import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import salesflow.errors
from salesflow import Customer, SalesFlow
from salesflow.errors import AlreadyRecordedError, NotFoundError, SalesflowError

NAMES = salesflow.errors.__all__


def made(kind: type[SalesflowError]) -> SalesflowError:
    """Make an error of a kind, whatever it is made of."""
    if issubclass(kind, AlreadyRecordedError):
        return kind("recorded before", ("a", "receipt"))
    return kind("what is, and what was asked")


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_any_kind_survives_pickling(name: str) -> None:
    error = made(getattr(salesflow.errors, name))
    error.told = ["more"]  # type: ignore[attr-defined]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)
        assert vars(copy) == vars(error)


def test_an_error_that_takes_more_than_a_message_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(DemandingError("what is", wanted=7)))
    assert (str(copy), copy.wanted) == ("what is", 7)


class DemandingError(SalesflowError):
    """An error of a kind that is yet to come."""

    def __init__(self, message: str, *, wanted: int) -> None:
        super().__init__(message)
        self.wanted = wanted


def twice(url: str) -> object:
    """Record a command in a process of its own."""
    with SalesFlow(url) as flow, flow.session(command_id="same") as s:
        s.add(Customer.register(name="Acme"))
    return s.receipt


def lost(url: str) -> object:
    """Ask for what is not there in a process of its own."""
    with SalesFlow(url) as flow:
        return flow.history(Customer.register(name="x").id)


def test_a_command_sent_again_is_refused_in_a_pool_of_processes_that_goes_on(
    sqlite_url: str,
) -> None:
    path = [entry for entry in sys.path if entry]
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=sys.path.extend, initargs=(path,)
    ) as pool:
        first = pool.submit(twice, sqlite_url).result(60)
        for _ in range(2):
            with pytest.raises(AlreadyRecordedError) as refused:
                pool.submit(twice, sqlite_url).result(60)
            assert refused.value.receipt == first
        with pytest.raises(NotFoundError):
            pool.submit(lost, sqlite_url).result(60)
