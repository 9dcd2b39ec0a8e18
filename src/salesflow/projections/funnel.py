"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Leaves out how deals got there: that is Flow (movements) and Conversion (shares).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

import sqlalchemy as sa

from salesflow.domain.moments import Moment
from salesflow.domain.processes import ProcessVersion
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.amounts import Total, exact, exact_sum, totals, totals_text
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.questions import Question, Reader, TableOfView, View
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


class FunnelView(View):
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


class Funnel(Question[FunnelView]):
    """How many open deals stand in each stage, and what are they worth?"""

    name: ClassVar[str] = "funnel"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> FunnelView:
        """Sum the deals' rows that hold at the moment."""
        groups = [_Group._make(row) for row in reader.rows(self._select(reader))]
        opened = [group for group in groups if group.outcome == "open"]
        return FunnelView(
            moment=moment,
            stages=tuple(_stages(groups, reader.processes)),
            closed=tuple(
                ClosedDeals(
                    outcome=outcome,
                    deals=sum(g.deals for g in groups if g.outcome == outcome),
                    amounts=totals(g.part() for g in groups if g.outcome == outcome),
                )
                for outcome in CLOSED
            ),
            open_deals=sum(group.deals for group in opened),
        )

    def _select(self, reader: Reader) -> sa.Select[Any]:
        c = DEAL_STATE.c
        by = (c.process, c.process_version, c.stage, c.outcome, c.currency, c.probability)
        shown: list[sa.ColumnElement[Any]] = [
            *by,
            sa.func.count(),
            sa.func.count(c.amount),
            *exact_sum(c.amount),
        ]
        select = sa.select(*shown).where(DEAL_STATE.seen(reader.cut)).group_by(*by)
        if self.process is not None:
            select = select.where(c.process == self.process)
        if self.owner is not None:
            select = select.where(c.owner == self.owner)
        return select


class _Group(NamedTuple):
    process: str
    version: int
    stage: str
    outcome: str
    currency: str | None
    probability: int
    deals: int
    deals_with_amount: int
    whole: int | None
    millionths: int | None

    def part(self, *, weighted: bool = False) -> tuple[str | None, Decimal, Decimal]:
        """Give its currency, its amount and how much of that counts."""
        share = Decimal(self.probability) / AMOUNT_SCALE if weighted else Decimal(1)
        return self.currency, exact(self.whole, self.millionths), share


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
        deals_without_amount=deals - sum(group.deals_with_amount for group in groups),
        amounts=totals(group.part() for group in groups),
        weighted=totals(group.part(weighted=True) for group in groups),
    )
