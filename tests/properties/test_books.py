"""The pipeline's books hold exactly the movements a naive replay finds, whenever asked.

And they balance: opening + movements + restated = closing, in any part of the pipeline.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import deals_of
from oracle.flows import movements_of
from properties.asked import CASES
from properties.asked.periods import periods
from properties.effort import TALLY, examples
from properties.histories import Told, told
from properties.moments import Pick, instants, knowledge, picks
from properties.playing import Act, Player, acts, rep_acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from properties.reps import TEAMS
from properties.world import DELTAS, FIRST_REP, OWNERS, STAGES, at
from salesflow.engine import SalesFlow
from salesflow.errors import NotFoundError
from salesflow.projections.core.columns import Column, Words
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import KINDS, LEG, PIPELINE
from salesflow.projections.pipeline import flow_lines
from salesflow.projections.pipeline.flow import Flow, FlowAccount, FlowFigures
from salesflow.projections.pipeline.flow_lines import InTeams
from salesflow.projections.scope import TeamChange, Teams

MILLION = 1_000_000
THEMES = (
    ("forecast", "forecast", "moved", "lines"),
    ("merged", "unmerged", "owner", "moved"),
    ("moved", "won", "lost", "disqualified", "reopened", "migrated", "opened"),
    ("won", "amended", "reopened", "lines", "forecast"),
)
"""Words about what changes where a deal stands."""
Posted = tuple[str, int, str, str, tuple[Any, ...], tuple[Any, ...]]


def test_the_movements_that_stand_at_any_moment_are_those_of_a_naive_replay(
    database_url: str,
) -> None:
    seen: Counter[str] = Counter()

    @examples(40)
    @given(history=acts(3, least=12, most=24, themes=THEMES))
    def books(history: list[Act]) -> None:
        with Player(database_url) as player:
            player.play_kept_up(history, PIPELINE)
            seen.update(check_books(player.flow))

    books()
    assert set(seen) == set(KINDS), "of the other kinds this property says nothing"


def check_books(flow: SalesFlow) -> Counter[str]:
    """Compare the books with a replay at every instant of the known axis; give the kinds."""
    raw, rows = raw_log(flow), rows_of(flow, PIPELINE.name)
    seen: Counter[str] = Counter()
    for known_at in knowledge(raw):
        TALLY["moments of books"] += 1
        wanted = replayed(raw, known_at)
        seen.update(kind for _, _, kind, *_ in wanted.elements())
        assert standing(rows, known_at) == wanted, (known_at, shown(raw))
    return seen


def standing(rows: list[dict[str, Any]], known_at: int) -> Counter[Posted]:
    """Add up signs: what was posted and not taken back by then."""
    found: Counter[Posted] = Counter()
    for row in rows:
        if row["recorded"] <= known_at:
            found[posted(row)] += row["sign"]
    assert min(found.values(), default=0) >= 0, "a movement was taken back that never stood"
    return +found


def posted(row: dict[str, Any]) -> Posted:
    stream, event = (str(UUID(str(row[name]))) for name in ("entity_id", "event_id"))
    left, entered = (leg(row, side) for side in ("left", "entered"))
    return stream, row["occurred"], row["kind"], event, left, entered


def leg(row: dict[str, Any], side: str) -> tuple[Any, ...]:
    cells = {column.name: row[f"{side}_{column.name}"] for column in LEG}
    if cells["process"] is None:
        return ()
    for name in ("amount", "probability"):
        cells[name] = Decimal(cells[name]) / MILLION
    return tuple(cells.values())


def replayed(raw: list[Raw], known_at: int) -> Counter[Posted]:
    found: Counter[Posted] = Counter()
    for stream in deals_of(raw):
        for effect, kind, event, left, entered in movements_of(raw, stream, known_at):
            cells = [() if cell is None else in_order(cell) for cell in (left, entered)]
            found[stream, effect, kind, event, cells[0], cells[1]] += 1
    return found


def in_order(cell: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(cell[column.name] for column in LEG)


PARTS: tuple[dict[str, Any], ...] = (
    *({"outcome": each} for each in ("won", "lost", "merged")),
    *({"owner": owner} for owner in OWNERS),
    *({"team": team} for team in TEAMS),
    *({"stage": stage} for stage in STAGES[:4]),
    *({"currency": "CNY"}, {"closes_from": "2024-03-10"}, {"closes_before": "2024-03-20"}),
)
"""What a part of the pipeline may be named by: most questions name one, some two."""
BY = (None, "team", "team", "team", "stage", "owner", "process")


def flows() -> st.SearchStrategy[Flow]:
    """Draw the flow of any period in any part of the pipeline."""
    return st.builds(
        lambda period, parts, by, then: Flow.model_validate(
            {"from_": period[0], "to": period[1], "by": by, "as_known_then": then}
            | {name: value for part in parts for name, value in part.items()}
        ),
        periods(),
        st.lists(st.sampled_from(PARTS), max_size=2),
        st.sampled_from(BY),
        st.booleans(),
    )


BEGUN = (
    Act("record", 2, (Told(0, "opened", 16), Told(1, "opened", 31))),
    Act("record", 6, tuple(Told(FIRST_REP + n, "opened", n) for n in range(3))),
)
"""Two deals of one rep, and three reps who join a team each."""
WORDS = ("owner", "owner", "forecast", "moved", "won", "lost", "reopened")


@st.composite
def plays(draw: st.DrawFn) -> tuple[list[Act], list[Pick], list[Flow]]:
    """Draw a history of deals and reps, moments, and flows to ask for at them."""
    history = [*BEGUN, *draw(acts(2, least=1, most=3))]
    ours = st.lists(told(2, WORDS), min_size=1, max_size=3).map(tuple)
    told_us = st.builds(Act, st.just("append"), st.integers(0, len(DELTAS) - 1), ours)
    more = st.lists(st.one_of(rep_acts(3), told_us), min_size=6, max_size=14)
    for act in draw(more):
        history.insert(draw(st.integers(2, len(history))), act)
    questions = draw(st.lists(flows(), min_size=8, max_size=8))
    return history, draw(picks(least=8, most=8)), questions


Play = tuple[list[Act], list[Pick], list[Flow]]


def check_balance(url: str, play: Play) -> Counter[str]:
    """Play a history; the books of every flow must balance, and be those of a replay."""
    history, moments, questions = play
    seen: Counter[str] = Counter()
    with Player(url) as player:
        player.play_kept_up(history, PIPELINE, MEMBERSHIP)
        raw = raw_log(player.flow)
        for pick, question in zip(moments, questions, strict=True):
            as_of, known_at = later_moment(pick, raw)
            told = (question, as_of, known_at, shown(raw))
            wanted = CASES["flow"].wanted(raw, question, as_of, known_at)
            try:
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            except NotFoundError:
                assert wanted is None, told
                continue
            for account in view.accounts:
                assert total(account) == sums(account.closing), told
                seen.update(kinds_of(account, question))
            TALLY["flows whose books balance"] += 1
            assert CASES["flow"].said(view) == wanted, told
    return seen


def later_moment(pick: Pick, raw: list[Raw]) -> tuple[int, int]:
    """Turn a pick into a moment of the later half of either axis."""
    times, known = instants(raw), knowledge(raw)
    return times[-1 - pick[0] % (len(times) // 2)], known[-1 - pick[1] % (len(known) // 2)]


def total(account: FlowAccount) -> tuple[Any, ...]:
    """Add the movements and what is restated to the opening."""
    parts = (account.opening, *account.movements, account.restated)
    return tuple(map(sum, zip(*map(sums, parts), strict=True)))


def sums(figures: FlowFigures) -> tuple[Any, ...]:
    return figures.deals, figures.amount, figures.weighted


def kinds_of(account: FlowAccount, question: Flow) -> Iterator[str]:
    by_team = "team" in (question.by, question.team and "team")
    yield from (movement.kind for movement in account.movements)
    if account.restated.events:
        yield "restated by team" if by_team else "restated"


def test_opening_movements_and_restated_make_the_closing_in_any_part_of_the_pipeline(
    database_url: str,
) -> None:
    seen: Counter[str] = Counter()

    @examples(40)
    @given(plays())
    def balanced(play: Play) -> None:
        seen.update(check_balance(database_url, play))

    balanced()
    assert {"transferred", "reorganised", "restated", "restated by team"} <= set(seen)


KNOWN_LATE: Play = (
    list(BEGUN),
    [(0, 0)],
    [Flow(from_=date(2024, 1, 2), by="team", as_known_then=True)],
)
"""Whose teams the deals of the opening are is learned after it."""


@examples(60, shrink=False)
@example(KNOWN_LATE)
@given(plays())
def always_balances(url: str, play: Play) -> None:
    check_balance(url, play)


def leaves_balances_where_they_were(patch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Sequence[TeamChange]:
        return ()

    patch.setattr(Teams, "changes", none)


def values_legs_at_the_closing(patch: pytest.MonkeyPatch) -> None:
    def last(self: Teams, reps: Column, words: Words, at: Column) -> Column:
        return right(self, reps, words, np.full_like(at, 2**61))

    right = Teams.numbers
    patch.setattr(Teams, "numbers", last)


def knew_then_what_is_known_now(patch: pytest.MonkeyPatch) -> None:
    right = InTeams.__init__

    def same(self: InTeams, _: Teams, now: Teams, **times: int) -> None:
        right(self, now, now, **times)

    patch.setattr(InTeams, "__init__", same)


def names_a_kind_for_another(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flow_lines, "REORGANISED", "transferred")


@pytest.mark.parametrize(
    "mistake",
    [
        leaves_balances_where_they_were,
        values_legs_at_the_closing,
        knew_then_what_is_known_now,
        names_a_kind_for_another,
    ],
)
def test_books_of_teams_with_a_mistake_in_them_would_be_noticed(
    sqlite_url: str,
    mistake: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        always_balances(sqlite_url)
