"""How long until something happens: both estimators, by hand and against statsmodels."""

import warnings
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from salesflow.projections.core import statistics
from salesflow.projections.core.statistics import Survival

CAUSES = ("won", "lost", "disqualified")


Spell = tuple[int, str | None]


def spells(*told: Spell) -> list[Spell]:
    return list(told)


def survival(told: Sequence[Spell], after: Sequence[int] = ()) -> Survival:
    lasted = np.array([time for time, _ in told], np.int64)
    causes = np.array([-1 if c is None else CAUSES.index(c) for _, c in told], np.int64)
    return statistics.survival(lasted, causes, CAUSES, after)


def lasting(found: Survival) -> list[Fraction | None]:
    return [None if c.lasting is None else Fraction(*c.lasting) for c in found.chances]


def ended(found: Survival, cause: str) -> list[Fraction | None]:
    return [
        None if c.ended is None else Fraction(*c.ended.get(cause, (0, 1)))
        for c in found.chances
    ]


def test_a_censored_spell_counts_as_long_as_it_was_watched() -> None:
    told = spells((1, "won"), (2, None), (3, "lost"), (3, "won"), (4, None))
    found = survival(told, after=(0, 1, 2, 3, 4))
    assert lasting(found) == [
        Fraction(1),
        Fraction(4, 5),
        Fraction(4, 5),
        Fraction(4, 15),
        Fraction(4, 15),
    ]
    assert ended(found, "won")[3] == Fraction(1, 5) + Fraction(4, 15)
    assert ended(found, "lost")[3] == Fraction(4, 15)
    assert [chance.at_risk for chance in found.chances] == [5, 5, 4, 3, 1]
    assert found.causes == {"won": 2, "lost": 1}


def test_what_ends_after_some_time_precedes_what_is_censored_then() -> None:
    found = survival(spells((5, "won"), (5, None), (5, None), (9, "won")), after=(5, 9))
    assert lasting(found) == [Fraction(3, 4), Fraction(0)]


def test_exactly_half_is_enough_for_the_median() -> None:
    assert survival(spells((1, "won"), (2, "won"), (3, "won"), (4, "won"))).median == 2
    assert survival(spells((1, "won"), (2, "won"), (3, "won"))).median == 2


def test_there_is_no_median_where_fewer_than_half_have_ended() -> None:
    assert survival(spells((1, "won"), (2, None), (3, None))).median is None


def test_nothing_is_known_beyond_the_last_one_watched() -> None:
    found = survival(spells((1, "won"), (2, None)), after=(2, 3))
    assert lasting(found) == [Fraction(1, 2), None]
    assert ended(found, "won") == [Fraction(1, 2), None]


def test_when_all_have_ended_it_stays_so() -> None:
    found = survival(spells((1, "won"), (2, "lost")), after=(100,))
    assert (lasting(found), ended(found, "lost")) == ([Fraction(0)], [Fraction(1, 2)])


def test_of_nothing_nothing_is_known() -> None:
    found = survival([], after=(30,))
    assert (found.spells, found.median, lasting(found)) == (0, None, [None])


def test_a_spell_of_no_length_counts() -> None:
    found = survival(spells((0, "won"), (0, None), (1, "lost")), after=(0, 1))
    assert lasting(found) == [Fraction(2, 3), Fraction(0)]
    assert ended(found, "lost") == [Fraction(0), Fraction(2, 3)]


TOLD = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from((*CAUSES, None, None))),
    min_size=1,
    max_size=80,
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(TOLD)
def test_the_shares_that_last_and_that_ended_make_one(told: list[Spell]) -> None:
    for chance in survival(told, after=range(26)).chances:
        if chance.lasting is not None and chance.ended is not None:
            shares = [chance.lasting, *chance.ended.values()]
            assert sum(Fraction(*share) for share in shares) == 1


def by_hand(told: list[Spell], after: int) -> tuple[Fraction, dict[str, Fraction]]:
    """Multiply and add up as the two estimators are defined, time by time."""
    lasting, ended = Fraction(1), dict.fromkeys(CAUSES, Fraction(0))
    for time in sorted({time for time, _ in told if time <= after}):
        at_risk = sum(each >= time for each, _ in told)
        for cause in CAUSES:
            ended[cause] += lasting * Fraction(told.count((time, cause)), at_risk)
        lasting *= 1 - Fraction(sum(told.count((time, c)) for c in CAUSES), at_risk)
    return lasting, ended


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(TOLD)
def test_every_share_is_exactly_what_the_estimators_are_defined_as(told: list[Spell]) -> None:
    found = survival(told, after=range(26))
    for chance in found.chances:
        lasting, ended = by_hand(told, chance.after)
        if chance.lasting is not None and chance.ended is not None:
            assert Fraction(*chance.lasting) == lasting
            shares = {cause: Fraction(*share) for cause, share in chance.ended.items()}
            assert shares == {cause: share for cause, share in ended.items() if share}
    times = (time for time, cause in sorted(told, key=str) if cause is not None)
    half = [time for time in times if by_hand(told, time)[0] <= Fraction(1, 2)]
    assert found.median == min(half, default=None)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(TOLD)
def test_statsmodels_estimates_the_same(told: list[Spell]) -> None:
    assert_alike(told, after=range(1, 26))


def assert_alike(told: Sequence[Spell], after: Sequence[int]) -> None:
    """Compare with statsmodels at every time; it wants an event, and knows no time 0."""
    told = [(lasted + 1, cause) for lasted, cause in told]
    times = [lasted for lasted, _ in told]
    kinds = [0 if cause is None else CAUSES.index(cause) + 1 for _, cause in told]
    if not any(kinds):
        return
    found = survival(told, after=[at + 1 for at in after])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its standard errors divide by 0 where all have ended
        whole = SurvfuncRight(times, [int(kind > 0) for kind in kinds])
        parts = CumIncidenceRight(times, kinds)
    for at, ours, chance in zip(after, lasting(found), found.chances, strict=True):
        if ours is None:
            continue
        steps = [
            s for t, s in zip(whole.surv_times, whole.surv_prob, strict=True) if t <= at + 1
        ]
        assert float(ours) == pytest.approx(steps[-1] if steps else 1.0, abs=1e-12)
        assert chance.ended is not None
        for number, cause in enumerate(CAUSES[: len(parts.cinc)]):
            theirs = [
                c for t, c in zip(parts.times, parts.cinc[number], strict=True) if t <= at + 1
            ]
            share = Fraction(*chance.ended.get(cause, (0, 1)))
            assert float(share) == pytest.approx(theirs[-1] if theirs else 0.0, abs=1e-12)


LONG = st.integers(0, 2**2_600)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(LONG, LONG, st.sampled_from((1, 3, 10**30, 2**2_100)))
def test_long_numbers_are_divided_to_the_same_digits(part: int, more: int, times: int) -> None:
    whole = max(part, more, 1)
    for one, other in ((part, whole), (part * times, whole * times), (times, whole * times)):
        assert str(statistics.ratio(one, other)) == str(Decimal(one) / other)


@pytest.mark.parametrize(
    "shares", [(0, 7), (7, 7), (1, 2), (1, 3), (2, 3), (20, 2), (5, 10**29 + 1)]
)
def test_shares_of_long_numbers_are_those_of_short_ones(shares: tuple[int, int]) -> None:
    part, whole = shares
    wanted = str(Decimal(part) / whole)
    assert str(statistics.ratio(part << 3_000, whole << 3_000)) == wanted
