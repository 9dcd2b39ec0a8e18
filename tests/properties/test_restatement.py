"""Restatements between any two instants of knowledge: stored rows == two naive replays."""

from hypothesis import given
from hypothesis import strategies as st

from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import at
from salesflow.projections.pipeline.restatement import Restatement


@examples(20)
@given(
    history=acts(2, least=8),
    moments=picks(least=6, most=6),
    then=picks(least=6, most=6),
    owner=st.sampled_from((None, None, "ann")),
)
def test_what_changed_between_two_instants_of_knowledge_is_told_as_two_replays_tell_it(
    sqlite_url: str,
    history: list[Act],
    moments: list[Pick],
    then: list[Pick],
    owner: str | None,
) -> None:
    case = CASES["restatement"]
    with Player(sqlite_url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        for pick, earlier in zip(moments, then, strict=True):
            (as_of, known_at), (_, known_then) = moment_of(pick, raw), moment_of(earlier, raw)
            known_then, known_at = sorted((known_then, known_at))
            question = Restatement(known_then=at(known_then), owner=owner)
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            TALLY["deals restated"] += view.deals_restated
            TALLY["events that explain a restatement"] += view.events_total
            wanted = case.wanted(raw, question, as_of, known_at)
            assert case.said(view) == wanted, (question, as_of, known_at, shown(raw))
