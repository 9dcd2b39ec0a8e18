"""The pipeline's books hold exactly the movements a naive replay finds, whenever asked."""

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given

from oracle.beliefs import Raw
from oracle.deals import deals_of
from oracle.flows import movements_of
from properties.effort import TALLY, examples
from properties.moments import knowledge
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from salesflow.engine import SalesFlow
from salesflow.projections.folds.pipeline import KINDS, LEG, PIPELINE

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

    @examples(100)
    @given(history=acts(3, least=12, most=24, themes=THEMES))
    def books(history: list[Act]) -> None:
        with Player(database_url) as player:
            for act in history:
                player.play(act)
                if act.gap % 2:
                    player.flow.catch_up()
            seen.update(check_books(player.flow))

    books()
    assert set(seen) == set(KINDS), "of the other kinds this property says nothing"


def check_books(flow: SalesFlow) -> Counter[str]:
    """Compare the books with a replay at every instant of the known axis; give the kinds."""
    flow.catch_up()
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
