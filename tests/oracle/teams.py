"""In which team a rep is, by replaying all that was believed of them for every moment.

Written from the words of the specification: a rep joins a team, goes over to another, leaves,
and may join again. What lies before the first joining, or would hold before it does, counts
for nothing; neither does a joining while in a team or under another rep's name, nor a move or
a leaving of somebody who is in no team.
"""

from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, effect_of, of_stream

__all__ = [
    "Stay",
    "counted",
    "reps_of",
    "staffed_at",
    "stays_of",
    "stream_of",
    "team_at",
    "teams_at",
]

MEMBERSHIP = ("rep.joined", "rep.moved", "rep.left")

Stay = tuple[int, str | None, str]
"""Since when somebody is in a team (None after leaving), and the event that says so."""

FOREVER = 2**62
REPS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a03")


def stream_of(reference: str) -> str:
    """Name the stream of a rep; references here are plain ASCII."""
    return str(uuid5(REPS, reference))


def reps_of(events: list[Raw]) -> list[str]:
    """Name every stream that says anything of a rep."""
    return sorted({event["stream"] for event in events if event["kind"].startswith("rep.")})


def team_at(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> tuple[str, str] | None:
    """Give a rep's reference and team at a moment; None where they are in no team."""
    found: tuple[str, str] | None = None
    for event in counted(events, stream, as_of, known_at):
        found = _after(found, event)
    return found


def stays_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Stay]:
    """Give where a rep was and since when; what lasted no time at all is left out."""
    found: list[Stay] = []
    member: tuple[str, str] | None = None
    for event in counted(events, stream, as_of, known_at):
        if event["kind"] not in MEMBERSHIP:
            continue
        after = _after(member, event)
        joined = member is None and after is not None
        if joined or (member is not None and event["kind"] != "rep.joined"):
            found = [stay for stay in found if stay[0] != effect_of(event)]
            found.append((effect_of(event), after and after[1], event["event_id"]))
        member = after
    return found


def staffed_at(events: list[Raw], start: int, end: int, known_at: int) -> set[str]:
    """Name the teams that somebody was in between two instants, both included."""
    found = set()
    for stream in reps_of(events):
        stays = stays_of(events, stream, FOREVER, known_at)
        for (since, team, _), (until, *_) in pairwise([*stays, (FOREVER, None, "")]):
            if team is not None and since <= end and until > start and end >= start:
                found.add(team)
    return found


def counted(events: list[Raw], stream: str, as_of: int, known_at: int) -> Iterator[Raw]:
    """Give what is believed of a rep and in effect; nothing from before they joined."""
    history = believed(of_stream(events, stream), known_at)
    for event in history:
        before = event["occurred"] < history[0]["occurred"]
        early = effect_of(event) < effect_of(history[0])
        if effect_of(event) <= as_of and not before and not early:
            yield event


def _after(member: tuple[str, str] | None, event: Raw) -> tuple[str, str] | None:
    """Say where a rep is after one more fact."""
    fact = event["payload"]
    if member is None:
        right = event["kind"] == "rep.joined" and stream_of(fact["rep"]) == event["stream"]
        return (fact["rep"], fact["team"]) if right else None
    if event["kind"] == "rep.left":
        return None
    return (member[0], fact["team"]) if event["kind"] == "rep.moved" else member


def teams_at(events: list[Raw], as_of: int, known_at: int) -> dict[str, str]:
    """Give the team of every rep who is in one, by reference."""
    found = {}
    for stream in reps_of(events):
        member = team_at(events, stream, as_of, known_at)
        if member is not None:
            found[member[0]] = member[1]
    return found
