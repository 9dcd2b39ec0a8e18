"""`salesflow retract`: takes an event back, also one that cannot be read."""

import re
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.errors import InputError, NotFoundError

__all__ = ["retract"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


DIGITS_MAX = 18
POSITION = re.compile(r"[1-9][0-9]*|[1-9][0-9]{0,2}(,[0-9]{3})+").fullmatch
"""A position as people and tables write it; an id may begin with digits alone, mostly a 0."""


@with_context
def retract(
    context: CommandContext,
    event: Annotated[
        str,
        typer.Argument(help="Its position in the log, or its whole id."),
    ],
    because: Annotated[str, typer.Option("--because", help="Why it was wrong.")],
    actor: Annotated[str | None, typer.Option("--actor", help="Who says so.")] = None,
) -> None:
    """Take an event back that was wrong, or that cannot be read; it stays in the log."""
    with context.open() as flow:
        id = _found(flow, event)
        with flow.session(actor=actor) as s:
            s.retract(id, because=because)
        assert s.receipt is not None
        context.screen.json({"retracted": str(id), "position": s.receipt.last})
        word = context.screen.word
        context.screen.line(f"{word('retracted')} {id} · {word('position')} {s.receipt.last:,}")


def _found(flow: "SalesFlow", text: str) -> UUID:
    """Find an event by its position, as tables write it, or by its whole id."""
    from salesflow.adapters.event_store.search import event_at

    digits = text.replace(",", "")
    if POSITION(text) and len(digits) <= DIGITS_MAX:
        id = event_at(flow.log, int(digits))
        if id is None:
            raise NotFoundError(
                f"there is no event at position {int(digits):,}; the log ends at"
                f" {flow.log.head().position:,}"
            )
        return id
    try:
        return UUID(text)
    except ValueError as error:
        raise InputError(
            f"{text[:100]!r} is neither a position nor the id of an event; `salesflow log` and"
            " `salesflow deal history` show both"
        ) from error
