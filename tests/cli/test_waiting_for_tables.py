"""Whoever waits for read tables sees how far they have come; nobody else sees anything."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from salesflow import STANDARD, Deal, Funnel, SalesFlow
from salesflow.cli.context import MANY_EVENTS, Screen


def shown(*reports: tuple[int, int]) -> str:
    """Return what a terminal shows of a wait that was reported on so."""
    screen, terminal = Screen(), StringIO()
    screen.errors = Console(file=terminal, force_terminal=True, width=100)
    report = screen.waiting("Read tables")
    for done, goal in reports:
        report(done, goal)
    return terminal.getvalue()


def test_a_long_wait_is_shown_and_a_short_one_is_not() -> None:
    goal = MANY_EVENTS + 1
    assert shown() == ""
    assert shown((1, goal), (goal, goal)) == ""
    assert "Read tables" in shown((0, goal), (goal, goal))
    hidden = "\x1b[?25l"  # the cursor, as long as there is a bar
    assert shown((0, goal), (goal, goal), (0, goal), (goal, goal)).count(hidden) == 2


def test_a_question_tells_how_far_its_tables_have_come(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    url = f"sqlite:///{tmp_path / 'sales.db'}"
    with SalesFlow(url, progress=lambda done, goal: told.append((done, goal))) as flow:
        with flow.session() as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        assert told == []
        assert flow.ask(Funnel()).open_deals == 1
        assert told == [(flow.log.head().position,) * 2]
        flow.ask(Funnel())
        assert len(told) == 1
