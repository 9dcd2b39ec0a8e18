"""What can be told of a deal: every kind of fact that moves a figure, and some that move none.

`fact_of(what, n, effective)` makes a fact from a word and a number, so that a history is a
list of small readable tuples which Hypothesis can shrink. `fact_about` does the same for
whatever a number names, deal or customer.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from properties.customers import customer_fact
from properties.goals import goal_fact
from properties.reps import rep_fact
from properties.world import (
    FIRST_CUSTOMER,
    FIRST_GOAL,
    FIRST_REP,
    OWNERS,
    PROCESSES,
    STAGES,
    customer_id,
    deal_id,
    money,
)
from salesflow.domain.deal.activities import (
    CompetitorNamed,
    ContactLogged,
    DecisionMaker,
    DecisionProcessMapped,
    ObjectionRaised,
    ObjectionResolved,
)
from salesflow.domain.deal.after_sales import (
    FeedbackFollowedUp,
    FeedbackReceived,
    FeedbackTagged,
    InterviewHeld,
    RepeatOrderPlaced,
    SurveySent,
)
from salesflow.domain.deal.billing import (
    ContractAmended,
    ForecastGiven,
    LineItemsAgreed,
    RefundGiven,
    TermsAgreed,
)
from salesflow.domain.deal.committee import (
    CommitteeMemberIdentified,
    CommitteeMemberLeft,
    StanceObserved,
)
from salesflow.domain.deal.merging import (
    DealAbsorbed,
    DealMerged,
    DealReleased,
    DealUnmerged,
)
from salesflow.domain.deal.outcomes import (
    DealDisqualified,
    DealLost,
    DealReopened,
    DealWon,
)
from salesflow.domain.deal.people import (
    CollaboratorJoined,
    CollaboratorLeft,
    CustomerChanged,
    DealHandedOver,
    HandoverAcknowledged,
    HelpGiven,
    HelpRequested,
    MeetingHeld,
    MessagePosted,
    OwnerAssigned,
)
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteLine,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
)
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMapping, StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.values import Money

__all__ = ["ANYTHING", "THEMES", "fact_about", "fact_of"]

Make = Callable[[int, datetime | None], Fact]
DAY_ONE = date(2024, 2, 1)
PARTICIPANTS: Final = ((), ("Li Wei",), ("li  wei",), ("Bo",), ("Bo", "LI WEI"), (" ",), ())
"""Whom a contact names: some twice, written differently."""


def _opened(n: int) -> Fact:
    process = PROCESSES[n % len(PROCESSES)]
    stages = process.stages
    return DealOpened(
        process=process.key,
        process_version=process.version,
        stage=stages[n // 3 % len(stages)].key if n % 5 == 4 else stages[0].key,
        title=f"deal {n}",
        owner=OWNERS[n % 3] if n % 7 else None,
        amount=_perhaps(n),
        expected_close=DAY_ONE + timedelta(days=n) if n % 2 else None,
        customer_id=customer_id(n // 2) if n % 4 else None,
        lead_source=("fair", "web", None)[n // 4 % 3],
    )


def _moved(n: int) -> Fact:
    return StageMoved(target="limbo" if n % 29 == 28 else STAGES[n % len(STAGES)])


def _perhaps(n: int) -> Money | None:
    return money(n // 2) if n % 3 else None


def _forecast(n: int) -> Fact:
    parts = (
        {"amount": money(n)},
        {"expected_close": DAY_ONE + timedelta(days=n)},
        {"category": ("pipeline", "best_case", "commit", "omitted")[n % 4]},
        {"probability": (Decimal("0.5"), Decimal("0.333333"), Decimal(0), Decimal(1))[n % 4]},
        {"cleared": ("amount", "probability")},
        {"cleared": ("expected_close", "category"), "amount": money(n)},
        {"amount": money(n), "expected_close": DAY_ONE, "probability": Decimal("0.9")},
    )
    return ForecastGiven.model_validate(parts[n % len(parts)])


def _lines(n: int) -> Fact:
    count = 1 + n % 3
    return LineItemsAgreed(
        lines=tuple(
            QuoteLine(
                product=f"p{i}",
                quantity=Decimal(1 + n % 4) + Decimal("0.5") * (i % 2),
                unit_price=Money("33.333333", money(n).currency),
                discount=Decimal("0.15") if n % 2 else Decimal(0),
            )
            for i in range(count)
        )
    )


def _products(n: int) -> tuple[QuoteLine, ...]:
    return tuple(QuoteLine(product=f"q{i}", unit_price=Money("1", "CNY")) for i in range(n % 3))


def _migrated(n: int) -> Fact:
    process = PROCESSES[n % len(PROCESSES)]
    keys = [stage.key for stage in process.stages if stage.category == "open"]
    old = STAGES[n % len(STAGES)]
    mapping = (StageMapping(old=old, new=keys[n % len(keys)]),) if n % 2 else ()
    return DealMigrated(process=process.key, process_version=process.version, mapping=mapping)


def _quote(n: int) -> str:
    return f"Q{n % 2}"


def _survey(n: int) -> Fact:
    person = deal_id(n % 2) if n % 4 else None
    return SurveySent(survey=f"s{n % 2}", scale=("nps", "csat")[n % 2], person_id=person)


def _feedback(n: int) -> Fact:
    answers = (
        {"scale": "nps", "score": (0, 6, 7, 8, 9, 10)[n % 6], "text": f"words {n}"},
        {"scale": "csat", "score": 1 + n // 5 % 5},
        {"scale": "ces", "score": 1 + n % 7},
        {"text": ("too slow", " ", "\n")[n % 3]},
        {"scale": "nps", "score": n % 11},
    )
    about = {"survey": f"s{n % 2}"} if n % 5 else {}
    person = {"person_id": deal_id(n % 3)} if n % 3 else {}
    return FeedbackReceived.model_validate(answers[n % len(answers)] | about | person)


def _interview(n: int) -> Fact:
    reasons = (("price",), ("timing", "price"), (), ("trust",))[n % 4]
    return InterviewHeld(reasons=reasons, by="research", competitor=f"rival {n % 2}")


def _contact(n: int) -> Fact:
    channel, direction = ("call", "visit", None)[n % 3], ("out", "out", "in", None)[n % 4]
    about: dict[str, object] = {"participants": PARTICIPANTS[n % len(PARTICIPANTS)]}
    about["next_step"] = ("demo", None, " ")[n % 3]
    if n % 2:
        about["contact_people"] = (person_id(n // 2), person_id(n // 3))
    return ContactLogged.model_validate({"channel": channel, "direction": direction} | about)


def _message(n: int) -> Fact:
    to = ((), ("bob",), ("cho", "ann", "cho"))[n % 3]
    channel = ("chat", "email", None)[n // 3 % 3]
    return MessagePosted(by=OWNERS[n // 2 % 3] if n % 4 else None, to=to, channel=channel)


def _meeting(n: int) -> Fact:
    who = (("ann", "bob"), ("cho", "bob", "ann", "bob"), ("dan",), ())[n % 4]
    return MeetingHeld(participants=who, departments=("legal", "it")[: n // 4 % 3])


def _asked(n: int) -> Fact:
    by, department = OWNERS[n % 3] if n % 4 else None, ("legal", "it", None)[n // 4 % 3]
    return HelpRequested(request=f"H{n % 2}", by=by, department=department)


def _handed(n: int) -> Fact:
    return DealHandedOver(
        to=OWNERS[n % 3],
        open_tasks=("call",) * (n % 4),
        promises=("soon",) * (n // 2 % 2),
        contact_people=(person_id(n),) if n % 5 else (),
    )


def _member(n: int) -> Fact:
    roles = ((), ("champion",), ("economic_buyer", "user"), ("other",))[n % 4]
    stance = (None, "supporter", "opponent", "unknown")[n // 4 % 4]
    shape = {"person_id": person_id(n), "roles": roles, "stance": stance}
    return CommitteeMemberIdentified.model_validate(shape)


def _mapped(n: int) -> Fact:
    people = [
        DecisionMaker(person_id=person_id(n), role="decision_maker"),
        DecisionMaker(person_id=person_id(n // 3), role="CFO"),
        DecisionMaker(name="Wang"),
    ]
    return DecisionProcessMapped(people=tuple(people[: n % 4]))


def person_id(n: int) -> UUID:
    """Name one of the few people who decide."""
    return UUID(int=0xBEEF_0000 + n % 3)


def _cheaper(n: int) -> tuple[QuoteLine, ...]:
    """Give lines with a discount, now and then in two currencies or for nothing."""
    return tuple(
        QuoteLine(
            product=f"c{i}",
            quantity=Decimal(i + 1),
            unit_price=Money("10" if n % 5 else "0", "USD" if n % 7 == 6 and i else "CNY"),
            discount=Decimal(n % 4) / 10,
        )
        for i in range(1 + n % 2)
    )


FACTS: Final[dict[str, Make]] = {
    "opened": lambda n, _: _opened(n),
    "moved": lambda n, _: _moved(n),
    "migrated": lambda n, _: _migrated(n),
    "won": lambda n, _: DealWon(amount=_perhaps(n)),
    "lost": lambda n, _: DealLost(because=("price", "timing", None)[n % 3]),
    "disqualified": lambda _, __: DealDisqualified(because="nobody to buy"),
    "reopened": lambda n, _: DealReopened(stage=None if n % 2 else "negotiation"),
    "merged": lambda n, _: DealMerged(into=deal_id(n)),
    "absorbed": lambda n, _: DealAbsorbed(absorbed=deal_id(n)),
    "unmerged": lambda n, _: DealUnmerged(out_of=deal_id(n)),
    "released": lambda n, _: DealReleased(released=deal_id(n)),
    "forecast": lambda n, _: _forecast(n),
    "lines": lambda n, _: _lines(n),
    "terms": lambda n, _: TermsAgreed(payment_days=n),
    "amended": lambda n, e: ContractAmended(amount=_perhaps(n), effective_from=e),
    "refund": lambda n, _: RefundGiven(amount=money(n), overpayment=n % 3 == 0),
    "repeat": lambda n, _: RepeatOrderPlaced(amount=_perhaps(n)),
    "owner": lambda n, e: OwnerAssigned(owner=OWNERS[n % 3], effective_from=e),
    "joined": lambda n, e: CollaboratorJoined(
        person=OWNERS[n % 3],
        credit=Decimal("0.1"),
        department=("legal", None)[n // 3 % 2],
        effective_from=e,
    ),
    "left": lambda n, e: CollaboratorLeft(person=OWNERS[n % 3], effective_from=e),
    "customer": lambda n, _: CustomerChanged(customer_id=customer_id(n) if n % 4 else None),
    "contact": lambda n, _: _contact(n),
    "survey": lambda n, _: _survey(n),
    "feedback": lambda n, _: _feedback(n),
    "followed": lambda n, _: FeedbackFollowedUp(by=OWNERS[n % 3], result="called"),
    "tagged": lambda n, _: FeedbackTagged(themes=("speed", "price")[n % 2 :]),
    "interviewed": lambda n, _: _interview(n),
    "quote_drafted": lambda n, _: QuoteDrafted(quote=_quote(n), total=money(n)),
    "quote_issued": lambda n, _: QuoteIssued(quote=_quote(n), total=money(n)),
    "quote_revised": lambda n, _: QuoteRevised(quote=_quote(n), total=money(n)),
    "quote_accepted": lambda n, _: QuoteAccepted(quote=_quote(n)),
    "quote_rejected": lambda n, _: QuoteRejected(quote=_quote(n)),
    "quote_withdrawn": lambda n, _: QuoteWithdrawn(quote=_quote(n)),
    "quote_expired": lambda n, _: QuoteExpired(quote=_quote(n)),
    "quoted": lambda n, _: QuoteIssued(quote=_quote(n), lines=_products(n)),
    "offered": lambda n, _: QuoteIssued(quote=_quote(n), lines=_cheaper(n)),
    "cheapened": lambda n, _: QuoteRevised(quote=_quote(n), lines=_cheaper(n)),
    "doubted": lambda n, _: ObjectionRaised(objection=f"O{n % 2}", topic="price"),
    "assured": lambda n, _: ObjectionResolved(objection=f"O{n % 2}"),
    "rivalled": lambda n, _: CompetitorNamed(competitor=f"rival {n % 2}"),
    "asked": lambda n, _: _asked(n),
    "helped": lambda n, _: HelpGiven(request=f"H{n % 2}", by=OWNERS[n % 3] if n % 5 else None),
    "messaged": lambda n, _: _message(n),
    "conferred": lambda n, _: _meeting(n),
    "handed": lambda n, _: _handed(n),
    "took": lambda n, _: HandoverAcknowledged(by=OWNERS[n % 3]),
    "member": lambda n, _: _member(n),
    "stance": lambda n, _: StanceObserved(
        person_id=person_id(n), stance=("supporter", "opponent", "neutral")[n // 3 % 3]
    ),
    "gone": lambda n, _: CommitteeMemberLeft(person_id=person_id(n)),
    "mapped": lambda n, _: _mapped(n),
}

OFTEN = ("moved",) * 5 + ("owner", "forecast", "won", "lost", "reopened", "amended") * 2
TOGETHER: Final = frozenset(
    {"messaged", "conferred", "handed", "took", "member", "stance", "gone", "mapped"}
)
"""Words that move nothing but who works together: drawn where that is asked about alone."""
ANYTHING: Final = (*(word for word in FACTS if word not in TOGETHER), *OFTEN)
"""Words to draw from, the usual ones more often."""

THEMES: Final[tuple[tuple[str, ...], ...]] = (
    ANYTHING,
    ("owner", "owner", "owner", "moved", "won"),
    ("won", "amended", "amended", "reopened", "lines", "forecast", "refund"),
    ("moved", "won", "lost", "disqualified", "reopened", "migrated"),
    ("forecast", "forecast", "forecast", "moved", "lines", "reopened"),
    ("merged", "unmerged", "merged", "unmerged", "owner"),
    ("merged", "unmerged", "won", "lost", "reopened", "moved", "owner"),
    ("quote_drafted", "quote_issued", "quote_accepted", "quote_rejected", "won", "repeat"),
    ("opened", "moved", "owner", "contact", "lost"),
    ("survey", "feedback", "feedback", "feedback", "owner", "lost"),
    ("feedback", "feedback", "followed", "followed", "tagged", "owner"),
    ("lost", "lost", "interviewed", "interviewed", "won", "reopened", "owner"),
    (
        "survey",
        "feedback",
        "lines",
        "quoted",
        "quote_revised",
        "quote_accepted",
        "quote_rejected",
    ),
    ("offered", "cheapened", "contact", "doubted", "won", "lost", "reopened"),
    ("moved", "doubted", "assured", "rivalled", "asked", "helped", "won", "lost"),
)
"""What a history may be about: few words meet each other more often than many."""


def fact_of(what: str, n: int, effective: datetime | None = None) -> Fact:
    """Make the fact a word and a number stand for; `effective` where it can be planned."""
    return FACTS[what](n, effective)


def fact_about(number: int, what: str, n: int, effective: datetime | None = None) -> Fact:
    """Make the fact that is told of a deal, a customer, a rep or a goal, named by a number."""
    if number >= FIRST_GOAL:
        return goal_fact(number - FIRST_GOAL, what, n)
    if number >= FIRST_REP:
        return rep_fact(number - FIRST_REP, what, n, effective)
    if number >= FIRST_CUSTOMER:
        return customer_fact(what, n)
    return fact_of(what, n, effective)
