"""Whatever is said to people is said in Chinese too, by a catalogue that is whole."""

import gettext
from collections.abc import Iterator, Sequence
from string import Formatter

import pytest

from catalogues import FOLDER, compiled, messages
from salesflow import STANDARD, Deals, SalesFlow
from salesflow.presentation import messages as presentation
from salesflow.presentation.messages import say, say_count, translated
from simulated import demo, ran

ASKED = (
    "conversion", "deals", "feedback", "flow", "forecast", "funnel", "funnel-trend", "kpis",
    "restatement", "retrospective", "stage-times", "win-loss",
)  # fmt: skip
UNCHECKED = (
    *(("status",), ("check",), ("deal", "list"), ("log",), ("process", "list")),
    *(("process", "show", "standard"), ("project",)),
)


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


def test_the_compiled_catalogue_is_the_written_one() -> None:
    assert compiled() == (FOLDER / "salesflow.mo").read_bytes(), "run `make catalogues`"


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


def test_what_is_missing_would_be_noticed(missing: Missing) -> None:
    assert ran("status", "--db", demo().url, "--lang", "zh").code == 0
    assert say("nobody has put this into Chinese", "zh") in missing.messages
