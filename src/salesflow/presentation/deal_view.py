"""A deal as it stands, for people and for machines, and what each fact changed in it.

One list of attributes serves `deal show`, `deal replay` and their JSON: which values of the
deal's state each is made of, what machines are told, and what people read. A value of the
state that no attribute of the list is made of is shown all the same, by its own name, so a new
fact is seen without an edit here. JSON says keys of stages and tasks instead of their names
and whole ids; what is not known is null or empty there, and left out for people.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from inspect import get_annotations
from typing import Final, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.deal import Deal
from salesflow.domain.deal.committee import CommitteeMember
from salesflow.domain.deal.quotes import Quote
from salesflow.domain.event import Event
from salesflow.domain.process import Label
from salesflow.domain.state import ReplayContext, values_of
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import Money
from salesflow.presentation.fields import Json, plain
from salesflow.presentation.format import given_percent
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.people_text import (
    committee_text,
    handovers_text,
    help_text,
    roles_text,
)
from salesflow.presentation.value_text import exact_money_text, value_text

__all__ = [
    "AttributeChange",
    "NameLookup",
    "ReplayStep",
    "attribute_texts",
    "deal_json",
    "event_json",
    "lateness",
    "replay",
    "steps_json",
]

WORTH_TELLING = timedelta(hours=1)
DAY = timedelta(days=1)
QUOTE = ("state", "total", "valid_until", "expires_at", "revisions", "lines")


class NameLookup(Protocol):
    """NameLookup customers, their people and reps: a deal may hold no more than their ids."""

    def customer(self, deal: Deal) -> str:
        """Return the customer's name; their id where no name is known, "" without one."""

    def person(self, deal: Deal, person_id: UUID) -> str | None:
        """Return the name of a contact person of the customer; None where none is known."""

    def rep(self, reference: str | None) -> str:
        """Return a rep's id and the name beside it."""

    def rep_name(self, reference: str | None) -> str | None:
        """Return the name behind a rep's id; None where nobody told it."""


class _Shown:
    """One deal in the words of one language."""

    def __init__(self, deal: Deal, names: NameLookup, language: Language) -> None:
        self.deal = deal
        self.names = names
        self.language: Language = language
        self.process = deal.version_in_force
        context = deal.context
        self.zone = context.timezone if context.knows_days else ZoneInfo("UTC")

    def word(self, text: str) -> str:
        return in_language(text.replace("_", " "), self.language)

    def labelled(self, labels: Iterable[Label], key: str | None) -> str:
        """Name a key of the process; one it does not know stays as it is."""
        named = (label.name(self.language) for label in labels if label.key == key)
        return next(named, key or "")

    def text(self, value: object) -> str:
        return value_text(value, self.language, self.zone)


class _Attribute(NamedTuple):
    """Something that is said of a deal."""

    key: str
    """What JSON calls it."""
    value: Callable[[_Shown], object]
    """What machines are told; see `fields.plain`."""
    label: str = ""
    """What people call it; "" for what only machines are told."""
    text: Callable[[_Shown], str] | None = None
    """What people read; the value in plain text where it is left out."""
    made_of: tuple[str, ...] = ()
    """The values of the state that it is made of, beside the one that is called as its key."""


# How people read what would not read well by itself.


def _customer(it: _Shown) -> str:
    return it.names.customer(it.deal)


def _process(it: _Shown) -> str:
    name = it.deal.process if it.process is None else it.process.name(it.language)
    return f"{name} v{it.deal.process_version}"


def _stage(it: _Shown) -> str:
    """Name the stage: in both languages for readers of English, who meet both."""
    stage = it.deal.stage_in_force
    if stage is None:
        return it.deal.stage
    if it.language == "zh" or stage.name_en == stage.name_zh:
        return stage.name_zh
    return f"{stage.name_en} {stage.name_zh}"


def _loss(it: _Shown) -> str:
    reasons = () if it.process is None else it.process.loss_reasons
    return it.labelled(reasons, it.deal.lost_because) or it.deal.disqualified_because or ""


def _collaborators(it: _Shown) -> str:
    def one(person: str, *more: str | None) -> str:
        inside = ", ".join(text for text in more if text)
        return f"{person} ({inside})" if inside else person

    return "; ".join(
        one(
            *(it.names.rep(each.person), each.department, each.role),
            given_percent(each.credit) if each.credit else "",
        )
        for each in it.deal.collaborators.values()
    )


def _help(it: _Shown) -> str:
    asked = it.deal.help_requests.values()
    return "\n".join(help_text(each, it.names.rep, it.language) for each in asked)


def _last_contact(it: _Shown) -> str:
    if not it.deal.contacts:
        return ""
    last = it.deal.contacts[-1]
    words = (key_text(part, it.language) for part in (last.channel, last.direction) if part)
    return " · ".join([*words, *([last.summary] if last.summary else [])])


def _intent(it: _Shown) -> str:
    intent = it.deal.intent
    if intent is None:
        return ""
    return (it.word(intent.level) if intent.level else intent.note) or it.word("stated")


def _budget(it: _Shown) -> str:
    budget = it.deal.budget
    if budget is None:
        return ""
    return exact_money_text(budget.budget) or budget.note or it.word("confirmed")


def _decision(it: _Shown) -> str:
    decision = it.deal.decision
    return "" if decision is None else decision.how or it.word("mapped")


def _committee(it: _Shown) -> list[CommitteeMember]:
    """Return who has a say, by the name that the deal tells, or else the customer's entry."""
    return [
        member._replace(name=member.name or it.names.person(it.deal, member.person_id))
        for member in it.deal.committee.values()
    ]


def _tasks(it: _Shown) -> str:
    stages = () if it.process is None else it.process.stages
    labels = [task for stage in stages for task in stage.tasks]
    return ", ".join(sorted(it.labelled(labels, key) for key in it.deal.tasks_done))


def _objections(it: _Shown) -> str:
    return "; ".join(
        f"{o.key} {o.doubt or ''} ({it.word('resolved' if o.resolved else 'unresolved')})"
        for o in it.deal.objections.values()
    )


def _quote(it: _Shown, quote: Quote) -> str:
    parts = (
        it.word(quote.state),
        exact_money_text(quote.total),
        f"{it.word('until')} {quote.valid_until}" if quote.valid_until else "",
        f"{quote.revisions} {it.word('revisions')}" if quote.revisions > 1 else "",
    )
    return ", ".join(filter(None, parts))


def _terms(it: _Shown) -> str:
    terms = it.deal.terms
    return "" if terms is None else terms.terms or terms.contract or it.word("agreed")


def _feedback(it: _Shown) -> str:
    return "; ".join(
        " ".join(str(part) for part in (each.scale, each.score, each.text) if part is not None)
        for each in it.deal.feedback
    )


def _sums(amounts: Iterable[Money | None]) -> list[Money]:
    """Add amounts up per currency; unlike currencies are never added."""
    sums: dict[str, Decimal] = {}
    for money in amounts:
        if money is not None:
            sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return [Money.recorded(amount, currency) for currency, amount in sorted(sums.items())]


def _money(amounts: Iterable[Money]) -> str:
    return " + ".join(map(exact_money_text, amounts))


def _count(things: Sequence[object]) -> str:
    return f"{len(things):,}" if things else ""


def _names(values: Iterable[str | None], word: str) -> str:
    return "; ".join(value or word for value in values)


def _summed(key: str, label: str, facts: str) -> _Attribute:
    """Tell the amounts of facts of the state, added up."""

    def sums(it: _Shown) -> list[Money]:
        return _sums(fact.amount for fact in getattr(it.deal, facts))

    return _Attribute(key, sums, label, lambda it: _money(sums(it)), (facts,))


ATTRIBUTES: Final = (
    _Attribute("id", lambda it: it.deal.id),
    _Attribute("title", lambda it: it.deal.title, "Title"),
    _Attribute(
        "customer", lambda it: it.deal.customer_id, "Customer", _customer, ("customer_id",)
    ),
    _Attribute("customer_name", lambda it: _customer(it) or None),
    _Attribute("process", lambda it: it.deal.process, "Process", _process),
    _Attribute("process_version", lambda it: it.deal.process_version),
    _Attribute("stage", lambda it: it.deal.stage, "Stage", _stage),
    _Attribute(
        "outcome",
        lambda it: it.deal.status,
        "Outcome",
        text=lambda it: it.word(it.deal.status),
    ),
    _Attribute("lost_because", lambda it: it.deal.lost_because, "Lost because", _loss),
    _Attribute("lost_to", lambda it: it.deal.lost_to, "Lost to"),
    _Attribute("disqualified_because", lambda it: it.deal.disqualified_because),
    _Attribute(
        "merged_into",
        lambda it: it.deal.merged_into,
        "Merged into",
        text=lambda it: "" if it.deal.merged_into is None else str(it.deal.merged_into),
    ),
    _Attribute(
        "absorbed",
        lambda it: it.deal.absorbed,
        "Absorbed",
        text=lambda it: ", ".join(sorted(map(str, it.deal.absorbed))),
    ),
    _Attribute("amount", lambda it: it.deal.amount, "Amount"),
    _Attribute(
        "probability",
        lambda it: it.deal.probability,
        "Probability",
        text=lambda it: given_percent(it.deal.probability) if it.process else "",
        made_of=("probability_given",),
    ),
    _Attribute(
        "forecast_category",
        lambda it: it.deal.forecast_category,
        "Forecast category",
        text=lambda it: it.word(it.deal.forecast_category) if it.process else "",
        made_of=("category_given",),
    ),
    _Attribute("expected_close", lambda it: it.deal.expected_close, "Expected close"),
    _Attribute(
        "lead_source",
        lambda it: it.deal.lead_source,
        "Lead source",
        text=lambda it: it.word(it.deal.lead_source or ""),
    ),
    _Attribute("opened_at", lambda it: it.deal.opened_at),
    _Attribute("closed_at", lambda it: it.deal.closed_at),
    _Attribute("first_won_at", lambda it: it.deal.first_won_at),
    _Attribute(
        "owner",
        lambda it: it.deal.owner,
        "Owner",
        text=lambda it: it.names.rep(it.deal.owner),
    ),
    _Attribute("owner_name", lambda it: it.names.rep_name(it.deal.owner)),
    _Attribute(
        "collaborators",
        lambda it: [*it.deal.collaborators.values()],
        "Collaborators",
        text=_collaborators,
    ),
    _Attribute("credits", lambda it: it.deal.credits),
    _Attribute(
        "handovers",
        lambda it: [*it.deal.handovers],
        "Handovers",
        text=lambda it: handovers_text(it.deal.handovers, it.names.rep, it.language),
    ),
    _Attribute(
        "messages",
        lambda it: len(it.deal.messages),
        "Messages",
        text=lambda it: _count(it.deal.messages),
    ),
    _Attribute(
        "internal_meetings",
        lambda it: len(it.deal.meetings),
        "Internal meetings",
        text=lambda it: _count(it.deal.meetings),
        made_of=("meetings",),
    ),
    _Attribute(
        "help",
        lambda it: [*it.deal.help_requests.values()],
        "Help",
        _help,
        made_of=("help_requests",),
    ),
    _Attribute(
        "contacts",
        lambda it: len(it.deal.contacts),
        "Activities",
        text=lambda it: _count(it.deal.contacts),
    ),
    _Attribute(
        "last_contact",
        lambda it: it.deal.contacts[-1] if it.deal.contacts else None,
        *("Last activity", _last_contact),
    ),
    _Attribute("intent", lambda it: it.deal.intent, "Intent", _intent),
    _Attribute(
        "needs",
        lambda it: it.deal.needs,
        "Needs",
        text=lambda it: _names((n.need for n in it.deal.needs), it.word("identified")),
    ),
    _Attribute("budget", lambda it: it.deal.budget, "Budget", _budget),
    _Attribute(
        "decision_process",
        lambda it: it.deal.decision,
        "Decision process",
        _decision,
        made_of=("decision",),
    ),
    _Attribute(
        "buying_committee",
        _committee,
        "Buying committee",
        text=lambda it: committee_text(_committee(it), it.zone, it.language),
        made_of=("committee",),
    ),
    _Attribute(
        "roles_nobody_fills",
        lambda it: it.deal.roles_unfilled,
        "Roles nobody fills",
        text=lambda it: roles_text(it.deal.roles_unfilled, it.language),
    ),
    _Attribute(
        "solutions",
        lambda it: it.deal.solutions,
        "Solutions",
        text=lambda it: _names((s.solution for s in it.deal.solutions), it.word("proposed")),
    ),
    _Attribute("tasks_done", lambda it: it.deal.tasks_done, "Tasks done", _tasks),
    _Attribute(
        "objections", lambda it: [*it.deal.objections.values()], "Objections", _objections
    ),
    _Attribute("competitors", lambda it: it.deal.competitors, "Competitors"),
    _Attribute(
        "quotes",
        lambda it: [
            {"quote": quote.key, **{name: getattr(quote, name) for name in QUOTE}}
            for quote in it.deal.quotes.values()
        ],
        made_of=("offers",),
    ),
    _Attribute(
        "line_items",
        lambda it: it.deal.line_items,
        "Line items",
        text=lambda it: _count(it.deal.line_items),
    ),
    _Attribute("terms", lambda it: it.deal.terms, "Terms", _terms),
    _summed("invoiced", "Invoiced", "invoices"),
    _summed("paid", "Paid", "payments"),
    _summed("refunded", "Refunded", "refunds"),
    _Attribute(
        "services",
        lambda it: it.deal.services,
        "Services",
        text=lambda it: _names((s.service for s in it.deal.services), it.word("delivered")),
    ),
    _Attribute(
        "repeat_orders",
        lambda it: it.deal.repeat_orders,
        "Repeat orders",
        text=lambda it: _money(_sums(order.amount for order in it.deal.repeat_orders)),
    ),
    _Attribute(
        "surveys",
        lambda it: it.deal.surveys,
        "Surveys",
        text=lambda it: ", ".join(survey.survey for survey in it.deal.surveys),
    ),
    _Attribute("feedback", lambda it: it.deal.feedback, "Feedback", _feedback),
    _Attribute("irregular", lambda it: len(it.deal.irregular)),
)
"""What is said of every deal, in this order."""

NOT_SHOWN: Final = frozenset(
    {"version_in_force", "last_open_stage", "first_outcome", "ever_issued"}
)
"""Values of the state that only rules need."""


LISTED: Final = NOT_SHOWN.union(*({each.key, *each.made_of} for each in ATTRIBUTES))


def _attributes(deal: Deal) -> Iterator[_Attribute]:
    """Yield what is said of a deal; values that are in no list by their own name, last."""
    yield from ATTRIBUTES
    for cls in reversed(deal.state_class.__mro__):
        for name in get_annotations(cls):
            if name[0] != "_" and name not in LISTED and name in values_of(cls):
                yield _by_itself(name)


def _by_itself(name: str) -> _Attribute:
    label = name.replace("_", " ").capitalize()
    return _Attribute(name, lambda it: getattr(it.deal, name, None), label)


def attribute_texts(deal: Deal, names: NameLookup, language: Language = "en") -> dict[str, str]:
    """Return what people read of a deal, label by label; what is not known is left out."""
    it = _Shown(deal, names, language)
    found: dict[str, str] = {}
    for each in _attributes(deal):
        if each.key == "quotes":
            quotes = deal.quotes.values()
            found |= {f"{it.word('Quote')} {q.key}": _quote(it, q) for q in quotes}
        elif each.label:
            text = it.text(each.value(it)) if each.text is None else each.text(it)
            found[it.word(each.label)] = text
    return {label: text for label, text in found.items() if text}


def deal_json(deal: Deal, names: NameLookup) -> dict[str, Json]:
    """Return a deal as JSON: keys and values are the same in every language."""
    it = _Shown(deal, names, "en")
    return {each.key: plain(each.value(it)) for each in _attributes(deal)}


def event_json(event: Event) -> dict[str, Json]:
    """Return an event of anything with its envelope as JSON, but for whose it is."""
    return {
        "position": event.position,
        "version": event.version,
        **_happened(event),
        "effective_from": plain(from_instant(event.effective)),
        "precision": event.precision,
        "actor": event.actor,
        "command_id": event.command_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "source": event.source,
        "source_id": event.source_id,
    }


def _happened(event: Event) -> dict[str, Json]:
    return {
        "event_id": str(event.event_id),
        "kind": event.fact.kind,
        "fact": plain(event.fact.model_dump(exclude_none=True)),
        "occurred_at": plain(event.occurred_at),
        "recorded_at": plain(event.recorded_at),
    }


# Replays a deal: its believed history fact by fact, and what each fact changed.
#
# An irregular fact changes nothing and says why.


class AttributeChange(NamedTuple):
    """An attribute of a deal before and after a fact; empty where there was or is none."""

    label: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.label}: {self.after}"
        return f"{self.label}: {self.before} → {self.after or '–'}"


class ReplayStep(NamedTuple):
    """One fact of a deal's history, the deal behind it, and what it changed."""

    number: int
    event: Event
    deal: Deal
    changes: tuple[AttributeChange, ...]
    irregular: str | None


def replay(
    deal: Deal, names: NameLookup, language: Language, as_of: Instant
) -> list[ReplayStep]:
    """Go through a deal's believed history up to an instant."""
    steps: list[ReplayStep] = []
    before: dict[str, str] = {}
    happened = [event for event in deal.history if event.effective <= as_of]
    for number, event in enumerate(happened, 1):
        then = type(deal).replay(deal.id, happened[:number], context=_context_at(deal, event))
        after = attribute_texts(then, names, language)
        irregular = next((why for odd, why in then.irregular if odd is event), None)
        steps.append(ReplayStep(number, event, then, _changes(before, after), irregular))
        before = after
    return steps


def steps_json(steps: Iterable[ReplayStep], names: NameLookup) -> list[Json]:
    """Return each step of a replay as JSON, and what it changed in how the deal stands."""
    found: list[Json] = []
    before: dict[str, Json] = {}
    for step in steps:
        after = deal_json(step.deal, names)
        found.append(
            {
                "step": step.number,
                **_happened(step.event),
                "changes": [
                    {"attribute": name, "before": before.get(name), "after": after[name]}
                    for name in after
                    if before.get(name) != after[name] and (before or after[name])
                ],
                "irregular": step.irregular,
            }
        )
        before = after
    return found


def lateness(event: Event, language: Language) -> str:
    """Return how long after it happened a fact was recorded, when that is worth telling."""
    late = timedelta(microseconds=event.recorded - event.occurred)
    if late < WORTH_TELLING:
        return ""
    if late < DAY:
        return f"{late // timedelta(hours=1)} {in_language('h', language)}"
    return f"{late // DAY:,} {in_language('d', language)}"


def _context_at(deal: Deal, event: Event) -> ReplayContext:
    """Return the context when a fact took effect; a quote had not run out then that has now."""
    return ReplayContext(deal.context.processes, deal.context.timezone, event.effective)


def _changes(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[AttributeChange, ...]:
    labels = [*after, *(label for label in before if label not in after)]
    return tuple(
        AttributeChange(label, before.get(label, ""), after.get(label, ""))
        for label in labels
        if before.get(label) != after.get(label)
    )
