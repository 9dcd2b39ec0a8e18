"""How a case study is laid out for people: a table for each of its parts, told in order."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, ClassVar, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Moment, from_instant
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.presentation.format import (
    NO_VALUE,
    amount_text,
    given_percent,
    local_time,
    number_text,
    percent_text,
    short_id,
)
from salesflow.presentation.messages import (
    Language,
    in_language,
    key_text,
    kind_name,
    say,
    word_known,
)
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.case_figures import (
    CaseSummary,
    Chapter,
    CompetitorSeen,
    CreditShare,
    HelpSought,
    ObjectionMet,
    OwnerSpan,
    QuoteMade,
    TeamMember,
    TurningPoint,
    chapters,
    competitors,
    credit_shares,
    help_sought,
    objections,
    owners,
    quotes,
    team,
    turning_points,
)
from salesflow.projections.cases.similar_cases import (
    CaseDifference,
    ClosedDeal,
    HistoryStep,
    Likeness,
    SimilarDeal,
    StagePath,
    differences,
    like,
    path_figures,
    path_to_closing,
    read_closed,
    similar_deal,
    walk,
)
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.core.replaying import believed
from salesflow.projections.core.statistics import decimal_of
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.metrics.visits import read_steps
from salesflow.projections.scope import Meant, named

__all__ = ["CaseLayout", "CaseStudy", "CaseStudyView"]


SHARES: Final = frozenset({"discount"})
"""Figures that are parts of a whole."""


class CaseLayout(NamedTuple):
    """Writes times in a time zone and words in a language."""

    zone: ZoneInfo
    language: Language

    def summary(self, deal: CaseSummary, credits: Iterable[CreditShare]) -> TableOfView:
        """Lay out what the deal was when it closed."""
        credited = " · ".join(f"{each.person} {given_percent(each.credit)}" for each in credits)
        said = {
            "Title": deal.title,
            "Process": deal.process,
            "Outcome": self._word(deal.outcome),
            "Created at": self._time(deal.opened_at),
            "Closed at": self._time(deal.closed_at),
            "Days": number_text(deal.days),
            "Amount at closing": amount_text(deal.amount, deal.currency),
            "Owner": deal.owner,
            "Credit": credited,
            "Customer": None if deal.customer_id is None else str(deal.customer_id),
            "Lead source": deal.lead_source and in_language(deal.lead_source, self.language),
            "Loss reason": deal.because,
            "Lost to": deal.competitor,
        }
        rows = tuple((self._word(name), text) for name, text in said.items() if text)
        times = f"{self._word('times are those of')} {self.zone.key}"
        return TableOfView("Case study", ("Figure", "Value"), rows, (times,), str(deal.deal))

    def chapters(self, told: Sequence[Chapter]) -> TableOfView:
        """Lay out how the deal went from stage to stage."""
        columns = (
            "Stage",
            "Entered by",
            "Entered at",
            "Left at",
            "Days",
            "Stage limit (days)",
            "Activities",
            "Events",
        )
        rows = tuple(
            (
                self._stage(each),
                key_text(each.entered, self.language)
                if each.stage_en
                else self._word("deal closed"),
                self._time(each.entered_at),
                self._time(each.left_at),
                self._days(each),
                _or_dash(each.days_max),
                self._contacts(each),
                f"{len(each.facts):,}",
            )
            for each in told
        )
        overdue = self._word("! past the stage limit")
        notes = (overdue,) if any(each.overdue for each in told) else ()
        return TableOfView("Stage history", columns, rows, notes)

    def facts(self, told: Iterable[Chapter]) -> TableOfView:
        """Lay out every fact under its chapter."""
        columns = ("Stage", "Occurred", "Event", "Actor", "Data anomaly")
        rows = tuple(
            (
                self._stage(each),
                self._time(fact.occurred_at)[: len("2026-03-31") if day else None],
                kind_name(fact.kind, self.language),
                fact.actor or NO_VALUE,
                self._irregular(fact.irregular),
            )
            for each in told
            for fact in each.facts
            for day in [fact.precision == "day"]
        )
        return TableOfView("Event history", columns, rows)

    def turning_points(self, points: Iterable[TurningPoint]) -> TableOfView:
        """Lay out what the deal turned on."""
        columns = (
            "Time", "Turning point", "Day / change", "Old value", "New value or name", "Event",
        )  # fmt: skip
        rows = tuple(
            (
                self._time(each.at),
                self._word(each.turn),
                self._figure(each),
                each.before or NO_VALUE,
                self._after(each),
                kind_name(each.fact, self.language),
            )
            for each in points
        )
        return TableOfView("Turning points", columns, rows)

    def quotes(self, made: Iterable[QuoteMade]) -> TableOfView:
        """Lay out the offers."""
        columns = ("Quote", "State", "Issued", "Total", "Discount", "Revisions")
        rows = tuple(
            (
                each.quote,
                each.state,
                self._time(each.issued_at),
                amount_text(each.total, each.currency),
                given_percent(each.discount),
                f"{each.revisions:,}",
            )
            for each in made
        )
        return TableOfView("Quotes", columns, rows, words=("State",))

    def objections(self, met: Iterable[ObjectionMet]) -> TableOfView:
        """Lay out what the customer doubted and what we answered."""
        columns = ("Objection", "Topic", "Doubt", "Raised", "State", "Days", "Answer")
        rows = tuple(
            (
                each.objection,
                word_known(each.topic or NO_VALUE, self.language),
                each.doubt or NO_VALUE,
                self._time(each.raised_at),
                "resolved" if each.resolved else "unresolved",
                number_text(each.days),
                each.answer or NO_VALUE,
            )
            for each in met
        )
        return TableOfView("Objections", columns, rows, words=("State",))

    def competitors(self, seen: Iterable[CompetitorSeen]) -> TableOfView:
        """Lay out who else was after the deal."""
        rows = tuple((each.competitor, self._time(each.named_at)) for each in seen)
        return TableOfView("Competitors", ("Competitor", "First named"), rows)

    def owners(self, spans: Iterable[OwnerSpan]) -> TableOfView:
        """Lay out whose deal it was."""
        rows = tuple(
            (each.owner or NO_VALUE, self._time(each.start), self._time(each.end))
            for each in spans
        )
        return TableOfView("Owners", ("Owner", "From", "To"), rows)

    def collaborators(self, members: Iterable[TeamMember]) -> TableOfView:
        """Lay out who worked on it."""
        rows = tuple(
            (
                each.person,
                word_known(each.department or NO_VALUE, self.language),
                each.role or NO_VALUE,
                given_percent(each.credit),
            )
            for each in members
        )
        return TableOfView("Collaborators", ("Person", "Department", "Role", "Credit"), rows)

    def help(self, sought: Iterable[HelpSought]) -> TableOfView:
        """Lay out who asked for help and who gave it."""
        columns = (
            "Request", "Department", "Requested at", "Answered at", "Days", "Helped by", "Text",
            "Answer",
        )  # fmt: skip
        rows = tuple(
            (
                each.request,
                word_known(each.department or NO_VALUE, self.language),
                self._time(each.asked_at),
                self._time(each.given_at),
                number_text(each.days),
                each.given_by or NO_VALUE,
                each.question or NO_VALUE,
                each.answer or NO_VALUE,
            )
            for each in sought
        )
        return TableOfView("Help", columns, rows)

    def similar(self, deals: Iterable[SimilarDeal]) -> TableOfView:
        """Lay out the deals most like it, and why they are."""
        columns = (
            "Deal",
            "Title",
            "Outcome",
            "Days",
            "Amount",
            "Similarity score",
            "Similar by",
        )
        rows = tuple(
            (
                short_id(each.deal),
                each.title or NO_VALUE,
                each.outcome,
                number_text(each.days),
                amount_text(each.amount, each.currency),
                f"{each.score:.2f}",
                " · ".join(self._reasons(each)),
            )
            for each in deals
        )
        return TableOfView("Similar deals", columns, rows, words=("Outcome",))

    def differences(self, found: Sequence[CaseDifference]) -> TableOfView:
        """Lay out this deal's figures beside those of its similar deals."""
        columns = (
            "Figure", "This deal", "Similar deals", "Mean of similar", "Median of similar",
            "Difference from median",
        )  # fmt: skip
        rows = tuple(
            (
                self._compared(each.figure),
                _number(each.figure, each.value),
                f"{each.count:,}",
                *(
                    _number(each.figure, number)
                    for number in (each.mean, each.median, each.difference)
                ),
            )
            for each in found
        )
        return TableOfView("Compared with similar deals", columns, rows)

    def _reasons(self, deal: SimilarDeal) -> Iterator[str]:
        for reason in deal.reasons:
            word = self._word(reason)
            shared = f" {deal.stages_shared}/{deal.stages_all}"
            yield word + shared if reason in ("same_stage_path", "shared_stages") else word

    def _irregular(self, reason: str | None) -> str:
        return "" if reason is None else say(reason, self.language)

    def _stage(self, chapter: Chapter) -> str:
        name = chapter.stage_zh if self.language == "zh" else chapter.stage_en
        return name or self._word(chapter.outcome)

    def _contacts(self, chapter: Chapter) -> str:
        parts = []
        for each in chapter.contacts:
            named = [
                key_text(name, self.language) for name in (each.channel, each.direction) if name
            ]
            parts.append(" ".join([*(named or [NO_VALUE]), f"{each.count:,}"]))
        return " · ".join(parts) or NO_VALUE

    def _days(self, chapter: Chapter) -> str:
        """Write the days in a stage; a deal that ended in none goes on being closed."""
        if not chapter.stage_en:
            return NO_VALUE
        return number_text(chapter.days) + (" !" if chapter.overdue else "")

    def _compared(self, figure: str) -> str:
        """Name a figure; in Chinese what is counted, where the word alone is a unit."""
        counted = {"days": "Days", "owners": "Owners"} if self.language == "zh" else {}
        return key_text(counted.get(figure, figure), self.language)

    def _after(self, point: TurningPoint) -> str:
        after = point.after or NO_VALUE
        return word_known(after, self.language) if point.turn == "first_objection" else after

    def _figure(self, point: TurningPoint) -> str:
        if point.figure is None:
            return NO_VALUE
        if point.unit == "part":
            return f"{point.figure:+z.0%}"
        places = 1 if point.unit == "days" else 0
        return f"{point.figure:,.{places}f} {self._word(point.unit)}"

    def _time(self, at: datetime | None) -> str:
        return NO_VALUE if at is None else local_time(at, self.zone, exact=False)

    def _word(self, word: str) -> str:
        return in_language(word, self.language)


def _number(figure: str, number: Decimal | None) -> str:
    if number is None:
        return NO_VALUE
    return percent_text(number) if figure in SHARES else f"{number:,.1f}"


def _or_dash(number: int | None) -> str:
    return NO_VALUE if number is None else str(number)


# A case study: one closed deal, told in chapters by stage, beside the deals most like it.
#
# Answers "what happened in this deal, what did it turn on, and what was different about it?"
# for any past moment at which it stood closed. Everything is as known then: chapters with their
# contacts and facts, quotes, objections and how they were answered, competitors, people,
# turning points with the figure that makes them one. Differences from similar deals are told as
# they are, never as causes. Leaves out what was learned from it: that is for people to say.

SIMILAR = 5
SIMILAR_MAX = 50


class CaseStudyView(View):
    """One closed deal in chapters, what it turned on, and how it differs from others."""

    population: ClassVar[str] = (
        "one deal closed at the as-of time, with its events on record in effect by then;"
        " similar: the other deals of its process that are currently won or lost"
    )
    formula: ClassVar[str] = (
        "similarity = stages both passed / stages either passed + 1 each for an amount within a"
        " factor of two in one currency, the same lead source, the same customer segment, all"
        " as of the closing; figures beside others count from creation to closing; discount ="
        " part of the list value taken off in the last offer sent; difference = this deal - the"
        " median, no claim of cause"
    )
    summary: CaseSummary
    credits: tuple[CreditShare, ...]
    """As of the closing."""
    chapters: tuple[Chapter, ...]
    quotes: tuple[QuoteMade, ...]
    objections: tuple[ObjectionMet, ...]
    competitors: tuple[CompetitorSeen, ...]
    owners: tuple[OwnerSpan, ...]
    collaborators: tuple[TeamMember, ...]
    help: tuple[HelpSought, ...]
    turning_points: tuple[TurningPoint, ...]
    similar: tuple[SimilarDeal, ...]
    """The most alike first."""
    differences: tuple[CaseDifference, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the case out: the deal, its chapters, what it turned on, the similar deals."""
        lay = CaseLayout(ZoneInfo(self.timezone), language)
        found = [
            lay.summary(self.summary, self.credits),
            lay.chapters(self.chapters),
            lay.turning_points(self.turning_points),
            lay.quotes(self.quotes),
            lay.objections(self.objections),
            lay.competitors(self.competitors),
            lay.owners(self.owners),
            lay.collaborators(self.collaborators),
            lay.help(self.help),
            lay.similar(self.similar),
            lay.differences(self.differences),
            lay.facts(self.chapters),
        ]
        return [table for table in found if table.rows]


class CaseStudy(Question[CaseStudyView]):
    """What happened in one closed deal, and what was different about it?"""

    name: ClassVar[str] = "case-study"
    folds: ClassVar[tuple[str, ...]] = (CLOSING.name, CUSTOMER.name, STAGE_VISIT.name)
    deal: UUID
    """The deal's id."""
    similar: Annotated[int, Field(ge=0, le=SIMILAR_MAX, strict=True)] = SIMILAR
    """How many similar deals to name at most. Default: 5."""

    def answer(self, reader: Reader, moment: Moment) -> CaseStudyView:
        """Tell the deal as it stood at the moment.

        Raises:
            NotFoundError: when no such deal is believed to exist at the moment.
            DealClosedError: when it is open or merged then, and no case yet.
        """
        this = self._closed(reader)
        zone = reader.timezone
        history = believed(reader.events(self.deal), reader)
        path = walk(history, reader.processes)
        here, closing = (self._deal(events, reader) for events in (history, _closing(path)))
        steps = read_steps(reader, self.deal)
        visits = steps.visits(np.arange(len(steps)))
        others = _others(like(reader, this, self.similar), reader)
        return CaseStudyView(
            moment=moment,
            names=named(
                [Meant(this.process, this.process_version, this.because)], reader.processes
            ),
            summary=_summary(this, here.title, zone),
            credits=tuple(credit_shares(closing)),
            chapters=tuple(chapters(history, steps, visits, reader.processes)),
            quotes=tuple(quotes(path, here)),
            objections=tuple(objections(path, zone)),
            competitors=tuple(competitors(path)),
            owners=tuple(owners(path)),
            collaborators=tuple(team(closing)),
            help=tuple(help_sought(path, zone)),
            turning_points=tuple(turning_points(path, visits, zone)),
            similar=tuple(
                similar_deal(like_it, _title(theirs), zone) for like_it, theirs in others
            ),
            differences=differences(
                _figures(this, path, zone),
                [_figures(like_it.other, theirs, zone) for like_it, theirs in others],
            ),
        )

    def _closed(self, reader: Reader) -> ClosedDeal:
        """Read the deal's closing; refuse one that is not there, or open, or merged."""
        this = read_closed(reader, self.deal)
        if this is None:
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        if this.outcome in ("open", "merged"):
            raise DealClosedError(
                f"deal {self.deal} is {this.outcome} at that moment; a case study is of a deal"
                " that stands won, lost or disqualified"
            )
        return this

    def _deal(self, events: list[Event], reader: Reader) -> Deal:
        context = ReplayContext(reader.processes, reader.timezone, reader.read_point.as_of)
        return Deal.replay(self.deal, events, context=context, as_of=reader.read_point.as_of)


def _closing(path: Sequence[HistoryStep]) -> list[Event]:
    return [here.event for here in path_to_closing(path)]


def _others(
    found: Iterable[Likeness], reader: Reader
) -> list[tuple[Likeness, list[HistoryStep]]]:
    """Read the ways of the similar deals, all at once."""
    by_deal = {each.other.deal: each for each in found}
    streams = reader.streams(by_deal)
    return [
        (each, walk(believed(streams[deal], reader), reader.processes))
        for deal, each in by_deal.items()
    ]


def _figures(
    deal: ClosedDeal, path: Sequence[HistoryStep], timezone: ZoneInfo
) -> tuple[Fraction, StagePath]:
    return deal.days(timezone), path_figures(path_to_closing(path))


def _title(path: Sequence[HistoryStep]) -> str:
    opened = path[0].event.fact
    return (opened.title or "") if isinstance(opened, DealOpened) else ""


def _summary(this: ClosedDeal, title: str, timezone: ZoneInfo) -> CaseSummary:
    return CaseSummary(
        deal=this.deal,
        title=title,
        process=this.process,
        outcome=this.outcome,
        opened_at=from_instant(this.opened),
        closed_at=from_instant(this.closed),
        days=decimal_of(this.days(timezone)),
        amount=this.worth,
        currency=this.currency,
        owner=this.owner,
        customer_id=this.customer_id,
        lead_source=this.lead_source,
        because=this.because,
        competitor=this.competitor,
    )
