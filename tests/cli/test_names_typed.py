"""What is typed for people, things with a key and words of the house's own."""

import json
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

from salesflow import STANDARD, Deal, Rep, RepCard, SalesFlow
from salesflow.cli.app import ABOUT, COMMANDS, CommandGroup, ThingCommand
from salesflow.cli.recording.values import Parameter, parameters_of
from salesflow.cli.things.ids import find_deal
from salesflow.projections.registry import QUESTIONS
from simulated import typed

HOUSE = """
team form north --name-en North --name-zh 华北 --timezone Asia/Shanghai --occurred-at 2026-01-05
team form south --name-en South --name-zh 华南 --occurred-at 2026-01-05
rep join wang --team north --name 王芳 --occurred-at 2026-01-05
rep join lin --team 华南 --name 林峰 --occurred-at 2026-01-05
rep join tom --team south --name "Tom O'Neil" --occurred-at 2026-01-05
deal open standard --title ERP --owner wang --lead-source campaign --occurred-at 2026-02-02
deal request-help ERP how --department legal --by 王芳 --occurred-at 2026-02-03
deal hand-over ERP --to 林峰 --open-tasks call --by 王芳 --occurred-at 2026-02-04
deal assign-owner ERP 林峰 --occurred-at 2026-02-05
training offer spin --name-en SPIN --name-zh 顾问式 --occurred-at 2026-01-05
"""


def test_a_handover_to_somebody_by_name_is_the_one_of_the_owner_who_follows(house: str) -> None:
    with SalesFlow(f"sqlite:///{house}") as flow:
        [handover] = flow.get(Deal, find_deal(flow, "ERP")).handovers
        assert handover.owner == "lin"
        assert handover.handed_over is not None
        assert (handover.handed_over.to, handover.handed_over.by) == ("lin", "wang")


@pytest.mark.parametrize(
    ("line", "field", "meant"),
    [
        ("team appoint-lead 华南 林峰", "lead", "lin"),
        ("rep move 王芳 华南", "team", "south"),
        ("deal post-message ERP hi --to 林峰 --by 王芳", "to", ["lin"]),
        ("deal hold-meeting ERP --participants 林峰 --participants 王芳", "participants",
         ["lin", "wang"]),
        ("deal add-collaborator ERP \"Tom O'Neil\"", "person", "tom"),
        ("rep assess-skill 林峰 negotiation 3 --evidence x --assessed-by 王芳", "assessed_by",
         "wang"),
        ("training assign 林峰 顾问式", "training", "spin"),
    ],
)  # fmt: skip
def test_people_and_things_are_taken_by_name_wherever_they_are_named(
    house: str, line: str, field: str, meant: object
) -> None:
    told = typed(f"{line} --json", house)
    assert told.code == 0, told.err
    [event] = json.loads(told.out)["recorded"]
    assert event["fact"][field] == meant
    assert "notes" not in json.loads(told.out)


def test_whoever_records_is_taken_by_name_too(house: str) -> None:
    told = typed("deal state-intent ERP high --actor 林峰 --json", house)
    assert json.loads(told.out)["recorded"][0]["actor"] == "lin"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rep join zhao --team nroth --name 赵", "there is no team 'nroth'; perhaps north"),
        ("review open r --month 2026-01 --team nrth", "perhaps north"),
        ("improvement propose i --hypothesis h --change strategy --metric win_rate"
         " --teams nrth", "perhaps north"),
        ("training assign 林峰 spon", "there is no training 'spon'; perhaps spin"),
        ("rep complete-training tom nogo2", "`salesflow training offer` makes one"),
        ("goal set g --metric orders --target 1 --first-day 2026-01-01 --last-day 2026-12-31"
         " --parent q4", "there is no goal 'q4'"),
        ("training offer t --name-en T --name-zh T --stage prospectin", "perhaps prospecting"),
        ("deal hold-interview ERP --by wang --reasons fit", "perhaps product_fit"),
        ("goal set g --metric orders --target 1 --first-day 2026-01-01 --last-day 2026-12-31"
         " --strategy s --process standart", "perhaps standard"),
        ("training revise spun --name-en x", "there is no training 'spun'; perhaps spin"),
    ],
)  # fmt: skip
def test_what_has_a_list_of_its_own_is_refused_when_it_is_on_none(
    house: str, line: str, says: str
) -> None:
    told = typed(line, house)
    assert (told.code, told.out) == (2, "")
    assert says in told.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("deal assign-owner ERP tommm", "there was never anybody called 'tommm'; perhaps tom"),
        ("deal open standard --title X --owner wnag", "perhaps wang"),
        ("team appoint-lead south nobody", "anybody called 'nobody'"),
        ("deal request-help ERP how --department leagl", "'leagl'; perhaps legal"),
        ("deal open standard --title X --owner wang --lead-source campain",
         "perhaps campaign"),
        ("rep assess-skill tom negociation 3 --evidence x", "perhaps negotiation"),
        ("deal log-contact ERP --channel vist --direction out", "perhaps visit"),
        ("deal state-intent ERP high --actor linn", "perhaps lin"),
    ],
)  # fmt: skip
def test_a_word_of_the_house_that_was_never_met_is_recorded_with_a_note(
    house: str, line: str, says: str
) -> None:
    told = typed(f"{line} --json", house)
    assert told.code == 0, told.err
    [note] = json.loads(told.out)["notes"]
    assert says in note


def test_a_note_stands_on_stderr_and_is_not_said_again_once_the_word_is_known(
    house: str,
) -> None:
    first = typed("deal request-help ERP how --department logistics", house)
    assert "note: there was never a department 'logistics'" in first.err
    assert "logistics'" not in first.out
    assert typed("deal request-help ERP how --department logistics", house).err == ""


def test_the_first_of_its_kind_is_no_typo(tmp_path: Path) -> None:
    told = typed("deal open standard --title X --owner ann", str(tmp_path / "new.db"))
    assert (told.code, told.err) == (0, "")


def test_several_people_of_one_name_are_refused_with_their_ids(house: str) -> None:
    assert typed("rep join lin2 --team south --name 林峰", house).code == 0
    told = typed("deal hand-over ERP --to 林峰 --note x", house)
    assert (told.code, "several reps are called '林峰': lin, lin2" in told.err) == (2, True)


def test_what_a_file_makes_may_be_named_in_it(house: str, tmp_path: Path) -> None:
    file = tmp_path / "goals.json"
    goal = {"metric": "orders", "target": 1, "why_achievable": "as before"}
    days = {"first_day": "2026-01-01", "last_day": "2026-12-31"}
    file.write_text(
        json.dumps(
            [
                {"key": "part", **goal, **days, "parent": "all", "team": "华南"},
                {"key": "all", **goal, **days, "strategy": "s"},
            ]
        )
    )
    told = typed(f"goal set --input {file} --json", house)
    assert told.code == 0, told.err
    facts = [each["fact"] for each in json.loads(told.out)["recorded"]]
    assert facts[0]["scope"] == {"team": "south"}


OF_BOTH = [
    name
    for name, question in QUESTIONS.items()
    if "team" in question.model_fields and {"owner", "rep"} & {*question.model_fields}
]
GIVEN = {"goal-check": {"metric": "orders"}}


@pytest.fixture(scope="module")
def teams() -> Iterator[SalesFlow]:
    """Ann of team east, who has a deal, and bob of team west."""
    with SalesFlow("sqlite://") as flow:
        with flow.session() as s:
            s.add(Rep.join("ann", team="east", name="Ann", occurred_at=date(2026, 1, 5)))
            s.add(Rep.join("bob", team="west", name="Bob", occurred_at=date(2026, 1, 5)))
            s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=date(2026, 2, 2)))
        yield flow


@pytest.mark.parametrize("name", OF_BOTH)
def test_a_rep_who_was_never_in_the_team_asked_about_is_told_by_every_question(
    teams: SalesFlow, name: str
) -> None:
    question = QUESTIONS[name]
    who = "owner" if "owner" in question.model_fields else "rep"
    given = {who: "ann", **GIVEN.get(name, {})}
    assert teams.ask(question.model_validate({**given, "team": "east"})).unmet == ()
    [unmet] = teams.ask(question.model_validate({**given, "team": "west"})).unmet
    said = "nothing is of both a team and a rep who was never in it:"
    assert unmet.sentence() == f"{said} 'ann'; perhaps east"
    assert unmet.sentence("zh").startswith("该销售从未在所问团队")


def test_an_answer_about_somebody_never_met_says_so_above_all_in_every_form(house: str) -> None:
    with SalesFlow(f"sqlite:///{house}") as flow:
        view = flow.ask(RepCard(rep="Tom O'Neil"))
        assert flow.ask(RepCard(rep="tom")).unmet == ()
    assert view.table().startswith('there was never a rep "Tom O\'Neil"; perhaps tom')
    assert view.to_dict()["unmet"][0]["near"] == ["tom"]
    told = typed("ask rep-card tomm", house)
    assert told.out.startswith("there was never a rep 'tomm'; perhaps tom")
    told = typed("ask rep-card tomm --lang zh", house)
    assert told.out.startswith("从未有过销售人员 'tomm'；可能是 tom")


def test_a_time_without_a_zone_is_one_of_the_business_time_zone(house: str) -> None:
    told = typed('deal state-intent ERP high --occurred-at "2026-09-21 10:00" --json', house)
    [event] = json.loads(told.out)["recorded"]
    assert event["occurred_at"] == "2026-09-21T02:00:00+00:00"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("team form x --name-en x --occurred-at 2999-06-01", ": 2999-06-01 lies in the future"),
        ("team form x --name-en x --occurred-at 1850-01-01", "1850-01-01 lies before 1900"),
        ("deal win ERP --occurred-at 2024-01-01", "before, at 2024-01-01"),
    ],
)
def test_a_refusal_writes_times_as_they_were_typed(house: str, line: str, says: str) -> None:
    told = typed(line, house)
    assert told.code in (1, 2)
    assert says in f": {told.err.removeprefix('salesflow: ')}"
    assert "+00:00" not in told.err


def test_contact_people_are_taken_by_name_where_the_deal_knows_them(house: str) -> None:
    for line in (
        "customer register --name Acme",
        "deal change-customer ERP Acme --because x",
        "customer add-person Acme --name 王总",
    ):
        assert typed(f"{line} --json", house).code == 0
    told = typed("deal identify-committee-member ERP --name 王总 --json", house)
    assert told.code == 0, told.err
    [identified] = json.loads(told.out)["recorded"]
    person = identified["fact"]["person_id"]
    told = typed("deal observe-stance ERP 王总 supporter --json", house)
    assert json.loads(told.out)["recorded"][0]["fact"]["person_id"] == person
    told = typed(
        "deal log-contact ERP --channel call --direction out --contact-people 王总 --json",
        house,
    )
    assert json.loads(told.out)["recorded"][0]["fact"]["contact_people"] == [person]
    people = json.loads(typed("customer show Acme --json", house).out)["people"]
    assert [*people] == [person]
    told = typed("deal observe-stance ERP 王总总 supporter", house)
    assert (told.code, "no contact person '王总总'; perhaps 王总" in told.err) == (2, True)


def test_several_people_may_be_typed_with_commas(house: str) -> None:
    told = typed("deal hold-meeting ERP --participants 王芳,林峰 --json", house)
    [met] = json.loads(told.out)["recorded"]
    assert met["fact"]["participants"] == ["wang", "lin"]
    told = typed(
        "deal log-contact ERP --channel call --direction in --participants Tom,王博 --json",
        house,
    )
    assert json.loads(told.out)["recorded"][0]["fact"]["participants"] == ["Tom", "王博"]


def every_list_option() -> Iterator[tuple[str, Parameter]]:
    """Give the options of all commands that take several, with the command of each."""

    def those_in(group: CommandGroup, path: str) -> Iterator[tuple[str, Parameter]]:
        for word, command in group.commands.items():
            if isinstance(command, CommandGroup):
                yield from those_in(command, f"{path} {word}")
            elif isinstance(command, ThingCommand) and command.method not in ABOUT:
                module, _, name = command.home.partition(":")
                kind = getattr(import_module(module), name)
                for each in parameters_of(getattr(kind, command.method), kind):
                    if each.is_list:
                        yield f"{path} {word}".strip(), each

    return those_in(COMMANDS, "")


def test_every_option_of_several_words_takes_them_with_commas_and_says_so() -> None:
    words = [(line, each) for line, each in every_list_option() if each.item is str]
    assert len(words) > 15
    apart = {(line, each.name) for line, each in words if not each.is_parted}
    assert apart == {("deal hand-over", "open_tasks"), ("deal hand-over", "promises")}


def test_themes_are_typed_with_commas_and_tasks_are_sentences(house: str) -> None:
    assert typed("deal receive-feedback ERP --text slow", house).code == 0
    told = typed("deal tag-feedback ERP --themes delivery,价格，service --json", house)
    [tagged] = json.loads(told.out)["recorded"]
    assert tagged["fact"]["themes"] == ["delivery", "价格", "service"]
    line = "deal hand-over ERP --to tom --open-tasks 'call, then write' --by lin --json"
    [over] = json.loads(typed(line, house).out)["recorded"]
    assert over["fact"]["open_tasks"] == ["call, then write"]
    assert "Several with commas, or again." in " ".join(
        typed("deal tag-feedback --help", house).out.replace("│", " ").split()
    )


def test_people_of_a_customer_are_typed_with_commas_by_their_ids_too(house: str) -> None:
    for line in (
        "customer register --name Acme",
        "deal change-customer ERP Acme --because x",
        "customer add-person Acme --name 王总",
        "customer add-person Acme --name Tom",
    ):
        assert typed(f"{line} --json", house).code == 0
    people = [*json.loads(typed("customer show Acme --json", house).out)["people"]]
    line = "deal log-contact ERP --channel call --direction in --contact-people"
    told = typed(f"{line} {','.join(people)} --json", house)
    assert json.loads(told.out)["recorded"][0]["fact"]["contact_people"] == people


def test_a_reason_of_ones_own_is_taken_where_it_is_no_slip(house: str) -> None:
    assert typed("deal lose ERP --because price", house).code == 0
    told = typed("deal hold-interview ERP --by wang --reasons service --json", house)
    assert told.code == 0, told.err
    assert json.loads(told.out)["recorded"][0]["fact"]["reasons"] == ["service"]
    told = typed("deal hold-interview ERP --by wang --reasons pirce", house)
    assert (told.code, "perhaps price" in told.err) == (2, True)


def test_an_answer_is_asked_by_the_name_of_a_team_too(house: str) -> None:
    by_name = json.loads(typed("ask kpis --team 华南 --json", house).out)
    by_key = json.loads(typed("ask kpis --team south --json", house).out)
    assert {**by_name, "moment": None} == {**by_key, "moment": None}
