"""Whatever is asked at any moment, the engine answers what the naive oracle answers."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import deal_at, processes_of
from oracle.funnels import funnel_at
from oracle.timelines import timeline_at
from properties.agreement import said_by_deal, said_by_oracle, said_by_timeline
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at, deal_id
from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.values import Money
from salesflow.engine import ForeignFact
from salesflow.errors import NotFoundError
from salesflow.projections.deal_timeline import DealTimeline
from salesflow.projections.funnel import Funnel, FunnelView

FUNNELS = (
    Funnel(),
    Funnel(),
    Funnel(process="standard"),
    Funnel(process="crm"),
    Funnel(owner="ann"),
    Funnel(process="standard", owner="bob"),
)


@examples(30)
@given(history=acts(2, least=8), moments=picks(least=5, most=15))
def test_a_deal_at_any_moment_is_what_a_naive_replay_of_the_log_says(
    database_url: str, history: list[Act], moments: list[Pick]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        for number, pick in enumerate(moments):
            as_of, known_at = moment_of(pick, raw)
            stream = deal_id(number % 2)
            TALLY["deals got at a moment"] += 1
            state = deal_at(raw, str(stream), as_of, known_at)
            wanted = None if state is None else said_by_oracle(state)
            try:
                found = said_by_deal(
                    player.flow.get(Deal, stream, as_of=at(as_of), known_at=at(known_at))
                )
            except NotFoundError:
                found = None
            assert found == wanted, (as_of, known_at, shown(raw))


@examples(30)
@given(
    history=acts(3, least=8),
    moments=picks(least=5, most=15),
    question=st.sampled_from(FUNNELS),
)
def test_the_funnel_at_any_moment_is_what_a_naive_replay_of_the_log_says(
    database_url: str, history: list[Act], moments: list[Pick], question: Funnel
) -> None:
    with Player(database_url) as player:
        for act in history:
            player.play(act)
            if act.gap % 2:
                player.flow.catch_up()
        raw = raw_log(player.flow)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            TALLY["funnels asked at a moment"] += 1
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            wanted = funnel_at(
                raw, as_of, known_at, process=question.process, owner=question.owner
            )
            order = open_stages(raw, wanted)
            assert said_by_view(view) == wanted, (as_of, known_at, question, shown(raw))
            assert stages_in_order(view) == order, (as_of, known_at, shown(raw))


def test_amounts_add_up_to_the_millionth_on_every_database(database_url: str) -> None:
    amounts = ("0.6", "0.7", "316.666664", "-12.5", *("999999999999.999999",) * 20)
    with Player(database_url) as player:
        opened = DealOpened(process="standard", process_version=1, stage="prospecting")
        player.flow.record(
            ForeignFact(UUID(int=number), opened.model_copy(update={"amount": Money(a, "CNY")}))
            for number, a in enumerate(amounts, 1)
        )
        (stage, *_) = player.flow.ask(Funnel()).stages
        total = sum(map(Decimal, amounts))
        assert by_currency(stage.amounts) == {"CNY": total}
        assert by_currency(stage.weighted) == {"CNY": total / 10}


@examples(25)
@given(history=acts(2, least=8), moments=picks(least=5, most=15))
def test_the_timeline_of_a_deal_is_what_a_naive_replay_of_the_log_says(
    database_url: str, history: list[Act], moments: list[Pick]
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        for number, pick in enumerate(moments):
            as_of, known_at = moment_of(pick, raw)
            stream = deal_id(number % 2)
            question = DealTimeline(deal=stream)
            TALLY["timelines asked at a moment"] += 1
            try:
                view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
                found = said_by_timeline(view)
            except NotFoundError:
                found = None
            wanted = timeline_at(raw, str(stream), as_of, known_at)
            assert found == wanted, (as_of, known_at, stream, shown(raw))


def said_by_view(view: FunnelView) -> dict[str, Any]:
    """Write a funnel as the oracle does; empty stages are left out."""
    return {
        "stages": {
            (stage.process, stage.stage): (
                stage.deals,
                stage.deals_without_amount,
                by_currency(stage.amounts),
                by_currency(stage.weighted),
            )
            for stage in view.stages
            if stage.deals or stage.amounts
        },
        "closed": {
            closed.outcome: (closed.deals, by_currency(closed.amounts))
            for closed in view.closed
        },
        "open_deals": view.open_deals,
    }


def by_currency(totals: tuple[Any, ...]) -> dict[str, Decimal]:
    return {total.currency: total.amount for total in totals}


def stages_in_order(view: FunnelView) -> list[tuple[str, str]]:
    return [(stage.process, stage.stage) for stage in view.stages]


def open_stages(raw: list[Raw], wanted: dict[str, Any]) -> list[tuple[str, str]]:
    """List every open stage of the newest version in use, then others that hold deals."""
    found = []
    versions = processes_of(raw)
    for key, newest in wanted.pop("processes").items():
        stages = versions[key, newest]["stages"]
        own = [s["key"] for s in stages if s.get("category", "open") == "open"]
        gone = sorted({stage for p, stage in wanted["stages"] if p == key} - set(own))
        found += [(key, stage) for stage in [*own, *gone]]
    return found
