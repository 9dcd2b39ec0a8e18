"""What the case library is asked for in words of the house's own, as they were written.

Reasons, competitors, segments, products and audiences are texts that people write. One that no
case has is taken for the only one that differs in nothing but its letters, or a reason for the
one that a process calls so; else the answer says what there is. Leaves out what has a key.

A module of its own, since the library answers, and this reads what it is asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from salesflow.domain.alike_names import folded, nearest
from salesflow.domain.deal.activities import CompetitorNamed
from salesflow.domain.event import Event
from salesflow.projections.cases.library_cases import (
    PublishedCase,
    buyer_side_of,
    products_of,
)
from salesflow.projections.core.left_out import Unmet
from salesflow.projections.table import Processes

__all__ = ["CaseWords", "words_in_facts", "words_in_rows"]

Called = Mapping[str, str]
"""What there is, by each name that it has."""
NO_CASE: Final = {
    "audience": "no case is meant for these people alone:",
    "competitor": "no case has the competitor",
    "product": "no case is about the product",
    "reason": "no case has the reason",
    "segment": "no case is of a customer of segment",
}
SHOWN_MAX: Final = 20


class CaseWords(NamedTuple):
    """What there is among the cases of each word that may be asked for."""

    there: Mapping[str, Called]

    def meant(self, name: str, word: str) -> str:
        """Return what a word is meant for: the only one written so but for its letters."""
        called = self.there[name]
        if word in called.values():
            return word
        found = {key for other, key in called.items() if folded(other) == folded(word)}
        return found.pop() if len(found) == 1 else word

    def unmet(self, asked: Mapping[str, str]) -> Iterator[Unmet]:
        """Yield which words no case has, with what may be meant, or what there is."""
        for name, word in asked.items():
            called = self.there[name]
            if word not in called.values():
                alike = [key for other, key in called.items() if folded(other) == folded(word)]
                near = tuple(sorted({*alike})) or nearest(word, called)
                those = () if near else tuple(sorted({*called.values()})[:SHOWN_MAX])
                yield Unmet(value=word, said=NO_CASE[name], near=near, there=those)


def words_in_rows(cases: Iterable[PublishedCase]) -> CaseWords:
    """Return the words that stand in the rows of cases and of their deals."""
    audiences, segments = set[str](), set[str]()
    for case, deal in cases:
        audiences.update(case.audience)
        if deal is not None and deal.segment is not None:
            segments.add(deal.segment)
    found = {"audience": audiences, "segment": segments}
    return CaseWords({name: {each: each for each in words} for name, words in found.items()})


def words_in_facts(
    cases: Iterable[PublishedCase],
    history_of: Callable[[PublishedCase], Sequence[Event]],
    processes: Processes,
) -> CaseWords:
    """Return the words that stand in the facts of the deals of cases, or were noted in them."""
    competitors, products = dict[str, str](), dict[str, str]()
    reasons: dict[str, str] = {}
    for each in cases:
        case, deal = each
        history = history_of(each)
        buyer = buyer_side_of(deal, history)
        told: set[str | None] = {*buyer.competitors, *_named(history)}
        noted: set[str | None] = {*buyer.reasons, *(it.factor for it in case.factors)}
        if deal is not None:
            told.add(deal.competitor)
            noted.add(deal.because)
            version = processes.get((deal.process, deal.process_version))
            labels = () if version is None else version.loss_reasons
            for label in labels:
                if label.key in noted:
                    reasons |= {label.name_en: label.key, label.name_zh: label.key}
        competitors |= {name: name for name in told if name}
        reasons |= {name: name for name in noted if name}
        products |= {name: name for name in products_of(history, processes)}
    return CaseWords({"competitor": competitors, "reason": reasons, "product": products})


def _named(history: Iterable[Event]) -> Iterator[str]:
    for event in history:
        fact = event.fact
        if isinstance(fact, CompetitorNamed):
            yield fact.competitor
