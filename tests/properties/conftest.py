"""Says at the end of a run how much the properties have tried."""

import pytest

from properties.effort import TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of this run."""
    if TALLY:
        figures = ", ".join(f"{count:,} {what}" for what, count in sorted(TALLY.items()))
        terminalreporter.write_line(f"properties tried: {figures}")
