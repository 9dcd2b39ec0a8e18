"""`salesflow demo`: simulate a sales team in a new database, then tell its story.

Two and a half years are lived through with a turned clock, so both axes of time are real:
what happened, and when the log learned of it. The same seed gives the same answers.
"""

from typing import Annotated

import typer

from salesflow.cli.desk import Desk, at_desk
from salesflow.errors import InputError

__all__ = ["demo"]

DATABASE = "sqlite:///salesflow-demo.db"


@at_desk
def demo(
    desk: Desk,
    seed: Annotated[int, typer.Option(help="Another seed, another story.")] = 1,
) -> None:
    """Simulate a sales team from 2024-01-01 to 2026-06-30 and tell its story.

    The database must be new; without --db it is ./salesflow-demo.db.
    """
    if not desk.db_given:
        desk.url = DATABASE
    desk.refuse_passing()
    if desk.holds_a_log():
        raise InputError(
            f"{desk.shown_url} holds a log already, and the demo needs a new database; name"
            " another one with --db, or remove this one first"
        )
    _live(desk, seed)


def _live(desk: Desk, seed: int) -> None:
    from salesflow.cli.simulation.agenda import END, START, ZONE, TurnedClock
    from salesflow.cli.simulation.simulate import simulate
    from salesflow.cli.simulation.workplace import SeededIds
    from salesflow.cli.story import Story
    from salesflow.engine import SalesFlow

    clock = TurnedClock(START)
    with SalesFlow(
        desk.url,
        tenant=desk.tenant,
        timezone=ZONE.key,
        clock=clock,
        event_ids=SeededIds(clock, seed),
    ) as flow:
        with desk.screen.progress(f"{START:%Y-%m-%d} … {END:%Y-%m-%d}") as report:
            office = simulate(flow, clock, seed=seed, progress=report)
        with desk.screen.progress("read tables") as report:
            flow.catch_up(progress=report)
        Story(desk, flow, office).tell()
