"""Ctrl-C at any instant of an answer leaves an engine that answers as if nothing had been.

It is met while rows become columns, while those are brought level, and while files of them are
read and written; whoever begins from those files answers the same.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import pytest

from engine.test_unreadable_events import opened
from properties.effort import TORTURE
from properties.test_columns import Both
from salesflow import SalesFlow
from salesflow.adapters.projector import columns
from salesflow.domain.time import Moment
from salesflow.projections.core.columns import Words
from salesflow.projections.core.question import View
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.stages.stage_times import StageTimes
from store.interrupting import PACKAGE, interrupted_at, interrupts_after, lines_of

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
    pytest.mark.no_cover,  # an exception while coverage notes a line would keep its lock
]

COLUMNS = str(PACKAGE / "adapters" / "projector"), str(PACKAGE / "projections" / "core")
"""Where tables are read, kept and computed with."""
INSTANTS = 8 * TORTURE
QUESTIONS = (StageTimes(), Funnel(by="owner"))


class Askers:
    """Engines that begin anew, of which each is interrupted once, and what they are to say."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.kept: list[BaseException] = []
        with self.begun() as flow:
            for _ in range(6):
                opened(flow)
            self.moment: Moment = flow.ask(StageTimes()).moment
        with SalesFlow(url, columns_folder="") as flow:
            self.undisturbed = self.asked(flow)

    def begun(self) -> SalesFlow:
        return SalesFlow(self.url, columns_folder=str(self.folder))

    def asked(self, flow: SalesFlow) -> list[View]:
        return [flow.ask(question, at=self.moment) for question in QUESTIONS]

    def disturb(
        self, number: int, interrupt: Callable[[Callable[[], object]], BaseException | None]
    ) -> None:
        """Interrupt an engine that has just begun; it, and one after it, are to go on.

        Files are there or not, and behind the log or level with it.
        """
        with self.begun() as flow:
            if number % 3 == 0:
                shutil.rmtree(self.folder, ignore_errors=True)
            if number % 3 == 1:
                opened(flow)
            raised = interrupt(lambda: self.asked(flow))
            if raised is not None:
                self.kept.append(raised)
            self.goes_on(flow)
        with self.begun() as after:
            self.goes_on(after)

    def goes_on(self, flow: SalesFlow) -> None:
        flow.ask(Both())
        assert self.asked(flow) == self.undisturbed


@pytest.fixture
def askers(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Askers]:
    """Return askers of few rows, which are read two at a time and have files all the same."""
    monkeypatch.setattr(columns, "FILED_ROWS", 0)
    monkeypatch.setattr(columns, "BATCH", 2)
    asking = Askers(database_url, tmp_path / "columns")
    yield asking
    asking.kept.clear()


def swept(askers: Askers, *within: str) -> None:
    """Press Ctrl-C once in each of many answers, evenly spread over the lines that they run."""
    with askers.begun() as flow:
        lines = lines_of(lambda: askers.asked(flow), *within)
    for number in range(INSTANTS):
        line = 1 + number * lines // INSTANTS
        askers.disturb(
            number,
            lambda work, line=line: interrupted_at(  # type: ignore[misc]
                line, work, *within, kind=KeyboardInterrupt
            ),
        )


def test_ctrl_c_at_any_line_of_an_answer_changes_no_later_answer(askers: Askers) -> None:
    swept(askers, *COLUMNS)
    assert len(askers.kept) > INSTANTS // 2


def test_ctrl_c_at_any_instant_of_an_answer_changes_no_later_answer(askers: Askers) -> None:
    chance = random.Random(11)
    with askers.begun() as flow:
        start = perf_counter()
        askers.asked(flow)
        seconds = perf_counter() - start

    def interrupt(work: Callable[[], object]) -> BaseException | None:
        try:
            with interrupts_after(chance.uniform(0, seconds), KeyboardInterrupt) as fired:
                while not fired:
                    work()
        except KeyboardInterrupt as error:
            return error
        return None

    for number in range(INSTANTS):
        askers.disturb(number, interrupt)
    assert len(askers.kept) > INSTANTS // 2


def test_a_word_that_has_its_code_before_it_has_its_place_is_found_out(
    askers: Askers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption in between gives the next word the same code."""

    def codes(self: Words, words: Sequence[object]) -> object:
        known, there = self._codes, self._words
        for word in words:
            if word not in known:
                known[word] = len(there)
                assert known[word] == len(there)
                assert known[word] >= 0
                there.append(word)
        return whole(self, words)

    whole = Words.codes
    monkeypatch.setattr(Words, "codes", codes)
    with pytest.raises((AssertionError, LookupError)):
        swept(askers, __file__)
