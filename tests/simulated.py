"""The demo's database, simulated once for all processes whose tests look at it.

The first one simulates it in a folder named in the environment, and each has a copy of its
own. Nobody opens the first.
"""

import atexit
import contextlib
import fcntl
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from salesflow.cli import main

__all__ = ["Demo", "Ran", "demo", "ran", "sharing_the_demo", "typed"]

SHARED = "SALESFLOW_TESTS_SHARE"


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


def typed(line: str, database: str) -> Ran:
    """Run a command as it is typed, on a database."""
    return ran(*shlex.split(line), "--db", database)


@contextlib.contextmanager
def sharing_the_demo() -> Iterator[None]:
    """Name a folder to this process and those it starts, unless one is named already."""
    if SHARED in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="salesflow-demo-") as folder:
        os.environ[SHARED] = folder
        yield
        del os.environ[SHARED]


@cache
def demo() -> Demo:
    """Run `salesflow demo`, if nobody has, and copy what it made for this process.

    It runs in a process of its own, whose lines nobody counts.
    """
    shared = Path(os.environ[SHARED])
    made, story = shared / "demo.db", shared / "story"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not story.exists():
            command = [sys.executable, "-m", "salesflow", "demo", "--db", f"sqlite:///{made}"]
            told = subprocess.run(
                command,
                capture_output=True,
                encoding="utf-8",
                check=False,
                env={**os.environ},  # without the width that readline says to what it starts
            )
            assert told.returncode == 0, told.stderr
            story.write_text(told.stdout, encoding="utf-8")
    folder = tempfile.TemporaryDirectory(prefix="salesflow-demo-")
    atexit.register(folder.cleanup)
    ours = shutil.copy(made, folder.name)
    return Demo(f"sqlite:///{ours}", story.read_text(encoding="utf-8"))
