"""Reads numbers as tables write them, exactly: text to `Decimal`, never through a float.

Nothing is guessed: `1,234` is refused until the mapping says that commas stand between
thousands, so that `1,5` never becomes fifteen. What makes a number negative is read wherever
people put it: a minus before or behind it, brackets around it, a currency sign inside or
outside of them. A number with two such marks is refused, and none of them is ever taken off
without counting.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from salesflow.adapters.importers.errors import RowError

__all__ = ["ALIKE", "MINUS", "SPACES", "NumberReader", "sign_outside"]


DIGITS_MAX = 40
TEXT_MAX = 200
AROUND_MAX = 40
NO_NUMBER = "is not a number; see [numbers] for commas, spaces and signs around a number"
MINUS: Final = "-−‐‑‒–—﹣－"
"""Hyphens and dashes that people, programs and fonts write for a minus."""
SPACES: Final = (
    " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
    "\u205f\u3000\ufeff\u200b"
)
APOSTROPHES: Final = "'’‘‛ʼ′`´＇"
ALIKE: Final = (SPACES, APOSTROPHES)
"""Characters that are taken for one another between groups of digits."""
DASH = re.escape(MINUS)
AROUND = rf"(?:\s|[A-Z]{{3}}|[^\w\s{DASH}])*"
"""Spaces, currency codes and signs, which may stand between a minus and its number."""
BEFORE = re.compile(rf"(?:^|[^\w{DASH}])[{DASH}]{AROUND}$")
BEHIND = re.compile(rf"{AROUND}[{DASH}]{AROUND}(?:$|(?<=[,;]))")
OPENING = re.compile(rf"{AROUND}\({AROUND}$")
CLOSING = re.compile(rf"{AROUND}\){AROUND}$")


class NumberReader:
    """Reads the numbers of one table."""

    def __init__(
        self, decimal: str = ".", thousands: str = "", strip: Sequence[str] = ()
    ) -> None:
        whole = r"\d+"
        self._between = _alike(thousands)
        if thousands:
            mark = f"[{re.escape(self._between)}]"
            whole = (
                rf"(?:\d{{1,3}}(?:{mark}\d{{3}})+|\d{{1,2}}(?:{mark}\d\d)+{mark}\d{{3}}|\d+)"
            )
        self._pattern = re.compile(
            rf"(?P<whole>{whole})?(?:{re.escape(decimal)}(?P<rest>\d*))?", re.ASCII
        )
        self._strip = sorted(strip, key=len, reverse=True)

    def read(self, text: str) -> Decimal:
        """Read a number; brackets around it, or a minus on one side, make it negative.

        Raises:
            RowError: when it is none, has two signs, or is not written as the mapping says.
        """
        if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX:
            return Decimal(text)
        if len(text) > TEXT_MAX:
            raise RowError(NO_NUMBER)
        bare, signs = self._bare(text)
        match = self._pattern.fullmatch(bare)
        if match is None or len(bare) > DIGITS_MAX or not (match["whole"] or match["rest"]):
            raise RowError(NO_NUMBER)
        if len(signs) > 1:
            raise RowError("has more than one sign ({signs})", signs=" and ".join(signs))
        whole = "".join(c for c in match["whole"] or "0" if c not in self._between)
        rest = match["rest"]
        number = Decimal(f"{whole}.{rest}" if rest else whole)
        return number if signs in ([], ["+"]) else -number

    def _bare(self, text: str) -> tuple[str, list[str]]:
        """Strip signs, brackets and what the mapping names off both ends; return signs too."""
        signs: list[str] = []
        while True:
            before = text = text.strip().strip(SPACES)
            if text.startswith("(") and text.endswith(")"):
                signs.append("()")
                text = text[1:-1]
            elif text and text[0] in f"+{MINUS}":
                signs.append(text[0])
                text = text[1:]
            elif text and text[-1] in f"+{MINUS}":
                signs.append(text[-1])
                text = text[:-1]
            else:
                text = self._stripped(text)
            if text == before:
                return text, signs

    def _stripped(self, text: str) -> str:
        for sign in self._strip:
            bare = text.removeprefix(sign).removesuffix(sign)
            if bare != text:
                return bare
        return text


def sign_outside(text: str, start: int, end: int) -> bool:
    """Return whether what makes a number negative stands outside of a part of a text.

    A minus counts that follows no word (`A-12` is a name, `12-15` a range), and brackets
    around all of it.
    """
    before, behind = text[:start][-AROUND_MAX:], text[end:][:AROUND_MAX]
    bracketed = OPENING.match(before) and CLOSING.match(behind)
    return bool(BEFORE.search(before) or BEHIND.match(behind) or bracketed)


def _alike(thousands: str) -> str:
    return next((same for same in ALIKE if thousands and thousands in same), thousands)
