"""Says at the end of a run how much the properties have tried, in all its processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from properties.effort import TALLY
from salesflow.adapters.projector import balances as balancing
from salesflow.adapters.projector import projection_task as projecting
from salesflow.adapters.projector import rebuild as rebuilding
from salesflow.projections.core import ledger_columns

OUTPUT = "tally"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave properties out of the coverage: it says what the rules told in sentences reach.

    They are most of a run, and take half as long again when every line is noted.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True, scope="session")
def balances_of_few_movements() -> Iterator[None]:
    """Let balances be carried forward within histories that are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balancing, "BIN_MOVEMENTS", 5)
        patch.setattr(balancing, "CARRY_ROWS", 12)
        patch.setattr(projecting, "BALANCES_EVERY", 0)
        patch.setattr(ledger_columns, "BLOCK", 4)
        patch.setattr(rebuilding, "COPIED_ROWS", 12)
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process tried to the one that reports, where there is another."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[OUTPUT] = dict(TALLY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what another process tried."""
    TALLY.update(getattr(node, "workeroutput", {}).get(OUTPUT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of this run."""
    if TALLY:
        figures = ", ".join(f"{count:,} {what}" for what, count in sorted(TALLY.items()))
        terminalreporter.write_line(f"properties tried: {figures}")
