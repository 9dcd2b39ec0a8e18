"""`salesflow process`: the published sales processes, their stages and what leaves each."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.recording.things_read import ThingsRead
from salesflow.cli.things.ids import find_process, find_version
from salesflow.domain.event import Event
from salesflow.domain.process import (
    ProcessPublished,
    ProcessVersion,
    SalesProcess,
    process_id,
)
from salesflow.domain.time import from_instant
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.format import given_percent, local_time
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView

__all__ = ["list_processes", "show_process"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


@with_context
def list_processes(
    context: CommandContext, as_of: AsOf = None, known_at: KnownAt = None
) -> None:
    """List every process published by a moment, and its versions."""
    with context.open() as flow:
        read = ThingsRead(flow, context.language, as_of=as_of, known_at=known_at)
        found = [process for _, process in read.every(SalesProcess)]
        context.screen.json(
            [
                {
                    "key": process.latest.key,
                    "name_en": process.latest.name_en,
                    "name_zh": process.latest.name_zh,
                    "versions": [
                        {"version": number, "retired": number in process.retired}
                        for number in sorted(process.versions)
                    ],
                }
                for process in found
            ]
        )
        word = context.screen.word
        rows = tuple(
            (
                process.latest.key,
                process.latest.name(context.language),
                ", ".join(
                    f"{n} ({word('retired')})" if n in process.retired else str(n)
                    for n in sorted(process.versions)
                ),
                f"{len(process.latest.open_stages):,}",
            )
            for process in found
        )
        columns = ("Key", "Name", "Version", "Open stages")
        context.screen.table(TableOfView("Processes", columns, rows))
        context.screen.moment(read.moment, read.zone)


@with_context
def show_process(
    context: CommandContext,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY[:VERSION]",
            help="Key of the process, and which version; the latest when left out.",
            show_default=False,
        ),
    ],
    version: Annotated[
        int | None, typer.Option("--version", help="Which version, as KEY:VERSION says it.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> None:
    """Show the stages of a process version: probability, exit criteria, tasks, longest stay."""
    key, _, number = key.partition(":")
    if number and version is not None and number != str(version):
        raise InputError(f"version {number} and --version {version}: say one of them")
    with context.open() as flow:
        read = ThingsRead(flow, context.language, as_of=as_of, known_at=known_at)
        process = _process_then(flow, key, read)
        wanted = find_version(process, number or (None if version is None else str(version)))
        context.screen.json(wanted.model_dump(mode="json"))
        context.screen.table(_stages(wanted, context.language))
        word = context.screen.word
        reasons = ", ".join(
            f"{r.name(context.language)} ({r.key})" for r in wanted.loss_reasons
        )
        if reasons:
            context.screen.line(f"{word('Loss reasons')}: {reasons}")
        if wanted.qualifying_stage is not None:
            qualifying = wanted.stage(wanted.qualifying_stage).name(context.language)
            context.screen.line(f"{word('Qualifying stage')}: {qualifying}")
        for event in process.history:
            if isinstance(event.fact, ProcessPublished) and event.fact.process == wanted:
                context.screen.line(_published(event, read), "green")


def _process_then(flow: "SalesFlow", key: str, read: ThingsRead) -> SalesProcess:
    """Return a process as it was at the moment asked for.

    Raises:
        NotFoundError: when none was published by then, or ever.
    """
    latest = find_process(flow, key)
    try:
        return read.get(SalesProcess, process_id(key))
    except NotFoundError as error:
        first = min(event.effective for event in latest.history)
        day = from_instant(first).astimezone(read.zone).date()
        raise NotFoundError(
            f"no version of process {quoted(key)} was published at that moment; the first was"
            f" on {day}"
        ) from error


def _published(event: Event, read: ThingsRead) -> str:
    """Say when a version was published, and when that was recorded where it was later."""
    happened = f"{read.word('Published')}: {local_time(event.occurred_at, read.zone)}"
    recorded = local_time(event.recorded_at, read.zone)
    later = f" · {read.word('Recorded')} {recorded}"
    is_later = local_time(event.occurred_at, read.zone) != recorded
    return f"{happened}{later if is_later else ''} {read.zone.key}"


def _stages(process: ProcessVersion, language: Language) -> TableOfView:
    rows = tuple(
        (
            stage.key,
            stage.name_en,
            stage.name_zh,
            stage.category,
            given_percent(stage.probability),
            stage.forecast_category,
            "\n".join(process.criterion_name(c, language) for c in stage.exit_criteria),
            "\n".join(task.name(language) for task in stage.tasks),
            "" if stage.max_days is None else f"{stage.max_days:,}",
        )
        for stage in process.stages
    )
    columns = (
        "Key", "English", "中文", "Category", "Probability", "Forecast category",
        "Exit criteria", "Tasks", "Max days",
    )  # fmt: skip
    named = f"{process.name(language)} v{process.version}"
    words = ("Category", "Forecast category")
    return TableOfView("", columns, rows, about=named, words=words)
