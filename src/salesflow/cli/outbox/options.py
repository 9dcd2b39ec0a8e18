"""Options that commands of the outbox share: a module of its own, since two files have them."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ComparedFile", "EndpointsFile"]


EndpointsFile = Annotated[
    Path,
    typer.Option(
        "--endpoints",
        metavar="FILE",
        help="Where messages go: a TOML file, see docs/outbox.md.",
        show_default=False,
    ),
]
ComparedFile = Annotated[
    Path | None,
    typer.Option(
        "--endpoints",
        metavar="FILE",
        help="Say also which endpoints are no longer in this file.",
        show_default=False,
    ),
]
