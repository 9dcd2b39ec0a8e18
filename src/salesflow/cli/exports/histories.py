"""`salesflow export xes` and `export ocel`: histories at a moment, for process mining."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.exports.log import Force
from salesflow.domain.wording import shortened
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import say, say_count
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:  # loaded when something is exported
    from zoneinfo import ZoneInfo

    from salesflow.engine.exports import ExportedHistories

__all__ = ["command_of_format"]


Personal = Annotated[
    bool,
    typer.Option("--personal", help="With names of people and free texts, left out otherwise."),
]
LABELS = {
    "traces": "Traces",
    "events": "Events",
    "objects": "Objects",
    "event_relations": "Relations of events",
    "object_relations": "Relations of objects",
}


FILES: Final = {
    "xes": "A new file: .xes or .xes.gz.",
    "ocel": "A new file: .json, .xml or .sqlite.",
}
"""The formats there are, and which files hold them."""


def command_of_format(format: str) -> Callable[..., None]:
    """Make the command that writes histories in a format."""

    def command(
        context: CommandContext,
        file: Annotated[Path, typer.Argument(metavar="FILE", help=FILES[format])],
        as_of: AsOf = None,
        known_at: KnownAt = None,
        personal: Personal = False,
        force: Force = False,
    ) -> None:
        with context.open() as flow:
            export = {"xes": flow.exports.xes, "ocel": flow.exports.ocel}[format]
            with context.screen.progress(context.screen.word("Log")) as bar:
                done = export(
                    file,
                    as_of=as_of,
                    known_at=known_at,
                    personal=personal,
                    force=force,
                    progress=bar,
                )
            _show(context, done, file, flow.settings().timezone)

    return with_context(command)


def _show(
    context: CommandContext, done: "ExportedHistories", file: Path, zone: "ZoneInfo"
) -> None:
    screen, language = context.screen, context.language
    screen.json(
        {
            "file": str(file),
            "as_of": done.as_of.isoformat(),
            "known_at": done.known_at.isoformat(),
            "position": done.log.position,
            "log_sha256": done.log.log_sha256,
            **done.counts,
            "left_out": done.left_out,
            "personal_texts": done.personal,
        }
    )
    rows = tuple((LABELS[name], f"{count:,}") for name, count in done.counts.items())
    heads = ("Attribute", "Value")
    screen.table(TableOfView(shortened(file), heads, rows, words=("Attribute",)))
    if not done.personal:
        screen.line(
            say("names of people and free texts are left out; --personal adds them", language),
            "dim",
        )
    if done.left_out:
        text = say_count(
            "{count:,} thing ends before an event that cannot be read; `salesflow check` names"
            " it",
            "{count:,} things end before an event that cannot be read; `salesflow check` names"
            " them",
            done.left_out,
            language,
        )
        screen.line(text, "yellow")
    as_of, known = local_time(done.as_of, zone), local_time(done.known_at, zone)
    text = say("as of {as_of} · known at {known}", language, as_of=as_of, known=known)
    screen.line(f"{text} · sha256 {done.log.log_sha256}", "green")
