"""stdout and stderr as they are: closed, full, read by nobody, or in an old encoding.

Text that the encoding of stdout cannot write is replaced, a sign by its plain fellow and
anything else by question marks as wide as it was; that this happened is said once on stderr.
JSON is never replaced: it is UTF-8 whatever the terminal is set to, and where the terminal is
set to something else it is escaped as well.
"""

import codecs
import io
import os
import signal
import sys
from contextlib import suppress
from typing import Final

from rich.cells import cell_len

__all__ = ["end_quietly", "in_utf8", "prepare", "replaced", "stop_at_once"]

HANDLER: Final = "salesflow.visibly"
PLAIN: Final = {"–": "-", "—": "-", "−": "-", "·": ".", "…": "~", "→": ">", "×": "x", "⚠": "!"}
"""Signs of the labels, and what stands for them where they cannot be written."""
_replaced: list[str] = []


def prepare() -> None:
    """Make both streams fit to be written to, whatever they are."""
    _replaced.clear()
    codecs.register_error(HANDLER, _visibly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before we began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end
        elif isinstance(stream, io.TextIOWrapper):
            errors = HANDLER if name == "stdout" else "backslashreplace"
            stream.reconfigure(errors=errors)


def in_utf8() -> bool:
    """Have stdout written as UTF-8 from now on; say whether it was set to anything else."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or _is_utf8(stream.encoding):
        return False
    stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return True


def replaced() -> str:
    """Say what could not be written and was replaced; nothing where all could."""
    if not _replaced:
        return ""
    encoding = getattr(sys.stdout, "encoding", None) or "its encoding"
    return (
        f"{len(_replaced):,} characters cannot be shown in {encoding} and stand as ?; set"
        " PYTHONIOENCODING=utf-8, or use --json"
    )


def end_quietly() -> None:
    """Let the interpreter end without a word about a stream that cannot be written."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def stop_at_once() -> None:
    """Let a further Ctrl-C end the process without a traceback while it is ending anyway."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _visibly(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be written by signs that take the same room."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    _replaced.extend(sign for sign in lost if sign not in PLAIN)
    shown = (PLAIN.get(sign) or "?" * max(cell_len(sign), 1) for sign in lost)
    return "".join(shown), error.end


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"
