"""Says at the end of a run how much the properties have tried, in all its processes."""

import pytest

from properties.effort import TALLY

OUTPUT = "tally"


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
