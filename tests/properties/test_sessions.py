"""Sessions: all or nothing, and each command judged by what was believed of its own time."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given

from oracle.beliefs import Raw
from oracle.deals import State, deal_at
from oracle.refunds import refundable
from properties.effort import TALLY, examples
from properties.moments import Pick, instants, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at, deal_id, instant, money
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal import Deal
from salesflow.errors import (
    ConcurrentChangeError,
    InputError,
    NotFoundError,
    RuleError,
)

Command = Callable[[Deal, OccurredAt], object]
COMMANDS: dict[str, tuple[Command, Callable[[State], bool]]] = {
    "win": (lambda deal, at_: deal.win(occurred_at=at_), lambda s: s["standing"] == "open"),
    "lose": (
        lambda deal, at_: deal.lose(because="price", occurred_at=at_),
        lambda s: s["standing"] == "open",
    ),
    "disqualify": (
        lambda deal, at_: deal.disqualify(because="a double", occurred_at=at_),
        lambda s: s["standing"] == "open",
    ),
    "reopen": (
        lambda deal, at_: deal.reopen(because="they called", occurred_at=at_),
        lambda s: s["standing"] in ("won", "lost", "disqualified"),
    ),
    "refund": (
        lambda deal, at_: deal.give_refund(money(1), because="a fault", occurred_at=at_),
        lambda s: s["standing"] == "won" and _is_left(s["refundable"]),
    ),
    "repeat": (
        lambda deal, at_: deal.place_repeat_order(money(1), occurred_at=at_),
        lambda s: s["standing"] == "won",
    ),
    "contact": (
        lambda deal, at_: deal.log_contact(channel="call", direction="out", occurred_at=at_),
        lambda _: True,
    ),
}
"""Commands, and in which state of the deal the rules allow them."""


def _is_left(refundable: Decimal | None) -> bool:
    return refundable is None or money(1).amount <= refundable


class UndoneError(Exception):
    """Raised in a session so that nothing of it is recorded."""


def accepts(player: Player, stream: UUID, command: Command, occurred: int) -> bool:
    """Try a command in a session of which nothing is recorded."""
    try:
        with player.flow.session() as session:
            command(session.get(Deal, stream), at(occurred))
            raise UndoneError
    except UndoneError:
        return True
    except (RuleError, InputError, NotFoundError):
        return False


def allowed(raw: list[Raw], stream: UUID, rule: Callable[[State], bool], when: int) -> bool:
    """Say naively whether a command is allowed at a time, as everything is believed now."""
    head = raw[-1]["recorded"]
    now = deal_at(raw, str(stream), max(head, when), head)
    then = deal_at(raw, str(stream), when, head)
    if now is None or then is None:
        return False
    left = refundable(raw, str(stream), when, head, money(1).currency)
    TALLY["refunds bounded by what was sold or paid"] += left is not None
    return rule({**then, "refundable": left})


@examples(8)
@given(history=acts(2), times=picks(least=4, most=10))
def test_a_command_is_judged_by_what_was_believed_up_to_its_own_time(
    database_url: str, history: list[Act], times: list[Pick]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        before = player.flow.log.head()
        now = max(instant(player.clock.now), before.recorded)
        past = [time for time in instants(raw) if time <= now]
        for number, pick in enumerate(times):
            when = past[pick[0] * 7919 % len(past)]
            stream = deal_id(number % 2)
            for name, (command, rule) in COMMANDS.items():
                TALLY["commands tried at a time"] += 1
                wanted = allowed(raw, stream, rule, when)
                found = accepts(player, stream, command, when)
                assert found == wanted, (name, when, stream, shown(raw))
        assert player.flow.log.head() == before


@examples(5)
@given(history=acts(2))
def test_a_session_that_meets_a_change_by_somebody_else_records_nothing(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        head = player.flow.log.head()
        raw = raw_log(player.flow)
        alive = [
            deal_id(number)
            for number in range(2)
            if deal_at(raw, str(deal_id(number)), head.recorded, head.recorded) is not None
        ]
        if len(alive) < 2:
            return
        TALLY["sessions in each other's way"] += 1
        with pytest.raises(ConcurrentChangeError), player.flow.session() as slow:
            for stream in alive:
                slow.get(Deal, stream).log_contact(channel="call", direction="out")
            with player.flow.session() as quick:
                quick.get(Deal, alive[1]).log_contact(channel="visit", direction="in")
        assert player.flow.log.head().position == head.position + 1


@examples(5)
@given(history=acts(2))
def test_a_session_that_ends_in_an_error_records_nothing(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        before = player.flow.log.head()
        with pytest.raises(UndoneError), player.flow.session() as session:
            for number in range(2):
                if player.flow.log.stream(deal_id(number)):
                    try:
                        session.get(Deal, deal_id(number)).log_contact(
                            channel="call", direction="out"
                        )
                    except NotFoundError:
                        continue
            raise UndoneError
        assert player.flow.log.head() == before
        assert raw_log(player.flow)[-1]["position"] == before.position


@examples(6)
@given(history=acts(3))
def test_the_log_only_grows_and_its_clock_only_advances(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        log = raw_log(player.flow)
        for act in history:
            player.play(act)
            longer = raw_log(player.flow)
            assert longer[: len(log)] == log
            log = longer
        assert [event["position"] for event in log] == list(range(1, len(log) + 1))
        assert all(event["occurred"] <= event["recorded"] for event in log)
        instants_recorded = [event["recorded"] for event in log]
        assert instants_recorded == sorted(instants_recorded)
        TALLY["events recorded"] += len(log)
