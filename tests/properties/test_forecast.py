"""Forecasts over half a year in which dates are pushed, deals slip, and much is told late.

The common histories are over before most of their deals are expected; these last as long as
the periods that are asked about, so that forecasts come true or not.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from properties.asked.forecast import ASKED, CASE
from properties.effort import TALLY, examples
from properties.facts import fact_of
from properties.merges import Telling, possible
from properties.moments import knowledge
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import HOUR, OWNERS, START, at, deal_id, instant, money
from salesflow.adapters.event_store.log import NewEvent
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.merge_checks import MAY_MERGE
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact, FactRetracted
from salesflow.domain.ids import new_id
from salesflow.errors import RuleError
from salesflow.projections.core.question import Span
from salesflow.projections.forecast import forecast, forecast_figures
from salesflow.projections.forecast.forecast import Forecast, ForecastView
from salesflow.projections.forecast.forecast_reading import OpenRow, OutcomeRow

DAY = 24 * HOUR
FIRST = date(2024, 1, 1)
LASTS = 180
DEALS, TOLD, QUESTIONS = 4, 28, 10
MONTHS = [date(2024, month, 1) for month in range(1, 8)]
PERIODS = (
    *pairwise(MONTHS),
    (date(2024, 1, 1), date(2024, 4, 1)),
    (date(2024, 4, 1), date(2024, 7, 1)),
    (date(2024, 2, 10), date(2024, 3, 5)),
    (date(2024, 3, 5), date(2024, 3, 6)),
    (None, None),
)
CHANGES = ("close", "close", "close", "no close", "amount", "amount", "category", "chance")
ENDS = ("won", "won", "lost", "reopened", "reopened", "merged", "unmerged", "amended", "refund")
WORDS = (*CHANGES, *CHANGES, *ENDS, "lines", "owner", "joined", "repeat", "retract")
Mistake = Callable[[pytest.MonkeyPatch], None]


class Said(NamedTuple):
    """What is told of a deal: which day it happened, and how many days later it was told."""

    deal: int
    what: str
    n: int
    day: int
    late: int


class Asked(NamedTuple):
    """What is asked, as of which day, and after which telling of the last ones."""

    period: tuple[date | None, date | None]
    question: dict[str, Any]
    day: int
    shift: int
    known: int


def history_of(seed: int) -> list[Said]:
    """Tell a history by chance, all of it as likely: every deal is opened early on."""
    chance = Random(seed)

    def one(deal: int, what: str, lasts: int) -> Said:
        late = chance.choice((0, 0, 0, 1, 20, 60))
        return Said(deal, what, chance.randrange(60), chance.randrange(lasts), late)

    openings = [one(deal, "open", LASTS // 3) for deal in range(DEALS)]
    rest = [one(chance.randrange(DEALS), chance.choice(WORDS), LASTS) for _ in range(TOLD)]
    return [*openings, *rest]


def questions_of(seed: int) -> list[Asked]:
    """Ask by chance: at the end of a day, at its edge, just before or after it."""
    chance = Random(seed)
    return [
        Asked(
            chance.choice(PERIODS),
            chance.choice(ASKED),
            chance.randrange(30, LASTS + 40),
            chance.choice((-1, 0, 1, 12 * HOUR)),
            chance.randrange(40),
        )
        for _ in range(QUESTIONS)
    ]


SEEDS = st.integers(0, 2**32)


def fact(said: Said) -> Fact:
    """Make the fact that is told."""
    n, close = said.n, FIRST + timedelta(days=said.day + said.n)
    if said.what == "open":
        return DealOpened(
            process=("standard", "crm")[n % 2],
            process_version=1,
            stage=("prospecting", "new")[n % 2],
            title="deal",
            owner=OWNERS[n % 3],
            amount=money(n) if n % 5 else None,
            expected_close=close if n % 4 else None,
        )
    categories = ("best_case", "commit", "omitted", "closed", "pipeline")
    forecasts: dict[str, dict[str, object]] = {
        "close": {"expected_close": close},
        "no close": {"cleared": ("expected_close",)},
        "amount": {"amount": money(n % 14)},
        "category": {"category": categories[n % 5]},
        "chance": {"probability": Decimal(n) / 100},
    }
    if said.what in forecasts:
        return ForecastGiven.model_validate(forecasts[said.what])
    return fact_of(said.what, n)


def tell(player: Player, history: list[Said]) -> None:
    """Tell it all in the order in which it became known."""
    begin = instant(START)
    for said in sorted(history, key=lambda one: (one.day + one.late, one.day)):
        player.clock.now = at(begin + (said.day + said.late) * DAY + 1)
        stored = player.flow.log.stream(deal_id(said.deal))
        if said.what != "retract":
            happened = begin + said.day * DAY
            append(player, Telling(deal_id(said.deal), fact(said), happened), said.n)
        elif stored:
            wrong = stored[-1 - said.n % len(stored)].event_id
            taken_back = FactRetracted(event_id=wrong, because="wrong")
            append(player, Telling(deal_id(said.deal), taken_back, None), said.n)


def append(player: Player, told: Telling, n: int) -> None:
    """Append a fact whatever the rules of sales say of it, as another system would have.

    What the log refuses, a merge that cannot be, is not told.
    """
    log, telling = player.flow.log, possible(player.flow, told, n)
    if telling is None:
        return
    stream, fact, occurred = telling
    draft = NewEvent(
        stream_id=stream,
        version=dict(log.versions([stream])).get(stream, 0) + 1,
        topic=fact.stored_as,
        payload=fact.to_json(),
        event_id=new_id(),
        occurred=occurred,
    )
    try:
        log.append([draft])
    except RuleError:
        assert type(fact) in MAY_MERGE, fact
        TALLY["merges refused"] += 1


def check(player: Player, asked: list[Asked], seen: Counter[str]) -> None:
    """Compare every answer with the oracle's."""
    raw = raw_log(player.flow)
    for one in asked:
        first, after = one.period
        given = {"from_": first, "to": after, **one.question}
        question = Forecast.model_validate(given)
        as_of = instant(START) + one.day * DAY + one.shift
        known_at = known(raw, one.known)
        view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
        TALLY["forecasts of half a year"] += 1
        seen.update(met(view))
        wanted = CASE.wanted(raw, question, as_of, known_at)
        assert CASE.said(view) == wanted, (question, as_of, known_at, shown(raw))


def known(raw: list[Raw], number: int) -> int:
    """Choose an instant of knowledge; every other time it is the last one."""
    instants = knowledge(raw)
    return instants[-1] if number % 2 else instants[-1 - number * 7 % len(instants)]


def met(view: ForecastView) -> set[str]:
    """Name what an answer has something to say of."""
    names: set[str] = {line.forecast_category for line in view.categories}
    lists: tuple[tuple[Any, ...], ...] = (
        view.lines, view.slippage, view.changes, view.accuracy,
    )  # fmt: skip
    for line in (line for each in lists for line in each):
        names |= {name for name, value in line if value and name not in ("group", "currency")}
    return names


EXPECTED = {
    "closed", "commit", "best_case", "pipeline", "omitted", "deals", "won", "moved", "overdue",
    "pending", "left_otherwise", "pushes", "deals_pushed_again", "increases", "decreases",
    "coverage_required", "accuracy_weighted", "accuracy_commit", "slippage_by_value",
}  # fmt: skip


def agree(url: str, count: int, seen: Counter[str], *, shrink: bool = True) -> None:
    @examples(count, shrink=shrink)
    @given(history=SEEDS.map(history_of), asked=SEEDS.map(questions_of))
    def forecasts(history: list[Said], asked: list[Asked]) -> None:
        with Player(url) as player:
            tell(player, history)
            check(player, asked, seen)

    forecasts()


def test_every_forecast_is_what_a_naive_replay_says_of_it(database_url: str) -> None:
    seen: Counter[str] = Counter()
    agree(database_url, 25, seen)
    assert set(seen) >= EXPECTED, "of the others this property says nothing"


def _overdue_is_not_slipped(patch: pytest.MonkeyPatch) -> None:
    right = OutcomeRow._make

    def make(cells: Iterable[Any]) -> OutcomeRow:
        row = tuple(cells)
        fate = "pending" if row[2] == "overdue" else row[2]
        return right((*row[:2], fate, *row[3:]))

    patch.setattr(OutcomeRow, "_make", staticmethod(make))


def _the_start_is_the_first_instant(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Span, "opening", property(lambda span: span.start))


def _what_was_known_then_is_what_is_known_now(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forecast, "min", lambda _, known: known, raising=False)


def _whatever_is_open_is_certain(patch: pytest.MonkeyPatch) -> None:
    right = OpenRow._make

    def make(cells: Iterable[Any]) -> OpenRow:
        row = tuple(cells)
        return right((*row[:4], 1_000_000, *row[5:]))

    patch.setattr(OpenRow, "_make", staticmethod(make))


def _the_best_case_is_a_commitment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forecast_figures, "COMMIT", ("closed", "commit", "best_case"))


@pytest.mark.parametrize(
    "mistake",
    [
        _overdue_is_not_slipped,
        _the_start_is_the_first_instant,
        _what_was_known_then_is_what_is_known_now,
        _whatever_is_open_is_certain,
        _the_best_case_is_a_commitment,
    ],
)
def test_a_forecast_with_a_mistake_in_it_is_found_out(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        agree(sqlite_url, 100, Counter(), shrink=False)
