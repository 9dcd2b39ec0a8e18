"""Moments worth asking at: on events, a microsecond beside them, before and long after."""

from hypothesis import strategies as st

from oracle.beliefs import Raw, effect_of
from properties.world import HOUR, START, instant

__all__ = ["Pick", "instants", "knowledge", "moment_of", "picks"]

Pick = tuple[int, int]
"""Which instant of each axis, by number; any number means some instant."""


def picks(*, least: int = 1, most: int = 12) -> st.SearchStrategy[list[Pick]]:
    """Draw some moments before anything is known of the history they will be asked of."""
    number = st.integers(0, 10_000)
    return st.lists(st.tuples(number, number), min_size=least, max_size=most)


def instants(events: list[Raw]) -> list[int]:
    """Give the instants at which an answer could change, and those beside them."""
    told = ("deal.", "customer.", "rep.", "goal.", "figure.", "fact.")
    times = {instant(START)}
    for event in (event for event in events if event["kind"].startswith(told)):
        for time in (event["occurred"], effect_of(event), event["recorded"]):
            times |= {time - 1, time, time + 1}
    return sorted({*times, max(times) + 1000 * HOUR, min(times) - HOUR})


def knowledge(events: list[Raw]) -> list[int]:
    """Give the instants at which something became known, and those beside them."""
    recorded = {event["recorded"] for event in events}
    return sorted({time + shift for time in recorded for shift in (-1, 0, 1)})


def moment_of(pick: Pick, events: list[Raw]) -> tuple[int, int]:
    """Turn a pick into (as_of, known_at), the later and stranger ones no rarer than others."""
    times, known = instants(events), knowledge(events)
    return times[pick[0] * 7919 % len(times)], known[-1 - pick[1] * 104729 % len(known)]
