"""Whatever a document shows is run as shown, so that no document can drift from the code."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from documents import Block, blocks, commands, run_console, run_python, same_output

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.parts
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
MADE = re.compile(r"\bmake ([a-z]+)\b")


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def shows_code(document: Path) -> bool:
    return any(block.language in {"python", "console"} for block in blocks(document))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A newcomer's folder: empty but for the examples."""
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SALESFLOW_DB", raising=False)
    return tmp_path


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("document", filter(shows_code, DOCUMENTS), ids=named)
def test_what_a_document_shows_is_what_happens(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace: dict[str, Any] = {"__name__": "document"}
    printed = ""
    for block in blocks(document):
        where = f"{named(document)}:{block.line}"
        if block.language == "python":
            printed = run_python(block, document, namespace)
        elif block.language == "text":
            assert same_output(block.text, printed), f"{where} prints\n{printed}"
        elif block.language == "console":
            run_block(block, where, monkeypatch)


def run_block(block: Block, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shown in commands(block):
        if shown.command.startswith("export "):
            name, _, value = shlex.split(shown.command)[1].partition("=")
            monkeypatch.setenv(name, value)
            continue
        assert shown.command.startswith("salesflow "), f"{where}: cannot run {shown.command}"
        code, printed = run_console(shown.command)
        assert not shown.output or same_output(shown.output, printed), (
            f"{where}: `{shown.command}` prints\n{printed}"
        )
        assert code == 0, f"{where}: `{shown.command}` exits {code}:\n{printed}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_a_link_between_documents_leads_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_a_document_names_only_what_can_be_made(document: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    code = " ".join(re.findall(r"`([^`\n]*)`", document.read_text(encoding="utf-8")))
    code += " ".join(block.text for block in blocks(document) if block.language == "sh")
    assert set(MADE.findall(code)) <= targets


def test_decision_records_are_numbered_without_a_gap() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
