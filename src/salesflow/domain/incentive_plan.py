"""Incentive plans: what reps are paid for what they sell, in versions that never change.

A plan is addressed by its key and published in versions, each in force from a day on until the
next one is. A version can be superseded and a plan retired, but never edited or retracted:
statements rest on it. What follows for one rep and period is figured by the question
`commission-statement`; the rules it goes by are the terms here.

Sales accrue over the plan's period, or over the fiscal year, and the terms say what is paid
for the part of the accrual that lies in each band. A threshold is a lowest band that pays
nothing; tiers, accelerators and decelerators cut further bands. Marginal plans pay each band
its own rate, retroactive ones pay the rate that was reached on everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self, assert_never, get_args
from uuid import UUID

from pydantic import Field, Strict, model_validator

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.currency_codes import ensure_payable
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import VersionNumber
from salesflow.domain.state import EMPTY, OpenedState, appended, with_item
from salesflow.domain.time import Instant, ensure_period, from_instant
from salesflow.domain.values import (
    EXACT,
    MOST,
    Day,
    Exact,
    Flag,
    GivenCurrency,
    Key,
    Reason,
    Reference,
    SafeName,
    SafeText,
    Share,
    Value,
    id_of_key,
    trimmed,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, NotFoundError, RuleError

__all__ = [
    "Accelerator",
    "Accrual",
    "Acknowledgement",
    "Crediting",
    "Decelerator",
    "IncentivePlan",
    "IncentivePlanFact",
    "IncentivePlanState",
    "PlanAcknowledged",
    "PlanPeriod",
    "PlanPublished",
    "PlanRetired",
    "PlanTerms",
    "PlanVersion",
    "Spiff",
    "Tier",
    "plan_id",
]


PLANS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a11")
WHOLE: Final = Decimal(1)
ATTAINED_MOST: Final = 10
"""More than so many quotas nobody means: it was a percentage."""

Accrual = Literal["period_to_date", "year_to_date"]
Crediting = Literal["closing", "invoice", "payment"]
PlanPeriod = Literal["month", "quarter", "year"]
TiersPay = Literal["marginal", "retroactive"]
Customers = Literal["all", "new"]

Positive = Annotated[Decimal, Exact(13, 6, least=Decimal("0.000001"), most=MOST)]
"""An amount, or a part of a quota, above nothing."""
NotNegative = Annotated[Decimal, Exact(13, 6, least=Decimal(0), most=MOST)]
Days = Annotated[int, Strict(), Field(ge=0, le=36_500)]


class Tier(Value):
    """A rate that is reached when so much has accrued."""

    starts_at: Positive
    """The accrued amount, in the plan's currency, from which the rate is paid; reaching it
    exactly is enough."""
    rate: Share
    """The part of credited sales that is paid: 0.08 is 8 %."""


class Accelerator(Value):
    """A factor on the rate from an attainment of the quota on."""

    starts_at: Positive
    """The attainment from which it holds: 1 is the quota, 1.2 is 120 % of it."""
    factor: Positive
    """What the rate is multiplied by, at least 1."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.factor < WHOLE:
            raise ValueError(Message("an accelerator's factor is at least 1"))
        return self


class Decelerator(Value):
    """A factor on the rate below an attainment of the quota."""

    ends_at: Positive
    """The attainment below which it holds: 0.5 is half of the quota."""
    factor: Share
    """What the rate is multiplied by, at most 1."""


class Spiff(Value):
    """Something extra for a product, in a window of days, or for new customers.

    It is paid beside the rate: no tier, accelerator or cap touches it.
    """

    key: Key
    rate: Share | None = None
    """An extra part of the credited sales it is for."""
    bonus: Positive | None = None
    """A fixed amount for each sale it is for; who shares the sale shares the bonus."""
    product: SafeText | None = None
    """Only for this product: the rate on its part of the sale, the bonus where it was sold."""
    first_day: Day | None = None
    """The first day on which a sale is credited that it is for."""
    last_day: Day | None = None
    """The last such day."""
    customers: Customers = "all"
    """`new`: only for the first sale that a customer was ever won with."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rate is None and self.bonus is None:
            raise ValueError(Message("a SPIFF pays a rate or a bonus; name one"))
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError(Message("a SPIFF ends before it begins"))
        return self

    def covers(self, day: date) -> bool:
        """Return whether a sale that is credited on a day lies in its window."""
        begun = self.first_day is None or self.first_day <= day
        return begun and (self.last_day is None or day <= self.last_day)


class Band(NamedTuple):
    """A part of the accrual that is paid alike."""

    starts_at: Decimal
    ends_at: Decimal | None
    """None for the last one."""
    tier: int
    """0 for the base rate, else the number of the tier; -1 below the threshold."""
    rate: Decimal
    factor: Decimal


class PlanTerms(Value):
    """What a version of a plan pays, in its currency.

    Raises:
        InputError: when tiers, accelerators or decelerators stand in no order, accelerators or
            decelerators have no quota, or a retroactive tier pays less than the one before it.
    """

    rate: Share
    """The part of credited sales that is paid where no tier is reached: 0.05 is 5 %."""
    tiers: tuple[Tier, ...] = ()
    """Higher (or lower) rates, by how much has accrued."""
    tiers_pay: TiersPay = "marginal"
    """`marginal`: each band pays its own rate; `retroactive`: the rate that was reached pays
    on everything that accrued."""
    accrual: Accrual = "period_to_date"
    """Over what sales accrue: the plan's period, or the fiscal year."""
    crediting: Crediting = "closing"
    """When a sale is credited: at its closing, or as it is invoiced or paid."""
    threshold: Positive | None = None
    """Nothing is paid on what accrues below it; a retroactive plan pays on everything once it
    is reached, a marginal one on what lies above."""
    quota: Positive | None = None
    """What is to be sold over the accrual; accelerators and decelerators go by it."""
    accelerators: tuple[Accelerator, ...] = ()
    decelerators: tuple[Decelerator, ...] = ()
    cap: NotNegative | None = None
    """The most that rates pay over the accrual; SPIFFs come on top of it."""
    draw: Positive | None = None
    """Paid out in every period at least; what was not earned of it is recovered from what is
    earned above it later."""
    guarantee: Positive | None = None
    """Paid at least for what every period sells, and never recovered; differences of earlier
    statements come beside it."""
    spiffs: tuple[Spiff, ...] = ()
    clawback_days: Days | None = None
    """For how many days after its crediting a sale that is refunded, reopened or reduced is
    taken back: the last of them included. 0: on the same day alone. None: at any time."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _ascends(tier.starts_at for tier in self.tiers):
            raise ValueError(Message("tiers stand in ascending order, each once"))
        if not _ascends(each.starts_at for each in self.accelerators):
            raise ValueError(Message("accelerators stand in ascending order, each once"))
        if not _ascends(each.ends_at for each in self.decelerators):
            raise ValueError(Message("decelerators stand in ascending order, each once"))
        keys = [spiff.key for spiff in self.spiffs]
        if len({*keys}) < len(keys):
            raise ValueError(Message("two SPIFFs share a key"))
        if self.quota is None and (self.accelerators or self.decelerators):
            raise ValueError(Message("accelerators and decelerators need a quota"))
        rates = [self.rate, *(tier.rate for tier in self.tiers)]
        if self.tiers_pay == "retroactive" and any(b < a for a, b in pairwise(rates)):
            raise ValueError(
                Message(
                    "a retroactive tier pays no less than the one before it, or selling"
                    " more would pay less"
                )
            )
        self._ensure_apart()
        return self

    def _ensure_apart(self) -> None:
        slowed = max((each.ends_at for each in self.decelerators), default=Decimal(0))
        hastened = min((each.starts_at for each in self.accelerators), default=slowed)
        if hastened < slowed:
            raise ValueError(Message("an accelerator starts where a decelerator still holds"))
        factors = [each.factor for each in self.decelerators]
        factors += [each.factor for each in self.accelerators]
        if self.tiers_pay == "retroactive" and any(b < a for a, b in pairwise(factors)):
            raise ValueError(
                Message(
                    "a factor of a retroactive plan is no less than the one before it, or"
                    " selling more would pay less"
                )
            )

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands of the accrual, from nothing up, each with what it pays."""
        quota = self.quota or Decimal(0)
        edges = {Decimal(0), *(tier.starts_at for tier in self.tiers)}
        edges |= {self.threshold} if self.threshold is not None else set()
        edges |= {EXACT.multiply(each.starts_at, quota) for each in self.accelerators}
        edges |= {EXACT.multiply(each.ends_at, quota) for each in self.decelerators}
        starts = sorted(edges)
        ends = [*starts[1:], None]
        return tuple(map(self._band, starts, ends))

    def _band(self, start: Decimal, end: Decimal | None) -> Band:
        if self.threshold is not None and start < self.threshold:
            return Band(start, end, -1, Decimal(0), WHOLE)
        tier = sum(tier.starts_at <= start for tier in self.tiers)
        rate = self.tiers[tier - 1].rate if tier else self.rate
        return Band(start, end, tier, rate, self._factor(start))

    def _factor(self, accrued: Decimal) -> Decimal:
        quota = self.quota or Decimal(0)
        for fast in reversed(self.accelerators):
            if EXACT.multiply(fast.starts_at, quota) <= accrued:
                return fast.factor
        for slow in self.decelerators:
            if accrued < EXACT.multiply(slow.ends_at, quota):
                return slow.factor
        return WHOLE


def _ascends(numbers: Iterable[Decimal]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


class PlanVersion(Value):
    """One immutable version of an incentive plan, and whom it is for."""

    key: Key
    version: VersionNumber = 1
    name_en: SafeName
    name_zh: SafeName
    currency: GivenCurrency
    """The currency of its amounts, and the one it pays in."""
    period: PlanPeriod = "month"
    """How often it is settled, by the fiscal calendar."""
    starts: Day
    """The first day on which sales are credited under it."""
    continues: Flag = False
    """Whether what accrued under the version before goes on accruing; else a new accrual
    begins on the day it starts."""
    reps: tuple[Reference, ...] = ()
    """Whom it is for, by the ids that deals name as owner; with `teams` left out too, all."""
    teams: tuple[Key, ...] = ()
    """Whose reps it is for: those who were in one of these teams when they sold."""
    terms: PlanTerms

    def is_for(self, rep: str, team: str | None) -> bool:
        """Return whether it is for a rep who sold in a team."""
        if not self.reps and not self.teams:
            return True
        return rep in self.reps or (team is not None and team in self.teams)

    def name(self, language: str = "en") -> str:
        """Return its name in English (`en`) or Chinese (`zh`)."""
        return self.name_zh if language == "zh" else self.name_en


class PlanPublished(Fact):
    """A version of an incentive plan became known; it pays from the day it starts on."""

    kind: ClassVar[str] = "plan.published"
    name_zh: ClassVar[str] = "激励方案发布"
    is_opening: ClassVar[bool] = True
    retraction_error: ClassVar[str | None] = (
        "a published plan cannot be retracted, statements may rest on it; supersede it instead"
    )
    plan: PlanVersion
    because: Reason | None = None


class PlanRetired(Fact):
    """A plan pays for nothing that is credited after a day."""

    kind: ClassVar[str] = "plan.retired"
    name_zh: ClassVar[str] = "激励方案停用"
    last_day: Day
    """The last day on which sales are credited under it."""
    because: Reason | None = None


class PlanAcknowledged(Fact):
    """A rep confirmed to have read a version of the plan."""

    kind: ClassVar[str] = "plan.acknowledged"
    name_zh: ClassVar[str] = "激励方案确认"
    rep: Reference
    plan_version: VersionNumber


IncentivePlanFact = PlanPublished | PlanRetired | PlanAcknowledged


class Acknowledgement(NamedTuple):
    """Who confirmed to have read which version."""

    rep: str
    version: int


class IncentivePlanState(OpenedState):
    """The versions of an incentive plan by now."""

    versions: Mapping[int, PlanVersion] = EMPTY
    last_day: date | None = None
    """The last day on which sales are credited; None while it is not retired."""
    acknowledged: Sequence[Acknowledgement] = ()

    @property
    def latest(self) -> PlanVersion:
        """The version published last.

        Raises:
            NotFoundError: where none counts, as where the plan of another key was recorded.
        """
        if not self.versions:
            raise NotFoundError("no version of that plan is published")
        return self.versions[max(self.versions)]

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: IncentivePlanFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return Message("before the plan was published")
        match fact:
            case PlanPublished(plan=plan):
                return self._publish(plan, event)
            case PlanRetired():
                self.last_day = fact.last_day
            case PlanAcknowledged():
                if fact.plan_version not in self.versions:
                    return Message(
                        "version {version} is not published", version=fact.plan_version
                    )
                said = Acknowledgement(fact.rep, fact.plan_version)
                self.acknowledged = appended(self.acknowledged, said)
            case _:
                assert_never(fact)
        return None

    def _publish(self, plan: PlanVersion, event: Event) -> Message | None:
        if plan_id(plan.key) != event.stream_id:
            return Message("it names another plan, {plan}", plan=repr(plan.key))
        if plan.version in self.versions:
            return Message("version {version} was published before", version=plan.version)
        for each in self.versions.values():
            if (each.currency, each.period) != (plan.currency, plan.period):
                return Message("a plan keeps its currency and its period")
        self.versions = with_item(self.versions, plan.version, plan)
        return None

    def in_force(self, day: date) -> PlanVersion | None:
        """Return the version that is in force on a day: the newest of those that started."""
        if self.last_day is not None and day > self.last_day:
            return None
        started = [n for n, version in self.versions.items() if version.starts <= day]
        return self.versions[max(started)] if started else None

    def before(self, version: PlanVersion) -> PlanVersion | None:
        """Return the version that was in force until one started; None for the first."""
        older = [
            n
            for n, each in self.versions.items()
            if n < version.version and each.starts <= version.starts
        ]
        return self.versions[max(older)] if older else None


class IncentivePlan(Aggregate, IncentivePlanState):
    """An incentive plan by its key; `session.get(IncentivePlan, plan_id("ae"))` finds it."""

    noun: ClassVar[str] = "incentive plan"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(IncentivePlanFact)

    @classmethod
    def publish(
        cls,
        key: str,
        *,
        name_en: str,
        name_zh: str,
        currency: str,
        starts: date,
        terms: PlanTerms,
        period: PlanPeriod = "month",
        reps: tuple[str, ...] = (),
        teams: tuple[str, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Publish the first version of a new plan."""
        plan = PlanVersion(
            key=key,
            name_en=name_en,
            name_zh=name_zh,
            currency=currency,
            period=period,
            starts=starts,
            reps=reps,
            teams=teams,
            terms=terms,
        )
        ensure_period(plan.starts, plan.starts)
        _ensure_parts_of_quota(plan.terms)
        _ensure_payable(plan.terms, plan.currency)
        self = cls.new(plan_id(plan.key))
        self._record(PlanPublished(plan=plan), occurred_at)
        return self

    def supersede(
        self,
        *,
        starts: date,
        terms: PlanTerms,
        because: str,
        continues: bool = False,
        reps: tuple[str, ...] | None = None,
        teams: tuple[str, ...] | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Publish the next version, in force from a day on; the terms stand by themselves.

        Whom it is for stays as it is where that is left out. It starts no earlier than the day
        on which it is agreed: what was earned until then stays earned.
        """
        then = self._at(occurred_at)
        before = then.latest
        require_reason(because, "another version of a plan")
        ensure_period(starts, starts)
        _ensure_parts_of_quota(terms)
        _ensure_payable(terms, before.currency)
        then._ensure_followed(starts, terms.accrual if continues else before.terms.accrual)
        version = before.model_copy(
            update={
                "version": self.latest.version + 1,
                "starts": starts,
                "continues": continues,
                "terms": terms,
                "reps": before.reps if reps is None else reps,
                "teams": before.teams if teams is None else teams,
            }
        )
        self._record(PlanPublished(plan=version, because=because), occurred_at)

    def retire(self, *, last_day: date, because: str, occurred_at: OccurredAt = None) -> None:
        """Pay for nothing that is credited after a day."""
        then = self._at(occurred_at)
        require_reason(because, "retiring a plan")
        if then.last_day is not None:
            raise RuleError(f"plan {then.latest.key!r} is retired already, by {then.last_day}")
        ensure_period(last_day, last_day)
        self._record(PlanRetired(last_day=last_day, because=because), occurred_at)

    def acknowledge(
        self, rep: str, *, version: int | None = None, occurred_at: OccurredAt = None
    ) -> None:
        """Note that a rep has read a version: the latest, where none is named."""
        then = self._at(occurred_at)
        number = then.latest.version if version is None else version
        if number not in then.versions:
            raise RuleError(
                f"version {number} of plan {then.latest.key!r} is not published by then"
            )
        rep, plan = trimmed(rep), then.versions[number]
        if plan.reps and not plan.teams and rep not in plan.reps:
            raise RuleError(f"plan {plan.key!r} is not for {quoted(rep)}")
        if Acknowledgement(rep, number) in then.acknowledged:
            raise RuleError(
                f"{quoted(rep)} has acknowledged version {number} of {plan.key!r} already"
            )
        self._record(PlanAcknowledged(rep=rep, plan_version=number), occurred_at)

    def _ensure_followed(self, starts: date, accrual: Accrual) -> None:
        """Refuse a version that cannot follow the latest."""
        before = self.latest
        if self.last_day is not None:
            raise RuleError(
                f"plan {before.key!r} is retired from {self.last_day + timedelta(days=1)} on;"
                " publish another plan under a key of its own"
            )
        if accrual != before.terms.accrual:
            raise RuleError(
                f"version {before.version} of plan {before.key!r} accrues"
                f" {before.terms.accrual}; one that accrues {accrual} cannot continue it"
            )
        if starts < before.starts:
            raise RuleError(
                f"version {before.version} of plan {before.key!r} starts on {before.starts};"
                f" the next one cannot start before it, on {starts}"
            )

    def _ensure_in_time(self, fact: Fact, at: Instant) -> None:
        """Refuse to change what was earned on days before the change was agreed."""
        if isinstance(fact, PlanRetired):
            starts = fact.last_day
        elif isinstance(fact, PlanPublished) and fact.plan.version > 1:
            starts = fact.plan.starts
        else:
            return
        if not self._context.knows_days:
            return
        agreed = from_instant(at).astimezone(self._context.timezone).date()
        if starts < agreed:
            raise RuleError(
                f"plan {self.latest.key!r} is in use and cannot be changed from {starts} on:"
                f" that lies before {agreed}, the day on which it is agreed. Let it start on"
                " that day or later; where it was agreed earlier, say when by occurred_at"
            )


def _ensure_payable(terms: PlanTerms, currency: str) -> None:
    """Refuse amounts that are paid out and have more digits than money has."""
    paid = {name: getattr(terms, name) for name in ("cap", "draw", "guarantee")}
    paid |= {f"bonus of SPIFF {spiff.key}": spiff.bonus for spiff in terms.spiffs}
    ensure_payable(paid, currency)


def _ensure_parts_of_quota(terms: PlanTerms) -> None:
    """Refuse what was meant as a percentage, and is a hundred times as much.

    Raises:
        InputError: with what the number means, and how the percentage is written.
    """
    edges = [each.starts_at for each in terms.accelerators]
    edges += [each.ends_at for each in terms.decelerators]
    for edge in edges:
        if edge > ATTAINED_MOST:
            raise InputError(
                f"an attainment of {edge:,} is {edge * 100:,} % of the quota: {edge:,} % is"
                f" written {edge / 100}"
            )
    for factor in (each.factor for each in terms.accelerators):
        if factor > ATTAINED_MOST:
            raise InputError(
                f"a factor of {factor:,} multiplies the rate by so much: {factor:,} % is"
                f" written {factor / 100}"
            )


@lru_cache(maxsize=1024)
def plan_id(key: str) -> UUID:
    """Return the stream id of a plan; the same key is the same plan everywhere."""
    return id_of_key(PLANS, key)
