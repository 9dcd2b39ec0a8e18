"""Who at a customer has a say in an opportunity of Salesforce, and in which role.

A module of its own, to keep that from what opportunities mean.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from salesflow.adapters.importers.crm.records import ToldFact
from salesflow.adapters.importers.crm.salesforce.tables import plain
from salesflow.adapters.importers.ids import object_id
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.deal.committee import CommitteeMemberIdentified, CommitteeRole

__all__ = ["ContactRole", "told_roles"]


ROLES: Final[Mapping[str, CommitteeRole]] = {
    "businessuser": "user",
    "user": "user",
    "enduser": "user",
    "decisionmaker": "decision_maker",
    "economicbuyer": "economic_buyer",
    "economicdecisionmaker": "economic_buyer",
    "influencer": "influencer",
    "gatekeeper": "gatekeeper",
    "champion": "champion",
}
"""Roles of Salesforce that are known here; another one is `other`, and stands in the note."""


class ContactRole(NamedTuple):
    """A contact of an opportunity, and the role it has there."""

    place: int
    id: str
    contact: str
    role: str | None
    at: ReadTime | None
    actor: str | None


def told_roles(source: str, roles: Sequence[ContactRole]) -> list[ToldFact]:
    """Return who was named when; somebody named again has the roles of before too."""
    found: list[ToldFact] = []
    had: dict[str, tuple[CommitteeRole, ...]] = {}
    written: dict[str, tuple[str, ...]] = {}
    for each in sorted(roles, key=lambda role: (role.at.instant if role.at else 0, role.id)):
        role = ROLES.get(plain(each.role), "other") if each.role else None
        known = had.get(each.contact, ())
        if role is not None and role not in known:
            known = (*known, role)
        had[each.contact] = known
        notes = written.get(each.contact, ())
        if role == "other" and each.role and each.role not in notes:
            notes = (*notes, each.role)
        written[each.contact] = notes
        fact = CommitteeMemberIdentified(
            person_id=object_id(source, each.contact, "person"),
            roles=known,
            note=", ".join(notes) or None,
        )
        label = "committee_member_identified"
        found.append(ToldFact(each.place, each.id, label, fact, each.at, each.actor))
    return found
