"""Why deals are won and lost: what was different about them, and which reasons cost most.

Answers "what do the deals we win have that those we lose have not?" for the deals that closed
in a period, at any past moment. Drivers are differences with their intervals, never causes;
those that rest on few deals are flagged. What happened in a stage is compared among deals that
stood there: a deal lost before it is no deal without an activity in it. Beside them the reasons
of losses (Pareto) and, apart from them, to whom deals were lost. Where a deal is named, the
closed deals most like it stand beside, with the reasons for each, and how many of them were
won. Leaves out the single deal: that is its case study.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BeforeValidator, Field

from salesflow.domain.process import WIN_RATE, win_rate_of
from salesflow.domain.time import Instant, Moment, Period
from salesflow.domain.unchecked import Fields, unchecked_all
from salesflow.domain.values import Currency, Reference, SafeText, Value, tidy
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Percent,
    RowOfValues,
    Total,
    amount_text,
    days_text,
    estimate_text,
    totals,
    written_rows,
)
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.table import TableOfView, tables_by_currency
from salesflow.projections.cases.buyer_reasons import (
    BuyerAnswers,
    BuyerCompetitor,
    BuyerReason,
    Interviews,
    buyer_side,
    buyer_tables,
)
from salesflow.projections.cases.case_study import CaseLayout
from salesflow.projections.cases.similar_cases import SimilarDeal, read_deal, similar_deals
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import (
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
    unscaled,
)
from salesflow.projections.core.names import Names
from salesflow.projections.core.question import PeriodQuestion, Reader, ensure_no_flag
from salesflow.projections.core.statistics import (
    Share,
    difference,
    ratio,
    share,
)
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.factor import FACTOR
from salesflow.projections.folds.interview import INTERVIEW
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.scope import Meant, named, unnamed_last

__all__ = [
    "ClosedGroup",
    "Driver",
    "LossReason",
    "LostTo",
    "WinLoss",
    "WinLossView",
    "closed_groups",
    "loss_reasons",
    "meant_under",
]


SMALL_SAMPLE = 10
"""Fewer deals than this on either side are few."""
SIMILAR_MAX = 50
INTERVIEW_DAYS: Final = 30
InterviewDays = Annotated[int, BeforeValidator(ensure_no_flag), Field(ge=1, le=3_650)]


class Driver(Value):
    """Something that happened on the way of some deals, and how often those and others won."""

    factor: Reference
    detail: SafeText
    """Where or how: a channel, a stage, a lead source; empty where there is nothing to add."""
    won_with: int
    lost_with: int
    won_without: int
    lost_without: int
    win_rate_with: Decimal | None
    win_rate_without: Decimal | None
    difference: Estimate | None
    """The first less the second, with its 95% Newcombe interval; None where one is of none."""
    few: bool
    """Whether it rests on fewer than ten deals with or without it."""


_driver_values: Final = unchecked_all(Driver)


class LossReason(Value):
    """What was lost for one reason, in one currency, the dearest reason first."""

    currency: Annotated[Currency | None, FieldRole.KEY]
    because: Annotated[SafeText | None, FieldRole.KEY]
    deals: int
    amount: Decimal
    share: Decimal | None
    """Of all that was lost in this currency; of the deals where no amount is known."""
    cumulative_share: Decimal | None


class LostTo(Value):
    """What was lost to one competitor."""

    competitor: Annotated[SafeText, FieldRole.KEY]
    deals: int
    amounts: tuple[Total, ...]


class WinLossView(MoneyView):
    """Drivers by the size of their difference, reasons of losses, and competitors."""

    population: ClassVar[str] = (
        "deals currently won or lost whose current close date falls in the period; owner and"
        " process are those of the closing; similar deals: those of the named deal's process"
        " that are currently won or lost, whenever they closed"
    )
    formula: ClassVar[str] = (
        "win rate = won / (won + lost), of deals with a factor and of those without; of a"
        " factor in a stage only deals that stood there are compared; difference"
        " = the first - the second with its 95% Newcombe interval, no claim of cause; share of"
        " lost amount = lost amount of a reason / all lost amount, per currency (of the deals"
        " where no amount is known); similarity = stages both passed / stages either passed + 1"
        " each for an amount within a factor of two in one currency, the same lead source, the"
        " same customer segment; win rate of similar deals with its 95% Wilson interval;"
        " interviewed in time = deals with an interview within so many days of the closing /"
        " those and the deals whose days are over; buyer and seller agree = lost deals in which"
        " the buyer names the seller's reason / lost deals with a reason of both, Wilson"
    )
    period: Period
    won: int
    lost: int
    drivers: tuple[Driver, ...]
    losses: tuple[LossReason, ...]
    lost_to: tuple[LostTo, ...]
    interviewed_within: int
    """After how many days an interview is late."""
    interviews: Interviews
    buyer_reasons: tuple[BuyerReason, ...]
    """What buyers say it was decided by, the most frequent of lost deals first."""
    buyer_competitors: tuple[BuyerCompetitor, ...]
    """To whom it went, or who else was looked at, as buyers say; of lost deals first."""
    deal: UUID | None
    """The deal whose like was asked for."""
    similar: tuple[SimilarDeal, ...]
    """The most alike first; none where no deal was named."""
    similar_won: Estimate | None
    """Which share of them was won, with its Wilson interval; None of none."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: drivers, then reasons, then competitors."""
        days = days_text(self.period, ZoneInfo(self.timezone))
        few = in_language("* fewer than ten deals with or without it", language)
        drivers = [_driver_row(driver, self.names, language) for driver in self.drivers]
        losses = [_loss_row(loss) for loss in self.losses]
        lost_to: list[RowOfValues] = [(o.competitor, o.deals, o.amounts) for o in self.lost_to]
        with_ = (
            "Factor",
            "Deals with factor",
            "Win rate with",
            "Deals without factor",
            "Win rate without",
            "Difference, points (95% CI)",
        )
        reasons = ("Reason", "Deals", "Amount", "Share of lost amount", "Cumulative share")
        notes = (few,) if any(driver.few for driver in self.drivers) else ()
        similar = () if self.deal is None else (self._similar(language),)
        side = BuyerAnswers(self.interviews, self.buyer_reasons, self.buyer_competitors)
        buyers = buyer_tables(side, self.interviewed_within, (self.names, language))
        return [
            TableOfView(
                "Win and loss drivers", with_, written_rows(drivers), notes=notes, about=days
            ),
            *tables_by_currency(
                TableOfView("Loss reasons", reasons, written_rows(losses)),
                [loss.currency for loss in self.losses],
                language,
            ),
            TableOfView(
                "Lost to competitors", ("Competitor", "Deals", "Amounts"), written_rows(lost_to)
            ),
            *(table for table in buyers if table.rows),
            *similar,
        ]

    def _similar(self, language: Language) -> TableOfView:
        table = CaseLayout(ZoneInfo(self.timezone), language).similar(self.similar)
        won = in_language("Win rate of similar deals", language)
        said = f"{won}: {estimate_text(self.similar_won, percent=True)}"
        return table._replace(notes=(said,), about=str(self.deal))


class WinLoss(MoneyQuestion[WinLossView], PeriodQuestion[WinLossView]):
    """What was different about the deals we won, and why were others lost?"""

    name: ClassVar[str] = "win-loss"
    folds: ClassVar[tuple[str, ...]] = (
        CLOSING.name,
        CUSTOMER.name,
        DEAL_STATE.name,
        FACTOR.name,
        INTERVIEW.name,
        STAGE_VISIT.name,
    )
    rates_usual: ClassVar[RateRule] = "closing"
    process: Reference | None = None
    """Only deals that closed under this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals that closed under this rep; all when left out."""
    interviewed_within: InterviewDays = INTERVIEW_DAYS
    """Within how many days of its closing a deal is to be looked into with the customer.
    Default: 30."""
    deal: UUID | None = None
    """Show the closed deals most like this one, open or closed, beside."""
    similar: Annotated[int, Field(ge=1, le=SIMILAR_MAX, strict=True)] = SMALL_SAMPLE
    """How many similar deals to name at most. Default: 10."""

    def answer(self, reader: Reader, moment: Moment) -> WinLossView:
        """Count the closed deals of the period with and without each factor.

        Raises:
            NotFoundError: when the deal named is not believed to exist at the moment.
            DealClosedError: when it is merged then.
        """
        span, exchange = self.span(reader), self.exchange(reader)
        deals = self._deals(reader)
        factors = _factors(reader, deals)
        closed = list(closed_groups(deals, exchange, span.end - 1))
        outcomes = Counter[str]()
        for group in closed:
            outcomes[group.outcome] += group.deals
        lost = [group for group in closed if group.outcome == "lost"]
        buyers = buyer_side(deals, reader, self.interviewed_within)
        alike: tuple[SimilarDeal, ...] = ()
        if self.deal is not None:
            alike = similar_deals(reader, read_deal(reader, self.deal), self.similar)
        return WinLossView(
            moment=moment,
            period=span.period(),
            won=outcomes["won"],
            lost=outcomes["lost"],
            drivers=tuple(
                _drivers(_by_factor(factors), outcomes, _outcomes_by_stage(reader, deals))
            ),
            losses=tuple(loss_reasons(lost)),
            lost_to=tuple(_lost_to(lost)),
            interviewed_within=self.interviewed_within,
            interviews=buyers.interviews,
            buyer_reasons=buyers.reasons,
            buyer_competitors=buyers.competitors,
            deal=self.deal,
            similar=alike,
            similar_won=share(*win_rate_of(Counter(each.outcome for each in alike), 0)),
            rates=exchange.used,
            names=named(_meant(deals, factors, buyers.reasons), reader.processes),
        )

    def _deals(self, reader: Reader) -> HeldRows:
        """Return the deals asked about, as they closed in the period."""
        span = self.span(reader)
        rows = reader.columns(CLOSING).between("closed", span.start, span.end)
        rows = rows.among("outcome", *WIN_RATE)
        return rows.where(rows.fitting({"process": self.process, "owner": self.owner}))


class ClosedGroup(NamedTuple):
    """So many deals that closed alike, and what they were worth."""

    outcome: str
    because: str | None
    competitor: str | None
    currency: str | None
    deals: int
    millionths: int

    @property
    def worth(self) -> Decimal:
        """What these deals were worth."""
        return unscaled(self.millionths)


class _FactorCount(NamedTuple):
    """How many deals of one outcome and process version have a factor."""

    factor: str
    detail: str
    outcome: str
    process: str
    version: int
    deals: int


OF_A_STAGE: Final = ("contacted_in", "overdue_in")
"""Factors that are about a stage, their detail."""
CLOSED_ALIKE: Final = ("outcome", "process", "process_version")
"""How a deal closed: factors are counted apart where deals closed otherwise."""


def _factors(reader: Reader, deals: HeldRows) -> list[_FactorCount]:
    """Count the factors of closed deals, those apart that closed otherwise."""
    closed, rows = grouped(*deals.cut(*CLOSED_ALIKE)), reader.columns(FACTOR)
    deal = places_among(deals["entity_id"], rows["entity_id"])
    is_theirs = deal >= 0
    rows, of = rows.where(is_theirs), closed.of[deal[is_theirs]]
    alike = grouped(*rows.cut("factor", "detail"), of)
    closings = [*deals.ordered(closed.first).records(*CLOSED_ALIKE)]
    cells = rows.ordered(alike.first).records("factor", "detail")
    counts = zip(cells, of[alike.first].tolist(), alike.counts().tolist(), strict=True)
    return [
        _FactorCount._make((*key, *closings[number], count)) for key, number, count in counts
    ]


def _by_factor(factors: Iterable[_FactorCount]) -> dict[tuple[str, str], Counter[str]]:
    """Count won and lost deals by factor."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for each in factors:
        found[each.factor, each.detail][each.outcome] += each.deals
    return found


def _outcomes_by_stage(reader: Reader, deals: HeldRows) -> dict[str, Counter[str]]:
    """Count won and lost deals by each stage in which they ever stood while open.

    Whoever has a factor of a stage stood there, if for an instant that no visit lasts.
    """
    numbers: dict[str, int] = {}
    places, stages = [], []
    for rows, name in (
        (reader.columns(STAGE_VISIT, ended=True).among("outcome", "open"), "stage"),
        (reader.columns(FACTOR).among("factor", *OF_A_STAGE), "detail"),
    ):
        place = places_among(deals["entity_id"], rows["entity_id"])
        code, place = rows[name][place >= 0], place[place >= 0]
        first = grouped(place, code).first
        codes, of = np.unique(code[first], return_inverse=True)
        words = [str(rows.words[name][each]) for each in codes.tolist()]
        places.append(place[first])
        stages.append(np.array([numbers.setdefault(w, len(numbers)) for w in words], int)[of])
    place, stage = np.concatenate(places), np.concatenate(stages)
    once = grouped(place, stage).first
    closed = deals.ordered(place[once]).cells("outcome")
    named = [*numbers]
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for where, outcome in zip(stage[once].tolist(), closed, strict=True):
        found[named[where]][outcome] += 1
    return found


def _meant(
    deals: HeldRows, factors: Iterable[_FactorCount], buyers: Iterable[BuyerReason]
) -> Iterator[Meant]:
    """Yield the reasons and details of deals, and under which process versions they closed."""
    versions = grouped(deals["process"], deals["process_version"]).first
    for process, version in deals.records("process", "process_version", rows=versions):
        yield from (Meant(process, version, each.reason) for each in buyers)
    lost = deals.among("outcome", "lost")
    yield from meant_under(lost, lost["because"])
    for each in factors:
        yield Meant(each.process, each.version, each.detail)


def meant_under(deals: HeldRows, keys: Column) -> Iterator[Meant]:
    """Yield keys, one of each deal, and under which process versions those closed."""
    process, version = deals["process"], deals["process_version"]
    words = deals.words["process"]
    for row in grouped(process, version, keys).first.tolist():
        yield Meant(words[process[row]], int(version[row]), words[keys[row]])


def closed_groups(
    deals: HeldRows, exchange: CurrencyConverter, end: Instant
) -> Iterator["ClosedGroup"]:
    """Add up what closed alike; to convert amounts, only what closed at the same time."""
    of, at = ("outcome", "because", "competitor", "currency"), deals["closed"]
    time = (
        np.unique(at, return_inverse=True)[1] if exchange.currency else np.zeros(len(at), int)
    )
    alike = grouped(*(deals[name] for name in of), time)
    sums = alike.sums(deals.amounts()).tolist()
    cells = zip(*map(deals.ordered(alike.first).cells, of), strict=True)
    closed = at[alike.first].tolist()
    for key, count, amount, day in zip(
        cells, alike.counts().tolist(), sums, closed, strict=True
    ):
        group = ClosedGroup._make((*key, count, amount))
        if group.outcome == "lost":
            into = exchange.into(
                group.currency, exchange.day(end, event=day, closing=day), times=count
            )
            worth = into.millionths(amount)
            group = group._replace(currency=into.currency, millionths=worth)
        yield group


def _drivers(
    factors: dict[tuple[str, str], Counter[str]],
    outcomes: Counter[str],
    by_stage: dict[str, Counter[str]],
) -> list[Driver]:
    """Return the factors by their effect, each among the deals that could have it."""
    compared = {key: by_stage[key[1]] if key[0] in OF_A_STAGE else outcomes for key in factors}
    found = _driver_values(
        [_driver(key, with_, compared[key]) for key, with_ in factors.items()]
    )

    def by_effect(driver: Driver) -> tuple[Decimal, str, str]:
        effect = Decimal(-1) if driver.difference is None else abs(driver.difference.value)
        return -effect, driver.factor, driver.detail

    return sorted(found, key=by_effect)


def _driver(key: tuple[str, str], with_: Counter[str], outcomes: Counter[str]) -> Fields:
    without = {outcome: count - with_[outcome] for outcome, count in outcomes.items()}
    here, there = Share(*win_rate_of(with_, 0)), Share(*win_rate_of(without, 0))
    return {
        "factor": key[0],
        "detail": key[1],
        "won_with": here.part,
        "lost_with": here.whole - here.part,
        "won_without": there.part,
        "lost_without": there.whole - there.part,
        "win_rate_with": ratio(*here),
        "win_rate_without": ratio(*there),
        "difference": difference(here, there),
        "few": min(here.whole, there.whole) < SMALL_SAMPLE,
    }


def loss_reasons(lost: Iterable[ClosedGroup]) -> Iterator[LossReason]:
    """Yield the reasons per currency, the dearest first, with their shares added up."""
    reasons: dict[str | None, dict[str | None, list[ClosedGroup]]] = {}
    for group in lost:
        by_reason = reasons.setdefault(group.currency, {})
        by_reason.setdefault(group.because, []).append(group)
    for currency in sorted(reasons, key=unnamed_last):
        rows = [
            (because, sum(g.deals for g in found), sum((g.worth for g in found), Decimal(0)))
            for because, found in reasons[currency].items()
        ]
        rows.sort(key=lambda row: (-row[2], -row[1], row[0] or ""))
        sizes = [Decimal(deals) if currency is None else worth for _, deals, worth in rows]
        whole, so_far = sum(sizes, Decimal(0)), Decimal(0)
        for (because, deals, worth), size in zip(rows, sizes, strict=True):
            so_far += size
            yield LossReason(
                currency=currency,
                because=because,
                deals=deals,
                amount=tidy(worth),
                share=size / whole if whole else None,
                cumulative_share=so_far / whole if whole else None,
            )


def _lost_to(lost: Iterable[ClosedGroup]) -> list[LostTo]:
    by_name: dict[str, list[ClosedGroup]] = defaultdict(list)
    for group in lost:
        if group.competitor is not None:
            by_name[group.competitor].append(group)
    found = [
        LostTo(
            competitor=name,
            deals=sum(group.deals for group in groups),
            amounts=totals((g.currency, g.worth, Decimal(1)) for g in groups),
        )
        for name, groups in by_name.items()
    ]
    return sorted(found, key=lambda other: (-other.deals, other.competitor))


def _driver_row(driver: Driver, names: Names, language: Language) -> RowOfValues:
    name = key_text(driver.factor, language)
    detail = names.label(driver.detail, language)
    return (
        (f"{name} {detail}" if detail else name) + (" *" if driver.few else ""),
        driver.won_with + driver.lost_with,
        Percent(driver.win_rate_with),
        driver.won_without + driver.lost_without,
        Percent(driver.win_rate_without),
        estimate_text(driver.difference, percent=True).replace("%", ""),
    )


def _loss_row(loss: LossReason) -> RowOfValues:
    amount = (
        NO_VALUE if loss.currency is None else amount_text(round(loss.amount, 2), loss.currency)
    )
    return (
        loss.because or NO_VALUE,
        loss.deals,
        amount,
        Percent(loss.share),
        Percent(loss.cumulative_share),
    )
