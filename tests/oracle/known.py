"""Whether what a question names is known, naively: look for it in every event."""

from typing import Any

from oracle.beliefs import Raw
from oracle.deals import processes_of
from oracle.teams import reps_of, stays_of

__all__ = ["is_unknown"]


def is_unknown(events: list[Raw], named: dict[str, Any], as_of: int, known_at: int) -> bool:
    """Say whether nobody knows of the process, the stage or the team that is named."""
    process, stage, team = (named.get(name) for name in ("process", "stage", "team"))
    versions = [
        each for (key, _), each in processes_of(events).items() if process in (None, key)
    ]
    stages = {here["key"] for version in versions for here in version["stages"]}
    if not versions or (stage is not None and stage not in stages):
        return True
    teams = {
        stay[1] for rep in reps_of(events) for stay in stays_of(events, rep, as_of, known_at)
    }
    return team is not None and team not in teams
