"""Who works with whom, how soon help comes, and who decides: figures worked out by hand."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import Collaboration, Deal
from salesflow.domain.deal.activities import (
    ContactLogged,
    DecisionMaker,
    DecisionProcessMapped,
)
from salesflow.domain.deal.committee import CommitteeMemberIdentified, StanceObserved
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import (
    CollaboratorJoined,
    DealHandedOver,
    HandoverAcknowledged,
    HelpGiven,
    HelpRequested,
    MeetingHeld,
    MessagePosted,
    OwnerAssigned,
)
from salesflow.domain.event import Fact
from salesflow.domain.rep import Rep
from salesflow.projections.collaboration.collaboration import CollaborationView

WANG, LI, ZHAO = UUID(int=1), UUID(int=2), UUID(int=3)
MARCH = {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)}


@pytest.fixture
def sales() -> Iterator[Shop]:
    with shop() as open_shop:
        yield open_shop


def asked(sales: Shop, as_of: str = "2026-05-31", **more: Any) -> CollaborationView:  # noqa: ANN401
    known_at = more.pop("known_at", None)
    question = Collaboration.model_validate(MARCH | more)
    return sales.flow.ask(question, as_of=as_of, known_at=known_at)


def joined(person: str, department: str, credit: str = "0") -> CollaboratorJoined:
    return CollaboratorJoined(person=person, department=department, credit=Decimal(credit))


def test_each_act_counts_once_for_each_pair_and_once_in_all(sales: Shop) -> None:
    """A message to two, a meeting of three, a joining, an answer: on two deals of Ann."""
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02", joined("lea", "legal")),
        ("2026-03-03", MessagePosted(by="ann", to=("lea", "bob", "lea"), channel="chat")),
        ("2026-03-04", MeetingHeld(participants=("ann", "lea", "bob"))),
    )
    sales.tell(
        2,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-05", HelpRequested(request="H", by="ann", department="legal")),
        ("2026-03-06", HelpGiven(request="H", by="lea")),
        ("2026-03-07", HelpGiven(request="H", by="bob")),
        ("2026-04-01", MessagePosted(by="ann", to=("lea",))),
    )
    view = asked(sales)
    assert [
        (p.person, p.colleague, p.deals, p.messages, p.meetings, p.help_given, p.joined)
        for p in view.pairs
    ] == [
        ("ann", "lea", 2, 1, 1, 1, 1),
        ("ann", "bob", 2, 1, 1, 1, 0),
        ("bob", "lea", 1, 0, 1, 0, 0),
    ]
    total = view.total
    assert (total.deals, total.messages, total.meetings, total.collaborators_joined) == (
        2,
        1,
        1,
        1,
    )
    [chat] = view.channels
    assert (chat.channel, chat.messages, chat.deals) == ("chat", 1, 1)


def test_the_first_answer_counts_by_the_department_asked_and_by_who_gave_it(
    sales: Shop,
) -> None:
    """Asked on the 2nd at 9:00: Lea answers after two days, Bob adds to it after three."""
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02 09:00", HelpRequested(request="A", by="ann", department="legal")),
        ("2026-03-04 09:00", HelpGiven(request="A", by="lea")),
        ("2026-03-05 09:00", HelpGiven(request="A", by="bob")),
        ("2026-03-10 09:00", HelpRequested(request="B", by="ann", department="legal")),
        ("2026-03-14 09:00", HelpGiven(request="B", by="lea")),
        ("2026-03-20 09:00", HelpRequested(request="C", by="ann", department="legal")),
        ("2026-03-25 09:00", HelpRequested(request="D", by="ann")),
    )
    view = asked(sales)
    total = view.total
    assert (total.help_requests, total.answered, total.open_requests) == (4, 2, 2)
    assert total.response.days_median == 3
    legal, nobody = view.departments
    assert (legal.department, legal.help_requests, legal.answered, legal.open_requests) == (
        "legal",
        3,
        2,
        1,
    )
    assert legal.response.days_median == 3
    assert (nobody.department, nobody.help_requests, nobody.open_requests) == (None, 1, 1)
    people = {p.person: (p.help_asked, p.help_given, p.first_answers) for p in view.people}
    assert people == {"ann": (4, 0, 0), "lea": (0, 2, 2), "bob": (0, 1, 0)}
    assert [(r.asked_by, r.department, r.days_waiting) for r in view.open_requests] == [
        ("ann", "legal", view.open_requests[0].days_waiting),
        ("ann", None, view.open_requests[1].days_waiting),
    ]
    assert view.open_requests[0].days_waiting - view.open_requests[1].days_waiting == 5


def test_an_answer_is_open_before_it_came_and_again_once_it_is_retracted(sales: Shop) -> None:
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02", HelpRequested(request="A", by="ann")),
        ("2026-03-05", HelpGiven(request="A", by="lea")),
    )
    assert asked(sales, "2026-03-04").total.open_requests == 1
    assert asked(sales, "2026-03-05").total.open_requests == 0
    before = asked(sales)
    sales.retract(sales.events(1)[-1])
    assert asked(sales).total.open_requests == 1
    assert sales.flow.ask(Collaboration.model_validate(MARCH), at=before.moment) == before


def test_an_earlier_answer_that_is_told_late_becomes_the_first(sales: Shop) -> None:
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02 09:00", HelpRequested(request="A", by="ann")),
        ("2026-03-06 09:00", HelpGiven(request="A", by="lea")),
    )
    assert asked(sales).total.response.days_median == 4
    sales.tell(1, ("2026-03-03 09:00", HelpGiven(request="A", by="bob")))
    view = asked(sales)
    assert view.total.response.days_median == 1
    assert [p.person for p in view.people if p.first_answers] == ["bob"]


def test_who_is_not_named_did_it_as_who_recorded_it_unless_it_was_imported(
    sales: Shop,
) -> None:
    sales.tell(1, ("2026-02-01", opened(owner="ann")))
    sales.tell(1, ("2026-03-02", MessagePosted(to=("cid",))))
    with sales.flow.session(actor="ann") as session:
        deal = session.get(Deal, deal_id(1))
        deal.post_message("who knows?", to=("lea",), occurred_at=date(2026, 3, 2))
    assert [(p.person, p.colleague) for p in asked(sales).pairs] == [("ann", "lea")]


def test_a_handover_counts_with_or_without_anything_handed_over(sales: Shop) -> None:
    handed = DealHandedOver(to="bob", open_tasks=("call",), contact_people=(WANG, LI))
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02", OwnerAssigned(owner="bob", because="a move")),
        ("2026-03-03", handed),
        ("2026-04-05", HandoverAcknowledged(by="bob")),
    )
    sales.tell(
        2, ("2026-02-01", opened(owner="ann")), ("2026-03-09", OwnerAssigned(owner="bob"))
    )
    view = asked(sales)
    total = view.total
    assert (total.handovers, total.handed_over, total.acknowledged) == (2, 1, 1)
    second, first = view.handovers
    assert (first.former, first.owner, first.open_tasks, first.contact_people) == (
        "ann",
        "bob",
        1,
        2,
    )
    assert (second.handed_over_at, second.acknowledged_at) == (None, None)
    assert asked(sales, "2026-03-31").total.acknowledged == 0
    assert asked(sales, owner="ann").total.handovers == 2
    assert asked(sales, owner="cid").total.handovers == 0


def test_a_deal_is_credited_once_however_it_is_shared(sales: Shop) -> None:
    """Ann keeps what Lea and Bob leave over; who joins after winning gets nothing of it."""
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann", amount=cny("100"))),
        ("2026-03-01", joined("lea", "legal", "0.2")),
        ("2026-03-02", joined("bob", "it", "0.3")),
        ("2026-03-10", DealWon()),
        ("2026-03-11", joined("cid", "it", "0.5")),
    )
    sales.tell(2, ("2026-02-01", opened(owner="ann")), ("2026-03-12", DealWon()))
    view = asked(sales)
    credited = {p.person: p.credited for p in view.people}
    assert credited == {
        "ann": Decimal("1.5"),
        "lea": Decimal("0.2"),
        "bob": Decimal("0.3"),
        "cid": Decimal(0),
    }
    assert sum(credited.values()) == view.won == 2


def test_credits_are_written_to_the_last_digit_so_that_they_add_up(sales: Shop) -> None:
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann", amount=cny("100"))),
        ("2026-03-01", joined("lea", "legal", "0.25")),
        ("2026-03-02", joined("bob", "it", "0.125")),
        ("2026-03-10", DealWon()),
    )
    [table] = [each for each in asked(sales).tables() if each.title == "People on deals"]
    credited = {row[0]: row[-1] for row in table.rows}
    assert credited == {"ann": "0.625", "lea": "0.25", "bob": "0.125"}


def test_committees_of_no_deal_won_or_lost_are_not_listed(sales: Shop) -> None:
    sales.tell(1, ("2026-02-01", opened(owner="ann")))
    tables = {each.title: each.rows for each in asked(sales).tables()}
    assert tables["Buying committee in won and lost deals"] == ()
    sales.tell(2, ("2026-02-01", opened(owner="ann")), ("2026-03-12", DealWon()))
    tables = {each.title: each.rows for each in asked(sales).tables()}
    [row] = tables["Buying committee in won and lost deals"]
    assert row[:2] == ("committee known *", "1")


def member(person: UUID, *roles: str, stance: str = "neutral") -> Fact:
    return CommitteeMemberIdentified.model_validate(
        {"person_id": person, "roles": roles, "stance": stance}
    )


def met(*people: UUID) -> ContactLogged:
    return ContactLogged(channel="visit", direction="out", contact_people=people)


def tell_of_committees(sales: Shop) -> None:
    """One deal won with two met of three, one lost with none met, one where none is known."""
    mapped = DecisionProcessMapped(people=(DecisionMaker(person_id=ZHAO, role="user"),))
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-02-02", member(WANG, "economic_buyer", "decision_maker", stance="supporter")),
        ("2026-02-03", member(LI, "champion")),
        ("2026-02-04", mapped),
        ("2026-03-01", met(WANG, LI)),
        ("2026-03-10", DealWon()),
        ("2026-03-11", StanceObserved(person_id=LI, stance="opponent")),
        ("2026-03-12", met(ZHAO)),
    )
    sales.tell(
        2,
        ("2026-01-01", opened(owner="ann")),
        ("2026-01-02", member(WANG, "economic_buyer")),
        ("2026-01-03", met(WANG)),
        ("2026-03-10", DealLost(because="price")),
    )
    sales.tell(
        3, ("2026-01-01", opened(owner="ann")), ("2026-03-10", DealLost(because="price"))
    )


def test_committees_of_won_and_lost_deals_are_those_at_closing(sales: Shop) -> None:
    """What became known afterwards does not count."""
    tell_of_committees(sales)
    view = asked(sales)
    shares = {s.figure: ((s.won, s.won_of), (s.lost, s.lost_of)) for s in view.coverage}
    assert shares["committee_known"] == ((1, 1), (1, 2))
    assert shares["several_contacted"] == ((1, 1), (0, 1))
    assert shares["everybody_contacted"] == ((0, 1), (0, 1))
    assert shares["has_supporter"] == ((1, 1), (0, 1))
    assert shares["has_opponent"] == ((0, 1), (0, 1))
    assert shares["has_economic_buyer"] == ((1, 1), (1, 1))
    assert shares["has_user"] == ((1, 1), (0, 1))
    assert shares["has_gatekeeper"] == ((0, 1), (0, 1))
    assert all(s.few for s in view.coverage)
    means = {
        mean.figure: [None if side is None else side.value for side in (mean.won, mean.lost)]
        for mean in view.coverage_means
    }
    assert means == {
        "members": [Decimal(3), Decimal(1)],
        "contacted": [Decimal(2), Decimal(0)],
        "roles_filled": [Decimal(4), Decimal(1)],
    }
    within = {s.figure: s for s in asked(sales, contacted_within=90).coverage}
    assert (within["everybody_contacted"].won, within["everybody_contacted"].lost) == (0, 1)


def test_a_difference_says_its_interval_and_that_it_claims_no_cause(sales: Shop) -> None:
    tell_of_committees(sales)
    view = asked(sales)
    known = view.coverage[0]
    assert known.difference is not None
    assert known.difference.value == Decimal("0.5")
    assert known.difference.interval is not None
    text = view.table()
    assert "fewer than ten deals won or lost to compare" in text
    assert "Differences claim no cause" in text


def test_of_nothing_there_are_no_figures(sales: Shop) -> None:
    sales.tell(1, ("2026-02-01", opened(owner="ann")))
    view = asked(sales)
    assert view.total.response.days_median is None
    assert {s.won_share for s in view.coverage} == {None}
    assert {m.won for m in view.coverage_means} == {None}
    assert [*view.people, *view.pairs, *view.departments] == []


def test_open_deals_show_who_is_missing_the_least_covered_first(sales: Shop) -> None:
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann", expected_close=date(2026, 8, 1))),
        ("2026-05-01", member(WANG, "champion", stance="supporter")),
        ("2026-05-20", met(WANG)),
    )
    for number, closes in ((2, date(2026, 9, 1)), (3, date(2026, 7, 1)), (4, date(2026, 1, 1))):
        sales.tell(number, ("2026-02-01", opened(owner="bob", expected_close=closes)))
    view = asked(sales)
    assert [each.deal for each in view.open_deals] == [deal_id(n) for n in (3, 2, 4, 1)]
    last = view.open_deals[-1]
    assert (last.members, last.contacted, last.supporters, last.opponents) == (1, 1, 1, 0)
    assert "champion" not in last.roles_unfilled
    assert "economic_buyer" in last.roles_unfilled
    assert view.open_deals[0].roles_unfilled == ()
    assert (view.open_uncontacted, view.open_single_contact, view.open_deals_total) == (3, 1, 4)
    shown = asked(sales, limit=1)
    assert (len(shown.open_deals), shown.open_deals_total) == (1, 4)
    assert "listed 1" in shown.table()


def test_what_happened_counts_for_whoever_had_the_deal_and_their_team_then(
    sales: Shop,
) -> None:
    with sales.flow.session() as session:
        for rep, team in (("ann", "east"), ("bob", "south")):
            session.add(Rep.join(rep, team=team, name=rep, occurred_at=date(2020, 1, 1)))
    sales.tell(
        1,
        ("2026-02-01", opened(owner="ann")),
        ("2026-03-02", MessagePosted(by="ann", to=("lea",))),
        ("2026-03-05", OwnerAssigned(owner="bob")),
        ("2026-03-09", MessagePosted(by="bob", to=("lea",))),
    )
    for only, messages in (
        ({"owner": "ann"}, 1),
        ({"team": "south"}, 1),
        ({"process": "plain"}, 2),
        ({"process": "standard"}, 0),
    ):
        assert asked(sales, **only).total.messages == messages, only
    assert asked(sales, team="east").total.handovers == 1
    assert asked(sales, team="east").open_deals_total == 0
    assert asked(sales, team="south").open_deals_total == 1
