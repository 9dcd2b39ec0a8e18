"""When a row of an interval table is seen, in the words of the specification."""

from typing import Any

__all__ = ["seen"]


def seen(row: dict[str, Any], as_of: int, known_at: int) -> bool:
    """Say whether a row holds at a moment."""
    if not row["known_from"] <= known_at < row["known_to"]:
        return False
    if as_of < row["valid_from"]:
        return False
    if as_of < row["valid_to"]:
        return True
    return bool(row["collapsed"]) and known_at < int(row["valid_to"])
