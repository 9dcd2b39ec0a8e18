"""Events that cannot be read: they stop their own stream, say so, and can be retracted."""

from collections.abc import Iterator
from queue import Queue
from threading import Event as Flag
from typing import ClassVar
from uuid import UUID

import pytest

from databases import reseal, tamper
from properties.raw_log import rows_of
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, Reactor, SalesFlow
from salesflow.adapters.database.connections import Patience
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.projector.catching_up import page_after
from salesflow.adapters.projector.projection_task import TablesTogether
from salesflow.adapters.projector.read_tables import OvertakenError, hold
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.event import Event, Fact, FactRetracted, UnreadableFact
from salesflow.domain.process import process_id
from salesflow.domain.settings import SETTINGS_ID
from salesflow.engine.worker import CaughtUp
from salesflow.errors import HistoryError, InputError, ProjectionError
from salesflow.projections.core.question import Question, View
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.pipeline.restatement import Restatement
from salesflow.projections.registry import FOLDS
from salesflow.projections.review.retrospective import Retrospective
from salesflow.projections.stages.stage_times import StageTimes

WAIT_SECONDS = 60


class DemoShown(Fact):
    """A fact of another package, which one program knows and another does not."""

    kind: ClassVar[str] = "acme.demo_shown"
    name_zh: ClassVar[str] = "演示"
    product: str


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as flow:
        yield flow


def opened(flow: SalesFlow, amount: int = 7) -> UUID:
    with flow.session() as s:
        deal = Deal.open(STANDARD, title="ERP", owner="ann", amount=Money(amount, "EUR"))
        return s.add(deal).id


def lost(flow: SalesFlow, deal: UUID) -> Event:
    flow.run(lambda s: s.get(Deal, deal).lose(because="price"))
    return flow.history(deal)[-1]


def spoil(flow: SalesFlow, event: Event, payload: bytes = b'{"mood":"bad"}') -> None:
    """Change the bytes of a stored event, as a failing disk or a clumsy hand does."""
    url = flow.log.database.url.render_as_string(hide_password=False)
    sqlite = url.startswith("sqlite")
    written = f"x'{payload.hex()}'" if sqlite else f"decode('{payload.hex()}', 'hex')"
    where = f"WHERE position = {event.position}"
    tamper(url, f"UPDATE salesflow_events SET payload = {written} {where}")


def every_row(flow: SalesFlow) -> dict[str, list[str]]:
    """Read every row of every read table, and what they leave out."""
    names = [*(fold.table.name for fold in FOLDS.values()), "salesflow_left_out"]
    return {name: sorted(map(repr, rows_of(flow, name))) for name in names}


def test_an_event_that_cannot_be_read_stops_its_own_stream_alone(flow: SalesFlow) -> None:
    spoiled, sound = opened(flow), opened(flow, 5)
    wrong = lost(flow, spoiled)
    spoil(flow, wrong)
    lost(flow, sound)
    flow.run(lambda s: s.add(Customer.register(name="Acme")))
    view = flow.ask(Funnel())
    assert view.open_deals == 1, "it stands as it was before that event"
    [left_out] = view.left_out
    assert (left_out.stream_id, left_out.version) == (spoiled, 2)
    assert (left_out.position, left_out.event_id) == (wrong.position, wrong.event_id)
    assert left_out.stored == "deal.lost:1"
    for text in (view.table(), view.table("zh"), str(view.to_dict())):
        assert str(spoiled) in text
        assert f"{wrong.position}" in text
        assert str(wrong.event_id) in text


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"[" * 5_000, b'{"because":1}'])
def test_whatever_bytes_there_are_the_same_holds(sqlite_url: str, payload: bytes) -> None:
    with SalesFlow(sqlite_url) as flow:
        wrong = lost(flow, opened(flow))
        spoil(flow, wrong, payload)
        opened(flow)
        assert flow.ask(Funnel()).open_deals == 2
        assert [each.position for each in flow.catch_up()] == [wrong.position]


def test_catch_up_rebuild_and_follow_say_what_they_leave_out(
    flow: SalesFlow, caplog: pytest.LogCaptureFixture
) -> None:
    deal = opened(flow)
    wrong = lost(flow, deal)
    spoil(flow, wrong)
    said = f"stream {deal} is left out from version 2, position {wrong.position} on"
    assert said in flow.catch_up()[0].sentence()
    caplog.clear()
    flow.rebuild()
    assert said in caplog.text
    stop, told = Flag(), Queue[CaughtUp]()

    def tell(found: CaughtUp) -> None:
        told.put(found)
        stop.set()

    flow.follow(stop=stop, on_caught_up=tell)
    found = told.get(timeout=WAIT_SECONDS)
    assert said in found.left_out[0].sentence()
    assert found.failed == {}
    assert {s.position for s in found.standings.values()} == {found.head.position}


def test_the_stream_itself_is_refused_with_place_and_way_out(flow: SalesFlow) -> None:
    deal = opened(flow)
    before = flow.log.head()
    wrong = lost(flow, deal)
    spoil(flow, wrong)
    place = f"stream {deal}, version 2, position {wrong.position}"
    said = rf"deal.lost:1 at {place} .*{wrong.event_id}"
    with pytest.raises(HistoryError, match=said):
        flow.get(Deal, deal)
    with pytest.raises(HistoryError, match=said), flow.session() as s:
        s.get(Deal, deal)
    with pytest.raises(HistoryError, match=said):
        flow.ask(DealTimeline(deal=deal))
    assert isinstance(flow.history(deal)[-1].fact, UnreadableFact)
    moment = flow.ask(Funnel()).moment.model_copy(
        update={"known_at": flow.history(deal)[0].recorded_at, "position": before.position}
    )
    assert flow.get(Deal, deal, known_at=moment.known_at).outcome == "open"
    assert flow.ask(Funnel(), at=moment).left_out == ()


def test_it_is_retracted_by_its_id_and_its_stream_goes_on(flow: SalesFlow) -> None:
    deal = opened(flow)
    wrong = lost(flow, deal)
    spoil(flow, wrong)
    before = flow.ask(Funnel())
    with flow.session(actor="kim") as s:
        s.retract(wrong.event_id, because="its bytes are broken")
        s.get(Deal, deal).lose(because="no_budget")
    assert flow.get(Deal, deal).lost_because == "no_budget"
    after = flow.ask(Funnel())
    assert (after.open_deals, after.left_out) == (0, ())
    assert flow.ask(Funnel(), at=before.moment) == before
    flow.catch_up()
    kept = every_row(flow)
    flow.rebuild()
    assert every_row(flow) == kept
    retraction = next(e for e in flow.history(deal) if isinstance(e.fact, FactRetracted))
    with flow.session() as s:
        s.retract(retraction.event_id, because="it counts after all")
    assert [each.position for each in flow.ask(Funnel()).left_out] == [wrong.position]
    flow.catch_up()
    kept = every_row(flow)
    flow.rebuild()
    assert every_row(flow) == kept


def test_an_opening_that_cannot_be_read_is_retracted_and_recorded_anew(
    flow: SalesFlow,
) -> None:
    deal, other = opened(flow), opened(flow)
    [opening] = flow.history(deal)
    spoil(flow, opening)
    assert flow.ask(Deals()).left_out[0].stream_id == deal
    assert [each.deal for each in flow.ask(Deals()).deals] == [other]
    with pytest.raises(HistoryError), flow.session() as s:
        s.reopen_history(deal, flow.history(other)[0].fact)
    with flow.session() as s:
        s.retract(opening.event_id, because="its bytes are broken")
        s.reopen_history(deal, flow.history(other)[0].fact, occurred_at=opening.occurred_at)
    assert flow.ask(Funnel()).open_deals == 2
    assert flow.get(Deal, deal).title == "ERP"


def test_settings_that_cannot_be_read_are_retracted_too(flow: SalesFlow) -> None:
    [settings] = flow.history(SETTINGS_ID)
    spoil(flow, settings)
    url = flow.log.database.url.render_as_string(hide_password=False)
    with SalesFlow(url) as again:
        with pytest.raises(HistoryError, match="position 1 cannot be read"):
            again.ask(Funnel())
        with again.session() as s:
            s.retract(settings.event_id, because="its bytes are broken")
        assert again.ask(Funnel()).open_deals == 0


def test_an_event_that_is_none_is_not_retracted(flow: SalesFlow) -> None:
    with pytest.raises((InputError, LookupError)), flow.session() as s:
        s.retract(UUID(int=7), because="x")


def test_rows_after_an_event_spoiled_later_are_those_of_a_rebuild_in_the_end(
    flow: SalesFlow,
) -> None:
    """What was folded stands until a rebuild; then it is left out, and said to be."""
    deal = opened(flow)
    wrong = lost(flow, deal)
    assert flow.ask(Funnel()).open_deals == 0
    spoil(flow, wrong)
    flow.rebuild()
    view = flow.ask(Funnel())
    assert (view.open_deals, len(view.left_out)) == (1, 1)


def test_a_reactor_stops_at_what_it_listens_to_and_no_other(flow: SalesFlow) -> None:
    url = flow.log.database.url.render_as_string(hide_password=False)
    heard: list[str] = []
    deal = opened(flow)
    wrong = lost(flow, deal)
    spoil(flow, wrong)
    other = opened(flow)
    reactors = [
        Reactor("losses", {DealLost}, act=lambda e: heard.append(e.fact.kind), after=0),
        Reactor("new", {type(flow.history(other)[0].fact)}, act=repr, after=0),
    ]
    with SalesFlow(url, reactors=reactors) as acting:
        with pytest.raises(HistoryError, match=f"position {wrong.position} cannot be read"):
            acting.reactors.catch_up()
        head = flow.log.head().position
        assert acting.reactors.positions()["new"] == head
        with flow.session() as s:
            s.retract(wrong.event_id, because="its bytes are broken")
        lost(flow, other)
        acting.reactors.catch_up()
    assert heard == ["deal.lost"]


def test_what_no_question_reads_is_left_out_of_none(flow: SalesFlow) -> None:
    opened(flow)
    with flow.session() as s:
        acme = s.add(Customer.register(name="Acme")).id
    spoil(flow, flow.history(acme)[0])
    assert flow.ask(StageTimes()).left_out == ()
    assert [each.stream_id for each in flow.catch_up()] == [acme]


def test_a_hundred_streams_left_out_are_counted_and_twenty_named(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        for _ in range(30):
            spoil(flow, lost(flow, opened(flow)))
        view = flow.ask(Funnel())
        assert view.open_deals == 30
        assert (len(view.left_out), view.left_out[-1].more) == (20, 10)
        assert "10 streams more are left out" in view.table()


def test_a_deal_under_a_version_nobody_published_is_left_out_like_one_that_cannot_be_read(
    flow: SalesFlow,
) -> None:
    deal, other = opened(flow), opened(flow)
    [opening] = flow.history(deal)
    text = opening.fact.to_json().replace(b'"standard"', b'"standavd"')
    spoil(flow, opening, text)
    reseal(url_of(flow))
    view = flow.ask(Funnel())
    assert view.open_deals == 1
    assert "process 'standavd' version 1 was never published" in view.table()
    with pytest.raises(HistoryError, match="process 'standavd' version 1 was never published"):
        flow.get(Deal, deal)
    flow.rebuild()
    assert flow.ask(Funnel(), at=view.moment) == view
    with flow.session() as s:
        s.retract(opening.event_id, because="its bytes are broken")
    after = flow.ask(Funnel())
    assert (after.open_deals, after.left_out) == (1, ())
    assert flow.get(Deal, other).title == "ERP"


@pytest.mark.parametrize("question", [Funnel(), StageTimes(), Retrospective()])
def test_a_published_process_that_cannot_be_read_any_more_is_named(
    flow: SalesFlow, question: Question[View]
) -> None:
    opened(flow)
    flow.ask(question)
    [published] = flow.history(process_id("standard"))
    spoil(flow, published)
    with SalesFlow(url_of(flow)) as later:
        with pytest.raises(HistoryError, match=r"^process.published:1 at .* position 2 "):
            later.ask(question)
        assert "unreadable" in {problem.kind for problem in later.check(all=True).problems}


def url_of(flow: SalesFlow) -> str:
    return flow.log.database.url.render_as_string(hide_password=False)


def assigned(flow: SalesFlow, deal: UUID, owner: str) -> Event:
    flow.run(lambda s: s.get(Deal, deal).assign_owner(owner))
    return flow.history(deal)[-1]


def owners(flow: SalesFlow) -> list[tuple[str | None, str]]:
    return [(each.owner, each.outcome) for each in flow.ask(Deals()).deals]


def refuse_other_than_rebuilt(flow: SalesFlow) -> None:
    """Compare all rows with those of a rebuild by the same program."""
    flow.catch_up()
    kept = every_row(flow)
    assert flow.check(all=True).problems == () or flow.left_out()
    flow.rebuild()
    assert every_row(flow) == kept


def test_what_happens_behind_an_event_damaged_after_it_was_folded_is_left_out_and_said(
    flow: SalesFlow,
) -> None:
    deal = opened(flow)
    wrong = assigned(flow, deal, "bob")
    assert owners(flow) == [("bob", "open")]
    spoil(flow, wrong)
    with SalesFlow(url_of(flow)) as other:
        other.record([ExternalEvent(deal, DealLost(because="price"))])
        view = other.ask(Deals())
        assert [(each.owner, each.outcome) for each in view.deals] == [("ann", "open")]
        assert [each.position for each in view.left_out] == [wrong.position]
        assert [each.position for each in flow.catch_up()] == [wrong.position]
        refuse_other_than_rebuilt(other)


@pytest.mark.parametrize("poor_first", [False, True])
def test_programs_that_know_unlike_kinds_lose_nothing_and_count_nothing_twice(
    database_url: str, *, poor_first: bool
) -> None:
    """Let both answer in turn, each time something more has happened to the deal."""
    with SalesFlow(database_url, facts=[DemoShown]) as rich, SalesFlow(database_url) as poor:
        deal = opened(rich)
        poor.ask(Funnel())  # which holds the deal from now on
        rich.record([ExternalEvent(deal, DemoShown(product="ERP"))])
        said = rich.history(deal)[-1].position
        (poor if poor_first else rich).catch_up()
        for owner in ("bob", "cid"):
            assigned(rich, deal, owner)
            assert [each.position for each in poor.ask(Deals()).left_out] == [said]
            assert owners(poor) == [("ann", "open")]
            assert [each.position for each in poor.catch_up()] == [said]
            assert owners(rich) == [(owner, "open")]
            assert rich.catch_up() == ()
        lost(rich, deal)
        assert (rich.ask(Funnel()).open_deals, rich.ask(Deals()).left_out) == (0, ())
        assert owners(rich) == [("cid", "lost")]
        refuse_other_than_rebuilt(rich)
        lost(poor, opened(poor))
        assigned(rich, opened(rich), "bob")
        refuse_other_than_rebuilt(rich)


@pytest.mark.parametrize("number", [0, 1])
def test_an_event_damaged_after_it_was_folded_is_retracted_from_all_figures(
    flow: SalesFlow, number: int
) -> None:
    deal = opened(flow)
    assigned(flow, deal, "bob")
    flow.catch_up()
    wrong = flow.history(deal)[number]
    spoil(flow, wrong)
    with SalesFlow(url_of(flow)) as other:
        with other.session() as s:
            s.retract(wrong.event_id, because="its bytes are broken")
        view = other.ask(Deals())
        assert [each.owner for each in view.deals] == ["ann"] * number
        assert (other.ask(Funnel()).open_deals, view.left_out) == (number, ())
        refuse_other_than_rebuilt(other)


def test_streams_left_out_are_told_though_the_table_that_says_so_was_dropped(
    flow: SalesFlow,
) -> None:
    deal = opened(flow)
    wrong = lost(flow, deal)
    spoil(flow, wrong)
    before = flow.ask(Funnel())
    tamper(url_of(flow), "DROP TABLE salesflow_left_out")
    after = flow.ask(Funnel())
    assert (after.stages, after.left_out) == (before.stages, before.left_out)
    assert [each.position for each in after.left_out] == [wrong.position]
    refuse_other_than_rebuilt(flow)


def test_a_row_that_is_to_be_ended_and_is_not_there_is_named(flow: SalesFlow) -> None:
    deal = opened(flow)
    flow.catch_up()
    tamper(url_of(flow), f"DELETE FROM {DEAL_STATE.name}")
    assigned(flow, deal, "bob")
    said = "read table deal_state lacks 1 rows .* `salesflow rebuild deal_state`"
    with pytest.raises(ProjectionError, match=said):
        flow.ask(Deals())
    flow.rebuild("deal_state")
    assert owners(flow) == [("bob", "open")]


def test_a_batch_is_not_laid_over_rows_that_another_program_has_begun_anew(
    database_url: str,
) -> None:
    """Fold a page, let the other program begin the stream anew, then write."""
    with SalesFlow(database_url, facts=[DemoShown]) as rich, SalesFlow(database_url) as poor:
        deal = opened(rich)
        rich.record([ExternalEvent(deal, DemoShown(product="ERP"))])
        poor.catch_up()
        rows = poor._tables()._projections[DEAL_STATE.name]
        standing = poor._tables().standing(DEAL_STATE.name)
        rich.record([ExternalEvent(deal, OwnerAssigned(owner="bob"))])
        together = TablesTogether([rows], poor.log, PublishedProcesses(poor.log))
        together.apply_page(page_after(poor.log, standing), standing)
        assert rows.to_refill == {}
        assert rich.ask(Deals()).left_out == ()
        now = poor._tables().standing(DEAL_STATE.name)
        with pytest.raises(OvertakenError), poor.log.database.begin() as connection:
            stands, notes = {rows.name: now}, {rows.name: rows.notes}
            hold(poor.log, stands, notes, now, connection, Patience(1))
        assert owners(rich) == [("bob", "open")]


def test_a_restatement_counts_no_fact_that_cannot_be_read(flow: SalesFlow) -> None:
    deals = [opened(flow), opened(flow)]
    known_then = flow.log.page(0, 1_000)[-1].recorded_at
    read = [lost(flow, deal).position for deal in deals]
    flow.run(lambda s: s.get(Deal, deals[0]).reopen(because="a new budget"))
    wrong = flow.history(deals[0])[-1]
    spoil(flow, wrong)
    flow.rebuild()
    view = flow.ask(Restatement(known_then=known_then))
    assert [event.position for event in view.events] == read
    assert (view.deals_restated, view.events_total) == (2, 2)
