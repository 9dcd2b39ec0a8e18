"""What parameters mean that commands of several kinds of things have, by name.

What a fact says of its own field, by the docstring below it, goes before this. A module of its
own, since it is text alone.
"""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Final

__all__ = ["HELPS", "HELPS_OF", "help_text"]

SECTION: Final = re.compile(r"\n\s*\n?\s*(?:Args|Raises|Returns|Yields):\n.*", re.DOTALL)
"""What a docstring says to callers in Python alone."""


def help_text(docstring: str) -> str:
    """Return what a docstring says to whoever types the command."""
    return SECTION.sub("", cleandoc(docstring)).strip()


A_PROCESS: Final = (
    "The process as JSON, or @FILE: what `salesflow process show KEY --json` prints, changed."
)
HELPS_OF: Final[Mapping[tuple[str, str], str]] = {
    ("add_collaborator", "department"): "Of which department they are.",
    ("advance", "because"): "Why it may go on, such as what the customer said.",
    ("advance_to", "because"): "Why it may go on, such as what the customer said.",
    (
        "amend_contract",
        "amount",
    ): "What it is worth from then on, such as '98000 CNY'.",
    ("correct", "amount"): "What is paid in difference; below nothing it is taken back.",
    ("give_refund", "amount"): "How much was paid back, such as '500 CNY'.",
    ("issue_invoice", "amount"): "What was billed, such as '500 CNY'.",
    ("lock", "by"): "Who agreed to it.",
    ("lose", "competitor"): "To whom it went, if to anybody.",
    ("name_competitor", "competitor"): "Who else is in it.",
    ("note_factor", "text"): "More about it, in your words.",
    ("open", "amount"): "What it may be worth, such as '98000 CNY'.",
    ("forecast", "amount"): "What it may be worth, such as '98000 CNY'.",
    ("place_repeat_order", "amount"): "What was ordered, such as '98000 CNY'.",
    ("publish", "process"): A_PROCESS,
    ("publish_version", "process"): f"{A_PROCESS} It needs a higher version.",
    ("receive_payment", "amount"): "What was paid, such as '500 CNY'.",
}
"""What a parameter of one command means, by the command and its own name."""

HELPS: Final[Mapping[str, str]] = {
    "action": "The key of the action.",
    "answer": "What was answered.",
    "award": "What it is called.",
    "because": "Why.",
    "budget": "What they can spend, such as '98000 CNY'.",
    "case": "Its key: a short name by which it is called.",
    "category": "Forecast category.",
    "channel": "How it was: call, visit, meeting, email, message …",
    "clear": "What is no longer known.",
    "continues": "Whether what was accrued before goes on counting.",
    "contract": "Number of the contract.",
    "currency": "In which currency, such as CNY.",
    "customer": "Its name, its id, first digits of it, or SOURCE:OBJECT.",
    "customer_since": "Since when it is a customer, where that is older than the log.",
    "deal": "Its title, its id, the first digits of it, or SOURCE:OBJECT of an import.",
    "decision_expected": "When they mean to decide.",
    "direction": "in: they began; out: we did.",
    "doubt": "What they doubt.",
    "due": "When it is to be paid.",
    "effective_from": "From when on it holds, where that is later than it was decided.",
    "email": "E-mail address.",
    "every_days": "How many days after the one before each team starts. Default: 30.",
    "expected_close": "When it is expected to close.",
    "first": "The day on which the first team starts.",
    "first_day": "The first day of the period.",
    "how": "How they decide.",
    "improvement": "Its key: a short name by which it is called.",
    "invoice": "Number of the invoice.",
    "key": "Its key: a short name by which facts and reports call it.",
    "last_day": "The last day of the period, which belongs to it.",
    "lead_source": "Where the prospect came from.",
    "level": "How much they want it.",
    "line": "The number of the line.",
    "lines": "A line as JSON, such as"
    """ '{"product": "ERP", "quantity": "1", "unit_price": {"amount": "98000", "currency":"""
    """ "CNY"}}', or @FILE.""",
    "mapping": "The new stage of each stage that is called otherwise, OLD=NEW.",
    "metric": "What is measured, by key or name.",
    "name": "What it or they are called.",
    "name_en": "Its name in English.",
    "name_zh": "Its name in Chinese.",
    "natural_person": "Whether it is a person and no company.",
    "need": "What they need.",
    "next_step": "What comes next.",
    "note": "More about it.",
    "objection": "The key of the objection, as raising it gave.",
    "occurred_at": "When it happened: a day, 2026-03-31 17:00 in the business time zone, or"
    " 2026-03-31T17:00:00+08:00. Default: now.",
    "order": "Number of the order.",
    "outcome": "How it ended.",
    "overridden_by": "Who decided that what is unmet does not matter.",
    "override": "Why an exit criterion may be unmet, CRITERION=REASON.",
    "owner": "The rep who is responsible, by id or name.",
    "pain_point": "Whether it hurts.",
    "participants": "Who took part, also whoever records it.",
    "payment_days": "Within how many days it is to be paid.",
    "people": "Who decides, and as what, such as 王总:CEO; or JSON with name, role, person_id.",
    "period": "By which period it is settled.",
    "person": "Whose id it is, or name.",
    "person_id": "The id of a contact person of the customer.",
    "phone": "Phone number.",
    "plan": "The key of the plan.",
    "position": "Their position.",
    "prizes": "A prize as JSON, or @FILE, with the keys rank and prize:"
    """ {"rank": 1, "prize": "a bicycle"}.""",
    "probability": "Of winning: 0.7, or 70%.",
    "process": "A sales process: KEY, or KEY:VERSION.",
    "question": "What is asked.",
    "quote": "Number of the quote.",
    "region": "Region.",
    "rep": "The id of the rep, or the name.",
    "reps": "Only for this rep.",
    "request": "The key of the request for help, as asking gave.",
    "review": "Its key: a short name by which it is called.",
    "role": "In which role.",
    "scale": "On which scale.",
    "score": "The score on that scale.",
    "segment": "Segment.",
    "service": "What was delivered.",
    "skills": "A skill: communication, negotiation, product_knowledge, or one of yours.",
    "solution": "What was proposed.",
    "stage": "The key of the stage, or its name.",
    "starts": "The first day on which it is in force.",
    "steps": "A level, and the day by which it should be reached, such as senior:2026-12-31; or"
    """ JSON with level and due.""",
    "summary": "What was said.",
    "survey": "Key of the survey.",
    "survivor": "The one that stays.",
    "task": "The key of the task.",
    "team": "The key of the team.",
    "teams": "Only for this team.",
    "terms": """What it pays, as JSON, or @FILE, such as {"rate": "5%"}. Keys: rate, tiers,"""
    " tiers_pay, threshold, quota, accelerators, decelerators, cap, draw, guarantee, spiffs,"
    " accrual, crediting, clawback_days; docs/incentive-plans.md tells each.",
    "text": "In their words.",
    "threshold": "The figure beyond which it is raised.",
    "title": "What it is called.",
    "to": "Whom it is for.",
    "topic": "What it is about.",
    "valid_until": "The last day on which it may be accepted.",
    "value": "How high it was.",
    "version": "Which version.",
}
