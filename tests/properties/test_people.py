"""What is said of people at any moment is what a naive replay says, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.asked.training_effect import TRAININGS
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import START, at, instant
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.rep import RepJoined, RepLeft, RepMoved, RepState, rep_id
from salesflow.domain.rep_development import (
    CareerPlanAgreed,
    CareerStep,
    DevelopmentState,
    RepPromoted,
    SkillAssessed,
    TrainingAssigned,
    TrainingCompleted,
)
from salesflow.domain.training import TrainingCourse, TrainingOffered, training_id
from salesflow.engine import ExternalEvent
from salesflow.errors import NotFoundError
from salesflow.projections.metrics import effect_windows
from salesflow.projections.people import coaching_figures
from salesflow.projections.people.coaching import Coaching

Asked = tuple[Any, ...]
Mistake = Callable[[pytest.MonkeyPatch], None]
STAFF = ("ann", "bob", "cho", "dee", "eva", "fay")
DAYS = 70
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Told(NamedTuple):
    """What happened on a day, recorded with one of few appends, perhaps taken back."""

    what: str
    who: int
    day: int
    n: int
    append: int
    wrong: bool


def tellings() -> st.SearchStrategy[list[Told]]:
    """Draw what happened to six reps in ten weeks, in no order."""
    words = st.sampled_from(
        (
            *("deal",) * 12,
            *("completed",) * 3,
            *("assigned", "assessed", "promoted", "planned", "left", "moved", "ahead"),
        )
    )
    one = st.builds(
        Told,
        words,
        st.integers(0, len(STAFF) - 1),
        st.integers(0, DAYS - 1),
        st.integers(0, 59),
        st.integers(0, 3),
        st.integers(0, 11).map(lambda n: n == 0),
    )
    return st.lists(one, min_size=30, max_size=60)


def facts_of(told: Told, number: int) -> list[tuple[UUID, Fact, int]]:  # noqa: C901
    """Write down what was told as facts, each with its stream and its hour."""
    rep, n, training = STAFF[told.who], told.n, TRAININGS[told.n % 5 == 0]
    fact: Fact
    match told.what:
        case "deal":
            return [*_deal(rep, n, number)]
        case "completed":
            fact = TrainingCompleted(training=training)
        case "assigned":
            due = (START + (told.day + n % 20) * DAY).date()
            fact = TrainingAssigned(training=training, due=due if n % 3 else None)
        case "assessed":
            fact = SkillAssessed(
                skill=("negotiation", "communication")[n % 2],
                score=Decimal(1 + n % 5),
                scale_least=Decimal(1),
                scale_most=Decimal(5),
            )
        case "promoted":
            fact = RepPromoted(level=("junior", "senior")[n % 2])
        case "planned":
            steps = (CareerStep(level="senior"), CareerStep(level="lead"))
            fact = CareerPlanAgreed(steps=steps[: 1 + n % 2])
        case "left":
            fact = RepLeft()
        case "moved":
            fact = RepMoved(team=("east", "west")[n % 2])
        case _:
            starts = START + (told.day + n % 30) * DAY
            fact = RepPromoted(level="lead", effective_from=starts)
    return [(rep_id(rep), fact, n % 24)]


def _deal(rep: str, n: int, number: int) -> list[tuple[UUID, Fact, int]]:
    deal = UUID(int=0xDEA1_1000 + number)
    opened = DealOpened(process="standard", process_version=1, stage="prospecting", owner=rep)
    said = ContactLogged(channel="call", direction="out")
    found: list[tuple[UUID, Fact, int]] = [(deal, opened, n % 7)]
    found += [(deal, said, n % 7 + hour) for hour in range(n % 4)]
    if n % 5:
        found.append((deal, StageMoved(target="initial_contact"), n % 7 + n % 30))
        found += [(deal, said, n % 7 + n % 30 + hour) for hour in range(n % 3)]
    if n % 6:
        closing = DealWon() if n % 2 else DealLost(because="price")
        found.append((deal, closing, n % 7 + n))
    return found


def tell(player: Player, tellings: list[Told]) -> None:
    """Record it all: reps and trainings first, then each append with what it tells."""
    player.clock.turn(int((DAYS + 30) * DAY / timedelta(microseconds=1)))
    flow, begun = player.flow, instant(START)
    opening: list[ExternalEvent] = [
        ExternalEvent(rep_id(rep), RepJoined(rep=rep, team=("east", "west")[n % 3 == 2]), begun)
        for n, rep in enumerate(STAFF)
    ]
    course = TrainingCourse(name_en="Bargaining", name_zh="谈判", metric="won")
    offered = TrainingOffered(training=TRAININGS[0], course=course)
    flow.record([*opening, ExternalEvent(training_id(TRAININGS[0]), offered, begun)])
    for append in range(4):
        player.clock.turn(int(DAY / timedelta(microseconds=1)))
        batch = [
            ExternalEvent(stream, fact, instant(START + told.day * DAY + hour * HOUR))
            for number, told in enumerate(tellings)
            if told.append == append
            for stream, fact, hour in facts_of(told, number)
        ]
        if batch:
            flow.record(batch)
    wrong = [
        (stream, fact)
        for number, told in enumerate(tellings)
        if told.wrong
        for stream, fact, _ in facts_of(told, number)
    ]
    take_back(player, wrong[::3])


def take_back(player: Player, wrong: list[tuple[UUID, Fact]]) -> None:
    """Retract facts, each event once."""
    taken_back: set[UUID] = set()
    for stream, fact in wrong:
        event = next(e for e in reversed(player.flow.history(stream)) if e.fact == fact)
        if event.event_id not in taken_back:
            taken_back.add(event.event_id)
            player.clock.turn(1)
            with player.flow.session() as session:
                session.retract(event.event_id, because="it was somebody else")


def check(url: str, tellings: list[Told], moments: list[Pick], questions: Asked) -> None:
    with Player(url) as player:
        tell(player, tellings)
        raw = raw_log(player.flow)
        end = max(event["recorded"] for event in raw)
        for as_of, known_at in (*(moment_of(pick, raw) for pick in moments), (end, end)):
            for name, question in zip(("training-effect", *OTHERS), questions, strict=True):
                case = CASES[name]
                wanted = case.wanted(raw, question, as_of, known_at)
                try:
                    view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                except NotFoundError:
                    assert wanted is None
                    continue
                _tally(name, wanted)
                assert case.said(view) == wanted, (name, question, as_of, known_at, shown(raw))
                assert player.flow.ask(question, at=view.moment) == view


OTHERS = ("rep-card", "coaching")
TALKS = st.sampled_from(({}, {}, {"rep": "ann"}, {"team": "east"})).map(
    lambda of: Coaching.model_validate(
        {"from_": START.date(), "to": (START + 100 * DAY).date(), "limit": 1_000, **of}
    )
)
QUESTIONS = st.tuples(CASES["training-effect"].questions, CASES["rep-card"].questions, TALKS)


def _tally(name: str, wanted: Any) -> None:  # noqa: ANN401
    match name:
        case "training-effect":
            TALLY["reps compared by their training"] += len(wanted["people"])
        case "rep-card":
            TALLY["skills and trainings on cards"] += len(wanted["skills"]) + len(
                wanted["trainings"]
            )
        case _:
            TALLY["reps compared with their team"] += len(wanted)


@examples(5)
@given(tellings=tellings(), moments=picks(least=2, most=2), questions=QUESTIONS)
def test_people_at_any_moment_are_what_a_naive_replay_says(
    database_url: str, tellings: list[Told], moments: list[Pick], questions: Asked
) -> None:
    check(database_url, tellings, moments, questions)


def _counts_who_was_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effect_windows, "_was_there", lambda _, __, spans: [True] * len(spans))


def _counts_all_contacts(patch: pytest.MonkeyPatch) -> None:
    right = coaching_figures.StageDifferences._contacts

    def contacts(self: Any, visits: Any) -> Any:  # noqa: ANN401
        return right(self, visits) + 1

    patch.setattr(coaching_figures.StageDifferences, "_contacts", contacts)


def _develops_who_left(patch: pytest.MonkeyPatch) -> None:
    right = RepState._change

    def change(self: RepState, event: Any, opening: Any) -> Any:  # noqa: ANN401
        before = self.team
        if isinstance(event.fact, TrainingCompleted | SkillAssessed) and before is None:
            DevelopmentState._develop(self, event, event.fact)
            return None
        return right(self, event, opening)

    patch.setattr(RepState, "_change", change)


@pytest.mark.parametrize(
    "mistake", [_counts_who_was_away, _counts_all_contacts, _develops_who_left]
)
def test_a_mistake_about_people_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _people_agree(sqlite_url)


@examples(20, shrink=False)
@given(tellings=tellings(), moments=picks(least=2, most=2), questions=QUESTIONS)
def _people_agree(
    url: str, tellings: list[Told], moments: list[Pick], questions: Asked
) -> None:
    check(url, tellings, moments, questions)
