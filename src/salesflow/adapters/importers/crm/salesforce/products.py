"""Lines of opportunities of Salesforce, and what its tables call their products.

A module of its own, to keep that from what opportunities mean.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.agreed_lines import CrmLine
from salesflow.adapters.importers.crm.exports import CrmRecord
from salesflow.adapters.importers.crm.reading import ValueReader
from salesflow.adapters.importers.crm.salesforce.tables import first, is_true
from salesflow.adapters.importers.errors import needed
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.deal.quotes import QuoteLine

__all__ = ["SalesforceProducts", "line_of_record", "was_changed"]


CHANGED: Final = ("lastmodifieddate",)
GONE: Final = ("systemmodstamp", "lastmodifieddate")
PLACES_MAX: Final = 9
"""A place among lines has so many digits at most."""


class SalesforceProducts:
    """The products of one export, by the ids that lines name them by."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._entries: dict[str, str] = {}
        """Entries of price books, and the product or the name of each."""

    def take(self, record: CrmRecord) -> None:
        """Note a product or an entry of a price book."""
        values = record.values
        if record.kind == "Product2":
            id, name = first(values, "id", "product2id"), first(values, "name", "productname")
            if id and name:
                self._names[id] = name
            return
        id = first(values, "id", "pricebookentryid")
        of = first(values, "product2id", "name")
        if id and of:
            self._entries[id] = of
            if values.get("name") and values.get("product2id"):
                self._names.setdefault(of, values["name"])

    def name(self, values: Mapping[str, Any]) -> str | None:
        """Return what the product of a line is called: by its product, else by the line."""
        entry = self._entries.get(str(values.get("pricebookentryid", "")))
        for id in (values.get("product2id"), entry):
            if id and id in self._names:
                return self._names[id]
        named = ("product2name", "productname", "name", "productcode", "product2id")
        return first(values, *named) or entry


def line_of_record(
    record: CrmRecord,
    products: SalesforceProducts,
    read: ValueReader,
    currency: str | None,
) -> CrmLine:
    """Return a line of an opportunity; its discount is a percentage.

    Raises:
        RowError: when it names no product or no price, or one that cannot be read.
    """
    values = record.values
    product = needed(products.name(values), "product2id")
    code = read.text(values, "currencyisocode") or currency
    price = needed(read.amount(values, "unitprice", code), "unitprice")
    quantity = needed(read.number(values, "quantity"), "quantity")
    line = QuoteLine(
        product=product,
        quantity=quantity,
        unit_price=price,
        discount=read.percent(values, "discount") or Decimal(0),
    )
    made = read.time(values, "createddate")
    order = str(values.get("sortorder", ""))
    return CrmLine(
        record.place,
        read.text(values, "id") or "",
        line,
        made,
        _changed(read, values, made),
        read.time(values, *GONE) if is_true(values.get("isdeleted")) else None,
        int(order) if order.isdecimal() and len(order) <= PLACES_MAX else 0,
        read.text(values, "createdbyid"),
    )


def was_changed(values: Mapping[str, Any]) -> bool:
    """Return whether a line was changed after it was made."""
    made, changed = values.get("createddate"), first(values, *CHANGED)
    return bool(made and changed and made != changed)


def _changed(
    read: ValueReader, values: Mapping[str, Any], made: ReadTime | None
) -> ReadTime | None:
    changed = read.time(values, *CHANGED)
    gone = is_true(values.get("isdeleted"))
    if changed is None or gone or (made is not None and changed.instant <= made.instant):
        return None  # of a deleted line that is when it was deleted
    return changed
