"""Processes that help with a rebuild: started, handed slices, and ended.

A helper is `python -m salesflow.adapters.rebuild_helper`, told over its input what to do, so
that nothing of the program that rebuilds is run again. It ends with its input. Only folds of
the package can be named to it; a service's own are folded in its own process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from threading import Thread

from salesflow import errors
from salesflow.adapters.filling import Slice, Slices
from salesflow.errors import DatabaseError, SalesflowError

__all__ = ["Helpers", "helping"]

HELPER = "salesflow.adapters.rebuild_helper"
LOOK_SECONDS = 0.1


class Helper:
    """A process that takes slices, and the thread that hands them to it."""

    def __init__(self, task: Mapping[str, object], slices: Slices) -> None:
        self.error: SalesflowError | None = None
        self.thread = Thread(target=self._hand_out, args=(task, slices), daemon=True)
        self._words = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", HELPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process to heed
            text=True,
        )
        self.thread.start()

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self.thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._words):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _hand_out(self, task: Mapping[str, object], slices: Slices) -> None:
        try:
            self._say(task)
            for slice in slices:
                self._fill(slice)
        except SalesflowError as error:
            self.error = error

    def _fill(self, slice: Slice) -> None:
        self._say([id.hex for id in slice])
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise DatabaseError(
                f"a process that helped to rebuild ended with exit code {self._last_words()};"
                " the read tables stand as they were"
            )
        said = json.loads(answer)
        if said is not None:
            raise getattr(errors, said["error"], DatabaseError)(said["message"])

    def _last_words(self) -> str:
        """Give the exit code of a process that has died, and the last line it wrote."""
        code = self._process.wait()
        self._words.seek(0)
        return ": ".join([str(code), *self._words.read().splitlines()[-1:]])

    def _say(self, words: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died, which is heard of next
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()


class Helpers:
    """The helpers of one rebuild."""

    def __init__(self) -> None:
        self.all: list[Helper] = []

    def check(self) -> None:
        """Raise what has gone wrong in one of them."""
        for helper in self.all:
            if helper.error is not None:
                raise helper.error

    def wait(self, meanwhile: Callable[[], object]) -> None:
        """Wait until each has filled its last slice."""
        for helper in self.all:
            while helper.thread.is_alive():
                helper.thread.join(LOOK_SECONDS)
                self.check()
                meanwhile()
        self.check()


@contextmanager
def helping(number: int, task: Mapping[str, object], slices: Slices) -> Iterator[Helpers]:
    """Start helpers, and end them with the block, however that ends."""
    helpers = Helpers()
    try:
        for _ in range(number):
            helpers.all.append(Helper(task, slices))
        yield helpers
    finally:
        for helper in helpers.all:
            helper.end()
