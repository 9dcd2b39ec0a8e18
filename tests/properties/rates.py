"""Exchange rates for random histories: published, published again otherwise, and retracted."""

from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from hypothesis import strategies as st

from properties.world import CURRENCIES
from salesflow.domain.event import FactRetracted
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished
from salesflow.engine import ExternalEvent, SalesFlow

__all__ = ["Publication", "publications", "publish", "publish_all"]

DAYS: Final = (
    *(date(2023, 12, 1), date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 2)),
    *(date(2024, 1, 3), date(2024, 1, 15), date(2024, 2, 10), date(2024, 5, 1)),
)
RATES: Final = ("7.2", "0.92", "7.8345", "0.000007", "1.1", "3", "12345.678901")


class Publication(NamedTuple):
    """Rates of a day as somebody publishes them; with `again` an older one is retracted."""

    number: int
    again: bool


def publications(*, most: int = 8) -> st.SearchStrategy[list[Publication]]:
    """Draw what is published in the course of a history."""
    each = st.builds(
        Publication, st.integers(0, 10_000), st.integers(0, 5).map(lambda n: n == 5)
    )
    return st.lists(each, max_size=most)


def publish_all(flow: SalesFlow) -> None:
    """Publish a rate between any two currencies, of a day before the history begins."""
    named = {"USD": "1.1", "CNY": "7.8345", "JPY": "163.2"}
    rates = tuple(Rate(currency=c, rate=Decimal(rate)) for c, rate in named.items())
    fact = RatesPublished(day=DAYS[1], base="EUR", rates=rates, source="ECB")
    flow.record([ExternalEvent(RATES_ID, fact)])


def publish(flow: SalesFlow, publication: Publication) -> None:
    """Publish rates of a day, the same day now and then twice; or take some back."""
    n = publication.number
    stored = flow.log.stream(RATES_ID)
    if publication.again and stored:
        wrong = FactRetracted(event_id=stored[-1 - n % len(stored)].event_id, because="wrong")
        flow.record([ExternalEvent(RATES_ID, wrong)])
        return
    base = CURRENCIES[n % len(CURRENCIES)]
    others = [currency for currency in (*CURRENCIES, "JPY") if currency != base]
    rates = tuple(
        Rate(currency=currency, rate=Decimal(RATES[(n + place) % len(RATES)]))
        for place, currency in enumerate(others[: 1 + n // 7 % len(others)])
    )
    day, source = DAYS[n // 3 % len(DAYS)], ("bank", "ECB", None)[n // 5 % 3]
    now = flow.log.now()
    occurred = None if n % 2 else min(now, now - n * 1_000_000)
    fact = RatesPublished(day=day, base=base, rates=rates, source=source)
    flow.record([ExternalEvent(RATES_ID, fact, occurred)])
