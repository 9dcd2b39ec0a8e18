"""What the compiling of a mapping stands on: the columns, the process, how times are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from salesflow.adapters.importing.layout import Layout
from salesflow.adapters.importing.mapping import Mapping as TableMapping
from salesflow.adapters.importing.numbers import NumberReader
from salesflow.adapters.importing.process import ProcessPlan
from salesflow.adapters.importing.times import Rules, TimeReader
from salesflow.domain.moments import zone
from salesflow.domain.processes import ProcessVersion

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One mapping against one file."""

    mapping: TableMapping
    layout: Layout
    process: ProcessPlan
    zone: ZoneInfo | None
    """The business time zone; None when nobody named one."""
    numbers: NumberReader
    published: Mapping[tuple[str, int], ProcessVersion]
    """Every process version a deal may stand on, this one too."""
    business: ZoneInfo | None = None
    """The zone the database keeps its days in; None in a new one."""
    running: str = ""
    """The name of the flag of the running number, for the fields of one rule."""

    @property
    def day_zone(self) -> ZoneInfo | None:
        """The zone of days: the one that is named, the database's own, or that of times."""
        times = self.mapping.times.timezone
        return self.zone or self.business or (zone(times) if times else None)

    def times(
        self, formats: Sequence[str] = (), timezone: str | None = None, *, days: bool = False
    ) -> TimeReader:
        """Give a reader of times; what is not said is as the mapping says."""
        said = self.mapping.times
        local = timezone or said.timezone
        return TimeReader(
            formats or said.formats,
            zone(local) if local else self.zone,
            rules=Rules(said.ambiguous, said.nonexistent, said.disagreeing),
            days=days,
            day_zone=self.day_zone if local else self.zone,
            cut_zone=zone(timezone) if timezone else self.day_zone,
        )
