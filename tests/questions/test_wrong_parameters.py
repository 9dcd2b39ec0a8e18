"""Every parameter of every question refuses what it cannot be, and says what it can be.

Python and the command line say the same. A question of the registry with a parameter of a new
kind fails here until somebody decided what is wrong with it.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import pytest

from given import cny, opened
from questions.needed import needed_by, tell_what_is_needed
from questions.shop import Shop, deal_id, shop
from salesflow.cli.ask import _flag, _kinds
from salesflow.domain.rep import Rep
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS
from simulated import ran

OPAQUE = {
    *("owner", "rep", "survey", "channel", "words", "reason", "segment", "product"),
    *("competitor", "audience", "parent", "strategy", "unit", "why_achievable"),
}
"""Named by ids of the caller's own: of an unknown one there is nothing."""
KNOWN = {
    "case": "there is no case 'nope' by then; there are none",
    "goal": "there is no goal 'nope' at that moment; goals: none",
    "alert": "there is no alert 'nope' then; there are none",
    "process": "there is no process 'nope'; there are imported, plain, standard",
    "stage": "there is no stage 'nope'; there are ",
    "improvement": "there is no improvement 'nope' by then; there are ",
    "review": "there is no review 'nope' by then; there are none",
    "start": "there is no open stage 'nope'; deals have passed a, b, c",
    "team": "nobody has been in a team 'nope' by then; teams: east",
    "training": "there is no training 'nope'; there are: nego-1",
    "plan": "no plan 'nope' is believed to exist by then; there are ae",
    "contest": "no contest 'nope' by then; there are spring",
    "quote": "has no quote 'nope'; there are none",
}
"""Named by keys that there are in the data: unknown ones are refused with those known."""
CHECKED = {"metric"}
"""Named by keys that are fixed: unknown ones are refused before anything is read."""
PAID = {"commission-estimate", "commission-statement"}
"""Questions of a rep for whom a plan has to be."""
Parameter = tuple[str, str]


def parameters() -> Iterator[Parameter]:
    for name, question in QUESTIONS.items():
        yield from ((name, parameter) for parameter in question.model_fields)


def kinds(name: str, parameter: str) -> tuple[object, ...]:
    return _kinds(QUESTIONS[name].model_fields[parameter].annotation)


def choices(name: str, parameter: str) -> tuple[str, ...] | None:
    """Give the right values of a closed list."""
    lists = [kind for kind in kinds(name, parameter) if get_origin(kind) is Literal]
    return get_args(lists[0]) if lists else None


CLOSED = [(name, each) for name, each in parameters() if choices(name, each)]
TEXTS = [
    (name, each)
    for name, each in parameters()
    if str in kinds(name, each) and date not in kinds(name, each)
]


def said_of(name: str, parameter: str) -> str | None:
    """Give what is said of one that nobody knows of; None where anything may be asked."""
    return "is for 'nope'" if parameter == "rep" and name in PAID else KNOWN.get(parameter)


NAMED = [each for each in TEXTS if said_of(*each) is not None]
CURRENCIES = [each for each in TEXTS if "currency" in each[1]]
METRICS = [each for each in TEXTS if each[1] == "metric"]


def given(name: str, **more: object) -> dict[str, Any]:
    """Give a question what it cannot do without, and more."""
    return {**needed_by(QUESTIONS[name], deal_id(1), deal_id(1)), **more}


def refused(name: str, **more: object) -> str:
    """Ask wrongly, in both ways there are in Python; give what is said."""
    question: type[Question[View]] = QUESTIONS[name]
    with pytest.raises(InputError) as made:
        question(**given(name, **more))
    with pytest.raises(InputError) as read:
        question.model_validate(given(name, **more))
    assert str(made.value) == str(read.value)
    return str(made.value)


def _words(said: str) -> tuple[str, list[str]]:
    wrong, *right = re.findall(r"'(\w+)'", said)
    return wrong, sorted(right)


@pytest.mark.parametrize(("name", "parameter"), CLOSED)
def test_a_value_outside_a_closed_list_is_refused_with_the_right_ones(
    name: str, parameter: str, tmp_path: Path
) -> None:
    right = sorted(choices(name, parameter) or ())  # lists that hold the same are one to Python
    said = refused(name, **{parameter: "nope"})
    assert said.startswith(f"{QUESTIONS[name].__name__}: {parameter}: 'nope' is not one of ")
    assert _words(said) == ("nope", right)
    assert len(said.splitlines()) == 1
    db = f"sqlite:///{tmp_path / 'sales.db'}"
    needed = [str(each) for each in given(name).values()]
    told = ran("ask", name, *needed, _flag(parameter), "nope", "--db", db)
    assert told.code == 2
    assert f"{_flag(parameter)}" in told.err
    assert _words(told.err) == ("nope", right)
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_parameter_there_is_not_is_refused_with_those_there_are(name: str) -> None:
    there = ", ".join(QUESTIONS[name].model_fields)
    said = refused(name, colour="red")
    assert said.endswith(f"colour: there is no such parameter; there are {there}")


def test_a_parameter_that_is_nearly_right_is_told_the_right_one() -> None:
    assert "form: there is no such parameter (perhaps from_); there are" in refused(
        "kpis", form="2026-01-01"
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_parameters_are_named(name: str) -> None:
    first = next(iter(QUESTIONS[name].model_fields))
    with pytest.raises(InputError, match=rf"name each parameter, as in \w+=…; .*\b{first}\b"):
        QUESTIONS[name]("2026-01-01")


@pytest.mark.parametrize(("name", "parameter"), CURRENCIES)
def test_a_currency_is_three_capital_letters(name: str, parameter: str) -> None:
    said = refused(name, **{parameter: "yuan"})
    assert "'yuan' is not a currency; write three capital letters such as CNY" in said


@pytest.mark.parametrize(("name", "parameter"), METRICS)
def test_a_metric_nobody_knows_is_refused_with_those_there_are(
    name: str, parameter: str
) -> None:
    said = refused(name, **{parameter: "nope"})
    assert "'nope' is not a metric; there are sales, orders, " in said


SAID_OF = {
    Decimal: ("few", "in plain digits, at most 19, not 'few'"),
    date: ("31.3.", "'31.3.' is not a day; write one like 2026-03-31"),
    int: ("few", "'few' is not a whole number"),
    bool: ("perhaps", "'perhaps' is neither true nor false"),
    UUID: ("zz", "'zz' is not an id"),
}


@pytest.mark.parametrize(("name", "parameter"), [*parameters()])
def test_a_value_of_another_kind_is_refused_in_a_sentence(name: str, parameter: str) -> None:
    known = kinds(name, parameter)
    if (name, parameter) in [*CLOSED, *TEXTS] or str in known:
        return
    kind = next(each for each in SAID_OF if each in known)
    wrong, said = SAID_OF[kind]
    several = any(get_origin(each) is tuple for each in known)
    assert said in refused(name, **{parameter: (wrong,) if several else wrong})


@pytest.mark.parametrize(
    ("name", "parameter"), [each for each in parameters() if int in kinds(*each)]
)
def test_true_is_no_number(name: str, parameter: str) -> None:
    several = any(get_origin(each) is tuple for each in kinds(name, parameter))
    said = refused(name, **{parameter: (True,) if several else True})
    assert "True is not a whole number" in said


@pytest.mark.parametrize(("name", "parameter"), TEXTS)
def test_it_is_decided_of_every_text_whether_an_unknown_one_is_refused(
    name: str, parameter: str
) -> None:
    if (name, parameter) in METRICS:
        return
    assert parameter in {*KNOWN, *OPAQUE, *CHECKED} or (name, parameter) in CURRENCIES, (
        f"add {parameter!r} to OPAQUE (anything may be asked) or KNOWN (unknown is refused)"
    )
    if (name, parameter) not in CURRENCIES:
        assert "must not be blank" in refused(name, **{parameter: " "})


@pytest.fixture(scope="module")
def sales() -> Iterator[Shop]:
    """Two deals of a rep of team east."""
    with shop() as open_shop:
        for number in (1, 2):
            open_shop.tell(number, ("2026-02-01", opened(amount=cny("100"), owner="ann")))
        with open_shop.flow.session() as session:
            session.add(Rep.join("ann", team="east", name="Ann"))
        tell_what_is_needed(open_shop.flow)
        yield open_shop


@pytest.mark.parametrize(("name", "parameter"), NAMED)
def test_what_nobody_knows_of_is_refused_with_what_there_is(
    name: str, parameter: str, sales: Shop
) -> None:
    said = said_of(name, parameter)
    assert said is not None
    with pytest.raises(NotFoundError, match=re.escape(said)):
        sales.flow.ask(QUESTIONS[name](**given(name, **{parameter: "nope"})))


RIGHT = {"process": ("plain", "imported", "standard"), "stage": ("a", "negotiation")}


@pytest.mark.parametrize(("name", "parameter"), NAMED)
def test_what_there_is_may_be_asked_for_though_nothing_stands_there(
    name: str, parameter: str, sales: Shop
) -> None:
    for right in RIGHT.get(parameter, ("east",) if parameter == "team" else ()):
        view = sales.flow.ask(QUESTIONS[name](**given(name, **{parameter: right})))
        assert view.population


@pytest.mark.parametrize(
    ("name", "parameter"),
    [each for each in TEXTS if each[1] in OPAQUE and each not in NAMED],
)
def test_of_a_rep_or_a_survey_nobody_knows_of_there_is_nothing(
    name: str, parameter: str, sales: Shop
) -> None:
    view = sales.flow.ask(QUESTIONS[name](**given(name, **{parameter: "nope"})))
    assert view.population


def test_the_stages_of_a_process_that_is_named_are_its_own(sales: Shop) -> None:
    wrong = {"process": "plain", "stage": "negotiation"}
    for name in ("deals", "flow"):
        with pytest.raises(NotFoundError, match="'negotiation'; there are a, b, c, served"):
            sales.flow.ask(QUESTIONS[name].model_validate(wrong))


def test_a_team_is_known_from_the_first_day_of_its_first_rep(sales: Shop) -> None:
    for name in ("flow", "funnel"):
        question = QUESTIONS[name].model_validate({"team": "east"})
        sales.flow.ask(question)
        with pytest.raises(NotFoundError, match="teams: none"):
            sales.flow.ask(question, as_of="2026-05-31")


DAYS = [(name, each) for name, each in parameters() if date in kinds(name, each)]


@pytest.mark.parametrize("given", [0, 86_400, "1", datetime(2026, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize(("name", "parameter"), DAYS)
def test_neither_a_number_nor_a_time_is_a_day(name: str, parameter: str, given: object) -> None:
    if str in kinds(name, parameter) and isinstance(given, datetime):
        QUESTIONS[name](**{parameter: given})  # a time is asked for there
        return
    with pytest.raises(InputError, match=r"is not a day; write one like|is not? (a )?time"):
        QUESTIONS[name](**{parameter: given})


def test_a_word_or_a_parameter_that_is_nearly_right_suggests_the_right_one() -> None:
    assert "(perhaps team)" in refused("leaderboard", by="teams")
    assert "(perhaps by)" in refused("leaderboard", bye="team")
    assert "perhaps" not in refused("leaderboard", by="nope")


def test_what_is_wrong_with_several_parameters_together_is_a_sentence_of_its_own(
    tmp_path: Path,
) -> None:
    alone = (
        "a review says itself which period it is of, and of whom; name it alone, or leave it"
    )
    with pytest.raises(InputError, match=f"^Retrospective: {alone} out$"):
        QUESTIONS["retrospective"].model_validate({"review": "q4", "team": "west"})
    db = f"sqlite:///{tmp_path / 'x.db'}"
    assert ran("team", "form", "west", "--name-en", "W", "--db", db).code == 0
    for more in (("--team", "west"), ("--quarter", "2026-Q1")):
        done = ran("ask", "retrospective", "--review", "q4", *more, "--db", db)
        assert (done.code, f"salesflow: {alone} out\n" in done.err) == (2, True), done.err
