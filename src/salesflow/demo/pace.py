"""How quickly things happen, and how late they are written down.

A `Pace` walks one life through time. `after(days)` lets days pass and gives the time at which
what happened then is recorded: mostly at once, sometimes the same evening, now and then days
or weeks later. `when` is what the record should say: None when it was prompt.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from salesflow.demo.agenda import office_time

__all__ = ["Pace"]


PROMPT: Final = 0.6
"""Of what is not tardy, the share that is recorded on the spot; the rest hours later."""
VERY_LATE: Final = 0.15
"""Of what is tardy, the share that comes weeks late."""
SOON = timedelta(minutes=7)


class Pace:
    """One life's way through time."""

    def __init__(self, chance: Random, begins: datetime, tardiness: float) -> None:
        self.chance = chance
        self.happened = begins
        """When the last thing happened."""
        self.when: datetime | None = None
        """What the record says of it; None for the time of recording."""
        self._recorded = begins
        self._tardiness = tardiness

    def after(self, days: float, *, prompt: bool = False) -> datetime:
        """Let about so many days pass; give the time at which that is recorded."""
        passed = days * self.chance.uniform(0.4, 1.6)
        earliest = max(self.happened, self._recorded if self.when is None else self.happened)
        self.happened = office_time(self.chance, earliest + SOON + timedelta(days=passed))
        late = timedelta(0) if prompt else self.lateness()
        told = self.happened if late == timedelta(0) else self._told(late)
        self._recorded = max(told, self._recorded + SOON)
        self.when = None if self._recorded == self.happened else self.happened
        return self._recorded

    def lateness(self) -> timedelta:
        """Say how long after the fact somebody gets round to recording it."""
        roll = self.chance.random()
        if roll > self._tardiness:
            hours = self.chance.uniform(0.2, 7) if self.chance.random() > PROMPT else 0.0
            return timedelta(hours=hours)
        if roll > self._tardiness * VERY_LATE:
            return timedelta(days=self.chance.uniform(0.6, 4))
        return timedelta(days=self.chance.uniform(5, 26))

    def _told(self, late: timedelta) -> datetime:
        told = self.happened + late
        return told if late < timedelta(hours=12) else office_time(self.chance, told)
