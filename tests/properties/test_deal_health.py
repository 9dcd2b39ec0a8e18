"""What speaks against open deals, where much is told that could: as a naive replay finds it.

The histories of all questions seldom leave a deal open and talked about. Here four are opened
and little else than what could speak against them is told; some close, and are the history
that the others are laid beside.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.asked.deal_health import ASKED
from properties.effort import TALLY, examples
from properties.histories import Told, told
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, at
from salesflow.errors import NotFoundError
from salesflow.projections.core.columns import Column
from salesflow.projections.folds.engagement import EngagementRows
from salesflow.projections.health import health_figures

Mistake = Callable[[pytest.MonkeyPatch], None]
DEALS, TEN_DAYS = 4, 7
THEMES = (
    ("contact",),
    ("contact", "contact", "forecast", "moved"),
    ("forecast",),
    ("forecast", "lines", "moved"),
    ("moved", "won", "lost", "disqualified", "reopened"),
    ("owner", "merged", "unmerged", "migrated", "contact"),
)
"""Words about talks, forecasts and outcomes: each has its turn."""


def dealings() -> st.SearchStrategy[list[Act]]:
    """Draw what is told of four deals, one of them in the place of one that is lost."""
    gaps, waiting = st.integers(0, len(DELTAS) - 1), [Act("append", TEN_DAYS, ())] * 5
    opening = st.tuples(*(st.integers(0, 59) for _ in range(DEALS))).map(
        lambda found: [
            *(Act("append", 2, (Told(d, "opened", n),)) for d, n in enumerate(found[:-1])),
            Act("append", TEN_DAYS, (Told(0, "contact", 1), Told(1, "contact", 4))),
            Act("append", 2, (Told(1, "forecast", 1), Told(2, "forecast", 6))),
            Act("append", 2, (Told(1, "forecast", 8), Told(2, "forecast", 5))),
            *waiting,
            Act("append", 2, (Told(0, "lost", 1), Told(3, "opened", found[0]))),
            Act("append", 2, (Told(3, "forecast", found[-1] // 7 * 7 + 6),)),
        ]
    )
    turns = (
        st.builds(
            Act,
            st.just("append"),
            gaps,
            st.lists(told(DEALS, words), min_size=3, max_size=6).map(tuple),
        )
        for words in THEMES
    )
    rest = st.tuples(*turns).flatmap(st.permutations)
    return st.tuples(opening, rest).map(lambda parts: [*parts[0], *parts[1]])


def check(url: str, history: list[Act], moments: Sequence[Pick]) -> Counter[str]:
    """Compare answers at some moments, the end among them; say what spoke against deals."""
    case, found = CASES["deal-health"], Counter[str]()
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        for as_of, known_at in [*(moment_of(pick, raw) for pick in moments), (last, last)]:
            for question in ASKED[1:4]:
                wanted = case.wanted(raw, question, as_of, known_at)
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                found.update({each.reason: each.deals for each in view.counts})
                assert case.said(view) == wanted, (question, as_of, known_at, shown(raw))
            for question in ASKED[-1:]:
                if case.wanted(raw, question, as_of, known_at) is None:
                    with pytest.raises(NotFoundError):
                        player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
    return found


@examples(10, shrink=False)
@given(history=dealings(), moments=picks(least=2, most=2))
def test_what_speaks_against_deals_is_what_a_naive_replay_finds(
    database_url: str, history: list[Act], moments: list[Pick]
) -> None:
    for reason, deals in check(database_url, history, moments).items():
        TALLY[f"deals that are {reason}"] += deals


def _names_as_written(patch: pytest.MonkeyPatch) -> None:
    """Take two ways to write a name for two people."""
    patch.setattr("salesflow.projections.folds.engagement._as_told_apart", str)


def _replies_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Go on waiting after they have answered."""
    right = EngagementRows._take

    def wrong(rows: EngagementRows, fact: object, contact: object) -> None:
        waiting = [*rows.unanswered]
        right(rows, fact, contact)  # type: ignore[arg-type]
        rows.unanswered = rows.unanswered or waiting

    patch.setattr(EngagementRows, "_take", wrong)


def _longer_than_all(patch: pytest.MonkeyPatch) -> None:
    """Count whoever stood there at all."""

    def wrong(lasted: Column, age: Column) -> Column:
        return np.full(len(age), len(lasted))

    patch.setattr(health_figures, "_as_long", wrong)


@pytest.mark.parametrize("mistake", [_names_as_written, _replies_forgotten, _longer_than_all])
def test_a_mistake_in_what_speaks_against_deals_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, mistake: Mistake
) -> None:
    mistake(monkeypatch)

    @examples(20, shrink=False)
    @given(history=dealings(), moments=picks(least=1, most=1))
    def _agree(history: list[Act], moments: list[Pick]) -> None:
        check(sqlite_url, history, moments)

    with pytest.raises((AssertionError, ValueError)):
        _agree()
