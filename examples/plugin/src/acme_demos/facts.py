"""What Acme's sellers do and salesflow does not know: they show the product at work."""

from typing import ClassVar

from salesflow.domain.event import Fact
from salesflow.domain.values import Personal, Reference

__all__ = ["DemoGiven"]


class DemoGiven(Fact):
    """The product was shown to the customer at work."""

    kind: ClassVar[str] = "acme.demo_given"
    name_zh: ClassVar[str] = "产品演示"
    product: Reference
    impression: Personal | None = None
    """What they made of it. A text about people, so it says so."""
