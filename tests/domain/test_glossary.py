"""One word for one thing: the glossary names every fact and every stage, in two languages."""

import re
from pathlib import Path

import pytest

from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import Fact
from salesflow.domain.standard_process import STANDARD

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = {
    row[0].strip("`"): row[1:]
    for line in GLOSSARY.splitlines()
    if line.startswith("| `")
    for row in [[cell.strip() for cell in line.strip("|").split("|")]]
}
MARKS = re.compile("[†‡]")


@pytest.mark.parametrize("fact", list(CATALOGUE), ids=lambda fact: fact.kind)
def test_every_fact_is_in_the_glossary_with_its_chinese_term(fact: type[Fact]) -> None:
    assert fact.__name__ in ROWS, f"docs/glossary.md has no line for {fact.__name__}"
    chinese, meaning, *_ = ROWS[fact.__name__]
    assert MARKS.sub("", chinese) == fact.name_zh
    assert meaning


def test_every_fact_of_the_glossary_is_one() -> None:
    facts = GLOSSARY.split("## Facts")[1].split("## Questions")[0]
    named = re.findall(r"^\| `(\w+)`", facts, re.MULTILINE)
    assert sorted(named) == sorted(fact.__name__ for fact in CATALOGUE)


def test_the_built_in_stages_are_called_as_in_the_glossary() -> None:
    for stage in STANDARD.stages:
        assert ROWS[stage.key][1] == stage.name_zh
