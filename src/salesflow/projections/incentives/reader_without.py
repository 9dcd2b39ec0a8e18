"""One snapshot read as if some events had never been recorded.

What an event did to a figure is what the figure would be without it. Streams are read without
the events that are left out; the rows of deals that follow from them are folded anew, in
memory. What customers count as is read as it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, Fact, believed_history
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.rep import MembershipFact, Rep, RepState, rep_id
from salesflow.domain.settings import SETTINGS_ID, settings_after
from salesflow.domain.state import ReplayContext
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import Reader
from salesflow.projections.scope import MembershipPeriod, Teams
from salesflow.projections.table import Ledger, Row

__all__ = ["ReaderWithout"]


class ReaderWithout(EarlierReader):
    """A reader of the same moment that knows nothing of some events."""

    def __init__(
        self, reader: Reader, streams: Mapping[UUID, list[Event]], left_out: Iterable[UUID]
    ) -> None:
        """Leave out events, which stand in the streams."""
        super().__init__(reader)
        out = {*left_out}
        self._anew: dict[UUID, list[Event]] = {
            stream: [event for event in events if event.event_id not in out]
            for stream, events in streams.items()
            if any(event.event_id in out for event in events)
        }
        if SETTINGS_ID in self._anew:
            settings = settings_after(self._anew[SETTINGS_ID])
            self.timezone, self.calendar = settings.timezone, settings.fiscal_calendar

    @property
    def touched(self) -> frozenset[UUID]:
        """The streams in which something is left out."""
        return frozenset(self._anew)

    @property
    def deals(self) -> list[UUID]:
        """The deals in which something is left out, in order."""
        return sorted(
            stream
            for stream, events in self._anew.items()
            if any(isinstance(event.fact, DealOpened) for event in events)
        )

    def events(self, stream_id: UUID) -> list[Event]:
        """Return a stream's events, without those that are left out."""
        if stream_id in self._anew:
            return [*self._anew[stream_id]]
        return super().events(stream_id)

    def streams(self, ids: Iterable[UUID], *kinds: type[Fact]) -> dict[UUID, list[Event]]:
        """Return the same of many streams; those without events are left out."""
        wanted = [*ids]
        found = super().streams([id for id in wanted if id not in self._anew], *kinds)
        for id in wanted:
            events = [
                event
                for event in self._anew.get(id, ())
                if not kinds or isinstance(event.fact, kinds)
            ]
            if events:
                found[id] = events
        return found

    def rates(self) -> RateTable:
        """Return the exchange rates of which something is left out, or those there are."""
        if RATES_ID in self._anew:
            return super().rates()
        return self._reader.rates()

    def rows_of(self, ledger: Ledger, deal: UUID) -> Iterator[tuple[Event, Row]]:
        """Yield what a ledger holds of a deal by the moment, each with the event behind it."""
        fold = ledger.start(self.processes)
        for event in believed_history(self.events(deal)):
            rows = fold.apply(event) if type(event.fact) in ledger.facts else ()
            for row in rows:
                if event.effective <= self.read_point.as_of:
                    yield event, row

    def teams(self, rep: str, known: Teams) -> Teams:
        """Return the teams of a rep."""
        if rep_id(rep) not in self._anew:
            return known
        state, stays = RepState(ReplayContext(self.processes, self.timezone)), defaultdict(list)
        for event in believed_history(self.events(rep_id(rep))):
            if type(event.fact) not in Rep.facts or state.evolve(event) is not None:
                continue
            if isinstance(event.fact, MembershipFact):
                stay = MembershipPeriod(event.effective, state.team, event.event_id)
                stays[rep].append(stay)
        return Teams(stays)
