"""What `--input FILE` holds: one object or a list of them, with parameters by name.

A module of its own: it reads a file, and knows no command.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from salesflow.cli.recording.json_text import json_in
from salesflow.cli.recording.values import read_file
from salesflow.errors import InputError

__all__ = ["as_typed", "documents_in", "named_in"]


def documents_in(file: Path) -> list[dict[str, object]]:
    """Read one object, or a list of them."""
    text = read_file(file)
    try:
        found = json_in(text)
    except InputError as error:
        raise InputError(f"{file} {error}") from error
    many = found if isinstance(found, list) else [found]
    documents = [each for each in many if isinstance(each, dict)]
    if not many or len(documents) < len(many):
        raise InputError(f"{file} has to hold a JSON object, or a list of them")
    return documents


def named_in(names: Collection[str], document: Mapping[str, object]) -> dict[str, object]:
    """Return what JSON holds by the names of parameters, which may end with an underscore."""
    found = {}
    for typed, value in document.items():
        name = typed.replace("-", "_")
        found[f"{name}_" if name not in names and f"{name}_" in names else name] = value
    return found


def as_typed(value: object) -> object:
    """Return what JSON holds of what a question is asked by as it would be typed."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
