"""The program of a process that is a Sail server, which does what Spark does without Java.

It takes a free port of this machine, says so in one line, and ends with its input: whoever
started it need not be alive to end it.
"""

import sys
from importlib import import_module

__all__ = ["main"]


def main() -> None:
    """Serve until the input ends."""
    server = import_module("pysail.spark").SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    print(server.listening_address[1], flush=True)  # noqa: T201 - this is what it answers
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
