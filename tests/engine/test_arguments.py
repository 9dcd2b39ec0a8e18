"""Who calls a method with arguments it does not take is told which, and what it takes."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from salesflow import STANDARD, Customer, Deal, Funnel, Reactor, SalesFlow, Session
from salesflow.domain.deal.outcomes import DealWon
from salesflow.errors import ArgumentError, InputError, NotFoundError

ID = UUID("e4900000-0000-4000-8000-000000000002")
Call = Callable[[Any], object]

OF_THE_ENGINE: dict[str, tuple[Call, str]] = {
    "a name that is nearly right": (
        lambda flow: flow.ask(Funnel(), asof="2026-01-01"),
        r"^SalesFlow\.ask: there is no argument asof \(perhaps as_of\); it takes question, ",
    ),
    "a name of nothing": (
        lambda flow: flow.session(user="ann"),
        r"^SalesFlow\.session: there is no argument user; it takes actor, command_id, ",
    ),
    "two such names": (
        lambda flow: flow.run(print, acter="ann", attempt=1),
        r"no argument acter \(perhaps actor\) and no attempt \(perhaps attempts\); it takes",
    ),
    "a new engine": (
        lambda _: SalesFlow("sqlite://", time_zone="UTC"),  # type: ignore[call-arg]
        r"^SalesFlow: there is no argument time_zone \(perhaps timezone\); it takes url, ",
    ),
    "one left out": (
        lambda flow: flow.get(Deal),
        r"^SalesFlow\.get: id is missing; it takes kind, id, as_of, known_at$",
    ),
    "two left out": (
        lambda flow: flow.get(),
        r"^SalesFlow\.get: kind and id are missing; it takes ",
    ),
    "one given twice": (
        lambda flow: flow.get(Deal, ID, kind=Customer),
        r"^SalesFlow\.get: kind is given by place and by name; give it once$",
    ),
    "one too many": (
        lambda flow: flow.get(Deal, ID, "2026-01-01"),
        r"^SalesFlow\.get: 3 arguments are given; it takes at most 2 by place \(kind, id\), "
        r"and by name as_of, known_at$",
    ),
    "one where none is taken": (
        lambda flow: flow.close(True),
        r"^SalesFlow\.close: it takes no arguments$",
    ),
    "names of tables and one more": (
        lambda flow: flow.rebuild("pipeline", progres=print),
        r"^SalesFlow\.rebuild: there is no argument progres \(perhaps progress\); it takes ",
    ),
    "a reactor": (
        lambda _: Reactor("mail", {DealWon}, actt=print),  # type: ignore[call-arg]
        r"^Reactor: there is no argument actt \(perhaps act\); it takes name, facts, act, ",
    ),
    "the reactors": (
        lambda flow: flow.reactors.follow(True),
        r"^Reactors\.follow: name each argument, as in stop=…; it takes stop, on_reacted$",
    ),
    "an answer": (
        lambda flow: flow.ask(Funnel()).table(lang="zh"),
        r"^FunnelView\.table: there is no argument lang \(perhaps language\); it takes ",
    ),
}

OF_A_DEAL: dict[str, tuple[Call, str]] = {
    "what has to be named": (
        lambda deal: deal.log_contact("call"),
        r"^Deal\.log_contact: name each argument, as in channel=…; it takes channel, ",
    ),
    "a new deal": (
        lambda _: Deal.open(STANDARD, titel="ERP", owner="ann"),  # type: ignore[call-arg]
        r"^Deal\.open: there is no argument titel \(perhaps title\); it takes process, ",
    ),
    "a new deal of nothing": (
        lambda _: Deal.open(),  # type: ignore[call-arg]
        r"^Deal\.open: process, title and owner are missing; it takes process, ",
    ),
    "a command on no deal": (
        lambda _: Deal.win(),  # type: ignore[call-arg]
        r"win: it is called on no object; call it on one$",
    ),
}


@pytest.mark.parametrize("what", OF_THE_ENGINE)
def test_the_engine_says_which_arguments_it_takes(flow: SalesFlow, what: str) -> None:
    call, said = OF_THE_ENGINE[what]
    with pytest.raises(ArgumentError, match=said) as refused:
        call(flow)
    assert isinstance(refused.value, InputError)
    assert isinstance(refused.value, TypeError)


@pytest.mark.parametrize("what", OF_A_DEAL)
def test_a_command_says_which_arguments_it_takes(what: str) -> None:
    call, said = OF_A_DEAL[what]
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    with pytest.raises(ArgumentError, match=said):
        call(deal)
    assert [told.fact.kind for told in deal.pending] == ["deal.opened"]


def test_a_session_says_which_arguments_it_takes(flow: SalesFlow) -> None:
    with flow.session() as s:
        with pytest.raises(ArgumentError, match=r"^Session\.get: id is missing; it takes kind"):
            s.get(Deal)  # type: ignore[call-arg]
        with pytest.raises(ArgumentError, match=r"^Session\.retract: because is missing; it"):
            s.retract(ID)  # type: ignore[call-arg]


def shout() -> None:
    """Take nothing."""


@pytest.mark.parametrize(
    "wrong",
    [
        lambda _: shout("loud"),  # type: ignore[call-arg]
        lambda _: int(x=1, y=2),  # type: ignore[call-overload]
        lambda s: s + 1,
    ],
    ids=["a call", "a call of Python", "a sum"],
)
def test_a_mistake_within_a_function_of_the_host_stays_its_own(
    flow: SalesFlow, wrong: Callable[[Session], object]
) -> None:
    with pytest.raises(TypeError) as raised:
        flow.run(wrong)
    assert type(raised.value) is TypeError


def test_what_fits_is_as_it_was(flow: SalesFlow) -> None:
    with pytest.raises(NotFoundError):
        flow.get(Deal, ID)
    with pytest.raises(InputError, match="owner: must be a text, not of type int") as refused:
        Deal.open(STANDARD, title="ERP", owner=3)  # type: ignore[arg-type]
    assert not isinstance(refused.value, ArgumentError)
