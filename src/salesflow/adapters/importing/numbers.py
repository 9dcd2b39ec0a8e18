"""Reads numbers as tables write them, exactly: text to `Decimal`, never through a float.

Nothing is guessed: `1,234` is refused until the mapping says that commas stand between
thousands, so that `1,5` never becomes fifteen.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from salesflow.adapters.importing.problems import RowProblem

__all__ = ["NumberReader"]

DIGITS_MAX = 40
HINT = "; see [numbers] for commas, spaces and signs around a number"


class NumberReader:
    """Reads the numbers of one table."""

    def __init__(
        self, decimal: str = ".", thousands: str = "", strip: Sequence[str] = ()
    ) -> None:
        whole = r"\d+"
        if thousands:
            whole = rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
        self._pattern = re.compile(
            rf"(?P<open>\()?(?P<sign>[+\-−])?(?P<whole>{whole})?"
            rf"(?:{re.escape(decimal)}(?P<rest>\d*))?(?(open)\))",
            re.ASCII,
        )
        self._thousands = thousands
        self._strip = sorted(strip, key=len, reverse=True)

    def read(self, text: str) -> Decimal:
        """Read a number; brackets around it make it negative.

        Raises:
            RowProblem: when it is none, or not written as the mapping says.
        """
        if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX:
            return Decimal(text)
        found = self._pattern.fullmatch(self._bare(text))
        if found is None or len(text) > DIGITS_MAX:
            raise RowProblem(f"is not a number{HINT}")
        whole, rest = found["whole"] or "", found["rest"] or ""
        if not whole and not rest:
            raise RowProblem(f"is not a number{HINT}")
        if self._thousands:
            whole = whole.replace(self._thousands, "")
        number = Decimal(f"{whole or '0'}.{rest}" if rest else whole)
        return -number if found["open"] or found["sign"] in {"-", "−"} else number

    def _bare(self, text: str) -> str:
        bare = text.replace("\u00a0", " ").strip()
        for sign in self._strip:
            bare = bare.removeprefix(sign).removesuffix(sign).strip()
            for minus in "-−":
                if bare.startswith(minus):
                    bare = minus + bare[1:].strip().removeprefix(sign).strip()
        return bare
