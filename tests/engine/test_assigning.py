"""What is assigned to a thing would never be recorded, so it is refused at once."""

import copy
import json
import operator
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from given import read_of
from salesflow import STANDARD, Customer, Deal, SalesFlow, Session, Team
from salesflow.domain.aggregate import Aggregate
from salesflow.errors import InputError

ID = UUID("e4900000-0000-4000-8000-000000000001")

NEW: dict[str, Callable[[], Aggregate]] = {
    "a deal": lambda: Deal.open(STANDARD, title="ERP", owner="ann", id=ID),
    "a customer": lambda: Customer.register(name="Acme", id=ID),
    "a team": lambda: Team.form("north", name_en="North", name_zh="北区"),
}
STATE = {
    "a deal": ("owner", "title", "amount", "stage", "contacts"),
    "a customer": ("name", "standing", "people"),
    "a team": ("key", "of_no_meaning"),
}


def loaded(flow: SalesFlow, what: str) -> Callable[[Session], Aggregate]:
    thing = NEW[what]()
    flow.run(lambda s: s.add(thing))
    return lambda s: s.get(type(thing), thing.id)


def added(_: SalesFlow, what: str) -> Callable[[Session], Aggregate]:
    return lambda s: s.add(NEW[what]())


def assign(thing: Aggregate, name: str) -> None:
    setattr(thing, name, "zoe")


@pytest.mark.parametrize("how", [loaded, added])
@pytest.mark.parametrize("what", NEW)
def test_what_is_assigned_or_deleted_is_refused_at_once(
    flow: SalesFlow,
    what: str,
    how: Callable[[SalesFlow, str], Callable[[Session], Aggregate]],
) -> None:
    find = how(flow, what)
    for name in STATE[what]:
        head = flow.log.head()
        with pytest.raises(InputError, match=f"{name} cannot be assigned"), flow.session() as s:
            s.add(Customer.register(name="Beside"))
            assign(find(s), name)
        with pytest.raises(InputError, match=f"{name} cannot be deleted"), flow.session() as s:
            delattr(find(s), name)
        assert flow.log.head() == head


def test_what_was_refused_leaves_the_thing_as_it_was(flow: SalesFlow) -> None:
    find = loaded(flow, "a deal")
    with flow.session() as s:
        deal = find(s)
        assert isinstance(deal, Deal)
        with pytest.raises(
            InputError, match=r"^Deal\.owner .*give it one of the commands that"
        ):
            assign(deal, "owner")
        assert deal.owner == "ann"
        deal.win()
    assert (flow.get(Deal, ID).owner, flow.get(Deal, ID).outcome) == ("ann", "won")


def test_what_is_assigned_before_a_thing_is_added_is_refused_too() -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    with pytest.raises(InputError, match=r"Deal\.owner cannot be assigned"):
        deal.owner = "zoe"
    assert deal.owner == "ann"


def test_nothing_that_a_state_holds_can_be_changed_in_place(flow: SalesFlow) -> None:
    find = loaded(flow, "a deal")
    with flow.session() as s:
        deal = find(s)
        assert isinstance(deal, Deal)
        deal.raise_objection("the price")
        for name, value in read_of(deal).items():
            assert not isinstance(value, list | set), name
        objections: Any = deal.objections
        for change in (
            partial(objections.pop, "O1"),
            partial(objections.update, O2=None),
            partial(operator.setitem, objections, "O1", None),
        ):
            with pytest.raises(InputError, match="what is read of an aggregate cannot be"):
                change()
        assert pickle.loads(pickle.dumps(deal.objections)) == dict(deal.objections)
        assert json.dumps(copy.deepcopy(deal.objections))


def test_commands_alone_are_recorded(flow: SalesFlow) -> None:
    find = loaded(flow, "a deal")
    with flow.session() as s:
        deal = find(s)
        assert isinstance(deal, Deal)
        deal.assign_owner("bob")
        deal.win()
    found = flow.get(Deal, ID)
    assert (found.owner, found.outcome) == ("bob", "won")


@pytest.mark.parametrize("what", NEW)
def test_what_is_read_refuses_at_once_what_is_assigned_or_deleted(
    flow: SalesFlow, what: str
) -> None:
    thing = NEW[what]()
    flow.run(lambda s: s.add(thing))
    kind = type(thing).__name__
    read = flow.get(type(thing), thing.id)
    for name in STATE[what]:
        before = getattr(read, name, None)
        said = (
            rf"^{kind}\.{name} cannot be assigned, .* `s\.get\({kind}, id\)`.*`help\({kind}\)`"
        )
        with pytest.raises(InputError, match=said):
            assign(read, name)
        with pytest.raises(InputError, match=rf"^{kind}\.{name} cannot be deleted"):
            delattr(read, name)
        assert getattr(read, name, None) == before
    with pytest.raises(InputError, match="cannot be assigned"):
        assign(read.at(read.history[0].occurred_at), "version")


def test_what_is_read_is_what_it_was_in_all_else(flow: SalesFlow) -> None:
    loaded(flow, "a deal")
    read = flow.get(Deal, ID)
    assert isinstance(read, Deal)
    assert repr(read).startswith("<salesflow.domain.deal.deal.Deal object")
    assert (type(read).__name__, type(read).__doc__) == ("Deal", Deal.__doc__)
    then = read.at(read.history[0].occurred_at)
    assert (then.owner, then.stage, then.id) == (read.owner, read.stage, read.id)
    assert type(type(read).open(STANDARD, title="ERP", owner="bob")) is Deal
    with pytest.raises(InputError, match="belongs to no open session"):
        read.win()
    with pytest.raises(InputError, match="for reading"):
        then.win()
    with pytest.raises(InputError, match="is recorded already"), flow.session() as s:
        s.add(read)
    with pytest.raises(InputError, match="cannot be pickled or copied"):
        copy.copy(read)
    with pytest.raises(AttributeError, match="'Deal' object has no attribute 'foo'"):
        _ = read.foo  # type: ignore[attr-defined]
