"""The health of open deals: what speaks against each, since when, and which facts say so.

Answers "which deals need me, and why?" for any past moment on both time axes: stalled, overdue,
pushed, without a reply, with one contact, likelier by what is said than by what became of deals
like it. Days that people count (overdue, without a reply or a contact) are calendar days of the
business zone: a contact of yesterday evening is one day back this morning. How long a deal
stands in a stage is time that has passed, as wherever stages have limits. There is no score:
reasons are counted and told, each with the facts behind it. Leaves out what to do about it, and
everything about closed deals.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.domain.ids import uuids_of_bytes
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import (
    DAY,
    ONE_DAY,
    Instant,
    Moment,
    from_instant,
    start_of_day,
)
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Total,
    amount_text,
    estimate_text,
    given_percent,
    local_day,
    money_text,
    number_text,
    short_id,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Limit, Question, Reader, View
from salesflow.projections.core.replaying import believed
from salesflow.projections.core.statistics import share
from salesflow.projections.deal_figures import DealFigures, figures_of
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.engagement import EngagementRows
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.health.health_figures import (
    FOLDS_READ,
    NEVER,
    REASONS,
    DealMovements,
    HealthFigures,
    HealthLimits,
    HealthReasonName,
    health_figures,
)
from salesflow.projections.scope import Attribution, Grouping, stage_name

__all__ = [
    "DealHealth",
    "DealHealthLine",
    "DealHealthView",
    "HealthReason",
    "HealthReasonCount",
]


LISTED: Final = 20
DAYS_MOST: Final = 3_650
PUSHES_MOST: Final = 1_000
WHOSE: Final = Attribution("valid_from", "owner", "customer_id", "process")
Days = Annotated[int, Field(ge=0, le=DAYS_MOST, strict=True)]


class HealthReason(Value):
    """Something that speaks against a deal, since when, and the facts that say so."""

    reason: Annotated[HealthReasonName, FieldRole.KEY]
    since: datetime
    figure: Decimal
    """Days in the stage where it is stalled, as time that has passed; calendar days overdue,
    without reply or contact; pushes; the amount cut away; people met; the stated probability;
    contacts without a next step: 1."""
    limit: Decimal | None
    """What the figure is measured against: days or times allowed, the amount before the cuts,
    the upper limit of the share won; None where there is none."""
    event_ids: tuple[UUID, ...]


class DealHealthLine(Value):
    """An open deal, what is at stake, and what speaks against it."""

    deal: Annotated[UUID, FieldRole.KEY]
    title: Annotated[SafeText | None, FieldRole.NAME]
    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    owner: Reference | None
    customer_id: UUID | None
    amount: Decimal | None
    currency: Currency | None
    expected_close: SafeText | None
    probability: Decimal
    """As it is stated: by its process version, or by its own forecast."""
    history: Estimate | None
    """The share won of closed deals that stood in its stage at least as long; None of none."""
    reason_count: int
    reasons: tuple[HealthReason, ...]


class HealthReasonCount(Value):
    """Against how many open deals one reason speaks, and what they are worth."""

    reason: Annotated[HealthReasonName, FieldRole.KEY]
    judged: Annotated[bool, FieldRole.TRAIT]
    """False where nothing of the kind is recorded of any deal, so that nothing is said."""
    deals: int
    amounts: tuple[Total, ...]


class DealHealthView(View):
    """How many deals each reason speaks against, and the deals with most at stake."""

    population: ClassVar[str] = (
        "open deals as they stand at the as-of time, as filtered; history: all deals of the"
        " same process that stand won, lost or disqualified by then; reasons about contacts"
        " only where contacts of the kind are recorded of any deal"
    )
    formula: ClassVar[str] = (
        "stalled = longer in the stage than its max days, of 24 hours each; overdue = expected"
        " close day passed;"
        " pushed repeatedly = close date moved later at least so many times; amount cut = below"
        " what it was before a cut, ever since; no reply = outbound contacts without an inbound"
        " one since more than so many days; no contact = none for more than so many days, since"
        " the opening where there was none; days overdue and without reply or contact ="
        " calendar days of the business zone, from the day of the fact to that of the moment;"
        " single contact = contacts name one participant, by"
        " name or by id; no"
        " next step = the last contact names none; probability above history = stated above the"
        " 95% Wilson interval of won ÷ closed (won, lost, disqualified) deals that stood in the"
        " stage at least as long; per currency, largest amount first; no score: reasons are"
        " counted"
    )
    open_deals: int
    """All in scope, those that nothing speaks against included."""
    deals_with_reasons: int
    amounts: tuple[Total, ...]
    """What all open deals in scope are worth."""
    amounts_with_reasons: tuple[Total, ...]
    counts: tuple[HealthReasonCount, ...]
    deals: tuple[DealHealthLine, ...]
    deals_total: int
    """How many there are to list, the listed ones included."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: the reasons, then the deals of each currency with theirs."""
        zone = ZoneInfo(self.timezone)
        rows = tuple(
            (
                key_text(each.reason, language),
                f"{each.deals:,}" if each.judged else in_language("not recorded", language),
                totals_text(each.amounts),
            )
            for each in self.counts
        )
        said = say(
            "{some:,} of {all:,} open deals, {at_stake} of {worth}",
            language,
            some=self.deals_with_reasons,
            all=self.open_deals,
            at_stake=totals_text(self.amounts_with_reasons),
            worth=totals_text(self.amounts),
        )
        counts = TableOfView("Deal health", ("Reason", "Deals", "Amount"), rows, notes=(said,))
        return [counts, *self._listed(zone, language)]

    def _listed(self, zone: ZoneInfo, language: Language) -> Iterator[TableOfView]:
        listed = (
            f"{in_language('listed', language)} {len(self.deals):,}"
            f" · {in_language('in all', language)} {self.deals_total:,}"
        )
        columns = (
            "Deal", "Title", "Stage", "Owner", "Amount", "Expected close", "Probability",
            "Won of those like it", "Reasons", "What speaks against it",
        )  # fmt: skip
        rows = tuple(
            (
                short_id(line.deal),
                line.title or NO_VALUE,
                line.stage_zh if language == "zh" else line.stage_en,
                line.owner or NO_VALUE,
                amount_text(line.amount, line.currency),
                line.expected_close or NO_VALUE,
                given_percent(line.probability),
                estimate_text(line.history, percent=True) + _count(line.history),
                f"{line.reason_count:,}",
                " · ".join(_said(each, line.currency, zone, language) for each in line.reasons)
                or NO_VALUE,
            )
            for line in self.deals
        )
        yield TableOfView("Deals to look at", columns, rows, notes=(listed,))
        if len(self.deals) == 1:
            yield self._facts(zone, language)

    def _facts(self, zone: ZoneInfo, language: Language) -> TableOfView:
        """Name the facts behind every reason, where one deal is asked about."""
        rows = tuple(
            (
                key_text(each.reason, language),
                local_day(each.since, zone),
                ", ".join(map(short_id, each.event_ids)) or NO_VALUE,
            )
            for each in self.deals[0].reasons
        )
        return TableOfView("Facts behind the reasons", ("Reason", "Since", "Events"), rows)


class DealHealth(Question[DealHealthView]):
    """Which open deals need attention, and what speaks against each of them?"""

    name: ClassVar[str] = "deal-health"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted((*FOLDS_READ, MEMBERSHIP.name)))
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    stage: Reference | None = None
    """Only deals that stand in this stage (its key) at the moment."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment."""
    team: Reference | None = None
    """Only deals whose owner is in this team at the moment."""
    deal: UUID | None = None
    """One deal (its id), whatever speaks against it; with the facts behind each reason."""
    reason: HealthReasonName | None = None
    """List only deals that this speaks against."""
    no_reply_days: Days = 7
    """After how many calendar days an outbound contact is without a reply. Default: 7."""
    no_contact_days: Days = 14
    """After how many calendar days a deal is without contact. Default: 14."""
    pushes: Annotated[int, Field(ge=1, le=PUSHES_MOST, strict=True)] = 2
    """From how many moves of the close date to a later one on. Default: 2."""
    limit: Limit = LISTED
    """How many deals to list at most, of each currency. Default: 20."""

    def answer(self, reader: Reader, moment: Moment) -> DealHealthView:
        """Judge all open deals as columns, then read the facts of those listed.

        Raises:
            NotFoundError: when the deal asked about is not open at the moment.
        """
        today = from_instant(reader.read_point.as_of).astimezone(reader.timezone).date()
        allowed = (self.no_reply_days, self.no_contact_days)
        limits = HealthLimits.of(*allowed, self.pushes, today=today, zone=reader.timezone)
        deals = self._wanted(reader)
        found = health_figures(reader, deals, limits, today)
        amounts, counts = Amounts.of(deals), found.reasons
        wanted = np.ones(len(deals), np.bool_) if self.deal is not None else counts > 0
        if self.reason is not None:
            wanted &= found.flags[self.reason]
        listed = _foremost(deals, counts, np.flatnonzero(wanted), self.limit)
        return DealHealthView(
            moment=moment,
            open_deals=len(deals),
            deals_with_reasons=int((counts > 0).sum()),
            amounts=_sum(amounts),
            amounts_with_reasons=_sum(amounts.where(counts > 0)),
            counts=tuple(
                HealthReasonCount(
                    reason=name,
                    judged=name not in found.not_judged,
                    deals=int(flags.sum()),
                    amounts=_sum(amounts.where(flags)),
                )
                for name, flags in found.flags.items()
            ),
            deals=tuple(_lines(found, listed, limits, reader)),
            deals_total=int(wanted.sum()),
        )

    def _wanted(self, reader: Reader) -> HeldRows:
        deals = reader.columns(DEAL_STATE, of=self.deal)
        if self.deal is not None:
            self._ensure_open(deals)
        wanted = {"process": self.process, "stage": self.stage, "owner": self.owner}
        fits = deals.has("outcome", "open") & deals.fitting(wanted)
        if self.team is not None:
            teams = Grouping(reader, "team", deals.words)
            fits &= teams.standing(deals, WHOSE) == teams.number(self.team)
        return deals.where(fits)

    def _ensure_open(self, deals: HeldRows) -> None:
        if not len(deals):
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        [outcome] = deals.cells("outcome")
        if outcome != "open":
            raise NotFoundError(
                f"deal {self.deal} is {outcome} at that moment; deal-health is of open deals;"
                " ask as of a moment when it was open, or case-study for one that is closed"
            )


def _sum(amounts: Amounts) -> tuple[Total, ...]:
    [found] = amounts.totals(np.zeros(len(amounts.amount), np.int64), 1)
    return found


def _foremost(deals: HeldRows, counts: Column, wanted: Column, limit: int) -> list[int]:
    """Return so many rows of each currency: the largest amount first, then most reasons."""
    ids = deals.cells("entity_id", wanted)
    amount, many = deals.amounts()[wanted], counts[wanted]
    currencies = deals.cells("currency", wanted)
    order = sorted(
        range(len(wanted)),
        key=lambda n: (
            *(currencies[n] is None, currencies[n] or ""),
            *(-int(amount[n]), -int(many[n]), ids[n]),
        ),
    )
    taken: dict[str | None, int] = {}
    chosen = []
    for number in order:
        so_many = taken[currencies[number]] = taken.get(currencies[number], 0) + 1
        if so_many <= limit:
            chosen.append(int(wanted[number]))
    return chosen


# The facts behind the reasons of a deal, by replaying its history.


class _DealEvidence(NamedTuple):
    """Facts of a deal that reasons rest on, as far as they are not movements."""

    title: str | None
    opened: Event
    closing_said: Event
    """What said last when it is expected to close, or that nobody knows."""
    likely_said: Event
    """What changed the stated probability last."""
    by_position: Mapping[int, Event]
    engagement: EngagementRows


def _deal_evidence(events: Sequence[Event], reader: Reader) -> _DealEvidence:
    history = believed(events, reader)
    deal, engagement = DealSummary(ReplayContext(reader.processes)), EngagementRows()
    before: DealFigures | None = None
    closing_said = likely_said = history[0]
    for event in history:
        if deal.evolve(event) is not None:
            continue
        if isinstance(event.fact, ContactLogged):
            [*engagement.apply(event, deal)]
            continue
        now = figures_of(deal)
        if before is None or now.expected_close != before.expected_close:
            closing_said = event
        if before is None or now.probability != before.probability:
            likely_said = event
        before = now
    opening = history[0].fact
    title = opening.title if isinstance(opening, DealOpened) else None
    by_position = {event.position: event for event in history}
    return _DealEvidence(title, history[0], closing_said, likely_said, by_position, engagement)


def _lines(
    found: HealthFigures, listed: Sequence[int], limits: HealthLimits, reader: Reader
) -> Iterator[DealHealthLine]:
    rows = np.array(listed, np.int64)
    names = ("entity_id", *DealFigures._fields)
    each = list(found.deals.records(*names, rows=rows))
    streams = reader.streams([row[0] for row in each])
    for number, (deal, *figures) in zip(listed, each, strict=True):
        shown = DealFigures._make(figures)
        evidence = _deal_evidence(streams[deal], reader)
        reasons = tuple(_reasons(found, number, evidence, limits, reader))
        stage = stage_name(shown.stage, shown.process, shown.process_version, reader.processes)
        yield DealHealthLine(
            deal=deal,
            title=evidence.title,
            process=shown.process,
            stage=shown.stage,
            stage_en=stage.name_en,
            stage_zh=stage.name_zh,
            owner=shown.owner,
            customer_id=shown.customer_id,
            amount=None if shown.amount is None else unscaled(shown.amount),
            currency=shown.currency,
            expected_close=shown.expected_close,
            probability=unscaled(shown.probability),
            history=share(int(found.won[number]), int(found.closed[number])),
            reason_count=len(reasons),
            reasons=reasons,
        )


def _reasons(
    found: HealthFigures,
    number: int,
    evidence: _DealEvidence,
    limits: HealthLimits,
    reader: Reader,
) -> Iterator[HealthReason]:
    reasons = _DealReasons(found, number, evidence, limits, reader)
    for name in REASONS:
        if found.flags[name][number]:
            yield getattr(reasons, name)()


class _DealReasons:
    """The reasons that speak against one deal, each by its name."""

    def __init__(
        self,
        found: HealthFigures,
        number: int,
        evidence: _DealEvidence,
        limits: HealthLimits,
        reader: Reader,
    ) -> None:
        self._found, self._number, self._evidence = found, number, evidence
        self._limits, self._zone = limits, reader.timezone
        self._as_of = reader.read_point.as_of
        self._today = from_instant(self._as_of).astimezone(self._zone).date()

    def stalled(self) -> HealthReason:
        """Since its max days were over; the fact that put it into the stage."""
        entered, days = (self._of(each) for each in (self._found.entered, self._found.days_max))
        moved = self._evidence.by_position[self._of(self._found.begun)]
        stood = Decimal(self._as_of - entered) / DAY
        return _reason("stalled", entered + days * DAY, stood, Decimal(days), [moved.event_id])

    def overdue(self) -> HealthReason:
        """Since the day after the expected one; the fact that named that day."""
        close = date.fromordinal(self._of(self._found.close))
        since = start_of_day(close + ONE_DAY, self._zone)
        said = self._evidence.closing_said
        return self._days("overdue", close, since, None, [said.event_id])

    def pushed_repeatedly(self) -> HealthReason:
        """Since it was put off for the last time that is allowed; all that put it off."""
        pushed = _of_deal(self._found.pushed, self._number)
        at = pushed.occurred[self._limits.pushes - 1]
        times, allowed = Decimal(len(pushed.place)), Decimal(self._limits.pushes)
        return _reason("pushed_repeatedly", int(at), times, allowed, _ids(pushed))

    def amount_cut(self) -> HealthReason:
        """Since the first of the cuts it has not made up for; all of those."""
        cuts = _of_deal(self._found.cuts, self._number)
        before = int(cuts.before[0])
        away = unscaled(before - int(self._found.deals.amounts()[self._number]))
        return _reason("amount_cut", int(cuts.occurred[0]), away, unscaled(before), _ids(cuts))

    def no_reply(self) -> HealthReason:
        """Since the first contact they have not answered; all of those."""
        ids = [each.event_id for each in self._evidence.engagement.unanswered]
        since = self._of(self._found.unanswered_since)
        return self._days("no_reply", self._day(since), since, self._limits.no_reply_days, ids)

    def no_contact(self) -> HealthReason:
        """Since the last contact, or the opening where there was none."""
        last = self._evidence.engagement.last
        event_id = self._evidence.opened.event_id if last is None else last.event_id
        since = self._of(self._found.last_contact)
        if since == NEVER:
            since = self._evidence.opened.occurred
        allowed = self._limits.no_contact_days
        return self._days("no_contact", self._day(since), since, allowed, [event_id])

    def single_contact(self) -> HealthReason:
        """Since they were first named; that contact."""
        first = self._evidence.engagement.first_named
        assert first is not None, "whoever was counted was named"
        return _reason("single_contact", first.at, Decimal(1), None, [first.event_id])

    def no_next_step(self) -> HealthReason:
        """Since the last contact."""
        last = self._evidence.engagement.last
        assert last is not None, "a deal without contacts has no reason of that kind"
        return _reason("no_next_step", last.at, Decimal(1), None, [last.event_id])

    def probability_above_history(self) -> HealthReason:
        """Since the probability was stated."""
        said, number = self._evidence.likely_said, self._number
        stated = unscaled(int(self._found.deals["probability"][number]))
        like = share(int(self._found.won[number]), int(self._found.closed[number]))
        assert like is not None, "no history, no reason"
        assert like.interval is not None, "a share has an interval"
        return _reason(
            "probability_above_history", said.effective, stated, like.interval.high,
            [said.event_id],
        )  # fmt: skip

    def _of(self, column: Column) -> int:
        return int(column[self._number])

    def _day(self, at: Instant) -> date:
        return from_instant(at).astimezone(self._zone).date()

    def _days(
        self,
        name: HealthReasonName,
        start: date,
        since: Instant,
        limit: int | None,
        ids: Sequence[UUID],
    ) -> HealthReason:
        days = Decimal((self._today - start).days)
        return _reason(name, since, days, None if limit is None else Decimal(limit), ids)


def _of_deal(cuts: DealMovements, number: int) -> DealMovements:
    first, after = np.searchsorted(cuts.place, [number, number + 1]).tolist()
    return DealMovements(*(column[first:after] for column in cuts))


def _ids(cuts: DealMovements) -> list[UUID]:
    return uuids_of_bytes(cuts.event_id.tolist())


def _reason(
    name: HealthReasonName,
    since: Instant,
    figure: Decimal,
    limit: Decimal | None,
    ids: Sequence[UUID],
) -> HealthReason:
    return HealthReason(
        reason=name,
        since=from_instant(since),
        figure=figure,
        limit=limit,
        event_ids=tuple(ids),
    )


# How a reason is written for people.

SAID: Final[Mapping[HealthReasonName, str]] = {
    "stalled": "{days} days in stage (max {limit})",
    "overdue": "{days} days overdue",
    "pushed_repeatedly": "close date pushed {figure:,}x",
    "amount_cut": "amount cut by {amount} (from {before})",
    "no_reply": "no reply for {days} days",
    "no_contact": "no contact for {days} days",
    "single_contact": "one contact person",
    "no_next_step": "no next step",
    "probability_above_history": "probability {share} above history (at most {high})",
}

SINCE: Final[Mapping[HealthReasonName, str]] = {
    "stalled": "{said}, past the limit since {day}",
    "pushed_repeatedly": "{said}, too often since {day}",
}
"""What is said where the day is not the one on which what is counted began."""


def _said(
    reason: HealthReason, currency: str | None, zone: ZoneInfo, language: Language
) -> str:
    name, figure, limit = reason.reason, reason.figure, reason.limit
    days = number_text(figure) if name == "stalled" else f"{figure:,.0f}"
    values: dict[str, object] = {"days": days, "figure": int(figure)}
    values |= {"amount": money_text(figure, currency), "before": money_text(limit, currency)}
    if limit is not None:
        values |= {"limit": f"{limit:,.0f}", "high": f"{limit:.0%}"}
        values["share"] = given_percent(figure)
    said = say(SAID[name], language, **values)
    since = SINCE.get(name, "{said}, since {day}")
    return say(since, language, said=said, day=local_day(reason.since, zone))


def _count(estimate: Estimate | None) -> str:
    """Write of how many an estimate is, in which little shows."""
    return "" if estimate is None else f", n={estimate.count:,}"
