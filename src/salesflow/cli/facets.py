"""A deal laid out facet by facet: stage, amount, quotes, people, money, service.

One list serves both `deal show`, which prints it, and `deal replay`, which tells what each
fact changed in it.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from salesflow.cli.words import Language, in_language
from salesflow.domain.deal import Deal
from salesflow.domain.deal.talks import ContactLogged
from salesflow.domain.processes import Label, ProcessVersion
from salesflow.domain.values import Money

__all__ = ["Named", "both_names", "facets_of"]

Named = Callable[[Deal], str]
"""Names a deal's customer."""


def facets_of(deal: Deal, customer: Named, language: Language = "en") -> dict[str, str]:
    """Give what is known of a deal, label by label; what is not known is left out."""
    facets = {
        **_standing(deal, customer, language),
        **_people(deal),
        **_talks(deal),
        **_offers(deal, language),
        **_after(deal),
    }
    return {in_language(label, language): text for label, text in facets.items() if text}


def both_names(label: Label) -> str:
    """Name a stage in both languages."""
    return (
        f"{label.name_en} {label.name_zh}" if label.name_en != label.name_zh else label.name_en
    )


def _standing(deal: Deal, customer: Named, language: Language) -> dict[str, str]:
    process = deal.world.processes.get((deal.process, deal.process_version))
    stage = process.by_key.get(deal.stage) if isinstance(process, ProcessVersion) else None
    outcome = "merged" if deal.merged_into is not None else deal.outcome
    known = isinstance(process, ProcessVersion)
    return {
        "Title": deal.title,
        "Customer": customer(deal),
        "Process": f"{deal.process} v{deal.process_version}",
        "Stage": deal.stage if stage is None else both_names(stage),
        "Outcome": in_language(outcome, language),
        "Lost because": deal.lost_because or deal.disqualified_because or "",
        "Lost to": deal.lost_to or "",
        "Merged into": _text(deal.merged_into),
        "Absorbed": ", ".join(sorted(map(str, deal.absorbed))),
        "Amount": _text(deal.amount),
        "Probability": f"{deal.probability:.0%}" if known else "",
        "Forecast category": deal.forecast_category.replace("_", " ") if known else "",
        "Expected close": _text(deal.expected_close),
        "Lead source": (deal.lead_source or "").replace("_", " "),
    }


def _people(deal: Deal) -> dict[str, str]:
    def shown(person: str, *more: str | None) -> str:
        inside = ", ".join(text for text in more if text)
        return f"{person} ({inside})" if inside else person

    return {
        "Owner": deal.owner or "",
        "Collaborators": "; ".join(
            shown(c.person, c.department, c.role, f"{c.credit:.0%}" if c.credit else None)
            for c in deal.collaborators.values()
        ),
        "Messages": _count(deal.messages),
        "Help": "; ".join(
            f"{asked.key} {'given' if asked.given else 'asked for'}"
            for asked in deal.help_requests.values()
        ),
    }


def _talks(deal: Deal) -> dict[str, str]:
    intent, budget, decision = deal.intent, deal.budget, deal.decision
    known = "" if budget is None else _text(budget.budget) or budget.note or "confirmed"
    return {
        "Contacts": _count(deal.contacts),
        "Last contact": _contact(deal.contacts[-1]) if deal.contacts else "",
        "Intent": "" if intent is None else (intent.level or intent.note or "stated"),
        "Needs": "; ".join(need.need or "identified" for need in deal.needs),
        "Budget": known,
        "Decision process": "" if decision is None else (decision.how or "mapped"),
        "Solutions": "; ".join(each.solution or "proposed" for each in deal.solutions),
        "Tasks done": ", ".join(sorted(deal.tasks_done)),
        "Objections": "; ".join(
            f"{o.key} {o.doubt or ''} ({'resolved' if o.resolved else 'open'})"
            for o in deal.objections.values()
        ),
        "Competitors": ", ".join(deal.competitors),
    }


def _offers(deal: Deal, language: Language) -> dict[str, str]:
    quotes = {
        f"{in_language('Quote', language)} {quote.key}": ", ".join(
            text
            for text in (
                quote.state,
                _text(quote.total),
                f"until {quote.valid_until}" if quote.valid_until else "",
                f"{quote.revisions} revisions" if quote.revisions > 1 else "",
            )
            if text
        )
        for quote in deal.quotes.values()
    }
    terms = deal.terms
    return {
        **quotes,
        "Line items": _count(deal.line_items),
        "Terms": "" if terms is None else (terms.terms or terms.contract or "agreed"),
    }


def _after(deal: Deal) -> dict[str, str]:
    return {
        "Invoiced": _sums(invoice.amount for invoice in deal.invoices),
        "Paid": _sums(payment.amount for payment in deal.payments),
        "Refunded": _sums(refund.amount for refund in deal.refunds),
        "Services": "; ".join(each.service or "delivered" for each in deal.services),
        "Repeat orders": _sums(order.amount for order in deal.repeat_orders if order.amount),
        "Surveys": ", ".join(survey.survey for survey in deal.surveys),
        "Feedback": "; ".join(
            " ".join(
                _text(part) for part in (each.scale, each.score, each.text) if part is not None
            )
            for each in deal.feedback
        ),
    }


def _contact(contact: ContactLogged) -> str:
    parts = (contact.channel, contact.direction, contact.summary)
    return " · ".join(part for part in parts if part)


def _sums(amounts: Iterable[Money]) -> str:
    """Add amounts up per currency; unlike currencies stand side by side."""
    sums: dict[str, Decimal] = {}
    for money in amounts:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return " + ".join(str(Money(amount, currency)) for currency, amount in sorted(sums.items()))


def _count(things: Iterable[object]) -> str:
    number = len(list(things))
    return f"{number:,}" if number else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)
