"""`salesflow retract`: takes an event back by its id, also one that cannot be read."""

from typing import Annotated
from uuid import UUID

import typer

from salesflow.cli.desk import Desk, at_desk
from salesflow.errors import InputError

__all__ = ["retract"]


@at_desk
def retract(
    desk: Desk,
    event: Annotated[str, typer.Argument(help="The whole id of the event.")],
    because: Annotated[str, typer.Option("--because", help="Why it was wrong.")],
    actor: Annotated[str | None, typer.Option("--actor", help="Who says so.")] = None,
) -> None:
    """Take an event back that was wrong, or that cannot be read; it stays in the log."""
    try:
        id = UUID(event)
    except ValueError as error:
        raise InputError(
            f"{event[:100]!r} is no event id; `salesflow deal history` and `salesflow check`"
            " show them whole"
        ) from error
    with desk.open() as flow:
        with flow.session(actor=actor) as s:
            s.retract(id, because=because)
        assert s.receipt is not None
        desk.screen.json({"retracted": str(id), "position": s.receipt.last})
        word = desk.screen.word
        desk.screen.line(f"{word('retracted')} {id} · {word('position')} {s.receipt.last:,}")
