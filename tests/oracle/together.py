"""What people did together on one deal, naively: walk its history, write each act down.

An act is a dict: kind, when, position, the deal and whose it was then, `by` and `with`, each of
a person and a department, either of which may be None.
"""

from collections.abc import Iterator
from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import State, replay

__all__ = ["Act", "Person", "acts_of", "handovers_of", "members_of", "requests_of"]

Act = dict[str, Any]
Person = tuple[str | None, str | None]
DAY = 86_400_000_000
KNOWN_ROLES = (
    *("economic_buyer", "decision_maker", "champion", "influencer", "user", "gatekeeper"),
    "other",
)


def _walk(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> Iterator[tuple[Raw, State]]:
    for event, state in replay(events, stream, known_at):
        if effect_of(event) <= as_of and event["event_id"] not in state["irregular"]:
            yield event, state


def _by(event: Raw) -> str | None:
    """Say who did something: whoever was named, else who recorded it, unless imported."""
    said: str | None = event["payload"].get("by")
    return said or (event["actor"] if event["source"] is None else None)


class _Deal:
    """What is known so far of who works on a deal."""

    def __init__(self) -> None:
        self.departments: dict[str | None, str | None] = {}
        self.asked: dict[str, Person] = {}

    def side(self, person: str | None) -> Person:
        return person, self.departments.get(person)

    def message(self, event: Raw, _: State) -> Act:
        fact, by = event["payload"], _by(event)
        to = [self.side(each) for each in dict.fromkeys(fact.get("to", [])) if each != by]
        return {"by": self.side(by), "with": to, "channel": fact.get("channel")}

    def meeting(self, event: Raw, _: State) -> Act:
        fact = event["payload"]
        sides = [self.side(each) for each in dict.fromkeys(fact.get("participants", []))]
        there = [department for _, department in sides]
        more = [d for d in dict.fromkeys(fact.get("departments", [])) if d not in there]
        return {"by": None, "with": [*sides, *((None, each) for each in more)]}

    def ask(self, event: Raw, _: State) -> None:
        fact = event["payload"]
        self.asked[fact["request"]] = (_by(event), fact.get("department"))

    def help(self, event: Raw, _: State) -> Act | None:
        if event["payload"]["request"] not in self.asked:
            return None
        asker, department = self.asked[event["payload"]["request"]]
        helper, known = self.side(_by(event))
        return {"by": (helper, known or department), "with": [self.side(asker)]}

    def joined(self, event: Raw, state: State) -> Act | None:
        fact = event["payload"]
        is_new = fact["person"] not in self.departments
        self.departments[fact["person"]] = fact.get("department")
        there = [self.side(fact["person"])]
        return {"by": self.side(state["owner"]), "with": there} if is_new else None

    def left(self, event: Raw, _: State) -> None:
        self.departments.pop(event["payload"]["person"], None)


KINDS: dict[str, tuple[str, Any]] = {
    "deal.message_posted": ("message", _Deal.message),
    "deal.meeting_held": ("meeting", _Deal.meeting),
    "deal.help_requested": ("", _Deal.ask),
    "deal.help_given": ("help", _Deal.help),
    "deal.collaborator_joined": ("joined", _Deal.joined),
    "deal.collaborator_left": ("", _Deal.left),
}


def acts_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Act]:
    """List the acts that brought people together, in the order of the deal's history."""
    deal, found = _Deal(), []
    for event, state in _walk(events, stream, as_of, known_at):
        if event["kind"] not in KINDS:
            continue
        kind, act_of = KINDS[event["kind"]]
        act = act_of(deal, event, state)
        if act is not None:
            about = {"deal": stream, "position": event["position"], "at": effect_of(event)}
            whose = {"process": state["process"], "owner": state["owner"]}
            found.append({"kind": kind, **about, **whose, **act})
    return found


def requests_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Act]:
    """List the requests for help, each with how long its first answer took, or None."""
    latest: dict[str, Act] = {}
    found: list[Act] = []
    for event, state in _walk(events, stream, as_of, known_at):
        fact, on_day = event["payload"], event["precision"] == "day"
        if event["kind"] == "deal.help_requested":
            latest[fact["request"]] = {
                "deal": stream, "position": event["position"], "at": event["occurred"],
                "on_day": on_day, "by": _by(event), "department": fact.get("department"),
                "process": state["process"], "owner": state["owner"],
                "answered": None, "answers": 0,
            }  # fmt: skip
            found.append(latest[fact["request"]])
        elif event["kind"] == "deal.help_given" and fact["request"] in latest:
            _answer(latest[fact["request"]], event, days_only=on_day)
    return found


def _answer(request: Act, event: Raw, *, days_only: bool) -> None:
    request["answers"] += 1
    if request["answered"] is not None:
        return
    asked, at = request["at"], event["occurred"]
    if request["on_day"] and days_only:
        request["answered"] = (at // DAY - asked // DAY) * DAY
    else:
        request["answered"] = at - asked
    request["answered_at"], request["answerer"] = at, _by(event)


def handovers_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Act]:
    """List the changes of owner; what was handed over belongs to whose the deal is then."""
    found: list[Act] = []
    ahead: dict[str, tuple[Any, ...]] = {}
    owner: str | None = None
    for event, state in _walk(events, stream, as_of, known_at):
        fact, last = event["payload"], found[-1] if found else None
        if event["kind"] == "deal.handed_over":
            names = ("open_tasks", "promises", "contact_people")
            handed = (event["occurred"], *(len(fact.get(name, [])) for name in names))
            if fact["to"] != owner:
                ahead[fact["to"]] = handed
            elif last is not None:
                last["handed"] = handed
        elif event["kind"] == "deal.handover_acknowledged":
            _acknowledge(last, event, owner)
        elif state["owner"] != owner:
            handed_ahead = ahead.pop(state["owner"], None)
            if owner is not None:
                found.append(
                    {
                        "deal": stream, "position": event["position"], "at": effect_of(event),
                        "former": owner, "owner": state["owner"],
                        "process": state["process"], "handed": handed_ahead,
                        "acknowledged": None,
                    }
                )  # fmt: skip
            owner = state["owner"]
    return found


def _acknowledge(last: Act | None, event: Raw, owner: str | None) -> None:
    if last is not None and (event["payload"]["by"], last["acknowledged"]) == (owner, None):
        last["acknowledged"] = event["occurred"]


class _Committee:
    """Who has a say by now."""

    def __init__(self) -> None:
        self.members: dict[str, Act] = {}
        self.met: dict[str, int] = {}

    def member(self, person: str, *, mapped: bool = False) -> Act:
        new = {"roles": [], "stance": "unknown", "mapped": mapped}
        return self.members.setdefault(person, new)

    def contact(self, event: Raw) -> None:
        people = event["payload"].get("contact_people", [])
        self.met.update(dict.fromkeys(people, event["occurred"]))

    def mapping(self, event: Raw) -> None:
        people = {
            each["person_id"]: each
            for each in event["payload"].get("people", [])
            if "person_id" in each
        }
        for person, known in [*self.members.items()]:
            if known["mapped"] and person not in people:
                del self.members[person]
        for person, each in people.items():
            known = self.member(person, mapped=True)
            if not known["roles"] and each.get("role") in KNOWN_ROLES:
                known["roles"] = [each["role"]]

    def identified(self, event: Raw) -> None:
        fact = event["payload"]
        known = self.member(fact["person_id"])
        roles = [*dict.fromkeys(fact.get("roles", []))] or known["roles"]
        stance = fact.get("stance") or known["stance"]
        known.update(mapped=False, roles=roles, stance=stance)

    def stance(self, event: Raw) -> None:
        known = self.member(event["payload"]["person_id"])
        known.update(mapped=False, stance=event["payload"]["stance"])

    def left(self, event: Raw) -> None:
        self.members.pop(event["payload"]["person_id"], None)


TOLD: dict[str, Any] = {
    "deal.contact_logged": _Committee.contact,
    "deal.decision_process_mapped": _Committee.mapping,
    "deal.committee_member_identified": _Committee.identified,
    "deal.stance_observed": _Committee.stance,
    "deal.committee_member_left": _Committee.left,
}


def members_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> dict[str, Act]:
    """Say who has a say at an instant, with roles, stance and last contact."""
    committee = _Committee()
    for event, _ in _walk(events, stream, as_of, known_at):
        if event["kind"] in TOLD:
            TOLD[event["kind"]](committee, event)
    return {
        person: {**known, "met": committee.met.get(person)}
        for person, known in committee.members.items()
    }
