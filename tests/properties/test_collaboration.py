"""Deals on which many work together: rows and answers == a naive replay, at any moment."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.together import acts_of, handovers_of, members_of, requests_of
from properties.asked import CASES
from properties.asked.collaboration import asked
from properties.commands import TOGETHER_ORDERS
from properties.effort import TALLY, examples
from properties.histories import Append, Book, Told, raw_of, told
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, PROCESSES, at, deal_id
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import believed_history
from salesflow.domain.state import ReplayContext
from salesflow.errors import NotFoundError
from salesflow.projections.collaboration.collaboration import Collaboration
from salesflow.projections.folds import handover
from salesflow.projections.folds.collaboration import COLLABORATIONS
from salesflow.projections.folds.committee import COMMITTEES
from salesflow.projections.folds.handover import HANDOVERS
from salesflow.projections.folds.help_request import HELP_REQUESTS
from salesflow.projections.table import IntervalFold

THEMES = (
    ("messaged", "conferred", "joined", "left", "asked", "helped", "owner", "won"),
    ("owner", "owner", "handed", "handed", "took", "opened"),
    ("member", "member", "stance", "gone", "mapped", "contact", "contact", "won", "lost"),
    ("member", "mapped", "contact", "contact", "won", "lost"),
    ("joined", "left", "won", "reopened", "merged", "unmerged", "owner"),
)
YEAR = {"from_": date(2023, 7, 1), "to": date(2024, 7, 1)}
"""Nearly all that random histories tell."""


def questions() -> st.SearchStrategy[Collaboration]:
    """Draw a question; most of them about all that was told."""
    whole = asked().map(lambda question: question.model_copy(update=YEAR))
    return st.one_of(asked(), whole, whole)


def histories() -> st.SearchStrategy[list[Act]]:
    """Draw a history of anything, then much of people who work together."""
    gaps = st.integers(0, len(DELTAS) - 1)
    much = st.sampled_from(THEMES).flatmap(
        lambda words: st.lists(told(3, words), min_size=5, max_size=10).map(tuple)
    )
    together = st.builds(Act, st.sampled_from(("record", "append")), gaps, much)
    return st.tuples(
        acts(3, least=3, most=6, themes=THEMES, reps=2, orders=3 * TOGETHER_ORDERS),
        st.lists(together, min_size=5, max_size=9),
    ).map(lambda parts: parts[0] + parts[1])


def compare(player: Player, question: Collaboration, moments: list[Pick]) -> list[Any]:
    """Ask at the moments, and lay each answer beside the oracle's."""
    case, raw, found = CASES["collaboration"], raw_log(player.flow), []
    end = max(event["recorded"] for event in raw) + 30 * DELTAS[-1]
    for as_of, known_at in [*(moment_of(pick, raw) for pick in moments), (end, end)]:
        wanted = case.wanted(raw, question, as_of, known_at)
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
        except NotFoundError:
            assert wanted is None
            continue
        said = case.said(view)
        for part in wanted:
            assert said[part] == wanted[part], (part, question, as_of, known_at, shown(raw))
        found.append(view)
        _tally(wanted)
    return found


def _tally(wanted: dict[str, Any]) -> None:
    TALLY["pairs of people at a moment"] += wanted["in all"][0]
    TALLY["handovers at a moment"] += wanted["total"]["handovers"][0]
    TALLY["requests for help at a moment"] += wanted["total"]["requests"][0]
    known = wanted["closed"]["shares"]["committee_known"]
    TALLY["closed deals with a committee"] += sum(part for part, _ in known)
    TALLY["people credited at a moment"] += len([p for p in wanted["people"] if p[-1]])


@examples(10)
@given(history=histories(), moments=picks(least=3, most=3), question=questions())
def test_who_works_together_is_what_a_naive_replay_says(
    database_url: str, history: list[Act], moments: list[Pick], question: Collaboration
) -> None:
    with Player(database_url) as player:
        half = len(history) // 2
        player.play_all(history[:half])
        early = compare(player, question, moments[:1])
        player.play_kept_up(history[half:])
        compare(player, question, moments)
        for view in early:
            assert player.flow.ask(question, at=view.moment) == view


WORDS = {
    "acts": ("messaged", "conferred", "joined", "left", "asked", "helped", "owner"),
    "handovers": ("owner", "owner", "handed", "handed", "took", "opened"),
    "committee": ("member", "member", "stance", "gone", "mapped", "contact", "contact"),
}
FOR_EVER = 2**61


def of_one_deal(words: tuple[str, ...]) -> st.SearchStrategy[list[Append]]:
    """Draw the history of a deal: opened, then much is told of it."""
    opened = st.integers(0, 59).map(lambda n: Append(2, (Told(0, "opened", n),)))
    more = st.lists(
        st.builds(
            Append,
            st.integers(0, 7),
            st.lists(told(1, words), min_size=1, max_size=6).map(tuple),
        ),
        min_size=2,
        max_size=10,
    )
    return st.tuples(opened, more).map(lambda parts: [parts[0], *parts[1]])


def kept(book: Book, fold: IntervalFold) -> dict[Any, Any]:
    """Fold what is believed of the deal, and give its rows at the end, by column."""
    state = fold.start({(p.key, p.version): p for p in PROCESSES})
    names = [column.name for column in fold.table.attributes]
    rows: dict[Any, Any] = {}
    for event in believed_history(book.of(deal_id(0))):
        if type(event.fact) not in fold.facts:
            continue
        for key, row in state.apply(event):
            rows.pop(key, None)
            if row is not None:
                rows[key] = dict(zip(names, row, strict=True))
    return rows


def book_of(history: list[Append]) -> tuple[Book, list[dict[str, Any]]]:
    book = Book()
    for append in history:
        book.append(append)
    return book, [raw_of(event) for event in book.events]


@examples(150)
@given(history=of_one_deal(WORDS["acts"]))
def test_what_people_do_together_is_kept_as_a_naive_replay_tells_it(
    history: list[Append],
) -> None:
    book, raw = book_of(history)
    deal = str(deal_id(0))
    wanted = {}
    for act in acts_of(raw, deal, FOR_EVER, FOR_EVER):
        for number, person in enumerate(act["with"] or [(None, None)]):
            by = act["by"] or (None, None)
            wanted[act["position"], number] = (
                *(act["at"], act["kind"], act.get("channel"), *by, *person),
                *(act["process"], act["owner"]),
            )
    found = {key: tuple(row.values()) for key, row in kept(book, COLLABORATIONS).items()}
    TALLY["acts kept"] += len(found)
    assert found == wanted, shown(raw)
    requests = {
        (r["position"],): (
            *(r["at"], r["by"], r["department"], r["owner"]),
            *(r.get("answered_at"), r.get("answerer"), r["answers"]),
        )
        for r in requests_of(raw, deal, FOR_EVER, FOR_EVER)
    }
    asked_of = ("occurred", "asked_by", "department", "owner")
    columns = (*asked_of, "answered", "answered_by", "answers")
    rows = kept(book, HELP_REQUESTS).items()
    TALLY["requests for help kept"] += len(requests)
    assert {key: tuple(row[c] for c in columns) for key, row in rows} == requests, shown(raw)


@examples(150)
@given(history=of_one_deal(WORDS["handovers"]))
def test_what_is_handed_over_is_kept_as_a_naive_replay_tells_it(history: list[Append]) -> None:
    book, raw = book_of(history)
    wanted = {
        (h["position"],): (
            *(h["at"], h["former"], h["owner"], h["process"]),
            *(h["handed"] or (None, 0, 0, 0)),
            h["acknowledged"],
        )
        for h in handovers_of(raw, str(deal_id(0)), FOR_EVER, FOR_EVER)
    }
    found = {key: tuple(row.values()) for key, row in kept(book, HANDOVERS).items()}
    TALLY["handovers kept"] += len(found)
    assert found == wanted, shown(raw)
    state = DealState(ReplayContext({(p.key, p.version): p for p in PROCESSES}))
    for event in believed_history(book.of(deal_id(0))):
        state.evolve(event)
    told_of = [
        (h.former, h.owner, h.handed_over is not None, h.acknowledged) for h in state.handovers
    ]
    assert told_of == [(r[1], r[2], r[4] is not None, r[8] is not None) for r in found.values()]


@examples(150)
@given(history=of_one_deal(WORDS["committee"]))
def test_who_decides_is_kept_as_a_naive_replay_tells_it(history: list[Append]) -> None:
    book, raw = book_of(history)
    members = members_of(raw, str(deal_id(0)), FOR_EVER, FOR_EVER)
    wanted = {
        (person,): (" ".join(m["roles"]), m["stance"], m["met"])
        for person, m in members.items()
    }
    found = {key: tuple(row.values()) for key, row in kept(book, COMMITTEES).items()}
    TALLY["people kept who decide"] += len(found)
    assert found == wanted, shown(raw)
    state = DealState(ReplayContext({(p.key, p.version): p for p in PROCESSES}))
    for event in believed_history(book.of(deal_id(0))):
        state.evolve(event)
    assert {(str(p),): (" ".join(m.roles), m.stance) for p, m in state.committee.items()} == {
        key: row[:2] for key, row in wanted.items()
    }


def forgets_what_was_handed_ahead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handover, "NOTHING_YET", (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("mistake", "noticed_by"),
    [
        (
            forgets_what_was_handed_ahead,
            test_what_is_handed_over_is_kept_as_a_naive_replay_tells_it,
        ),
    ],
)
def test_a_mistake_would_be_noticed(
    mistake: Callable[[pytest.MonkeyPatch], None],
    noticed_by: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        noticed_by()
