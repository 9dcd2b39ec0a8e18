"""In a session a fact without a time is the latest; any other is as late as it says."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from given import opened
from properties.playing import Clock
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, SalesFlow, Session
from salesflow.domain.aggregate import NO_EVENT, Aggregate
from salesflow.domain.deal import QuoteLine
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.rep import Rep, rep_id
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.team import Team
from salesflow.domain.time import from_instant, to_instant
from salesflow.errors import (
    ConcurrentChangeError,
    DealClosedError,
    InputError,
    NotFoundError,
    RuleError,
)
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.deals import Deals

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CNY100, CNY70 = Money("100", "CNY"), Money("70", "CNY")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def flow(database_url: str, clock: Clock) -> Iterator[SalesFlow]:
    """A fresh engine whose clock is turned by hand, an hour after the log was begun."""
    with SalesFlow(database_url, timezone="Asia/Shanghai", clock=clock) as fresh:
        clock.turn(3_600_000_000)
        yield fresh


def a_deal(flow: SalesFlow, *, won: bool = False) -> UUID:
    then = flow_now(flow) - DAY
    with flow.session() as s:
        deal = s.add(
            Deal.open(STANDARD, title="ERP", owner="ann", amount=CNY100, occurred_at=then)
        )
        if won:
            deal.win(occurred_at=then)
    return deal.id


def flow_now(flow: SalesFlow) -> datetime:
    return from_instant(flow.log.now())


PAIRS: list[
    tuple[Callable[[Deal], object], Callable[[Deal, datetime], object], type[Exception] | None]
] = [
    (
        lambda d: d.win(),
        lambda d, at: d.reopen(because="a typo", occurred_at=at),
        DealClosedError,
    ),
    (
        lambda d: d.win(),
        lambda d, at: d.amend_contract(CNY70, because="less", occurred_at=at),
        DealClosedError,
    ),
    (lambda d: d.assign_owner("b"), lambda d, at: d.assign_owner("c", occurred_at=at), None),
    (
        lambda d: d.forecast(amount=Money("1", "CNY")),
        lambda d, at: d.forecast(amount=Money("2", "CNY"), occurred_at=at),
        None,
    ),
    (
        lambda d: d.lose(because="price"),
        lambda d, at: d.win(occurred_at=at),
        None,
    ),
    (
        lambda d: d.issue_quote("Q1", lines=[QuoteLine(product="p", unit_price=CNY70)]),
        lambda d, at: d.withdraw_quote("Q1", because="a mix-up", occurred_at=at),
        RuleError,
    ),
]


@pytest.mark.parametrize(("first", "second", "refusal"), PAIRS, ids=range(len(PAIRS)))
@pytest.mark.parametrize("gap", [timedelta(), timedelta(seconds=1), timedelta(seconds=-2)])
def test_a_command_that_names_a_time_is_checked_against_what_lies_before_that_time(
    flow: SalesFlow,
    first: Callable[[Deal], object],
    second: Callable[[Deal, datetime], object],
    refusal: type[RuleError] | None,
    gap: timedelta,
) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        deal = s.get(Deal, id)
        first(deal)
        if refusal is None:
            second(deal, flow_now(flow) + gap)
        else:
            with pytest.raises(refusal):
                second(deal, flow_now(flow) + gap)
        shown = (deal.outcome, deal.owner, deal.amount, deal.irregular, deal.stage)
    read = flow.get(Deal, id)
    assert (read.outcome, read.owner, read.amount, read.irregular, read.stage) == shown
    assert read.irregular == ()


@pytest.mark.parametrize(("first", "second", "refusal"), PAIRS, ids=range(len(PAIRS)))
def test_by_the_clock_of_the_host_as_well(
    sqlite_url: str,
    first: Callable[[Deal], object],
    second: Callable[[Deal, datetime], object],
    refusal: type[RuleError] | None,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        id = a_deal(flow)
        with flow.session() as s:
            deal = s.get(Deal, id)
            first(deal)
            if refusal is None:
                second(deal, flow_now(flow))
            else:
                with pytest.raises(refusal):
                    second(deal, flow_now(flow))
            shown = (deal.outcome, deal.owner, deal.amount, deal.irregular)
        read = flow.get(Deal, id)
        assert (read.outcome, read.owner, read.amount, read.irregular) == shown


def test_the_latest_of_several_is_what_was_said_without_a_time(
    flow: SalesFlow, clock: Clock
) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        deal = s.get(Deal, id)
        deal.assign_owner("b")
        clock.turn(2_000_000)
        deal.assign_owner("c", occurred_at=clock.now)
        assert deal.owner == "b"
    assert flow.get(Deal, id).owner == "b"
    assert [event.fact.kind for event in flow.history(id)[-2:]] == ["deal.owner_assigned"] * 2
    assert flow.history(id)[-1].occurred == flow.history(id)[-1].recorded


def test_times_a_little_ahead_are_cut_where_the_command_is_given(flow: SalesFlow) -> None:
    id = a_deal(flow)
    ahead = flow_now(flow)
    with flow.session() as s:
        deal = s.get(Deal, id)
        deal.lose(because="price", occurred_at=ahead + timedelta(seconds=3))
        with pytest.raises(DealClosedError):
            deal.advance(
                because="on",
                override={"contact_logged": "yes"},
                overridden_by="boss",
                occurred_at=ahead + timedelta(seconds=1),
            )
        assert deal.closed_at == ahead
    assert (flow.get(Deal, id).outcome, flow.get(Deal, id).irregular) == ("lost", ())


def test_times_ahead_said_before_the_session_are_cut_in_it_and_keep_their_order(
    flow: SalesFlow,
) -> None:
    now = flow_now(flow)
    deal = Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=now - DAY)
    deal.assign_owner("later", occurred_at=now + timedelta(seconds=3))
    deal.assign_owner("sooner", occurred_at=now + timedelta(seconds=1))
    with flow.session() as s:
        s.add(deal)
        assert deal.owner == "later"
    assert flow.get(Deal, deal.id).owner == "later"


def test_a_command_further_ahead_is_refused_where_it_is_given(flow: SalesFlow) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        deal = s.get(Deal, id)
        with pytest.raises(InputError, match="lies in the future"):
            deal.win(occurred_at=flow_now(flow) + timedelta(seconds=6))
        with pytest.raises(InputError, match="lies in the future"):
            deal.win(occurred_at=date(2026, 6, 3))
        assert deal.outcome == "open"
        assert not deal.pending


def test_a_plan_of_a_new_deal_waits_for_its_day_in_the_session_as_in_the_log(
    flow: SalesFlow,
) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        deal.assign_owner("bob", effective_from=flow_now(flow) + DAY)
        assert deal.owner == "ann"
        deal.assign_owner("cho")
        assert deal.owner == "cho"
    assert flow.get(Deal, deal.id).owner == "cho"
    assert flow.get(Deal, deal.id, as_of=flow_now(flow) + 2 * DAY).owner == "bob"


def test_a_plan_that_came_into_force_while_the_session_was_open_counts_for_what_is_later(
    flow: SalesFlow, clock: Clock
) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        s.get(Deal, id).assign_owner("bob", effective_from=clock.now + timedelta(seconds=1))
    with flow.session() as s:
        deal = s.get(Deal, id)
        assert deal.owner == "ann"
        clock.turn(2_000_000)
        deal.log_contact(channel="call", direction="out", occurred_at=clock.now)
        assert deal.owner == "bob"
    assert flow.get(Deal, id).owner == "bob"


def test_a_command_whose_deal_a_plan_changed_before_the_commit_is_decided_anew(
    flow: SalesFlow, clock: Clock
) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        s.get(Deal, id).assign_owner("bob", effective_from=clock.now + timedelta(seconds=1))
    with flow.session() as s:  # what it does not change it may read
        s.get(Deal, id)
        clock.turn(2_000_000)
        s.add(Customer.register(name="Acme"))
    with flow.session() as s:
        s.get(Deal, id).assign_owner("cho", effective_from=clock.now + timedelta(seconds=1))
    head = flow.log.head()
    with (
        pytest.raises(ConcurrentChangeError, match=r"deal.owner_assigned was planned.*again"),
        flow.session() as s,
    ):
        deal = s.get(Deal, id)
        deal.log_contact(channel="call", direction="out")
        clock.turn(2_000_000)
        assert deal.owner == "bob"
    assert flow.log.head() == head
    seen = []

    def call(s: Session) -> None:
        deal = s.get(Deal, id)
        deal.log_contact(channel="call", direction="out")
        seen.append(deal.owner)
        clock.turn(2_000_000)

    with flow.session() as s:
        s.get(Deal, id).assign_owner("dan", effective_from=clock.now + timedelta(seconds=1))
    flow.run(call)
    assert seen == ["cho", "dan"]
    assert flow.log.head().position == head.position + 2


def test_a_day_before_a_deal_that_was_opened_just_now_is_refused(flow: SalesFlow) -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    deal.log_contact(channel="call", direction="out", occurred_at=date(2026, 5, 1))
    with pytest.raises(InputError, match="was opened just now"), flow.session() as s:
        s.add(deal)


def test_what_is_not_recorded_yet_cannot_be_retracted(flow: SalesFlow) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        deal = s.get(Deal, id)
        deal.win()
        for retract in (deal.retract, s.retract):
            with pytest.raises(NotFoundError, match="no event"):
                retract(NO_EVENT, because="x")
        with pytest.raises(NotFoundError, match="no event"):
            deal.retract_pair(NO_EVENT, deal, because="x")
        assert deal.outcome == "won"
    assert flow.get(Deal, id).outcome == "won"
    assert flow.history(id)[-1].fact.kind == "deal.won"


def test_get_reads_settings_as_they_were_known(flow: SalesFlow) -> None:
    issued = datetime(2026, 1, 5, 9, tzinfo=UTC)
    line = QuoteLine(product="p", unit_price=CNY70)
    other = UUID(int=7)
    flow.record(
        [
            ExternalEvent(
                other,
                DealOpened(process="standard", process_version=1, stage="prospecting"),
                to_instant(issued),
            ),
            ExternalEvent(
                other,
                QuoteIssued(quote="Q1", lines=(line,), valid_until=date(2026, 1, 10)),
                to_instant(issued),
            ),
        ]
    )
    known = from_instant(flow.log.head().recorded)
    as_of = datetime(2026, 1, 10, 17, tzinfo=UTC)

    def state() -> str:
        return flow.get(Deal, other, as_of=as_of, known_at=known).quotes["Q1"].state

    assert state() == "expired"
    with flow.session() as s:
        s.get(Settings, SETTINGS_ID).change(timezone="America/New_York")
    assert state() == "expired"
    assert flow.get(Deal, other, as_of=as_of).quotes["Q1"].state == "issued"


def test_get_ask_and_sessions_stand_at_the_same_moment_under_an_accepted_clock(
    flow: SalesFlow, clock: Clock
) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        s.get(Deal, id).assign_owner("bob", effective_from=clock.now + 4 * DAY)
    clock.turn(9 * 86_400_000_000)
    a_deal(flow)
    clock.turn(-9 * 86_400_000_000)
    flow.accept_clock(because="the clock had been wrong")
    listed = {deal.deal: deal.owner for deal in flow.ask(Deals()).deals}
    assert listed[id] == "bob"
    assert flow.get(Deal, id).owner == "bob"
    with flow.session() as s:
        assert s.get(Deal, id).owner == "bob"
        with pytest.raises(RuleError, match="owned by 'bob' already"):
            s.get(Deal, id).assign_owner("bob")
        new = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        new.assign_owner("cho", effective_from=clock.now + 9 * DAY)
        assert new.owner == "cho"
    assert flow.get(Deal, new.id).owner == "cho"


def test_a_deal_from_get_takes_no_command(flow: SalesFlow) -> None:
    deal = flow.get(Deal, a_deal(flow))
    commands: list[Callable[[], object]] = [
        deal.win,
        lambda: deal.log_contact(channel="call", direction="out"),
        lambda: deal.retract(flow.history(deal.id)[0].event_id, because="x"),
    ]
    for command in commands:
        with pytest.raises(InputError, match=r"belongs to no open session.*s\.get\(Deal, id\)"):
            command()
    assert (deal.outcome, deal.owner) == ("open", "ann")


def everything(flow: SalesFlow) -> list[Aggregate]:
    """Record one of each, and give what the session handed out."""
    with flow.session() as s:
        return [
            s.add(Customer.register(name="Acme")),
            s.add(Team.form("east", name_en="East", name_zh="东")),
            s.add(Rep.join("ann", team="east", name="Ann")),
            s.get(Settings, SETTINGS_ID),
        ]


def test_whatever_came_from_an_ended_session_takes_no_command(flow: SalesFlow) -> None:
    customer, team, rep, settings = everything(flow)
    assert isinstance(customer, Customer)
    assert isinstance(team, Team)
    assert isinstance(rep, Rep)
    assert isinstance(settings, Settings)
    commands: list[Callable[[], object]] = [
        lambda: customer.qualify(because="x"),
        lambda: team.rename(name_en="E", name_zh="东"),
        lambda: rep.move("west"),
        lambda: settings.change(timezone="UTC"),
    ]
    for command in commands:
        with pytest.raises(InputError, match="belongs to no open session"):
            command()
    assert (customer.name, team.key, rep.team) == ("Acme", "east", "east")
    assert flow.get(Rep, rep_id("ann")).team == "east"


def test_whatever_came_from_a_session_that_failed_takes_no_command(flow: SalesFlow) -> None:
    id = a_deal(flow)
    with pytest.raises(ZeroDivisionError), flow.session() as s:
        loaded = s.get(Deal, id)
        new = s.add(Deal.open(STANDARD, title="CRM", owner="ann"))
        raise ZeroDivisionError
    for deal in (loaded, new):
        with pytest.raises(InputError, match="belongs to no open session"):
            deal.win()
        assert deal.title in ("ERP", "CRM")
    with pytest.raises(ZeroDivisionError):
        flow.run(lambda s: [s.get(Deal, id), 1 / 0])


def test_an_ended_session_hands_out_and_takes_in_nothing(flow: SalesFlow) -> None:
    id = a_deal(flow)
    with flow.session() as s:
        s.get(Deal, id).win()
    receipt = s.receipt
    uses: list[Callable[[], object]] = [
        lambda: s.get(Deal, id),
        lambda: s.add(Deal.open(STANDARD, title="CRM", owner="ann")),
        lambda: s.retract(flow.history(id)[-1].event_id, because="x"),
        lambda: s.reopen_history(id, opened()),
    ]
    for use in uses:
        with pytest.raises(InputError, match="this session has ended"):
            use()
    assert s.commit() == receipt
    assert len(flow.history(id)) == 2


def test_what_is_recorded_is_loaded_and_not_added(flow: SalesFlow) -> None:
    with flow.session() as s:
        made = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    for deal in (made, flow.get(Deal, made.id)):
        with pytest.raises(InputError, match="is recorded already"), flow.session() as s:
            s.add(deal)


def test_a_new_deal_may_be_added_again_where_a_session_failed(flow: SalesFlow) -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    deal.log_contact(channel="call", direction="out")
    with pytest.raises(ZeroDivisionError), flow.session() as s:
        s.add(deal)
        raise ZeroDivisionError
    with flow.session() as s:
        s.add(deal).win()
    assert (flow.get(Deal, deal.id).outcome, flow.ask(Kpis()).lines[0].orders) == ("won", 1)


def test_a_time_that_another_clock_has_reached_is_no_time_ahead(database_url: str) -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    second = timedelta(seconds=1)
    early, late = Clock(noon - timedelta(days=2)), Clock(noon)
    with SalesFlow(database_url, clock=early) as ahead:
        old = [new_deal(ahead) for _ in range(3)]
        early.now = noon + 4 * second
        with SalesFlow(database_url, clock=late) as behind:
            new = [new_deal(ahead) for _ in range(2)]
            named = noon + 3.5 * second
            behind.run(lambda s: s.get(Deal, old[2]).assign_owner("bob", occurred_at=named))
            assert behind.history(old[2])[-1].occurred_at == named
            for one, other in ((old[0], new[0]), (new[1], old[1])):
                with behind.session() as s:  # at a time that nobody's clock has reached
                    told = noon + 4.3 * second
                    merged, into = s.get(Deal, one), s.get(Deal, other)
                    merged.merge_into(into, because="twin", occurred_at=told)
                halves = {behind.history(each)[-1].occurred for each in (one, other)}
                assert len(halves) == 1


def new_deal(flow: SalesFlow) -> UUID:
    with flow.session() as s:
        return s.add(Deal.open(STANDARD, title="ERP", owner="ann")).id


def test_what_was_refused_to_be_added_hides_no_plan_of_what_was_loaded(
    flow: SalesFlow, clock: Clock
) -> None:
    id, refused = (
        a_deal(flow),
        Customer.register(name="A", occurred_at=clock.now + timedelta(days=1)),
    )
    with flow.session() as s:
        s.get(Deal, id).assign_owner("bob", effective_from=clock.now + timedelta(seconds=1))
    with pytest.raises(ConcurrentChangeError, match="was planned"), flow.session() as s:
        deal = s.get(Deal, id)
        with pytest.raises(InputError, match="future"):
            s.add(refused)
        deal.log_contact(channel="call", direction="out")
        clock.turn(2_000_000)
