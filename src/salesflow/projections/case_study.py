"""A case study: one closed deal, told in chapters by stage, beside the deals most like it.

Answers "what happened in this deal, what did it turn on, and what was different about it?" for
any past moment at which it stood closed. Everything is as known then: chapters with their
contacts and facts, quotes, objections and how they were answered, competitors, people, turning
points with the figure that makes them one. Differences from similar deals are told as they
are, never as causes. Leaves out what was learned from it: that is for people to say.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field

from salesflow.domain.aggregate import World
from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.facts import Event
from salesflow.domain.history import believed
from salesflow.domain.moments import Moment, from_instant
from salesflow.errors import DealClosedError, NotFoundError
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
    chapters,
    competitors,
    credit_shares,
    help_sought,
    objections,
    owners,
    quotes,
    team,
)
from salesflow.projections.case_layout import CaseLayout
from salesflow.projections.case_similar import (
    CaseDifference,
    ClosedDeal,
    Likeness,
    SimilarDeal,
    differences,
    like,
    read_closed,
    similar_deal,
)
from salesflow.projections.case_turns import TurningPoint, turning_points
from salesflow.projections.case_walk import (
    Happened,
    WayFigures,
    walked,
    way_figures,
    way_to_closing,
)
from salesflow.projections.estimates import decimal_of
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.questions import Question, Reader, TableOfView, View
from salesflow.projections.reason_names import Meant, named
from salesflow.projections.visits import StepClock, read_ways
from salesflow.projections.words import Language

__all__ = ["CaseStudy", "CaseStudyView"]

SIMILAR = 5
SIMILAR_MAX = 50


class CaseStudyView(View):
    """One closed deal in chapters, what it turned on, and how it differs from others."""

    population: ClassVar[str] = (
        "one deal closed at the moment, with its believed facts in effect by then; similar: the"
        " other deals of its process that stand won or lost"
    )
    formula: ClassVar[str] = (
        "likeness = stages both passed / stages either passed + 1 each for an amount within a"
        " factor of two in one currency, the same lead source, the same customer segment, all"
        " as of the closing; figures beside others count from opening to closing; discount ="
        " part of the list value taken off in the last offer sent; difference = this deal - the"
        " median, no claim of cause"
    )
    population_zh: ClassVar[str] = (
        "一个在该时刻已结束的商机及其截至该时刻生效的所信事实；"
        "相似商机：同一流程中其他处于赢单或输单的商机"
    )
    formula_zh: ClassVar[str] = (
        "相似度 = 共同经过的阶段 ÷ 任一方经过的阶段，金额同币种且相差不超过一倍、来源相同、"
        "客户细分相同各加 1，均取结束时的值；对比指标从建立计到结束；"
        "折扣 = 最后一次发出的报价相对目录价值的优惠比例；差异 = 该商机 − 中位数，不代表因果"
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
        zone, cut = reader.timezone, reader.cut
        history = _in_effect(reader.events(self.deal), reader)
        way = walked(history, reader.processes)
        here, closing = (self._deal(events, reader) for events in (history, _closing(way)))
        [steps] = read_ways(reader, self.deal)
        others = _others(like(reader, this, self.similar), reader)
        return CaseStudyView(
            moment=moment,
            timezone=zone.key,
            names=named(
                [Meant(this.process, this.process_version, this.because)], reader.processes
            ),
            summary=_summary(this, here.title, zone),
            credits=tuple(credit_shares(closing)),
            chapters=tuple(
                chapters(history, steps, reader.processes, StepClock(cut.as_of, zone))
            ),
            quotes=tuple(quotes(way, here)),
            objections=tuple(objections(way, zone)),
            competitors=tuple(competitors(way)),
            owners=tuple(owners(way)),
            collaborators=tuple(team(closing)),
            help=tuple(help_sought(way, zone)),
            turning_points=tuple(turning_points(way, steps, zone)),
            similar=tuple(
                similar_deal(like_it, _title(theirs), zone) for like_it, theirs in others
            ),
            differences=differences(
                _figures(this, way, zone),
                [_figures(like_it.other, theirs, zone) for like_it, theirs in others],
            ),
        )

    def _closed(self, reader: Reader) -> ClosedDeal:
        """Read the deal's closing; refuse one that is not there, or open, or merged."""
        this = read_closed(reader, CLOSING.c.entity_id == self.deal).get(self.deal)
        if this is None:
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        if this.outcome in ("open", "merged"):
            raise DealClosedError(
                f"deal {self.deal} is {this.outcome} at that moment; a case study is of a deal"
                " that stands won, lost or disqualified"
            )
        return this

    def _deal(self, events: list[Event], reader: Reader) -> Deal:
        world = World(reader.processes, reader.timezone, reader.cut.as_of)
        return Deal.replay(self.deal, events, world=world, as_of=reader.cut.as_of)


def _in_effect(events: list[Event], reader: Reader) -> list[Event]:
    history = believed(events, reader.cut.known_at)
    return [event for event in history if event.effect <= reader.cut.as_of]


def _closing(way: Sequence[Happened]) -> list[Event]:
    return [here.event for here in way_to_closing(way)]


def _others(found: Iterable[Likeness], reader: Reader) -> list[tuple[Likeness, list[Happened]]]:
    """Read the ways of the similar deals, all at once."""
    by_deal = {each.other.deal: each for each in found}
    streams = reader.streams(by_deal)
    return [
        (each, walked(_in_effect(streams[deal], reader), reader.processes))
        for deal, each in by_deal.items()
    ]


def _figures(
    deal: ClosedDeal, way: Sequence[Happened], timezone: ZoneInfo
) -> tuple[Fraction, WayFigures]:
    return deal.days(timezone), way_figures(way_to_closing(way))


def _title(way: Sequence[Happened]) -> str:
    opened = way[0].event.fact
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
