"""The demo's database, simulated once for all tests that look at it.

Tests that run tests in a copy of the project name it in the environment, so that the copy
need not simulate it again.
"""

import atexit
import contextlib
import io
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from salesflow.cli import main

__all__ = ["SIMULATED", "Demo", "Ran", "demo", "ran"]

SIMULATED = "SALESFLOW_SIMULATED"


class Ran(NamedTuple):
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str


class Demo(NamedTuple):
    """A simulated database and the story that was printed."""

    url: str
    story: str


def ran(*arguments: str) -> Ran:
    """Run a command line through its entry point."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


@cache
def demo() -> Demo:
    """Run `salesflow demo` in a folder that goes when the tests are over."""
    if SIMULATED in os.environ:
        return Demo(os.environ[SIMULATED], story="")
    folder = tempfile.TemporaryDirectory(prefix="salesflow-demo-")
    atexit.register(folder.cleanup)
    url = f"sqlite:///{Path(folder.name) / 'demo.db'}"
    told = ran("demo", "--db", url)
    assert told.code == 0, told.err
    return Demo(url, told.out)
