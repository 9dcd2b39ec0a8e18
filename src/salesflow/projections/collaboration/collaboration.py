"""Who works with whom on deals, how soon help comes, and how far buying committees are covered.

Answers "who does what together, which departments take part, who waits for help, what was
handed over, and did the deals we won have more of the committee than those we lost?" for a
period, at any past moment. What was done counts for whoever had the deal then. Differences of
coverage are shown with their intervals and claim no cause. Leaves out what was said: that is
in the log of each deal.
"""

from typing import Annotated, ClassVar, Final, TypedDict
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from salesflow.domain.computed_once import computed_once
from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.collaboration.collaboration_figures import (
    ChannelFigures,
    CollaborationFigures,
    DepartmentFigures,
    HandoverLine,
    OpenRequest,
    PeriodRows,
    PersonFigures,
    WorkingPair,
    channel_figures,
    credits_of,
    department_figures,
    longest_waiting,
    newest_handovers,
    person_figures,
    total_figures,
    working_pairs,
)
from salesflow.projections.collaboration.collaboration_layout import CollaborationLayout, Listed
from salesflow.projections.collaboration.coverage import (
    CoverageMean,
    CoverageShare,
    DealCoverage,
    coverage_means,
    coverage_shares,
    covered_deals,
    least_covered,
)
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import NO_NUMBER, UNKNOWN, Column, Flags, HeldRows
from salesflow.projections.core.question import Limit, PeriodQuestion, Reader, Span, View
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.collaboration import COLLABORATION
from salesflow.projections.folds.committee import COMMITTEE
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.handover import HANDOVER
from salesflow.projections.folds.help_request import HELP_REQUEST
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.scope import Teams

__all__ = ["Collaboration", "CollaborationView"]

LISTED: Final = 20
DAYS_MAX: Final = 3653
WINS: Final = ("won", "unmerged")
"""The bookings that say to whom a standing win belongs."""


class CollaborationView(View):
    """What was done together in a period, who waits, and how far committees are covered."""

    population: ClassVar[str] = (
        "messages, internal meetings, help, joinings and handovers that happened in the period"
        " by the moment, on any deal whatever became of it; owner, team and process are those"
        " of the deal at that time, of a handover either owner's; answers, what was handed over"
        " and acknowledgements: by the moment; help without an answer: that of deals open at"
        " the moment, whenever it was asked for; won and lost: deals"
        " currently won or lost whose current close date falls in the period, their committee"
        " as of that instant; a contact counts for whom it names by id"
    )
    formula: ClassVar[str] = (
        "a pair: two people of one message, meeting, help or joining, each act once per pair;"
        " response = first answer - asked; credited = sum of a person's shares of the deals won"
        " in the period, as of winning: each deal counts one in all; contacted = a contact"
        " within so many days before closing, or before the moment; shares of deals with a"
        " committee (committee known: of all) with 95% Wilson intervals, means with Student's"
        " t; difference = won - lost with its 95% Newcombe interval, no claim of cause"
    )
    period: Period
    before: Period
    total: CollaborationFigures
    total_before: CollaborationFigures
    pairs: tuple[WorkingPair, ...]
    """Those that did most together first."""
    pairs_total: int
    departments: tuple[DepartmentFigures, ...]
    people: tuple[PersonFigures, ...]
    """Those on most deals first."""
    people_total: int
    channels: tuple[ChannelFigures, ...]
    handovers: tuple[HandoverLine, ...]
    """The newest first."""
    open_requests: tuple[OpenRequest, ...]
    """Those that wait longest first."""
    open_requests_total: int
    contacted_within: int
    """Within how many days somebody counts as contacted."""
    won: int
    lost: int
    coverage: tuple[CoverageShare, ...]
    coverage_means: tuple[CoverageMean, ...]
    open_deals: tuple[DealCoverage, ...]
    """Those with the fewest people contacted first."""
    open_deals_total: int
    open_uncontacted: int
    """How many of them have nobody who was contacted lately."""
    open_single_contact: int
    """How many of them have one person alone who was."""
    before_joining: int
    """Of how many reps the first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: in all, by pair, department and person, then the committees."""
        layout = CollaborationLayout(ZoneInfo(self.timezone), language)
        days = self.contacted_within
        people = Listed(self.people, self.people_total)
        requests = Listed(self.open_requests, self.open_requests_total)
        handovers = Listed(self.handovers, self.total.handovers)
        return [
            layout.totals(
                (self.period, self.total),
                (self.before, self.total_before),
                self.before_joining,
            ),
            layout.pairs(Listed(self.pairs, self.pairs_total)),
            layout.departments(self.departments),
            layout.people(people, self.won),
            layout.channels(self.channels),
            layout.open_requests(requests),
            layout.handovers(handovers),
            layout.coverage(self.coverage, self.coverage_means, days),
            layout.open_deals(
                Listed(self.open_deals, self.open_deals_total),
                (self.open_uncontacted, self.open_single_contact),
                days,
            ),
        ]


class _OpenNow(TypedDict):
    """What a view says of the deals that are open at the moment."""

    open_requests: tuple[OpenRequest, ...]
    open_requests_total: int
    open_deals: tuple[DealCoverage, ...]
    open_deals_total: int
    open_uncontacted: int
    open_single_contact: int


class Collaboration(PeriodQuestion[CollaborationView]):
    """Who works with whom, how soon help comes, and are the people who decide covered?"""

    name: ClassVar[str] = "collaboration"
    folds: ClassVar[tuple[str, ...]] = (
        BOOKING.name,
        CLOSING.name,
        COLLABORATION.name,
        COMMITTEE.name,
        DEAL_STATE.name,
        HANDOVER.name,
        HELP_REQUEST.name,
        MEMBERSHIP.name,
    )
    process: Reference | None = None
    """Only deals that were of this process (its key) at the time; all when left out."""
    owner: Reference | None = None
    """Only deals that were owned by this rep at the time; all when left out."""
    team: Reference | None = None
    """Only deals whose owner was in this team (its key) at the time; all when left out."""
    contacted_within: Annotated[int, Field(ge=1, le=DAYS_MAX, strict=True)] = 30
    """Somebody counts as contacted who took part in a contact within so many days."""
    limit: Limit = LISTED
    """How many rows of each list to show at most. Default: 20."""

    def answer(self, reader: Reader, moment: Moment) -> CollaborationView:
        """Count what happened in the period, and look at the committees of its deals."""
        span, before = self.spans(reader)
        asked = _AskedFor(reader, self.process, self.owner, self.team)
        rows, earlier = asked.happened(span), asked.happened(before)
        closed = asked.closed(span)
        won = closed.has("outcome", "won")
        pairs, pairs_total = working_pairs(rows.acts, self.limit)
        credits = credits_of(reader.columns(BOOKING), closed.where(won), WINS)
        people, people_total = person_figures(rows, credits, self.limit)
        members = reader.columns(COMMITTEE, ended=True)
        known_at, days = reader.read_point.known_at, self.contacted_within
        covered = covered_deals(closed, members, closed["closed"], known_at, days)
        return CollaborationView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            total=total_figures(rows),
            total_before=total_figures(earlier),
            pairs=tuple(pairs),
            pairs_total=pairs_total,
            departments=tuple(department_figures(rows)),
            people=tuple(people),
            people_total=people_total,
            channels=tuple(channel_figures(rows.acts)),
            handovers=tuple(newest_handovers(rows.handovers, self.limit)),
            contacted_within=days,
            won=int(np.count_nonzero(won)),
            lost=int(np.count_nonzero(~won)),
            coverage=tuple(coverage_shares(covered, won)),
            coverage_means=tuple(coverage_means(covered, won)),
            before_joining=asked.before_joining,
            **self._standing(reader, asked, members),
        )

    def _standing(self, reader: Reader, asked: "_AskedFor", members: HeldRows) -> _OpenNow:
        """Look at the deals that are open at the moment: who waits, and who is covered."""
        deals, point = asked.open_deals(), reader.read_point
        waiting, as_of = asked.waiting(deals), np.full(len(deals), point.as_of)
        now = covered_deals(deals, members, as_of, point.known_at, self.contacted_within)
        requests = longest_waiting(waiting, point.as_of, reader.timezone, self.limit)
        return {
            "open_requests": tuple(requests),
            "open_requests_total": len(waiting),
            "open_deals": tuple(least_covered(deals, now, self.day(reader), self.limit)),
            "open_deals_total": len(deals),
            "open_uncontacted": int(np.count_nonzero(now.contacted == 0)),
            "open_single_contact": int(np.count_nonzero(now.contacted == 1)),
        }


class _AskedFor:
    """The deals that a question is narrowed to, in every table that it reads."""

    def __init__(
        self, reader: Reader, process: str | None, owner: str | None, team: str | None
    ) -> None:
        self._reader = reader
        self._process, self._owner, self._team = process, owner, team

    @computed_once
    def _teams(self) -> Teams:
        return Teams.read(self._reader)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it."""
        return self._teams.before_joining if self._team is not None else 0

    def happened(self, span: Span) -> PeriodRows:
        """Return what happened in a period."""
        acts, requests, handovers = (
            self._reader.columns(table).between("occurred", span.start, span.end)
            for table in (COLLABORATION, HELP_REQUEST, HANDOVER)
        )
        return PeriodRows(
            acts.where(self._fitting(acts, ("owner",), acts["occurred"])),
            requests.where(self._fitting(requests, ("owner",), requests["occurred"])),
            handovers.where(
                self._fitting(handovers, ("former", "owner"), handovers["occurred"])
            ),
            self._reader.timezone,
        )

    def closed(self, span: Span) -> HeldRows:
        """Return the deals that were won or lost in a period, as they closed."""
        rows = self._reader.columns(CLOSING).between("closed", span.start, span.end)
        rows = rows.among("outcome", *WIN_RATE)
        return rows.where(self._fitting(rows, ("owner",), rows["closed"]))

    def open_deals(self) -> HeldRows:
        """Return the deals that are open at the moment."""
        rows = self._reader.columns(DEAL_STATE).among("outcome", "open")
        return rows.where(self._fitting(rows, ("owner",), None))

    def waiting(self, deals: HeldRows) -> HeldRows:
        """Return the requests without an answer of some deals."""
        rows = self._reader.columns(HELP_REQUEST)
        theirs = places_among(deals["entity_id"], rows["entity_id"]) >= 0
        return rows.where(theirs & (rows["answered"] == NO_NUMBER))

    def _fitting(self, rows: HeldRows, owners: tuple[str, ...], at: Column | None) -> Flags:
        """Return which rows were asked for: of any of their owners, of a team at an instant.

        Where no instant is said, of the team that is valid at the moment.
        """
        wanted = rows.fitting({"process": self._process})
        if self._owner is not None:
            wanted &= np.logical_or.reduce([rows.has(name, self._owner) for name in owners])
        if self._team is not None:
            ours = [self._in_team(rows, name, at) for name in owners]
            wanted &= np.logical_or.reduce(ours)
        return wanted

    def _in_team(self, rows: HeldRows, owner: str, at: Column | None) -> Flags:
        teams, words = self._teams, rows.words[owner]
        if at is None:
            as_of = np.full(len(rows), self._reader.read_point.as_of)
            found = teams.valid_numbers(rows[owner], words, as_of)
        else:
            found = teams.numbers(rows[owner], words, at)
        names = teams.names
        number = names.index(self._team) if self._team in names else UNKNOWN
        return np.asarray(found == number)
