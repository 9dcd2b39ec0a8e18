"""Whatever was recorded, in whatever order, can be read; and reading agrees with itself."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from given import (
    CLOSED_STAGES,
    DEAL,
    HOUR,
    OTHER,
    PLAIN,
    PROCESSES,
    SHANGHAI,
    START,
    GivenFact,
    cny,
    day,
    event,
    events_of,
    line,
    on,
    opened,
    read_of,
)
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import ContactLogged, ObjectionRaised, ObjectionResolved
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven, RefundGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft, OwnerAssigned
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteIssued,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
)
from salesflow.domain.deal.stages import DealMigrated, StageMapping, StageMoved
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import to_instant
from salesflow.errors import InputError, NotFoundError

EVENTS_MAX = 14
STAGES = [
    *(stage.key for process in (PLAIN, CLOSED_STAGES) for stage in process.stages),
    "unheard of",
]
hours = st.integers(-2, EVENTS_MAX + 4)
times = st.builds(lambda hour: START + hour * HOUR, hours)
planned = st.none() | times
stages = st.sampled_from(STAGES)
quotes = st.sampled_from(["Q1", "Q2"])
openings = st.builds(opened, st.sampled_from([PLAIN, CLOSED_STAGES]), stage=stages)
facts: st.SearchStrategy[Fact] = st.one_of(
    openings,
    st.builds(StageMoved, target=stages),
    st.builds(StageMoved, target=stages),
    st.builds(DealWon, amount=st.none() | st.just(cny("120"))),
    st.just(DealLost(because="price")),
    st.just(DealDisqualified()),
    st.builds(DealReopened, stage=st.none() | stages),
    st.builds(
        DealMigrated,
        process=st.sampled_from(["plain", "imported", "gone"]),
        process_version=st.just(1),
        mapping=st.just((StageMapping(old="a", new="talks"), StageMapping(old="new", new="b"))),
    ),
    st.sampled_from(
        [
            DealMerged(into=OTHER),
            DealUnmerged(out_of=OTHER),
            DealAbsorbed(absorbed=OTHER),
            DealReleased(released=OTHER),
        ]
    ),
    st.builds(QuoteDrafted, quote=quotes),
    st.builds(QuoteIssued, quote=quotes, lines=st.just((line(),)), expires_at=planned),
    st.builds(QuoteRevised, quote=quotes),
    st.builds(QuoteAccepted, quote=quotes),
    st.builds(QuoteRejected, quote=quotes),
    st.builds(QuoteWithdrawn, quote=quotes),
    st.builds(
        ForecastGiven, amount=st.none() | st.just(cny("9")), cleared=st.just(("category",))
    ),
    st.just(ForecastGiven(expected_close=day("2026-07-01"), probability=Decimal("0.5"))),
    st.builds(ContractAmended, amount=st.just(cny("130")), effective_from=planned),
    st.just(RefundGiven(amount=cny("1"))),
    st.just(RepeatOrderPlaced(amount=cny("1"))),
    st.builds(OwnerAssigned, owner=st.sampled_from(["ann", "bob"]), effective_from=planned),
    st.builds(CollaboratorJoined, person=st.just("cid"), effective_from=planned),
    st.builds(CollaboratorLeft, person=st.just("cid"), effective_from=planned),
    st.just(ContactLogged()),
    st.just(ObjectionRaised(objection="O1")),
    st.just(ObjectionResolved(objection="O1")),
    st.builds(
        FactRetracted,
        event_id=st.integers(1, EVENTS_MAX).map(event),
        because=st.just("wrong"),
    ),
)
histories = st.lists(st.builds(on, facts, times), min_size=1, max_size=EVENTS_MAX)
END = START + (EVENTS_MAX + 9) * HOUR


def log_of(history: list[GivenFact]) -> list[Event]:
    """Give the events of a history in which retractions name earlier events only."""
    return [
        each
        for each in events_of(history)
        if not isinstance(each.fact, FactRetracted) or each.fact.event_id.int < each.position
    ]


def read(events: list[Event], at: datetime = END) -> Deal | None:
    context = ReplayContext(PROCESSES, SHANGHAI, to_instant(END))
    try:
        return Deal.replay(DEAL, events, context=context, as_of=to_instant(at))
    except NotFoundError:
        return None


def state(deal: Deal | None) -> dict[str, Any] | None:
    """Give all that can be read of a deal."""
    if deal is None:
        return None
    seen = {
        "quotes": deal.quotes,
        "credits": deal.credits,
        "is_open": deal.is_open,
        "accepted": deal.accepted_quote,
        "irregular": [(each.fact, why) for each, why in deal.irregular],
        "version": 0,
    }
    return read_of(deal) | seen


@settings(deadline=None)
@given(histories)
def test_any_history_can_be_read(history: list[GivenFact]) -> None:
    deal = read(log_of(history))
    if deal is not None:
        assert state(deal)
        assert deal.outcome in {"open", "won", "lost", "disqualified"}
        accepted = [quote for quote in deal.quotes.values() if quote.state == "accepted"]
        assert len(accepted) <= 1


@settings(deadline=None)
@given(histories, times)
def test_looking_back_is_reading_what_was_believed_of_then(
    history: list[GivenFact], at: datetime
) -> None:
    events = log_of(history)
    deal, then = read(events), read(events, at)
    if deal is None:
        return
    try:
        seen = deal.at(at)
    except InputError:
        assert then is None
    else:
        assert state(seen) == state(then)


@settings(deadline=None)
@given(histories, st.lists(st.builds(on, facts, times), max_size=4))
def test_what_a_command_leaves_is_what_will_be_read(
    history: list[GivenFact], later: list[GivenFact]
) -> None:
    log = log_of([GivenFact(opened(), START - 2 * HOUR), *history])
    deal = read(log)
    if deal is None:
        return
    events = list(log)
    for told in later:
        if isinstance(told.fact, FactRetracted) or told.fact.is_opening:
            continue
        try:
            deal._record(told.fact, told.occurred_at)
        except InputError:
            continue
        events.append(
            log[0]._replace(
                fact=told.fact,
                occurred=to_instant(told.occurred_at),
                position=len(history) + len(events) + 2,
                event_id=event(999),
            )
        )
    assert state(deal) == state(read(events))


@settings(deadline=None)
@given(histories)
def test_irregular_facts_could_as_well_not_be_there(history: list[GivenFact]) -> None:
    events = log_of(history)
    deal = read(events)
    if deal is None:
        return
    irregular = {each.event_id for each, _ in deal.irregular}
    rest = [each for each in events if each.event_id not in irregular]
    there, without = state(deal), state(read(rest))
    assert there is not None
    assert without is not None
    assert without["irregular"] == []
    assert there | {"irregular": []} == without
