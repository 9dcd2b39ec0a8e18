"""Teams: what a report calls the reps who sell together.

A team has a key, which facts and reports name it by, and a name in English and in Chinese.
Who belongs to it is told by its reps (`rep.py`), so that one move is one fact. A team that
reps joined and nobody formed is called by its key. Who leads it is told here: a lead need not
sell, and so need be no rep.
"""

from datetime import date, datetime
from functools import lru_cache
from typing import ClassVar, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.state import OpenedState
from salesflow.domain.values import Reason, Reference, Value, id_of_key
from salesflow.domain.wording import Message
from salesflow.errors import RuleError

__all__ = [
    "Team",
    "TeamFact",
    "TeamFormed",
    "TeamLeadAppointed",
    "TeamLeadReleased",
    "TeamName",
    "TeamRenamed",
    "team_id",
]


TEAMS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a02")


class TeamName(Value):
    """What a team is called in English and in Chinese."""

    en: Reference
    zh: Reference


class TeamFormed(Fact):
    """A team came about; reports call it by this name."""

    kind: ClassVar[str] = "team.formed"
    name_zh: ClassVar[str] = "组建团队"
    is_opening: ClassVar[bool] = True
    team: Reference
    name: TeamName


class TeamRenamed(PlannedFact):
    """A team is called otherwise from now on; it stays the same team."""

    kind: ClassVar[str] = "team.renamed"
    name_zh: ClassVar[str] = "团队更名"
    name: TeamName


class TeamLeadAppointed(PlannedFact):
    """Somebody leads the team from now on, in the place of whoever did before."""

    kind: ClassVar[str] = "team.lead_appointed"
    name_zh: ClassVar[str] = "任命团队负责人"
    lead: Reference
    """Who leads it: the id of a person, as deals name owners."""
    because: Reason | None = None


class TeamLeadReleased(PlannedFact):
    """Nobody leads the team from now on."""

    kind: ClassVar[str] = "team.lead_released"
    name_zh: ClassVar[str] = "团队负责人卸任"
    because: Reason | None = None


TeamFact = TeamFormed | TeamRenamed | TeamLeadAppointed | TeamLeadReleased


class TeamState(OpenedState):
    """What a team is called by now, and who leads it."""

    key: str = ""
    name_en: str = ""
    name_zh: str = ""
    lead: str | None = None
    """Who leads it; None where nobody does, or nobody said so."""

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: TeamFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return Message("before the team was formed")
        match fact:
            case TeamFormed():
                if event is not opening:
                    return Message("the team was formed before")
                if team_id(fact.team) != event.stream_id:
                    return Message("it names another team, {team}", team=repr(fact.team))
                self.key = fact.team
                self.name_en, self.name_zh = fact.name.en, fact.name.zh
            case TeamRenamed():
                self.name_en, self.name_zh = fact.name.en, fact.name.zh
            case TeamLeadAppointed():
                self.lead = fact.lead
            case TeamLeadReleased():
                if self.lead is None:
                    return Message("nobody led the team")
                self.lead = None
            case _:
                assert_never(fact)
        return None


class Team(PlannedAggregate, TeamState):
    """A sales team by its key; `session.get(Team, team_id("east"))` finds it."""

    noun: ClassVar[str] = "team"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(TeamFact)

    @classmethod
    def form(
        cls, key: str, *, name_en: str, name_zh: str, occurred_at: OccurredAt = None
    ) -> Self:
        """Form a team; its key is what reps join and reports group by."""
        fact = TeamFormed(team=key, name=TeamName(en=name_en, zh=name_zh))
        self = cls.new(team_id(fact.team))
        self._record(fact, occurred_at)
        return self

    def rename(
        self,
        *,
        name_en: str,
        name_zh: str,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Call the team otherwise, perhaps from a later day."""
        starts = self._effective(effective_from)
        then = self._planned(occurred_at, starts)
        fact = TeamRenamed(name=TeamName(en=name_en, zh=name_zh), effective_from=starts)
        if (then.name_en, then.name_zh) == (fact.name.en, fact.name.zh):
            raise RuleError(f"team {then.key!r} is called {name_en} / {name_zh} already")
        self._record(fact, occurred_at)

    def appoint_lead(
        self,
        lead: str,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Let somebody lead the team, perhaps from a later day, in the place of any before."""
        starts = self._effective(effective_from)
        fact = TeamLeadAppointed(lead=lead, because=because, effective_from=starts)
        then = self._planned(occurred_at, starts)
        if then.lead == fact.lead:
            raise RuleError(f"team {then.key!r} is led by {then.lead!r} already")
        self._record(fact, occurred_at)

    def release_lead(
        self,
        *,
        because: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Let nobody lead the team, perhaps from a later day."""
        starts = self._effective(effective_from)
        then = self._planned(occurred_at, starts)
        if then.lead is None:
            raise RuleError(f"nobody leads team {then.key!r} at that time")
        self._record(TeamLeadReleased(because=because, effective_from=starts), occurred_at)

    def name(self, language: str = "en") -> str:
        """Return its name in English (`en`) or Chinese (`zh`)."""
        return self.name_zh if language == "zh" else self.name_en


@lru_cache(maxsize=1024)
def team_id(key: str) -> UUID:
    """Return the stream id of a team; the same key is the same team everywhere."""
    return id_of_key(TEAMS, key)
