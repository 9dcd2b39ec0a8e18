"""Simulated organisations in which it is known what a training did, and what is said of it.

Each has 8 to 30 reps with monthly figures: a lasting ability, months that resemble the one
before (autocorrelation 0.5), and months that are good or bad for all. Some are trained, chosen
at random, by their last figures (the weakest) or by their lasting ability (the weakest), all at
once or in three groups one after the other. The true effect differs from one to another.

    .venv/bin/python -m simulated_effects --organisations 2000     (in the folder of the tests)

prints the table that stands in docs/testing-figures.md.
"""

import argparse
import sys
from itertools import product
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from salesflow.presentation.format import Estimate, Interval
from salesflow.projections.core.effects import Effect, EffectFigures, estimate_effect

__all__ = ["CASES", "Case", "Tally", "tally"]

Figures = npt.NDArray[np.float64]
Chosen = Literal["at random", "by last figures", "by lasting ability"]
NEVER: Final = 1 << 40
LIKENESS: Final = 0.5
"""Of a month to the one before."""
EFFECT: Final = 0.8
"""In the spread of a month's figures of one rep."""
DIFFERING: Final = 0.3
"""How much the effect differs between reps."""


class Case(NamedTuple):
    """How people were chosen, what the training does, and in how many groups they had it."""

    chosen: Chosen
    effect: float
    groups: int


CHOSEN: Final[tuple[Chosen, ...]] = ("at random", "by last figures", "by lasting ability")
CASES: Final = [Case(*each) for each in product(CHOSEN, (0.0, EFFECT), (1, 3))]


class Organisation(NamedTuple):
    """What is measured of one, and what was true: the mean effect on those trained."""

    figures: EffectFigures
    truth: float


def organisation(case: Case, draw: np.random.RandomState) -> Organisation:
    """Simulate one, its sizes and times drawn too."""
    reps, months = draw.randint(8, 31), (3, 6, 12)[draw.randint(3)]
    trained = min(max(3, round(reps * draw.uniform(0.25, 0.5))), reps - 3)
    starts = [months * (2 + group) for group in range(case.groups)]
    ability = draw.normal(size=reps)
    figures = _months(ability, starts[-1] + months, draw)
    started = np.full(reps, NEVER)
    for group, start in enumerate(starts):
        size = (trained + group) // case.groups
        weakness = _weakness(case.chosen, figures[:, start - months : start], ability, draw)
        free = np.flatnonzero(started == NEVER)
        started[free[np.argsort(weakness[free])[:size]]] = start
    effect = case.effect + DIFFERING * draw.normal(size=reps) * (case.effect != 0)
    for rep in np.flatnonzero(started < NEVER):
        figures[rep, started[rep] :] += effect[rep]
    windows = [
        np.column_stack(
            [figures[:, at + far : at + far + months].mean(axis=1) for at in starts]
        )
        for far in (-2 * months, -months, 0)
    ]
    earlier, before, after = windows
    told = EffectFigures(started, np.array(starts), months, before, after, earlier)
    return Organisation(told, float(effect[started < NEVER].mean()))


def _months(ability: Figures, count: int, draw: np.random.RandomState) -> Figures:
    noise = draw.normal(size=(len(ability), count))
    for month in range(1, count):
        noise[:, month] *= np.sqrt(1 - LIKENESS**2)
        noise[:, month] += LIKENESS * noise[:, month - 1]
    figures: Figures = ability[:, None] + noise + 0.5 * draw.normal(size=count)
    return figures


def _weakness(
    chosen: Chosen, last: Figures, ability: Figures, draw: np.random.RandomState
) -> Figures:
    """Return what people are chosen by, the lowest first."""
    match chosen:
        case "at random":
            return draw.normal(size=len(ability))
        case "by last figures":
            weakness: Figures = last.mean(axis=1)
            return weakness
        case "by lasting ability":
            return ability + 0.3 * draw.normal(size=len(ability))


class Tally(NamedTuple):
    """What was said of so many organisations of one case."""

    organisations: int
    covered: int
    """How often the stated range held the truth."""
    covered_by_changes: int
    covered_by_adjusted: int
    evidence: int
    both: int
    """How often both intervals excluded 0 on one side, whatever the placebo did."""
    width: float
    """The mean width of the range."""

    def share(self, count: int) -> float:
        """Return a count as a share of all."""
        return count / self.organisations


def tally(case: Case, organisations: int, seed: int) -> Tally:
    """Simulate organisations of one case, and compare what is said with what was true."""
    draw = np.random.RandomState(seed)
    covered = changes = adjusted = evidence = both = 0
    width = 0.0
    for _ in range(organisations):
        told, truth = organisation(case, draw)
        effect = estimate_effect(told, permuted=False)
        assert effect.range is not None
        covered += holds(effect.range, truth)
        changes += holds(interval_of(effect.changes), truth)
        adjusted += holds(interval_of(effect.adjusted), truth)
        evidence += effect.verdict == "evidence"
        both += excludes_zero(effect)
        width += float(effect.range.high - effect.range.low) / organisations
    return Tally(organisations, covered, changes, adjusted, evidence, both, width)


def interval_of(estimate: Estimate | None) -> Interval:
    assert estimate is not None
    assert estimate.interval is not None
    return estimate.interval


def holds(interval: Interval, truth: float) -> bool:
    return float(interval.low) <= truth <= float(interval.high)


def excludes_zero(effect: Effect) -> bool:
    both = (interval_of(effect.changes), interval_of(effect.adjusted))
    return all(each.low > 0 for each in both) or all(each.high < 0 for each in both)


def main() -> None:
    """Print the table of docs/testing-figures.md."""
    options = argparse.ArgumentParser(description="What is said of effects that are known")
    options.add_argument("--organisations", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    sys.stdout.write(
        "| chosen | effect | starts | range | changes | adjusted | width | both | evidence |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for case in CASES:
        found = tally(case, given.organisations, given.seed)
        shares = (found.covered, found.covered_by_changes, found.covered_by_adjusted)
        cells = [
            *(f"{found.share(each):.1%}" for each in shares),
            f"{found.width:.2f}",
            *(f"{found.share(each):.1%}" for each in (found.both, found.evidence)),
        ]
        named = (case.chosen, str(case.effect), str(case.groups), *cells)
        sys.stdout.write(f"| {' | '.join(named)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
