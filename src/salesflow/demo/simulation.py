"""Two and a half years of a sales organisation, from the first of January 2024.

`simulate` lives them through on an empty log whose clock is the `TurnedClock` it is given.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from salesflow.adapters.logs import Progress
from salesflow.demo.endings import live
from salesflow.demo.house import customer_lives, house_lives, register, staff_lives
from salesflow.demo.incidents import active_reps, incident_lives
from salesflow.demo.management import management_lives
from salesflow.demo.offers import offer_for
from salesflow.demo.office import DealLife, DealPlan, Office
from salesflow.demo.world import (
    CUSTOMERS,
    END,
    START,
    ZONE,
    Company,
    Life,
    TurnedClock,
    office_time,
)
from salesflow.engine import SalesFlow

__all__ = ["SCRIPT", "simulate"]


SCRIPT: Final = frozenset(
    f"{subject}.{act}"
    for subject, acts in {
        "fact": "retracted",
        "settings": "changed clock_accepted",
        "rates": "published",
        "process": "published retired",
        "team": "formed renamed lead_appointed",
        "rep": "joined moved left promoted career_plan_agreed skill_assessed"
        " training_assigned training_completed award_granted",
        "training": "offered",
        "figure": "reported",
        "goal": "set locked checked_in revised",
        "plan": "published acknowledged",
        "statement": "issued line_disputed dispute_answered",
        "contest": "opened closed",
        "review": "opened finding_recorded action_agreed action_completed"
        " action_carried_over closed",
        "case": "published factor_noted lesson_noted linked",
        "improvement": "proposed started concluded",
        "alert": "defined raised cleared",
        "customer": "registered qualified marked_loyal contact_person_added"
        " contact_person_updated merged unmerged person_erased",
        "deal": "opened stage_moved migrated won lost disqualified reopened merged absorbed"
        " unmerged released contact_logged intent_stated need_identified budget_confirmed"
        " decision_process_mapped solution_proposed task_completed objection_raised"
        " objection_resolved competitor_named quote_drafted quote_issued quote_revised"
        " quote_accepted quote_rejected quote_withdrawn quote_expired forecast_given"
        " line_items_agreed terms_agreed contract_amended invoice_issued payment_received"
        " refund_given owner_assigned collaborator_joined collaborator_left customer_changed"
        " message_posted meeting_held help_requested help_given handed_over"
        " handover_acknowledged committee_member_identified stance_observed"
        " committee_member_left service_delivered repeat_order_placed"
        " survey_sent feedback_received",
    }.items()
    for act in acts.split()
)
"""The kinds of facts that happen to the team."""

SEASON: Final = (0.85, 0.55, 1.2, 1.05, 0.95, 1.1, 0.95, 0.9, 1.1, 0.85, 1.15, 1.2)
"""How many more or fewer deals begin in each month of the year."""
MONTHS: Final = 30
FIRST_MONTH: Final = 34
GROWTH: Final = 0.8
"""Deals that begin in the first month, and how many more each month after."""

SETTLED_EVERY: Final = timedelta(days=10)
"""Of simulated time; each session appends by itself, but the disk is waited for together."""


def simulate(
    flow: SalesFlow,
    clock: TurnedClock,
    *,
    seed: int,
    until: datetime = END,
    progress: Progress = lambda _done, _goal: None,
) -> Office:
    """Live through it all, or until an earlier day; give the office as it stands then."""
    office = Office(flow, clock, seed)
    begun = [
        *house_lives(office),
        *staff_lives(office),
        *customer_lives(office),
        *incident_lives(office),
        *management_lives(office),
    ]
    for at, life in [*begun, (START, _arrivals(office))]:
        office.agenda.begin(life, at)
    settled, goal = START, (until - START).days

    def after_each(at: datetime) -> None:
        nonlocal settled
        if at - settled > SETTLED_EVERY:
            settled = at
            office.settle()
            progress((at - START).days, goal)

    with office:
        office.agenda.live(until, after_each)
    progress(goal, goal)
    return office


def _arrivals(office: Office) -> Life:
    """Let deals begin, month by month, more in some and more from year to year."""
    chance = office.chance("arrivals")
    for month in range(MONTHS):
        year, index = divmod(month, 12)
        first = datetime(START.year + year, index + 1, 1, 9, tzinfo=ZONE)
        yield first
        mean = (FIRST_MONTH + GROWTH * month) * SEASON[index]
        for _ in range(max(1, round(chance.gauss(mean, mean * 0.08)))):
            at = office_time(chance, first + timedelta(days=chance.uniform(0, 27.5)))
            office.agenda.begin(_arrive(office, office.next_number()), at)


def _arrive(office: Office, number: int) -> Life:
    chance = office.chance("arrival", number)
    company, day = _company(chance), office.clock.now.astimezone(ZONE).date()
    rep = chance.choice(active_reps(company.region, day))
    register(office, company, rep.id)
    offer = offer_for(company, day, chance)
    yield from live(DealLife(office, DealPlan(number, company, rep, offer)))


def _company(chance: Random) -> Company:
    return chance.choices(CUSTOMERS, [company.size for company in CUSTOMERS])[0]
