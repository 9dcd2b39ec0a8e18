"""What may enter the log, and how a command id is told apart from another's."""

from collections.abc import Callable, Sequence
from threading import Barrier, Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from given import opened
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, SalesFlow, Session
from salesflow.adapters.event_store.append import Append, NewEvent, Receipt, Recheck
from salesflow.domain.customer import CustomerMerged, CustomerRegistered
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.ids import new_id
from salesflow.domain.process import Label
from salesflow.errors import AlreadyRecordedError, InputError, RuleError, StaleTransactionError
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.funnel import Funnel

GROWS = "\u0958" * 251
"""251 characters that are 502 when they are written in the one way texts are kept."""


def deal_of(flow: SalesFlow, title: str = "ERP") -> UUID:
    with flow.session() as s:
        deal = Deal.open(STANDARD, title=title, owner="ann", amount=Money("100", "CNY"))
        return s.add(deal).id


def wins(deal: UUID) -> Callable[[Session], object]:
    return lambda s: s.get(Deal, deal).win()


@pytest.mark.parametrize(
    "command",
    [
        lambda deal: deal.name_competitor(GROWS),
        lambda deal: deal.assign_owner(GROWS),
        lambda deal: deal.log_contact(channel="call", direction="out", summary=GROWS * 20),
    ],
    ids=["a name", "an owner", "a summary"],
)
def test_a_text_that_is_too_long_once_normalised_is_refused(
    flow: SalesFlow, command: Callable[[Deal], object]
) -> None:
    deal = deal_of(flow)
    head = flow.log.head()
    with pytest.raises(InputError, match="longer than"):
        flow.run(lambda s: command(s.get(Deal, deal)))
    assert flow.log.head() == head
    assert flow.ask(Funnel()).open_deals == 1


def test_a_text_is_kept_normalised_up_to_its_full_length(flow: SalesFlow) -> None:
    deal = deal_of(flow, "\u0958" * 250)
    assert flow.get(Deal, deal).title == "\u0915\u093c" * 250


def test_an_actor_may_be_a_uuid_and_is_kept_as_text(flow: SalesFlow) -> None:
    deal, user, request = deal_of(flow), uuid4(), uuid4()
    receipt = flow.run(wins(deal), actor=user, command_id=request)
    assert receipt is not None
    assert receipt.command_id == str(request)
    assert flow.history(deal)[-1].actor == str(user)
    assert flow.ask(DealTimeline(deal=deal)).facts[-1].actor == str(user)


@pytest.mark.parametrize("name", ["actor", "command_id", "correlation_id", "causation_id"])
@pytest.mark.parametrize(
    "text", ["", " ", "\x1b[31m", "\u200ekim", "\0", "\ud800", "x" * 501, 5]
)
def test_a_session_takes_no_envelope_that_cannot_be_shown(
    flow: SalesFlow, name: str, text: object
) -> None:
    given: dict[str, Any] = {name: text}
    with pytest.raises(InputError, match=name), flow.session(**given):
        raise AssertionError("it was opened")


def test_a_command_sent_again_is_answered_and_says_that_it_was_known(flow: SalesFlow) -> None:
    deal = deal_of(flow)
    first = flow.run(wins(deal), actor="ann", command_id="r-1", fingerprint=b'{"win": 1}')
    again = flow.run(wins(deal), actor="ann", command_id="r-1", fingerprint=b'{"win": 1}')
    unsaid = flow.run(wins(deal), actor="ann", command_id="r-1")
    assert first is not None
    assert not first.again
    assert again == unsaid == first._replace(again=True, kinds=again.kinds if again else ())


def test_a_command_id_of_somebody_else_is_not_answered(flow: SalesFlow) -> None:
    deal = deal_of(flow)
    flow.run(wins(deal), actor="ann", command_id="r-1")
    for actor in ("bob", None):
        with pytest.raises(AlreadyRecordedError, match="by 'ann' and not by") as caught:
            flow.run(wins(deal), actor=actor, command_id="r-1")
        assert caught.value.differs == "actor"
    with pytest.raises(AlreadyRecordedError), flow.session(actor="bob", command_id="r-1"):
        raise AssertionError("it was opened")


def test_a_command_id_of_another_request_is_not_answered(flow: SalesFlow) -> None:
    deal = deal_of(flow)
    flow.run(wins(deal), command_id="r-1", fingerprint="win")
    with pytest.raises(AlreadyRecordedError, match="its fingerprint differs") as caught:
        flow.run(wins(deal), command_id="r-1", fingerprint="lose")
    assert caught.value.differs == "fingerprint"
    with flow.session(command_id="r-2", fingerprint="x") as s:
        s.get(Deal, deal).reopen(because="typo")
    with pytest.raises(AlreadyRecordedError), flow.session(command_id="r-2", fingerprint="y"):
        raise AssertionError("it was opened")


def test_a_stream_tells_of_one_kind_of_thing(flow: SalesFlow) -> None:
    deal, fresh = deal_of(flow), uuid4()
    with flow.session() as s:
        acme = s.add(Customer.register(name="Acme")).id
    head = flow.log.head()
    told: list[list[tuple[UUID, Fact]]] = [
        [(acme, DealWon())],
        [(deal, CustomerRegistered(name="Acme"))],
        [(fresh, CustomerRegistered(name="Acme")), (fresh, opened(STANDARD))],
        [(fresh, DealWon()), (fresh, CustomerRegistered(name="Acme"))],
    ]
    for facts in told:
        with pytest.raises(InputError, match="A stream tells of one thing"):
            flow.record([ExternalEvent(id, fact) for id, fact in facts])
    url = flow.log.database.url.render_as_string(hide_password=False)
    again = pytest.raises(InputError, match=f"{acme} is a customer")
    with SalesFlow(url) as other, again:
        other.record([ExternalEvent(acme, DealWon())])
    assert flow.log.head() == head


def test_a_merge_that_leads_nowhere_is_not_recorded(flow: SalesFlow) -> None:
    one, other, nobody = deal_of(flow), deal_of(flow), uuid4()
    head = flow.log.head()

    def pair(deal: UUID, into: UUID) -> list[ExternalEvent]:
        halves: list[tuple[UUID, Fact]] = [
            (deal, DealMerged(into=into)),
            (into, DealAbsorbed(absorbed=deal)),
        ]
        return [ExternalEvent(id, fact) for id, fact in halves]

    for told in (pair(one, one), pair(one, nobody), [*pair(one, other), *pair(other, one)]):
        with pytest.raises(RuleError, match="cannot be merged into"):
            flow.record(told)
    assert flow.log.head() == head
    flow.record(pair(one, other))
    with pytest.raises(RuleError, match="that is a circle"):
        flow.record(pair(other, one))
    assert flow.ask(Funnel()).open_deals == 1


@pytest.mark.parametrize("key", ["键" * 101, "\u0958" * 51])
def test_a_key_has_at_most_a_hundred_characters(key: str) -> None:
    Label(key="键" * 100, name_en="", name_zh="")
    StageMoved(target="x" * 100)
    with pytest.raises(InputError, match="longer than 100 characters"):
        Label(key=key, name_en="", name_zh="")
    with pytest.raises(InputError, match="longer than 100 characters"):
        StageMoved(target=key)


def test_a_value_is_never_made_or_copied_unchecked() -> None:
    with pytest.raises(InputError, match="amount"):
        Money.model_construct(amount="x", currency="CNY")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="currency"):
        Money("1", "CNY").model_copy(update={"currency": "yuan"})
    with pytest.raises(InputError, match="must not be blank"):
        StageMoved.model_construct(target="")


def merge(flow: SalesFlow, into: tuple[UUID, UUID]) -> None:
    absorbed, survivor = into
    halves: list[tuple[UUID, Fact]] = [
        (absorbed, DealMerged(into=survivor)),
        (survivor, DealAbsorbed(absorbed=absorbed)),
    ]
    flow.record([ExternalEvent(*half) for half in halves])


def before_writing(flow: SalesFlow, then: Callable[[], object]) -> None:
    """Do something between the checks and the database."""
    write = flow.log._appending.write

    def later(
        appends: Sequence[Append], deadline: float, recheck: Recheck = None
    ) -> list[Receipt]:
        then()
        return write(appends, deadline, recheck)

    flow.log._appending.write = later  # type: ignore[method-assign]


def checked_together(flows: list[SalesFlow]) -> None:
    """Let each of them append once only when all of them have been checked."""
    passed = Barrier(len(flows))
    for flow in flows:
        before_writing(flow, lambda: passed.wait(60))


def test_two_merges_told_at_once_close_no_circle(database_url: str) -> None:
    refused: list[RuleError] = []

    def try_it(flow: SalesFlow, pair: tuple[UUID, UUID]) -> None:
        try:
            merge(flow, pair)
        except RuleError as error:
            refused.append(error)

    with SalesFlow(database_url) as one, SalesFlow(database_url) as two:
        a, b, c, d = (deal_of(one, title) for title in "ABCD")
        merge(one, (a, b))
        merge(one, (c, d))
        head = one.log.head().position
        pairs = ((b, c), (d, a))
        checked_together([one, two])
        told = [
            Thread(target=try_it, args=each) for each in zip((one, two), pairs, strict=True)
        ]
        for thread in told:
            thread.start()
        for thread in told:
            thread.join()
        assert len(refused) == 1
        assert "circle" in str(refused[0])
        assert one.log.head().position == head + 2, "nothing of the other one is stored"
        assert one.ask(Funnel()).open_deals == 1


def test_a_merge_that_has_waited_for_a_transaction_of_a_host_closes_no_circle(
    database_url: str,
) -> None:
    def other() -> None:
        try:
            two.record([ExternalEvent(y, CustomerMerged(into=x))])
        except RuleError as error:
            refused.append(str(error))

    with SalesFlow(database_url) as one, SalesFlow(database_url) as two:
        with one.session() as s:
            x, y = (s.add(Customer.register(name=name)).id for name in "XY")
        waiting, refused = Event(), list[str]()
        before_writing(two, waiting.set)
        thread = Thread(target=other)
        with one.log.database.engine.begin() as connection:
            with one.session(connection=connection) as s:
                s.get(Customer, x).merge_into(s.get(Customer, y), because="same")
            thread.start()
            assert waiting.wait(60)
        thread.join()
        assert len(refused) == 1
        assert "circle" in refused[0]


def test_a_host_that_has_waited_for_the_lock_closes_no_circle_either(database_url: str) -> None:
    with SalesFlow(database_url) as one, SalesFlow(database_url) as two:
        with one.session() as s:
            x, y = (s.add(Customer.register(name=name)).id for name in "XY")
        write = one.log._appending.write_in

        def later(connection: Connection, append: Append, recheck: Recheck = None) -> Receipt:
            two.record([ExternalEvent(y, CustomerMerged(into=x))])
            return write(connection, append, recheck)

        one.log._appending.write_in = later  # type: ignore[method-assign]
        with one.log.database.engine.connect() as connection:
            session = one.session(connection=connection)
            stale = StaleTransactionError if one.log.database.dialect == "sqlite" else RuleError
            with pytest.raises(stale, match=r"circle|has read"), session as s:
                s.get(Customer, x).merge_into(s.get(Customer, y), because="same")
        assert one.log.head().position == two.history(y)[-1].position


def test_bytes_that_would_be_read_otherwise_without_being_checked_are_refused(
    flow: SalesFlow,
) -> None:
    payload = '{"name":"e\u0301"}'.encode()
    odd = NewEvent(uuid4(), 1, "customer.registered:1", payload, new_id(), None)
    with pytest.raises(InputError, match="would be read back as something else"):
        flow.log.append([odd])
