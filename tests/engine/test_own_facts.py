"""A fact of another package is taken when it is handed in, and then is like any other."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest

from databases import plain_connection
from questions.needed import BEGINS, OPEN_DEAL, tell_what_is_needed
from salesflow import (
    STANDARD,
    Alert,
    Alerts,
    Case,
    CaseLibrary,
    CommissionEstimate,
    CommissionStatement,
    ContestStandings,
    Deal,
    ExternalEvent,
    Goal,
    GoalAttainment,
    ImprovementEffect,
    Rep,
    RepCard,
    Retrospective,
    Review,
    SalesFlow,
    Statement,
    Team,
)
from salesflow.domain.alert import WatchedFigure, alert_id
from salesflow.domain.case import case_id
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.contest import contest_id
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact, FactRetracted
from salesflow.domain.figures import FIGURES_ID
from salesflow.domain.goal import goal_id
from salesflow.domain.improvement import improvement_id
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.process import process_id
from salesflow.domain.rep import rep_id
from salesflow.domain.review import review_id
from salesflow.domain.statement import statement_id
from salesflow.domain.team import team_id
from salesflow.domain.training import training_id
from salesflow.domain.values import Reference, SafeText
from salesflow.errors import HistoryError, InputError
from salesflow.projections.core.question import Question, View
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.funnel import Funnel


class DemoGiven(Fact):
    """The product was shown."""

    kind: ClassVar[str] = "acme.demo_given"
    name_zh: ClassVar[str] = "演示"
    product: Reference


class VisitPlanned(Fact):
    """Somebody is to visit."""

    kind: ClassVar[str] = "acme.visit_planned"
    name_zh: ClassVar[str] = "计划拜访"
    is_opening: ClassVar[bool] = True


class Weighed(Fact):
    """Something whose fields JSON does not keep."""

    kind: ClassVar[str] = "acme.weighed"
    name_zh: ClassVar[str] = "称重"
    grams: float | None
    things: Any = None


class Louder(DealOpened):
    """An opening of one's own under the kind of the built-in one."""

    volume: SafeText = "loud"


OWN: list[type[Fact]] = [DemoGiven, VisitPlanned, Weighed]


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url, facts=OWN) as opened:
        yield opened


def deal_of(flow: SalesFlow) -> UUID:
    with flow.session(actor="ann") as s:
        return s.add(Deal.open(STANDARD, title="ERP", owner="ann")).id


def test_a_fact_that_was_handed_in_is_recorded_read_shown_and_retracted(
    flow: SalesFlow, database_url: str
) -> None:
    deal = deal_of(flow)
    flow.record([ExternalEvent(deal, DemoGiven(product="演示版"))])
    demo = flow.history(deal)[-1]
    assert demo.fact == DemoGiven(product="演示版")
    assert flow.get(Deal, deal).history[-1] == demo
    timeline = flow.ask(DealTimeline(deal=deal))
    assert timeline.facts[-1].kind == "acme.demo_given"
    assert "演示" in timeline.table("zh")
    assert flow.ask(Funnel()).open_deals == 1
    assert flow.rebuild()["deal_state"] == 1
    with flow.session() as s:
        s.retract(demo.event_id, because="another customer")
    assert [event.fact.kind for event in flow.get(Deal, deal).history] == ["deal.opened"]
    view = "SELECT kind FROM salesflow_event_view WHERE tenant = ? ORDER BY position"
    kinds = [kind for (kind,) in flow.log.database.rows(view, ("main",))]
    assert kinds[-3:] == ["deal.opened", "acme.demo_given", "fact.retracted"]
    with SalesFlow(database_url, facts=[DemoGiven]) as again:
        assert again.history(deal)[1].fact == demo.fact


def test_a_fact_that_was_not_handed_in_is_not_recorded(database_url: str) -> None:
    class Bold(Deal):
        def show(self) -> None:
            self._record(DemoGiven(product="MES"), None)

    with SalesFlow(database_url) as flow:
        deal = deal_of(flow)
        head = flow.log.head()
        louder = Louder(process="standard", process_version=1, stage="prospecting")
        with pytest.raises(InputError, match=r"'acme.demo_given' was handed in.*facts="):
            flow.record([ExternalEvent(deal, DemoGiven(product="MES"))])
        with pytest.raises(InputError, match=r"'acme.demo_given' was handed in"):
            flow.run(lambda s: s.get(Bold, deal).show())
        with pytest.raises(InputError, match="which is the kind of DealOpened"):
            flow.record([ExternalEvent(uuid4(), louder)])
        assert flow.log.head() == head
        assert flow.ask(Funnel()).open_deals == 1


def test_a_database_with_facts_of_ones_own_opened_without_them_says_what_to_hand_in(
    flow: SalesFlow, database_url: str
) -> None:
    deal = deal_of(flow)
    flow.record([ExternalEvent(deal, DemoGiven(product="MES"))])
    with SalesFlow(database_url) as poorer, pytest.raises(HistoryError) as caught:
        poorer.get(Deal, deal)
    assert "acme.demo_given" in str(caught.value)
    assert "SalesFlow(url, facts=[…])" in str(caught.value)


OF_MANAGEMENT: list[Question[View]] = [
    GoalAttainment(goal="q1"),
    RepCard(rep="ann", from_=date(2026, 1, 1), to=date(2026, 4, 1)),
    Retrospective(review="q1"),
    CaseLibrary(),
    ImprovementEffect(improvement="trial"),
    Alerts(alert="won"),
    CommissionStatement(rep="ann", from_=date(2026, 1, 1), to=date(2026, 4, 1)),
    ContestStandings(contest="spring"),
    CommissionEstimate(deal=OPEN_DEAL),
]


def manage(flow: SalesFlow) -> list[UUID]:
    """Let there be one of each kind of thing; return their streams."""
    tell_what_is_needed(flow)
    days: dict[str, Any] = {"first_day": date(2026, 1, 1), "last_day": date(2026, 3, 31)}
    with flow.session(actor="eva") as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=BEGINS))
        deal.win(occurred_at=BEGINS)
        s.add(Team.form("east", name_en="East", name_zh="东", occurred_at=BEGINS))
        s.add(Rep.join("ann", team="east", name="Ann", occurred_at=BEGINS))
        why: dict[str, Any] = {
            "strategy": "grow",
            "why_achievable": "two hires",
            "occurred_at": BEGINS,
        }
        s.add(Goal.set("q1", metric="won", target=5, **days, **why))
        s.add(Review.open("q1", from_=days["first_day"], to=date(2026, 4, 1)))
        s.add(Case.publish("good", deal=deal))
        watched = WatchedFigure(question="funnel", parameters="{}", figure="open_deals")
        s.add(Alert.define("won", watched=watched, condition="above", threshold="1"))
    statement = flow.ask(
        CommissionStatement(rep="ann", from_=date(2026, 1, 1), to=date(2026, 4, 1))
    ).figures()
    flow.run(lambda s: s.add(Statement.issue(statement)))
    return [
        *(OPEN_DEAL, team_id("east"), rep_id("ann"), goal_id("q1"), review_id("q1")),
        *(case_id("good"), improvement_id("trial"), alert_id("won"), plan_id("ae")),
        *(statement_id("ae", "ann", days["first_day"]), contest_id("spring")),
        *(training_id("nego-1"), process_id("standard"), FIGURES_ID),
    ]


def test_a_fact_of_ones_own_in_the_stream_of_any_thing_changes_no_answer(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url, facts=OWN) as flow:
        streams = manage(flow)
        before = [flow.ask(question).to_dict() for question in OF_MANAGEMENT]
        flow.record([ExternalEvent(stream, DemoGiven(product="MES")) for stream in streams])
        after = [flow.ask(question).to_dict() for question in OF_MANAGEMENT]
    assert [told(each) for each in after] == [told(each) for each in before]


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without its moment."""
    return {name: value for name, value in answer.items() if name != "moment"}


def test_a_thing_of_ones_own_has_a_stream_of_its_own(flow: SalesFlow) -> None:
    visit, deal = uuid4(), deal_of(flow)
    flow.record(
        [ExternalEvent(visit, VisitPlanned()), ExternalEvent(visit, DemoGiven(product="M"))]
    )
    for stream, fact in ((deal, VisitPlanned()), (visit, DealWon())):
        with pytest.raises(InputError, match="tells of one thing"):
            flow.record([ExternalEvent(stream, fact)])
    opening = flow.history(visit)[0]
    with flow.session() as s:
        s.retract(opening.event_id, because="called off")
    with flow.session() as s:
        s.reopen_history(visit, VisitPlanned())
    assert isinstance(flow.history(visit)[-2].fact, FactRetracted)


@pytest.mark.parametrize(
    "fact",
    [
        Weighed(grams=None),
        Weighed(grams=1.0, things={1, 2}),
        Weighed(grams=1.0, things=b"\xff"),
        Weighed(grams=1.0, things=object()),
    ],
    ids=["left out", "a set", "no text", "an object"],
)
def test_a_fact_that_would_be_read_back_otherwise_is_not_recorded(
    flow: SalesFlow, fact: Fact
) -> None:
    deal = deal_of(flow)
    head = flow.log.head()
    with pytest.raises(InputError, match="Weighed"):
        flow.record([ExternalEvent(deal, fact)])
    assert flow.log.head() == head


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("acme", "no class of facts"),
        (Deal, "the class Deal is no class of facts"),
        (Fact, "give it a kind"),
        (type("Nameless", (Fact,), {"kind": "acme.nameless"}), "name_zh"),
        (type("Loud", (DemoGiven,), {"kind": "Acme Demo"}), "give it a kind"),
        (type("Twin", (DemoGiven,), {"kind": "deal.won"}), "is the kind of DealWon"),
        (type("Old", (DemoGiven,), {"kind": "acme.old", "version": 0}), "counts from 1"),
    ],
)
def test_what_is_handed_in_has_to_be_a_fact_with_a_kind_of_its_own(
    given: type[Fact], said: str, sqlite_url: str
) -> None:
    with pytest.raises(InputError, match=said):
        SalesFlow(sqlite_url, facts=[given])
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_nothing_handed_in_leaves_the_catalogue_what_it_is() -> None:
    catalogue = FactCatalogue([DemoGiven])
    assert catalogue.with_own([]) is catalogue
    assert list(catalogue.with_own([VisitPlanned])) == [DemoGiven, VisitPlanned]


ACME = '''
from typing import ClassVar
import sqlalchemy as sa
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.time import Moment
from salesflow.domain.values import Reference
from salesflow.projections.core.question import Question, Reader, View
from salesflow.presentation.table import TableOfView
from salesflow.projections.table import IntervalFold, IntervalTable


class DemoGiven(Fact):
    """The product was shown."""

    kind: ClassVar[str] = "acme.demo_given"
    name_zh: ClassVar[str] = "演示"
    product: Reference


FACTS = [DemoGiven]

DEMO = IntervalTable(
    "acme_demo",
    1,
    keys=(sa.Column("product", sa.String(500)),),
    attributes=(sa.Column("times", sa.Integer),),
)


class Shown:
    """Counts how often a product was shown."""

    def __init__(self, processes):
        self.times = {}

    def apply(self, event):
        if isinstance(event.fact, DemoGiven):
            product = event.fact.product
            self.times[product] = self.times.get(product, 0) + 1
            yield (product,), (self.times[product],)


DEMOS = IntervalFold(DEMO, {DealOpened, DemoGiven}, Shown)


class DemosView(View):
    """Counts demos."""

    population: ClassVar[str] = "all demos"
    formula: ClassVar[str] = "count"
    demos: int

    def tables(self, language="en"):
        return [TableOfView("Demos", ("Demos",), ((str(self.demos),),))]


class Demos(Question[DemosView]):
    """How many demos were given?"""

    name: ClassVar[str] = "acme-demos"
    folds: ClassVar[tuple[str, ...]] = ()

    def answer(self, reader: Reader, moment: Moment) -> DemosView:
        return DemosView(moment=moment, demos=7)
'''
POINTS = """[salesflow.facts]
demos = acme:FACTS
[salesflow.folds]
demos = acme:DEMOS
[salesflow.questions]
acme-demos = acme:Demos
gone = acme:Nothing
"""
RECORD = """
import sys
from uuid import UUID
from acme import DemoGiven
from salesflow import STANDARD, Deal, ExternalEvent, SalesFlow
with SalesFlow(sys.argv[1]) as flow:
    with flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", id=UUID(int=7)))
    flow.record([ExternalEvent(UUID(int=7), DemoGiven(product="MES"))])
"""


def test_what_an_installed_package_hands_in_is_known_to_the_command_line(
    tmp_path: Path, sqlite_url: str
) -> None:
    (tmp_path / "acme.py").write_text(ACME, encoding="utf-8")
    about = tmp_path / "acme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        code = RECORD if not arguments else "from salesflow.cli import main; sys.exit(main())"
        given = arguments or (sqlite_url,)
        return subprocess.run(
            [sys.executable, "-c", start + code, *given],
            capture_output=True,
            text=True,
            check=False,
        )

    recorded = run()
    assert recorded.returncode == 0, recorded.stderr
    told = run("deal", "history", str(UUID(int=7)), "--db", sqlite_url)
    assert "Demo given" in told.stdout, told.stderr
    shown = run("deal", "show", str(UUID(int=7)), "--db", sqlite_url, "--lang", "zh")
    assert "演示" in shown.stdout, shown.stderr
    standing = json.loads(run("deal", "show", "ERP", "--db", sqlite_url, "--json").stdout)
    assert [demo["product"] for demo in standing["acme.demo_given"]] == ["MES"]
    opening = run("deal", "history", "ERP", "--db", sqlite_url, "--json").stdout
    opened_at = json.loads(opening)["events"][0]["occurred_at"]
    before = run("deal", "show", "ERP", "--as-of", opened_at, "--db", sqlite_url)
    assert (before.returncode, "Demo given" in before.stdout) == (0, False), before.stderr
    asked = run("ask", "acme-demos", "--db", sqlite_url)
    assert (asked.returncode, "7" in asked.stdout) == (0, True), asked.stderr
    rebuilt = run("rebuild", "acme_demo", "--db", sqlite_url, "--json")
    assert json.loads(rebuilt.stdout)["rebuilt"] == {"acme_demo": 1}, rebuilt.stderr
    view = "SELECT product, times FROM salesflow_acme_demo WHERE valid_to LIKE '9999%'"
    with plain_connection(sqlite_url) as connection:
        assert connection.execute(view).fetchall() == [("MES", 1)]
    stands = json.loads(run("status", "--db", sqlite_url, "--json").stdout)["tables"]
    assert {"table": "acme_demo", "revision": 1, "position": 4, "lag": 0} in stands
    with SalesFlow(sqlite_url) as without:  # which knows neither the fact nor the fold
        assert "acme_demo" not in without.standings()
        assert without.check().whole is False
    assert run("check", "--all", "--db", sqlite_url).returncode == 0
    listed = run("ask", "--help")
    assert "How many demos were given?" in listed.stdout
    gone = run("ask", "gone", "--db", sqlite_url)
    assert gone.returncode == 2
    assert "gone, which is acme:Nothing, cannot be loaded" in gone.stderr
