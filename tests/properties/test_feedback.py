"""Deals about which much is asked and said: the fold's rows == a naive replay's lines."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from oracle.feedback import lines_of
from properties.effort import TALLY, examples
from properties.histories import Append, Book, Told, raw_of, told
from properties.readable import shown
from properties.world import PROCESSES, deal_id
from salesflow.domain.event import believed_history
from salesflow.projections.folds.feedback import FEEDBACK, FEEDBACKS

FOR_EVER = 2**61
NAMES = [column.name for column in FEEDBACK.attributes]
WORDS = ("survey", "survey", "feedback", "feedback", "followed", "tagged")
ABOUT = (
    ("owner", "customer", "moved", "lost", "reopened"),
    ("lines", "quoted", "quoted", "quote_revised", "quote_accepted", "quote_accepted"),
    ("quoted", "quote_accepted", "quote_rejected", "quote_withdrawn", "quote_drafted"),
    ("opened", "migrated", "won", "merged"),
    (),
)
"""What else happens to a deal meanwhile."""


def much_said() -> st.SearchStrategy[list[Append]]:
    """Draw the history of a deal: opened, then asked about and spoken of."""
    opened = st.integers(0, 59).map(lambda n: Append(2, (Told(0, "opened", n),)))
    more = st.sampled_from(ABOUT).flatmap(
        lambda about: st.lists(
            st.builds(
                Append,
                st.integers(0, 7),
                st.lists(told(1, (*WORDS, *about)), min_size=1, max_size=6).map(tuple),
            ),
            min_size=2,
            max_size=10,
        )
    )
    return st.tuples(opened, more).map(lambda parts: [parts[0], *parts[1]])


@examples(200)
@given(history=much_said())
def test_what_was_asked_and_said_is_kept_as_a_naive_replay_tells_it(
    history: list[Append],
) -> None:
    book = Book()
    for append in history:
        book.append(append)
    raw = [raw_of(event) for event in book.events]
    wanted = {
        line["position"]: line for line in lines_of(raw, str(deal_id(0)), FOR_EVER, FOR_EVER)
    }
    found = kept(book)
    TALLY["surveys and answers kept"] += len(found)
    assert found.keys() == wanted.keys(), shown(raw)
    for position, line in wanted.items():
        assert found[position] == as_row(line), (position, shown(raw))


def kept(book: Book) -> dict[Any, dict[str, Any]]:
    """Fold what is believed of the deal, and give its rows at the end."""
    state = FEEDBACKS.start({(p.key, p.version): p for p in PROCESSES})
    rows: dict[Any, dict[str, Any]] = {}
    for event in believed_history(book.of(deal_id(0))):
        for (position,), row in state.apply(event):
            assert row is not None, "what was said is never unsaid"
            rows[position] = dict(zip(NAMES, row, strict=True))
    return rows


def as_row(line: dict[str, Any]) -> dict[str, Any]:
    """Write a line of the oracle as the table does."""
    return {
        "occurred": line["occurred"],
        "kind": "sent" if line["sent"] else "received",
        "process": line["process"],
        "process_version": line["process_version"],
        "stage": line["stage"],
        "owner": line["owner"],
        "customer_id": None if line["customer"] is None else UUID(line["customer"]),
        "lead_source": line["lead_source"],
        "products": "\n".join(line["products"]) or None,
        "survey": line["survey"],
        "scale": line["scale"],
        "score": line["score"],
        "worded": int(bool((line["text"] or "").strip())),
        "answered": int(line["answered"]),
        "followed_up": line["followed"] and line["followed"][0],
        "followed_up_by": line["followed"] and line["followed"][1],
        "followed_up_position": line["followed"] and line["followed"][2],
        "themes": "\n".join(sorted(line["themes"])) or None,
    }
