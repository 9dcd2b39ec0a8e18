"""Reviews at any moment: figures fixed for ever, actions as a naive replay has them."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.periods import period_of
from oracle.reviews import closings_changed, review_at, reviews_at, stream_of
from oracle.rows import seen
from properties.effort import TALLY, examples
from properties.keyed import KeyedFact, Saying, keyed_history, tell_all
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from properties.test_retrospective import DAY, LASTS, MONTHS
from properties.world import OWNERS, START, at, deal_id, instant
from salesflow.domain import review as reviews
from salesflow.domain.review import (
    ActionAgreed,
    ActionCarriedOver,
    ActionCompleted,
    ActionDropped,
    CarriedAction,
    FindingRecorded,
    ReviewClosed,
    ReviewOpened,
    review_id,
)
from salesflow.errors import NotFoundError
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.folds.review import REVIEW
from salesflow.projections.folds.review_action import REVIEW_ACTION
from salesflow.projections.review import reviewed_period
from salesflow.projections.review.retrospective import Retrospective
from salesflow.projections.review.reviewed_period import ActionOfReview, ReviewedPeriod

KEYS = ("r0", "r1", "r2")
PARTS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"owner": "ann"},
    {"team": "east"},
    {"process": "standard"},
)
QUESTIONS = 6
Mistake = Callable[[pytest.MonkeyPatch], None]


def opened(number: int) -> Callable[[Random], KeyedFact]:
    def make(chance: Random) -> KeyedFact:
        first = chance.randrange(len(MONTHS) - 1)
        fact: dict[str, Any] = {
            "review": KEYS[number],
            "from_": MONTHS[first],
            "to": MONTHS[min(first + chance.choice((1, 3)), len(MONTHS) - 1)],
            **chance.choice(PARTS),
        }
        if number and chance.randrange(4):
            fact["follows"] = KEYS[number - 1]
            kept = {"text": "carry on", "owner": chance.choice(OWNERS), "due": day(chance)}
            kept |= {"agreed_in": KEYS[0]}
            fact["carried"] = tuple(
                CarriedAction.model_validate({"action": f"a{n}", **kept})
                for n in range(chance.randrange(3))
            )
        for name in ("as_of", "known_at"):
            if chance.randrange(3) == 0:
                fact[name] = at(instant(START) + chance.randrange(LASTS) * DAY)
        return KeyedFact(review_id(KEYS[number]), ReviewOpened.model_validate(fact))

    return make


def day(chance: Random) -> date:
    return date(2024, 1, 1) + timedelta(days=chance.randrange(LASTS))


def other(chance: Random) -> KeyedFact:
    action = f"a{chance.randrange(4)}"
    facts = (
        FindingRecorded(text="found", figure="win_rate", deal=deal_id(1)),
        ActionAgreed(action=action, text="do it", owner=chance.choice(OWNERS), due=day(chance)),
        ActionAgreed(action=action, text="do so", owner=chance.choice(OWNERS), due=day(chance)),
        ActionCompleted(action=action, result="done so"),
        ActionDropped(action=action, because="no use"),
        ActionCarriedOver(action=action, due=chance.choice((None, day(chance)))),
        ReviewClosed(summary="over"),
        ReviewOpened(review=chance.choice(KEYS), from_=MONTHS[0], to=MONTHS[2]),
    )
    return KeyedFact(review_id(chance.choice(KEYS)), chance.choice(facts))


def history_of(seed: int) -> list[Saying]:
    openings = [opened(number) for number in range(len(KEYS))]
    return keyed_history(seed, openings, [other], count=45)


def said_of_action(each: ActionOfReview) -> tuple[Any, ...]:
    ended = None if each.ended_at is None else instant(each.ended_at)
    return (
        *(each.review, each.action, each.text, each.owner, each.due.isoformat()),
        *(each.state, each.overdue, each.agreed_in, instant(each.agreed_at), ended),
        each.outcome,
    )


def said_of_review(review: ReviewedPeriod) -> dict[str, Any]:
    return {
        "follows": review.follows,
        "followed_by": list(review.followed_by),
        "opened": instant(review.opened_at),
        "closed": None if review.closed_at is None else instant(review.closed_at),
        "fixed": (instant(review.fixed_as_of), instant(review.fixed_known_at)),
        "findings": [
            (it.position, instant(it.found_at), it.figure, str(it.deal), it.text)
            for it in review.findings
        ],
        "actions": [*map(said_of_action, review.actions)],
        "actions_open": review.actions_open,
        "actions_before": [*map(said_of_action, review.actions_before)],
    }


def said_of_deals(review: ReviewedPeriod) -> dict[str, Any]:
    return {
        str(it.deal): tuple(
            (outcome, None if closed is None else instant(closed), amount, currency)
            for outcome, closed, amount, currency in (
                (it.outcome_fixed, it.closed_fixed, it.amount_fixed, it.currency_fixed),
                (it.outcome_now, it.closed_now, it.amount_now, it.currency_now),
            )
        )
        for it in review.deals
    }


def check(player: Player, seed: int, met: Counter[str]) -> None:
    """Ask of reviews at random moments, and compare with the oracle and the period alone."""
    raw, chance = raw_log(player.flow), Random(seed)
    instants = knowledge(raw)
    for _ in range(QUESTIONS):
        key = chance.choice(KEYS)
        as_of = instant(START) + chance.choice((90, 130, 170, 200, 230)) * DAY
        known_at = chance.choice((instants[-1], chance.choice(instants)))
        wanted = review_at(raw, key, as_of, known_at)
        TALLY["reviews asked at a moment"] += 1
        question = Retrospective(review=key)
        try:
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
        except NotFoundError:
            assert wanted is None, (key, as_of, known_at, shown(raw))
            continue
        assert wanted is not None, (key, as_of, known_at, shown(raw))
        review = view.review
        assert review is not None
        said = said_of_review(review)
        assert said == {name: wanted[name] for name in said}, (as_of, known_at, shown(raw))
        only = {name: wanted[name] for name in ("owner", "team", "process")}
        days = date.fromisoformat(wanted["from"]), date.fromisoformat(wanted["to"])
        span, fixed = period_of(*days, as_of), wanted["fixed"]
        changed = closings_changed(raw, span, fixed, known_at, only)
        assert said_of_deals(review) == changed, (as_of, known_at, shown(raw))
        met.update(noted(review))
        if chance.randrange(3) == 0:
            compare_with_period(player, view, (*days, only), known_at)


def noted(review: ReviewedPeriod) -> set[str]:
    found = {name for name, value in review if value}
    found |= {each.state for each in (*review.actions, *review.actions_before)}
    return found


def compare_with_period(player: Player, view: Any, asked: Any, known_at: int) -> None:  # noqa: ANN401
    """The figures are those that the period alone has at the moment, and as known now."""
    first, after, only = asked
    question = Retrospective.model_validate({"from_": first, "to": after, **only})
    moment = {"as_of": view.review.fixed_as_of}
    try:
        fixed = player.flow.ask(question, **moment, known_at=view.review.fixed_known_at)
        now = player.flow.ask(question, **moment, known_at=at(known_at))
    except NotFoundError:
        return  # a team that nobody was in by then
    beside = {"moment", "review", "names", "known_since", "unmet"}
    assert view.model_dump(exclude=beside) == fixed.model_dump(exclude=beside)
    figures = [
        {(each.figure, each.currency): each.value for each in side.figures}
        for side in (fixed, now)
    ]
    for each in view.review.figures:
        values = [side.get((each.figure, each.currency)) for side in figures]
        assert [each.fixed, each.now] == values
        if None not in values:
            assert each.change == Decimal(values[1] or 0) - Decimal(values[0] or 0)


EXPECTED = {
    "findings", "actions", "actions_before", "followed_by", "closed_at", "summary",
    "figures_changed", "deals", "done", "dropped", "carried_over", "open",
}  # fmt: skip


def agree(url: str, count: int, met: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=st.integers(0, 2**32).map(history_of), asked=st.integers(0, 2**32))
    def reviewed(history: list[Saying], asked: int) -> None:
        with Player(url) as player:
            tell_all(player, history)
            check(player, asked, met)

    reviewed()


def test_a_review_at_any_moment_is_what_a_naive_replay_says_of_it(database_url: str) -> None:
    met: Counter[str] = Counter()
    agree(database_url, 6, met)
    assert set(met) >= EXPECTED, "of the others this property says nothing"


@examples(2)
@given(history=st.integers(0, 2**32).map(history_of))
def test_the_tables_of_reviews_and_actions_hold_what_a_naive_replay_says(
    database_url: str, history: list[Saying]
) -> None:
    with Player(database_url) as player:
        tell_all(player, [said for said in history if said.stream in map(review_id, KEYS)])
        player.flow.catch_up()
        raw = raw_log(player.flow)
        tables = [rows_of(player.flow, table.name) for table in (REVIEW, REVIEW_ACTION)]
        for known_at in knowledge(raw)[::3]:
            for as_of in range(instant(START), instant(START) + 260 * DAY, 30 * DAY):
                TALLY["moments of tables of reviews"] += 1
                found = [[row for row in rows if seen(row, as_of, known_at)] for rows in tables]
                wanted = reviews_at(raw, as_of, known_at)
                assert {
                    row["review"]: (row["opened"], row["closed"], row["actions_open"])
                    for row in found[0]
                } == {
                    key: (it["opened"], it["closed"], still_open(it))
                    for key, it in wanted.items()
                }, (as_of, known_at, shown(raw))
                assert {
                    (row["entity_id"], row["action"]): (row["owner"], row["due"], row["state"])
                    for row in found[1]
                } == {
                    (UUID(stream_of(key)).hex, name): (a["owner"], a["due"], a["state"])
                    for key, it in wanted.items()
                    for name, a in it["actions"].items()
                }, (as_of, known_at, shown(raw))


def still_open(review: dict[str, Any]) -> int:
    return len([each for each in review["actions"].values() if each["state"] == "open"])


def _ends_what_has_ended(patch: pytest.MonkeyPatch) -> None:
    right = reviews.ReviewState._end

    def ends(
        self: reviews.ReviewState, key: str, state: reviews.ActionState, *more: object
    ) -> object:
        if key in self.actions:
            again = self.actions[key]._replace(state="open")
            self.actions = {**self.actions, key: again}
        return right(self, key, state, *more)  # type: ignore[arg-type]

    patch.setattr(reviews.ReviewState, "_end", ends)


def _figures_are_fixed_today(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "salesflow.projections.review.retrospective.earlier",
        lambda _, reader: EarlierReader(reader),
    )


def _a_deal_that_closed_no_more_is_passed_by(patch: pytest.MonkeyPatch) -> None:
    right = reviewed_period._not_alike
    patch.setattr(reviewed_period, "_not_alike", lambda rows, others: right(rows, others)[:0])


@pytest.mark.parametrize(
    "mistake",
    [_ends_what_has_ended, _figures_are_fixed_today, _a_deal_that_closed_no_more_is_passed_by],
)
def test_a_review_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 25, Counter(), shrink=False)
