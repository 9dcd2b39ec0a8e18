"""A deal laid out facet by facet: stage, amount, quotes, people, money, service.

One list serves both `deal show`, which prints it, and `deal replay`, which tells what each
fact changed in it.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from salesflow.cli.deal.fact_text import money_text
from salesflow.cli.ids import Called
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event
from salesflow.domain.process import Label, ProcessVersion
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Instant
from salesflow.domain.values import Money
from salesflow.presentation.format import given_percent
from salesflow.presentation.words import Language, in_language

__all__ = ["FacetChange", "ReplayStep", "facets_of", "lateness", "replay"]


def facets_of(deal: Deal, called: Called, language: Language = "en") -> dict[str, str]:
    """Give what is known of a deal, label by label; what is not known is left out."""
    facets = _Facets(deal, called, language)
    found = {
        **facets.standing(),
        **facets.people(),
        **facets.talks(),
        **facets.offers(),
        **facets.after(),
    }
    return {in_language(label, language): text for label, text in found.items() if text}


class _Facets:
    """One deal in the words of one language."""

    def __init__(self, deal: Deal, called: Called, language: Language) -> None:
        process = deal.context.processes.get((deal.process, deal.process_version))
        self._deal = deal
        self._called = called
        self._language: Language = language
        self._process = process if isinstance(process, ProcessVersion) else None

    def standing(self) -> dict[str, str]:
        deal, word = self._deal, self._word
        known = self._process is not None
        outcome = "merged" if deal.merged_into is not None else deal.outcome
        return {
            "Title": deal.title,
            "Customer": self._called.customer(deal),
            "Process": f"{self._named_process()} v{deal.process_version}",
            "Stage": self._stage(),
            "Outcome": word(outcome),
            "Lost because": self._loss(deal.lost_because) or deal.disqualified_because or "",
            "Lost to": deal.lost_to or "",
            "Merged into": _text(deal.merged_into),
            "Absorbed": ", ".join(sorted(map(str, deal.absorbed))),
            "Amount": money_text(deal.amount),
            "Probability": given_percent(deal.probability) if known else "",
            "Forecast category": word(deal.forecast_category) if known else "",
            "Expected close": _text(deal.expected_close),
            "Lead source": word(deal.lead_source or ""),
        }

    def people(self) -> dict[str, str]:
        deal, word, rep = self._deal, self._word, self._called.rep

        def shown(person: str, *more: str | None) -> str:
            inside = ", ".join(text for text in more if text)
            return f"{person} ({inside})" if inside else person

        def credit(share: Decimal) -> str:
            return given_percent(share) if share else ""

        return {
            "Owner": rep(deal.owner),
            "Collaborators": "; ".join(
                shown(rep(c.person), c.department, c.role, credit(c.credit))
                for c in deal.collaborators.values()
            ),
            "Messages": _count(deal.messages),
            "Help": "; ".join(
                f"{asked.key} {word('given' if asked.given else 'asked for')}"
                for asked in deal.help_requests.values()
            ),
        }

    def talks(self) -> dict[str, str]:
        deal, word = self._deal, self._word
        intent, budget, decision = deal.intent, deal.budget, deal.decision
        told = intent and (word(intent.level) if intent.level else intent.note)
        known = budget and (money_text(budget.budget) or budget.note)
        return {
            "Contacts": _count(deal.contacts),
            "Last contact": self._contact(),
            "Intent": "" if intent is None else told or word("stated"),
            "Needs": "; ".join(need.need or word("identified") for need in deal.needs),
            "Budget": "" if budget is None else known or word("confirmed"),
            "Decision process": "" if decision is None else decision.how or word("mapped"),
            "Solutions": "; ".join(s.solution or word("proposed") for s in deal.solutions),
            "Tasks done": ", ".join(sorted(map(self._task, deal.tasks_done))),
            "Objections": "; ".join(
                f"{o.key} {o.doubt or ''} ({word('resolved' if o.resolved else 'unresolved')})"
                for o in deal.objections.values()
            ),
            "Competitors": ", ".join(deal.competitors),
        }

    def offers(self) -> dict[str, str]:
        deal, word = self._deal, self._word
        quotes = {
            f"{word('Quote')} {quote.key}": ", ".join(
                text
                for text in (
                    word(quote.state),
                    money_text(quote.total),
                    f"{word('until')} {quote.valid_until}" if quote.valid_until else "",
                    f"{quote.revisions} {word('revisions')}" if quote.revisions > 1 else "",
                )
                if text
            )
            for quote in deal.quotes.values()
        }
        terms = deal.terms
        return {
            **quotes,
            "Line items": _count(deal.line_items),
            "Terms": "" if terms is None else terms.terms or terms.contract or word("agreed"),
        }

    def after(self) -> dict[str, str]:
        deal, word = self._deal, self._word
        orders = (order.amount for order in deal.repeat_orders if order.amount)
        return {
            "Invoiced": _sums(invoice.amount for invoice in deal.invoices),
            "Paid": _sums(payment.amount for payment in deal.payments),
            "Refunded": _sums(refund.amount for refund in deal.refunds),
            "Services": "; ".join(s.service or word("delivered") for s in deal.services),
            "Repeat orders": _sums(orders),
            "Surveys": ", ".join(survey.survey for survey in deal.surveys),
            "Feedback": "; ".join(
                " ".join(
                    _text(part)
                    for part in (each.scale, each.score, each.text)
                    if part is not None
                )
                for each in deal.feedback
            ),
        }

    def _word(self, text: str) -> str:
        return in_language(text.replace("_", " "), self._language)

    def _named_process(self) -> str:
        if self._process is None:
            return self._deal.process
        return self._process.name_zh if self._language == "zh" else self._process.name_en

    def _stage(self) -> str:
        """Name the stage: in both languages for readers of English, who meet both."""
        stage = self._process and self._process.by_key.get(self._deal.stage)
        if not stage:
            return self._deal.stage
        if self._language == "zh" or stage.name_en == stage.name_zh:
            return stage.name_zh
        return f"{stage.name_en} {stage.name_zh}"

    def _loss(self, reason: str | None) -> str:
        reasons = () if self._process is None else self._process.loss_reasons
        return _named(reasons, reason or "", self._language)

    def _task(self, key: str) -> str:
        stages = () if self._process is None else self._process.stages
        return _named((task for stage in stages for task in stage.tasks), key, self._language)

    def _contact(self) -> str:
        if not self._deal.contacts:
            return ""
        last = self._deal.contacts[-1]
        said = (self._word(part) for part in (last.channel, last.direction) if part)
        return " · ".join([*said, *([last.summary] if last.summary else [])])


def _named(labels: Iterable[Label], key: str, language: Language) -> str:
    """Name a key of a process; one it does not know stays as it is."""
    return next((label.name(language) for label in labels if label.key == key), key)


def _sums(amounts: Iterable[Money]) -> str:
    """Add amounts up per currency; unlike currencies stand side by side."""
    sums: dict[str, Decimal] = {}
    for money in amounts:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return " + ".join(
        money_text(Money(amount, currency)) for currency, amount in sorted(sums.items())
    )


def _count(things: Iterable[object]) -> str:
    number = len(list(things))
    return f"{number:,}" if number else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)


# Replays a deal: its believed history fact by fact, and what each fact changed.
#
# An irregular fact changes nothing and says why.

WORTH_TELLING = timedelta(hours=1)
DAY = timedelta(days=1)


class FacetChange(NamedTuple):
    """One facet of a deal before and after a fact; empty where there was or is none."""

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
    changes: tuple[FacetChange, ...]
    irregular: str | None


def replay(deal: Deal, called: Called, language: Language, as_of: Instant) -> list[ReplayStep]:
    """Go through a deal's believed history up to an instant."""
    steps: list[ReplayStep] = []
    before: dict[str, str] = {}
    happened = [event for event in deal.history if event.effect <= as_of]
    for number, event in enumerate(happened, 1):
        then = Deal.replay(deal.id, happened[:number], context=_context_at(deal, event))
        after = facets_of(then, called, language)
        irregular = next((why for odd, why in then.irregular if odd is event), None)
        steps.append(ReplayStep(number, event, then, _changes(before, after), irregular))
        before = after
    return steps


def lateness(event: Event, language: Language) -> str:
    """Say how long after it happened a fact was recorded, when that is worth telling."""
    late = timedelta(microseconds=event.recorded - event.occurred)
    if late < WORTH_TELLING:
        return ""
    if late < DAY:
        return f"{late // timedelta(hours=1)} {in_language('h', language)}"
    return f"{late // DAY:,} {in_language('d', language)}"


def _context_at(deal: Deal, event: Event) -> ReplayContext:
    """Return the context when a fact took effect; a quote had not run out then that has now."""
    return ReplayContext(deal.context.processes, deal.context.timezone, event.effect)


def _changes(before: dict[str, str], after: dict[str, str]) -> tuple[FacetChange, ...]:
    labels = [*after, *(label for label in before if label not in after)]
    return tuple(
        FacetChange(label, before.get(label, ""), after.get(label, ""))
        for label in labels
        if before.get(label) != after.get(label)
    )
