"""Teams and reps: formed and renamed; joined, moved, left, late and by plan."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import pytest

from given import HOUR, NOW, SHANGHAI, START, Given, day, event, events_of, on, read
from salesflow import testing
from salesflow.domain.event import Fact, FactRetracted, believed_history
from salesflow.domain.rep import Rep, RepJoined, RepLeft, RepMoved, RepState, rep_id
from salesflow.domain.state import ReplayContext
from salesflow.domain.team import Team, TeamFormed, TeamName, TeamRenamed, team_id
from salesflow.domain.time import to_instant
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.presentation.messages import say

JULY = datetime(2026, 7, 1, tzinfo=SHANGHAI)
JUNE = datetime(2026, 6, 15, tzinfo=SHANGHAI)
ANN = rep_id("ann")
JOINED = RepJoined(rep="ann", team="east", name="Ann Li")
SOUTH, LEFT = RepMoved(team="south"), RepLeft()
EAST = TeamFormed(team="east", name=TeamName(en="East", zh="华东"))


def ann(*given: Given, now: datetime = NOW) -> Rep:
    """Rep ann of team east, unless told otherwise."""
    return read(Rep, [JOINED, *given], id=ANN, now=now)


def decides(
    *, given: Sequence[Given], when: Callable[[Rep], object], then: Sequence[Fact]
) -> Rep:
    return testing.decides(
        given=given, when=when, then=then, kind=Rep, id=ANN, timezone=SHANGHAI
    )


refuses = partial(testing.refuses, kind=Rep, id=ANN, timezone=SHANGHAI, error=RuleError)


def east(*given: Given, now: datetime = NOW) -> Team:
    return read(Team, [EAST, *given], id=team_id("east"), now=now)


def judged(*given: Given) -> list[str | None]:
    rep = RepState()
    return [rep.evolve(each) for each in believed_history(events_of(given, ANN))]


def test_a_team_is_formed_with_a_key_and_a_name_in_both_languages() -> None:
    team = Team.form("east", name_en="East", name_zh="华东")
    assert [each.fact for each in team.pending] == [EAST]
    assert (team.id, team.key) == (team_id("east"), "east")
    assert (team.name(), team.name("zh")) == ("East", "华东")


@pytest.mark.parametrize(
    ("key", "en", "zh"), [(" ", "East", "华东"), ("east", "", "华东"), ("east", "East", " ")]
)
def test_a_team_needs_a_key_and_both_names(key: str, en: str, zh: str) -> None:
    with pytest.raises(InputError, match="must not be blank"):
        Team.form(key, name_en=en, name_zh=zh)


def test_a_renamed_team_stays_the_same_team() -> None:
    team = east()
    team.rename(name_en="Yangtze", name_zh="长三角")
    assert [each.fact for each in team.pending] == [
        TeamRenamed(name=TeamName(en="Yangtze", zh="长三角"))
    ]
    assert (team.key, team.name(), team.name("zh")) == ("east", "Yangtze", "长三角")
    assert team.at(START).name() == "East"


def test_a_team_is_not_renamed_to_what_it_is_called() -> None:
    with pytest.raises(RuleError, match="'east' is called East / 华东 already"):
        east().rename(name_en="East", name_zh="华东")


def test_a_new_name_may_be_planned_and_is_used_from_its_day() -> None:
    team = east()
    team.rename(name_en="Yangtze", name_zh="长三角", effective_from=day("2026-07-01"))
    assert (team.name(), team.at(JULY).name()) == ("East", "Yangtze")
    with pytest.raises(RuleError, match="is called Yangtze / 长三角 already"):
        team.rename(name_en="Yangtze", name_zh="长三角", effective_from=day("2026-08-01"))


def test_what_lies_before_the_forming_or_forms_again_counts_for_nothing() -> None:
    other = TeamName(en="Other", zh="其他")
    team = east(on(TeamRenamed(name=other), START - HOUR), TeamFormed(team="x", name=other))
    assert (team.key, team.name()) == ("east", "East")


def test_the_same_key_is_the_same_team_or_rep_everywhere() -> None:
    assert team_id("east") == UUID("b199d602-5e85-514b-b94d-1525166c6f69")
    assert rep_id("ann") == UUID("e43b5e36-11ba-523a-9be9-22a4f7b3526a")
    assert rep_id("Zoe\u0308") == rep_id("Zoë")
    assert rep_id("east") != team_id("east")


def test_a_rep_joins_under_the_id_that_deals_name_as_owner() -> None:
    rep = Rep.join("ann", team="east", name="Ann Li")
    assert [each.fact for each in rep.pending] == [JOINED]
    assert (rep.id, rep.reference, rep.team, rep.name) == (ANN, "ann", "east", "Ann Li")


def test_a_team_may_be_named_by_itself_or_by_its_key() -> None:
    assert Rep.join("ann", team=east(), name="Ann Li").team == "east"
    decides(given=[JOINED], when=lambda rep: rep.move("south"), then=[SOUTH])


@pytest.mark.parametrize(
    ("rep", "team", "name", "match"),
    [
        (" ", "east", "Ann Li", "rep: must not be blank"),
        ("ann", "", "Ann Li", "team: must not be blank"),
        ("ann", "east", " ", "a rep needs a name"),
    ],
)
def test_a_rep_needs_an_id_a_team_and_a_name(
    rep: str, team: str, name: str, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        Rep.join(rep, team=team, name=name)


def test_a_first_joining_is_planned_for_an_aware_time() -> None:
    rep = Rep.join("ann", team="east", name="Ann Li", effective_from=JULY)
    assert [each.fact for each in rep.pending] == [
        RepJoined(rep="ann", team="east", name="Ann Li", effective_from=JULY)
    ]
    with pytest.raises(InputError, match="pass an aware datetime"):
        Rep.join("ann", team="east", name="Ann Li", effective_from=datetime(2026, 7, 1))  # noqa: DTZ001


def test_a_rep_goes_over_to_another_team() -> None:
    rep = decides(
        given=[JOINED],
        when=lambda rep: rep.move("south", because="lives there now"),
        then=[RepMoved(team="south", because="lives there now")],
    )
    assert (rep.team, rep.at(START).team) == ("south", "east")


def test_nobody_moves_to_the_team_they_are_in() -> None:
    refuses(
        given=[JOINED],
        when=lambda rep: rep.move("east"),
        match="'ann' is in team 'east' already",
    )


def test_a_rep_leaves_once() -> None:
    rep = decides(
        given=[JOINED],
        when=lambda rep: rep.leave(because="retires"),
        then=[RepLeft(because="retires")],
    )
    assert (rep.team, rep.reference, rep.name) == (None, "ann", "Ann Li")
    refuses(
        given=[JOINED, LEFT],
        when=lambda rep: rep.leave(),
        match="'ann' is in no team at that time and cannot leave",
    )


def test_a_rep_who_left_cannot_move() -> None:
    refuses(
        given=[JOINED, LEFT],
        when=lambda rep: rep.move("south"),
        match="'ann' is in no team at that time and cannot move",
    )


def test_a_rep_who_is_in_a_team_cannot_join() -> None:
    refuses(
        given=[JOINED],
        when=lambda rep: rep.rejoin("south"),
        match="'ann' is in team 'east' already and cannot join",
    )


def test_a_rep_who_left_may_join_again_and_keeps_the_name() -> None:
    rep = decides(
        given=[JOINED, LEFT],
        when=lambda rep: rep.rejoin("south"),
        then=[RepJoined(rep="ann", team="south")],
    )
    assert (rep.team, rep.name) == ("south", "Ann Li")
    assert ann(LEFT, RepJoined(rep="ann", team="south", name="Ann Wu")).name == "Ann Wu"


def test_a_move_may_be_planned_and_takes_effect_on_its_day() -> None:
    rep = decides(
        given=[JOINED],
        when=lambda rep: rep.move("south", effective_from=day("2026-07-01")),
        then=[RepMoved(team="south", effective_from=JULY)],
    )
    assert (rep.team, rep.at(JULY).team) == ("east", "south")


def test_a_plan_is_checked_against_what_will_hold_when_it_takes_effect() -> None:
    given: list[Given] = [JOINED, RepLeft(effective_from=JULY)]
    refuses(
        given=given,
        when=lambda rep: rep.move("south", effective_from=day("2026-08-01")),
        match="is in no team at that time",
    )
    decides(given=given, when=lambda rep: rep.move("south"), then=[SOUTH])
    decides(
        given=given,
        when=lambda rep: rep.rejoin("south", effective_from=day("2026-08-01")),
        then=[
            RepJoined(
                rep="ann",
                team="south",
                effective_from=datetime(2026, 8, 1, tzinfo=SHANGHAI),
            )
        ],
    )


def test_what_is_told_late_is_checked_against_its_own_time() -> None:
    given: list[Given] = [JOINED, on(LEFT, START + 5 * HOUR)]
    decides(
        given=given,
        when=lambda rep: rep.move("south", occurred_at=START + HOUR),
        then=[SOUTH],
    )
    refuses(
        given=given,
        when=lambda rep: rep.move("south", occurred_at=START + 6 * HOUR),
        match="is in no team at that time",
    )
    refuses(
        given=given,
        when=lambda rep: rep.move("south", occurred_at=START - HOUR),
        error=InputError,
        match="nothing can be recorded of it before",
    )


def test_there_is_no_rep_before_a_planned_joining_takes_effect() -> None:
    planned = [JOINED.model_copy(update={"effective_from": JULY})]
    with pytest.raises(NotFoundError, match=r"no rep .* is believed to exist"):
        read(Rep, planned, id=ANN)
    rep = read(Rep, planned, id=ANN, now=JULY)
    assert rep.team == "east"
    assert rep.at(JUNE).team is None
    with pytest.raises(RuleError, match="is in no team at that time and cannot move"):
        rep.move("south", occurred_at=JUNE)
    with pytest.raises(RuleError, match="has not joined by that time"):
        rep.rejoin("south", occurred_at=JUNE)


def test_a_move_after_leaving_counts_for_nothing_while_the_leaving_stands() -> None:
    left = on(LEFT, START + HOUR, recorded_at=START + 9 * HOUR)
    moved = on(SOUTH, START + 2 * HOUR)
    gone = ann(moved, left)
    assert gone.team is None
    assert [(each.fact, why) for each, why in gone.irregular] == [
        (SOUTH, "moved while in no team")
    ]
    back = ann(moved, left)
    back.retract(event(3), because="a mix-up")
    assert (back.team, back.irregular) == ("south", ())


def test_which_facts_have_no_ground() -> None:
    before = on(SOUTH, START - HOUR)
    assert judged(JOINED, before) == [None, "before the rep joined"]
    assert judged(JOINED, LEFT, LEFT) == [None, None, "left while in no team"]
    assert judged(JOINED, LEFT, SOUTH) == [None, None, "moved while in no team"]
    assert judged(JOINED, JOINED) == [None, "joined while in team 'east'"]
    assert judged(JOINED, LEFT, JOINED, SOUTH, SOUTH) == [None] * 5
    other = RepJoined(rep="bob", team="east")
    assert judged(other, SOUTH, JOINED) == [
        "it names another rep, 'bob'",
        "moved while in no team",
        None,
    ]


def test_what_would_hold_before_a_planned_joining_has_no_ground() -> None:
    planned = JOINED.model_copy(update={"effective_from": JULY})
    assert judged(planned, SOUTH, JOINED, RepMoved(team="west", effective_from=JULY)) == [
        None,
        "before the rep joined",
        "before the rep joined",
        None,
    ]
    rep = read(Rep, [planned, SOUTH, JOINED], id=ANN, now=JULY)
    assert (rep.team, len(rep.irregular)) == ("east", 2)
    context = ReplayContext(zone=SHANGHAI, now=to_instant(NOW))
    then = Rep.load(
        ANN, events_of([planned, JOINED], ANN), context=context, as_of=to_instant(NOW)
    )
    assert (then.team, len(then.irregular)) == (None, 1)


def test_every_reason_is_said_in_chinese() -> None:
    reasons = {
        *judged(JOINED, on(SOUTH, START - HOUR), LEFT, LEFT, SOUTH, JOINED, JOINED),
        *judged(RepJoined(rep="bob", team="east")),
    }
    told = {why: say(why, "zh") for why in reasons if why is not None}
    assert len(told) == 5
    assert told["joined while in team 'east'"] == "身在团队 'east' 时再次加入"
    assert all(zh != why for why, zh in told.items())


def test_a_rep_whose_joining_is_retracted_is_not_there() -> None:
    rep = ann()
    rep.retract(event(1), because="never came")
    with pytest.raises(NotFoundError, match="no rep"):
        rep.move("south")
    with pytest.raises(NotFoundError, match="no rep"):
        rep.rejoin("south")
    with pytest.raises(NotFoundError, match="no rep"):
        ann(FactRetracted(event_id=event(1), because="never came"))
