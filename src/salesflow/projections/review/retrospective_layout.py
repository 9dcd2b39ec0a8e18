"""A retrospective laid out for people: one table for each thing it looks back on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from salesflow.domain.time import Period
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Total,
    days_text,
    estimate_text,
    local_day,
    local_time,
    money_text,
    number_text,
    percent_text,
    short_id,
    totals,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView, tables_by_currency
from salesflow.projections.cases.win_loss import LossReason
from salesflow.projections.feedback.feedback import Verbatim
from salesflow.projections.forecast.forecast_figures import SlippageLine
from salesflow.projections.pipeline.flow import FlowFigures
from salesflow.projections.review.retrospective_deals import DealSlipped, DealStalled
from salesflow.projections.review.retrospective_figures import (
    MOVEMENTS,
    FigureMoved,
    MovementBeside,
)
from salesflow.projections.review.retrospective_forecasts import ForecastJudged
from salesflow.projections.review.retrospective_stages import Bottleneck, StagePassed
from salesflow.projections.review.retrospective_voices import ScoreMoved, Theme

__all__ = ["RetrospectiveLayout"]


Staged = Bottleneck | StagePassed | DealSlipped | DealStalled | Verbatim
"""Rows that name a stage."""
MOVEMENTS_NOTE: Final = (
    "every movement counts, also of deals merged or reopened later, so numbers of deals can"
    " differ from those above"
)


class RetrospectiveLayout:
    """Writes the parts of a retrospective in one language and time zone."""

    def __init__(self, timezone: ZoneInfo, language: Language) -> None:
        self._timezone = timezone
        self.language: Language = language

    def figures(
        self, moved: Iterable[FigureMoved], period: Period, before: Period, part: str
    ) -> TableOfView:
        """Lay out what moved; a figure in several currencies is named with each."""
        shown = [it for it in moved if it.unit != "money" or it.value or it.value_before]
        times = Counter(it.figure for it in shown)
        rows = tuple(self._named_row(it, several=times[it.figure] > 1) for it in shown)
        days = days_text(period, self._timezone)
        columns = ("Figure", "This period", "Prior period", "Difference")
        beside = f"{self.word('prior period')} {days_text(before, self._timezone)}"
        about = " · ".join(each for each in (part, days, beside) if each)
        return TableOfView("Retrospective", columns, rows, about=about)

    def _named_row(self, each: FigureMoved, *, several: bool) -> tuple[str, str, str, str]:
        named, now, before, difference = self.figure_row(each)
        if several and each.currency is not None and not named.endswith(each.currency):
            named = f"{named} {each.currency}"
        return named, now, before, difference

    def figure_row(self, each: FigureMoved) -> tuple[str, str, str, str]:
        """Write one figure: what it is, its values now and before, the difference."""
        text = FigureText(each.unit, self.language, each.currency)
        now, before = map(text.figure, (each.value, each.value_before))
        return self._figure(each), now, before, text.difference(each.difference)

    def joined_later(self) -> str:
        """Say that a rep's first team stands for a time before it."""
        return self.word("before a rep joined any team: counted under the first team")

    def movements(self, movements: Sequence[MovementBeside]) -> TableOfView:
        """Lay out the books of open deals, their currencies side by side."""
        told = {each.movement for each in movements if _counts(each)}
        rows = []
        for kind in sorted(told, key=MOVEMENTS.index):
            mine = [each for each in movements if each.movement == kind]
            row = [key_text(kind, self.language)]
            for figures in ([m.figures for m in mine], [m.figures_before for m in mine]):
                worth = zip((m.currency for m in mine), figures, strict=True)
                row += [f"{sum(f.deals for f in figures):,}", _worth(worth)]
            rows.append(tuple(row))
        columns = ("Movement", "Deals", "Amount", "Deals, prior", "Amount, prior")
        return TableOfView("Flow", columns, tuple(rows), notes=(self.word(MOVEMENTS_NOTE),))

    def stages(
        self,
        stages: Sequence[StagePassed],
        now: Bottleneck | None,
        before: Bottleneck | None,
    ) -> TableOfView:
        """Lay out the open stages, the bottleneck below them."""
        rows = tuple(
            (
                self.stage(each),
                f"{each.figures.deals:,}",
                f"{each.figures.deals_over:,}",
                number_text(each.figures.days_over),
                number_text(each.figures_before.days_over),
                NO_VALUE if each.days_max is None else f"{each.days_max:,}",
                number_text(each.figures.days_median),
                number_text(each.figures_before.days_median),
                _rate(each.figures.conversion),
                _rate(each.figures_before.conversion),
            )
            for each in stages
        )
        columns = (
            "Stage", "Deals", "Deals past limit", "Days past limit", "Days past limit, prior",
            "Max stay days", "Median days", "Median days, prior", "Conversion (left)",
            "Conversion (left), prior",
        )  # fmt: skip
        notes = (
            f"{self.word('Bottleneck')}: {self._narrow(now)}",
            f"{self.word('Bottleneck, prior period')}: {self._narrow(before)}",
        )
        return TableOfView("Stages", columns, rows, notes=notes)

    def slippage(
        self, now: Sequence[SlippageLine], before: Sequence[SlippageLine]
    ) -> list[TableOfView]:
        """Lay out what became of the deals that were expected, per period and currency."""
        tables = (
            self._slippage("Slippage", now),
            self._slippage("Slippage, prior period", before),
        )
        return [table for table in tables if table.rows]

    def _slippage(self, title: str, lines: Sequence[SlippageLine]) -> TableOfView:
        rows = tuple(
            (
                f"{line.expected:,}",
                money_text(line.expected_amount, line.currency),
                *(f"{count:,}" for count in (line.won, line.left_otherwise)),
                *(f"{count:,}" for count in (line.moved, line.overdue, line.pending)),
                money_text(line.slipped_amount, line.currency),
                percent_text(line.slippage),
                percent_text(line.slippage_by_value),
            )
            for line in lines
        )
        columns = (
            "Due at period start", "Amount", "Won", "Lost or dropped", "Pushed out of period",
            "Overdue", "Not yet due", "Amount slipped", "Slippage rate (deals)",
            "Slippage rate (value)",
        )  # fmt: skip
        return TableOfView(title, columns, rows)

    def slipped(self, deals: Sequence[DealSlipped], in_all: int) -> TableOfView:
        """Name the deals that slipped."""
        rows = tuple(
            (
                short_id(deal.deal),
                self.stage(deal),
                deal.owner or NO_VALUE,
                money_text(deal.amount, deal.currency),
                str(deal.expected_close),
                _day(deal.expected_after),
                "pushed out of period" if deal.slipped == "moved" else deal.slipped,
                deal.outcome or NO_VALUE,
            )
            for deal in deals
        )
        columns = (
            "Deal", "Stage", "Owner", "Amount", "Expected close",
            "Current expected close", "Type of slip", "Outcome",
        )  # fmt: skip
        notes, words = (self._listed(rows, in_all),), ("Type of slip", "Outcome")
        return TableOfView("Slipped deals", columns, rows, notes=notes, words=words)

    def stalled(
        self, deals: Sequence[DealStalled], in_all: int, amounts: Sequence[Total]
    ) -> TableOfView:
        """Name the deals that stalled."""
        rows = tuple(
            (
                short_id(deal.deal),
                self.stage(deal),
                deal.owner or NO_VALUE,
                money_text(deal.amount, deal.currency),
                _day(deal.expected_close),
                local_day(deal.entered_at, self._timezone),
                number_text(deal.days),
                f"{deal.days_max:,}",
            )
            for deal in deals
        )
        columns = (
            "Deal", "Stage", "Owner", "Amount", "Expected close", "Entered at", "Days",
            "Stage limit (days)",
        )  # fmt: skip
        listed = f"{self._listed(rows, in_all)} · {totals_text(amounts)}"
        return TableOfView("Stalled deals", columns, rows, notes=(listed,))

    def losses(
        self, now: Sequence[LossReason], before: Sequence[LossReason]
    ) -> list[TableOfView]:
        """Lay out why deals were lost, by currency; those of the period before alone last."""
        here, there = ({(r.currency, r.because): r for r in side} for side in (now, before))
        rows = []
        currencies = dict.fromkeys(currency for currency, _ in (*here, *there))
        order = {currency: number for number, currency in enumerate(currencies)}
        keys = sorted({**here, **there}, key=lambda key: order[key[0]])
        for key in keys:
            row = [key[1] or NO_VALUE]
            for reason in (here.get(key), there.get(key)):
                row += [
                    "0" if reason is None else f"{reason.deals:,}",
                    money_text(Decimal(0) if reason is None else reason.amount, key[0]),
                    percent_text(None if reason is None else reason.share),
                ]
            rows.append(tuple(row))
        columns = (
            "Reason", "Deals", "Amount", "Share of lost amount", "Deals, prior",
            "Amount, prior", "Share, prior",
        )  # fmt: skip
        table = TableOfView("Loss reasons", columns, tuple(rows))
        return tables_by_currency(table, [currency for currency, _ in keys], self.language)

    def forecasts(self, judged: Iterable[ForecastJudged]) -> TableOfView:
        """Lay out what was forecast of the period beside what was sold in it."""
        rows = tuple(
            (
                key_text(each.made, self.language),
                local_time(each.made_at, self._timezone, exact=False),
                self.word(each.measure),
                f"{each.deals:,}",
                money_text(each.forecast, each.currency),
                money_text(each.actual, each.currency),
                _plus(each.difference, money_text(each.difference, each.currency)),
                percent_text(each.accuracy),
            )
            for each in judged
        )
        columns = (
            "Made at", "Date", "Forecast type", "Open deals", "Forecast",
            "Actual bookings", "Difference", "Accuracy",
        )  # fmt: skip
        return TableOfView("Forecast accuracy", columns, rows)

    def scores(self, scores: Iterable[ScoreMoved]) -> TableOfView:
        """Lay out the score of each survey and what it was."""
        rows = tuple(
            (
                each.survey or NO_VALUE,
                each.scale.upper(),
                _score(each.score, each.scale),
                _score(each.score_before, each.scale),
                self._points(each),
                "0" if each.score is None else f"{each.score.count:,}",
                "0" if each.score_before is None else f"{each.score_before.count:,}",
            )
            for each in scores
        )
        columns = (
            "Survey", "Scale", "Score", "Prior period", "Difference", "Feedback received",
            "Feedback received, prior",
        )  # fmt: skip
        return TableOfView("Survey scores", columns, rows)

    def themes(self, themes: Iterable[Theme]) -> TableOfView:
        """Lay out what was said by stage and by product."""
        rows = tuple(
            (
                f"{self.word(each.kind.capitalize())}: {self._theme(each)}",
                f"{each.figures.responses:,}",
                f"{each.figures_before.responses:,}",
                f"{each.figures.detractors:,}",
                estimate_text(each.figures.nps),
                estimate_text(each.figures_before.nps),
                estimate_text(each.figures.csat_top_box, percent=True),
                estimate_text(each.figures.ces_mean, places=1),
            )
            for each in themes
            if each.figures.responses or each.figures_before.responses
        )
        columns = (
            "Theme", "Feedback received", "Feedback received, prior", "Detractors", "NPS",
            "NPS, prior", "CSAT top box", "CES mean",
        )  # fmt: skip
        return TableOfView("Feedback themes", columns, rows)

    def detractors(self, said: Sequence[Verbatim], in_all: int) -> TableOfView:
        """Return the words of detractors, by stage."""
        rows = tuple(
            (
                self.stage(each),
                ", ".join(each.products) or NO_VALUE,
                local_day(each.occurred_at, self._timezone),
                short_id(each.deal),
                each.owner or NO_VALUE,
                NO_VALUE if each.score is None else f"{each.score:,}",
                each.text,
            )
            for each in said
        )
        columns = ("Stage", "Product", "Time", "Deal", "Owner", "Score", "Text")
        listed = (self._listed(rows, in_all),)
        return TableOfView("Detractor comments", columns, rows, notes=listed)

    def _theme(self, each: Theme) -> str:
        return (each.name_zh if self.language == "zh" else each.name_en) or NO_VALUE

    def _figure(self, each: FigureMoved) -> str:
        name = key_text(each.figure, self.language)
        label = name[0].upper() + name[1:]
        shown = each.unit != "money" and each.currency is not None
        return f"{label} {each.currency}" if shown else label

    def _points(self, each: ScoreMoved) -> str:
        if each.difference is None:
            return NO_VALUE
        if each.scale == "csat":
            return f"{each.difference * 100:+z.1f} {self.word('points')}"
        return f"{each.difference:+z.1f}"

    def _narrow(self, found: Bottleneck | None) -> str:
        """Return which stage is the bottleneck, and what makes it one."""
        if found is None:
            return self.word("none")
        share, conversion = map(percent_text, (found.days_over_share, found.conversion))
        figures = (
            self.days_over(found),
            say("{share} of all days past limit", self.language, share=share),
            say("{deals:,} deals past limit", self.language, deals=found.deals_over),
            say("{share} moved on", self.language, share=conversion),
        )
        return f"{self.stage(found)} · {' · '.join(figures)}"

    def days_over(self, found: Bottleneck) -> str:
        """Say how long deals stood in a stage beyond its limit."""
        days = number_text(found.days_over)
        return say("{days} days past the stage limit", self.language, days=days)

    def stage(self, row: Staged) -> str:
        """Name the stage of a row."""
        return row.stage_zh if self.language == "zh" else row.stage_en

    def _listed(self, rows: Sequence[object], in_all: int) -> str:
        return f"{self.word('listed')} {len(rows):,} · {self.word('in all')} {in_all:,}"

    def word(self, text: str) -> str:
        """Return a word of ours in the language of the layout."""
        return in_language(text, self.language)


def _counts(movement: MovementBeside) -> bool:
    """Return whether there is anything to show: what is only weighted otherwise is not."""
    sides = (movement.figures, movement.figures_before)
    return any(figures.deals or figures.amount for figures in sides)


def _worth(figures: Iterable[tuple[str | None, FlowFigures]]) -> str:
    return totals_text(totals((name, each.amount, Decimal(1)) for name, each in figures))


def _plus(difference: Decimal | None, written: str) -> str:
    return f"+{written}" if difference is not None and difference > 0 else written


def _rate(conversion: Estimate | None) -> str:
    return estimate_text(conversion, percent=True)


def _score(score: Estimate | None, scale: str) -> str:
    return estimate_text(score, percent=scale == "csat", places=1 if scale == "ces" else 0)


def _day(day: date | None) -> str:
    return NO_VALUE if day is None else str(day)
