"""`salesflow outbox forget`: deletes an endpoint that was taken out of its file."""

from pathlib import Path
from typing import Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.errors import InputError
from salesflow.presentation.messages import say_count

__all__ = ["forget"]


@with_context
def forget(
    context: CommandContext,
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of an endpoint.")],
    *,
    endpoints: Annotated[
        Path,
        typer.Option(
            "--endpoints",
            metavar="FILE",
            help="The file that the endpoint was taken out of: refused while it is in there.",
            show_default=False,
        ),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete it; without, only say what would be deleted.")
    ] = False,
) -> None:
    """Delete an endpoint that is no longer in its file, and what waits for it."""
    from salesflow.engine.outbox import read_endpoints

    if endpoint in {each.name for each in read_endpoints(endpoints)}:
        raise InputError(
            f"endpoint {endpoint!r} is in {endpoints}; take it out of the file first, and start"
            " the workers again, or they go on with it"
        )
    with context.open() as flow:
        if not yes:
            waiting = flow.outbox.waiting(endpoint, 2**31)
            raise InputError(
                f"endpoint {endpoint!r} and {len(waiting):,} messages that wait for it would be"
                " deleted unsent, for ever; say --yes to do so"
            )
        deleted = flow.outbox.forget(endpoint)
    context.screen.json({"endpoint": endpoint, "deleted": deleted})
    one = "the endpoint was forgotten; {count:,} message that waited for it was deleted"
    many = "the endpoint was forgotten; {count:,} messages that waited for it were deleted"
    context.screen.line(say_count(one, many, deleted, context.language))
