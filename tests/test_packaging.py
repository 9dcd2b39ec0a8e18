"""The wheel: what an index page and an installer are told, and what comes with it."""

import ast
import re
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from catalogues import messages

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = {
    "psycopg": "psycopg[binary]",
    "pyiceberg": "pyiceberg[sql-sqlite]",
    "pyspark": "pyspark-client",
}
"""What installs a package, where that is not called as the package is."""
PROMISE = re.compile(
    r"\b(?:needs?|by) (?P<packages>\w+(?: and \w+)*); run:"
    r" pip install 'salesflow\[(?P<extra>\w+)\]'"
).search
EXTRA_NAMED = re.compile(r"\bextras? `(\w+)`").findall


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return ZipFile(next(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def told(wheel: ZipFile) -> Message:
    [name] = [each for each in wheel.namelist() if each.endswith("/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_the_licence_is_named_and_comes_along(wheel: ZipFile, told: Message) -> None:
    assert told["License-Expression"] == "Apache-2.0"
    [licence] = [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    text = wheel.read(licence).decode()
    assert "Apache License" in text
    assert "Copyright 2026 The salesflow authors" in text


def test_an_index_page_tells_who_made_it_and_for_whom(told: Message) -> None:
    assert told["Author"] == "The salesflow authors"
    assert "Intended Audience :: Developers" in (told.get_all("Classifier") or [])
    assert told["Keywords"]


def test_no_link_of_an_index_page_is_dead(told: Message) -> None:
    page = told.get_payload()
    assert isinstance(page, str)
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert [link for link in links if not link.startswith(("http://", "https://"))] == []
    assert "docs/embedding.md" in page


def texts() -> dict[str, str]:
    """Give all that speaks of extras: the package, its documents, the README."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.py")]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def said_by_the_package() -> list[str]:
    """Give every text within its code, those that are written in parts in one."""
    trees = [ast.parse(text) for name, text in texts().items() if name.endswith(".py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def extras(told: Message) -> dict[str, set[str]]:
    """Give what each extra installs, as an index page says it."""
    found: dict[str, set[str]] = {
        extra: set() for extra in told.get_all("Provides-Extra") or ()
    }
    for required in told.get_all("Requires-Dist") or ():
        name, _, extra = required.partition("; extra == ")
        if extra:
            found[extra.strip("'\"")].add(re.split(r"[<>=!~; ]", name)[0])
    return found


def test_every_extra_that_somebody_is_told_to_install_is_there(told: Message) -> None:
    named = {
        (name, extra)
        for name, text in texts().items()
        for listed in re.findall(r"salesflow\[([\w, -]+)\]", text)
        for extra in re.split(r", *", listed)
    }
    assert {extra for _, extra in named} == set(extras(told))
    spoken_of = {extra for text in texts().values() for extra in EXTRA_NAMED(text)}
    assert spoken_of <= set(extras(told))


def test_an_extra_installs_what_is_missing_without_it(told: Message) -> None:
    promised = [found for text in said_by_the_package() if (found := PROMISE(text))]
    assert {found["extra"] for found in promised} == set(extras(told))
    for found in promised:
        for package in found["packages"].split(" and "):
            assert DISTRIBUTIONS.get(package, package) in extras(told)[found["extra"]], found[0]


def test_an_extra_that_is_missing_is_named_in_chinese_too() -> None:
    promised = [text for text in said_by_the_package() if PROMISE(text)]
    assert len(promised) == 12
    assert [text for text in promised if text not in messages()] == []


def test_the_readme_names_every_extra(told: Message) -> None:
    readme = texts()["README.md"]
    begin = readme.index("Extras bring the rest")
    named = re.findall(r"`(?:pip install 'salesflow\[)?(\w+)(?:\]')?`", readme[begin:][:600])
    assert set(extras(told)) <= set(named)


def test_types_come_along(wheel: ZipFile) -> None:
    assert "salesflow/py.typed" in wheel.namelist()


def test_the_chinese_messages_come_along(wheel: ZipFile) -> None:
    names = wheel.namelist()
    assert "salesflow/presentation/locale/zh/LC_MESSAGES/salesflow.mo" in names


def test_only_the_package_comes_along(wheel: ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {re.sub(r"-.*", "", top) for top in tops} == {"salesflow"}
