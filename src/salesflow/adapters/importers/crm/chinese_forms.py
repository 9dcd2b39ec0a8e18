"""Reads times and numbers as Chinese programs and people write them, and times counted in ms.

2026年3月5日 下午2:05 becomes 2026-03-05 14:05, and so does 2026/3/5 14:05: where the year
stands first nothing else can be meant. Full-width digits are digits; 12.5万 is 125000, 1亿 a
hundred million. What is written otherwise is left as it is, for whoever reads it next.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from unicodedata import normalize

__all__ = ["CURRENCY_SIGNS", "iso_time", "plain_number"]


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS: Final = re.compile(r"-?\d{12,14}", re.ASCII)
"""From 1973 to 5138; what has fewer digits is no time in milliseconds."""
HALVES: Final[Mapping[str, bool]] = {
    "凌晨": False,
    "早上": False,
    "上午": False,
    "am": False,
    "中午": True,
    "下午": True,
    "晚上": True,
    "pm": True,
}
"""Parts of the day; whether an hour up to 11 lies in the afternoon there."""
NOON: Final = 12
YEAR_FIRST: Final = re.compile(
    r"(\d{4})\s*[年/.-]\s*(\d{1,2})\s*[月/.-]\s*(\d{1,2})\s*日?"
    r"(?:[\sT]*(凌晨|早上|上午|中午|下午|晚上|AM|PM)?\s*"
    r"(\d{1,2})\s*[:时点]\s*(\d{1,2})\s*(?:[:分]\s*(\d{1,2}(?:\.\d{1,9})?)?\s*秒?)?"
    r"\s*(AM|PM)?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE | re.ASCII,
)
LARGE: Final[Mapping[str, Decimal]] = {"万": Decimal(10_000), "亿": Decimal(100_000_000)}
LARGE_NUMBER: Final = re.compile(r"([+-]?[\d,]+(?:\.\d+)?)\s*([万亿])", re.ASCII)
CURRENCY_SIGNS: Final = ("RMB", "CNY", "US$", "Rs.", "¥", "￥", "$", "€", "£", "₹", "元")
"""What stands around an amount; of which currency it is, few of them say."""


def iso_time(text: str) -> str:
    """Return a time with its year first, or in milliseconds since 1970, as ISO 8601 has it."""
    if MILLISECONDS.fullmatch(text):
        try:
            at = EPOCH + timedelta(milliseconds=int(text))
        except OverflowError:
            return text
        return at.isoformat()
    plain = normalize("NFKC", text)
    match = YEAR_FIRST.fullmatch(plain)
    if match is None:
        return text
    year, month, day, before, hour, minute, second, behind, offset = match.groups()
    written = f"{year}-{month:0>2}-{day:0>2}"
    if hour is None:
        return written if offset is None else text
    number = _hour(int(hour), (before or behind or "").casefold())
    seconds = second or "00"
    return f"{written}T{number:0>2}:{minute:0>2}:{seconds:0>2}{offset or ''}"


def _hour(hour: int, half: str) -> int:
    if not half:
        return hour
    if half in ("am", "上午", "凌晨") and hour == NOON:
        return 0
    return (
        hour + NOON if HALVES[half] and 0 < hour < NOON and not _is_noon(half, hour) else hour
    )


def _is_noon(half: str, hour: int) -> bool:
    """Return whether an hour is one before noon that people still call noon: 中午11:30."""
    return half == "中午" and hour > NOON - 3


def plain_number(text: str) -> str:
    """Return a number without 元 and currency signs around it, 万 and 亿 worked out."""
    plain = normalize("NFKC", text).strip().removesuffix("整")
    for sign in CURRENCY_SIGNS:
        plain = plain.removeprefix(normalize("NFKC", sign)).removesuffix(
            normalize("NFKC", sign)
        )
        plain = plain.strip()
    match = LARGE_NUMBER.fullmatch(plain)
    if match is None:
        return plain
    number = Decimal(match[1].replace(",", "")) * LARGE[match[2]]
    return f"{number.normalize():f}"


def plain_amount(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an amount of a record without what stands around it."""
    value = values.get(name)
    return {name: plain_number(value) if isinstance(value, str) else value}
