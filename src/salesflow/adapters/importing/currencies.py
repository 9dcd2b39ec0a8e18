"""Which currencies a sign or a code beside an amount can stand for.

A dollar sign is the sign of twenty currencies and a yen sign that of two; any of them will do.
A sign that none of the amount's currency is contradicts it: the amount is in another currency,
or the currency is wrong, and which of the two nobody can guess.
"""

import re
from typing import Final

__all__ = ["contradiction"]

DOLLARS: Final = (
    "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD"
    " ARS CLP COP CUP DOP MXN UYU MOP BRL CVE TOP"
)
SIGNS: Final[dict[str, frozenset[str]]] = {
    sign: frozenset(codes.split())
    for sign, codes in {
        "$": DOLLARS,
        "US$": "USD",
        "CA$": "CAD",
        "C$": "CAD NIO",
        "A$": "AUD",
        "AU$": "AUD",
        "NZ$": "NZD",
        "HK$": "HKD",
        "NT$": "TWD",
        "S$": "SGD",
        "SG$": "SGD",
        "MX$": "MXN",
        "R$": "BRL",
        "€": "EUR",
        "£": "GBP EGP FKP GIP LBP SDG SHP SSP SYP",
        "¥": "JPY CNY",
        "CN¥": "CNY",
        "JP¥": "JPY",
        "元": "CNY TWD HKD",
        "圆": "CNY",
        "円": "JPY",
        "원": "KRW",
        "₩": "KRW KPW",
        "₹": "INR",
        "₨": "INR PKR LKR NPR MUR SCR",
        "฿": "THB",
        "₫": "VND",
        "₽": "RUB",
        "₺": "TRY",
        "₴": "UAH",
        "₪": "ILS",
        "₦": "NGN",
        "₱": "PHP CUP",
        "₡": "CRC",
        "₲": "PYG",
        "₸": "KZT",
        "₼": "AZN",
        "₾": "GEL",
        "₵": "GHS",
        "₭": "LAK",
        "₮": "MNT",
        "৳": "BDT",
        "៛": "KHR",
        "﷼": "IRR SAR OMR QAR YER",
        "zł": "PLN",
        "Kč": "CZK",
        "Ft": "HUF",
        "kr": "SEK NOK DKK ISK",
        "RM": "MYR",
        "Rp": "IDR",
        "Fr.": "CHF",
        "₿": "XBT BTC",
    }.items()
}
WIDE: Final = str.maketrans({"＄": "$", "￥": "¥", "￡": "£", "￦": "₩"})
WORDS = (
    "AED AUD BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK"
    " JOD JPY KES KRW KWD KZT LKR MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RSD"
    " RUB SAR SEK SGD THB TRY TWD UAH USD UYU VND XAF XOF ZAR"
)
CODES: Final = frozenset(WORDS.split())
"""Codes that are told from words beside a number."""
LETTERS = sorted((s for s in SIGNS if s[0].isalpha() and s.isascii()), key=len, reverse=True)
SIGN = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, LETTERS))})(?![A-Za-z])"
    rf"|zł|Kč|[{''.join(s for s in SIGNS if len(s) == 1)}]"
)
CODE = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


def contradiction(text: str, currency: str) -> str | None:
    """Give the sign or code in an amount's text that is none of its currency's."""
    if text.isascii() and not text.translate(str.maketrans("", "", "0123456789.,- '()+")):
        return None
    plain = text.translate(WIDE)
    for found in SIGN.finditer(plain):
        if currency not in SIGNS[found[0]]:
            return found[0]
    for found in CODE.finditer(plain):
        if found[0] in CODES and found[0] != currency:
            return found[0]
    return None
