"""What is allowed of contests, plans, statements, skills and awards, and may be a slip.

Each is recorded as it is told; here stands what whoever told it should look at again.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.recording.commands import Prepared
from salesflow.domain.alike_names import closest
from salesflow.domain.contest import Contest, contest_id
from salesflow.domain.event import believed_history
from salesflow.domain.incentive_plan import IncentivePlan
from salesflow.domain.rep import Rep, RepState, rep_id
from salesflow.domain.rep_development import SKILLS
from salesflow.domain.statement import Statement
from salesflow.domain.time import from_instant
from salesflow.domain.values import Money, number
from salesflow.errors import HistoryError, NotFoundError
from salesflow.presentation.format import money_text
from salesflow.presentation.messages import Language, say
from salesflow.projections.known_names import SkillMet

__all__ = [
    "AWARD_GRANTED",
    "CONTEST_OPENED",
    "PLAN_ACKNOWLEDGED",
    "SKILL_ASSESSED",
    "STATEMENT_CORRECTED",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, Any]
ABSURD: Final = 10
"""A correction of so many times what a statement says is asked about."""


def _last_day_of(flow: "SalesFlow", id: Any) -> date:  # noqa: ANN401 - an id as it was given
    """Return the day of what was told last of a thing."""
    last = max(flow.history(id), key=lambda event: event.position)
    return from_instant(last.occurred).astimezone(flow.settings().timezone).date()


def _opened(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a contest is of days that are over."""
    contest = flow.get(Contest, contest_id(str(values["key"])))
    opened = contest.opened
    if opened is not None and opened.last_day < _last_day_of(flow, contest.id):
        yield say(
            "the days of this contest were over on {day}: nobody can do anything for it any"
            " more; where that is a slip, retract it and open another one",
            language,
            day=opened.last_day,
        )


def _acknowledged(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a plan is not for who acknowledged it."""
    plan, rep = flow.get(IncentivePlan, values["id"]), str(values["rep"])
    teams: set[str | None] = {None}
    with suppress(NotFoundError, HistoryError):
        history = believed_history(flow.history(rep_id(rep)))
        state = RepState(opening=history[0] if history else None)
        for event in history:
            state.evolve(event)
            teams.add(state.team)
    versions = plan.versions.values()
    if not any(version.is_for(rep, team) for version in versions for team in teams):
        whom = ", ".join([*plan.latest.teams, *plan.latest.reps])
        yield say(
            "plan {plan} is for {whom}, and was never for {rep}: it pays them nothing; retract"
            " this where it is a slip",
            language,
            plan=plan.latest.key,
            whom=whom,
            rep=rep,
        )


def _corrected(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a correction is far from anything that the statement says."""
    said, given = flow.get(Statement, values["id"]).figures, values["amount"]
    assert said is not None, "a statement that was issued says figures"
    amount = given.amount if isinstance(given, Money) else number(given)
    most = max(abs(each) for each in (said.earned, said.payable, *said.amounts.values()))
    if most and abs(amount) > ABSURD * most:
        yield say(
            "{amount} is more than ten times of anything in this statement, {most} at most:"
            " retract it where that is a slip",
            language,
            amount=money_text(amount, said.currency),
            most=money_text(most, said.currency),
        )


def _assessed(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a skill is new, and much like another one.

    Of one that somebody was assessed in before, the word itself is noted when it is typed.
    """
    rep, skill = flow.get(Rep, values["id"]), str(values["skill"])
    others = {*SKILLS, *(rating.skill for rating in rep.ratings)} - {skill}
    near = next(iter(closest(skill, sorted(others))), None)
    times = sum(rating.skill == skill for rating in rep.ratings)
    if skill not in SKILLS and near and times < 2 and not flow.ask(SkillMet(value=near)).met:
        yield say(
            "{skill} is a skill of its own beside {near}; where that is a slip, retract it and"
            " assess {near}",
            language,
            skill=skill,
            near=near,
        )


def _granted(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that an award of a contest went to who was not first in it."""
    key, rep = values.get("contest"), flow.get(Rep, values["id"])
    if key is None:
        return
    with suppress(NotFoundError, HistoryError):
        contest = flow.get(Contest, contest_id(str(key)))
        results, opened = contest.results, contest.opened
        assert opened is not None, "a contest that is there was opened"
        who = rep.reference if opened.by == "rep" else rep.team
        ranks = {each.participant: each.rank for each in results.ranks} if results else {}
        if results is None:
            yield say("contest {contest} is not decided yet", language, contest=key)
        elif ranks.get(who or "") != 1:
            first = [name for name, rank in ranks.items() if rank == 1]
            yield say(
                "first in contest {contest} is {first}, not {who}",
                language,
                contest=key,
                first=", ".join(first) or "–",
                who=who or "–",
            )


CONTEST_OPENED: Final = Prepared(notes=_opened)
PLAN_ACKNOWLEDGED: Final = Prepared(notes=_acknowledged)
STATEMENT_CORRECTED: Final = Prepared(notes=_corrected)
SKILL_ASSESSED: Final = Prepared(notes=_assessed)
AWARD_GRANTED: Final = Prepared(notes=_granted)
