"""Ids of what was imported: the same object of the same source is the same id everywhere.

`object_id("maven_crm", "1C1I7A6R")` is the id of that deal in every database, so that a file
imported again meets what was recorded before, and people may write `maven_crm:1C1I7A6R`
wherever the id of a deal is asked for. A fact's `source_id` is the object's id in its source
and the history row or column the fact is read from, with `#` between.
"""

from uuid import UUID, uuid5

from pydantic import TypeAdapter, ValidationError

from salesflow.adapters.importers.errors import RowError
from salesflow.domain.values import Reference
from salesflow.domain.wording import Message, reason_of
from salesflow.errors import InputError

__all__ = [
    "AN_ACTOR",
    "AN_ID",
    "DEAL",
    "ensure_storable",
    "fact_source_id",
    "id_text",
    "object_id",
    "parse_object",
    "split_source_id",
]


OBJECTS = UUID("3c6f0a1e-6d2b-5b57-9d0c-2f1b8f7a4e10")
DEAL = "deal"
BETWEEN = "\x1f"
AN_ID = Message("an id")
AN_ACTOR = Message("an actor")
ENVELOPE_LENGTH_MAX = 500
ENVELOPE: TypeAdapter[str] = TypeAdapter(Reference)


def object_id(source: str, object: str, kind: str = DEAL) -> UUID:
    """Return the id of a source's object: a deal, or another kind of thing such as customer."""
    return uuid5(OBJECTS, BETWEEN.join((source, kind, object)))


def parse_object(text: str, kind: str = DEAL) -> UUID:
    """Read `SOURCE:OBJECT`; the object's id may itself hold colons.

    Raises:
        InputError: when there is no colon with something on both sides.
    """
    source, _, object = text.partition(":")
    if not source or not object:
        raise InputError(f"{text!r} is not SOURCE:OBJECT, as in maven_crm:1C1I7A6R")
    return object_id(source, object, kind)


def fact_source_id(object: str, key: str) -> str:
    """Return what a fact came from: the object, and its history row or column."""
    return f"{_quoted(object)}#{key}"


def split_source_id(source_id: str) -> tuple[str, str]:
    """Split the source id of a fact: the object's id, the history row or column."""
    object, _, key = source_id.partition("#")
    return object.replace("%23", "#").replace("%25", "%"), key


def id_text(given: object, column: str) -> str:
    """Return an id of the source as a text that the log can hold; a whole number as digits.

    Raises:
        RowError: for none, a blank one, anything else, or a text that no log holds.
    """
    if given is None or given == "":
        raise RowError("is empty, and the fact needs it", column)
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise RowError("is neither a text nor a whole number", column, repr(given))
    return ensure_storable(str(given), AN_ID, column)


def ensure_storable(text: str, what: Message, column: str | None = None) -> str:
    """Return a text as the log keeps it in an envelope.

    Raises:
        RowError: when it is too long, or holds what no text may.
    """
    if len(text) > ENVELOPE_LENGTH_MAX:
        raise RowError(
            "is too long for {what} ({length} characters)",
            column,
            text[:80],
            what=what,
            length=ENVELOPE_LENGTH_MAX,
        )
    if text.isascii() and text.isprintable() and not text.isspace():
        return text
    try:
        return ENVELOPE.validate_python(text)
    except ValidationError as error:
        reason = reason_of(error.errors(include_url=False)[0])
        raise RowError(
            "is no good as {what}: {reason}", column, text[:80], what=what, reason=reason
        ) from error


def _quoted(object: str) -> str:
    return object.replace("%", "%25").replace("#", "%23")
