"""Where the simulation happens: a log, the clock that is turned, and seeded chance.

Lives record through `session` like any embedding does. Ids and chances derive from
the seed and a name, so that one life never disturbs another.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import Connection

from salesflow.demo.agenda import Agenda, TurnedClock
from salesflow.engine import SalesFlow, Session

__all__ = ["SeededIds", "Workplace"]


SIMULATION = uuid5(NAMESPACE_URL, "salesflow:simulation")


class SeededIds:
    """Event ids as UUID version 7 by the turned clock and a seeded chance."""

    def __init__(self, clock: TurnedClock, seed: int) -> None:
        self._clock = clock
        self._chance = Random(f"{seed}/events")

    def __call__(self) -> UUID:
        """Make the next id."""
        milliseconds = int(self._clock.now.timestamp() * 1000)
        high = milliseconds << 80 | 0x7 << 76 | self._chance.getrandbits(12) << 64
        return UUID(int=high | 0b10 << 62 | self._chance.getrandbits(62))


@dataclass
class Workplace:
    """A log that is worked on by the turned clock."""

    flow: SalesFlow
    clock: TurnedClock
    seed: int
    agenda: Agenda = field(init=False)
    connection: Connection | None = None
    """The transaction that several days' sessions share; None between two of them."""
    _transaction: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Set up the agenda over the same clock."""
        self.agenda = Agenda(self.clock)

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection = None
        self._transaction.__exit__(kind, error, trace)

    def settle(self) -> None:
        """Commit what was recorded since the last time; every append keeps its own instant."""
        with self.apart():
            pass

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Do something outside the shared transaction."""
        self.connection = None
        self._transaction.close()
        yield
        self._begin()

    def _begin(self) -> None:
        self._transaction = ExitStack()
        begun = self.flow.log.database.begin()
        self.connection = self._transaction.enter_context(begun)

    def chance(self, *name: object) -> Random:
        """Give a chance of its own to a life, by its name."""
        return Random("/".join(map(str, (self.seed, *name))))

    def id(self, *name: object) -> UUID:
        """Give the id of a thing by its name."""
        return uuid5(SIMULATION, "/".join(map(str, (self.seed, *name))))

    @contextmanager
    def session(self, actor: str) -> Iterator[Session]:
        """Open a session of somebody, now."""
        with self.flow.session(actor=actor, connection=self.connection) as session:
            yield session
