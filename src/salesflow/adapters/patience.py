"""How long something that takes many transactions may wait for others in all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

__all__ = ["Patience"]

NOTED_SECONDS = 0.02
"""What takes less was no wait."""


class Patience:
    """What is left of the time in which others may be waited for."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @property
    def milliseconds(self) -> int:
        """What is left, as databases take it; never nothing, which they take for no limit."""
        return max(1, int(self.left * 1000))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do what may have to wait, and count how long that took."""
        begun = monotonic()
        try:
            yield
        finally:
            took = monotonic() - begun
            if took > NOTED_SECONDS:
                self.left = max(0.0, self.left - took)
