"""`python -m salesflow` is the `salesflow` command."""

import sys

from salesflow.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
