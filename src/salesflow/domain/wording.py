"""How messages repeat what was given: at most 200 characters of it; and what needs words."""

from salesflow.errors import REPEATED_MAX, InputError

__all__ = ["quoted", "said", "shortened"]


def shortened(given: object, most: int = REPEATED_MAX) -> str:
    """Give what was given as text, and only its beginning where it is too long to repeat."""
    text = str(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(given: object) -> str:
    """Quote what was given."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))


def said(because: str, what: str) -> str:
    """Insist on a reason.

    Raises:
        InputError: when it is blank.
    """
    if not str(because).strip():
        raise InputError(f"{what} needs a reason; say why")
    return because
