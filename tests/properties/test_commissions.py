"""What plans pay reps, at any moment of any history, is what a naive replay works out."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given

from oracle import commissions
from oracle.beliefs import Raw, moment
from oracle.commissions import payable_in, plan_of, statement_lines
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.payers import SEEDS, Payer, ask, careers, history_of, months, play
from properties.plans import PLAN
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import OWNERS, instant
from salesflow.engine import SalesFlow
from salesflow.projections.incentives import (
    commission_book,
    commission_reading,
    sale_credits,
)

Mistake = Callable[[pytest.MonkeyPatch], None]


def check(flow: SalesFlow, raw: list[Raw], rep: str, as_of: int, known_at: int) -> None:
    lines = statement_lines(raw, PLAN, rep, as_of, known_at)
    there = [*months(as_of)]
    settled = payable_in(raw, PLAN, rep, there, (as_of, known_at))
    for (first, last), (payable, balance) in zip(there, settled, strict=True):
        wanted = [line for when, line in lines if first <= moment(when).date() <= last]
        view = ask(flow, rep, first, as_of, known_at)
        if not plan_of(raw, PLAN, as_of, known_at):
            assert view is None
            continue
        assert view is not None
        TALLY["commission lines"] += len(wanted)
        told = [(str(each.event_id), each.credited, each.commission) for each in view.lines]
        assert sorted(told) == sorted(wanted), (rep, first, as_of, known_at, shown(raw))
        assert view.totals.payable == payable, (rep, first, as_of, known_at, shown(raw))
        assert view.totals.draw_balance == balance
        for each in view.lines:
            rated = sum((part.amount for part in each.parts), Decimal(0))
            assert abs(rated - each.commission) < Decimal("0.05"), each


@examples(12, shrink=False)
@given(rng=SEEDS, moments=picks(least=2, most=2))
def test_what_a_plan_pays_at_any_moment_is_what_a_naive_replay_says(
    database_url: str, rng: Random, moments: list[Pick]
) -> None:
    with Payer(database_url) as player:
        play(player, history_of(rng), careers(rng))
        raw = raw_log(player.flow)
        now = instant(player.clock.now)
        for rep in OWNERS:
            check(player.flow, raw, rep, now, now)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            check(player.flow, raw, OWNERS[pick[0] % len(OWNERS)], as_of, known_at)


def forgets_the_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sale_credits.SaleCredit, "is_taken_back_on", lambda *_: True)


def credits_what_is_booked_whatever_came_in(patch: pytest.MonkeyPatch) -> None:
    counted = commission_book.DealBook.counted
    patch.setattr(
        commission_book.DealBook,
        "counted",
        lambda self, sale, currency, _: counted(self, sale, currency, "closing"),
    )


def pays_for_a_product_on_the_whole_sale(patch: pytest.MonkeyPatch) -> None:
    parts_of = commission_reading._parts_of
    patch.setattr(
        commission_reading,
        "_parts_of",
        lambda deal: dict.fromkeys(parts_of(deal), Fraction(1)),
    )


def takes_no_sale_for_a_first_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commission_reading, "_first_sales", lambda _: set())


def believes_that_every_customer_is_new(patch: pytest.MonkeyPatch) -> None:
    """Put a mistake into the oracle: it is noticed as one of the engine is."""
    patch.setattr(commissions, "since_at", lambda *_: {})


MISTAKES: list[Mistake] = [
    forgets_the_window,
    credits_what_is_booked_whatever_came_in,
    pays_for_a_product_on_the_whole_sale,
    takes_no_sale_for_a_first_one,
    believes_that_every_customer_is_new,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_commissions_figured_with_a_mistake_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)

    @examples(120, shrink=False)
    @given(rng=SEEDS)
    def agrees(rng: Random) -> None:
        with Payer(sqlite_url) as player:
            play(player, history_of(rng), careers(rng))
            raw, now = raw_log(player.flow), instant(player.clock.now)
            for rep in OWNERS:
                check(player.flow, raw, rep, now, now)

    with pytest.raises(AssertionError):
        agrees()
