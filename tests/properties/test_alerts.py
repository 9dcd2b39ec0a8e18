"""Alerts at any moment are what a naive replay says, however late or wrong they were told."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.asked.alerts import ASKED
from properties.effort import TALLY, examples
from properties.moments import Pick, picks
from properties.playing import Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at, instant
from salesflow import Alert, ExternalEvent
from salesflow.domain.alert import (
    AlertCleared,
    AlertDefined,
    AlertEvaluated,
    AlertEvidence,
    AlertRaised,
    AlertRetired,
    AlertRevised,
    AlertState,
    WatchedFigure,
    alert_id,
)
from salesflow.domain.event import Event, Fact, FactRetracted

Told = tuple[int, int, int, int]
"""Of which alert, what, with which number, how many hours ago."""
KEYS = ("a", "b")
WATCHED = WatchedFigure(question="deal-health", parameters="{}", figure="open_deals")


def fact_of(key: str, what: int, n: int, now: str) -> Fact:
    figure = None if n % 5 == 4 else Decimal(n)
    evidence = AlertEvidence.model_validate(
        {"as_of": now, "known_at": now, "position": n, "figure": figure}
    )
    about = {
        "watched": WATCHED,
        "condition": ("above", "below")[n % 2],
        "threshold": Decimal(n),
    }
    kinds: tuple[Callable[[], Fact], ...] = (
        lambda: AlertRaised(evidence=evidence),
        lambda: AlertCleared(evidence=evidence),
        lambda: AlertEvaluated(evidence=evidence),
        lambda: AlertRevised.model_validate({**about, "because": "other"}),
        lambda: AlertRetired(because="enough"),
        lambda: AlertDefined.model_validate({**about, "alert": key}),
    )
    return kinds[min(what // 3, 5)]()


def play(player: Player, told: Sequence[Told]) -> None:
    """Define both alerts, then tell what there is of them; 18 and more takes something back."""
    flow = player.flow
    for key in KEYS:
        with flow.session() as session:
            session.add(Alert.define(key, watched=WATCHED, condition="above", threshold="1"))
    for number, what, n, ago in told:
        player.clock.turn(3_600_000_000)
        key = KEYS[number]
        if what >= 18:
            events = [
                event
                for event in flow.history(alert_id(key))
                if not isinstance(event.fact, FactRetracted)
            ]
            _retract(player, events[n % len(events)])
            continue
        when = player.clock.now - timedelta(hours=ago)
        fact = fact_of(key, what, n, player.clock.now.isoformat())
        flow.record([ExternalEvent(alert_id(key), fact, instant(when))])


def _retract(player: Player, event: Event) -> None:
    taken = {
        each.fact.event_id
        for each in player.flow.history(event.stream_id)
        if isinstance(each.fact, FactRetracted)
    }
    if event.event_id not in taken:
        with player.flow.session() as session:
            session.retract(event.event_id, because="wrong")


def check(url: str, told: Sequence[Told], moments: Sequence[Pick]) -> None:
    case = CASES["alerts"]
    with Player(url) as player:
        play(player, told)
        raw = raw_log(player.flow)
        times = sorted({event[name] for event in raw for name in ("occurred", "recorded")})
        for first, second in [*moments, (len(times) - 1, len(times) - 1)]:
            as_of, known_at = times[first % len(times)], times[second % len(times)]
            for question in ASKED:
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                TALLY["alerts raised at a moment"] += view.raised
                wanted = case.wanted(raw, question, as_of, known_at)
                assert case.said(view) == wanted, (question, as_of, known_at, shown(raw))


TOLD = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 19), st.integers(0, 30), st.integers(0, 5)),
    min_size=6,
    max_size=14,
)


@examples(8)
@given(told=TOLD, moments=picks(least=2, most=4))
def test_alerts_at_any_moment_are_what_a_naive_replay_says(
    database_url: str, told: list[Told], moments: list[Pick]
) -> None:
    check(database_url, told, moments)


def test_an_alert_raised_twice_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = AlertState.evolve

    def wrong(self: AlertState, event: Event) -> str | None:
        if isinstance(event.fact, AlertRaised):
            self.raised = None
        return right(self, event)

    monkeypatch.setattr(AlertState, "evolve", wrong)

    @examples(12, shrink=False)
    @given(told=TOLD, moments=picks(least=2, most=2))
    def _agree(told: list[Told], moments: list[Pick]) -> None:
        check(sqlite_url, told, moments)

    with pytest.raises(AssertionError):
        _agree()
