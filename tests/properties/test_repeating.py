"""What was answered once is answered again for ever, whatever is recorded meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given

from oracle.beliefs import Raw
from oracle.funnels import funnel_at
from properties.asked.funnel import said
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import prefix, raw_log
from properties.readable import shown
from properties.world import at, instant
from salesflow.engine import SalesFlow
from salesflow.projections.pipeline.funnel import Funnel, FunnelView


def naive(raw: list[Raw], view: FunnelView) -> dict[str, Any]:
    """Replay what the log held when it stood at the view's position."""
    moment = view.moment
    held = prefix(raw, moment.position)
    wanted = funnel_at(held, instant(moment.as_of), instant(moment.known_at))
    del wanted["processes"]
    return wanted


def asked(flow: SalesFlow, raw: list[Raw], pick: Pick | None) -> FunnelView:
    if pick is None:
        return flow.ask(Funnel())
    as_of, known_at = moment_of(pick, raw)
    if pick[0] % 3 == 0:
        return flow.ask(Funnel(), as_of=at(as_of))
    return flow.ask(Funnel(), as_of=at(as_of), known_at=at(known_at))


@examples(3)
@given(history=acts(3, least=8), moments=picks(least=6, most=12))
def test_an_answer_is_the_same_for_ever_when_asked_for_at_its_moment(
    database_url: str, history: list[Act], moments: list[Pick]
) -> None:
    views = []
    with Player(database_url) as player:
        for number, act in enumerate(history):
            player.play(act)
            raw = raw_log(player.flow)
            views.append(asked(player.flow, raw, None))
            views.append(asked(player.flow, raw, moments[number % len(moments)]))
        raw = raw_log(player.flow)
        check_again(player.flow, views, raw)
        player.flow.rebuild()
        check_again(player.flow, views, raw)


def check_again(flow: SalesFlow, views: list[FunnelView], raw: list[Raw]) -> None:
    for view in views:
        TALLY["answers asked for again"] += 1
        assert flow.ask(Funnel(), at=view.moment) == view, (view.moment, shown(raw))
        assert said(view.stages, view.closed) == naive(raw, view), (view.moment, shown(raw))


@examples(3)
@given(history=acts(3, least=6, most=14))
def test_answers_given_while_others_record_are_of_one_position_and_stay(
    database_url: str, history: list[Act]
) -> None:
    views: list[FunnelView] = []
    with Player(database_url) as player, player.beside() as asking:
        with ThreadPoolExecutor(1) as threads:
            recording = threads.submit(player.play_all, history)
            while not recording.done():
                views.append(asking.ask(Funnel()))
            recording.result()
        views.append(asking.ask(Funnel()))
        raw = raw_log(player.flow)
        positions = [view.moment.position for view in views]
        assert positions == sorted(positions)
        TALLY["positions answered at while recording"] += len(set(positions))
        check_again(player.flow, views, raw)
