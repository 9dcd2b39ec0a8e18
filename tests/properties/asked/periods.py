"""Periods worth asking about: inside the histories, around them, before and after them."""

from datetime import date

from hypothesis import strategies as st

__all__ = ["Period", "periods"]

Period = tuple[date | None, date | None]
"""The first day and the first day after; None where it is left out."""

DAYS = (
    date(2023, 12, 1), date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 2),
    date(2024, 1, 5), date(2024, 1, 20), date(2024, 2, 1), date(2024, 4, 1), date(2025, 1, 1),
)  # fmt: skip


def periods() -> st.SearchStrategy[Period]:
    """Draw a period; often the one that nobody names."""
    pairs = [(first, after) for first in DAYS for after in DAYS if first < after]
    return st.one_of(
        st.just((None, None)),
        st.sampled_from(pairs),
        st.sampled_from(pairs),
        st.sampled_from([(first, None) for first in DAYS]),
        st.sampled_from([(None, after) for after in DAYS]),
    )
