"""The tables of a collaboration view, as people read them.

A module of its own: what is counted stands in `collaboration_figures` and `coverage`,
how it reads here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from salesflow.domain.time import Period
from salesflow.domain.values import tidy
from salesflow.presentation.format import (
    NO_VALUE,
    CellValue,
    Percent,
    RowOfValues,
    days_text,
    estimate_text,
    local_day,
    short_id,
    written_rows,
)
from salesflow.presentation.messages import Language, in_language, key_text, say, word_known
from salesflow.presentation.table import TableOfView
from salesflow.projections.collaboration.collaboration_figures import (
    ChannelFigures,
    CollaborationFigures,
    DepartmentFigures,
    HandoverLine,
    OpenRequest,
    PersonFigures,
    WorkingPair,
)
from salesflow.projections.collaboration.coverage import (
    CoverageMean,
    CoverageShare,
    DealCoverage,
)
from salesflow.projections.scope import early_reps_note

__all__ = ["CollaborationLayout", "Listed"]

RowT = TypeVar("RowT")
FIGURES: Final[Mapping[str, Callable[[CollaborationFigures], CellValue]]] = {
    "Deals worked on together": lambda it: it.deals,
    "Collaborators joined": lambda it: it.collaborators_joined,
    "Messages": lambda it: it.messages,
    "Internal meetings": lambda it: it.meetings,
    "Requests for help": lambda it: it.help_requests,
    "Answered": lambda it: it.answered,
    "Without an answer": lambda it: it.open_requests,
    "First answer, median (days)": lambda it: it.response.days_median,
    "First answer, P90 (days)": lambda it: it.response.days_p90,
    "Handovers": lambda it: it.handovers,
    "With something handed over": lambda it: it.handed_over,
    "Acknowledged": lambda it: it.acknowledged,
}


class Listed(NamedTuple, Generic[RowT]):
    """Rows that are shown, and how many there are in all."""

    rows: Sequence[RowT]
    total: int


class CollaborationLayout:
    """The tables in a language and a time zone."""

    def __init__(self, zone: ZoneInfo, language: Language) -> None:
        self._zone = zone
        self._language: Language = language

    def totals(
        self,
        now: tuple[Period, CollaborationFigures],
        before: tuple[Period, CollaborationFigures],
        before_joining: int,
    ) -> TableOfView:
        """Lay out the period and the one before it side by side."""
        columns = ("Figure", *(days_text(period, self._zone) for period, _ in (now, before)))
        rows = [(name, *(of(it) for _, it in (now, before))) for name, of in FIGURES.items()]
        early = (early_reps_note(before_joining, self._language),) if before_joining else ()
        return TableOfView(
            "Collaboration", columns, written_rows(rows), notes=early, words=("Figure",)
        )

    def pairs(self, pairs: Listed[WorkingPair]) -> TableOfView:
        """Lay out who works with whom."""
        rows: list[RowOfValues] = [
            (p.person, p.colleague, p.deals, p.messages, p.meetings, p.help_given, p.joined)
            for p in pairs.rows
        ]
        columns = (
            *("Person", "Colleague", "Deals", "Messages", "Internal meetings"),
            *("Help given", "Joined"),
        )
        notes = self._shown(pairs)
        return TableOfView("Who works with whom", columns, written_rows(rows), notes=notes)

    def departments(self, departments: Iterable[DepartmentFigures]) -> TableOfView:
        """Lay out which departments take part, and how soon they answer."""
        rows: list[RowOfValues] = [
            (
                self._department(d.department),
                *(d.deals, d.people, d.joined, d.messages, d.meetings, d.help_given),
                *(d.help_requests, d.answered, d.open_requests, d.response.days_median),
            )
            for d in departments
        ]
        columns = (
            *("Department", "Deals", "People involved", "Joined", "Messages"),
            *("Internal meetings", "Help given", "Requests for help", "Answered"),
            *("Without an answer", "First answer, median (days)"),
        )
        return TableOfView("Departments", columns, written_rows(rows))

    def people(self, people: Listed[PersonFigures], won: int) -> TableOfView:
        """Lay out what each person did with others."""
        rows: list[RowOfValues] = [
            (
                *(p.person or NO_VALUE, self._department(p.department), p.deals, p.messages),
                *(p.meetings, p.help_asked, p.help_given, p.first_answers),
                *(p.response.days_median, f"{tidy(p.credited):f}"),
            )
            for p in people.rows
        ]
        columns = (
            *("Person", "Department", "Deals", "Messages written", "Internal meetings"),
            *("Help asked for", "Help given", "First to answer"),
            *("First answer, median (days)", "Deals won, credited"),
        )
        each = say(
            "Credits of all people add up to the deals won: {won}",
            self._language,
            won=f"{won:,}",
        )
        first = (
            in_language("First to answer: of the help asked for in the period", self._language),
            in_language("Department: the one last taken part for", self._language),
        )
        notes = (each, *(first if people.rows else ()), *self._shown(people))
        return TableOfView("People on deals", columns, written_rows(rows), notes=notes)

    def channels(self, channels: Iterable[ChannelFigures]) -> TableOfView:
        """Lay out how messages are sent."""
        rows: list[RowOfValues] = [
            (
                key_text(c.channel, self._language) if c.channel else NO_VALUE,
                c.messages,
                c.deals,
            )
            for c in channels
        ]
        columns = ("Channel", "Messages", "Deals")
        return TableOfView("Messages by channel", columns, written_rows(rows))

    def open_requests(self, requests: Listed[OpenRequest]) -> TableOfView:
        """Lay out who waits for help on open deals."""
        rows: list[RowOfValues] = [
            (
                *(local_day(r.occurred_at, self._zone), short_id(r.deal)),
                *(r.asked_by or NO_VALUE, self._department(r.department), r.days_waiting),
            )
            for r in requests.rows
        ]
        columns = ("Asked on", "Deal", "Asked by", "Department", "Waiting (days)")
        notes = self._shown(requests)
        return TableOfView("Help without an answer", columns, written_rows(rows), notes=notes)

    def handovers(self, handovers: Listed[HandoverLine]) -> TableOfView:
        """Lay out which deals went from owner to owner, and what went with them."""
        rows: list[RowOfValues] = [
            (
                *(local_day(h.occurred_at, self._zone), short_id(h.deal), h.former, h.owner),
                *(self._on(h.handed_over_at), h.open_tasks, h.promises, h.contact_people),
                self._on(h.acknowledged_at),
            )
            for h in handovers.rows
        ]
        columns = (
            *("Day", "Deal", "Former owner", "New owner", "Handed over on", "Open tasks"),
            *("Promises", "Contact people", "Acknowledged on"),
        )
        notes = self._shown(handovers)
        return TableOfView("Handovers", columns, written_rows(rows), notes=notes)

    def coverage(
        self, shares: Sequence[CoverageShare], means: Iterable[CoverageMean], days: int
    ) -> TableOfView:
        """Lay out the committees of won and lost deals side by side."""
        rows: list[RowOfValues] = [
            (
                self._figure(s.figure) + (" *" if s.few else ""),
                *(s.won_of, Percent(s.won_share), s.lost_of, Percent(s.lost_share)),
                estimate_text(s.difference, percent=True).replace("%", ""),
            )
            for s in shares
            if s.won_of or s.lost_of
        ]
        rows += [
            (
                self._figure(m.figure),
                *(0 if m.won is None else m.won.count, estimate_text(m.won, places=1)),
                *(0 if m.lost is None else m.lost.count, estimate_text(m.lost, places=1)),
                NO_VALUE,
            )
            for m in means
            if m.won is not None or m.lost is not None
        ]
        columns = (
            *("Buying committee", "Deals won", "Of won deals (95% CI)", "Deals lost"),
            *("Of lost deals (95% CI)", "Difference, points (95% CI)"),
        )
        few = in_language("* fewer than ten deals won or lost to compare", self._language)
        notes = [few] if any(s.few for s in shares) else []
        notes.append(
            say(
                "Contacted: within {days} days before closing", self._language, days=f"{days:,}"
            )
        )
        notes.append(in_language("Differences claim no cause", self._language))
        title = "Buying committee in won and lost deals"
        return TableOfView(title, columns, written_rows(rows), notes=tuple(notes))

    def open_deals(
        self, deals: Listed[DealCoverage], contacts: tuple[int, int], days: int
    ) -> TableOfView:
        """Lay out the open deals of which fewest people were contacted lately."""
        rows: list[RowOfValues] = [
            (
                *(short_id(d.deal), d.owner or NO_VALUE),
                "" if d.expected_close is None else d.expected_close.isoformat(),
                *(d.members, d.contacted, d.supporters, d.opponents),
                self._roles(d),
            )
            for d in deals.rows
        ]
        columns = (
            *("Deal", "Owner", "Expected close", "People known", "Contacted"),
            *("Supporters", "Opponents", "Roles nobody fills"),
        )
        within = say(
            "Contacted: within {days} days before the moment",
            self._language,
            days=f"{days:,}",
        )
        few = say(
            "Nobody contacted: {nobody} of {total} deals, one person alone: {one}",
            self._language,
            nobody=f"{contacts[0]:,}",
            one=f"{contacts[1]:,}",
            total=f"{deals.total:,}",
        )
        notes = (few, within, *self._shown(deals))
        return TableOfView(
            "Buying committee of open deals", columns, written_rows(rows), notes=notes
        )

    def _roles(self, deal: DealCoverage) -> str:
        if not deal.members:
            return in_language("nobody known", self._language)
        return ", ".join(key_text(role, self._language) for role in deal.roles_unfilled)

    def _department(self, department: str | None) -> str:
        return NO_VALUE if department is None else word_known(department, self._language)

    def _figure(self, figure: str) -> str:
        return key_text(figure, self._language)

    def _shown(self, listed: Listed[RowT]) -> tuple[str, ...]:
        """Return how many rows there are, where not all of them are shown."""
        if len(listed.rows) == listed.total:
            return ()
        shown, of = (in_language(word, self._language) for word in ("listed", "in all"))
        return (f"{shown} {len(listed.rows):,} · {of} {listed.total:,}",)

    def _on(self, at: datetime | None) -> str:
        return NO_VALUE if at is None else local_day(at, self._zone)
