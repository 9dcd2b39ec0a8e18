"""Line items of HubSpot, and the deals they belong to: either of the two names the other.

A module of its own, to keep that from what deals mean.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.agreed_lines import CrmLine
from salesflow.adapters.importers.crm.exports import CrmRecord
from salesflow.adapters.importers.crm.hubspot.records import associated_ids
from salesflow.adapters.importers.crm.reading import TRUE, ValueReader
from salesflow.adapters.importers.errors import RowError, needed
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.deal.quotes import QuoteLine

__all__ = ["OF_NO_DEAL", "HubSpotLines"]


OF_NO_DEAL: Final = "a line item of no deal of the export"
MILLIONTH: Final = Decimal("0.000001")
PLACES_MAX: Final = 9
TimeOf = Callable[..., ReadTime | None]


class HubSpotLines:
    """The line items of one export."""

    def __init__(self) -> None:
        self._deal_of: dict[str, str] = {}
        self.were_changed = False
        """Whether some were changed after they were made."""

    def see_deal(self, values: Mapping[str, Any]) -> None:
        """Note the line items that a deal names."""
        for line in values["lines"]:
            self._deal_of.setdefault(line, str(values["values"].get("id", "")))

    def see(self, record: CrmRecord) -> None:
        """Note whether a line was changed after it was made."""
        values = record.values
        made = values.get("createdate") or values.get("createdat")
        changed = values.get("hslastmodifieddate") or values.get("updatedat")
        self.were_changed |= bool(made and changed and made != changed)

    def deal_of(self, values: Mapping[str, Any]) -> str | None:
        """Return the deal a line item belongs to; None where nothing names one."""
        own = associated_ids(values.get("associations"), "deal")
        return own[0] if own else self._deal_of.get(str(values.get("id", "")))

    def line(
        self, record: CrmRecord, read: ValueReader, time: TimeOf, currency: str | None
    ) -> CrmLine:
        """Return a line of a deal.

        Raises:
            RowError: when it names no product or price, or one that cannot be read.
        """
        values = record.values
        product = needed(read.text(values, "name", "hssku", "hsproductid"), "name")
        code = read.text(values, "hslineitemcurrencycode") or currency
        price = needed(read.amount(values, "price", code), "price", product)
        line = QuoteLine(
            product=product,
            quantity=read.number(values, "quantity") or Decimal(1),
            unit_price=price,
            discount=_discount(read, values, price.amount),
        )
        made = time(values, "createdate", "createdat", utc=True)
        changed = time(values, "hslastmodifieddate", "updatedat", utc=True)
        is_gone = str(values.get("archived", "")).casefold() in TRUE
        later = changed is not None and made is not None and changed.instant > made.instant
        place = str(values.get("hspositiononquote", ""))
        return CrmLine(
            record.place,
            str(values.get("id", "")),
            line,
            made,
            changed if later and not is_gone else None,
            (time(values, "archivedat", utc=True) or changed) if is_gone else None,
            int(place) if place.isdecimal() and len(place) <= PLACES_MAX else 0,
        )


def _discount(read: ValueReader, values: Mapping[str, Any], price: Decimal) -> Decimal:
    """Return which part is taken off: a percentage, or an amount off each unit."""
    percent = read.percent(values, "hsdiscountpercentage")
    off = read.number(values, "discount")
    if percent or not off:
        return percent or Decimal(0)
    if not 0 < off <= price:
        raise RowError("is more than the line comes to", "discount", str(off))
    return (off / price).quantize(MILLIONTH, ROUND_HALF_EVEN)
