"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Leaves out how deals got there: that is Flow (movements) and Conversion (shares).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any, ClassVar, Literal, NamedTuple

import sqlalchemy as sa

from salesflow.domain.moments import Moment
from salesflow.domain.processes import ProcessVersion
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.amounts import (
    EXACT_DIGITS,
    Total,
    exact,
    exact_sum,
    totals,
    totals_text,
)
from salesflow.projections.balances import balances
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.one_currency import Exchange, MoneyQuestion, MoneyView, RateRule
from salesflow.projections.questions import Reader, TableOfView
from salesflow.projections.tables import AMOUNT_SCALE, Processes
from salesflow.projections.words import Language

__all__ = ["ClosedDeals", "Funnel", "FunnelStage", "FunnelView"]

CLOSED = ("won", "lost", "disqualified", "merged")


class FunnelStage(Value):
    """One stage of one process: the open deals in it, what they are worth and likely worth."""

    process: Reference
    stage: Reference
    name_en: SafeText
    name_zh: SafeText
    deals: int
    deals_without_amount: int
    amounts: tuple[Total, ...]
    weighted: tuple[Total, ...]


class ClosedDeals(Value):
    """Deals that stand won, lost, disqualified or merged at the moment."""

    outcome: Reference
    deals: int
    amounts: tuple[Total, ...]


class FunnelView(MoneyView):
    """Open deals per stage in the order of the process, closed deals beside them."""

    population: ClassVar[str] = "every deal believed to exist at the moment"
    formula: ClassVar[str] = (
        "per stage: count and sum of amount of open deals; weighted = sum of amount x"
        " probability of the deal's process version (or its own forecast); per currency"
    )
    population_zh: ClassVar[str] = "截至该时刻所知存在的全部商机"
    formula_zh: ClassVar[str] = (
        "各阶段：进行中商机的数量与金额合计；加权金额 = 金额 × 商机所属流程版本的成交概率"
        "（或商机自己的预测）之和；按币种分别合计"
    )
    stages: tuple[FunnelStage, ...]
    closed: tuple[ClosedDeals, ...]
    open_deals: int

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the funnel out: a row per stage, then a row per outcome."""
        zh, several = language == "zh", len({stage.process for stage in self.stages}) > 1
        rows = [
            (
                (f"{s.process}: " if several else "") + (s.name_zh if zh else s.name_en),
                f"{s.deals:,}",
                totals_text(s.amounts),
                totals_text(s.weighted),
                f"{s.deals_without_amount:,}" if s.deals_without_amount else "",
            )
            for s in self.stages
        ]
        closed = [(c.outcome, f"{c.deals:,}", totals_text(c.amounts)) for c in self.closed]
        columns = ("Stage", "Deals", "Amount", "Weighted", "Without amount")
        outcomes = ("Outcome", "Deals", "Amount")
        return [
            TableOfView("Funnel", columns, tuple(rows)),
            TableOfView("Closed", outcomes, tuple(closed), words=("Outcome",)),
        ]


class Funnel(MoneyQuestion[FunnelView]):
    """How many open deals stand in each stage, and what are they worth?"""

    name: ClassVar[str] = "funnel"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name, PIPELINE.name)
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is: period_end (here the day of the moment) or fixed."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> FunnelView:
        """Sum up the cells of the pipeline, or the deals' rows that hold at the moment."""
        exchange = self.exchange(reader)
        read = self._booked(reader) if self.owner is None else self._owned(reader)
        groups = [group.into(exchange, reader) for group in read]
        opened = [group for group in groups if group.outcome == "open"]
        return FunnelView(
            moment=moment,
            stages=tuple(_stages(groups, reader.processes)),
            closed=tuple(
                ClosedDeals(
                    outcome=outcome,
                    deals=sum(g.deals for g in groups if g.outcome == outcome),
                    amounts=totals(g.worth() for g in groups if g.outcome == outcome),
                )
                for outcome in CLOSED
            ),
            open_deals=sum(group.deals for group in opened),
            rates=exchange.used,
        )

    def _booked(self, reader: Reader) -> Iterator["_Group"]:
        """Read the balances of the pipeline: as fast for any number of deals."""
        (found,) = balances(reader, PIPELINE, [reader.cut.as_of])
        for cell, sums in found.items():
            process, version, stage, outcome, currency = cell
            if self.process in (None, process):
                yield _Group(process, version, stage, outcome, currency, *sums)

    def _owned(self, reader: Reader) -> Iterator["_Group"]:
        """Read the deals of one owner."""
        c = DEAL_STATE.c
        cell: list[sa.ColumnElement[Any]] = [
            *(c.process, c.process_version, c.stage, c.outcome, c.currency)
        ]
        select = (
            sa.select(*cell, c.probability, sa.func.count(), *exact_sum(c.amount))
            .where(DEAL_STATE.seen(reader.cut), c.owner == self.owner)
            .group_by(*cell, c.probability)
        )
        if self.process is not None:
            select = select.where(c.process == self.process)
        for row in reader.rows(select):
            *named, probability, deals, whole, millionths = tuple(row)
            amount = exact(whole, millionths)
            with localcontext(prec=EXACT_DIGITS):
                likely = amount * probability / AMOUNT_SCALE
            yield _Group._make((*named, deals, amount, likely))


class _Group(NamedTuple):
    process: str
    version: int
    stage: str
    outcome: str
    currency: str | None
    deals: int
    amount: Decimal
    weighted: Decimal

    def into(self, exchange: Exchange, reader: Reader) -> "_Group":
        """Give it in the currency asked for; without a rate it has no amount."""
        day = exchange.day(reader.cut.as_of, event=None, closing=None)
        into = exchange.into(self.currency, day, of=self[:5], times=self.deals)
        amount, weighted = into.amount(self.amount), into.amount(self.weighted)
        return self._replace(currency=into.currency, amount=amount, weighted=weighted)

    def worth(self) -> tuple[str | None, Decimal, Decimal]:
        """Give its currency, its amount, and that all of it counts."""
        return self.currency, self.amount, Decimal(1)

    def likely(self) -> tuple[str | None, Decimal, Decimal]:
        """Give the same of what is likely of it."""
        return self.currency, self.weighted, Decimal(1)


def _stages(groups: Sequence[_Group], processes: Processes) -> Iterable[FunnelStage]:
    """Give every open stage of every process in use, in order, empty ones included."""
    newest: dict[str, int] = {}
    by_stage: dict[tuple[str, str], list[_Group]] = defaultdict(list)
    for group in groups:
        newest[group.process] = max(group.version, newest.get(group.process, 0))
        if group.outcome == "open":
            by_stage[group.process, group.stage].append(group)
    for key in sorted(newest):
        process = processes[key, newest[key]]
        own = [stage.key for stage in process.stages if stage.category == "open"]
        gone = sorted({stage for p, stage in by_stage if p == key} - set(own))
        for stage in [*own, *gone]:
            found = by_stage.get((key, stage), [])
            yield _stage(process, _named(stage, found, process, processes), stage, found)


def _named(
    stage: str, groups: Sequence[_Group], newest: ProcessVersion, processes: Processes
) -> tuple[str, str]:
    """Name a stage as the newest version that has it does."""
    versions = sorted({group.version for group in groups} | {newest.version}, reverse=True)
    for version in versions:
        for candidate in processes[newest.key, version].stages:
            if candidate.key == stage:
                return candidate.name_en, candidate.name_zh
    return stage, stage


def _stage(
    process: ProcessVersion, names: tuple[str, str], stage: str, groups: Sequence[_Group]
) -> FunnelStage:
    deals = sum(group.deals for group in groups)
    return FunnelStage(
        process=process.key,
        stage=stage,
        name_en=names[0],
        name_zh=names[1],
        deals=deals,
        deals_without_amount=sum(group.deals for group in groups if group.currency is None),
        amounts=totals(group.worth() for group in groups),
        weighted=totals(group.likely() for group in groups),
    )
