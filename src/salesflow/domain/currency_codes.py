"""Codes by which people mean a currency that has another one, such as RMB, and its coins.

A module of its own, beside `values`, which has no room for a list that may grow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["RECORDED", "KnownCode", "ensure_payable", "smallest_coin"]

MEANT_BY: Final[Mapping[str, str]] = {
    "RMB": "CNY",
    "YEN": "JPY",
    "WON": "KRW",
    "NTD": "TWD",
    "NIS": "ILS",
    "UKP": "GBP",
    "STG": "GBP",
    "SFR": "CHF",
    "DKR": "DKK",
    "NKR": "NOK",
    "SKR": "SEK",
}
"""Codes that people use for a currency which has another one in ISO 4217."""
PLACES_OF: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI",
         "VND", "VUV", "XAF", "XOF", "XPF"), 0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""Of ISO 4217, the currencies whose smallest coin is no hundredth."""
RECORDED: Final = "recorded"
"""The context in which values are made of what was recorded, whatever it is called today."""


@dataclass(frozen=True)
class KnownCode:
    """Refuses, of what is given in Python, the codes by which people mean another one.

    A second code would be a currency of its own, for which no rate is ever published.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return pydantic what to call, in Python alone."""
        schema = handler(source)
        looked = core_schema.with_info_before_validator_function(_known_code, schema)
        return core_schema.json_or_python_schema(json_schema=schema, python_schema=looked)


def _known_code(given: object, info: ValidationInfo) -> object:
    meant = MEANT_BY.get(given) if isinstance(given, str) else None
    if meant is None or info.context == RECORDED:
        return given
    raise ValueError(
        Message("{code} is no code of ISO 4217; write {meant}", code=given, meant=meant)
    )


def smallest_coin(currency: str) -> Decimal:
    """Return the smallest amount of a currency that can be paid: 0.01, or 1 of JPY."""
    return Decimal(1).scaleb(-PLACES_OF.get(currency, 2))


def ensure_payable(amounts: Mapping[str, Decimal | None], currency: str) -> None:
    """Refuse amounts, by what each is, that have more digits than their currency has.

    Raises:
        InputError: with the smallest amount there is.
    """
    coin = smallest_coin(currency)
    for name, amount in amounts.items():
        if amount is not None and amount % coin:
            raise InputError(
                f"{name} {amount:,} {currency} cannot be paid out: the smallest amount of"
                f" {currency} is {coin:f}; say so much in whole ones of it"
            )
