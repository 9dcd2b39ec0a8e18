"""The wheel: what an index page and an installer are told, and what comes with it."""

import re
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


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


def test_types_come_along(wheel: ZipFile) -> None:
    assert "salesflow/py.typed" in wheel.namelist()


def test_only_the_package_comes_along(wheel: ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {re.sub(r"-.*", "", top) for top in tops} == {"salesflow"}
