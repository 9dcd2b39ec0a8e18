"""How values are written for people, in every table alike: amounts, times, ids, estimates.

Here amounts are also added up by currency, and what could harm a terminal is taken out.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.time import Moment, Period, is_end_of_day
from salesflow.domain.unchecked import unchecked
from salesflow.domain.values import EXACT_DIGITS, NO_CHARACTERS, Currency, Value, tidy
from salesflow.presentation.messages import Language, words_in

__all__ = [
    "NO_VALUE",
    "CellValue",
    "Estimate",
    "Interval",
    "Percent",
    "RowOfValues",
    "ShortId",
    "Total",
    "amount_text",
    "days_text",
    "distinct_ids",
    "estimate_text",
    "given_percent",
    "harmless",
    "harmless_cells",
    "harmless_json",
    "local_day",
    "local_time",
    "moment_line",
    "money_text",
    "number_text",
    "one_line",
    "percent_text",
    "short_id",
    "span_text",
    "totals",
    "totals_by",
    "totals_text",
    "written_rows",
]


KeyT = TypeVar("KeyT", bound=Hashable)

NO_VALUE: Final = "–"
"""What people read where there is no value."""

ID_DIGITS = 8
TIMED_DIGITS = 18
TIMED_VERSIONS = (6, 7)
"""An id that begins with its time shares eight digits with all of that minute."""
SMALLEST_SHOWN = Decimal("0.005")
"""Half a per cent: less would be written as nothing."""
MOMENT_WORDS = ("as of", "data recorded up to", "event no.", "end of")


def amount_text(amount: Decimal | None, currency: str | None) -> str:
    """Write an amount: without decimals where it is whole, else with two or more.

    A dash where there is none.
    """
    if amount is None or currency is None:
        return NO_VALUE
    whole, hundredths = amount == amount.to_integral_value(), amount == round(amount, 2)
    digits = ",.0f" if whole else ",.2f" if hundredths else ","
    return f"{amount:{digits}} {currency}"


def money_text(amount: Decimal | None, currency: str | None) -> str:
    """Write an amount rounded half even to hundredths; a dash where there is none."""
    return amount_text(None if amount is None else round(amount, 2), currency)


def number_text(number: Decimal | None) -> str:
    """Write a number to one place; a dash where it is undefined."""
    return NO_VALUE if number is None else f"{number:z,.1f}"


def percent_text(share: Decimal | None) -> str:
    """Write a share that was worked out, in whole per cent; a dash where it is undefined.

    What is little is not written as nothing, nor what is nearly all as all: <1%, >99%.
    """
    if share is None:
        return NO_VALUE
    if 0 < share < SMALLEST_SHOWN:
        return "<1%"
    if 1 - SMALLEST_SHOWN < share < 1:
        return ">99%"
    return f"{share:z.0%}"


def given_percent(share: Decimal | None) -> str:
    """Write a share that somebody gave (a discount, a probability) with all its digits."""
    return NO_VALUE if share is None else f"{tidy(share * 100):f}%"


def days_text(period: Period, timezone: ZoneInfo) -> str:
    """Write the days of a period, the first and the last."""
    first, after = (at.astimezone(timezone).date() for at in (period.start, period.end))
    return f"{first} … {after - timedelta(days=1)}"


def span_text(first: date, last: date) -> str:
    """Write a span of days: a month as 2026-04, a year as 2026, others by both their ends."""
    if first.day == 1 and (last + timedelta(days=1)).day == 1:
        if (first.year, first.month) == (last.year, last.month):
            return f"{first:%Y-%m}"
        if first.year == last.year and (first.month, last.month) == (1, 12):
            return f"{first:%Y}"
    return f"{first} … {last}"


class ShortId(str):
    """The first digits of an id as they are shown, and the whole of it behind them."""

    __slots__ = ("id",)
    id: UUID


def short_id(id: UUID) -> ShortId:
    """Write the first digits of an id, by which people find it."""
    shown = ShortId(str(id)[: _digits(id)])
    shown.id = id
    return shown


def distinct_ids(ids: Collection[UUID]) -> dict[UUID, str]:
    """Write as many digits of each id as it takes to tell it from the others."""
    digits = {id: _digits(id) for id in sorted(set(ids))}
    for one, other in pairwise(digits):
        both = zip(str(one), str(other), strict=True)
        apart = next(number for number, (a, b) in enumerate(both, 1) if a != b)
        digits[one], digits[other] = (max(digits[each], apart) for each in (one, other))
    return {id: str(id)[:count] for id, count in digits.items()}


def _digits(id: UUID) -> int:
    """Return how many digits are shown: at least past the time, where an id begins with one."""
    return TIMED_DIGITS if id.version in TIMED_VERSIONS else ID_DIGITS


def local_time(at: datetime, timezone: ZoneInfo, *, exact: bool = True) -> str:
    """Write a time in the business time zone: to the second, or finer where there is more.

    In an hour that clocks show twice the offset says which one is meant.
    """
    local = at.astimezone(timezone)
    if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
        local = local.replace(tzinfo=None)
    finer = exact and local.microsecond
    return local.isoformat(sep=" ", timespec="microseconds" if finer else "seconds")


def local_day(at: datetime, timezone: ZoneInfo) -> str:
    """Write the day of a time in the business time zone, where the hour tells nothing more."""
    return str(at.astimezone(timezone).date())


def moment_line(moment: Moment, timezone: ZoneInfo, language: Language) -> str:
    """Return where on both time axes an answer stands, and at which position of the log."""
    as_of, known_at, position, end = words_in(MOMENT_WORDS, language)
    day = f"{{}} {end}" if language == "zh" else f"{end} {{}}"
    parts = (
        f"{as_of} {_moment_text(moment.as_of, timezone, day)}",
        f"{known_at} {_moment_text(moment.known_at, timezone, day)}",
        f"{position} {moment.position:,}",
        timezone.key,
    )
    return " · ".join(parts)


def _moment_text(at: datetime, timezone: ZoneInfo, day: str) -> str:
    """Write a time; the last instant of a day as `day` has it."""
    if is_end_of_day(at, timezone):
        return day.format(at.astimezone(timezone).date())
    return local_time(at, timezone)


# What a text may not do to whoever reads it: move the cursor, change colours, turn direction.
#
# The log keeps every text as it came. Shown, what a terminal would obey and what would reorder
# other text is written out instead, so that it is seen.

OBEYED: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    rf"\ud800-\udfff{NO_CHARACTERS}]"
)
"""Controls of terminals, marks and overrides of direction, separators, what is no character."""


def harmless(text: str) -> str:
    """Write out what a terminal would obey; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return OBEYED.sub(_written_out, text.replace("\t", " "))


def harmless_cells(columns: Iterable[Iterable[str]]) -> list[list[str]]:
    """Write out what a terminal would obey in any cell of some columns."""
    return [[harmless(cell) for cell in column] for column in columns]


def harmless_json(written: str) -> str:
    """Escape it in JSON, where it only ever stands in a text."""
    return OBEYED.sub(lambda sign: json.dumps(sign[0])[1:-1], written)


def one_line(text: str) -> str:
    """Write a text on one line, whatever it holds."""
    return harmless(" ".join(text.split()))


def _written_out(sign: re.Match[str]) -> str:
    code = ord(sign[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


# Totals: exact sums, one a currency, added up and written side by side.


class Total(Value):
    """An exact sum in one currency; unlike currencies are never added."""

    currency: Currency
    amount: Decimal


_total: Final = unchecked(Total)


def totals(parts: Iterable[tuple[str | None, Decimal, Decimal]]) -> tuple[Total, ...]:
    """Add up currency, amount and how much of it counts (one: all); no currency, no amount."""
    return totals_by({None: parts})[None]


def totals_by(
    groups: Mapping[KeyT, Iterable[tuple[str | None, Decimal, Decimal]]],
) -> dict[KeyT, tuple[Total, ...]]:
    """Add up each of several groups, by its key; see `totals`."""
    with localcontext(prec=EXACT_DIGITS):  # costs more than to add up a few
        return {key: _totals(parts) for key, parts in groups.items()}


def _totals(parts: Iterable[tuple[str | None, Decimal, Decimal]]) -> tuple[Total, ...]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount, share in parts:
        if currency is not None:
            sums[currency] += amount * share
    return tuple(
        _total(currency=currency, amount=tidy(sums[currency])) for currency in sorted(sums)
    )


def totals_text(sums: Sequence[Total]) -> str:
    """Write sums side by side, rounded half even to hundredths."""
    return " + ".join(money_text(s.amount, s.currency) for s in sums) or NO_VALUE


# Estimates: a figure of a sample beside the interval in which that of the whole lies.


class Interval(Value):
    """Where the figure of the whole lies with 95% confidence."""

    low: Decimal
    high: Decimal


class Estimate(Value):
    """A figure of a sample, its interval, and how many observations it rests on."""

    value: Decimal
    interval: Interval | None
    """None where there are too few observations to give one."""
    count: int


def estimate_text(estimate: Estimate | None, *, percent: bool = False, places: int = 0) -> str:
    """Write a figure and its interval for people: "72% (61 … 81)"."""
    if estimate is None:
        return NO_VALUE
    scale = 100 if percent else 1
    plain = f"{estimate.value * scale:z.{places}f}"
    text = percent_text(estimate.value) if percent else plain
    if estimate.interval is None:
        return text
    low, high = estimate.interval.low * scale, estimate.interval.high * scale
    return f"{text} ({low:z.{places}f} … {high:z.{places}f})"


# Rows of values, each written as its type asks for.


class Percent(NamedTuple):
    """A share that is written in whole per cent, with its interval where it has one."""

    share: Decimal | Estimate | None


CellValue = str | int | Decimal | Percent | tuple[Total, ...] | None
RowOfValues = tuple[CellValue, ...]


def written_rows(rows: Iterable[RowOfValues]) -> tuple[tuple[str, ...], ...]:
    """Write the values of a table: texts as they are, counts, numbers, shares and sums."""
    return tuple(tuple(map(_written, row)) for row in rows)


def _written(value: CellValue) -> str:
    match value:
        case str():
            return value
        case int():
            return f"{value:,}"
        case Percent(share):
            if isinstance(share, Estimate):
                return estimate_text(share, percent=True)
            return percent_text(share)
        case Decimal() | None:
            return number_text(value)
        case _:
            return totals_text(value)
