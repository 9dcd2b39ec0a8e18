"""How messages repeat what was given: at most 200 characters of it."""

__all__ = ["REPEATED_MAX", "quoted", "shortened"]

REPEATED_MAX = 200


def shortened(text: str, most: int = REPEATED_MAX) -> str:
    """Give the beginning of a text that is too long to be repeated."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(given: object) -> str:
    """Quote what was given."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))
