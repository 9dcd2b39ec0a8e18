"""Commission statements: what a plan pays a rep for a period, line by line.

Answers "what am I paid, for which sale, at which rate, and why is it not what I was told?" for
any past moment. Every line names the booking, invoice or payment that it rests on, its tier
and its rate. A statement that was issued is shown as it was, beside what is known by now; what
differs is told with its cause. Leaves out payroll: taxes, and when money is wired.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple
from uuid import UUID

from salesflow.domain.calendar import Days
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft, OwnerAssigned
from salesflow.domain.incentive_plan import Acknowledgement, PlanVersion
from salesflow.domain.statement import (
    DifferenceLine,
    StatementFigures,
    StatementLine,
)
from salesflow.domain.time import ONE_DAY, Instant, Moment, end_of_day, from_instant
from salesflow.domain.values import Day, Key, Reference, tidy
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.core.question import PeriodQuestion, Reader
from salesflow.projections.core.replaying import believed
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.statement import STATEMENT
from salesflow.projections.incentives.commission_book import (
    AccrualKey,
    CommissionBook,
    EarnedLine,
    NotCredited,
)
from salesflow.projections.incentives.commission_reading import (
    COMMISSION_FOLDS,
    PlanSchedule,
    SalesOnRecord,
    plan_named,
    read_plans,
)
from salesflow.projections.incentives.difference_causes import PlanInputs
from salesflow.projections.incentives.due_shown import due_shown
from salesflow.projections.incentives.exchange_shown import exchanges_shown
from salesflow.projections.incentives.issued_statements import (
    Difference,
    IssuedStatement,
    PaidByNow,
    agreed_differences,
    differences,
    read_issued,
)
from salesflow.projections.incentives.reconciliation import (
    AGREED,
    StatementReconciliation,
    reconciled,
)
from salesflow.projections.incentives.rep_plan import RepPlan, SalesAndPlan
from salesflow.projections.incentives.settlement import (
    Settlement,
    settle,
)
from salesflow.projections.incentives.statement_view import (
    AccrualReached,
    CommissionDifference,
    CommissionLine,
    CommissionStatementView,
    CommissionTotals,
    DisputeShown,
    NotCreditedShown,
    StatementAsIssued,
    VersionInForce,
    parts_shown,
)
from salesflow.projections.known_names import unmet_by
from salesflow.projections.scope import Teams

__all__ = ["CommissionStatement"]

NOTHING: Final = Decimal(0)
OF_PEOPLE: Final = (CollaboratorJoined, CollaboratorLeft, OwnerAssigned)


class CommissionStatement(PeriodQuestion[CommissionStatementView]):
    """What does a plan pay a rep for a period, and for which sales?"""

    name: ClassVar[str] = "commission-statement"
    folds: ClassVar[tuple[str, ...]] = (*COMMISSION_FOLDS, STATEMENT.name, DEAL_STATE.name)
    from_: Day | None = None
    """The first day of the period. Default: of the plan's month, quarter or year in which the
    moment lies."""
    to: Day | None = None
    """The first day after the period, which is one of the plan's."""
    rep: Reference
    """Whose statement, by the id that deals name as owner."""
    plan: Key | None = None
    """By which plan (its key). Default: the one plan that is for the rep."""

    def answer(self, reader: Reader, moment: Moment) -> CommissionStatementView:
        """Figure all that the plan ever paid the rep, and give the period.

        Raises:
            NotFoundError: when there is no such plan, or none for the rep, by the moment.
            InputError: when several plans are for the rep and none is named, or what is asked
                about is not one period of the plan.
        """
        schedule = self._schedule(reader)
        period = self._period(schedule, reader)
        sales = SalesOnRecord(reader, self.rep, [schedule])
        return _StatementMaker(reader, schedule, self.rep, sales, period).view(moment, period)

    def _schedule(self, reader: Reader) -> PlanSchedule:
        plans = read_plans(reader)
        if self.plan is not None:
            return plan_named(plans, self.plan)
        teams = {stay.team for stay in Teams.read(reader).stays(self.rep)} or {None}
        his = [
            plan
            for plan in plans.values()
            if any(
                version.is_for(self.rep, team)
                for version in plan.plan.versions.values()
                for team in teams
            )
        ]
        if not his:
            there = f"there are {', '.join(plans)}" if plans else "none is published"
            said = f"no plan is for {quoted(self.rep)} by then; {there}"
            never = [f"{unmet.sentence()}; " for unmet in unmet_by(self, reader)]
            raise NotFoundError("".join((*never, said)))
        if len(his) > 1:
            names = ", ".join(plan.key for plan in his)
            raise InputError(f"several plans are for {quoted(self.rep)}; name one: {names}")
        return his[0]

    def _period(self, schedule: PlanSchedule, reader: Reader) -> Days:
        """Return the period of the plan that is asked about; the moment's by default."""
        if self.from_ is None and self.to is None:
            return schedule.period(self.day(reader))
        first, after = self.from_, self.to
        last = None if after is None else after - ONE_DAY
        anchor = first or last
        assert anchor is not None, "one of both is named"
        period = schedule.period(anchor)
        if (first or period.first) != period.first or (last or period.last) != period.last:
            raise InputError(
                f"plan {schedule.key} is settled by the {schedule.latest.period}; ask for one,"
                f" such as that from {period.first} to {period.last}, both days included"
            )
        return period


class _Period(NamedTuple):
    """What a period comes to."""

    lines: tuple[CommissionLine, ...]
    differences: tuple[CommissionDifference, ...]
    totals: CommissionTotals


class _StatementMaker:
    """Figures the statements of one plan and rep."""

    def __init__(
        self,
        reader: Reader,
        schedule: PlanSchedule,
        rep: str,
        sales: SalesOnRecord,
        period: Days,
    ) -> None:
        self._reader = reader
        self._plan = schedule
        self._rep = rep
        self._sales = sales.all.sales
        self._book = CommissionBook(rep, schedule, self._sales)
        changes = sales.all.changes
        by_then = [each for each in changes if schedule.day(each.at) <= period.last]
        later = [each for each in changes if schedule.day(each.at) > period.last]
        self._lines = self._book.lines(by_then)
        self._accrued = self._book.accrued()
        """What has accrued by the end of the period."""
        self._lines += self._book.lines(later)
        self._issued = read_issued(reader, schedule.key, rep)
        self._mine = RepPlan(reader, schedule, rep, sales.teams)
        self._without = SalesAndPlan(reader, schedule, rep, sales)

    def view(self, moment: Moment, period: Days) -> CommissionStatementView:
        """Return the statement of a period."""
        issued = next((i for i in self._issued if i.figures.first_day == period.first), None)
        since = () if issued is None else self._since(issued)
        found, latest = self._figured(period, issued, since), self._plan.latest
        return CommissionStatementView(
            moment=moment,
            plan=latest.key,
            plan_en=latest.name_en,
            plan_zh=latest.name_zh,
            plan_starts=self._plan.first_day,
            rep=self._rep,
            currency=latest.currency,
            first_day=period.first,
            last_day=period.last,
            to_date=self._reader.read_point.as_of
            < end_of_day(period.last, self._reader.timezone),
            versions=tuple(self._versions(period)),
            lines=found.lines,
            differences=found.differences,
            totals=found.totals,
            due=tuple(due_shown(period, self._mine.version_for)),
            accruals=tuple(self._accruals(period)),
            not_credited=tuple(self._not_credited(period)),
            issued=None if issued is None else _as_issued(issued),
            since_issued=since,
            reconciliation=None if issued is None else _reconciled(issued, found, since),
            disputes=() if issued is None else tuple(_disputes(issued)),
            people_changed=tuple(self._people_changed(period)),
        )

    def _figured(
        self,
        period: Days,
        issued: IssuedStatement | None,
        since: Iterable[CommissionDifference],
    ) -> _Period:
        """Work out what a period comes to as known now, with what was agreed since."""
        mine = self._of(period)
        lines = tuple(_line(number, each) for number, each in enumerate(mine, 1))
        if issued is not None:
            more = tuple(_paid_difference(each) for each in issued.figures.differences)
            balance = self._balance_before(issued.figures)
        else:
            numbered = enumerate(self._unpaid(period), len(lines) + 1)
            more = tuple(_difference(number, each) for number, each in numbered)
            balance = self._draw_balance(period)
        from_more = sum((each.commission for each in more), NOTHING)
        earned = self._mine.earned(mine)._replace(in_difference=from_more)
        settled = settle(earned, self._mine.due(period), balance)
        agreed = sum((each.commission for each in since if each.reason in AGREED), NOTHING)
        return _Period(lines, more, _totals(earned.from_sales, from_more, settled, agreed))

    def _people_changed(self, period: Days) -> Iterator[UUID]:
        """Yield the deals of lines whose owner or shares changed after they were sold."""
        sold: dict[UUID, Instant] = {}
        for line in self._of(period):
            sales = [key.at for key in self._sales if key.deal == line.deal]
            sold[line.deal] = max((at for at in sales if at <= line.at), default=line.at)
        for deal, events in self._reader.streams(sold).items():
            for event in believed(events, self._reader):
                if isinstance(event.fact, OF_PEOPLE) and event.effective > sold[deal]:
                    yield deal
                    break

    def _of(self, period: Days) -> list[EarnedLine]:
        return self._mine.of(self._lines, period)

    def _unpaid(self, period: Days) -> list[Difference]:
        """Return what earlier statements would say otherwise, and none has paid.

        The next one that is issued pays it, however many periods later that is.
        """
        earlier = [each for each in self._issued if each.figures.first_day < period.first]
        found = [each for statement in earlier for each in self._differences(statement)]
        return [*found, *agreed_differences(self._issued, period.first)]

    def _differences(self, statement: IssuedStatement) -> list[Difference]:
        figures = statement.figures
        period = Days(figures.first_day, figures.last_day)
        lines = self._of(period)
        paid = PaidByNow(
            lines=lines,
            guaranteed=self._mine.guaranteed(lines, period),
            inputs=PlanInputs.of(self._plan.plan.versions.values()),
            without=self._without,
        )
        return differences(self._reader, statement, self._issued, paid)

    def _since(self, issued: IssuedStatement) -> tuple[CommissionDifference, ...]:
        """Return what an issued statement would say otherwise, whether it is paid or not."""
        paid = [
            _paid_difference(line, other.figures.first_day)
            for other in self._issued
            for line in other.figures.differences
            if line.first_day == issued.figures.first_day
        ]
        unpaid = self._differences(issued)
        after = self._plan.period(issued.figures.last_day + ONE_DAY).first
        agreed = [
            each
            for each in agreed_differences(self._issued, after)
            if each.first_day == issued.figures.first_day
        ]
        found = [*paid, *(_difference(0, each) for each in (*unpaid, *agreed))]
        return tuple(
            each.model_copy(update={"line": number}) for number, each in enumerate(found, 1)
        )

    def _draw_balance(self, period: Days) -> Decimal:
        """Return what is to be recovered before a period: what statements advanced until then.

        For periods without one it is what theirs would, of their sales alone: what is unpaid of
        others is settled with the next one that is issued. They may be issued later, in any
        order.
        """
        earlier = [i.figures for i in self._issued if i.figures.first_day < period.first]
        balance = self._balance_before(earlier[0]) if earlier else NOTHING
        day = earlier[0].first_day if earlier else self._plan.first_day
        has_draws = any(v.terms.draw for v in self._plan.plan.versions.values())
        while day < period.first:
            issued = next((e for e in earlier if e.first_day <= day <= e.last_day), None)
            here = self._plan.period(day)
            if issued is not None:
                balance += issued.advanced - issued.recovered
                here = Days(issued.first_day, issued.last_day)
            elif has_draws:
                earned = self._mine.earned(self._of(here))
                balance = settle(earned, self._mine.due(here), balance).draw_balance
            day = here.last + ONE_DAY
        return balance

    def _balance_before(self, figures: StatementFigures) -> Decimal:
        return figures.draw_balance - figures.advanced + figures.recovered

    def _versions(self, period: Days) -> list[VersionInForce]:
        plan, found, mine = self._plan.plan, {}, set()
        for number in range((period.last - period.first).days + 1):
            day = period.first + number * ONE_DAY
            version = plan.in_force(day)
            if version is not None:
                found[version.version] = version
                if self._mine.version_for(day) is not None:
                    mine.add(version.version)
        return [
            VersionInForce(
                plan_version=version.version,
                starts=version.starts,
                acknowledged=Acknowledgement(self._rep, version.version) in plan.acknowledged,
                is_for_rep=version.version in mine,
            )
            for version in found.values()
        ]

    def _accruals(self, period: Days) -> list[AccrualReached]:
        """Return the accruals that something was credited to in the period, as they stand."""
        versions = self._plan.plan.versions
        found = []
        for key, accrued in sorted(self._accrued.items(), key=lambda item: item[0].first_day):
            version = self._plan.plan.in_force(period.last) or versions[key.version]
            if self._plan.accrual(version, period.last) == key or key.first_day >= period.first:
                found.append(_reached(key, accrued, self._version_of(key, period)))
        return found

    def _version_of(self, key: AccrualKey, period: Days) -> PlanVersion:
        """Return the newest version that pays for an accrual by the end of a period."""
        version = self._plan.plan.in_force(period.last)
        if version is not None and self._plan.accrual(version, period.last) == key:
            return version
        return self._plan.plan.versions[key.version]

    def _not_credited(self, period: Days) -> list[NotCreditedShown]:
        days = self._plan.day
        found = [
            n for n in self._book.not_credited if period.first <= days(n.at) <= period.last
        ]
        return [_not_credited(number, each) for number, each in enumerate(found, 1)]


def _totals(
    from_sales: Decimal, from_more: Decimal, settled: Settlement, agreed: Decimal = NOTHING
) -> CommissionTotals:
    settled = settled._replace(payable=settled.payable + agreed)
    figures = {name: tidy(amount) for name, amount in settled._asdict().items()}
    return CommissionTotals(
        from_sales=tidy(from_sales),
        from_differences=tidy(from_more),
        agreed=tidy(agreed),
        **figures,
    )


def _reconciled(
    issued: IssuedStatement, now: _Period, since: Iterable[CommissionDifference]
) -> StatementReconciliation:
    """Return how what differs leads to what is payable as known now."""
    then, totals = issued.figures, now.totals
    draw = totals.advanced - totals.recovered - (then.advanced - then.recovered)
    differing = [(each.reason, each.commission) for each in since]
    return reconciled(then.payable, differing, draw)


def _reached(key: AccrualKey, accrued: Decimal, version: PlanVersion) -> AccrualReached:
    bands = version.terms.bands
    here = max(i for i, band in enumerate(bands) if band.starts_at <= max(accrued, NOTHING))
    band = bands[here]
    return AccrualReached(
        first_day=key.first_day,
        accrued=tidy(accrued),
        tier=None if band.tier < 0 else band.tier,
        rate=band.rate,
        factor=band.factor,
        next_starts_at=band.ends_at,
    )


def _line(number: int, line: EarnedLine) -> CommissionLine:
    return CommissionLine(
        line=number,
        occurred_at=from_instant(line.at),
        deal=line.deal,
        event_id=line.event_id,
        event=line.kind,
        plan_version=line.version,
        share=tidy(line.share),
        credited=line.base,
        exchanges=exchanges_shown(line.exchanges),
        parts=parts_shown(line.parts),
        commission=line.amount,
    )


def _told_line(line: StatementLine) -> CommissionLine:
    return CommissionLine(
        line=line.line,
        occurred_at=line.occurred_at,
        deal=line.deal,
        event_id=line.event_id,
        event=line.kind,
        plan_version=line.plan_version,
        share=line.share,
        credited=line.base,
        exchanges=exchanges_shown(line.exchanges),
        parts=parts_shown(line.parts),
        commission=line.amount,
    )


def _difference(number: int, found: Difference) -> CommissionDifference:
    return CommissionDifference(
        line=number,
        first_day=found.first_day,
        deal=found.deal,
        event_id=found.event_id,
        reason=found.reason,
        causes=found.causes,
        settled_in=None,
        commission=tidy(found.amount),
    )


def _paid_difference(
    line: DifferenceLine, settled_in: date | None = None
) -> CommissionDifference:
    return CommissionDifference(
        line=line.line,
        first_day=line.first_day,
        deal=line.deal,
        event_id=line.event_id,
        reason=line.reason,
        causes=line.causes,
        settled_in=settled_in,
        commission=line.amount,
    )


def _as_issued(issued: IssuedStatement) -> StatementAsIssued:
    figures = issued.figures
    lines = tuple(map(_told_line, figures.lines))
    from_sales = sum((line.commission for line in lines), NOTHING)
    settled = Settlement(
        earned=figures.earned,
        guaranteed=figures.guaranteed,
        advanced=figures.advanced,
        recovered=figures.recovered,
        payable=figures.payable,
        draw_balance=figures.draw_balance,
    )
    return StatementAsIssued(
        event_id=issued.event_id,
        issued_at=issued.issued_at,
        figures_as_of=figures.as_of,
        figures_known_at=figures.known_at,
        totals=_totals(from_sales, figures.earned - from_sales, settled),
        lines=lines,
    )


def _disputes(issued: IssuedStatement) -> Iterable[DisputeShown]:
    """Yield every dispute of every line in order, whatever became of it."""
    times: dict[int, int] = {}
    for dispute in sorted(issued.state.all_disputes, key=lambda each: each.line):
        times[dispute.line] = times.get(dispute.line, 0) + 1
        yield DisputeShown(
            line=dispute.line,
            time=times[dispute.line],
            missing_deal=dispute.deal,
            objection=dispute.because,
            outcome=dispute.outcome,
            answer=dispute.answer,
            agreed=dispute.amount,
        )


def _not_credited(number: int, found: NotCredited) -> NotCreditedShown:
    return NotCreditedShown(
        number=number,
        occurred_at=from_instant(found.at),
        deal=found.deal,
        event_id=found.event_id,
        event=found.kind,
        amount=None if found.amount is None else tidy(found.amount),
        currency=found.currency,
        reason=found.reason,
    )
