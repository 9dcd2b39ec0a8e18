"""What is assigned to a thing would never be recorded, so nothing of its session is."""

import copy
from collections.abc import Callable
from uuid import UUID

import pytest

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


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("how", [loaded, added])
@pytest.mark.parametrize("what", NEW)
def test_nothing_is_recorded_where_an_attribute_was_assigned(
    flow: SalesFlow,
    what: str,
    how: Callable[[SalesFlow, str], Callable[[Session], Aggregate]],
    seen: bool,
) -> None:
    find = how(flow, what)
    for name in STATE[what]:
        head = flow.log.head()
        with pytest.raises(InputError, match=f"{name} was assigned"), flow.session() as s:
            s.add(Customer.register(name="Beside"))
            thing = find(s)
            if seen:
                thing.settle()
            setattr(thing, name, "zoe")
        assert flow.log.head() == head


@pytest.mark.parametrize("what", NEW)
def test_nothing_is_recorded_where_an_attribute_was_deleted(flow: SalesFlow, what: str) -> None:
    find, name = loaded(flow, what), STATE[what][0]
    with pytest.raises(InputError, match=f"{name} was assigned"), flow.session() as s:
        thing = find(s)
        thing.settle()
        delattr(thing, name)


def test_what_is_assigned_between_commands_is_not_lost_in_them(flow: SalesFlow) -> None:
    find = loaded(flow, "a deal")
    head = flow.log.head()
    with pytest.raises(InputError, match=r"Deal\.owner was assigned"), flow.session() as s:
        deal = find(s)
        assert isinstance(deal, Deal)
        deal.assign_owner("bob")
        deal.owner = "zoe"
        with pytest.raises(InputError, match=r"Deal\.owner was assigned"):
            deal.win()
    assert flow.log.head() == head


def test_an_attribute_of_no_meaning_is_refused_also_before_a_command(flow: SalesFlow) -> None:
    find = loaded(flow, "a deal")
    with pytest.raises(InputError, match=r"Deal\.foo was assigned"), flow.session() as s:
        deal = find(s)
        assert isinstance(deal, Deal)
        deal.settle()
        deal.foo = "zoe"  # type: ignore[attr-defined]
        with pytest.raises(InputError, match=r"Deal\.foo was assigned"):
            deal.win()


def test_what_is_assigned_before_a_thing_is_added_is_not_lost_in_that(flow: SalesFlow) -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    assert deal.owner == "ann"
    deal.owner = "zoe"
    with pytest.raises(InputError, match=r"Deal\.owner was assigned"), flow.session() as s:
        s.add(deal)


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
        read.at(read.history[0].occurred_at).version = 3


def test_what_is_read_is_what_it_was_in_all_else(flow: SalesFlow) -> None:
    loaded(flow, "a deal")
    read = flow.get(Deal, ID)
    assert isinstance(read, Deal)
    assert repr(read).startswith("<salesflow.domain.deal.deal.Deal object")
    assert (type(read).__name__, type(read).__doc__) == ("Deal", Deal.__doc__)
    read.settle()
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
    with pytest.raises(AttributeError, match="'Deal' has no attribute 'foo'"):
        _ = read.foo  # type: ignore[attr-defined]
