"""`salesflow pull zoho` and so on: what the interface of a system gives, into a folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from salesflow.cli.context import CommandContext, with_context

__all__ = ["fxiaoke", "zoho"]


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="A new folder for the pages, or one of a pull that was interrupted.",
        show_default=False,
    ),
]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        help="A file with lines NAME=VALUE, which nobody else may read. Default: environment.",
    ),
]


@with_context
def zoho(
    context: CommandContext,
    folder: Folder,
    credentials: Credentials = None,
    accounts: Annotated[
        str, typer.Option(help="Who gives tokens in the data centre of the account.")
    ] = "https://accounts.zoho.com",
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline", help="Also what every save of a deal changed: a request a deal."
        ),
    ] = False,
) -> None:
    """Fetch deals, their stage history, accounts and quotes from Zoho CRM into a folder.

    Reads ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN from the environment or a
    file. Once it is complete, `salesflow import zoho FOLDER` imports it. Interrupted, the same
    command goes on where it stopped.
    """
    from salesflow.adapters.importers.crm.pull.folder import read_credentials
    from salesflow.adapters.importers.crm.pull.zoho_api import SECRETS, pull_zoho

    secrets = read_credentials(credentials, SECRETS, "ZOHO_")
    pull = partial(pull_zoho, secrets, folder, accounts=accounts, timeline=timeline)
    _pull(context, "zoho", folder, pull)


@with_context
def fxiaoke(
    context: CommandContext,
    folder: Folder,
    credentials: Credentials = None,
    host: Annotated[
        str, typer.Option(help="The interface of the cloud the enterprise is in.")
    ] = "https://open.fxiaoke.com",
) -> None:
    """Fetch opportunities, accounts, quotes and follow-ups from Fxiaoke into a folder.

    Reads FXIAOKE_APP_ID, FXIAOKE_APP_SECRET, FXIAOKE_PERMANENT_CODE and FXIAOKE_USER_ID from
    the environment or a file. Once it is complete, `salesflow import fxiaoke FOLDER` imports
    it. Interrupted, the same command goes on where it stopped.
    """
    from salesflow.adapters.importers.crm.pull.folder import read_credentials
    from salesflow.adapters.importers.crm.pull.fxiaoke_api import (
        OPTIONAL,
        SECRETS,
        pull_fxiaoke,
    )

    secrets = read_credentials(credentials, SECRETS, "FXIAOKE_", OPTIONAL)
    _pull(context, "fxiaoke", folder, partial(pull_fxiaoke, secrets, folder, host=host))


def _pull(
    context: CommandContext, system: str, folder: Path, pull: Callable[..., list[str]]
) -> None:
    """Fetch what the interface gives; say where the pages are, and what could not be read."""
    from salesflow.adapters.importers.crm.pull.client import ApiClient

    with ApiClient() as client, context.screen.progress(folder.name) as progress:
        left = pull(client=client, progress=progress)
    pages = len([*folder.glob("[!.]*.json")])
    context.screen.json({"system": system, "folder": str(folder), "pages": pages, "left": left})
    context.screen.line(f"{pages:,} · salesflow import {system} {folder}")
    context.screen.notes(left)
