"""Bookings and closings hold exactly what a naive replay finds, whenever asked."""

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given

from oracle.beliefs import Raw
from oracle.deals import deals_of
from oracle.rows import seen
from oracle.sales import bookings_of, closing_at
from properties.effort import TALLY, examples
from properties.moments import instants, knowledge
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from salesflow.engine import SalesFlow
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING

MILLION = 1_000_000
THEMES = (
    ("won", "amended", "amended", "refund", "repeat", "reopened"),
    ("joined", "left", "owner", "won", "repeat", "refund", "customer"),
    ("merged", "unmerged", "won", "repeat", "amended", "lost"),
    ("moved", "won", "lost", "disqualified", "reopened", "lines"),
)
"""Words about sales, and about what undoes them."""

KINDS = {
    "won", "reopened", "lost", "disqualified", "merged", "unmerged", "amended", "refunded",
    "repeated",
}  # fmt: skip

Posted = tuple[Any, ...]


def test_the_bookings_that_stand_at_any_moment_are_those_of_a_naive_replay(
    database_url: str,
) -> None:
    seen_kinds: Counter[str] = Counter()

    @examples(80)
    @given(history=acts(3, least=12, most=24, themes=THEMES))
    def bookings(history: list[Act]) -> None:
        with Player(database_url) as player:
            player.play_kept_up(history, BOOKING)
            raw, rows = raw_log(player.flow), rows_of(player.flow, BOOKING.name)
            for known_at in knowledge(raw):
                TALLY["moments of bookings"] += 1
                wanted = replayed(raw, known_at)
                seen_kinds.update(booked[2] for booked in wanted.elements())
                assert standing(rows, known_at) == wanted, (known_at, shown(raw))

    bookings()
    assert set(seen_kinds) == KINDS, "of the other kinds this property says nothing"


@examples(8)
@given(history=acts(2, least=12, most=20, themes=THEMES))
def test_how_a_deal_began_and_ended_is_what_a_naive_replay_says(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, CLOSING)
        check_closings(player.flow)


def check_closings(flow: SalesFlow) -> None:
    raw, rows = raw_log(flow), rows_of(flow, CLOSING.name)
    for known_at in knowledge(raw)[::3]:
        for as_of in instants(raw):
            TALLY["moments of closings"] += 1
            for stream in deals_of(raw):
                here = [row for row in rows if str(UUID(str(row["entity_id"]))) == stream]
                found = [said_by_row(row) for row in here if seen(row, as_of, known_at)]
                wanted = closing_at(raw, stream, as_of, known_at)
                there = [] if wanted is None else [wanted]
                assert found == there, (as_of, known_at, stream, shown(raw))


def said_by_row(row: dict[str, Any]) -> dict[str, Any]:
    amount = row["amount"] is not None and (Decimal(row["amount"]) / MILLION, row["currency"])
    day_only = row["closed_day_only"]
    return {
        "opened": (
            *(row["opened"], bool(row["opened_day_only"])),
            *(row["opened_process"], row["opened_owner"], text(row["opened_customer_id"])),
        ),
        "outcome": row["outcome"],
        "closed": (row["closed"], None if day_only is None else bool(day_only)),
        "process": row["process"],
        "process_version": row["process_version"],
        "stage": row["stage"],
        "owner": row["owner"],
        "customer": text(row["customer_id"]),
        "amount": amount or None,
        "because": row["because"],
        "competitor": row["competitor"],
    }


def text(id: object) -> str | None:
    return None if id is None else str(UUID(str(id)))


def standing(rows: list[dict[str, Any]], known_at: int) -> Counter[Posted]:
    """Add up signs: what was posted and not taken back by then."""
    found: Counter[Posted] = Counter()
    for row in rows:
        if row["recorded"] <= known_at:
            found[posted(row)] += row["sign"]
    assert min(found.values(), default=0) >= 0, "a booking was taken back that never stood"
    return +found


def posted(row: dict[str, Any]) -> Posted:
    stream, event = (str(UUID(str(row[name]))) for name in ("entity_id", "event_id"))
    amount = None if row["amount"] is None else Decimal(row["amount"]) / MILLION
    return (
        *(stream, row["occurred"], row["kind"], event, row["role"], row["person"]),
        *(Decimal(row["share"]) / MILLION, amount, row["currency"], row["process"]),
        row["process_version"],
        text(row["customer_id"]),
        *(row["lead_source"], row["credited"]),
    )


def replayed(raw: list[Raw], known_at: int) -> Counter[Posted]:
    return Counter(
        (stream, *booked)
        for stream in deals_of(raw)
        for booked in bookings_of(raw, stream, known_at)
    )
