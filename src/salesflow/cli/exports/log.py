"""`salesflow export log`, `restore` and `digest`: a log out, back in, and what it comes to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, KnownAt, with_context
from salesflow.domain.time import from_instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError
from salesflow.presentation.fields import Json
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import say
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:  # loaded when something is exported
    from salesflow.adapters.exporters.log_file import ExportedLog
    from salesflow.adapters.exporters.restore import RestoredLog

__all__ = ["Force", "digest", "export_log", "restore"]


STANDARD_STREAM = "-"

Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
ToPosition = Annotated[
    int | None,
    typer.Option(
        "--to-position", min=1, help="Only up to this event no. Default: all there is.",
        show_default=False,
    ),
]  # fmt: skip


@with_context
def export_log(
    context: CommandContext,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A new file: .jsonl or .jsonl.gz, which can be restored; .parquet, .arrow or"
            " .csv, for analysts. - is standard output.",
            show_default=False,
        ),
    ],
    to_position: ToPosition = None,
    known_at: KnownAt = None,
    force: Force = False,
) -> None:
    """Write every event into a file, all there are or those up to a moment."""
    piped = str(file) == STANDARD_STREAM
    if piped and context.screen.as_json:
        raise InputError("--json and -: both are standard output; name a file")
    with context.open() as flow, context.screen.progress(context.screen.word("Log")) as bar:
        done = flow.exports.log(
            file, to_position=to_position, known_at=known_at, force=force, progress=bar
        )
        zone = flow.settings().timezone
    if piped:
        return
    context.screen.json(_as_json(done) | {"file": str(file)})
    at = local_time(from_instant(done.recorded), zone)
    context.screen.line(
        say(
            "exported {count:,} events to {file}, up to event no. {position:,}, recorded at"
            " {when}",
            context.language,
            count=done.events,
            file=shortened(file),
            position=done.position,
            when=at,
        )
    )
    context.screen.line(f"  sha256 {done.log_sha256}", "dim")


LogFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="What `salesflow export log` wrote, packed or not; - is standard input.",
        dir_okay=False,
        show_default=False,
    ),
]
AnotherTenant = Annotated[
    bool,
    typer.Option("--another-tenant", help="Restore it as --tenant, whoever's log it was."),
]
Trial = Annotated[
    bool,
    typer.Option("--trial", "--dry-run", help="Check everything, and record nothing."),
]


@with_context
def restore(
    context: CommandContext,
    file: LogFile,
    another_tenant: AnotherTenant = False,
    trial: Trial = False,
) -> None:
    """Bring an exported log back into an empty database or tenant, exactly as it was.

    Of a file that is cut off, edited or doubled nothing is recorded.
    """
    from salesflow.adapters.exporters.restore import restore_log

    context.ensure_lasting()
    if str(file) != STANDARD_STREAM and not file.exists():
        raise InputError(f"there is no file {shortened(file)}")
    with context.screen.progress(context.screen.word("Log")) as bar:
        done = restore_log(
            file,
            context.url,
            tenant=context.tenant,
            another_tenant=another_tenant,
            trial=trial,
            progress=bar,
        )
    context.screen.json(
        _as_json(done.log) | {"unknown_kinds": dict(done.unknown), "trial": trial}
    )
    _say_restored(context, done)


def _say_restored(context: CommandContext, done: "RestoredLog") -> None:
    text = (
        "the file is whole: {count:,} events of tenant {tenant} would be restored; nothing was"
        " recorded"
        if done.trial
        else "restored {count:,} events of tenant {tenant}, as they were"
    )
    known = {"count": done.log.events, "tenant": done.log.tenant}
    context.screen.line(say(text, context.language, **known))
    context.screen.line(f"  sha256 {done.log.log_sha256}", "dim")
    if done.unknown:
        kinds = ", ".join(f"{shortened(kind)} ({n:,})" for kind, n in done.unknown.items())
        text = say(
            "kinds of facts that are not known here, whose streams count for nothing from there"
            " on: {kinds}; install the package that knows them",
            context.language,
            kinds=kinds,
        )
        context.screen.line(text, "yellow")


@with_context
def digest(
    context: CommandContext, to_position: ToPosition = None, known_at: KnownAt = None
) -> None:
    """Say what the log comes to: a SHA-256 that is the same wherever the same log is kept."""
    with context.open() as flow, context.screen.progress(context.screen.word("Log")) as bar:
        done = flow.exports.digest(to_position=to_position, known_at=known_at, progress=bar)
        zone = flow.settings().timezone
    context.screen.json(_as_json(done))
    rows = (
        ("Tenant", done.tenant),
        ("Events", f"{done.events:,}"),
        ("Last recorded", local_time(from_instant(done.recorded), zone)),
        ("SHA-256", done.log_sha256),
    )
    context.screen.table(TableOfView("Log", ("Attribute", "Value"), rows, words=("Attribute",)))


def _as_json(done: "ExportedLog") -> dict[str, Json]:
    return {
        "tenant": done.tenant,
        "events": done.events,
        "commands": done.commands,
        "position": done.position,
        "recorded_at": from_instant(done.recorded).isoformat(),
        "log_sha256": done.log_sha256,
        "file_sha256": done.file_sha256 or None,
    }
