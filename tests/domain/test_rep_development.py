"""How reps develop: promoted, assessed, trained, with a career plan; late and by plan."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal

import pytest

from given import HOUR, SHANGHAI, START, Given, day, events_of, on, read
from salesflow import testing
from salesflow.domain.event import Fact, believed_history
from salesflow.domain.rep import Rep, RepJoined, RepLeft, RepState, rep_id
from salesflow.domain.rep_development import (
    CareerPlanAgreed,
    CareerStep,
    RepPromoted,
    SkillAssessed,
    TrainingAssigned,
    TrainingCompleted,
)
from salesflow.domain.state import ReplayContext
from salesflow.domain.team import (
    Team,
    TeamFormed,
    TeamLeadAppointed,
    TeamLeadReleased,
    TeamName,
    team_id,
)
from salesflow.domain.time import LATEST, to_instant
from salesflow.domain.training import Training
from salesflow.errors import InputError, RuleError, SalesflowError

JULY = datetime(2026, 7, 1, tzinfo=SHANGHAI)
ANN = rep_id("ann")
JOINED = RepJoined(rep="ann", team="east", name="Ann Li")
FAIR = SkillAssessed(
    skill="negotiation",
    score=Decimal(3),
    scale_least=Decimal(1),
    scale_most=Decimal(5),
    evidence="gave in on the first discount asked for",
)


def ann(*given: Given) -> Rep:
    return read(Rep, [JOINED, *given], id=ANN)


def decides(when: Callable[[Rep], object], *, then: Sequence[Fact]) -> Rep:
    return testing.decides(
        given=[JOINED], when=when, then=then, kind=Rep, id=ANN, timezone=SHANGHAI
    )


def refuses(
    when: Callable[[Rep], object],
    match: str,
    *given: Given,
    error: type[SalesflowError] = RuleError,
) -> None:
    testing.refuses(
        given=[JOINED, *given],
        when=when,
        error=error,
        match=match,
        kind=Rep,
        id=ANN,
        timezone=SHANGHAI,
    )


def judged(*given: Given) -> list[str | None]:
    rep = RepState()
    return [rep.evolve(each) for each in believed_history(events_of(given, ANN))]


def test_a_rep_is_promoted_to_a_level() -> None:
    rep = decides(
        lambda rep: rep.promote("senior", because="three good years"),
        then=[RepPromoted(level="senior", because="three good years")],
    )
    assert rep.level == "senior"
    refuses(
        lambda rep: rep.promote("senior"), "has level 'senior'", RepPromoted(level="senior")
    )


def test_a_promotion_may_be_planned_and_holds_from_its_day() -> None:
    rep = ann()
    rep.promote("senior", effective_from=day("2026-07-01"))
    assert (rep.level, rep.at(JULY).level) == (None, "senior")


def test_a_career_plan_names_levels_in_their_order_and_by_when() -> None:
    steps = (CareerStep(level="senior", due=date(2026, 12, 31)), CareerStep(level="lead"))
    rep = decides(
        lambda rep: rep.agree_career_plan(steps, note="wants to lead people"),
        then=[CareerPlanAgreed(steps=steps, note="wants to lead people")],
    )
    assert [step.level for step in rep.career_plan] == ["senior", "lead"]


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ((), "at least one level"),
        ((CareerStep(level="lead"), CareerStep(level="lead")), "each of them once"),
        (
            (
                CareerStep(level="senior", due=date(2027, 1, 1)),
                CareerStep(level="lead", due=date(2026, 1, 1)),
            ),
            "on a later day",
        ),
    ],
)
def test_a_career_plan_that_leads_nowhere_is_refused(
    steps: tuple[CareerStep, ...], match: str
) -> None:
    refuses(lambda rep: rep.agree_career_plan(steps), match, error=InputError)


def test_a_skill_is_assessed_on_a_scale_with_what_was_seen() -> None:
    rep = decides(
        lambda rep: rep.assess_skill(
            "negotiation", 3, evidence="gave in on the first discount asked for"
        ),
        then=[FAIR],
    )
    [rating] = rep.ratings
    assert (rating.skill, rating.score, rating.share) == (
        FAIR.skill,
        FAIR.score,
        Decimal("0.5"),
    )


@pytest.mark.parametrize(
    ("score", "least", "most", "evidence", "match"),
    [
        (6, 1, 5, "seen", "not on the scale from 1 to 5"),
        (1, 5, 5, "seen", "a scale goes up"),
        (3, 1, 5, " ", "needs evidence"),
    ],
)
def test_an_assessment_off_its_scale_or_without_evidence_is_refused(
    score: int, least: int, most: int, evidence: str, match: str
) -> None:
    refuses(
        lambda rep: rep.assess_skill(
            "negotiation", score, evidence=evidence, scale_least=least, scale_most=most
        ),
        match,
        error=InputError,
    )


def test_a_skill_keeps_its_course_over_time_whatever_was_told_first() -> None:
    better = FAIR.model_copy(update={"score": Decimal(4)})
    rep = ann(on(better, START + 3 * HOUR), on(FAIR, START + HOUR))
    assert [rating.score for rating in rep.ratings] == [3, 4]


def test_a_training_is_assigned_and_completed() -> None:
    rep = decides(
        lambda rep: rep.assign_training("nego-1", due=date(2026, 7, 1)),
        then=[TrainingAssigned(training="nego-1", due=date(2026, 7, 1))],
    )
    assert rep.trainings["nego-1"].is_open
    assert rep.trainings["nego-1"].completed_at is None
    done = ann(TrainingAssigned(training="nego-1"))
    done.complete_training("nego-1", score=80, score_most=100)
    taken = done.trainings["nego-1"]
    assert not taken.is_open
    assert (taken.score, taken.score_most) == (Decimal(80), Decimal(100))


def test_a_training_is_assigned_again_once_it_was_completed_and_not_while_it_is_open() -> None:
    refuses(
        lambda rep: rep.assign_training("nego-1"),
        "was assigned training 'nego-1' already",
        TrainingAssigned(training="nego-1"),
    )
    rep = ann(TrainingAssigned(training="nego-1"), TrainingCompleted(training="nego-1"))
    first = rep.trainings["nego-1"].completed_at
    rep.assign_training("nego-1")
    assert rep.trainings["nego-1"].is_open
    rep.complete_training("nego-1")
    assert rep.trainings["nego-1"].first_completed_at == first


def test_a_training_that_nobody_assigned_may_be_completed() -> None:
    decides(
        lambda rep: rep.complete_training("nego-1"), then=[TrainingCompleted(training="nego-1")]
    )


def test_a_score_is_not_higher_than_the_highest() -> None:
    for score in (90, None):

        def completed(rep: Rep, score: int | None = score) -> None:
            rep.complete_training("nego-1", score=score, score_most=80)

        refuses(completed, "score_most", error=InputError)


def test_nobody_is_sent_to_a_training_that_is_retired() -> None:
    training = Training.offer("nego-1", name_en="Hard bargaining", name_zh="强势谈判")
    decides(
        lambda rep: rep.assign_training(training), then=[TrainingAssigned(training="nego-1")]
    )
    training.retire()
    refuses(lambda rep: rep.assign_training(training), "'nego-1' is retired")


def test_who_is_in_no_team_does_not_develop_here() -> None:
    commands: list[Callable[[Rep], object]] = [
        lambda rep: rep.promote("senior"),
        lambda rep: rep.agree_career_plan((CareerStep(level="senior"),)),
        lambda rep: rep.assess_skill("negotiation", 3, evidence="seen"),
        lambda rep: rep.assign_training("nego-1"),
        lambda rep: rep.complete_training("nego-1"),
    ]
    for command in commands:
        refuses(command, "is in no team at that time", RepLeft())


def test_what_is_told_of_somebody_who_turns_out_to_have_left_counts_for_nothing() -> None:
    assert judged(JOINED, RepLeft(), RepPromoted(level="senior"), FAIR) == [
        None,
        None,
        "while in no team",
        "while in no team",
    ]
    assert judged(JOINED, on(FAIR, START - HOUR)) == [None, "before the rep joined"]


def test_a_team_is_led_by_somebody_until_another_one_leads_it_or_nobody() -> None:
    formed = TeamFormed(team="east", name=TeamName(en="East", zh="华东"))
    team = read(Team, [formed], id=team_id("east"))
    team.appoint_lead("wei", because="knows everybody")
    assert team.lead == "wei"
    with pytest.raises(RuleError, match="led by 'wei' already"):
        team.appoint_lead("wei")
    team.release_lead()
    with pytest.raises(RuleError, match="nobody leads team 'east'"):
        team.release_lead()
    assert [type(each.fact) for each in team.pending] == [TeamLeadAppointed, TeamLeadReleased]


def test_an_award_is_granted_once_a_day_of_the_business_zone() -> None:
    rep = ann()
    rep.grant_award("star", because="most orders", occurred_at=START + HOUR)
    with pytest.raises(RuleError, match="'star' was granted on that day already"):
        rep.grant_award("star", because="most orders", occurred_at=START + 2 * HOUR)
    rep.grant_award("star", because="most orders", occurred_at=START + 30 * HOUR)
    rep.grant_award("sun", because="most orders", occurred_at=START + 30 * HOUR)
    assert [each.award for each in rep.awards] == ["star", "star", "sun"]


def test_an_award_is_not_granted_twice_in_one_session() -> None:
    rep = ann()
    rep.grant_award("star", because="most orders")
    with pytest.raises(RuleError, match="granted on that day already"):
        rep.grant_award("star", because="most orders")


def test_a_new_rep_is_told_all_that_became_of_them_before_anybody_knows_the_time() -> None:
    rep = Rep.join("ann", team="east", name="Ann Li")
    rep.promote("senior")
    rep.agree_career_plan((CareerStep(level="lead"),))
    rep.assess_skill("negotiation", 3, evidence="gave in at once")
    rep.assign_training("talks")
    rep.complete_training("talks")
    rep.grant_award("star", because="most orders")
    with pytest.raises(RuleError, match="granted on that day already"):
        rep.grant_award("star", because="most")
    with pytest.raises(RuleError, match=r"completed .* on that day already"):
        rep.complete_training("talks")
    rep.leave()
    assert (rep.left_at, rep.levels_reached) == (LATEST, {"senior": LATEST})
    assert [each.granted_at for each in rep.awards] == [LATEST]
    assert [each.completed_at for each in rep.trainings_taken] == [LATEST]
    rep.attach(ReplayContext(zone=SHANGHAI, now=to_instant(JULY)))
    assert (rep.left_at, rep.levels_reached) == (JULY, {"senior": JULY})
    assert [each.granted_at for each in rep.awards] == [JULY]


def test_before_a_rep_is_added_awards_are_of_another_day_where_their_times_differ() -> None:
    rep = Rep.join("ann", team="east", name="Ann Li", occurred_at=START)
    for at in (START + 24 * HOUR, START + 72 * HOUR, None):
        rep.grant_award("star", because="most orders", occurred_at=at)
        with pytest.raises(RuleError, match="granted on that day already"):
            rep.grant_award("star", because="most orders", occurred_at=at)
    assert len(rep.awards) == 3
