"""Makes facts of what an export says beside deals: customers, reps, teams, rates, fiscal years.

Of users, teams and settings a system keeps only how they are now. A rep is in the team the
export names from the beginning on, marked as inferred; another team or name of a team in a
later export is a change since then. What somebody else recorded of a rep or a team stands:
the rows of the export are left out, and say so. A fiscal calendar that differs from the one
the database keeps is refused. A module of its own, to keep all that from deals.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Final

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.crm.deal_facts import AS_EXPORTED
from salesflow.adapters.importers.crm.exports import CrmRecord
from salesflow.adapters.importers.crm.records import (
    CrmDeal,
    CrmPeriod,
    CrmRate,
    CrmRep,
    CrmTeam,
)
from salesflow.adapters.importers.crm.system import BESIDE, CrmSystem, refusing
from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.extracted import ExtractedDeal, ExtractedFact
from salesflow.adapters.importers.ids import fact_source_id, object_id
from salesflow.adapters.importers.rows import ObjectRows
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.calendar import Days, FiscalCalendar, Pattern, Span, YearBegins
from salesflow.domain.event import Event, Fact, believed_history, without_retracted
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished
from salesflow.domain.rep import RepJoined, RepMoved, RepState, rep_id
from salesflow.domain.settings import SETTINGS_ID, SettingsChanged
from salesflow.domain.team import TeamFormed, TeamName, TeamRenamed, TeamState, team_id
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["BesideDeals"]


NO_TEAM: Final = "the export names no team; all its users are taken to be in one"
NO_NAME: Final = "the name of the owner cannot be taken; left out"
NAME_SHOWN: Final = 80
NAMED_MAX: Final = 20
KEPT_NAMES: Final = "owners who are known from elsewhere keep the names they have: {owners}"
OWNS_NOTHING: Final = "a user who owns no deal of the export"
NO_REP: Final = "a team of nobody who owns a deal of the export"
KNOWN_OTHERWISE: Final = "known already from elsewhere, and left as it is"
TOLD_TWICE: Final = "tells the same as an earlier row"
OF_THE_BASE: Final = "the rate of the currency that the others are given against"
NO_BASE: Final = "no row says which currency the rates are given against"
ANOTHER_RATE: Final = "tells another rate of that day than an earlier row"
FOLLOWS: Final = "a period that follows from the others"
KEPT_ALREADY: Final = "this database keeps its fiscal years so already"
KEPT_OTHERWISE: Final = (
    "this database keeps its fiscal years from {kept}, the export from {told}; change the"
    " setting first, or import into a database of its own"
)
NO_CALENDAR: Final = "cuts years in a way that no fiscal calendar here does"
WEEKS: Final[tuple[Pattern, ...]] = ("4-4-5", "4-5-4", "5-4-4")
BEGINS: Final[tuple[YearBegins, ...]] = ("nearest", "on_or_before")
SPANS: Final[dict[str, Span]] = {"year": "year", "quarter": "quarter", "month": "month"}


class BesideDeals:
    """Makes facts of the records of one export that are about no deal."""

    def __init__(self, system: CrmSystem, log: EventLog) -> None:
        self._system = system
        self._log = log
        self._known: dict[str, list[Event]] = {}
        """What is recorded of owners whom deals name."""

    def extract(
        self, rows: ObjectRows, records: Sequence[CrmRecord], lines: list[int]
    ) -> ExtractedDeal:
        """Return the facts of what some records are about."""
        _, kind, id = rows.object.split(BESIDE, 2)
        take = {
            "customer": self._customer,
            "rep": self._rep,
            "team": self._team,
            "rates": self._rates,
            "calendar": self._calendar,
        }[kind]
        refused: dict[int, RowError] = {}
        found = ExtractedDeal(f"{kind} {id}".rstrip(), RATES_ID, lines)
        together: dict[int, RowError] = {}
        with refusing(records[0], together):
            take(found, id, records, refused)
        for problem in together.values():  # what all of them say cannot be taken
            refused = dict.fromkeys(lines, problem)
        for place, problem in refused.items():
            found.refuse(place, problem)
        return found

    def known_elsewhere(self) -> list[Message]:
        """Say which owners keep the names that something else told of them."""
        kept = []
        for owner, name in self._system.owner_names.items():
            joined = self._joined(self._log.stream(rep_id(owner)))
            if joined is None or self._is_own(joined):
                continue
            if isinstance(joined.fact, RepJoined) and joined.fact.name != name:
                kept.append(owner)
        more = " …" if len(kept) > NAMED_MAX else ""
        named = f"{', '.join(sorted(kept)[:NAMED_MAX])}{more}"
        return [Message(KEPT_NAMES, owners=named)] if kept else []

    def name_owners(self, deal: CrmDeal, found: ExtractedDeal, place: int) -> None:
        """Add as whom the owners of a deal are known, as far as the export says their names.

        Each is told once, with the first deal that comes. A name that cannot be taken is noted.
        """
        told = [deal.now.get("owner")]
        told += [each.get("owner") for step in deal.steps for each in (step.before, step.after)]
        for owner in dict.fromkeys(told):
            name = self._system.owner_names.get(owner) if isinstance(owner, str) else None
            if not isinstance(owner, str) or name is None:
                continue
            rep = ExtractedDeal(f"rep {owner}", rep_id(owner), [place])
            if owner not in self._known:
                self._known[owner] = self._standing(rep)
            joined = self._joined(self._known[owner])
            if joined is not None and not self._is_own(joined):
                continue
            try:
                self._tell_rep(rep, owner, CrmRep(name), place, self._known[owner])
            except InputError:
                found.adjust(place, Adjustment(NO_NAME, "owner", name[:NAME_SHOWN]))
            found.customers += rep.customers

    def _customer(
        self,
        found: ExtractedDeal,
        id: str,
        records: Sequence[CrmRecord],
        refused: dict[int, RowError],
    ) -> None:
        found.stream_id = object_id(self._system.name, id, "customer")
        for record in records:
            with refusing(record, refused):
                for key, fact, at in self._system.customer(id, record):
                    _add(found, id, key, fact, at, record.place)

    # Reps and teams: how they are now, beside what is recorded of them.

    def _rep(
        self,
        found: ExtractedDeal,
        id: str,
        records: Sequence[CrmRecord],
        refused: dict[int, RowError],
    ) -> None:
        found.stream_id = rep_id(id)
        events = self._standing(found)
        joined = self._joined(events)
        if joined is None and id not in self._system.owners:
            return _leave_out(found, OWNS_NOTHING)
        if joined is not None and not self._is_own(joined):
            return _leave_out(found, KNOWN_OTHERWISE)
        record, *others = records
        for each in others:
            refused[each.place] = RowError(TOLD_TWICE)
        with refusing(record, refused):
            self._tell_rep(found, id, self._system.rep(id, record), record.place, events)
        return None

    def _tell_rep(
        self,
        found: ExtractedDeal,
        id: str,
        rep: CrmRep,
        place: int,
        events: Sequence[Event],
    ) -> None:
        """Tell that somebody joined, or moved since an earlier export told it."""
        joined = self._joined(events)
        team, because = rep.team or self._system.name, AS_EXPORTED if rep.team else NO_TEAM
        fact = RepJoined(rep=id, team=team, name=rep.name, inferred=because)
        if joined is None:
            _add(found, id, "rep", fact, rep.since, place)
            return
        kept = joined.fact.model_copy(update={"name": fact.name})
        _add(found, id, "rep", kept, _time_of(joined), place)
        state = RepState()
        for event in believed_history(events):
            state.evolve(event)
        if rep.team and state.team not in (None, rep.team) and self._is_last(events):
            moved = RepMoved(team=rep.team, inferred=AS_EXPORTED)
            _add(found, id, f"moved/{_count(events, RepMoved)}", moved, rep.modified, place)

    def _standing(self, found: ExtractedDeal) -> list[Event]:
        return without_retracted(self._log.stream(found.stream_id))

    def _joined(self, events: Sequence[Event]) -> Event | None:
        return next((event for event in events if isinstance(event.fact, RepJoined)), None)

    def _team(
        self,
        found: ExtractedDeal,
        id: str,
        records: Sequence[CrmRecord],
        refused: dict[int, RowError],
    ) -> None:
        found.stream_id = team_id(id)
        events = self._standing(found)
        teams = {t for rep, t in self._system.team_of.items() if rep in self._system.owners}
        if not events and id not in teams:
            return _leave_out(found, NO_REP)
        if not self._is_last(events):
            return _leave_out(found, KNOWN_OTHERWISE)
        record, *others = records
        for each in others:
            refused[each.place] = RowError(TOLD_TWICE)
        with refusing(record, refused):
            self._form(found, id, self._system.team(id, record), events)
        return None

    def _form(
        self, found: ExtractedDeal, id: str, team: CrmTeam, events: Sequence[Event]
    ) -> None:
        place, name = found.lines[0], TeamName(en=team.name, zh=team.name)
        if not events:
            _add(found, id, "team", TeamFormed(team=id, name=name), team.since, place)
            return
        formed = events[0]
        _add(found, id, "team", formed.fact, _time_of(formed), place)
        state = TeamState()
        for event in believed_history(events):
            state.evolve(event)
        if state.name_en != team.name:
            renamed = TeamRenamed(name=name, inferred=AS_EXPORTED)
            _add(found, id, f"renamed/{_count(events, TeamRenamed)}", renamed, None, place)

    def _is_own(self, event: Event) -> bool:
        return event.source == self._system.name

    def _is_last(self, events: Sequence[Event]) -> bool:
        """Return whether an import of the system told the last of some events."""
        told = (TeamFormed, TeamRenamed, RepJoined, RepMoved)
        last = [event for event in events if isinstance(event.fact, told)]
        return not last or self._is_own(last[-1])

    # Exchange rates and the fiscal calendar.

    def _rates(
        self,
        found: ExtractedDeal,
        id: str,
        records: Sequence[CrmRecord],
        refused: dict[int, RowError],
    ) -> None:
        del id
        base, rates = self._system.base_currency, dict[str, CrmRate]()
        places: list[int] = []
        for record in records:
            with refusing(record, refused):
                if base is None:
                    raise RowError(NO_BASE)
                rate = self._system.rate(record)
                if rate.currency == base:
                    found.left_out[record.place] = OF_THE_BASE
                    continue
                Rate(currency=rate.currency, rate=rate.rate)
                if rates.setdefault(rate.currency, rate) != rate:
                    raise RowError(ANOTHER_RATE)
                places.append(record.place)
        if base is None or not rates:
            return
        at = min(rates.values(), key=lambda rate: rate.day.instant).day
        assert at.day is not None, "rates hold from a day on"
        fact = RatesPublished(
            day=at.day,
            base=base,
            rates=tuple(
                Rate(currency=code, rate=rate.rate) for code, rate in sorted(rates.items())
            ),
            source=self._system.name,
        )
        _add(found, str(at.day), f"rates/{base}", fact, at, places[0])
        found.told_with.update(dict.fromkeys(places, places[0]))

    def _calendar(
        self,
        found: ExtractedDeal,
        id: str,
        records: Sequence[CrmRecord],
        refused: dict[int, RowError],
    ) -> None:
        periods: dict[int, CrmPeriod] = {}
        for record in records:
            with refusing(record, refused):
                period = self._system.period(record)
                if period is None:
                    found.left_out[record.place] = FOLLOWS
                else:
                    periods[record.place] = period
        if not periods:
            return
        told = _calendar_of([*periods.values()])
        kept = self._kept_calendar()
        if told is None:
            refused.update(dict.fromkeys(periods, RowError(NO_CALENDAR)))
        elif kept is not None and kept != told:
            why = RowError(KEPT_OTHERWISE, kept=_said(kept), told=_said(told), for_now=True)
            refused.update(dict.fromkeys(periods, why))
        elif kept is not None:
            found.left_out.update(dict.fromkeys(periods, KEPT_ALREADY))
        else:
            first = min(periods)
            fact = SettingsChanged(fiscal_calendar=told)
            found.stream_id = SETTINGS_ID
            _add(found, id, "fiscal_calendar", fact, None, first)
            found.told_with.update(dict.fromkeys(periods, first))

    def _kept_calendar(self) -> FiscalCalendar | None:
        """Return the fiscal calendar that was set otherwise than by an export, if any was."""
        events = without_retracted(self._log.stream(SETTINGS_ID))
        for event in reversed(events):
            fact = event.fact
            if isinstance(fact, SettingsChanged) and fact.fiscal_calendar:
                return None if self._is_own(event) else fact.fiscal_calendar
        return None


def _add(
    found: ExtractedDeal, id: str, key: str, fact: Fact, at: ReadTime | None, place: int
) -> None:
    source_id = fact_source_id(id, key)
    found.customers.append(ExtractedFact.of(found.stream_id, source_id, fact, at, place))


def _leave_out(found: ExtractedDeal, why: str) -> None:
    found.left_out.update(dict.fromkeys(found.lines, why))


def _time_of(event: Event) -> ReadTime:
    return ReadTime(event.occurred, event.precision, None)


def _count(events: Sequence[Event], of: type[Fact]) -> int:
    return Counter(type(event.fact) for event in events)[of] + 1


def _calendar_of(periods: Sequence[CrmPeriod]) -> FiscalCalendar | None:
    """Return the calendar that cuts years as all of some periods do."""
    years = [period for period in periods if period.kind == "year"]
    starts = sorted({period.first for period in years or periods})
    for start in starts[:4]:
        for calendar in _calendars_from(start):
            if all(_fits(calendar, period) for period in periods):
                return calendar
    return None


def _calendars_from(start: date) -> Sequence[FiscalCalendar]:
    """Return the calendars of which a year may begin on a day."""
    found = []
    tries: list[dict[str, object]] = [{"start_month": start.month, "start_day": start.day}]
    tries += [
        {"pattern": weeks, "anchor": start, "year_begins": begins}
        for weeks in WEEKS
        for begins in BEGINS
    ]
    for each in tries:
        try:
            found.append(FiscalCalendar.model_validate(each))
        except ValueError:  # no year can begin there by this rule
            continue
    return found


def _fits(calendar: FiscalCalendar, period: CrmPeriod) -> bool:
    days = calendar.span(SPANS[period.kind], period.first)
    return days == Days(period.first, period.last)


def _said(calendar: FiscalCalendar) -> str:
    day = f"{calendar.start_month:02}-{calendar.start_day:02}"
    if calendar.anchor is None:
        return day
    return f"{calendar.anchor} ({calendar.pattern})"
