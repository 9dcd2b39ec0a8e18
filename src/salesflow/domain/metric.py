"""Metrics: what goals, people, contests and changes of the process are measured by.

A closed table: each metric has a key, a name in English and in Chinese, a unit, and says
whether it accumulates over a period (sales) or is a level (a win rate), and which direction is
better. What a metric counts is worked out in `salesflow.projections.metrics`, for every answer
alike. Figures that nobody can work out from deals (market share, a survey) are reported from
outside and named `figure:<key>`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator

from salesflow.domain.alike_names import perhaps
from salesflow.domain.values import Given, Key, TextMark
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError

__all__ = [
    "FIGURE",
    "METRICS",
    "OF_PRODUCTS",
    "STAGE_KPIS",
    "Metric",
    "MetricAsked",
    "MetricKey",
    "MetricKind",
    "MetricUnit",
    "ensure_at_stage",
    "ensure_currency",
    "ensure_of_product",
    "ensure_ranked",
    "figure_key",
    "metric_of",
]

MetricUnit = Literal["money", "count", "share", "days", "number"]
MetricKind = Literal["accumulating", "level"]
Better = Literal["higher", "lower"]
AtStage = Literal["never", "may", "must"]
FIGURE: Final = "figure:"
"""What the key of an outside figure begins with."""


class Metric(NamedTuple):
    """One figure that is measured, whatever for."""

    key: str
    name_en: str
    name_zh: str
    unit: MetricUnit | None
    """None for an outside figure, whose reports name it."""
    kind: MetricKind
    """Whether it grows over a period from nothing, or stands at some height."""
    better: Better | None = "higher"
    """Which direction is better; None where only who reports an outside figure knows."""
    at_stage: AtStage = "never"
    """Whether it can be, or has to be, measured at a named stage."""

    @property
    def of_products(self) -> bool:
        """Whether it can be measured of one product: what was sold of it."""
        return self.key in OF_PRODUCTS

    def name(self, language: str = "en") -> str:
        """Return its name in English (`en`) or Chinese (`zh`)."""
        return self.name_zh if language == "zh" else self.name_en

    @property
    def of_nothing(self) -> Decimal | None:
        """What it comes to where nothing happened: 0 of what is counted or adds up.

        None of shares, days and averages, which are undefined of nothing.
        """
        is_sum = self.kind == "accumulating" or self.unit == "count"
        return Decimal(0) if is_sum else None

    @property
    def is_figure(self) -> bool:
        """Whether it is reported from outside."""
        return self.key.startswith(FIGURE)


def _accumulating(
    key: str, en: str, zh: str, better: Better = "higher", at_stage: AtStage = "never"
) -> Metric:
    return Metric(key, en, zh, "count", "accumulating", better, at_stage)


def _level(
    key: str, en: str, zh: str, unit: MetricUnit, better: Better = "higher", **at: AtStage
) -> Metric:
    return Metric(key, en, zh, unit, "level", better, at.get("at_stage", "never"))


_ALL: Final = (
    Metric("sales", "Sales", "销售额", "money", "accumulating"),
    _accumulating("orders", "Orders", "订单数量"),
    _accumulating("repeat_orders", "Repeat orders", "重复订单数量"),
    _accumulating("created", "Deals created", "新建商机数"),
    _accumulating("won", "Deals won", "赢单数", at_stage="may"),
    _accumulating("lost", "Deals lost", "输单数", "lower", "may"),
    _accumulating("disqualified", "Deals disqualified", "无效商机数", "lower", "may"),
    _accumulating("new_customers", "New customers", "新客户数量"),
    _accumulating("contacts", "Activities", "跟进次数", at_stage="may"),
    _accumulating("stage_entries", "Entries into the stage", "进入阶段次数", at_stage="must"),
    _level("win_rate", "Win rate", "成交率", "share", at_stage="may"),
    _level("win_rate_by_value", "Win rate by value", "金额成交率", "share", at_stage="may"),
    _level("win_rate_of_created", "Created deals won", "新建商机成交率", "share"),
    _level("cycle_days", "Sales cycle, median", "销售周期（中位数）", "days", "lower"),
    _level("cycle_days_mean", "Sales cycle, mean", "销售周期（平均）", "days", "lower"),
    _level("cycle_days_p90", "Sales cycle, P90", "销售周期（P90）", "days", "lower"),
    _level("repeat_rate", "Repeat purchase rate", "重复购买率", "share"),
    _level(
        "contacts_per_deal", "Activities per deal", "单商机跟进次数", "number", at_stage="may"
    ),
    _level("first_response_days", "First response, median", "首次响应时间", "days", "lower"),
    _level("csat", "Customer satisfaction", "客户满意度", "share", at_stage="may"),
    _level("velocity", "Sales velocity per day", "日均销售速度", "money"),
    _level("qualified_deals", "Qualified open deals", "合格商机数", "count"),
    _level("sales_per_customer", "Sales per customer", "成交客户平均销售额", "money"),
    _level("stage_conversion", "Stage conversion", "阶段转化率", "share", at_stage="must"),
    _level(
        "stage_conversion_resolved",
        "Stage conversion of deals that left",
        "已离开商机的阶段转化率",
        "share",
        at_stage="must",
    ),
    _level(
        "stage_days", "Days in stage, median", "阶段停留天数", "days", "lower", at_stage="must"
    ),
)

METRICS: Final[Mapping[str, Metric]] = {each.key: each for each in _ALL}
"""Every metric by its key. It may only grow: goals that are recorded name them."""

OF_PRODUCTS: Final = ("sales", "won")
"""The metrics that can be measured of one product."""

STAGE_KPIS: Final[Mapping[str, str]] = {
    "lead_conversion": "stage_conversion",
    "contact_count": "contacts_per_deal",
}
"""What some figures of a stage are called in process versions: lead conversion is that of the
stage in which leads stand, the number of contacts is that per deal there."""


COMMON: Final[Mapping[str, str]] = {
    **dict.fromkeys(("revenue", "turnover", "bookings", "income", "业绩", "营业额"), "sales"),
    **dict.fromkeys(("wins", "deals_closed", "赢单"), "won"),
    **dict.fromkeys(("losses", "输单"), "lost"),
    **dict.fromkeys(("leads", "new_deals", "opportunities", "商机数"), "created"),
    **dict.fromkeys(("conversion", "conversion_rate", "close_rate", "赢单率"), "win_rate"),
    **dict.fromkeys(("sales_cycle", "cycle", "cycle_time"), "cycle_days"),
    **dict.fromkeys(("activities", "calls", "visits", "meetings"), "contacts"),
    **dict.fromkeys(("satisfaction", "nps"), "csat"),
    **dict.fromkeys(("pipeline", "open_deals"), "qualified_deals"),
}
"""Common words for something near a metric: what is suggested to whoever writes one."""


def _folded(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


NAMES: Final[Mapping[str, str]] = {
    _folded(name): each.key for each in _ALL for name in (each.name_zh, each.name_en, each.key)
}
"""Keys of the metrics by all that they are called, in small letters."""


def _key_of(text: str) -> str:
    """Return the key of the metric that is called so, in whatever language; else the text."""
    if text in METRICS:
        return text
    return STAGE_KPIS.get(text) or NAMES.get(_folded(text), text)


def _perhaps(text: str) -> str:
    word = _folded(text)
    return f" (perhaps {COMMON[word]})" if word in COMMON else perhaps(word, METRICS)


def metric_of(key: str) -> Metric:
    """Return a metric by its key or name, or an outside figure by `figure:` and its own.

    Raises:
        InputError: when there is none that is called so.
    """
    found = METRICS.get(_key_of(key))
    if found is not None:
        return found
    outside = key.removeprefix(FIGURE)
    if outside not in {key, ""}:
        return Metric(key, outside, outside, None, "level", None)
    raise InputError(
        f"there is no metric {quoted(key)}{_perhaps(key)}; there are"
        f" {', '.join(METRICS)}, and {FIGURE}<key> for a figure reported from outside"
    )


def ensure_at_stage(metric: Metric, stage: str | None) -> None:
    """Refuse a metric that has to be measured at a stage and is not, or the other way round.

    Raises:
        InputError: with the way out.
    """
    if metric.at_stage == "must" and stage is None:
        raise InputError(f"{metric.key} is measured at a stage; name one, stage=…")
    if metric.at_stage == "never" and stage is not None:
        those = (each.key for each in METRICS.values() if each.at_stage != "never")
        raise InputError(
            f"{metric.key} is not measured at a stage; leave the stage out, or take one of"
            f" {', '.join(those)}"
        )


def ensure_of_product(metric: Metric, product: str | None) -> None:
    """Refuse a metric that cannot be measured of one product.

    Raises:
        InputError: naming those that can.
    """
    if product is not None and not metric.of_products:
        raise InputError(
            f"{metric.key} is not measured of a product; {' and '.join(OF_PRODUCTS)} are"
        )


def ensure_currency(metric: Metric, currency: str | None) -> None:
    """Refuse money without a currency, and a currency of anything else.

    Raises:
        InputError: with the way out.
    """
    if (metric.unit == "money") != (currency is not None):
        raise InputError(
            f"{metric.key} is money; name the currency, such as currency='CNY'"
            if metric.unit == "money"
            else f"{metric.key} is no money; leave the currency out"
        )


def ensure_ranked(metric: Metric) -> None:
    """Refuse a metric by which nobody can be ranked.

    Raises:
        InputError: saying why.
    """
    if metric.is_figure or metric.at_stage == "must":
        why = "is reported from outside" if metric.is_figure else "is measured at a stage"
        raise InputError(f"{metric.key} {why}; nobody is ranked by it")


def figure_key(metric: str) -> str | None:
    """Return which outside figure a metric is; None for one that is worked out from deals."""
    return metric.removeprefix(FIGURE) if metric.startswith(FIGURE) else None


def _known_metric(key: str) -> str:
    if key in METRICS or key.removeprefix(FIGURE) not in {key, ""}:
        return key
    raise ValueError(
        Message(
            "{metric} is not a metric{perhaps}; there are {known} and {prefix}<key>",
            metric=quoted(key),
            perhaps=_perhaps(key),
            known=", ".join(METRICS),
            prefix=FIGURE,
        )
    )


def _as_listed(key: object) -> object:
    return _key_of(key) if isinstance(key, str) else key


MetricKey = Annotated[
    Key, AfterValidator(_known_metric), TextMark(personal=False), Given(_as_listed)
]
"""A key of METRICS, or `figure:<key>` for a figure that is reported from outside.

In Python it may be called by its name in English or Chinese, or as process versions do."""

MetricAsked = Annotated[MetricKey, BeforeValidator(_as_listed)]
"""The same as somebody asks for it, in JSON too."""
