"""Whatever is said to people is said in Chinese too, by a catalogue that is whole."""

import ast
import gettext
import pickle
import re
from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from catalogues import FOLDER, compiled, messages, messages_in, modules_of, tree_of
from salesflow import STANDARD, Deals, Money, SalesFlow, domain
from salesflow.cli.recording.thing_shown import shown_values
from salesflow.domain import wording
from salesflow.domain.catalogue import AGGREGATES, CATALOGUE
from salesflow.domain.deal import Deal
from salesflow.domain.deal.merge_checks import _chained
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Event, Fact
from salesflow.domain.goal import GoalSet
from salesflow.domain.values import Number, SafeText
from salesflow.domain.wording import REASONS, WITH_ARGUMENTS, Message, reason_of
from salesflow.presentation import messages as presentation
from salesflow.presentation.fields import called
from salesflow.presentation.messages import in_language, say, say_count, translated
from salesflow.presentation.table import TableOfView, titles_and_columns
from salesflow.presentation.value_text import contexts_of, label_text, words_text
from salesflow.projections.core.left_out import PROBLEMS
from salesflow.projections.registry import QUESTIONS
from simulated import demo, ran

ASKED = (
    "alerts", "bottlenecks", "case-library", "coaching", "collaboration", "conversion",
    "deal-health", "deals", "feedback", "flow", "forecast", "forecast-backtest",
    "forecast-range", "funnel", "funnel-trend", "goal-attainment", "goal-check", "kpis",
    "process-diff", "restatement", "retrospective", "stage-kpis", "stage-times",
    "strategy-review", "win-loss",
)  # fmt: skip
UNCHECKED = (
    *(("status",), ("check",), ("deal", "list"), ("log",), ("process", "list")),
    *(("process", "show", "standard"), ("project",)),
)

CHINESE = re.compile("[\u4e00-\u9fff]").search
SAME_IN_CHINESE = frozenset({"nps", "csat", "ces"})
"""Names of scales, which Chinese has from English."""
OF_NO_FIELD = {"_read_old", "_dict_without_repeats", "quarter"}
"""Functions whose ValueErrors are of no field: of a stored event, and of a calendar asked."""
DOMAIN = sorted(
    {
        *REASONS.values(),
        *(
            text
            for module in modules_of(domain)
            for text in messages_in(module, {"_ensure_distinct": 0})
        ),
    }
)
"""Every message of the domain, read off its code."""


def several(text: str | Sequence[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else [*(text or ("",))]


def names_in(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_message_is_translated_and_names_the_same_values() -> None:
    for message in messages().values():
        texts, english = several(message.string), several(message.id)
        assert all(texts), message.id
        assert not message.fuzzy, message.id
        for text in texts:
            assert names_in(text) <= names_in(english[-1]), message.id


def test_whatever_a_check_finds_is_said_in_chinese() -> None:
    assert [text for text in PROBLEMS.values() if text not in messages()] == []


def test_the_compiled_catalogue_is_the_written_one() -> None:
    assert compiled() == (FOLDER / "salesflow.mo").read_bytes(), "run `make catalogues`"


@pytest.mark.parametrize("message", DOMAIN)
def test_a_message_of_the_domain_is_in_the_catalogue(message: str) -> None:
    assert message in messages(), message


def test_messages_of_the_domain_are_found_in_its_code() -> None:
    assert len(DOMAIN) > 70
    assert "not won but lost" in DOMAIN
    assert "must be at least {ge}" in DOMAIN
    assert "longer than {length} characters" in DOMAIN
    assert "two stages of the process share the key {key}" in DOMAIN
    assert "{deal} cannot be merged into {into}: that is a circle" in DOMAIN


def finished_in(tree: ast.Module) -> Iterator[str]:
    """Give the sentences that a module finishes: of fields, and of facts it calls irregular."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name in OF_NO_FIELD:
            continue
        for node in ast.walk(function):
            match node:
                case ast.Raise(exc=ast.Call(args=[ast.Call(func=ast.Name(id="Message"))])):
                    pass
                case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"))):
                    yield ast.unparse(node)
                case ast.Return(ast.JoinedStr() | ast.Constant(str())):
                    if function.name == "evolve":
                        yield ast.unparse(node)
                case _:
                    pass


def hidden_in(tree: ast.Module) -> Iterator[str]:
    """Give the messages whose text stands elsewhere than where they are made."""
    for call in ast.walk(tree):
        match call:
            case ast.Call(func=ast.Name(id="Message"), args=[ast.Constant(str()), *_]):
                pass
            case ast.Call(func=ast.Name(id="Message"), args=[ast.Name(id), *_]) if id.isupper():
                pass
            case ast.Call(func=ast.Name(id="Message")):
                yield ast.unparse(call)
            case _:
                pass


def test_the_domain_finishes_no_sentence_about_a_value_or_an_irregular_fact() -> None:
    trees = [tree_of(module) for module in modules_of(domain)]
    assert [text for tree in trees for text in finished_in(tree)] == []


def test_the_text_of_a_message_stands_where_it_is_made() -> None:
    trees = [tree_of(module) for module in modules_of(domain) if module is not wording]
    of_distinct_keys = "Message(message, key=repr(twins[0]))"
    assert [text for tree in trees for text in hidden_in(tree)] == [of_distinct_keys]


def test_a_finished_sentence_would_be_noticed() -> None:
    told = "def evolve():\n    return f'moved while {it}'\ndef f():\n    raise ValueError(no)"
    assert [*finished_in(ast.parse(told))] == [
        "return f'moved while {it}'",
        "raise ValueError(no)",
    ]
    assert [*hidden_in(ast.parse("Message(f'moved while {it}')"))] == [
        "Message(f'moved while {it}')"
    ]


def refused(kind: Any, value: object) -> Message:  # noqa: ANN401 - as pydantic
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return reason_of(caught.value.errors(include_url=False)[0])


def test_why_a_value_can_never_be_right_is_a_message() -> None:
    long = refused(SafeText, "x" * 501)
    assert (long, long.id) == ("longer than 500 characters", "longer than {length} characters")
    assert long.arguments == {"length": 500}
    assert say(long, "zh") == "超过 500 个字符"
    least = refused(Number, "-9999999999999")
    assert least == "must be at least -9,223,372,036,854.775807"
    assert say(least, "zh") == "至少应为 -9,223,372,036,854.775807"


def test_what_was_given_instead_is_said_in_the_same_language() -> None:
    assert refused(Money, None) == 'must be a Money, such as Money("98000", "CNY"), not None'
    other = refused(SafeText, 5)
    assert other == "must be a text, not of type int"
    assert say(other, "zh") == "应为文本，而不是 int 类型"


def test_what_others_raise_is_said_in_their_words() -> None:
    def refuse(_: object) -> object:
        raise ValueError("in {other} words")

    reason = refused(Annotated[object, AfterValidator(refuse)], 1)
    assert reason == say(reason, "zh") == "in {other} words"


def test_a_chain_of_merges_is_said_however_long_it_is() -> None:
    ids = [UUID(int=number) for number in range(5_000)]
    chain = Message(
        "{deal} cannot be merged into {into}: that is a circle", deal="x", into=_chained(ids)
    )
    into = " and so into ".join(map(str, ids))
    assert chain == f"x cannot be merged into {into}: that is a circle"
    assert say(chain, "zh") == f"x 不能并入 {'，进而并入 '.join(map(str, ids))}：构成循环"


def test_a_message_keeps_its_arguments_wherever_it_goes() -> None:
    message = Message(
        "{reason}; left out", reason=Message("there is no quote {quote}", quote="'Q'")
    )
    adapter = TypeAdapter(Message)
    kept = adapter.validate_json(adapter.dump_json(message, context=WITH_ARGUMENTS))
    for copy in (kept, pickle.loads(pickle.dumps(message))):
        assert say(copy, "zh") == "没有报价 'Q'；已略去"
    assert adapter.dump_json(message) == b"\"there is no quote 'Q'; left out\""
    assert say(adapter.validate_json(adapter.dump_json(message)), "zh") == message


def test_what_no_catalogue_has_is_said_in_english() -> None:
    assert say("nobody has put {this} into Chinese", "zh", this=1) == (
        "nobody has put 1 into Chinese"
    )
    assert translated("", "zh") == ""
    lines = ("{count:,} line would be refused; --strict refuses the whole file",) * 2
    assert say_count(*lines, 1).startswith("1 line would")
    assert say_count(*lines, 2, "zh").startswith("2 行")


class Missing(gettext.NullTranslations):
    """Behind a catalogue: takes down what that does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: set[str] = set()

    def gettext(self, message: str) -> str:
        self.messages.add(message)
        return message

    def pgettext(self, context: str, message: str) -> str:
        return f"{message}" if context else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@pytest.fixture
def missing() -> Iterator[Missing]:
    catalogue, taken = presentation._catalogue("zh"), Missing()
    catalogue.add_fallback(taken)
    yield taken
    presentation._catalogue.cache_clear()


def test_nothing_that_is_printed_of_the_demo_lacks_chinese(missing: Missing) -> None:
    zh = ("--db", demo().url, "--lang", "zh")
    with SalesFlow(demo().url, create=False) as flow:
        deals = [str(each.deal) for each in flow.ask(Deals(limit=300)).deals[::60]]
    for question in ASKED:
        for when in (("--as-of", "2025-03-31"), ("--compare-to", "2025-09-30@2025-10-15")):
            assert ran("ask", question, *when, *zh).code == 0
    for command in UNCHECKED:
        assert ran(*command, *zh).code == 0
    for deal in deals:
        for command in (("deal", "show"), ("deal", "history"), ("deal", "replay")):
            assert ran(*command, deal, *zh).code == 0
        assert ran("ask", "deal-timeline", deal, *zh).code == 0
    reasons = {reason.key.replace("_", " ") for reason in STANDARD.loss_reasons}
    words = {text for text in missing.messages if text.isascii() and text[0].isalpha()}
    assert words - reasons == set()


@pytest.mark.parametrize("question", [*QUESTIONS.values()], ids=lambda it: it.name)
def test_what_every_answer_counts_and_how_is_said_in_chinese_too(question: Any) -> None:  # noqa: ANN401
    view = get_type_hints(question.answer)["return"]
    for said in (view.population, view.formula):
        assert say(said, "zh") != said


@pytest.mark.parametrize("fact", [*CATALOGUE], ids=lambda fact: fact.kind)
def test_every_field_of_a_fact_and_every_word_of_its_lists_has_its_chinese(
    fact: type[Fact],
) -> None:
    for name, field in fact.model_fields.items():
        assert CHINESE(label_text(name, "zh")), f"{name} has no Chinese"
        for word in words_of(field.annotation):
            said = words_text(name, word, "zh")
            assert CHINESE(said) or word in SAME_IN_CHINESE, f"{word} of {name} has no Chinese"


def records_in(kind: object) -> Iterator[type]:
    """Give the records that a type holds, and those in them; money is told as one."""
    if isinstance(kind, type) and kind not in (Money, Event):
        annotations = fields_of(kind)
        if annotations:
            yield kind
            for each in annotations.values():
                yield from records_in(each)
    for part in get_args(kind):
        yield from records_in(part)


def fields_of(kind: type) -> dict[str, Any]:
    """Give the fields of a record and their types; none of what is no record."""
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return get_type_hints(kind) if hasattr(kind, "_fields") else {}


def told_of_things() -> dict[type, dict[str, Any]]:
    """Give every record that `show` or `history` tells, with its fields and their types."""
    states: dict[type, dict[str, Any]] = {
        kind: {name: get_type_hints(kind.state_class)[name] for name in shown_values(kind)}
        for kind in AGGREGATES
        if kind is not Deal  # of which `show` is a question
    }
    told = [field.annotation for fact in CATALOGUE for field in fact.model_fields.values()]
    told += [each for fields in states.values() for each in fields.values()]
    records = {record: fields_of(record) for kind in told for record in records_in(kind)}
    return {**records, **states}


@pytest.mark.parametrize("record", told_of_things().items(), ids=lambda it: it[0].__name__)
def test_every_value_that_is_shown_of_a_thing_has_its_chinese(record: tuple[type, Any]) -> None:
    kind, fields = record
    for name, annotation in fields.items():
        labels = (
            label_text(name, "zh", kind),
            in_language(called(name, kind), "zh", *contexts_of(kind)),
        )
        for label in labels:
            assert CHINESE(label) or label in SAME_IN_CHINESE, f"{name} has no Chinese"
        for word in words_of(annotation):
            said = words_text(name, word, "zh")
            assert CHINESE(said) or word in SAME_IN_CHINESE, f"{word} of {name} has no Chinese"


def test_what_is_one_word_in_english_is_said_in_chinese_as_it_is_meant() -> None:
    """A target is a figure of goals and a stage of deals, a completed training no day."""
    for title, column, said in (
        ("Contests", "First", "第一名"),
        ("Goals", "Target", "目标值"),
        ("Trainings", "Completed", "已完成"),
        ("People of the training", "Completed", "完成日期"),
        ("Differences from earlier statements", "Events", "相关事件"),
        ("Disputes", "Objection", "异议理由"),
        ("Lines", "Base", "计佣基数"),
    ):
        table = TableOfView(title, (column,), ())
        [(_, [laid])] = titles_and_columns([table], "zh")
        assert laid.name == said
    assert label_text("target", "zh", GoalSet) == "目标值"
    assert label_text("target", "zh", StageMoved) == "目标阶段"
    assert words_text("kind", "refunded", "zh") == "退款"


def words_of(kind: object) -> Iterator[str]:
    """Give the words of the closed lists in a field's type."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for part in get_args(kind):
            yield from words_of(part)


def test_a_word_without_chinese_would_be_noticed() -> None:
    assert [*words_of(tuple[Literal["left_hand"], ...] | None)] == ["left_hand"]
    assert not CHINESE(words_text("hand", "left_hand", "zh"))
    assert not CHINESE(label_text("left_hand", "zh"))


def test_what_is_missing_would_be_noticed(missing: Missing) -> None:
    assert ran("status", "--db", demo().url, "--lang", "zh").code == 0
    assert say("nobody has put this into Chinese", "zh") in missing.messages
