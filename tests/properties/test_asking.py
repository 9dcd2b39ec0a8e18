"""A deal got at any moment is what the naive oracle says, and no millionth is ever lost."""

from decimal import Decimal
from uuid import UUID

from hypothesis import given

from oracle.deals import deal_at
from properties.agreement import said_by_deal, said_by_oracle
from properties.asked.case import by_currency
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at, deal_id
from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.values import Money
from salesflow.engine import ExternalEvent
from salesflow.errors import NotFoundError
from salesflow.projections.pipeline.funnel import Funnel


@examples(15)
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


def test_amounts_add_up_to_the_millionth_on_every_database(database_url: str) -> None:
    amounts = ("0.6", "0.7", "316.666664", "-12.5", *("9223372036854.775807",) * 20)
    with Player(database_url) as player:
        opened = DealOpened(process="standard", process_version=1, stage="prospecting")
        player.flow.record(
            ExternalEvent(
                UUID(int=number), opened.model_copy(update={"amount": Money(a, "CNY")})
            )
            for number, a in enumerate(amounts, 1)
        )
        total = sum(map(Decimal, amounts))
        for question in (Funnel(), Funnel(), Funnel(by="owner")):  # asked again: in memory
            (stage, *_) = player.flow.ask(question).stages
            assert by_currency(stage.amounts) == {"CNY": total}
            assert by_currency(stage.weighted) == {"CNY": total / 10}
