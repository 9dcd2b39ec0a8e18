"""How the simulated house is led: goals, people, incentives, reviews, cases, improvements.

It is a module of its own: it happens once a month or a quarter, and mostly not to a deal. What
a training does to those who completed it is known (`TRAINED_MORE` of `office.py`), so that what
is said of its effect can be held against it.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from salesflow.demo.office import MANAGERS, Office
from salesflow.demo.world import END, REPS, ZONE, DemoRep, Life
from salesflow.domain.alert import Alert
from salesflow.domain.case import Case
from salesflow.domain.contest import Contest, Prize, contest_id
from salesflow.domain.deal import Deal
from salesflow.domain.figures import FIGURES_ID, Figures
from salesflow.domain.goal import Goal, goal_id
from salesflow.domain.improvement import Improvement, improvement_id
from salesflow.domain.incentive_plan import IncentivePlan, PlanTerms, Tier, plan_id
from salesflow.domain.rep import Rep, rep_id
from salesflow.domain.rep_development import CareerStep
from salesflow.domain.review import Review, review_id
from salesflow.domain.statement import Statement, statement_id
from salesflow.domain.team import Team, team_id
from salesflow.domain.training import Training
from salesflow.domain.values import Money
from salesflow.engine.alerts import evaluate_alerts, watched_figure
from salesflow.projections.goals.goal_check import GoalCheck
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.contest_standings import ContestStandings

__all__ = ["TRAINED", "TRAINING", "management_lives"]

LEADER: Final = "head-sales"
PEOPLE: Final = "hr-01"
FINANCE: Final = "fin-01"
TRAINING: Final = "negotiation-2025"
TRAINED: Final = ("south-02", "south-03", "east-02")
"""Who completes the training, and sells better from then on."""
PLAN: Final = "ae"
PRODUCT: Final = "ERP-CORE"
"""Of which goals are set as well, beside those of teams."""
PRODUCT_FROM: Final = 2026
MILLION: Final = Decimal(1_000_000)
TENTH: Final = Decimal(100_000)
QUARTERS: Final = tuple(
    date(year, month, 1) for year in (2025, 2026) for month in (1, 4, 7, 10)
)[:6]


def _day(year: int, month: int, day: int, hour: int = 10) -> datetime:
    """Return an hour of a day of the house."""
    return datetime(year, month, day, hour, tzinfo=ZONE)


def management_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Return what leaders will do, and from when."""
    return [
        (_day(2024, 12, 9), _improve(office)),
        (_day(2025, 1, 7), _pursue_goals(office)),
        (_day(2025, 1, 15, 14), _report_market_share(office)),
        (_day(2025, 1, 20), _lead_teams(office)),
        (_day(2025, 3, 3), _train(office)),
        (_day(2025, 4, 10, 14), _hold_reviews(office)),
        (_day(2025, 5, 12), _publish_cases(office)),
        (_day(2025, 6, 20), _pay_commissions(office)),
        (_day(2026, 1, 8), _watch(office)),
        (_day(2026, 2, 25), _hold_a_contest(office)),
    ]


def _sellers(day: date) -> list[DemoRep]:
    return [rep for rep in REPS if rep.since <= day <= rep.until]


def _after(first: date) -> date:
    """Return the first day of the quarter that follows."""
    month = first.month + 3
    return date(first.year + month // 13, (month - 1) % 12 + 1, 1)


def _name(first: date) -> str:
    return f"{first.year}-q{first.month // 3 + 1}"


def _rounded(amount: Decimal, to: Decimal = MILLION) -> Decimal:
    """Round to whole millions, or tenths of one, as people set goals; at least one."""
    return max(Decimal(1), (amount / to).quantize(Decimal(1), ROUND_HALF_EVEN)) * to


# Goals: a year of the company, quarters of its teams and of one product; locked, checked in
# on, revised.


def _pursue_goals(office: Office) -> Life:
    """Set the goals of each year and quarter as it begins, and check in on them."""
    for first in QUARTERS:
        yield datetime(first.year, first.month, 7, 10, tzinfo=ZONE)
        if first.month == 1:
            _set(office, f"{first.year}-sales", first, date(first.year, 12, 31))
        last = _after(first) - timedelta(days=1)
        for team in MANAGERS:
            _set(office, f"{_name(first)}-{team}", first, last, team)
        if first.year == PRODUCT_FROM:
            _set_of_product(office, f"{_name(first)}-erp-core", first, last)
        yield datetime(first.year, first.month + 1, 10, 9, tzinfo=ZONE)
        yield from _check_in(office, first)


def _set(office: Office, key: str, first: date, last: date, team: str | None = None) -> None:
    """Set a goal a tenth above the best of the quarters before, with what they showed."""
    question = GoalCheck(
        metric="sales", currency="CNY", from_=first, to=last + timedelta(days=1), team=team
    )
    with office.apart():
        past = office.flow.ask(question)
    known = past.evidence.known
    best = max(known) if known else 10 * MILLION
    with office.session(LEADER if team is None else MANAGERS[team]) as session:
        goal = Goal.set(
            key,
            metric="sales",
            target=Money(_rounded(best * Decimal("1.1")), "CNY"),
            first_day=first,
            last_day=last,
            team=team,
            title="销售额 / sales",
            parent=None if team is None else f"{first.year}-sales",
            strategy="做深华东、做大华南 / deepen the east, grow the south",
            responsible=LEADER if team is None else MANAGERS[team],
            why_achievable="新流程减少后期流失 / the new process loses less in late stages",
            check=past,
        )
        session.add(goal)
        goal.lock(by=LEADER, because="已与团队确认 / agreed with the team")


def _set_of_product(office: Office, key: str, first: date, last: date) -> None:
    """Set a goal of one product: half above the least that a quarter before it sold."""
    question = GoalCheck(
        metric="sales",
        currency="CNY",
        from_=first,
        to=last + timedelta(days=1),
        product=PRODUCT,
    )
    with office.apart():
        past = office.flow.ask(question)
    least = min(past.evidence.known, default=MILLION)
    with office.session(LEADER) as session:
        goal = Goal.set(
            key,
            metric="sales",
            target=Money(_rounded(least * Decimal("1.5"), TENTH), "CNY"),
            first_day=first,
            last_day=last,
            product=PRODUCT,
            title="核心套件销售额 / sales of the core suite",
            parent=f"{first.year}-sales",
            strategy="核心套件带动服务 / the core suite brings services along",
            responsible=LEADER,
            why_achievable="此前每季均有销售 / every quarter before had sales",
            check=past,
        )
        session.add(goal)
        goal.lock(by=LEADER, because="已与团队确认 / agreed with the teams")


def _check_in(office: Office, first: date) -> Life:
    chance = office.chance("check-in", first)
    for team, manager in MANAGERS.items():
        sure = Decimal(chance.choice((4, 5, 6, 7, 8))) / 10
        with office.session(manager) as session:
            goal = session.get(Goal, goal_id(f"{_name(first)}-{team}"))
            goal.check_in(confidence=sure, note="大单仍在谈判 / large deals are in negotiation")
    yield datetime(first.year, first.month + 1, 20, 9, tzinfo=ZONE)
    if first == QUARTERS[2]:
        with office.session(LEADER) as session:
            goal = session.get(Goal, goal_id(f"{_name(first)}-south"))
            lowered = goal.target * Decimal("0.9")
            goal.revise(
                target=lowered,
                why_achievable="半数大单已过方案阶段 / half of the large deals are past design",
                by=LEADER,
                because="一人离职 / one rep has left",
            )


def _report_market_share(office: Office) -> Life:
    """Note what a survey says of each quarter that is over."""
    for number, first in enumerate(QUARTERS):
        yield datetime(first.year, first.month, 15, 14, tzinfo=ZONE)
        before = date(first.year - (first.month == 1), (first.month - 4) % 12 + 1, 1)
        with office.session(LEADER) as session:
            session.get(Figures, FIGURES_ID).report(
                "market_share",
                value=Decimal("0.112") + Decimal("0.004") * number,
                unit="share",
                first_day=before,
                last_day=first - timedelta(days=1),
                source="simulated market survey",
            )


# People: who leads, how reps develop, what they learn.


def _lead_teams(office: Office) -> Life:
    """Appoint leads, agree on careers, and assess skills twice a year."""
    for key, manager in MANAGERS.items():
        with office.session(PEOPLE) as session:
            session.get(Team, team_id(key)).appoint_lead(manager)
    for half, day in enumerate((_day(2025, 1, 22), _day(2025, 7, 22), _day(2026, 1, 22))):
        yield day
        for rep in _sellers(day.date()):
            _assess(office, rep, half)
    yield _day(2026, 2, 2)
    with office.session(PEOPLE) as session:
        best = session.get(Rep, rep_id("east-01"))
        best.promote("senior", because="连续四个季度达成 / four good quarters in a row")


def _assess(office: Office, rep: DemoRep, half: int) -> None:
    chance = office.chance("skills", rep.id, half)
    trained = rep.id in TRAINED and half > 0
    with office.session(MANAGERS[rep.team]) as session:
        person = session.get(Rep, rep_id(rep.id))
        for skill in ("communication", "negotiation", "product_knowledge"):
            learnt = trained and skill == "negotiation"
            score = round(
                min(5.0, max(1.0, rep.skill * 3 + learnt + chance.uniform(-0.5, 0.5)))
            )
            person.assess_skill(
                skill,
                score,
                evidence="陪同拜访 / joint visits",
                assessed_by=MANAGERS[rep.team],
            )
        if half == 0:
            person.promote("account_executive", because="入职级别 / level at entry")
            person.agree_career_plan((CareerStep(level="senior", due=date(2026, 6, 30)),))


def _train(office: Office) -> Life:
    """Offer a training, assign it to some, and let them sell better once they completed it."""
    with office.session(PEOPLE) as session:
        session.add(
            Training.offer(
                TRAINING,
                name_en="Negotiation",
                name_zh="谈判技巧",
                skills=("negotiation",),
                metric="win_rate",
            )
        )
    yield _day(2025, 3, 10)
    for id in TRAINED:
        with office.session(MANAGERS["east" if id.startswith("east") else "south"]) as session:
            session.get(Rep, rep_id(id)).assign_training(
                TRAINING, due=date(2025, 6, 30), because="谈判阶段流失多 / loses in negotiation"
            )
    yield _day(2025, 6, 12, 17)
    for id in TRAINED:
        with office.session(PEOPLE) as session:
            session.get(Rep, rep_id(id)).complete_training(TRAINING, score=86, score_most=100)
        office.trained.add(id)


# Incentives: a plan, its statements, a dispute, a contest, an award.


def _terms(rate: str) -> PlanTerms:
    return PlanTerms(
        rate=Decimal(rate),
        tiers=(
            Tier(starts_at=Decimal(2) * MILLION, rate=Decimal("0.05")),
            Tier(starts_at=Decimal(5) * MILLION, rate=Decimal("0.07")),
        ),
        clawback_days=90,
    )


def _pay_commissions(office: Office) -> Life:
    """Publish a plan, let it be acknowledged, and issue statements quarter by quarter."""
    with office.session(LEADER) as session:
        session.add(
            IncentivePlan.publish(
                PLAN,
                name_en="Account executives",
                name_zh="客户经理激励方案",
                currency="CNY",
                period="quarter",
                starts=date(2025, 7, 1),
                terms=_terms("0.03"),
                reps=tuple(rep.id for rep in _sellers(date(2025, 7, 1))),
            )
        )
    yield from _acknowledge(office)
    for first in QUARTERS[2:5]:
        ended = _after(first)
        if ended == date(2026, 1, 1):
            _supersede(office)
        yield datetime(ended.year, ended.month, 12, 10, tzinfo=ZONE)
        for rep in _sellers(first):
            _issue(office, rep, first, ended)
        yield datetime(ended.year, ended.month, 16, 10, tzinfo=ZONE)
        if first == QUARTERS[2]:
            yield from _dispute(office, first)


def _acknowledge(office: Office) -> Life:
    yield office.clock.now.astimezone(ZONE) + timedelta(days=3)
    for rep in _sellers(office.clock.now.astimezone(ZONE).date()):
        with office.session(rep.id) as session:
            session.get(IncentivePlan, plan_id(PLAN)).acknowledge(rep.id)


def _supersede(office: Office) -> None:
    with office.session(LEADER) as session:
        session.get(IncentivePlan, plan_id(PLAN)).supersede(
            starts=date(2026, 1, 1),
            terms=_terms("0.035"),
            because="新年度方案 / the plan of the new year",
        )


def _issue(office: Office, rep: DemoRep, first: date, ended: date) -> None:
    question = CommissionStatement(rep=rep.id, plan=PLAN, from_=first, to=ended)
    with office.apart():
        view = office.flow.ask(question)
    with office.session(FINANCE) as session:
        session.add(Statement.issue(view.figures()))


def _dispute(office: Office, first: date) -> Life:
    """Let a rep doubt a line, and agree on a part of it."""
    rep = "east-01"
    id = statement_id(PLAN, rep, first)
    with office.session(rep) as session:
        statement = session.get(Statement, id)
        if statement.figures is None or not statement.figures.lines:
            return
        statement.dispute(1, because="联合销售比例有误 / the split is not what we agreed")
    yield office.clock.now.astimezone(ZONE) + timedelta(days=4)
    with office.session(LEADER) as session:
        session.get(Statement, id).answer_dispute(
            1, outcome="accepted", amount="1200", because="按约定补差 / the agreed difference"
        )


def _hold_a_contest(office: Office) -> Life:
    """Open a contest of a spring, decide it, and honour who won."""
    with office.session(LEADER) as session:
        session.add(
            Contest.open(
                "spring-2026",
                name_en="Spring orders",
                name_zh="春季订单赛",
                metric="orders",
                first_day=date(2026, 3, 1),
                last_day=date(2026, 5, 31),
                prizes=(Prize(rank=1, prize="标杆客户参访 / visit to a reference customer"),),
            )
        )
    yield _day(2026, 6, 3)
    with office.apart():
        view = office.flow.ask(ContestStandings(contest="spring-2026"))
    results = view.results()
    with office.session(LEADER) as session:
        session.get(Contest, contest_id("spring-2026")).decide(results)
    winners = [each.participant for each in results.ranks if each.rank == 1]
    for winner in winners:
        with office.session(PEOPLE) as session:
            session.get(Rep, rep_id(winner)).grant_award(
                "春季之星 / star of the spring",
                because="订单最多 / most orders",
                contest="spring-2026",
            )


# Reviews, cases, an improvement, an alert.


def _hold_reviews(office: Office) -> Life:
    """Review each quarter of 2025, and follow up on what was agreed."""
    before: str | None = None
    for first in QUARTERS[:5]:
        ended = _after(first)
        yield datetime(ended.year, ended.month, 10, 14, tzinfo=ZONE)
        key = f"review-{_name(first)}"
        _open_review(office, key, first, ended, before)
        yield datetime(ended.year, ended.month + 1, 10, 16, tzinfo=ZONE)
        with office.session(LEADER) as session:
            review = session.get(Review, review_id(key))
            for number, action in enumerate(review.open_actions):
                if number % 3 == 2:
                    review.carry_over_action(
                        action.action, because="等新版报价 / waits for quotes"
                    )
                else:
                    review.complete_action(action.action, result="已落实 / done")
            review.close_review(summary="谈判阶段仍是瓶颈 / negotiation is still where we lose")
        before = key


def _open_review(
    office: Office, key: str, first: date, ended: date, before: str | None
) -> None:
    with office.session(LEADER) as session:
        follows = None if before is None else session.get(Review, review_id(before))
        review = session.add(Review.open(key, from_=first, to=ended, follows=follows))
        review.record_finding("谈判阶段流失最多 / most is lost there", figure="win_rate")
        review.record_finding("首次响应变快 / we answer sooner", figure="first_response_days")
        due = ended + timedelta(days=30)
        for action, text, owner in (
            ("discounts", "梳理折扣权限 / settle who may give discounts", MANAGERS["east"]),
            ("references", "准备同行案例 / prepare reference cases", MANAGERS["south"]),
            ("quotes", "报价两日内发出 / send quotes within two days", MANAGERS["east"]),
        ):
            review.agree_action(f"{action}-{_name(first)}", text=text, owner=owner, due=due)


FACTORS: Final[Sequence[tuple[str, str]]] = (
    ("同行参访 / reference visit", "helped"),
    ("过早谈价 / price too early", "hindered"),
)


def _publish_cases(office: Office) -> Life:
    """Publish a won deal and a lost one every few months, with what is learnt of them."""
    for number, day in enumerate((_day(2025, 5, 12), _day(2025, 9, 15), _day(2026, 3, 16))):
        yield day
        for won in (True, False):
            deal = _worth_telling(office, number, won=won)
            if deal is not None:
                _publish_case(
                    office, f"case-{number + 1}-{'won' if won else 'lost'}", deal, won
                )


def _worth_telling(office: Office, number: int, *, won: bool) -> Deal | None:
    """Choose a deal that stands closed so."""
    wanted = "won" if won else "lost"
    lives = office.lives[-250 + 10 * number :]
    for life in lives:
        with office.session(LEADER) as session:
            deal = session.get(Deal, life.id)
            if deal.outcome == wanted and deal.merged_into is None and len(deal.history) > 12:
                return deal
    return None


def _publish_case(office: Office, key: str, deal: Deal, won: bool) -> None:
    factor, tendency = FACTORS[not won]
    with office.session(LEADER) as session:
        case = session.add(
            Case.publish(
                key,
                deal=deal.id,
                title=deal.title,
                summary="值得学习 / worth learning from",
                audience=("account_executive",),
            )
        )
        case.note_factor(factor, tendency="helped" if tendency == "helped" else "hindered")
        case.note_lesson("先谈价值再谈价格 / value before price")
        case.link(TRAINING)


def _improve(office: Office) -> Life:
    """Try the trial stage: proposed before it is introduced, concluded a year later."""
    with office.session(LEADER) as session:
        session.add(
            Improvement.propose(
                "trial-stage",
                hypothesis="试用后再谈判，流失更少 / after a trial fewer are lost",
                change="process",
                metric="win_rate",
                expected_effect="0.05",
                process="standard",
                process_version=2,
            )
        )
    yield _day(2025, 1, 6, 11)
    with office.session(LEADER) as session:
        session.get(Improvement, improvement_id("trial-stage")).start()
    yield _day(2026, 1, 12)
    with office.session(LEADER) as session:
        session.get(Improvement, improvement_id("trial-stage")).conclude(
            "adopted", because="后期流失减少 / fewer are lost late"
        )


def _watch(office: Office) -> Life:
    """Watch how many deals need attention, once a month."""
    with office.apart():
        watched = watched_figure(office.flow, "deal-health", "open_deals")
    with office.session(LEADER) as session:
        session.add(
            Alert.define(
                "many-open-deals",
                watched=watched,
                condition="rose_by",
                threshold="20",
                days=30,
                notify=(LEADER,),
            )
        )
    month = _day(2026, 2, 2, 8)
    while month < END:
        yield month
        with office.apart():
            evaluate_alerts(office.flow, only="many-open-deals")
        month = (month.replace(day=1) + timedelta(days=32)).replace(day=2)
