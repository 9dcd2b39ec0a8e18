"""Does what the README of an example says, as somebody would who types it line by line.

Commands run in a shell, in a copy of `examples`. A block with one command that serves or works
until it is ended is a terminal of its own: it is started, and what it shows has come when the
newcomer goes on. Port 8000 is a free one here, and what `pip install` installs comes into a
folder of its own, without an index.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition, Thread
from types import MappingProxyType
from typing import Final

from documents import Shown, blocks, commands, same_output
from ports import free_port

__all__ = ["EXAMPLES", "Newcomer", "Terminal", "newcomer"]

ROOT: Final = Path(__file__).parent.parent.parent
EXAMPLES: Final = ROOT / "examples"
STAYS: Final = ("uvicorn ", "python worker.py")
LOOKS_AGAIN: Final = ("cat ", "ls ")
"""What shows something that another terminal may only be about to do."""
PATIENCE_SECONDS: Final = 60.0
PORT: Final = "8000"
BEFORE_PORT: Final = ("localhost:", "127.0.0.1:", "--port ")
PIP: Final = "pip install "
Words = dict[str, str] | MappingProxyType[str, str]
NOTHING: Final = MappingProxyType[str, str]({})


class Terminal:
    """A program that runs beside, and what it has printed so far."""

    def __init__(self, command: str, cwd: Path, env: dict[str, str], news: Condition) -> None:
        self.process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news = news
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()

    def shows(self, wanted: str) -> None:
        """Wait until what was printed so far is what a document shows."""

        def shown() -> bool:
            ends = range(1, len(self.lines) + 1)
            ended = self.process.poll() is not None
            return ended or any(same_output(wanted, "".join(self.lines[:n])) for n in ends)

        with self._news:
            come = self._news.wait_for(shown, PATIENCE_SECONDS)
        assert come, self.printed
        assert self.process.poll() is None, self.printed

    def says(self, text: str, times: int = 1) -> None:
        """Wait until so many lines with a text were printed."""
        with self._news:
            come = self._news.wait_for(
                lambda: sum(text in line for line in self.lines) >= times, PATIENCE_SECONDS
            )
        assert come, self.printed

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return code

    def close(self) -> None:
        """Leave nothing running, whatever has failed."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Newcomer:
    """Somebody in the folder of an example, with a README and nothing else."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self.terminals: list[Terminal] = []
        self._news = Condition()
        self.running = running
        self._site = folder / ".installed"
        tools = Path(sys.executable).parent
        self.env = {
            **os.environ,
            "PATH": os.pathsep.join([str(tools), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(self._site), str(ROOT / "src")]),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "200",
        }
        for name in ("SALESFLOW_DB", "LETTERS"):
            self.env.pop(name, None)

    def follow(self, *, instead: Words = NOTHING, but: Collection[str] = ()) -> "Newcomer":
        """Do all that the README says, with other words in place of some, but for commands."""
        readme = self.folder / "README.md"
        for block in blocks(readme):
            if block.language == "console":
                for shown in (each for each in commands(block) if each.command not in but):
                    where = f"{readme.parent.name}/README.md:{block.line}"
                    self._type(self._put(shown, instead), where)
        return self

    def start(self, command: str) -> Terminal:
        """Start a program beside."""
        terminal = Terminal(command, self.folder, self.env, self._news)
        self.running.callback(terminal.close)
        self.terminals.append(terminal)
        return terminal

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a shell; give its exit code and what it printed."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.env,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _put(self, shown: Shown, instead: Words) -> Shown:
        ports = {f"{before}{PORT}": f"{before}{self.port}" for before in BEFORE_PORT}
        words = {**ports, **instead}
        command, output = shown
        for old, new in words.items():
            command, output = command.replace(old, new), output.replace(old, new)
        return Shown(command, output)

    def _type(self, shown: Shown, where: str) -> None:
        command = shown.command
        if command.startswith("export "):
            self._export(command)
        elif command.startswith(STAYS):
            self.start(command).shows(shown.output)
        else:
            told, done = self.told(), self.run(self._without_index(command))
            while command.startswith(LOOKS_AGAIN) and not _as_shown(shown, done):
                self.wait_for_news(told)
                told, done = self.told(), self.run(command)
            assert done.returncode == 0, f"{where}: `{command}` fails:\n{done.stdout}"
            assert _as_shown(shown, done), f"{where}: `{command}` prints\n{done.stdout}"

    def _export(self, command: str) -> None:
        done = self.run(f"{command} && env -0")
        assert done.returncode == 0, done.stdout
        self.env.update(
            pair.partition("=")[::2] for pair in done.stdout.split("\0") if "=" in pair
        )

    def _without_index(self, command: str) -> str:
        if not command.startswith(PIP):
            return command
        apart = f"--no-index --no-deps --no-build-isolation --target {self._site}"
        return f"python -m pip install --quiet {apart} {command.removeprefix(PIP)}"

    def told(self) -> list[int]:
        """Give how many lines each terminal has printed."""
        return [len(terminal.lines) for terminal in self.terminals]

    def wait_for_news(self, told: list[int]) -> list[int]:
        """Wait until a terminal has printed more lines than those; give how many by then."""
        with self._news:
            come = self._news.wait_for(lambda: self.told() != told, PATIENCE_SECONDS)
        assert come, [terminal.printed for terminal in self.terminals]
        return self.told()


def _as_shown(shown: Shown, done: subprocess.CompletedProcess[str]) -> bool:
    printed = re.sub("\r", "", done.stdout)
    return not shown.output or same_output(shown.output, printed)


@contextmanager
def newcomer(example: str, folder: Path, *others: str) -> Iterator[Newcomer]:
    """Give somebody in a copy of an example (and of others beside it); end what they start."""
    _copy((example, *others), folder)
    with ExitStack() as running:
        yield Newcomer(folder / "examples" / example, running)


def _copy(names: Sequence[str], folder: Path) -> None:
    made = shutil.ignore_patterns(".*", "*.db*", "__pycache__", "letters")
    for name in names:
        shutil.copytree(EXAMPLES / name, folder / "examples" / name, ignore=made)
