"""The command line: `salesflow demo`, `ask`, `deal`, `import`, `status` and their neighbours.

`main` is the script's entry. Whatever goes wrong ends in one line on stderr and an exit code:
2 for wrong use (an unknown option, a bad date, no such deal, no such database), 1 for what
a rule, a busy database or a fold refuses, 130 after Ctrl-C. Nobody ever meets a traceback.
"""

import io
import os
import sys
from collections.abc import Sequence

from salesflow.errors import BusyError, DatabaseError, InputError, NotFoundError, SalesflowError

__all__ = ["main"]

WRONG_USE = 2
REFUSED = 1
STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default) and give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = REFUSED
        _close_quietly()
    except KeyboardInterrupt:  # while everything is being loaded
        code = _stopped()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    import typer  # not before it is needed: this and the next load everything
    from typer.main import get_command

    from salesflow.cli.app import app

    command = get_command(app)
    given = None if arguments is None else list(arguments)
    try:
        code = command.main(given, prog_name="salesflow", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except SalesflowError as error:
        misused = isinstance(error, InputError | NotFoundError | DatabaseError)
        busy = isinstance(error, BusyError)
        return _complain(str(error), WRONG_USE if misused and not busy else REFUSED)
    except typer.Abort:
        return _stopped()
    except SystemExit as gone:  # how typer and rich tell of a broken pipe
        raise BrokenPipeError from gone
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", WRONG_USE)
    if code == STOPPED:
        return _stopped()
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    line = " ".join(message.replace("Value error, ", "").split())
    if line:
        sys.stderr.write(f"salesflow: {line}\n")
    return code


def _stopped() -> int:
    return _complain("stopped; what was recorded stays", STOPPED)


def _close_quietly() -> None:
    """Let the interpreter end without a word about a pipe that nobody reads any more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
