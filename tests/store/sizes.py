"""How much the harnesses do: enough for every run here, more by SALESFLOW_TORTURE=20."""

import os

__all__ = ["CONTROL_EVENTS", "POSTGRES_CRASHES", "SQLITE_KILLS", "TAIL_EVENTS"]

TIMES = int(os.environ.get("SALESFLOW_TORTURE", "1"))

TAIL_EVENTS = 25_000 * TIMES
"""Events written while a reader follows."""

CONTROL_EVENTS = 3_000
"""Events of a control, which fails on purpose."""

SQLITE_KILLS = 40 * TIMES
"""Writer processes killed in mid-append."""

POSTGRES_CRASHES = 8 * TIMES
"""Servers stopped at once, or backends killed, under four writers."""
