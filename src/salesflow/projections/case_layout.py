"""How a case study is laid out for people: a table for each of its parts, told in order."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.projections.case_figures import (
    CaseSummary,
    Chapter,
    CompetitorSeen,
    CreditShare,
    HelpSought,
    ObjectionMet,
    OwnerSpan,
    QuoteMade,
    TeamMember,
)
from salesflow.projections.case_similar import CaseDifference, SimilarDeal
from salesflow.projections.case_turns import TurningPoint
from salesflow.projections.shown import TableOfView
from salesflow.projections.words import Language, in_language, irregularity_name, kind_name
from salesflow.projections.writing import (
    amount_text,
    given_percent,
    local_time,
    number_text,
    percent_text,
    short_id,
)

__all__ = ["CaseLayout"]

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
            "Opened at": self._time(deal.opened_at),
            "Closed at": self._time(deal.closed_at),
            "Days": number_text(deal.days),
            "Amount": amount_text(deal.amount, deal.currency),
            "Owner": deal.owner,
            "Credit": credited,
            "Customer": None if deal.customer_id is None else str(deal.customer_id),
            "Lead source": deal.lead_source and in_language(deal.lead_source, self.language),
            "Because": deal.because,
            "Lost to": deal.competitor,
        }
        rows = tuple((self._word(name), text) for name, text in said.items() if text)
        times = f"{self._word('times are those of')} {self.zone.key}"
        return TableOfView("Case study", ("Figure", "Value"), rows, (times,), str(deal.deal))

    def chapters(self, told: Sequence[Chapter]) -> TableOfView:
        """Lay out how the deal went from stage to stage."""
        columns = (
            "Stage",
            "How",
            "Entered at",
            "Left at",
            "Days",
            "Max days",
            "Contacts",
            "Facts",
        )
        rows = tuple(
            (
                self._stage(each),
                self._word(each.entered),
                self._time(each.entered_at),
                self._time(each.left_at),
                number_text(each.days) + (" !" if each.overdue else ""),
                _or_dash(each.days_max),
                self._contacts(each),
                f"{len(each.facts):,}",
            )
            for each in told
        )
        overdue = self._word("! longer than its max days")
        notes = (overdue,) if any(each.overdue for each in told) else ()
        return TableOfView("Chapters", columns, rows, notes)

    def facts(self, told: Iterable[Chapter]) -> TableOfView:
        """Lay out every fact under its chapter."""
        columns = ("Stage", "Occurred", "Fact", "Actor", "Irregular")
        rows = tuple(
            (
                self._stage(each),
                self._time(fact.occurred_at)[: len("2026-03-31") if day else None],
                kind_name(fact.kind, self.language),
                fact.actor or "–",
                self._irregular(fact.irregular),
            )
            for each in told
            for fact in each.facts
            for day in [fact.precision == "day"]
        )
        return TableOfView("Facts", columns, rows)

    def turning_points(self, points: Iterable[TurningPoint]) -> TableOfView:
        """Lay out what the deal turned on."""
        columns = ("Time", "Turning point", "Figure", "Before", "After", "Fact")
        rows = tuple(
            (
                self._time(each.at),
                self._word(each.turn),
                self._figure(each),
                each.before or "–",
                each.after or "–",
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
                each.topic or "–",
                each.doubt or "–",
                self._time(each.raised_at),
                "resolved" if each.resolved else "unresolved",
                number_text(each.days),
                each.answer or "–",
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
            (each.owner or "–", self._time(each.start), self._time(each.end)) for each in spans
        )
        return TableOfView("Owners", ("Owner", "From", "To"), rows)

    def collaborators(self, members: Iterable[TeamMember]) -> TableOfView:
        """Lay out who worked on it."""
        rows = tuple(
            (each.person, each.department or "–", each.role or "–", given_percent(each.credit))
            for each in members
        )
        return TableOfView("Collaborators", ("Person", "Department", "Role", "Credit"), rows)

    def help(self, sought: Iterable[HelpSought]) -> TableOfView:
        """Lay out who asked for help and who gave it."""
        columns = ("Request", "Department", "Asked", "Given", "Days", "By", "Text", "Answer")
        rows = tuple(
            (
                each.request,
                each.department or "–",
                self._time(each.asked_at),
                self._time(each.given_at),
                number_text(each.days),
                each.given_by or "–",
                each.question or "–",
                each.answer or "–",
            )
            for each in sought
        )
        return TableOfView("Help", columns, rows)

    def similar(self, deals: Iterable[SimilarDeal]) -> TableOfView:
        """Lay out the deals most like it, and why they are."""
        columns = ("Deal", "Title", "Outcome", "Days", "Amount", "Score", "Similar by")
        rows = tuple(
            (
                short_id(each.deal),
                each.title or "–",
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
        columns = ("Figure", "This deal", "Deals", "Mean", "Median", "Difference")
        rows = tuple(
            (
                self._word(each.figure),
                _number(each.figure, each.value),
                f"{each.count:,}",
                *(
                    _number(each.figure, number)
                    for number in (each.mean, each.median, each.difference)
                ),
            )
            for each in found
        )
        return TableOfView("Differences from similar deals", columns, rows)

    def _reasons(self, deal: SimilarDeal) -> Iterator[str]:
        for reason in deal.reasons:
            word = self._word(reason)
            shared = f" {deal.stages_shared}/{deal.stages_all}"
            yield word + shared if reason in ("same_stage_path", "shared_stages") else word

    def _irregular(self, reason: str | None) -> str:
        return "" if reason is None else irregularity_name(reason, self.language)

    def _stage(self, chapter: Chapter) -> str:
        name = chapter.stage_zh if self.language == "zh" else chapter.stage_en
        return name or self._word(chapter.outcome)

    def _contacts(self, chapter: Chapter) -> str:
        parts = []
        for each in chapter.contacts:
            named = [self._word(name) for name in (each.channel, each.direction) if name]
            parts.append(" ".join([*(named or ["–"]), f"{each.count:,}"]))
        return " · ".join(parts) or "–"

    def _figure(self, point: TurningPoint) -> str:
        if point.figure is None:
            return "–"
        if point.unit == "part":
            return f"{point.figure:+z.0%}"
        places = 1 if point.unit == "days" else 0
        return f"{point.figure:,.{places}f} {self._word(point.unit)}"

    def _time(self, at: datetime | None) -> str:
        return "–" if at is None else local_time(at, self.zone, exact=False)

    def _word(self, word: str) -> str:
        return in_language(word, self.language)


def _number(figure: str, number: Decimal | None) -> str:
    if number is None:
        return "–"
    return percent_text(number) if figure in SHARES else f"{number:,.1f}"


def _or_dash(number: int | None) -> str:
    return "–" if number is None else str(number)
