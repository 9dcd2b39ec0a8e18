"""The table of memberships says of every rep what a naive replay says, at any moment."""

from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.rows import seen
from oracle.teams import reps_of, team_at, teams_at
from properties.effort import TALLY, examples
from properties.histories import Append, Book, raw_of
from properties.mistakes import late_facts_as_they_come
from properties.moments import knowledge
from properties.playing import Act, Player
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from properties.staff import staff_acts, staff_appends
from properties.test_refolding import folded
from properties.world import at, instant
from salesflow.domain import rep as reps
from salesflow.domain.event import Event
from salesflow.domain.rep import Rep, rep_id
from salesflow.engine import SalesFlow
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.projections.folds.membership import MEMBERSHIP, MEMBERSHIPS

Mistake = Callable[[pytest.MonkeyPatch], None]


class UndoneError(Exception):
    """Raised in a session so that nothing of it is recorded."""


def times(raw: list[Raw]) -> list[int]:
    """Give the instants at which a team could change, and those beside them."""
    told = [event for event in raw if event["kind"].startswith(("rep.", "fact."))]
    edges = {t for e in told for t in (e["occurred"], effect_of(e), e["recorded"])}
    return sorted({edge + shift for edge in edges for shift in (-1, 0, 1)})


def grid(raw: list[Raw]) -> Iterator[tuple[int, int]]:
    for known_at in knowledge(raw):
        for as_of in times(raw):
            yield as_of, known_at


def check_memberships(flow: SalesFlow) -> None:
    """Look at the stored rows at every moment that could matter."""
    raw = raw_log(flow)
    rows = rows_of(flow, MEMBERSHIP.name)
    streams = {UUID(stream).hex for stream in reps_of(raw)}
    assert {UUID(row["entity_id"]).hex for row in rows} <= streams
    for as_of, known_at in grid(raw):
        found = [
            (row["rep"], row["team"])
            for row in rows
            if row["team"] is not None and seen(row, as_of, known_at)
        ]
        TALLY["moments of teams in databases"] += 1
        wanted = teams_at(raw, as_of, known_at)
        assert sorted(found) == sorted(wanted.items()), (as_of, known_at, shown(raw))


@examples(8)
@given(history=staff_acts(3), every=st.integers(1, 4))
def test_the_team_of_every_rep_is_what_a_naive_replay_says_at_every_moment(
    database_url: str, history: list[Act], every: int
) -> None:
    with Player(database_url) as staff:
        staff.play_kept_up(history, MEMBERSHIP, every=every)
        check_memberships(staff.flow)
        kept = content(staff.flow)
        staff.flow.rebuild(MEMBERSHIP.label)
        assert content(staff.flow) == kept, shown(raw_log(staff.flow))


def content(flow: SalesFlow) -> Counter[tuple[tuple[str, object], ...]]:
    return Counter(tuple(row.items()) for row in rows_of(flow, MEMBERSHIP.name))


@examples(6)
@given(history=staff_acts(2), picked=st.lists(st.integers(0, 10_000), min_size=6, max_size=6))
def test_a_rep_is_read_and_commanded_by_what_was_believed_of_that_time(
    database_url: str, history: list[Act], picked: list[int]
) -> None:
    with Player(database_url) as staff:
        staff.play_all(history)
        raw = raw_log(staff.flow)
        moments = list(grid(raw))
        now = max(instant(staff.clock.now), raw[-1]["recorded"])
        for number, pick in enumerate(picked if moments else ()):
            as_of, known_at = moments[pick * 7919 % len(moments)]
            stream = rep_id(("ann", "bob")[number % 2])
            TALLY["reps read at a moment"] += 1
            wanted = team_at(raw, str(stream), as_of, known_at)
            assert read(staff.flow, stream, as_of, known_at) == wanted, shown(raw)
            when = min(as_of, now)
            then = team_at(raw, str(stream), when, now)
            may = then is not None and begun(raw, stream, now)
            assert may_leave(staff.flow, stream, when) == may, (when, shown(raw))
            TALLY["reps who may leave at a time"] += may


def read(flow: SalesFlow, stream: UUID, as_of: int, known_at: int) -> object:
    try:
        rep = flow.get(Rep, stream, as_of=at(as_of), known_at=at(known_at))
    except NotFoundError:
        return None
    return None if rep.team is None else (rep.reference, rep.team)


def begun(raw: list[Raw], stream: UUID, now: int) -> bool:
    """Say naively whether there is such a rep by now: the opening has taken effect."""
    return begins(raw, str(stream), now) <= now


def begins(raw: list[Raw], stream: str, known_at: int) -> int:
    history = believed(of_stream(raw, stream), known_at)
    return effect_of(history[0]) if history else known_at + 1


def may_leave(flow: SalesFlow, stream: UUID, when: int) -> bool:
    try:
        with flow.session() as session:
            session.get(Rep, stream).leave(occurred_at=at(when))
            raise UndoneError
    except UndoneError:
        return True
    except (RuleError, InputError, NotFoundError):
        return False


def booked(history: list[Append]) -> list[Event]:
    book = Book()
    for append in history:
        book.append(append)
    return book.events


def check_folded(history: list[Append]) -> None:
    events = booked(history)
    raw = [raw_of(event) for event in events]
    cuts = {event.recorded for event in events}
    rows = folded(MEMBERSHIPS, events, {}, cuts, cold=False).rows
    for as_of, known_at in grid(raw):
        here = [row["attributes"] for row in rows if seen(row, as_of, known_at)]
        found = {rep: team for rep, team, _ in here if team is not None}
        TALLY["moments of teams in memory"] += 1
        assert found == teams_at(raw, as_of, known_at), (as_of, known_at, shown(raw))


@examples(30)
@given(staff_appends(2))
def test_rows_in_memory_are_what_a_naive_replay_says(history: list[Append]) -> None:
    check_folded(history)


@examples(30)
@given(staff_appends(2), st.integers(1, 5), st.booleans())
def test_rows_do_not_depend_on_where_batches_end_or_what_is_at_hand(
    history: list[Append], size: int, cold: bool
) -> None:
    events = booked(history)
    recorded = sorted({event.recorded for event in events})
    one_by_one = folded(MEMBERSHIPS, events, {}, set(recorded), cold=False)
    in_batches = folded(MEMBERSHIPS, events, {}, set(recorded[::size]), cold=cold)
    at_once = folded(MEMBERSHIPS, events, {}, set(), cold=False)
    assert one_by_one.content() == in_batches.content() == at_once.content()


def _moves_whoever_left(patch: pytest.MonkeyPatch) -> None:
    def moves(self: reps.RepState, team: str | None, _: str) -> None:
        self.team = team

    patch.setattr(reps.RepState, "_leave_for", moves)


def _joins_whoever_is_there(patch: pytest.MonkeyPatch) -> None:
    right = reps.RepState._join

    def joins(self: reps.RepState, fact: reps.RepJoined, stream_id: UUID) -> str | None:
        self.team = None
        return right(self, fact, stream_id)

    patch.setattr(reps.RepState, "_join", joins)


def _plans_hold_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Event, "effective", property(lambda event: event.occurred))


@pytest.mark.parametrize(
    "mistake",
    [
        late_facts_as_they_come,
        _moves_whoever_left,
        _joins_whoever_is_there,
        _plans_hold_at_once,
    ],
)
def test_a_membership_with_a_mistake_in_it_would_be_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _always_agrees()


@examples(150, shrink=False)
@given(staff_appends(2))
def _always_agrees(history: list[Append]) -> None:
    check_folded(history)
