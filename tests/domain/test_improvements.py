"""Improvements: proposed with what should move, started team by team, concluded."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest

from given import NOW, SHANGHAI, START, Given, day, events_of, on, read
from salesflow import testing
from salesflow.domain.event import Fact, believed_history
from salesflow.domain.improvement import (
    Improvement,
    ImprovementConcluded,
    ImprovementProposed,
    ImprovementStaggered,
    ImprovementStarted,
    ImprovementState,
    drawn_order,
    improvement_id,
)
from salesflow.errors import InputError, RuleError

TRIAL = improvement_id("trial")
TEAMS = ("east", "north", "south", "west")
PROPOSED = ImprovementProposed(
    improvement="trial",
    hypothesis="Who tries it buys it",
    change="process",
    metric="win_rate",
    teams=TEAMS,
)
EAST, WEST = ImprovementStarted(team="east"), ImprovementStarted(team="west")


def decides(
    *, given: Sequence[Given], when: Callable[[Improvement], object], then: Sequence[Fact]
) -> Improvement:
    return testing.decides(
        given=given, when=when, then=then, kind=Improvement, id=TRIAL, timezone=SHANGHAI
    )


refuses = partial(
    testing.refuses, kind=Improvement, id=TRIAL, timezone=SHANGHAI, error=RuleError
)


def judged(*given: Given) -> list[str | None]:
    improvement = ImprovementState()
    return [improvement.evolve(each) for each in believed_history(events_of(given, TRIAL))]


def test_an_improvement_names_the_figure_that_should_move() -> None:
    trial = Improvement.propose(
        "trial",
        hypothesis="Who tries it buys it",
        change="process",
        metric="win_rate",
        teams=TEAMS,
    )
    assert [each.fact for each in trial.pending] == [PROPOSED]
    assert (trial.id, trial.key, trial.progress) == (TRIAL, "trial", "proposed")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"metric": "happiness"}, "there is no metric 'happiness'"),
        ({"metric": "figure:market_share"}, "is reported from outside"),
        ({"metric": "stage_days"}, "is measured at a stage; name one"),
        ({"metric": "sales", "stage": "negotiation"}, "is not measured at a stage"),
        ({"metric": "won", "process_version": 2}, "of which process"),
        ({"metric": "won", "teams": ("east", "east")}, "a team is named twice"),
        ({"metric": "won", "hypothesis": " "}, "needs a reason"),
        ({"metric": "win_rate", "expected_effect": "20"}, "more than all of it; write 0.2"),
        ({"metric": "win_rate", "expected_effect": "-1.01"}, "write -0.0101 for -1.01 points"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: dict[str, object], match: str) -> None:
    asked = {"hypothesis": "It helps", "change": "strategy", **given}
    with pytest.raises(InputError, match=match):
        Improvement.propose("trial", **asked)  # type: ignore[arg-type]


def test_the_order_of_teams_is_drawn_by_a_seed_that_draws_it_again() -> None:
    order = drawn_order(TEAMS, 7)
    assert order == drawn_order(TEAMS[::-1], 7), "whatever order they are named in"
    assert {tuple(drawn_order(TEAMS, seed)) for seed in range(200)} >= {tuple(order), TEAMS}
    firsts = [drawn_order(TEAMS, seed)[0] for seed in range(400)]
    assert all(70 < firsts.count(team) < 130 for team in TEAMS), "each as often as the others"
    improvement = decides(
        given=[PROPOSED],
        when=lambda trial: trial.stagger(seed=7, first=day("2026-07-01"), every_days=14),
        then=[
            ImprovementStaggered.model_validate(
                {
                    "seed": 7,
                    "starts": [
                        {"team": team, "day": day("2026-07-01") + timedelta(days=14 * place)}
                        for place, team in enumerate(order)
                    ],
                }
            )
        ],
    )
    assert [*improvement.planned_starts] == order
    assert improvement.progress == "proposed", "it starts nobody"


def test_a_seed_that_nobody_chose_is_recorded_with_the_order_it_draws() -> None:
    seeds = set()
    for _ in range(3):
        trial = read(Improvement, [PROPOSED], id=TRIAL, now=NOW)
        trial.stagger(first=day("2026-07-01"))
        assert trial.seed is not None
        assert [*trial.planned_starts] == drawn_order(TEAMS, trial.seed)
        seeds.add(trial.seed)
    assert len(seeds) > 1, "it is another one each time"


def test_an_order_is_drawn_once_so_that_nobody_draws_until_they_like_it() -> None:
    trial = read(Improvement, [PROPOSED], id=TRIAL, now=NOW)
    trial.stagger(seed=7, first=day("2026-07-01"))
    with pytest.raises(
        RuleError, match="was drawn by the seed 7; to draw another one, retract"
    ):
        trial.stagger(first=day("2026-07-01"))


def test_an_order_is_drawn_of_several_teams_before_any_has_started() -> None:
    alone = PROPOSED.model_copy(update={"teams": ("east",)})
    for given, match in (
        ([alone], "names 1 teams; an order is drawn of two or more"),
        ([PROPOSED, EAST], "has started; its order is what it was"),
    ):
        refuses(
            given=given,
            when=lambda trial: trial.stagger(seed=1, first=day("2026-07-01")),
            match=match,
        )


def test_an_order_is_drawn_before_the_first_team_starts_by_it() -> None:
    for first, drawn in (("2026-05-31", None), ("2026-04-30", "2026-05-01")):
        refuses(
            given=[PROPOSED],
            when=lambda trial, first=first, drawn=drawn: trial.stagger(
                first=day(first), occurred_at=drawn and day(drawn)
            ),
            error=InputError,
            match=f"would have started on {first} already; name that day or a later one",
        )
    for on_day in (None, day("2026-05-01")):
        trial = read(Improvement, [PROPOSED], id=TRIAL)
        trial.stagger(first=on_day or NOW.date(), occurred_at=on_day)
        assert trial.planned_starts, "on that very day it may"


def test_an_order_is_drawn_as_soon_as_an_improvement_is_proposed() -> None:
    about = PROPOSED.model_dump(exclude_none=True)
    for at in (None, START):
        trial = Improvement.propose(
            about["improvement"],
            occurred_at=at,
            **{name: about[name] for name in ("hypothesis", "change", "metric", "teams")},
        )
        trial.stagger(seed=7, first=day("2026-07-01"))
        trial.start(team="east")
        assert [*trial.planned_starts] == drawn_order(TEAMS, 7)


def test_teams_start_one_by_one_and_each_once() -> None:
    trial = decides(
        given=[PROPOSED, EAST], when=lambda trial: trial.start(team="west"), then=[WEST]
    )
    assert sorted(trial.starts) == ["east", "west"]
    assert trial.progress == "running"
    refuses(
        given=[PROPOSED, EAST],
        when=lambda trial: trial.start(team="east"),
        match="'trial' has started in team 'east' already",
    )
    refuses(
        given=[PROPOSED],
        when=lambda trial: trial.start(team="moon"),
        match="team 'moon' is none of improvement 'trial'; there are east, north",
    )


def test_it_is_concluded_once_and_not_before_it_has_started() -> None:
    decides(
        given=[PROPOSED, EAST],
        when=lambda trial: trial.conclude("adopted", because="it helped"),
        then=[ImprovementConcluded(outcome="adopted", because="it helped")],
    )
    refuses(
        given=[PROPOSED],
        when=lambda trial: trial.conclude("adopted", because="it helped"),
        match="has not started by that time",
    )
    concluded = ImprovementConcluded(outcome="reverted")
    for command in (
        lambda trial: trial.conclude("adopted", because="no"),
        lambda trial: trial.start(team="west"),
        lambda trial: trial.stagger(seed=1, first=day("2026-07-01")),
    ):
        refuses(
            given=[PROPOSED, EAST, concluded], when=command, match="is concluded as reverted"
        )


def test_a_start_may_be_planned_for_a_later_day() -> None:
    trial = read(Improvement, [PROPOSED], id=TRIAL, now=NOW)
    trial.start(team="east", effective_from=day("2026-07-01"))
    assert trial.starts == {}, "it has not come"


def test_what_lost_its_ground_by_later_knowledge_is_irregular() -> None:
    assert judged(PROPOSED, EAST, EAST)[-1] == "it was started there before"
    concluded = ImprovementConcluded(outcome="adopted")
    assert judged(PROPOSED, concluded, EAST)[-1] == "started after it was concluded"
    assert judged(PROPOSED, concluded, concluded)[-1] == "the improvement was concluded before"
    assert judged(PROPOSED, PROPOSED)[-1] == "the improvement was proposed before"
    other = PROPOSED.model_copy(update={"improvement": "other"})
    assert judged(other) == ["it names another improvement, 'other'"]
    early = on(EAST, START.replace(year=2020))
    assert judged(PROPOSED, early)[-1] == "before the improvement was proposed"
