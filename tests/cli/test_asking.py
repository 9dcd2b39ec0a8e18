"""Questions become commands by themselves, and are asked at any moment."""

import inspect
import json
import signal
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar, Literal
from uuid import UUID

import pytest
import typer
from typer.main import get_command

from salesflow import Deal, SalesFlow
from salesflow.cli import main
from salesflow.cli.ask import command_of
from salesflow.domain.time import Moment
from salesflow.domain.values import Reference
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.registry import QUESTIONS
from simulated import ran

MES = UUID("3e500000-0000-4000-8000-000000000002")
THEN = ("--as-of", "2026-03-31", "--known-at", "2026-03-20")
OF_ONE_THING = [
    name
    for name, question in QUESTIONS.items()
    if any(field.is_required() for field in question.model_fields.values())
]


class ParrotView(View):
    population: ClassVar[str] = "what was said"
    formula: ClassVar[str] = "repeated"
    said: str

    def tables(self, language: str = "en") -> list[TableOfView]:
        return [
            TableOfView(
                f"Parrot {language}", ("Said", "Number"), ((self.said, "1,200"),), ("a note",)
            )
        ]


class Parrot(Question[ParrotView]):
    """What do you say to all these kinds of parameters?"""

    name: ClassVar[str] = "parrot"
    word: Reference
    """What to say
    first."""
    by: Literal["stage", "owner"] = "stage"
    times: int = 1
    share: Decimal | None = None
    loud: bool = False
    """Say it loudly."""
    more: tuple[str, ...] = ()

    def answer(self, reader: Reader, moment: Moment) -> ParrotView:
        assert reader.read_point.as_of
        said = f"{self.word}/{self.by}/{self.times}/{self.share}/{self.loud}/{self.more}"
        return ParrotView(moment=moment, said=said)


def parrot(*arguments: str) -> int:
    app = typer.Typer()
    app.command("parrot")(command_of(Parrot))
    app.command("other")(lambda: None)
    code: int = get_command(app).main(["parrot", *arguments], standalone_mode=False)
    return code


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_is_a_command_that_explains_itself(name: str) -> None:
    told = ran("ask", name, "--help")
    assert told.code == 0
    assert {"--as-of", "--known-at", "--json"} <= set(told.out.split())


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in OF_ONE_THING])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_question_says_what_it_is_about_where_nothing_was_there(
    name: str, language: str
) -> None:
    told = ran("ask", name, "--as-of", "2010-01-01", "--lang", language)
    title = told.out.splitlines()[0]
    assert told.code == 0
    assert title
    assert ": " not in title
    assert "：" not in title


def test_a_funnel_shows_its_stages_and_its_moment(db: str) -> None:
    told = ran("ask", "funnel", "--db", db, "--as-of", "2026-03-31")
    assert told.code == 0
    assert "Prospecting" in told.out
    assert "98,000 CNY" in told.out
    assert "as of end of 2026-03-31" in told.out
    assert "Scope: " in told.out


@pytest.mark.usefixtures("db")
def test_a_mistake_shows_as_it_was_believed_then() -> None:
    assert "98,000 CNY" in ran("ask", "funnel", "--as-of", "2026-03-31").out
    assert "980,000 CNY" in ran("ask", "funnel", *THEN).out


@pytest.mark.usefixtures("db")
def test_json_is_one_document_and_nothing_else() -> None:
    told = ran("ask", "funnel", *THEN, "--json")
    answer = json.loads(told.out)
    assert answer["open_deals"] == 2
    assert answer["moment"]["as_of"] == "2026-03-31T15:59:59.999999+00:00"
    assert told.err == ""


@pytest.mark.usefixtures("db")
def test_labels_are_in_chinese_when_asked_for() -> None:
    told = ran("ask", "funnel", "--lang", "zh", "--as-of", "2026-03-31")
    assert "潜在客户识别" in told.out
    assert "截至 2026-03-31 当日结束" in told.out
    assert "统计范围：截至该时刻有效记录的全部商机" in told.out
    assert "指标口径：各阶段" in told.out
    assert "赢单" in told.out


@pytest.mark.usefixtures("db")
def test_a_timeline_is_printed_in_the_business_time_zone_and_says_so() -> None:
    told = ran("ask", "deal-timeline", "e490")
    [opened] = [line for line in told.out.splitlines() if "Deal created" in line]
    assert opened.startswith(" 2026-03-02 09:00:00"), "nine in Shanghai"
    [won] = [line for line in told.out.splitlines() if "Deal won" in line]
    assert won.startswith(" 2026-03-07 09:00:00   "), (
        "no parts of a second where there are none"
    )
    assert "2026-03-02 01:00:00" not in told.out
    assert "times are those of Asia/Shanghai" in told.out
    shown = json.loads(ran("ask", "deal-timeline", "e490", "--json").out)
    assert shown["timezone"] == "Asia/Shanghai"
    assert shown["spans"][0]["start"].startswith("2026-03-02T01:00:00")


def test_a_timeline_shows_parts_of_a_second_and_bare_days_as_they_are(db: str) -> None:
    fine = datetime(2026, 3, 10, 1, 2, 3, 40, tzinfo=UTC)
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session() as s:
        deal = s.get(Deal, MES)
        deal.log_contact(channel="call", direction="in", occurred_at=fine)
        deal.log_contact(channel="call", direction="in", occurred_at=date(2026, 3, 11))
        deal.assign_owner("bob", occurred_at=fine, effective_from=date(2026, 3, 12))
    told = ran("ask", "deal-timeline", str(MES)).out
    times = [line.split("  ")[0].strip() for line in told.splitlines()]
    assert "2026-03-10 09:02:03.000040" in times
    assert "2026-03-11" in times
    assert "takes effect 2026-03-12 00:00:00" in times


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("what", ["facts", "spans"])
def test_a_timeline_in_chinese_names_facts_and_outcomes(what: str) -> None:
    told = ran("ask", "deal-timeline", "e490", "--lang", "zh").out
    named = {"facts": ("商机创建", "赢单"), "spans": ("进行中", "售后服务")}[what]
    english = {"facts": ("created", "won", "Asia/Shanghai time"), "spans": ("open ",)}[what]
    assert all(word in told for word in named)
    assert not any(word in told for word in english)


@pytest.mark.usefixtures("db")
def test_a_question_finds_its_deal_by_the_first_digits() -> None:
    told = ran("ask", "deal-timeline", "e490", "--json")
    assert json.loads(told.out)["deal"] == "e4900000-0000-4000-8000-000000000001"


@pytest.mark.usefixtures("db")
def test_options_filter_as_the_question_says() -> None:
    assert json.loads(ran("ask", "funnel", "--owner", "bob", "--json").out)["open_deals"] == 0


@pytest.mark.usefixtures("db")
def test_a_new_question_needs_no_command_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    parrot("hello", "--by", "owner", "--times", "3", "--share", "0.5", "--loud")
    assert "hello/owner/3/0.5/True/()" in capsys.readouterr().out
    parrot("hello", "--more", "a", "--more", "b")
    assert "hello/stage/1/None/False/('a', 'b')" in capsys.readouterr().out
    parrot("--help")
    shown = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "What to say first." in shown
    assert "Say it loudly." in shown
    assert "Default: stage." in shown


@pytest.mark.usefixtures("db")
def test_a_parameter_a_question_refuses_is_named() -> None:
    told = ran("ask", "funnel", "--owner", " ")
    assert told.code == 2
    assert told.err == "salesflow: --owner: must not be blank, not ' '\n"


def test_the_version_is_said_by_a_command_and_by_an_option() -> None:
    assert ran("--version").code == 0
    assert ran("--version").out == ran("version").out


def test_main_reads_the_process_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["salesflow", "version"])
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main() == 0
    finally:  # as its process would end now, it lets a Ctrl-C end this one at once
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_option_of_a_question_says_what_it_is_for(question: type[Question[View]]) -> None:
    unexplained = [
        name
        for name, parameter in inspect.signature(command_of(question)).parameters.items()
        if name != "context" and not parameter.annotation.__metadata__[0].help
    ]
    assert unexplained == []
