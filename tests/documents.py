"""Reads what the documents show and runs it: Python, command lines, and their printed answers.

In a document, a `python` block runs in one namespace with the blocks before it, and a `text`
block right behind it is what it prints. A `console` block holds command lines (`$ salesflow …`,
`$ export NAME=value`) and what they print. `...` in shown output stands for anything. A block
of any other language is only read by people.
"""

import contextlib
import doctest
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from salesflow.cli import main

__all__ = ["Block", "Shown", "blocks", "commands", "run_console", "run_python", "same_output"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "


class Block(NamedTuple):
    """A fenced block of a document and the line it starts at."""

    language: str
    text: str
    line: int


class Shown(NamedTuple):
    """A command line as shown, and the output shown for it (empty: none is shown)."""

    command: str
    output: str


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> Iterator[Shown]:
    """Split a console block at its prompts; a backslash carries a command on."""
    joined = block.text.replace("\\\n", " ")
    for part in re.split(r"^(?=\$ )", joined, flags=re.MULTILINE):
        if part.startswith(PROMPT):
            command, _, output = part.removeprefix(PROMPT).partition("\n")
            yield Shown(command.strip(), output.strip("\n"))


def run_python(block: Block, document: Path, namespace: dict[str, Any]) -> str:
    """Run a block at its own line numbers, so that a traceback points into the document."""
    code = compile("\n" * block.line + block.text, str(document), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def run_console(command: str) -> tuple[int, str]:
    """Run a `salesflow` command line through its entry point; give exit code and output."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(shlex.split(command)[1:])
    return code, printed.getvalue()


def same_output(shown: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(
        _trimmed(shown), _trimmed(printed), doctest.ELLIPSIS
    )


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"
