"""Random histories of reps alone: who joins which team, moves, leaves and comes back.

They are told and played as those of deals are (`histories.py`, `playing.py`).
"""

from hypothesis import strategies as st

from properties.histories import Append, Told, told
from properties.playing import Act, rep_acts
from properties.reps import REP_WORDS
from properties.world import DELTAS, FIRST_REP

__all__ = ["staff_acts", "staff_appends"]


def staff_appends(reps: int, *, most: int = 12) -> st.SearchStrategy[list[Append]]:
    """Draw what is told of so many reps."""
    one = told(reps, REP_WORDS).map(lambda found: found._replace(deal=found.deal + FIRST_REP))
    several = st.lists(one, min_size=1, max_size=4).map(tuple)
    appended = st.builds(Append, st.integers(0, len(DELTAS) - 1), several)
    return st.lists(appended, min_size=1, max_size=most).map(
        lambda rest: [*(joined(rep) for rep in range(reps)), *rest]
    )


def joined(rep: int) -> Append:
    """Let a rep begin."""
    return Append(2, (Told(FIRST_REP + rep, "opened", rep),))


def staff_acts(reps: int, *, least: int = 6, most: int = 18) -> st.SearchStrategy[list[Act]]:
    """Draw commands, foreign facts, retractions and reopened histories of so many reps."""
    return st.lists(rep_acts(reps), min_size=least, max_size=most)
