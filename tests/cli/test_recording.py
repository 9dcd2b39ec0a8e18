"""Recording by the command line: a command for each command of an aggregate."""

import json
import shlex
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from uuid import UUID

import pytest

from salesflow import Deal, SalesFlow
from salesflow.cli.app import ABOUT, COMMANDS, CommandGroup, ThingCommand
from salesflow.cli.recording.things import shown_values, title_of_list
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.figures import Figures
from salesflow.domain.incentive_plan import PlanPublished, plan_id
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.settings import Settings
from salesflow.domain.state import State
from salesflow.presentation.fields import called
from salesflow.presentation.messages import in_language
from simulated import Ran, ran

NOT_FOR_PEOPLE = {"retract_pair", "begin", "evaluate"}
"""Commands of aggregates that have another one on the command line."""
READING = {"category", "meets", "name", "before", "in_force", "ensure_in_use", "paid_beyond"}
KINDS = [kind for kind in AGGREGATES if kind not in (Settings, RateTable)]


@pytest.fixture
def new(tmp_path: Path) -> str:
    """A database with a team, a rep, a customer and a deal, recorded by commands alone."""
    db = f"sqlite:///{tmp_path / 'sales.db'}"
    for command in (
        ("team", "form", "east", "--name-en", "East", "--name-zh", "华东"),
        ("rep", "join", "ann", "--team", "east", "--name", "陈安"),
        ("customer", "register", "--name", "Acme 公司"),
        ("deal", "open", "standard", "--title", "ERP 上线", "--owner", "陈安",
         "--customer", "acme 公司", "--amount", "98,000.50 cny"),
    ):  # fmt: skip
        told = ran(*command, "--db", db, "--timezone", "Asia/Shanghai")
        assert told.code == 0, told.err
    return db


def recorded(told: Ran) -> list[dict[str, object]]:
    assert told.code == 0, told.err
    facts: list[dict[str, object]] = json.loads(told.out)["recorded"]
    return facts


def commands_of(kind: type[Aggregate]) -> set[str]:
    """Name what may be recorded of a kind of thing."""
    base = {*dir(PlannedAggregate), *dir(State)}
    public = {name for name in dir(kind) if name[0] != "_"} - base - READING
    return {name for name in public if callable(getattr(kind, name))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_may_be_recorded_can_be_recorded_by_the_command_line(
    kind: type[Aggregate],
) -> None:
    there = {
        command.method
        for group in COMMANDS.commands.values()
        if isinstance(group, CommandGroup)
        for command in group.commands.values()
        if isinstance(command, ThingCommand) and command.home.endswith(f":{kind.__name__}")
    }
    assert commands_of(kind) - NOT_FOR_PEOPLE == there - ABOUT.keys()


def test_what_is_typed_is_recorded_as_python_would_record_it(new: str) -> None:
    with SalesFlow(new) as flow:
        told = ran("deal", "show", "erp 上线", "--db", new, "--json")
        deal = flow.get(Deal, _id(told))
        assert (str(deal.amount), deal.owner) == ("98,000.50 CNY", "ann")
        assert flow.settings().timezone.key == "Asia/Shanghai"


def test_a_day_an_amount_a_list_and_an_actor_are_typed_as_people_write_them(new: str) -> None:
    told = ran(
        *("deal", "log-contact", "ERP 上线", "--channel", "visit", "--direction", "out"),
        *("--participants", "王总", "--participants", "李工", "--actor", "ann"),
        *("--db", new, "--json"),
    )
    [contact] = recorded(told)
    assert contact["actor"] == "ann"
    assert contact["fact"] == {
        "channel": "visit", "direction": "out", "participants": ["王总", "李工"],
    }  # fmt: skip
    told = ran(
        *("deal", "forecast", "ERP 上线", "--probability", "70%", "--db", new, "--json"),
        *("--amount", "120000 CNY", "--expected-close", "2027-01-31"),
    )
    [forecast] = recorded(told)
    assert forecast["fact"] == {
        "amount": {"amount": "120000", "currency": "CNY"},
        "expected_close": "2027-01-31", "probability": "0.7", "cleared": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        (("deal", "win", "ERP 上线", "--amount", "99,5 CNY"), "99.5, or 995"),
        (("deal", "forecast", "ERP 上线", "--amount", "1.234,50 CNY"), "1234.50, or 123450"),
        (("deal", "add-collaborator", "ERP 上线", "bo", "--credit", "0,05"), "0.05"),
        (("goal", "set", "g", "--metric", "win_rate", "--target", "0,4"), "0.4"),
    ],
)
def test_a_comma_for_the_point_is_refused_wherever_a_number_is_typed(
    new: str, command: tuple[str, ...], meant: str
) -> None:
    told = ran(*command, "--db", new)
    assert told.code != 0
    assert meant in told.err


def test_a_command_with_an_id_is_recorded_once(new: str) -> None:
    once = ("deal", "state-intent", "ERP 上线", "high", "--command-id", "c-1", "--db", new)
    first, again = ran(*once, "--json"), ran(*once, "--json")
    assert recorded(first) == recorded(again)
    assert not json.loads(first.out)["again"]
    assert json.loads(again.out)["again"]
    assert "recorded before" in ran(*once).out


def test_a_list_in_json_is_recorded_together_or_not_at_all(new: str, tmp_path: Path) -> None:
    file = tmp_path / "teams.json"
    teams = [{"key": "w1", "name_en": "West", "name-zh": "华西"}, {"key": "w2"}]
    file.write_text(json.dumps(teams))
    told = ran("team", "form", "--input", str(file), "--db", new)
    assert (told.code, told.out) == (2, "")
    assert f"{file}, object 2: --name-en, --name-zh are missing" in told.err
    assert "w1" not in ran("team", "list", "--db", new).out
    file.write_text(json.dumps([{**team, "name_zh": "西"} for team in teams[1:]] + teams[:1]))
    assert len(recorded(ran("team", "form", "--input", str(file), "--db", new, "--json"))) == 2


def test_what_is_typed_goes_before_what_a_file_holds(new: str, tmp_path: Path) -> None:
    file = tmp_path / "team.json"
    file.write_text('{"key": "w1", "name_en": "West", "name_zh": "华西"}')
    told = ran("team", "form", "w9", "--input", str(file), "--db", new, "--json")
    assert recorded(told)[0]["fact"] == {"team": "w9", "name": {"en": "West", "zh": "华西"}}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("team form", "KEY, --name-en, --name-zh are missing"),
        ("team rename west --name-en a --name-zh b", "`salesflow team list` shows those"),
        ("deal win 'ERP 上线' '98000 CNY'", "unexpected extra argument"),
        ("deal win 'ERP 上线' --amount 98000", "no amount; write it like '98000 CNY'"),
        ("deal forecast 'ERP 上线' --clear colour", "'colour' is not one of amount"),
        ("deal open nothing --title x --owner ann", "no process 'nothing' has been published"),
        ("deal open standard:2 --title x --owner ann", "has no version 2"),
        ("deal draft-quote 'ERP 上线' --lines nojson", "is no JSON"),
        ("deal draft-quote 'ERP 上线' --lines @/no/such/file", "No such file"),
        ("deal advance 'ERP 上线' --because x --override contact", "write KEY=VALUE"),
        ("deal assign-owner 'ERP' ann", "did you mean 'ERP 上线'"),
        ("deal log-contact 'ERP 上线' --channel x --direction up", "up"),
        ("team form w --name-en a --name-zh b --input /no/file", "No such file"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_way_out(
    new: str, command: str, said: str
) -> None:
    with SalesFlow(new) as flow:
        before = flow.log.head().position
    told = ran(*shlex.split(command), "--db", new)
    assert told.code in (1, 2)
    assert said in told.err
    with SalesFlow(new) as flow:
        assert flow.log.head().position == before


def test_a_thing_is_listed_shown_and_told_as_of_any_moment(new: str) -> None:
    told = ran(
        "team", "rename", "east", "--name-en", "E", "--name-zh", "东", "--db", new, "--json"
    )
    renamed = recorded(told)[0]["recorded_at"]
    shown = ran("team", "show", "east", "--db", new).out
    assert "东" in shown
    then = ran(
        "team", "show", "east", "--db", new, "--json", "--known-at", _before(renamed)
    ).out
    assert json.loads(then)["name_zh"] == "华东"
    assert "陈安" in ran("rep", "list", "--db", new, "--lang", "zh").out
    history = ran("team", "history", "east", "--db", new).out
    assert "Team formed" in history
    assert "Team renamed" in history


def test_nothing_of_a_kind_is_an_empty_list_and_no_fault(tmp_path: Path) -> None:
    lone = f"sqlite:///{tmp_path / 'lone.db'}"
    ran("customer", "register", "--name", "x", "--db", lone)
    told = ran("team", "list", "--db", lone, "--json")
    assert json.loads(told.out)["things"] == []
    assert ran("team", "list", "--db", lone).code == 0


def _id(told: Ran) -> UUID:
    return UUID(json.loads(told.out)["id"])


def _before(instant: object) -> str:
    return (datetime.fromisoformat(str(instant)) - timedelta(microseconds=1)).isoformat()


SHOWN = [
    (command.home, command.method)
    for group in COMMANDS.commands.values()
    if isinstance(group, CommandGroup)
    for command in group.commands.values()
    if isinstance(command, ThingCommand) and command.method == "show"
]


@pytest.mark.parametrize(
    "home", [home for home, _ in SHOWN], ids=lambda home: home.split(":")[1]
)
def test_what_is_shown_of_a_thing_is_labelled_in_chinese_too(home: str) -> None:
    module, _, name = home.partition(":")
    kind: type[Aggregate] = getattr(import_module(module), name)
    labels = [called(value) for value in shown_values(kind)]
    labels += [kind.noun.capitalize(), *([] if kind is Figures else [title_of_list(kind)])]
    assert [label for label in labels if in_language(label, "zh") == label] == []


def test_the_terms_of_a_plan_take_rates_as_percentages(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'sales.db'}"
    fast = {"quota": "100", "accelerators": [{"starts_at": "120%", "factor": "150%"}]}
    tiers = {"tiers": [{"starts_at": "100000", "rate": "8%"}]}
    named = (
        "--name-en",
        "AE",
        "--name-zh",
        "AE",
        "--currency",
        "CNY",
        "--starts",
        "2030-01-01",
    )
    terms = json.dumps({"rate": "5%", **tiers, **fast})
    assert ran("plan", "publish", "ae", *named, "--terms", terms, "--db", db).code == 0
    with SalesFlow(db) as flow:
        [event] = flow.history(plan_id("ae"))
    assert isinstance(event.fact, PlanPublished)
    its = event.fact.plan.terms
    assert [str(it) for it in (its.rate, its.tiers[0].rate)] == ["0.05", "0.08"]
    assert (str(its.accelerators[0].starts_at), str(its.accelerators[0].factor)) == (
        "1.2",
        "1.5",
    )
    senseless = json.dumps({"rate": "5%", "tiers": [{"starts_at": "50%", "rate": "8%"}]})
    refused = ran("plan", "publish", "b", *named, "--terms", senseless, "--db", db)
    assert refused.code != 0
    assert "50%" in refused.err or "starts_at" in refused.err


def test_what_process_show_prints_is_what_publish_version_takes(
    new: str, tmp_path: Path
) -> None:
    shown = ran("process", "show", "standard", "--json", "--db", new).out
    file = tmp_path / "process.json"
    file.write_text(shown)
    told = ran("process", "publish-version", "--input", str(file), "--db", new)
    assert "published version 1; 1 cannot follow it; write 2 as its version" in told.err
    ways = (("--input", str(file)), ("standard", f"@{file}"), ("standard", str(file)))
    for version, way in enumerate(ways, 2):
        file.write_text(shown.replace('"version": 1,', f'"version": {version},'))
        told = ran("process", "publish-version", *way, "--db", new)
        assert told.code == 0, told.err
    file.write_text(shown.replace('"key": "standard"', '"key": "own"'))
    assert ran("process", "publish", "--input", str(file), "--db", new).code == 0
    listed = ran("process", "list", "--db", new).out
    assert "1, 2, 3, 4" in listed
    assert "own" in listed


def test_what_is_recorded_names_the_thing_it_is_of(new: str, tmp_path: Path) -> None:
    file = tmp_path / "wins.json"
    ran("deal", "open", "standard", "--title", "MES", "--owner", "ann", "--db", new)
    file.write_text('[{"deal": "ERP 上线"}, {"deal": "MES", "amount": "7 CNY"}]')
    lines = ran("deal", "win", "--input", str(file), "--db", new).out.splitlines()
    assert [next(line for line in lines if name in line) for name in ("ERP 上线", "MES")]
    assert not any("…" in line for line in lines)
