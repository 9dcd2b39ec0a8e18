"""What people read of the buying committee of a deal, and of its way from owner to owner.

A module of its own beside `deal_view`, which lists all that is said of a deal.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from salesflow.domain.deal.committee import CommitteeMember, CommitteeRole
from salesflow.domain.deal.people import DealHandedOver, HelpRequest, OwnerHandover
from salesflow.presentation.format import local_day
from salesflow.presentation.messages import Language, in_language, key_text, word_known
from salesflow.presentation.value_text import label_text, record_fields

__all__ = ["committee_text", "handovers_text", "help_text", "roles_text"]


HANDED: Final = ("open_tasks", "promises", "note")
"""What people read of a handover beside who it was from and to."""


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
        named = f"{member.name} {member.person_id}" if member.name else str(member.person_id)
        return f"{named} ({', '.join(words)})"

    return "\n".join(map(one, members))


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
        more = [each.because, *_handed_over(each.handed_over, language)]
        notes = "".join(f"; {text}" for text in more if text)
        return f"{rep(each.former)} → {rep(each.owner)} ({words}){notes}"

    return "\n".join(map(one, handovers))


def _handed_over(handed: DealHandedOver | None, language: Language) -> Iterator[str]:
    """Yield what was handed over with a deal, each behind its label."""
    for name, value, _ in record_fields(handed) if handed is not None else ():
        if name in HANDED:
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            yield f"{label_text(name, language)} {text}"


def help_text(asked: HelpRequest, rep: Callable[[str], str], language: Language) -> str:
    """Write who asked whom for help with what, and whether it was given."""
    state = in_language("given" if asked.given else "asked for", language)
    department = word_known(asked.department, language) if asked.department else ""
    who = [rep(each) if each else "" for each in (asked.asked_by, asked.by)]
    named = " → ".join(filter(None, (who[0], department, who[1])))
    further = (
        f"{rep(each.by)}: {each.answer}" if each.by and each.answer else each.answer
        for each in asked.further
    )
    said = "; ".join(filter(None, (asked.question, asked.answer, *further)))
    return f"{asked.key} {state}{f' ({named})' if named else ''}{f': {said}' if said else ''}"
