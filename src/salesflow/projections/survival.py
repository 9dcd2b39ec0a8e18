"""How long until something happens, when for some it has not happened yet.

Two estimators over spells, each of which lasted so long and ended by a cause or is censored
(it goes on, or nobody watched it further): Kaplan-Meier, the share that has not ended after
some time, and Aalen-Johansen, the share that has ended by each cause. Together they make 1.

Exact: whole numbers until the last division, so that ties are ties. Both follow from giving
every spell the same weight and handing the weight of a censored one on to all that last
longer. A spell that ended after some time precedes one that is censored after the same time.
Leaves out intervals, and everything about where the spells come from.

Source: E. L. Kaplan and P. Meier, Nonparametric estimation from incomplete observations, JASA
53 (1958); O. Aalen and S. Johansen, An empirical transition matrix for non-homogeneous Markov
chains based on censored observations, Scandinavian Journal of Statistics 5 (1978); B. Efron,
The two sample problem with censored data, Fifth Berkeley Symposium 4 (1967), for the weights.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from salesflow.projections.estimates import Share

__all__ = ["Chances", "Spell", "Survival", "survival"]


class Spell(NamedTuple):
    """Something that lasted so long; the cause that ended it, None where it is censored."""

    lasted: int
    cause: str | None


class Chances(NamedTuple):
    """What is estimated of a spell's first so long."""

    after: int
    at_risk: int
    """How many were watched for at least that long."""
    lasting: Share | None
    """The share that lasts longer; None beyond the last spell where that is censored."""
    ended: Mapping[str, Share] | None
    """The share that has ended by each cause; None as above."""


class Survival(NamedTuple):
    """What is estimated of spells: how many ended, by what, when half had, and the chances."""

    spells: int
    causes: Mapping[str, int]
    median: int | None
    """The first time after which no more than half last; None when more than half did."""
    chances: tuple[Chances, ...]


def survival(spells: Iterable[Spell], after: Iterable[int] = ()) -> Survival:
    """Estimate how long spells last, and the chances after each of some times, in order."""
    found: defaultdict[int, Counter[str | None]] = defaultdict(Counter)
    for spell in spells:
        found[spell.lasted][spell.cause] += 1
    wanted = sorted(set(after))
    for moment in wanted:
        found[moment] += Counter()
    weights = _Weights(sum(at.total() for at in found.values()))
    begun, causes, median = weights.at_risk, Counter[str](), None
    chances: list[Chances] = []
    for lasted in sorted(found):
        at_risk = weights.at_risk
        ended = Counter({c: count for c, count in found[lasted].items() if c is not None})
        weights.end(ended)
        causes += ended
        if median is None and ended and 2 * weights.lasting <= weights.whole:
            median = lasted
        if lasted in wanted:
            chances.append(weights.chances(lasted, at_risk))
        weights.censor(found[lasted][None])
    return Survival(begun, causes, median, tuple(chances))


class _Weights:
    """The estimate as time goes by: each spell at risk weighs `weight`, in parts of `whole`.

    What censored ones weighed is handed on only when another spell ends, all of it at once:
    until then `sharing` spells' weight is that of all at risk.
    """

    def __init__(self, spells: int) -> None:
        self.at_risk = self.sharing = spells
        self.weight, self.whole = 1, spells
        self.ended: Counter[str] = Counter()
        self.known = spells > 0
        """Whether anything is known of so long a time: not once the last one is censored."""

    @property
    def lasting(self) -> int:
        """What those at risk weigh together."""
        return self.weight * self.sharing

    def end(self, causes: Mapping[str, int]) -> None:
        """Let some end: what they weighed is their causes' from now on."""
        if causes:
            self._hand_on()
        for cause, count in causes.items():
            self.ended[cause] += self.weight * count
            self.at_risk -= count
            self.sharing -= count

    def censor(self, count: int) -> None:
        """Watch some no further: what they weighed is for all that are left."""
        self.at_risk -= count
        self.known = self.known and (self.at_risk > 0 or not count)

    def chances(self, after: int, at_risk: int) -> Chances:
        """Give what is estimated now."""
        if not self.known:
            return Chances(after, at_risk, None, None)
        ended = {cause: Share(part, self.whole) for cause, part in self.ended.items()}
        return Chances(after, at_risk, Share(self.lasting, self.whole), ended)

    def _hand_on(self) -> None:
        if self.sharing == self.at_risk:
            return
        self.weight *= self.sharing
        self.whole *= self.at_risk
        for cause in self.ended:
            self.ended[cause] *= self.at_risk
        self.sharing = self.at_risk
