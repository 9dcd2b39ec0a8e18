"""A new thing that no session takes in is recorded nowhere, and Python shows that by itself."""

import gc
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from given import deal_of, opened
from salesflow import STANDARD, Customer, Deal, SalesFlow, Session
from salesflow.domain.pending import warn_never_added
from salesflow.errors import InputError, NeverAddedWarning, RuleError

SAID = r"^a deal was made and was never added to a session: .* add it, as in `s\.add\(Deal\.…"

FORGETFUL = """
from salesflow import STANDARD, Deal, SalesFlow

def forget(s):
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    deal.win()

with SalesFlow("sqlite://") as flow:
    for _ in range(3):
        flow.run(forget)
    flow.run(forget)
    at_the_end = Deal.open(STANDARD, title="ERP", owner="ann")
"""


def new_deal() -> Deal:
    return Deal.open(STANDARD, title="ERP", owner="ann")


@contextmanager
def silence() -> Iterator[None]:
    """Insist that nothing warns, not even when all is let go."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
        warn_never_added()
    assert [str(each.message) for each in told] == []


def test_a_deal_that_is_thrown_away_warns_when_the_next_session_ends(flow: SalesFlow) -> None:
    deal = new_deal()
    deal.log_contact(channel="call", direction="out")
    with flow.session():
        pass
    del deal
    with pytest.warns(NeverAddedWarning, match=SAID), flow.session():
        pass


def throw_away(deals: int) -> None:
    for _ in range(deals):
        new_deal()


def test_deals_that_are_thrown_away_in_a_loop_warn_while_it_goes_on() -> None:
    with pytest.warns(NeverAddedWarning, match=SAID):
        throw_away(9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warn_never_added()


def test_a_deal_that_takes_the_place_of_one_let_go_hides_nothing() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(100):  # most of them lie where the one before them lay
            new_deal()
        warn_never_added()
    assert len(told) == 100


def test_a_deal_that_is_made_in_a_session_and_not_added_warns_where_it_was_made(
    flow: SalesFlow,
) -> None:
    def forget(_: Session) -> None:
        new_deal()

    with pytest.warns(NeverAddedWarning, match=SAID) as told:
        flow.run(forget)
    with pytest.warns(NeverAddedWarning, match=SAID), flow.session():
        forget(Session.__new__(Session))
    assert (told[0].filename, told[0].lineno) == (
        __file__,
        new_deal.__code__.co_firstlineno + 1,
    )


def test_python_shows_it_once_for_each_place_and_not_when_all_ends(tmp_path: Path) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(FORGETFUL, encoding="utf-8")
    ran = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    shown = [line for line in ran.stderr.splitlines() if "Warning" in line]
    assert [line.partition(" ")[0] for line in shown] == [f"{script}:5:"]
    assert len(ran.stderr.splitlines()) == 2


def test_a_deal_that_was_added_or_only_read_does_not_warn(flow: SalesFlow) -> None:
    with silence():
        with flow.session() as s:
            deal = s.add(new_deal())
        read = flow.get(Deal, deal.id)
        then = read.at(read.history[0].occurred_at)
        with pytest.raises(InputError, match="has ended"):
            s.add(new_deal())
        told = deal_of(opened())
        told.win()
        del deal, read, then, told, s


def refused_by_a_rule(s: Session) -> None:
    deal = new_deal()
    s.add(Customer.register(name="Acme"))
    deal.advance(because="it is so")


def refused_on_the_fly(_: Session) -> None:
    new_deal().advance(because="it is so")


def interrupted_on_the_way(s: Session) -> None:
    s.add(interrupted(new_deal()))


def interrupted(_: Deal) -> Deal:
    raise RuleError("somebody has had enough")


def failed(_: Session) -> None:
    deal = new_deal()
    raise RuleError(f"the host does not want {deal.id}")


@pytest.mark.parametrize(
    "function", [refused_by_a_rule, refused_on_the_fly, interrupted_on_the_way, failed]
)
def test_what_was_made_before_an_error_does_not_warn(
    flow: SalesFlow, function: Callable[[Session], None]
) -> None:
    with silence():
        with pytest.raises(RuleError):
            flow.run(function)
        with pytest.raises(RuleError), flow.session() as s:
            function(s)
        del s


def test_a_block_that_fails_holds_nothing_back(flow: SalesFlow) -> None:
    with silence():
        with pytest.raises(ZeroDivisionError), flow.session():
            deal = new_deal()
            raise ZeroDivisionError
        deal.win()  # it still takes commands, and may be added to another session
        with flow.session() as s:
            s.add(deal)
        assert flow.get(Deal, deal.id).outcome == "won"
        del deal, s
