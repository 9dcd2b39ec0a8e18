"""How long an append waits for other writers of a PostgreSQL database."""

__all__ = ["Limit"]


class Limit:
    """How long a statement may take that waits for other writers, in milliseconds.

    The wait for a row is two waits, so that `lock_timeout` alone would let it take twice as
    long. A shorter limit of the server or role stands, and is told apart from ours.
    """

    def __init__(self, wanted: int, *, ours: bool) -> None:
        self.wanted = wanted
        self.theirs = 0
        self.ours = ours

    def set_beside(self, theirs: int) -> None:
        """Note the limit of the server; 0 is none."""
        self.theirs = theirs
        self.ours = theirs == 0 or self.wanted < theirs

    @property
    def milliseconds(self) -> int:
        """The limit that holds."""
        return self.wanted if self.ours else self.theirs
