"""`salesflow process`: the published sales processes, their stages and what leaves each."""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.cli.ids import find_process, find_version, published_processes
from salesflow.domain.process import (
    ProcessPublished,
    ProcessVersion,
)
from salesflow.presentation.format import given_percent, local_time
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView

__all__ = ["list_processes", "show_process"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    pass


@with_context
def list_processes(context: CommandContext) -> None:
    """List every published process and its versions."""
    with context.open() as flow:
        found = published_processes(flow)
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


@with_context
def show_process(
    context: CommandContext,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Key of the process.", show_default=False)
    ],
    version: Annotated[
        int | None, typer.Option("--version", help="Which version; the latest when left out.")
    ] = None,
) -> None:
    """Show the stages of a process version: probability, exit criteria, tasks, longest stay."""
    with context.open() as flow:
        process = find_process(flow, key)
        wanted = find_version(process, None if version is None else str(version))
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
        zone = flow.settings().timezone
        for event in process.history:
            if isinstance(event.fact, ProcessPublished) and event.fact.process == wanted:
                at = local_time(event.recorded_at, zone)
                context.screen.line(f"{word('Published')}: {at} {zone.key}", "green")


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
