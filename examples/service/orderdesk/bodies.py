"""What clients send: texts become values of salesflow here, and a wrong one is refused here."""

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from salesflow import Money

__all__ = ["AdvanceBody", "Body", "ContactBody", "DealBody", "OrderBody", "readable"]


def _amount(text: object) -> object:
    """Read an amount as people write it, `98000 CNY`. A JSON number would be a float."""
    number, _, currency = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if not currency:
        raise ValueError('write an amount as a text with its currency, as "98000 CNY"')
    return Money(number, currency)


def _time(text: object) -> object:
    """Read a day, or a time with its zone: a day is a day of the business, and no midnight."""
    try:
        if isinstance(text, str) and len(text) == len("2026-03-31"):
            return date.fromisoformat(text)
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("write a day, 2026-03-31, or a time, 2026-03-31T17:00:00+08:00")
    return time


def readable(when: str | None) -> str | None:
    """Return a time out of an address, in which a plus that nobody encoded became a space."""
    return when and re.sub(r"(T.*) (\d\d:?\d\d)$", r"\1+\2", when)


Amount = Annotated[Money, BeforeValidator(_amount)]
OccurredAt = Annotated[datetime | date, BeforeValidator(_time)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Body(BaseModel):
    """What any request that records may say beside its own."""

    model_config = ConfigDict(extra="forbid")
    occurred_at: OccurredAt | None = None
    """When it happened; left out, now."""
    version: int | None = None
    """At which version the client has seen the deal; left out, whichever it is."""


class DealBody(Body):
    """A prospect."""

    title: Text
    customer: Text | None = None
    owner: Text | None = None
    amount: Amount | None = None


class ContactBody(Body):
    """A contact with the customer."""

    channel: Text
    direction: Literal["in", "out"]
    summary: str | None = None


class AdvanceBody(Body):
    """A move to the next stage, and why."""

    because: Text


class OrderBody(Body):
    """An order: of what, how many, for how much."""

    number: Text
    sku: Text
    quantity: Annotated[int, Field(gt=0, le=1_000_000)]
    total: Amount
