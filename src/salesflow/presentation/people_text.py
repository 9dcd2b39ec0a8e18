"""What people read of the buying committee of a deal, and of its way from owner to owner.

A module of its own beside `deal_view`, which lists all that is said of a deal.
"""

from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from salesflow.domain.deal.committee import CommitteeMember, CommitteeRole
from salesflow.domain.deal.people import OwnerHandover
from salesflow.presentation.format import local_day, short_id
from salesflow.presentation.messages import Language, in_language, key_text

__all__ = ["committee_text", "handovers_text", "roles_text"]


def committee_text(
    members: Iterable[CommitteeMember], zone: ZoneInfo, language: Language
) -> str:
    """Write who has a say, in which roles, for or against us, and when we met them last."""

    def one(member: CommitteeMember) -> str:
        stance = "stance unknown" if member.stance == "unknown" else member.stance
        words = [key_text(each, language) for each in (*member.roles, stance)]
        last = member.last_contact
        if last is None:
            words.append(in_language("never contacted", language))
        else:
            words.append(f"{in_language('last contact', language)} {local_day(last, zone)}")
        return f"{member.name or short_id(member.person_id)} ({', '.join(words)})"

    return "; ".join(map(one, members))


def roles_text(roles: Iterable[CommitteeRole], language: Language) -> str:
    """Write roles of a committee."""
    return ", ".join(key_text(role, language) for role in roles)


def handovers_text(
    handovers: Iterable[OwnerHandover], rep: Callable[[str], str], language: Language
) -> str:
    """Write who had a deal before whom, and what became of what was to be handed over."""

    def one(each: OwnerHandover) -> str:
        said = ["handed over" if each.handed_over else "nothing handed over"]
        if each.acknowledged:
            said.append("acknowledged")
        words = ", ".join(in_language(word, language) for word in said)
        return f"{rep(each.former)} → {rep(each.owner)} ({words})"

    return "; ".join(map(one, handovers))
