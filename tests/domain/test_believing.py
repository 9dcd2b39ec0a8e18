"""What is believed, and when: late facts, retractions, plans, days, facts without a time."""

from datetime import UTC, datetime, timedelta

import pytest

from given import (
    DEAL,
    HOUR,
    NOW,
    PLAIN,
    SHANGHAI,
    START,
    cny,
    day,
    deal_of,
    decides,
    event,
    events_of,
    on,
    opened,
    refuses,
)
from salesflow.domain.customer import Customer, CustomerQualified
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Event, FactRetracted, believed_history, without_retracted
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import to_instant
from salesflow.errors import DealClosedError, InputError, NotFoundError, RuleError, StageError

CALL = ContactLogged(channel="call", direction="out")


def facts_of(deal: Deal) -> list[object]:
    return [each.fact for each in deal.history]


def test_a_late_command_is_checked_against_what_is_believed_of_its_own_time() -> None:
    lost_then_open = [opened(), DealLost(), DealReopened(), StageMoved(target="b")]
    refuses(
        given=lost_then_open,
        when=lambda deal: deal.advance(because="late news", occurred_at=START + 1.5 * HOUR),
        error=DealClosedError,
        match="already lost",
    )
    deal = decides(
        given=lost_then_open,
        when=lambda deal: deal.advance(because="late news", occurred_at=START + 2.5 * HOUR),
        then=[StageMoved(target="b", because="late news")],
    )
    assert deal.stage == "b"


def test_what_is_believed_to_have_happened_later_is_not_checked_again() -> None:
    deal = decides(
        given=[opened(), StageMoved(target="b"), DealWon()],
        when=lambda deal: deal.lose(because="price", occurred_at=START + 1.5 * HOUR),
        then=[DealLost(because="price")],
    )
    assert deal.outcome == "won", "the later win flips it"
    assert deal.irregular == ()


def test_a_late_fact_may_leave_later_ones_without_ground() -> None:
    deal = deal_of(opened(), StageMoved(target="b"))
    deal.lose(because="price", occurred_at=START + HOUR / 2)
    assert (deal.stage, deal.outcome) == ("a", "lost")
    assert [why for _, why in deal.irregular] == ["moved while lost"]


def test_a_late_move_turns_a_stored_advance_into_a_return() -> None:
    deal = deal_of(opened(), StageMoved(target="b"))
    deal.advance_to("c", because="late news", occurred_at=START + HOUR / 2)
    assert [e.fact for e in deal.history[1:]] == [
        StageMoved(target="c", because="late news"),
        StageMoved(target="b"),
    ]
    assert deal.stage == "b"


def test_a_command_without_a_time_counts_as_latest() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann", occurred_at=START)
    deal.advance(because="now")
    deal.log_contact(channel="call", direction="out", occurred_at=NOW)
    assert [type(fact) for fact in facts_of(deal)] == [DealOpened, ContactLogged, StageMoved]
    with pytest.raises(StageError, match="'b' lies behind 'a'"):
        deal.return_to("b", because="?", occurred_at=NOW)


def test_a_deal_opened_just_now_has_no_past() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann")
    with pytest.raises(InputError, match="was opened just now; nothing can be recorded"):
        deal.log_contact(channel="call", direction="out", occurred_at=START)
    deal.advance(because="now")
    deal.win()
    assert (deal.stage, deal.opened_at, deal.closed_at) == ("served", None, None)
    assert deal.first_outcome == "won"


def test_two_facts_of_the_same_microsecond_stand_in_the_order_of_the_log() -> None:
    deal = deal_of(
        opened(),
        on(StageMoved(target="c"), START + HOUR),
        on(StageMoved(target="b"), START + HOUR),
    )
    assert deal.stage == "b"


def test_a_day_is_its_midnight_but_not_before_what_is_timed_on_that_day() -> None:
    deal = deal_of(opened(), on(CALL, START + 2 * HOUR))
    deal.log_contact(channel="mail", direction="in", occurred_at=day("2026-03-02"))
    deal.log_contact(channel="mail", direction="in", occurred_at=day("2026-03-03"))
    first, second = deal.pending
    assert (first.occurred, first.precision) == (to_instant(START + 2 * HOUR), "day")
    midnight_in_shanghai = datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert (second.occurred, second.precision) == (to_instant(midnight_in_shanghai), "day")


def test_a_time_needs_its_zone() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.log_contact(
            channel="call",
            direction="out",
            occurred_at=datetime(2026, 3, 3),  # noqa: DTZ001
        ),
        error=InputError,
        match="no time zone",
    )


def test_a_retracted_fact_counts_for_nothing() -> None:
    deal = decides(
        given=[opened(amount=cny("5")), DealWon(), ForecastGiven(amount=cny("9"))],
        when=lambda deal: deal.retract(event(2), because="signed by nobody"),
        then=[FactRetracted(event_id=event(2), because="signed by nobody")],
    )
    assert (deal.outcome, deal.stage, deal.first_outcome) == ("open", "a", None)


def test_a_retraction_lives_on_the_known_axis_only() -> None:
    deal = decides(
        given=[opened(), DealWon()],
        when=lambda deal: deal.retract(event(2), because="wrong"),
        then=[FactRetracted(event_id=event(2), because="wrong")],
    )
    assert deal.pending[0].occurred is None
    assert deal.at(START + HOUR).outcome == "open"


def test_a_retraction_of_a_retraction_brings_the_fact_back() -> None:
    given = [opened(), DealWon(), FactRetracted(event_id=event(2), because="wrong")]
    assert deal_of(*given).outcome == "open"
    deal = decides(
        given=given,
        when=lambda deal: deal.retract(event(3), because="right after all"),
        then=[FactRetracted(event_id=event(3), because="right after all")],
    )
    assert deal.outcome == "won"


@pytest.mark.parametrize("because", ["", " \t "])
def test_a_retraction_says_why(because: str) -> None:
    refuses(
        given=[opened(), DealWon()],
        when=lambda deal: deal.retract(event(2), because=because),
        error=InputError,
        match="a retraction needs a reason",
    )


def test_what_is_retracted_already_is_not_retracted_again() -> None:
    given = [opened(), DealWon(), FactRetracted(event_id=event(2), because="mistyped")]
    way_out = rf"already.*position 3 \(mistyped\).*retract that retraction: {event(3)}"
    refuses(
        given=given,
        when=lambda deal: deal.retract(event(2), because="again"),
        error=RuleError,
        match=way_out,
    )
    back = [*given, FactRetracted(event_id=event(3), because="right after all")]
    decides(
        given=back,
        when=lambda deal: deal.retract(event(2), because="wrong after all"),
        then=[FactRetracted(event_id=event(2), because="wrong after all")],
    )


def test_one_session_retracts_an_event_once() -> None:
    deal = deal_of(opened(), DealWon())
    deal.retract(event(2), because="mistyped")
    with pytest.raises(RuleError, match="in this session already"):
        deal.retract(event(2), because="mistyped")


def test_a_fact_is_out_while_one_standing_retraction_names_it() -> None:
    twice = [
        opened(),
        DealWon(),
        FactRetracted(event_id=event(2), because="wrong"),
        FactRetracted(event_id=event(2), because="wrong, I say"),
        FactRetracted(event_id=event(3), because="right"),
    ]
    assert deal_of(*twice).outcome == "open"
    assert deal_of(*twice, FactRetracted(event_id=event(4), because="right")).outcome == "won"


def test_what_was_not_recorded_of_a_deal_cannot_be_retracted_there() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.retract(event(9), because="x"),
        error=NotFoundError,
        match="to retract",
    )


def test_a_deal_whose_opening_is_retracted_is_not_there_until_it_is_restored() -> None:
    gone = [opened(), StageMoved(target="b"), FactRetracted(event_id=event(1), because="spam")]
    with pytest.raises(NotFoundError, match=r"no deal .* is believed to exist"):
        deal_of(*gone)
    back = deal_of(*gone, FactRetracted(event_id=event(3), because="no spam"))
    assert (back.stage, back.title) == ("b", "ERP")
    anew = deal_of(*gone, on(opened(title="ERP anew"), START + HOUR / 2))
    assert (anew.stage, anew.title) == ("b", "ERP anew")


def test_retracting_the_opening_leaves_nothing_to_read() -> None:
    deal = deal_of(opened(), StageMoved(target="b"))
    deal.retract(event(1), because="spam")
    assert deal.history == ()
    with pytest.raises(NotFoundError, match="no deal"):
        _ = deal.title


def test_a_deal_is_not_there_before_it_was_opened() -> None:
    events = events_of([opened()])
    with pytest.raises(NotFoundError):
        Deal.replay(DEAL, events, as_of=to_instant(START - HOUR))
    assert Deal.replay(DEAL, events, as_of=to_instant(START)).title == "ERP"
    with pytest.raises(NotFoundError):
        Deal.replay(DEAL, [])


def test_only_what_was_known_by_then_is_believed() -> None:
    known_late = on(DealLost(), START + HOUR, recorded_at=NOW)
    events = events_of([opened(), known_late])
    assert len(without_retracted(events, to_instant(NOW) - 1)) == 1
    assert len(without_retracted(events, to_instant(NOW))) == 2
    assert len(believed_history(events, to_instant(START) - 1)) == 0


def test_the_opening_comes_first_though_facts_lie_before_it() -> None:
    history = believed_history(events_of([on(CALL, START - HOUR), on(opened(), START)]))
    assert [type(each.fact) for each in history] == [DealOpened, ContactLogged]


def test_a_plan_stands_until_it_is_retracted() -> None:
    july = datetime(2026, 7, 1, tzinfo=UTC)
    plan = OwnerAssigned(owner="bob", effective_from=july)
    deal = deal_of(opened(), plan)
    assert (deal.owner, deal.at(july).owner) == ("ann", "bob")
    deal.retract(event(2), because="bob stays where he is")
    assert deal.at(july).owner == "ann"


def test_what_is_read_at_another_time_takes_no_commands() -> None:
    deal = deal_of(opened(), StageMoved(target="b"))
    for then in (deal.at(START), deal.at(START + 2 * HOUR)):
        with pytest.raises(InputError, match="for reading; give the command on the one you"):
            then.log_contact(channel="call", direction="out")
    assert deal.at(None) is deal


def test_a_deal_reads_another_context_when_it_is_given_one() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann", occurred_at=START)
    assert deal.probability != 0
    deal.attach(ReplayContext({}))
    assert deal.probability == 0
    assert deal.stage == "a"
    with pytest.raises(InputError, match="business time zone, which the session knows"):
        _ = deal.context.timezone


def test_the_business_time_zone_is_looked_up_when_it_is_needed() -> None:
    asked = []

    def find() -> object:
        asked.append(1)
        return SHANGHAI

    context = ReplayContext(zone=find)  # type: ignore[arg-type]
    assert asked == []
    assert context.timezone is context.timezone
    assert asked == [1]


def test_a_deal_is_not_a_customer() -> None:
    events = events_of([opened()])
    with pytest.raises(NotFoundError, match="no customer"):
        Customer.replay(DEAL, events)


def test_facts_of_somebody_else_in_the_stream_of_a_deal_are_left_alone() -> None:
    deal = deal_of(opened(), CustomerQualified(), StageMoved(target="b"))
    assert (deal.stage, deal.irregular) == ("b", ())


def test_an_aggregate_knows_which_events_it_was_loaded_with() -> None:
    deal = deal_of(opened())
    assert deal.holds(event(1))
    assert not deal.holds(event(2))
    assert not Deal.open(PLAIN, title="ERP", owner="ann").id_given


def test_an_event_gives_its_times_as_people_write_them() -> None:
    known_late: Event = events_of([on(opened(), START, recorded_at=NOW)])[0]
    assert (known_late.occurred_at, known_late.recorded_at) == (START, NOW)
    assert known_late.occurred_at.utcoffset() == timedelta(0)
