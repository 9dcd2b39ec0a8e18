"""Holds Python's garbage collector off while a batch makes many objects that live on.

The collector walks all living objects whenever many new ones have come; in a batch of a
thousand events that finds nothing and costs as much as the work itself. What a batch leaves
behind is collected after it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_off"]


@contextmanager
def collector_off() -> Iterator[None]:
    """Hold the garbage collector of this process off until the end of the block."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
