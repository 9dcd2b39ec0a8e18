"""What is said of effects is right as often as it says, on organisations where they are known.

A common run tries a few organisations of each kind, and looks at all kinds together; under
torture it tries 200 of each kind and looks at each. `docs/testing-figures.md` has the figures.
"""

import pytest

from properties.effort import TALLY, TORTURE
from simulated_effects import CASES, Case, Tally, tally

ORGANISATIONS = 40 if TORTURE == 1 else 20 * max(TORTURE, 10)
LEAST, MOST = 0.90, 0.99
FALSE_EVIDENCE = 0.05


def found(case: Case) -> Tally:
    TALLY["simulated organisations"] += ORGANISATIONS
    return tally(case, ORGANISATIONS, seed=1)


def test_the_range_holds_what_is_true_and_no_effect_is_seldom_evidence() -> None:
    each = {case: found(case) for case in CASES}
    covered = sum(its.covered for its in each.values()) / (len(CASES) * ORGANISATIONS)
    assert LEAST <= covered <= MOST
    without = [its for case, its in each.items() if not case.effect]
    assert sum(its.evidence for its in without) / (len(without) * ORGANISATIONS) <= 0.05
    some = [its.evidence for case, its in each.items() if case.effect]
    assert sum(some), "an effect is seen in some of them"


if TORTURE > 1:  # which takes minutes

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_the_range_of_each_kind_of_organisations_holds_what_is_true(case: Case) -> None:
        its = found(case)
        assert LEAST <= its.share(its.covered) <= MOST
        if not case.effect:
            assert its.share(its.evidence) <= FALSE_EVIDENCE


def test_either_estimate_alone_is_wrong_too_often_where_people_were_picked() -> None:
    """The control: by the bar that the range passes, either estimate alone fails."""
    for case in CASES:
        if case.chosen == "by last figures" and case.groups == 3 and not case.effect:
            its = tally(case, 30, seed=1)
            assert its.share(its.covered_by_changes) < LEAST <= its.share(its.covered)
        if case.chosen == "by lasting ability" and case.groups == 3 and not case.effect:
            its = tally(case, 30, seed=1)
            assert its.share(its.covered_by_adjusted) < LEAST <= its.share(its.covered)
