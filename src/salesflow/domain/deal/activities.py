"""What was talked about: contacts, intent, needs, budget, decision, solution, objections.

Talking goes on after a deal is closed, so nothing here asks about its outcome. The exit
criteria of most stages look at what is noted here.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import date
from typing import ClassVar, Literal, NamedTuple, assert_never
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal.core import DealCommands, DealCore, require_text, require_worth
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import EMPTY, appended, with_item, with_member
from salesflow.domain.values import (
    Day,
    Flag,
    Key,
    Money,
    Name,
    Personal,
    Reference,
    SafeName,
    SafeText,
    Value,
    trimmed,
)
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, RuleError

__all__ = [
    "Activities",
    "ActivityFact",
    "ActivityState",
    "BudgetConfirmed",
    "CompetitorNamed",
    "ContactLogged",
    "DecisionMaker",
    "DecisionProcessMapped",
    "Direction",
    "IntentLevel",
    "IntentStated",
    "NeedIdentified",
    "Objection",
    "ObjectionRaised",
    "ObjectionResolved",
    "SolutionProposed",
    "TaskCompleted",
]


Direction = Literal["in", "out"]
"""`out`: we contacted the customer; `in`: the customer contacted us."""
IntentLevel = Literal["none", "low", "medium", "high"]


class ContactLogged(Fact):
    """A call, visit, meeting or message with the customer took place."""

    kind: ClassVar[str] = "deal.contact_logged"
    name_zh: ClassVar[str] = "跟进"
    channel: Reference | None = None
    """call, visit, meeting, email, message, or whatever the house calls it."""
    direction: Direction | None = None
    summary: Personal | None = None
    participants: tuple[Personal, ...] = ()
    next_step: Personal | None = None
    by: Reference | None = None
    """Who did it; who recorded it when left out."""
    contact_people: tuple[UUID, ...] | None = None
    """Ids of contact people of the customer, of a contact those who took part."""


class IntentStated(Fact):
    """It became clear how much the customer wants it."""

    kind: ClassVar[str] = "deal.intent_stated"
    name_zh: ClassVar[str] = "明确购买意向"
    level: IntentLevel | None = None
    note: Personal | None = None


class NeedIdentified(Fact):
    """A need or pain point of the customer was established."""

    kind: ClassVar[str] = "deal.need_identified"
    name_zh: ClassVar[str] = "确认需求 / 痛点"
    need: Personal | None = None
    pain_point: Flag = False


class BudgetConfirmed(Fact):
    """It became clear what the customer can spend."""

    kind: ClassVar[str] = "deal.budget_confirmed"
    name_zh: ClassVar[str] = "确认预算"
    budget: Money | None = None
    note: Personal | None = None


class DecisionMaker(Value):
    """Somebody who has a say in the purchase, and in which role."""

    person_id: UUID | None = None
    name: Name | None = None
    role: SafeText | None = None


class DecisionProcessMapped(Fact):
    """It became clear who decides, how, and by when; replaces an earlier map."""

    kind: ClassVar[str] = "deal.decision_process_mapped"
    name_zh: ClassVar[str] = "了解决策过程"
    people: tuple[DecisionMaker, ...] = ()
    how: Personal | None = None
    decision_expected: Day | None = None


class SolutionProposed(Fact):
    """A solution was put to the customer."""

    kind: ClassVar[str] = "deal.solution_proposed"
    name_zh: ClassVar[str] = "提出解决方案"
    solution: Personal | None = None


class TaskCompleted(Fact):
    """A task of a stage's checklist was done."""

    kind: ClassVar[str] = "deal.task_completed"
    name_zh: ClassVar[str] = "阶段任务完成"
    task: Key
    by: Reference | None = None
    note: Personal | None = None


class ObjectionRaised(Fact):
    """The customer doubted something; it stays open until it is resolved."""

    kind: ClassVar[str] = "deal.objection_raised"
    name_zh: ClassVar[str] = "提出疑虑"
    objection: Reference
    doubt: Personal | None = None
    topic: SafeText | None = None


class ObjectionResolved(Fact):
    """A doubt of the customer was answered."""

    kind: ClassVar[str] = "deal.objection_resolved"
    name_zh: ClassVar[str] = "解决疑虑"
    objection: Reference
    answer: Personal | None = None


class CompetitorNamed(Fact):
    """A competitor turned out to be in the deal."""

    kind: ClassVar[str] = "deal.competitor_named"
    name_zh: ClassVar[str] = "提及竞争对手"
    competitor: SafeName
    note: Personal | None = None


ActivityFact = (
    ContactLogged
    | IntentStated
    | NeedIdentified
    | BudgetConfirmed
    | DecisionProcessMapped
    | SolutionProposed
    | TaskCompleted
    | ObjectionRaised
    | ObjectionResolved
    | CompetitorNamed
)


class Objection(NamedTuple):
    """A doubt of the customer, and whether it was answered."""

    key: str
    doubt: str | None
    topic: str | None
    resolved: bool
    answer: str | None = None


class ActivityState(DealCore):
    """What is known of the customer's side of a deal."""

    contacts: Sequence[ContactLogged] = ()
    intent: IntentStated | None = None
    needs: Sequence[NeedIdentified] = ()
    budget: BudgetConfirmed | None = None
    decision: DecisionProcessMapped | None = None
    solutions: Sequence[SolutionProposed] = ()
    tasks_done: Set[str] = frozenset()
    objections: Mapping[str, Objection] = EMPTY
    """By their key, in the order in which they were raised."""
    competitors: Sequence[str] = ()

    @property
    def contact_count(self) -> int:
        """How many contacts were logged."""
        return len(self.contacts)

    def _evolve_activities(self, fact: ActivityFact, _: Event) -> None:
        match fact:
            case ContactLogged():
                self.contacts = appended(self.contacts, fact)
            case IntentStated():
                self.intent = fact
            case NeedIdentified():
                self.needs = appended(self.needs, fact)
            case BudgetConfirmed():
                self.budget = fact
            case DecisionProcessMapped():
                self.decision = fact
            case SolutionProposed():
                self.solutions = appended(self.solutions, fact)
            case TaskCompleted():
                self.tasks_done = with_member(self.tasks_done, fact.task)
            case ObjectionRaised(objection=key):
                raised = Objection(key, fact.doubt, fact.topic, resolved=False)
                self.objections = with_item(self.objections, key, raised)
            case ObjectionResolved(objection=key):
                if key in self.objections:
                    resolved = self.objections[key]._replace(resolved=True, answer=fact.answer)
                    self.objections = with_item(self.objections, key, resolved)
            case CompetitorNamed():
                if fact.competitor not in self.competitors:
                    self.competitors = appended(self.competitors, fact.competitor)
            case _:
                assert_never(fact)


class Activities(DealCommands, ActivityState):
    """What a rep does with the customer."""

    def log_contact(
        self,
        *,
        channel: str,
        direction: Direction,
        summary: str | None = None,
        participants: tuple[str, ...] = (),
        next_step: str | None = None,
        by: str | None = None,
        contact_people: tuple[UUID, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note that we talked: how, who began, what about, and what comes next."""
        self._record(
            ContactLogged(
                channel=channel,
                direction=direction,
                summary=summary,
                participants=participants,
                next_step=next_step,
                by=by,
                contact_people=contact_people or None,
            ),
            occurred_at,
        )

    def state_intent(
        self, level: IntentLevel, *, note: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note how much they want it."""
        self._record(IntentStated(level=level, note=note), occurred_at)

    def identify_need(
        self, need: str, *, pain_point: bool = False, occurred_at: OccurredAt = None
    ) -> None:
        """Note what they need, or where it hurts."""
        self._record(
            NeedIdentified(need=require_text(need, "a need"), pain_point=pain_point),
            occurred_at,
        )

    def confirm_budget(
        self,
        budget: Money | None = None,
        *,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note what they can spend; without a sum, say in the note how you know."""
        if budget is None and not (note or "").strip():
            raise InputError("name the budget, or say in the note how it was confirmed")
        require_worth(budget, what="a budget")
        self._record(BudgetConfirmed(budget=budget, note=note), occurred_at)

    def map_decision_process(
        self,
        *,
        people: tuple[DecisionMaker, ...] = (),
        how: str | None = None,
        decision_expected: date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Note who decides, how they decide, and by when."""
        if not people and not (how or "").strip():
            raise InputError("name who decides, or say how they decide")
        self._record(
            DecisionProcessMapped(people=people, how=how, decision_expected=decision_expected),
            occurred_at,
        )

    def propose_solution(self, solution: str, *, occurred_at: OccurredAt = None) -> None:
        """Note what we proposed to the customer."""
        self._record(
            SolutionProposed(solution=require_text(solution, "a solution")), occurred_at
        )

    def complete_task(
        self,
        task: str,
        *,
        by: str | None = None,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Tick off a task of the process's checklist."""
        process = self._at(occurred_at).process_in_force
        tasks = [each.key for stage in process.stages for each in stage.tasks]
        if task not in tasks:
            raise RuleError(
                f"process {process.key!r} version {process.version} has no task {quoted(task)};"
                f" it has {', '.join(tasks) or 'none'}"
            )
        self._record(TaskCompleted(task=task, by=by, note=note), occurred_at)

    def raise_objection(
        self,
        doubt: str,
        *,
        topic: str | None = None,
        objection: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> str:
        """Note what they doubt; gives the key under which to resolve it."""
        taken = {e.fact.objection for e in self._log if isinstance(e.fact, ObjectionRaised)}
        if objection in taken:
            raise RuleError(f"deal {self.id} has an objection {quoted(objection)} already")
        key = self._fresh_key("O", taken) if objection is None else trimmed(objection)
        self._record(
            ObjectionRaised(
                objection=key, doubt=require_text(doubt, "an objection"), topic=topic
            ),
            occurred_at,
        )
        return key

    def resolve_objection(
        self, objection: str, *, answer: str, occurred_at: OccurredAt = None
    ) -> None:
        """Note how we answered their doubt."""
        found = self._at(occurred_at).objections.get(objection)
        if found is None:
            raise RuleError(f"deal {self.id} has no objection {quoted(objection)}")
        if found.resolved:
            raise RuleError(
                f"objection {quoted(objection)} of deal {self.id} is resolved already"
            )
        answer = require_text(answer, "an answer")
        self._record(ObjectionResolved(objection=objection, answer=answer), occurred_at)

    def name_competitor(
        self, competitor: str, *, note: str | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note who else is after this deal."""
        self._record(
            CompetitorNamed(competitor=require_text(competitor, "a competitor"), note=note),
            occurred_at,
        )
