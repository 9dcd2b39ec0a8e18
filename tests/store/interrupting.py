"""Raises an exception at one instant inside the package: at its n-th line, or by a signal."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy

import salesflow

__all__ = [
    "OURS",
    "PACKAGE",
    "POOL",
    "Interrupted",
    "interrupted_at",
    "interrupts_after",
    "lines_of",
]

PACKAGE = Path(salesflow.__file__).parent
OURS = str(PACKAGE / "adapters"), str(PACKAGE / "engine")
POOL = str(Path(sqlalchemy.__file__).parent / "pool")
"""Where SQLAlchemy takes connections from its pool, and gives them back."""


class Interrupted(Exception):  # noqa: N818 - as a time limit's
    """Raised where nobody expects anything."""


class _Tracer:
    """Counts the lines of some folders that run; raises at one of them."""

    def __init__(
        self, at: int | None, within: tuple[str, ...], kind: type[BaseException]
    ) -> None:
        self.count = 0
        self._at = at
        self._within = within
        self._kind = kind

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
        name = frame.f_code.co_filename
        if not name.startswith(self._within):
            return None
        if event in ("line", "call"):
            self.count += 1
            if self.count == self._at:
                sys.settrace(None)
                raise self._kind(f"{name}:{frame.f_lineno}")
        return self


@contextmanager
def _tracing(tracer: _Tracer) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


def lines_of(work: Callable[[], object], *within: str) -> int:
    """Count the lines that some work runs in the package, or in some other folders."""
    tracer = _Tracer(None, within or OURS, Interrupted)
    with _tracing(tracer):
        work()
    return tracer.count


def interrupted_at(
    line: int,
    work: Callable[[], object],
    *within: str,
    kind: type[BaseException] = Interrupted,
) -> BaseException | None:
    """Do some work and raise before its n-th line there; give what was raised out of it."""
    try:
        with _tracing(_Tracer(line, within or OURS, kind)):
            work()
    except kind as error:
        return error
    return None


@contextmanager
def interrupts_after(
    seconds: float, kind: type[BaseException] = Interrupted
) -> Iterator[list[int]]:
    """Raise once, so many seconds from now, wherever the block then is; tell when that was.

    What is raised within a destructor goes no further, so a block must not wait for it alone.
    Nor does what is raised where the garbage collector calls back. In a process that holds much
    it runs for long, and a signal that comes meanwhile is raised in the first of what other
    libraries let it call; nothing is called here.
    """
    fired: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        fired.append(number)
        raise kind

    before, called = signal.signal(signal.SIGALRM, handle), gc.callbacks[:]
    gc.callbacks.clear()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield fired
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.callbacks[:] = called
