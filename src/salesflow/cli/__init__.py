"""The command line: `salesflow demo`, `ask`, `deal`, `import`, `status` and their neighbours.

`main` is the script's entry. It loads everything where a Ctrl-C is caught, so that one who
presses it early meets one line and exit code 130 as well; how a command ends otherwise stands
in `cli.run`.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]

STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default) and give its exit code."""
    try:
        from salesflow.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:  # while that is being loaded, or for the second time
        if sys.stderr is not None:
            sys.stderr.write("salesflow: stopped\n")
        return STOPPED
