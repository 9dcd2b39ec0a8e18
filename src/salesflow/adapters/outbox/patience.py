"""What follows from an attempt: when a message is tried again, when it is dead, who rests.

Pure rules. A message waits three times as long after each failure, and is dead after so many,
or so long after the first one. An endpoint as a whole rests where nobody answers, where it says
that it has no time, or after five failures in a row whatever the message; then one message is
tried, and only when that is taken all others follow. So a host that is down is not hammered by
the messages of ten thousand deals. No wait is as long as another one: they are spread at
random. It is a module of its own, since it opens and sends nothing.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.store import Claimed, EndpointRow, Settled
from salesflow.adapters.outbox.transports import DeliveryError
from salesflow.domain.time import FOREVER, Instant

__all__ = ["Outcome", "rest_after", "settled_after"]


SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
LONGER: Final = 3.0
LONGER_RESTS: Final = 2.0
REST_SECONDS_MAX: Final = 300.0
FAILURES_MAX: Final = 5
"""So many failures in a row are those of the endpoint, not of a message."""
STEPS_MAX: Final = 40
Chance = Callable[[], float]
"""Gives a number between 0 and 1."""


class Outcome(NamedTuple):
    """What became of a queue that was claimed."""

    claimed: Claimed
    delivered: tuple[int, ...]
    """Numbers of its messages that were taken, its first ones."""
    failure: DeliveryError | None
    """Why the next one was not."""


def settled_after(
    outcome: Outcome, endpoint: Endpoint, now: Instant, chance: Chance
) -> Settled:
    """Return what a queue says after an attempt."""
    claimed, delivered, failure = outcome
    changes: dict[str, Any] = {}
    if delivered:
        changes = {"tries": 0, "first_tried": None, "failure": None, "due": now}
    if failure is not None:
        tries = 0 if delivered else claimed.tries
        first = now if delivered or claimed.first_tried is None else claimed.first_tried
        changes = _after_failure(failure, tries, first, endpoint, now, chance)
    return Settled(claimed.ordering_key, delivered, changes)


def _after_failure(
    failure: DeliveryError,
    tries: int,
    first: Instant,
    endpoint: Endpoint,
    now: Instant,
    chance: Chance,
) -> dict[str, Any]:
    told: dict[str, Any] = {"failure": failure.reason, "first_tried": first}
    if failure.gone:
        return {**told, "tries": tries, "due": now}
    tries += failure.reached
    given_up = now - first >= endpoint.give_up_hours * HOUR
    if not failure.retryable or tries >= endpoint.attempts or given_up:
        return {**told, "tries": tries, "due": FOREVER, "dead_since": now}
    steps = min(max(tries - 1, 0), STEPS_MAX)
    seconds = min(endpoint.retry_seconds * LONGER**steps, endpoint.retry_seconds_max)
    wait = max(_spread(seconds, chance), failure.retry_after or 0.0)
    return {**told, "tries": tries, "due": now + int(wait * SECOND)}


def rest_after(
    row: EndpointRow, outcome: Outcome, endpoint: Endpoint, now: Instant, chance: Chance
) -> EndpointRow:
    """Return how an endpoint stands after an attempt."""
    if outcome.delivered:
        row = row._replace(failures=0, pauses=0, last_delivered=now)
    failure = outcome.failure
    if failure is None:
        return row
    row = row._replace(failures=row.failures + 1, failure=failure.reason)
    if failure.gone:
        return row._replace(off_since=now)
    asked = now + int((failure.retry_after or 0.0) * SECOND) if failure.busy else now
    tired = not failure.reached or failure.busy or row.failures >= FAILURES_MAX
    if tired and row.paused_until <= now:
        steps = min(row.pauses, STEPS_MAX)
        most = min(REST_SECONDS_MAX, endpoint.retry_seconds_max)
        seconds = min(endpoint.retry_seconds * LONGER_RESTS**steps, most)
        until = now + int(_spread(seconds, chance) * SECOND)
        row = row._replace(pauses=row.pauses + 1, paused_until=until)
    return row._replace(paused_until=max(row.paused_until, asked))


def _spread(seconds: float, chance: Chance) -> float:
    """Return a wait of half as long to as long."""
    return seconds * (0.5 + chance() / 2)
