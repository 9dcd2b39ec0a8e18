"""Any history comes back from its exported log as it was, and answers alike at any moment."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporting.shop import rows_stored
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.world import at
from salesflow import SalesFlow
from salesflow.adapters.exporters.restore import restore_log
from salesflow.errors import InputError
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restored")


@examples(3)
@given(history=acts(3, customers=2, reps=2), moments=picks(least=3, most=6), data=st.data())
def test_a_restored_history_is_the_same_and_a_changed_one_is_refused(
    folder: Path,
    database_url: str,
    history: list[Act],
    moments: list[Pick],
    data: st.DataObject,
) -> None:
    number = next(NUMBERS)
    file, again = folder / f"{number}.jsonl", f"sqlite:///{folder / f'{number}.db'}"
    with Player(database_url) as player:
        player.play_all(history)
        flow, tenant = player.flow, player.flow.log.tenant
        done = flow.exports.log(file)
        refused_with_a_byte_changed(file, data)
        restore_log(file, again)
        with SalesFlow(again, tenant=tenant, create=False, clock=player.clock) as restored:
            assert restored.exports.digest().log_sha256 == done.log_sha256
            assert rows_stored(restored)[: done.events] == rows_stored(flow)[: done.events]
            raw = raw_log(flow)
            for pick in moments:
                as_of, known_at = map(at, moment_of(pick, raw))
                for question in (Funnel(), Kpis(), Deals()):
                    TALLY["answers compared with those of a restored log"] += 1
                    assert restored.ask(question, as_of=as_of, known_at=known_at) == flow.ask(
                        question, as_of=as_of, known_at=known_at
                    )


def refused_with_a_byte_changed(file: Path, data: st.DataObject) -> None:
    """See that one flipped bit is noticed, wherever it is: the control that must fail."""
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = file.with_suffix(".changed")
    changed.write_bytes(content)
    with pytest.raises(InputError):
        restore_log(changed, f"sqlite:///{file.with_suffix('.none')}")
    assert not file.with_suffix(".none").exists()
