"""Which memory one answer leaves to the next, instead of giving it back to the system.

An answer over many rows makes columns and lets go of them again. The allocator of glibc gives
back to the system what was long, by itself, and the system has to clear every page of it for
the next answer: up to a third of the time of one. Blocks that are longer still go back at once,
so that a process is not held to be larger than it is. It is a module of its own, since it alone
says to the allocator what is for the whole process.
"""

import ctypes
from contextlib import suppress
from typing import Final

__all__ = ["reuse_memory"]

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
"""How glibc names these limits; see `man 3 mallopt`."""
LONGEST: Final = 6 << 20
"""Blocks of so many bytes are used again: a column of 786,432 numbers."""
FREE: Final = 3 * LONGEST
"""So many bytes at most stay free at the end of what the process has."""


def reuse_memory() -> None:
    """Let blocks of memory that are not too long be used again; nothing without glibc."""
    with suppress(AttributeError, OSError, TypeError):  # another allocator knows no such call
        allocator = ctypes.CDLL(None)
        allocator.mallopt(M_MMAP_THRESHOLD, LONGEST)
        allocator.mallopt(M_TRIM_THRESHOLD, FREE)
