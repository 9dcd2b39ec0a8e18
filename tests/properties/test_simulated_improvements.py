"""What is said of changes of the process is right as often as it says, where it is known.

A common run tries a few organisations of each kind and looks at all together, and tells a few
of them to a real engine; under torture 200 of each kind are looked at one by one.
`docs/testing-figures.md` has the figures.
"""

import numpy as np
import pytest

from properties.effort import TALLY, TORTURE
from simulated_improvements import (
    CASES,
    ImprovementCase,
    ImprovementTally,
    organisation,
    tallied,
    through_events,
    told_through_events,
)

ORGANISATIONS = 12 if TORTURE == 1 else 20 * max(TORTURE, 10)
LEAST, MOST = 0.90, 0.995
FALSE_EVIDENCE = 0.05
FEW = [CASES[0], CASES[5], CASES[14], CASES[33]]
"""Some of each: of how teams are chosen, when they start, and what is measured."""


def found(case: ImprovementCase) -> ImprovementTally:
    TALLY["simulated changes of a process"] += ORGANISATIONS
    return tallied(case, ORGANISATIONS, seed=1)


def test_the_range_of_a_change_holds_what_is_true_and_no_effect_is_seldom_evidence() -> None:
    each = {case: found(case) for case in CASES}
    covered = sum(its.covered for its in each.values()) / (len(CASES) * ORGANISATIONS)
    assert LEAST <= covered <= MOST
    without = [its for case, its in each.items() if not case.effect]
    assert sum(its.evidence for its in without) / (len(without) * ORGANISATIONS) <= 0.05
    assert sum(its.evidence for case, its in each.items() if case.effect), "some effects show"


if TORTURE > 1:  # which takes minutes

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_the_range_of_each_kind_of_change_holds_what_is_true(
        case: ImprovementCase,
    ) -> None:
        its = found(case)
        assert its.share(its.covered) >= LEAST
        if not case.effect:
            assert its.share(its.evidence) <= FALSE_EVIDENCE


def test_the_question_says_of_real_deals_what_the_kernel_says_of_the_same_figures() -> None:
    told = told_through_events(FEW, 1 if TORTURE == 1 else 20, seed=3)
    assert told.alike == told.organisations


def test_where_all_teams_change_at_once_it_is_never_more_than_before_and_after() -> None:
    draw = np.random.RandomState(1)
    for number, case in enumerate((CASES[0], CASES[6])):
        asked = organisation(case, draw)
        start = asked.figures.starts[0]
        at_once = asked.figures._replace(started=np.full(len(asked.figures.started), start))
        view, _ = through_events(case, asked._replace(figures=at_once))
        assert view.verdict in ("changed_since", "no_change_since"), number
        assert "this is before and after" in " ".join(view.table().split())


def test_either_estimate_of_a_change_alone_holds_less_often_than_it_says() -> None:
    """The control: what the range is there for is seen by the same count."""
    picked = [case for case in CASES if case.measured == "mean" and case.starts != "at once"]
    last, lasting = (
        [tallied(case, 40, 1) for case in picked if case.chosen == chosen]
        for chosen in ("by last figures", "by lasting ability")
    )
    missed = 40 * len(last) * 0.05
    assert sum(it.covered_by_changes for it in last) + missed < sum(it.covered for it in last)
    by_adjusted = sum(it.covered_by_adjusted for it in lasting)
    assert by_adjusted + missed < sum(it.covered for it in lasting)
