"""Simulated organisations in which it is known what a change of the process did to teams.

Each has 8 to 30 reps in 8 to 12 teams. A team has a lasting ability and so has a rep; months
resemble the one before (autocorrelation 0.5) of a rep and of a team, and are good or bad for
all. The change starts in teams chosen at random, by their last figures (the weakest) or by
their lasting ability (the weakest): at once, in three waves a window apart while others go on
as before, or in four waves until everybody has it. What it does differs from team to team.

The figure of a team is the mean of its reps, as an average deal is, or the sum, as sales are.
Most organisations are told to the kernel as arrays; with `--events 20` that many of each kind
are told to a real engine as deals, and `improvement-effect` is asked: what it says is laid
beside the truth and beside what the kernel says of the same figures.

    .venv/bin/python -m simulated_improvements --organisations 2000

in the folder of the tests prints the table that stands in docs/testing-figures.md.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from given import cny, opened
from questions.shop import deal_id, shop
from salesflow import ExternalEvent, Improvement, ImprovementEffect, Rep
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.improvement import improvement_id
from salesflow.domain.time import to_instant
from salesflow.projections.core.effects import Effect, EffectFigures, estimate_effect
from salesflow.projections.improvement.improvement_effect import ImprovementEffectView
from simulated_effects import EFFECT, LIKENESS, NEVER, excludes_zero, holds

__all__ = [
    "CASES",
    "CHOSEN",
    "Asked",
    "ImprovementCase",
    "ImprovementTally",
    "ThroughEvents",
    "organisation",
    "scale_of",
    "tallied",
    "through_events",
    "told_through_events",
]

Figures = npt.NDArray[np.float64]
Chosen = Literal["at random", "by last figures", "by lasting ability"]
Starts = Literal["at once", "three waves", "all in four waves"]
Measured = Literal["mean", "sum"]

CHOSEN: Final[tuple[Chosen, ...]] = ("at random", "by last figures", "by lasting ability")
STARTS: Final[tuple[Starts, ...]] = ("at once", "three waves", "all in four waves")
DIFFERING: Final = 0.3
"""How much the effect differs between teams."""
TEAM_ABILITY: Final = 0.7
TEAM_MONTHS: Final = 0.3
"""How far teams lie apart for ever, and month by month, in spreads of a rep's months."""
LEVEL: Final = 12.0
"""What a rep sells in a month on average, in the same unit, so that nothing is below 0."""


class ImprovementCase(NamedTuple):
    """How teams were chosen, what the change does, when it starts, and what is measured."""

    chosen: Chosen
    effect: float
    starts: Starts
    measured: Measured


MEASURED: Final[tuple[Measured, ...]] = ("mean", "sum")
CASES: Final = [
    ImprovementCase(*each) for each in product(CHOSEN, (0.0, EFFECT), STARTS, MEASURED)
]


class Asked(NamedTuple):
    """An organisation: what is measured, in which teams, and what was true."""

    figures: EffectFigures
    truth: float
    """The mean effect on the figures of the teams that can be compared."""
    team_of: npt.NDArray[np.int64]
    reps: Figures
    """What each rep sold in each month."""
    months: int
    """How long a window is."""
    effect: Figures
    """What it does to a rep of each team, in a month."""

    def by_rep(self) -> "Asked":
        """Return the same with reps compared, each of whom started with their team."""
        earlier, before, after = _windows(self.reps, self.figures.starts.tolist(), self.months)
        started = self.figures.started[self.team_of]
        told = EffectFigures(started, self.figures.starts, self.months, before, after, earlier)
        compared = (told.is_treated() & told.is_compared().any(axis=0)).any(axis=1)
        truth = float(self.effect[self.team_of][compared].mean())
        return self._replace(figures=told, truth=truth)


def organisation(case: ImprovementCase, draw: np.random.RandomState) -> Asked:
    """Simulate one, its sizes and times drawn too."""
    reps, months = draw.randint(8, 31), (2, 3, 6)[draw.randint(3)]
    teams = draw.randint(8, min(reps, 12) + 1)
    team_of = np.concatenate([np.arange(teams), draw.randint(0, teams, reps - teams)])
    waves = {"at once": 1, "three waves": 3, "all in four waves": 4}[case.starts]
    starts = [months * (2 + wave) for wave in range(waves)]
    ability = TEAM_ABILITY * draw.normal(size=teams)
    each = _months(ability[team_of] + 0.7 * draw.normal(size=reps), starts[-1] + months, draw)
    each += TEAM_MONTHS * _alike((teams, each.shape[1]), draw)[team_of]
    started = _started(case, _of_teams(case, each, team_of, teams), (starts, months), draw)
    effect = case.effect + DIFFERING * draw.normal(size=teams) * (case.effect != 0)
    for rep, team in enumerate(team_of):
        if started[team] < NEVER:
            each[rep, started[team] :] += effect[team]
    figures = _of_teams(case, each, team_of, teams)
    earlier, before, after = _windows(figures, starts, months)
    told = EffectFigures(started, np.array(starts), months, before, after, earlier)
    truth = _truth(case, told, effect, team_of)
    return Asked(told, truth, team_of, each, months, effect)


def _windows(figures: Figures, starts: list[int], months: int) -> list[Figures]:
    """Return the means of the windows two before, one before and after each start."""
    return [
        np.column_stack(
            [figures[:, at + far : at + far + months].mean(axis=1) for at in starts]
        )
        for far in (-2 * months, -months, 0)
    ]


def _truth(
    case: ImprovementCase, told: EffectFigures, effect: Figures, team_of: npt.NDArray[np.int64]
) -> float:
    """Return the mean effect on those who started while others had not."""
    compared = told.is_treated() & told.is_compared().any(axis=0)
    sizes = np.bincount(team_of) if case.measured == "sum" else np.ones(len(effect))
    return float((effect * sizes)[compared.any(axis=1)].mean())


def _months(ability: Figures, count: int, draw: np.random.RandomState) -> Figures:
    noise = _alike((len(ability), count), draw)
    found: Figures = LEVEL + ability[:, None] + noise + 0.5 * draw.normal(size=count)
    return found


def _alike(shape: tuple[int, int], draw: np.random.RandomState) -> Figures:
    """Return months of which each resembles the one before."""
    noise: Figures = draw.normal(size=shape)
    for month in range(1, shape[1]):
        noise[:, month] *= np.sqrt(1 - LIKENESS**2)
        noise[:, month] += LIKENESS * noise[:, month - 1]
    return noise


def _of_teams(
    case: ImprovementCase, each: Figures, team_of: npt.NDArray[np.int64], teams: int
) -> Figures:
    found = np.zeros((teams, each.shape[1]))
    np.add.at(found, team_of, each)
    if case.measured == "mean":
        found /= np.bincount(team_of, minlength=teams)[:, None]
    return found


def _started(
    case: ImprovementCase,
    figures: Figures,
    when: tuple[list[int], int],
    draw: np.random.RandomState,
) -> npt.NDArray[np.int64]:
    """Choose which teams start when."""
    starts, months = when
    teams = len(figures)
    chosen = min(max(3, round(teams * draw.uniform(0.3, 0.5))), teams - 3)
    if case.starts == "all in four waves":
        chosen = teams
    started = np.full(teams, NEVER)
    lasting = figures.mean(axis=1)
    for wave, start in enumerate(starts):
        size = (chosen + wave) // len(starts)
        weakness = {
            "at random": draw.normal(size=teams),
            "by last figures": figures[:, start - months : start].mean(axis=1),
            "by lasting ability": lasting,
        }[case.chosen]
        free = np.flatnonzero(started == NEVER)
        started[free[np.argsort(weakness[free])[:size]]] = start
    return started


class ImprovementTally(NamedTuple):
    """What was said of so many organisations of one case."""

    organisations: int
    covered: int
    covered_by_changes: int
    covered_by_adjusted: int
    both: int
    evidence: int
    too_few: int
    """How often nothing was concluded: fewer than three teams in a group."""

    def share(self, count: int) -> float:
        """Return a count as a share of those of which anything was concluded."""
        return count / max(self.organisations - self.too_few, 1)


def tallied(
    case: ImprovementCase, organisations: int, seed: int, *, by_rep: bool = False
) -> ImprovementTally:
    """Simulate organisations of one case, and compare what is said with what was true."""
    draw = np.random.RandomState(seed)
    counts = np.zeros(6, np.int64)
    for _ in range(organisations):
        asked = organisation(case, draw)
        asked = asked.by_rep() if by_rep else asked
        effect = estimate_effect(asked.figures, permuted=False)
        counts += [*_said(effect, asked.truth)]
    return ImprovementTally(organisations, *counts.tolist())


def _said(effect: Effect, truth: float) -> Iterator[bool]:
    both = [
        None if each is None else each.interval for each in (effect.changes, effect.adjusted)
    ]
    if effect.range is None or None in both:
        yield from (False, False, False, False, False, True)
        return
    yield holds(effect.range, truth)
    for interval in both:
        assert interval is not None
        yield holds(interval, truth)
    yield excludes_zero(effect)
    yield effect.verdict == "evidence"
    yield False


# The same, told to a real engine.

DAYS: Final = 30
UNIT: Final = 100
"""What one is in CNY."""
FIRST: Final = date(2022, 1, 1)


METRIC: Final[dict[Measured, str]] = {"mean": "sales_per_customer", "sum": "sales"}
"""Each deal is of a customer of its own."""


def through_events(case: ImprovementCase, asked: Asked) -> tuple[ImprovementEffectView, Effect]:
    """Tell an organisation as deals that are won, ask the question, and give both answers."""
    cents = np.rint(asked.reps * UNIT * 100).astype(np.int64)
    with shop() as books:
        books.turn("2021-01-01")
        with books.flow.session() as session:
            for rep, team in enumerate(asked.team_of.tolist()):
                session.add(Rep.join(f"r{rep}", team=f"t{team:02}", name=f"Rep {rep}"))
            trial = Improvement.propose(
                "trial", hypothesis="It helps", change="strategy", metric=METRIC[case.measured]
            )
            session.add(trial)
        books.turn("2026-06-01")
        books.flow.record([*_deals(cents)])
        with books.flow.session() as session:
            trial = session.get(Improvement, improvement_id("trial"))
            for team, start in enumerate(asked.figures.started.tolist()):
                if start < NEVER:
                    day = FIRST + timedelta(days=start * DAYS)
                    trial.start(team=f"t{team:02}", occurred_at=day)
        question = ImprovementEffect(improvement="trial", window=asked.months * DAYS)
        view = books.flow.ask(question)
    times = scale_of(case, asked)
    its = asked.figures
    scaled = its._replace(
        before=its.before * times, after=its.after * times, earlier=its.earlier * times
    )
    return view, estimate_effect(scaled)


def scale_of(case: ImprovementCase, asked: Asked) -> int:
    """Return how many CNY of a window one of a month is."""
    return UNIT * (asked.months if case.measured == "sum" else 1)


def _deals(cents: npt.NDArray[np.int64]) -> Iterator[ExternalEvent]:
    """Yield a deal that each rep won in the middle of each month, for what they sold."""
    reps, months = cents.shape
    for rep, month in product(range(reps), range(months)):
        at = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(
            days=month * DAYS + DAYS // 2
        )
        amount = cny(f"{cents[rep, month] / 100:.2f}")
        stream = deal_id(rep * months + month)
        begun = opened(owner=f"r{rep}", amount=amount, customer_id=stream)
        yield ExternalEvent(stream, begun, to_instant(at))
        later = to_instant(at + timedelta(days=1))
        yield ExternalEvent(stream, DealWon(), later)


def main() -> None:
    """Print the table of docs/testing-figures.md."""
    options = argparse.ArgumentParser(description="What is said of changes that are known")
    options.add_argument("--organisations", type=int, default=200)
    options.add_argument("--events", type=int, default=0, help="of each kind, through events")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--by-rep", action="store_true", help="compare reps, not teams")
    given = options.parse_args()
    sys.stdout.write(
        "| chosen | effect | starts | figure | range | changes | adjusted | both | evidence |"
        " too few |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    for case in CASES:
        found = tallied(case, given.organisations, given.seed, by_rep=given.by_rep)
        counts = (
            *(found.covered, found.covered_by_changes, found.covered_by_adjusted),
            *(found.both, found.evidence),
        )
        cells = [f"{found.share(each):.1%}" for each in counts]
        named = (case.chosen, str(case.effect), case.starts, case.measured, *cells)
        few = f"{found.too_few / found.organisations:.1%}"
        sys.stdout.write(f"| {' | '.join((*named, few))} |\n")
        sys.stdout.flush()
    if given.events:
        sys.stdout.write(f"\n{told_through_events(CASES, given.events, given.seed)}\n")


class ThroughEvents(NamedTuple):
    """What the question said of organisations that were told to a real engine."""

    organisations: int
    covered: int
    without_effect: int
    false_evidence: int
    alike: int
    """How often the verdict is the kernel's, and so are all estimates, but for the cents to
    which deals were rounded."""


def told_through_events(
    cases: Sequence[ImprovementCase], each: int, seed: int
) -> ThroughEvents:
    """Tell so many organisations of each case, ask, and compare what is said with the truth."""
    draw, counts = np.random.RandomState(seed), np.zeros(4, np.int64)
    for case, _ in product(cases, range(each)):
        asked = organisation(case, draw)
        view, kernel = through_events(case, asked)
        said = view.effect
        assert said is not None
        assert said.range is not None
        truth = asked.truth * scale_of(case, asked)
        is_false = not case.effect
        counts += [
            holds(said.range, truth),
            is_false,
            is_false and view.verdict == "evidence",
            view.verdict == kernel.verdict and _near(said, kernel),
        ]
    return ThroughEvents(each * len(cases), *counts.tolist())


def _near(said: Effect, kernel: Effect) -> bool:
    pairs = ((said.changes, kernel.changes), (said.adjusted, kernel.adjusted))
    values = [(float(one.value), float(other.value)) for one, other in pairs if one and other]
    return len(values) == 2 and all(
        abs(one - other) <= 0.05 + abs(other) / 1_000 for one, other in values
    )


if __name__ == "__main__":
    main()
