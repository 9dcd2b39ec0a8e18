"""Holds Python's garbage collector off while a batch makes many objects that live on.

The collector walks all living objects whenever many new ones have come; in a batch of a
thousand events that finds nothing and costs as much as the work itself. What a batch leaves
behind is collected after it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gc_paused", "gc_resumed"]


_OFF: list[bool] = []
"""Holds something while the collector is off because of us."""


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold the garbage collector of this process off until the end of the block."""
    was_on = gc.isenabled()
    if was_on:
        _OFF.append(True)
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc_resumed()


def gc_resumed() -> None:
    """Let the collector work again if a block held it off, also one that was cut off."""
    if _OFF:
        gc.enable()
        _OFF.clear()
