"""`salesflow demo`: simulate a sales team in a new database, then tell its story.

Two and a half years are lived through with a turned clock, so both axes of time are real:
what happened, and when the log learned of it. The same seed gives the same answers.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.errors import InputError

__all__ = ["demo"]

if TYPE_CHECKING:  # loaded when the demo is asked for
    from salesflow.demo.world import TurnedClock
    from salesflow.engine import SalesFlow

DATABASE = "sqlite:///salesflow-demo.db"


@with_context
def demo(
    context: CommandContext,
    seed: Annotated[int, typer.Option(help="Another seed, another story.")] = 1,
    example: Annotated[
        bool, typer.Option("--example", help="The small example of the README, in a second.")
    ] = False,
) -> None:
    """Simulate a sales team from 2024-01-01 to 2026-06-30 and tell its story.

    The database must be new; without --db it is ./salesflow-demo.db, whatever $SALESFLOW_DB
    says.
    """
    if not context.db_given:
        context.url = DATABASE
    context.ensure_lasting()
    if context.holds_a_log():
        raise InputError(
            f"{context.shown_url} holds a log already, and the demo needs a new database; name"
            " another one with --db, or remove this one first"
        )
    if example:
        _record_example(context)
    else:
        _live(context, seed)


def _record_example(context: CommandContext) -> None:
    from salesflow.demo.example import EXAMPLE_START, EXAMPLE_ZONE, record_example
    from salesflow.demo.world import TurnedClock

    clock = TurnedClock(EXAMPLE_START)
    with _opened(context, clock, EXAMPLE_ZONE.key, 1) as flow:
        record_example(flow, clock)
        head = flow.log.head()
    context.screen.json({"db": context.shown_url, "position": head.position})
    text = f"{context.shown_url} · {context.screen.word('event no.')} {head.position:,}"
    context.screen.line(text, "green")


def _live(context: CommandContext, seed: int) -> None:
    from salesflow.cli.story import Story
    from salesflow.demo.simulation import simulate
    from salesflow.demo.world import END, START, ZONE, TurnedClock

    clock = TurnedClock(START)
    with _opened(context, clock, ZONE.key, seed) as flow:
        with context.screen.progress(f"{START:%Y-%m-%d} … {END:%Y-%m-%d}") as report:
            office = simulate(flow, clock, seed=seed, progress=report)
        with context.screen.progress("read tables") as report:
            flow.catch_up(progress=report)
        Story(context, flow, office).tell()


def _opened(
    context: CommandContext, clock: "TurnedClock", timezone: str, seed: int
) -> "SalesFlow":
    """Open a new log whose times are those of a turned clock, and whose ids are seeded."""
    from salesflow.demo.office import SeededIds
    from salesflow.engine import SalesFlow

    return SalesFlow(
        context.url,
        tenant=context.tenant,
        timezone=timezone,
        clock=clock,
        event_ids=SeededIds(clock, seed),
    )
