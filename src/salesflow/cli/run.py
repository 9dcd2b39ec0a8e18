"""Runs a command line: whatever happens, it gives an exit code.

Whatever goes wrong ends in one line on stderr and an exit code:
2 for wrong use (an unknown option, a bad date, no such deal, no such database), 1 for what
a rule, a busy database or a fold refuses, 130 after Ctrl-C, 70 for a fault of this program
(`SALESFLOW_TRACEBACK=1` shows where). Nobody else ever meets a traceback.
"""

import codecs
import gc
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from salesflow.domain.wording import quoted
from salesflow.errors import BusyError, DatabaseError, InputError, NotFoundError, SalesflowError

__all__ = ["run"]


WRONG_USE = 2
REFUSED = 1
FAULT = 70
STOPPED = 130
TRACEBACK_VARIABLE = "SALESFLOW_TRACEBACK"
SHOWN_MAX = 200
"""So much of what was typed or read is repeated."""
LINE_MAX = 2_000
TOO_MANY = 200_000
"""So many objects are made before the garbage collector looks at them for the first time."""
TOO_LONG = re.compile(rf"\S{{{SHOWN_MAX + 1},}}")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default) and give its exit code.

    The garbage collector of a process of its own rests while modules are loaded, and when it
    ends: what they hold stays until then, and goes with the process.
    """
    if arguments is None:
        gc.set_threshold(TOO_MANY)
    try:
        if any(_is_missing(name) for name in ("rich", "typer")):
            needed = "the command line needs typer and rich; run: pip install 'salesflow[cli]'"
            return _complain(needed, WRONG_USE)
        code = _main(arguments)
    except KeyboardInterrupt:  # while everything is being loaded, or while it ends
        code = _stopped()
    if arguments is None:
        with suppress(KeyboardInterrupt):  # which has been told already, or comes too late
            _stop_at_once()
            gc.freeze()
    return code


def _is_missing(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return True
    return False


def _main(arguments: Sequence[str] | None) -> int:
    _prepare()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        if lost := _replaced_signs():
            _complain(lost, code)
    except BrokenPipeError:
        code = REFUSED
        _end_quietly()
    except OSError as error:  # of a file, or of the stream itself
        code = _complain_of_system(error)
        try:
            sys.stdout.flush()
        except OSError:
            _end_quietly()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    import typer  # not before it is needed: this and the next load everything

    from salesflow.cli.app import call

    try:
        code = call(_readable(sys.argv[1:] if arguments is None else arguments))
    except typer.TyperException as error:
        return _complain(_misuse(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except SystemExit as gone:  # how typer and rich tell of a broken pipe
        raise BrokenPipeError from gone
    except OSError:  # of the streams, or of files
        raise
    except Exception as error:  # noqa: BLE001 - the last one there is between it and a person
        return _refused(error)
    if code == STOPPED:
        return _stopped()
    return code if isinstance(code, int) else 0


def _misuse(error: Any) -> str:  # noqa: ANN401 - a private class of Typer
    """Return what is wrong with an option, in the words of questions."""
    from pydantic import ValidationError

    text: str = error.format_message()
    option, made = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is not None and made is not None:
        return _unknown_option(text, str(option), made.command.params)
    wrong, flags = error.__cause__, getattr(getattr(error, "param", None), "opts", None)
    if not isinstance(wrong, ValidationError) or not flags:
        return _with_the_nearest(text)
    from salesflow.projections.core.question import wrong_value

    return _with_the_nearest(f"{flags[-1]}: {wrong_value(wrong)}")


def _with_the_nearest(text: str) -> str:
    """Suggest the word of a closed list that is meant."""
    from salesflow.domain.alike_names import perhaps

    given = re.search("'([^']*)' is not one of ", text)
    if given is None or "(perhaps " in text:
        return text
    words = re.findall("'([^']*)'", text[given.end() :])
    return f"{text.removesuffix('.')}{perhaps(given[1], words)}"


def _unknown_option(text: str, option: str, parameters: Sequence[Any]) -> str:
    """Say of an option that there is none; and of an argument how it is typed."""
    placed = [each for each in parameters if each.param_type_name == "argument"]
    meant = option.lstrip("-").replace("-", "_")
    for each in placed:
        if each.name == meant:
            order = " ".join(str(it.metavar or it.name).upper() for it in placed)
            return f"there is no option {option}: it is typed by its place alone, as in {order}"
    return text


def _refused(error: Exception) -> int:
    if not isinstance(error, SalesflowError):
        return _confess(error)
    misused = isinstance(error, InputError | NotFoundError | DatabaseError)
    busy = isinstance(error, BusyError)
    return _complain(str(error), WRONG_USE if misused and not busy else REFUSED)


def _readable(arguments: Sequence[str]) -> list[str]:
    """Read arguments that came as bytes of another encoding than UTF-8 where that can be.

    Raises:
        InputError: for one that is not UTF-8, or holds a NUL.
    """
    read = []
    for number, text in enumerate(arguments, 1):
        try:
            read.append(os.fsencode(text).decode())
        except UnicodeError as error:
            raise InputError(f"argument {number}, {quoted(text)}, is not UTF-8") from error
        if "\0" in text:
            raise InputError(f"argument {number}, {quoted(text)}, holds a NUL character")
    return read


def _confess(error: Exception) -> int:
    """Say that this program is at fault, and how to see where."""
    if os.environ.get(TRACEBACK_VARIABLE):
        raise error
    return _complain(
        f"this is a fault of salesflow, please report it: {type(error).__name__}: {error}"
        f" ({TRACEBACK_VARIABLE}=1 shows where)",
        FAULT,
    )


def _complain_of_system(error: OSError) -> int:
    where = f"{error.filename}: " if error.filename else ""
    return _complain(f"{where}{error.strerror or error}", WRONG_USE)


def _complain(message: str, code: int) -> int:
    """Say it in one line, if there is anything to say and anybody to hear it."""
    from salesflow.presentation.format import one_line

    line = one_line(message.replace("Value error, ", ""))
    line = TOO_LONG.sub(lambda word: f"{word[0][:SHOWN_MAX]}…", line)[:LINE_MAX]
    if line:
        try:
            sys.stderr.write(f"salesflow: {line}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return code
    return code


def _stopped() -> int:
    return _complain("stopped; what was recorded stays", STOPPED)


# stdout and stderr as they are: closed, full, read by nobody, or in an old encoding.
#
# Text that the encoding of stdout cannot write is replaced, a sign by its plain fellow and
# anything else by question marks as wide as it was; that this happened is said once on stderr.

HANDLER: Final = "salesflow.visibly"
PLAIN: Final = {"–": "-", "—": "-", "−": "-", "·": ".", "…": "~", "→": ">", "×": "x", "⚠": "!"}
"""Signs of the labels, and what stands for them where they cannot be written."""
_replaced: list[str] = []


def _prepare() -> None:
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


def _replaced_signs() -> str:
    """Return what could not be written and was replaced; nothing where all could."""
    if not _replaced:
        return ""
    encoding = getattr(sys.stdout, "encoding", None) or "its encoding"
    return (
        f"{len(_replaced):,} characters cannot be shown in {encoding} and stand as ?; set"
        " PYTHONIOENCODING=utf-8, or use --json"
    )


def _end_quietly() -> None:
    """Let the interpreter end without a word about a stream that cannot be written."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _stop_at_once() -> None:
    """Let a further Ctrl-C end the process without a traceback while it is ending anyway."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _visibly(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be written by signs that take the same room."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from rich.cells import cell_len

    lost = error.object[error.start : error.end]
    _replaced.extend(sign for sign in lost if sign not in PLAIN)
    shown = (PLAIN.get(sign) or "?" * max(cell_len(sign), 1) for sign in lost)
    return "".join(shown), error.end
