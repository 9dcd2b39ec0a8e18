"""How messages repeat what was given: at most 200 characters of it."""

from salesflow.errors import REPEATED_MAX

__all__ = ["quoted", "shortened"]


def shortened(given: object, most: int = REPEATED_MAX) -> str:
    """Give what was given as text, and only its beginning where it is too long to repeat."""
    text = str(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(given: object) -> str:
    """Quote what was given."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))
