"""Random histories of things with a key (reviews, cases, improvements) beside those of deals.

A history is told day by day, some of it late, some of it taken back; what is told of things may
make no sense, as what another system tells. Deals are those of `test_retrospective`.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple
from uuid import UUID

from properties.merges import Telling
from properties.playing import Player
from properties.test_forecast import append
from properties.test_retrospective import DAY, LASTS
from properties.test_retrospective import fact as deal_fact
from properties.test_retrospective import history_of as deal_history
from properties.test_retrospective import stream_of as deal_stream
from properties.world import START, at, instant
from salesflow.domain.event import Fact, FactRetracted

__all__ = ["KeyedFact", "Saying", "keyed_history", "tell_all"]


class KeyedFact(NamedTuple):
    """A fact about something with a key."""

    stream: UUID
    fact: Fact


class Saying(NamedTuple):
    """One fact as somebody tells it: on which day it happened, how many days late."""

    stream: UUID
    fact: Fact | None
    """None takes back what was told of the stream."""
    day: int
    late: int
    n: int


def keyed_history(
    seed: int,
    openings: Sequence[Callable[[Random], KeyedFact]],
    others: Sequence[Callable[[Random], KeyedFact]],
    *,
    count: int = 16,
) -> list[Saying]:
    """Tell of deals, open each thing at some time and tell something of them."""
    chance = Random(seed)
    found = [
        Saying(
            deal_stream(said),
            None if said.what == "retract" else deal_fact(said),
            *(said.day, said.late, said.n),
        )
        for said in deal_history(chance.randrange(2**32))
    ]
    told = [make(chance) for make in openings]
    streams = [each.stream for each in told]
    found += [_said(each, chance, LASTS // 3) for each in told]
    for _ in range(count):
        if chance.randrange(8) == 0:
            found.append(
                Saying(
                    chance.choice(streams),
                    None,
                    *(chance.randrange(LASTS), 0, chance.randrange(60)),
                )
            )
        else:
            found.append(_said(chance.choice(others)(chance), chance, LASTS))
    return found


def _said(told: KeyedFact, chance: Random, lasts: int) -> Saying:
    late = chance.choice((0, 0, 0, 1, 20, 60))
    return Saying(*told, chance.randrange(lasts), late, chance.randrange(60))


def tell_all(player: Player, history: Sequence[Saying]) -> None:
    """Tell it all in the order in which it became known, whatever the rules say of it."""
    begin = instant(START)
    for said in sorted(history, key=lambda one: (one.day + one.late, one.day)):
        player.clock.now = at(begin + (said.day + said.late) * DAY + 1)
        if said.fact is not None:
            happened = begin + said.day * DAY
            append(player, Telling(said.stream, said.fact, happened), said.n)
            continue
        stored = player.flow.log.stream(said.stream)
        if stored:
            wrong = stored[-1 - said.n % len(stored)].event_id
            taken_back = FactRetracted(event_id=wrong, because="wrong")
            append(player, Telling(said.stream, taken_back, None), said.n)
