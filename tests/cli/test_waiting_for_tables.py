"""Whoever waits for read tables sees how far they have come; nobody else sees anything."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.cli.context import MANY_EVENTS, Screen
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.registry import FOLDS


def shown(*reports: tuple[int, int]) -> str:
    """Return what a terminal shows of a wait that was reported on so."""
    screen, terminal = Screen(), StringIO()
    screen.errors = Console(file=terminal, force_terminal=True, width=100)
    with screen.waiting("Read tables") as report:
        for done, goal in reports:
            report(done, goal)
    return terminal.getvalue()


def test_a_long_wait_is_shown_and_a_short_one_is_not() -> None:
    assert shown() == ""
    assert shown((1, MANY_EVENTS), (MANY_EVENTS, MANY_EVENTS)) == ""
    assert "Read tables" in shown((0, MANY_EVENTS + 1), (MANY_EVENTS + 1, MANY_EVENTS + 1))


def test_a_question_tells_how_far_its_tables_have_come_and_brings_no_others_level(
    tmp_path: Path,
) -> None:
    with SalesFlow(f"sqlite:///{tmp_path / 'sales.db'}") as flow:
        with flow.session() as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        head, told = flow.log.head().position, list[tuple[int, int]]()
        flow.ask(Funnel(), progress=lambda done, goal: told.append((done, goal)))
        stands = {name: stand.position for name, stand in flow.standings().items()}
        assert told[-1] == (head, head)
        asked = {label for label, fold in FOLDS.items() if fold.table.name in Funnel.folds}
        assert {name for name, position in stands.items() if position} == asked
