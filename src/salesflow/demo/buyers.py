"""The people who decide at a customer of the simulation: who is known, in which role, and met.

A module of its own: whatever is drawn here is drawn from a chance of its own, so that deals
close as they would without it.
"""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

from salesflow.demo.world import Company
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal import Deal
from salesflow.domain.deal.committee import CommitteeRole, Stance

__all__ = ["Buyer", "Buyers"]


class Buyer(NamedTuple):
    """Somebody at the customer who has a say."""

    id: UUID
    name: str
    position: str
    role: CommitteeRole


OTHERS: Final[tuple[tuple[str, str, str, CommitteeRole], ...]] = (
    ("王敏", "Helen Marsh", "财务总监", "economic_buyer"),
    ("李强", "Robert Lang", "信息部经理", "influencer"),
    ("赵磊", "Ines Costa", "车间主任", "user"),
    ("陈静", "Paul Weber", "采购经理", "gatekeeper"),
    ("孙涛", "Grace Kim", "总经理", "decision_maker"),
)
"""Name in China and elsewhere, position and role of those who decide beside the contact."""
ROLES: Final[tuple[tuple[tuple[str, ...], CommitteeRole], ...]] = (
    (("财务", "CFO"), "economic_buyer"),
    (("采购", "Einkauf", "Buyer"), "gatekeeper"),
    (("IT", "信息", "CIO", "技术", "CTO"), "influencer"),
    (("总经理", "董事长", "副总裁", "COO", "Director", "首席"), "decision_maker"),
)
"""What a position says of the role; whoever has another one is our champion."""
STANCES: Final[tuple[Stance, ...]] = ("supporter", "neutral", "opponent", "unknown")
CONTACT_TAKES_PART: Final = 0.8
OTHERS_TAKE_PART: Final = 0.3
CHANGES_SIDES: Final = 0.3
LEAVES: Final = 0.04


class Buyers:
    """Who decides about one deal, as far as the rep finds out."""

    def __init__(
        self, company: Company, skill: float, chance: Random, id_of: Callable[..., UUID]
    ) -> None:
        self._chance = chance
        self._skill = skill
        self._contact = Buyer(
            id_of("person", company.name), company.contact, company.job, _role(company.job)
        )
        is_chinese = company.currency == "CNY"
        self._others = [
            Buyer(id_of("person", company.name, role), zh if is_chinese else en, job, role)
            for zh, en, job, role in OTHERS
            if role != self._contact.role
        ]
        chance.shuffle(self._others)
        self.known: list[Buyer] = []
        """Those the rep has found out about."""

    def find(self) -> list[Buyer]:
        """Find out who decides; return those beside the contact who came to be known."""
        most = min(len(self._others), 3)
        found = [it for it in self._others[:most] if self._chance.random() < 0.45 * self._skill]
        self.known = [self._contact, *found]
        return found

    def identify(self, deal: Deal, when: OccurredAt) -> None:
        """Note who has a say."""
        for buyer in self.known:
            stance = self._chance.choices(STANCES, (4, 4, 1, 2))[0]
            deal.identify_committee_member(
                buyer.name,
                person_id=buyer.id,
                roles=(buyer.role,),
                stance=stance,
                occurred_at=when,
            )

    def look_again(self, deal: Deal, when: OccurredAt) -> None:
        """Note who changed sides, and now and then who has no say any more."""
        members = deal.at(when).committee
        for buyer in self.known:
            if buyer.id not in members:
                continue
            if buyer is not self._contact and self._chance.random() < LEAVES:
                why = "调离岗位 / another post"
                deal.remove_committee_member(buyer.id, because=why, occurred_at=when)
                continue
            stance = self._chance.choices(STANCES[:3], (5, 2, 1))[0]
            if self._chance.random() < CHANGES_SIDES and members[buyer.id].stance != stance:
                deal.observe_stance(
                    buyer.id, stance, because="会上表态 / said so", occurred_at=when
                )

    def met(self) -> tuple[UUID, ...]:
        """Say who takes part in a contact."""
        contact = [self._contact] if self._chance.random() < CONTACT_TAKES_PART else []
        others = [
            buyer
            for buyer in self.known[1:]
            if self._chance.random() < OTHERS_TAKE_PART * self._skill
        ]
        return tuple(buyer.id for buyer in (*contact, *others))


def _role(position: str) -> CommitteeRole:
    for words, role in ROLES:
        if any(word in position for word in words):
            return role
    return "champion"
