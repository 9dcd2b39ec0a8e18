"""What a session shows at its end is what is read back after it: for every kind of thing.

Random commands, with a time and without one, late, just now and a little ahead, planned ones
among them, on a clock that stands for most of a session. The session's aggregates are compared
with `flow.get` after the commit.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from given import read_of
from properties.commands import COMMANDS, open_deal
from properties.customers import give_customer
from properties.effort import TALLY, examples
from properties.playing import REFUSALS, Player
from properties.reps import TEAMS, give_rep
from properties.world import HOUR, OWNERS, deal_id, stream_id
from salesflow.domain import aggregate, pending
from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.deal import Deal
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.process import SalesProcess, process_id
from salesflow.domain.rep import Rep
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.team import Team, team_id
from salesflow.domain.time import FOREVER, from_instant
from salesflow.engine import Session
from salesflow.errors import NotFoundError

State = dict[str, Any] | None
Ahead = datetime | None
KINDS: Final = (
    *("deal",) * 8,
    *("customer", "rep") * 2,
    *("team", "process", "rates", "settings", "retraction"),
)
DEAL_WORDS: Final = (*("sell", "turn", "assign", "assign", "forecast") * 4, *sorted(COMMANDS))
CUSTOMER_WORDS: Final = ("merge", "unmerge", "qualify", "loyal")
GAPS: Final = (0, 1, 1_000_000, 2 * HOUR)
"""How far sessions lie apart; never so that a plan comes into force while one is open."""
AHEAD: Final = (-3 * HOUR, 3 * HOUR + HOUR // 2, 27 * HOUR + HOUR // 2)
TIMES: Final = {"opened_at", "closed_at", "first_closed_at", "first_won_at"}


class Step(NamedTuple):
    """A command: what about, which one, when, planned how far ahead, and after what wait."""

    kind: str
    n: int
    word: int
    when: str
    back: int
    ahead: int | None
    wait: int


steps = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.integers(0, 59),
    st.integers(0, 59),
    st.sampled_from(("", "", "", "now", "now", "soon", "ago", "with", "day")),
    st.integers(0, 11),
    st.sampled_from((None, None, *AHEAD)),
    st.sampled_from((0, 0, 0, 0, 1_000_000)),
)
sessions = st.lists(
    st.tuples(st.sampled_from(GAPS), st.lists(steps, min_size=2, max_size=7)),
    min_size=3,
    max_size=6,
)


class Desk(Player):
    """Gives the steps of a session, and looks what became of them."""

    def hold(self, gap: int, told: list[Step]) -> None:
        """Hold one session and compare it with the log, unless its end is refused."""
        self.clock.turn(gap)
        there: dict[UUID, tuple[type[Aggregate], State]] = {}
        recorded = 0
        try:
            with self.flow.session() as session:
                self._give_steps(session, told)
                for id, each in session._aggregates.items():
                    there[id] = type(each), _seen(partial(_itself, each))
                    recorded += len(each.pending)
        except REFUSALS:
            return
        if session.receipt is None:
            return
        TALLY["sessions compared with the log"] += 1
        TALLY["commands compared with the log"] += recorded
        at = session.receipt.recorded
        for id, (kind, shown) in there.items():
            stored = _seen(partial(self.flow.get, kind, id))
            assert _timed(shown, at) == _timed(stored, at), (kind, told)

    def _give_steps(self, session: Session, told: list[Step]) -> None:
        for step in told:
            self.clock.turn(step.wait)
            at = self._said(step)
            base = at if isinstance(at, datetime) else self.clock.now
            ahead = None if step.ahead is None else base + timedelta(microseconds=step.ahead)
            try:
                getattr(self, f"_{step.kind}")(session, step, at, ahead)
            except REFUSALS:
                TALLY["commands refused in sessions"] += 1

    def _customer(self, session: Session, step: Step, at: OccurredAt, _: Ahead) -> None:
        number = 100 + step.n % 2
        known = self.flow.log.stream(stream_id(number)) or step.n % 3
        word = CUSTOMER_WORDS[step.word % 4] if known else "opened"
        give_customer(session, number, word, step.word, at)

    def _process(self, session: Session, step: Step, at: OccurredAt, _: Ahead) -> None:
        process = session.get(SalesProcess, process_id("standard"))
        process.retire(2 - step.n % 9 // 8, because="old", occurred_at=at)

    def _settings(self, session: Session, step: Step, _: OccurredAt, __: Ahead) -> None:
        zone = ("UTC", "Asia/Shanghai", "America/New_York")[step.n % 3]
        session.get(Settings, SETTINGS_ID).change(timezone=zone)

    def _retraction(self, session: Session, step: Step, _: OccurredAt, __: Ahead) -> None:
        stored = self.flow.log.stream(deal_id(step.n % 2))
        if stored:
            which = stored[step.word % len(stored)].event_id
            session.retract(which, because="wrong")

    def _deal(self, session: Session, step: Step, at: OccurredAt, ahead: Ahead) -> None:
        number = step.n % 2
        here = deal_id(number)
        if not (self.flow.log.stream(here) or here in session._aggregates):
            session.add(open_deal(number, step.word, at))
            return
        deal = session.get(Deal, here)
        if step.when == "with" and deal.history:
            at = deal.history[step.back % len(deal.history)].occurred_at
        word = DEAL_WORDS[step.word % len(DEAL_WORDS)]
        COMMANDS[word](session, deal, step.n, at, ahead)

    def _rep(self, session: Session, step: Step, at: OccurredAt, ahead: Ahead) -> None:
        id = stream_id(200 + step.n % 2)
        if self.flow.log.stream(id) or id in session._aggregates:
            give_rep(
                session,
                200 + step.n % 2,
                ("move", "move", "leave", "join")[step.word % 4],
                step.word,
                at,
                ahead,
            )
            return
        rep, team = OWNERS[step.n % 2], TEAMS[step.word % 3]
        session.add(Rep.join(rep, team=team, name=rep, effective_from=ahead, occurred_at=at))

    def _team(self, session: Session, step: Step, at: OccurredAt, ahead: Ahead) -> None:
        id = team_id("east")
        name = f"East {step.word % 3}"
        if self.flow.log.stream(id) or id in session._aggregates:
            team = session.get(Team, id)
            team.rename(name_en=name, name_zh=name, effective_from=ahead, occurred_at=at)
        else:
            session.add(Team.form("east", name_en=name, name_zh=name, occurred_at=at))

    def _rates(self, session: Session, step: Step, at: OccurredAt, _: Ahead) -> None:
        day = date(2024, 1, 1 + step.word % 3)
        rates = {"USD": f"1.{step.n}"}
        if self.flow.log.stream(RATES_ID) or RATES_ID in session._aggregates:
            table = session.get(RateTable, RATES_ID)
            table.publish(day=day, base="EUR", rates=rates, source="b", occurred_at=at)
        else:
            session.add(
                RateTable.begin(day=day, base="EUR", rates=rates, source="a", occurred_at=at)
            )

    def _said(self, step: Step) -> OccurredAt:
        now = self.clock.now
        match step.when:
            case "now":
                return now
            case "soon":
                return now + timedelta(seconds=step.back % 6)
            case "ago" | "with":
                return now - timedelta(microseconds=(1, 1_000_000, HOUR)[step.back % 3])
            case "day":
                return (now - timedelta(days=step.back % 3)).date()
            case _:
                return None


def _itself(found: Aggregate) -> Aggregate:
    return found


def _seen(give: Callable[[], Aggregate]) -> State:
    try:
        found = give()
        found.ensure_exists()
    except NotFoundError:
        return None
    return state_of(found)


def state_of(found: Aggregate) -> dict[str, Any]:
    """Give all that can be read of an aggregate."""
    seen = read_of(found)
    if isinstance(found, Deal):
        seen["quotes"] = found.quotes
    if isinstance(found, Deal | Rep):
        seen["irregular"] = [(event.fact, why) for event, why in found.irregular]
    if isinstance(found, RateTable):
        seen["rates"] = found.quoted(date(2100, 1, 1))
    return seen


def _timed(seen: State, recorded: int) -> State:
    """Leave out the very time of recording, which a session cannot know."""
    if seen is None:
        return None
    told = from_instant(recorded)
    close = told - timedelta(seconds=5)
    return {
        name: None
        if name in TIMES and isinstance(value, datetime) and close <= value <= told
        else value
        for name, value in seen.items()
    }


@examples(25)
@given(history=sessions)
def test_what_a_session_shows_at_its_end_is_what_is_read_back_after_it(
    database_url: str, history: list[tuple[int, list[Step]]]
) -> None:
    with Desk(database_url) as desk:
        for gap, told in history:
            desk.hold(gap, told)


@examples(60, shrink=False)
@given(history=sessions)
def sessions_agree(url: str, history: list[tuple[int, list[Step]]]) -> None:
    with Desk(url) as desk:
        for gap, told in history:
            desk.hold(gap, told)


def without_a_time_happens_when_the_session_began(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(aggregate, "is_untimed", lambda _: False)
    patch.setattr(pending, "UNTIMED", FOREVER)
    patch.setattr(Aggregate, "to_append", lambda self: (self.version, self.pending))


def test_a_session_in_which_no_time_means_its_beginning_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_time_happens_when_the_session_began(monkeypatch)
    with pytest.raises(AssertionError):
        sessions_agree(sqlite_url)
