"""Whatever a document shows is run as shown, so that no document can drift from the code."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from documents import Block, blocks, commands, run_console, run_python, same_output
from properties.effort import TORTURE
from salesflow import SalesFlow
from simulated import demo

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.parts
)
ADD_A_FACT = ROOT / "docs" / "add-a-fact.md"
SQLITE = re.compile(r'"sqlite:///\w+\.db"')
BREAKABLE_BY_A_FACT = (
    "tests/domain",
    "tests/cli/test_deals.py",
    "tests/importing/test_import_document.py",
    "tests/test_docs.py",
    "tests/test_messages.py",
    "tests/test_public_api.py",
    "tests/test_style.py",
)
NOT_AGAIN = (
    "not postgresql and not a_fact_is_added and not printed_of_the_demo and not how_to_page"
)
"""What the copy leaves out: the other database, a copy of itself, what shows no new fact."""
NOT_HANDED_ON = {"SALESFLOW_TORTURE", "HYPOTHESIS_PROFILE"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
CHANGED = re.compile(r"^\+\+\+ b/(.*)$", re.MULTILINE)
HUNK = re.compile(r"^@@.*\n((?: .*\n|\n)*)((?:\+.*\n)+)((?: .*\n|\n)*)", re.MULTILINE)
FIRST_SIGN = re.compile(r"^.", re.MULTILINE)
MADE = re.compile(r"\bmake ([a-z]+)\b")


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def shown_code(document: Path) -> str:
    """Give the Python a document shows and runs."""
    if document == ADD_A_FACT:
        return ""
    return "".join(block.text for block in blocks(document) if block.language == "python")


def shows_code(document: Path) -> bool:
    return bool(shown_code(document)) or any(
        block.language == "console" for block in blocks(document)
    )


def opens_a_database(document: Path) -> bool:
    """Say whether a document makes a database of its own; the demo's is a file of SQLite."""
    names = {found[0] for found in SQLITE.finditer(shown_code(document))}
    return bool(names - {'"sqlite:///demo.db"'})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A newcomer's folder: empty but for the examples."""
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SALESFLOW_DB", raising=False)
    return tmp_path


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("document", [*filter(shows_code, DOCUMENTS)], ids=named)
def test_what_a_document_shows_is_what_happens(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--db demo.db" in document.read_text(encoding="utf-8"):
        shutil.copy(demo().url.removeprefix("sqlite:///"), "demo.db")
    with closing_flows() as namespace:
        for block, where in walk(document, namespace):
            if block.language == "console":
                run_block(block, where, monkeypatch)


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("document", [*filter(opens_a_database, DOCUMENTS)], ids=named)
def test_the_same_happens_on_postgresql_by_url_alone(document: Path, postgres_url: str) -> None:
    with closing_flows() as namespace:
        for _ in walk(document, namespace, database=postgres_url):
            pass


def walk(
    document: Path, namespace: dict[str, Any], *, database: str | None = None
) -> Iterator[tuple[Block, str]]:
    """Run a document's Python from top to bottom; give every block once it has run."""
    printed = ""
    for block in blocks(document):
        where = f"{named(document)}:{block.line}"
        if block.language == "python":
            if database is not None:
                block = block._replace(text=SQLITE.sub(f'"{database}"', block.text))
            printed = run_python(block, document, namespace)
        elif block.language == "text":
            assert same_output(block.text, printed), f"{where} prints\n{printed}"
        yield block, where


@contextmanager
def closing_flows() -> Iterator[dict[str, Any]]:
    """Give a module for a document, and close what it left open when it failed."""
    module = sys.modules["document"] = ModuleType("document")
    namespace = vars(module)
    try:
        yield namespace
    finally:
        del sys.modules["document"]
        for value in namespace.values():
            if isinstance(value, SalesFlow):
                value.close()


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


def test_a_fact_is_added_by_what_the_document_shows(tmp_path: Path) -> None:
    demo()  # here, so that the copy need not
    copy_project(tmp_path)
    fact, *rest = (block for block in blocks(ADD_A_FACT) if block.language == "diff")
    complaint, seen = (block for block in blocks(ADD_A_FACT) if block.language == "text")
    test, see = (block for block in blocks(ADD_A_FACT) if block.language == "python")
    file = tmp_path / test.text.splitlines()[0].removeprefix("# ")

    touched = apply(fact, tmp_path)
    checks = ("mypy", "--follow-imports=silent", "--no-error-summary", touched)
    assert same_output(complaint.text, ran(*checks, cwd=tmp_path, refused=True))

    for change in rest:
        apply(change, tmp_path)
    file.write_text(test.text, encoding="utf-8")
    ran("stored_format", cwd=tmp_path)
    ran("catalogues", cwd=tmp_path)
    assert ran(*checks, cwd=tmp_path) == ""

    (tmp_path / "see.py").write_text(see.text, encoding="utf-8")
    assert same_output(seen.text, ran("see", cwd=tmp_path))
    (tmp_path / "see.py").unlink()
    (tmp_path / "demos.db").unlink()

    broken = BREAKABLE_BY_A_FACT if TORTURE == 1 else ("tests",)
    ran("pytest", "-qpno:cacheprovider", f"-k{NOT_AGAIN}", *broken, cwd=tmp_path)


def apply(diff: Block, folder: Path) -> str:
    """Insert what a diff adds to a file, also where other facts stand around it by now."""
    shown_at = f"{named(ADD_A_FACT)}:{diff.line}"
    [name], hunks = CHANGED.findall(diff.text), HUNK.findall(diff.text)
    assert len(hunks) == diff.text.count("\n@@"), f"{shown_at}: a hunk adds lines at one place"
    text = (folder / name).read_text(encoding="utf-8")
    for hunk in hunks:
        before, new, after = (FIRST_SIGN.sub("", part) for part in hunk)
        for left, right in ((before, after), (before, ""), ("", after)):
            if text.count(f"\n{left}{right}") == 1:
                text = text.replace(f"\n{left}{right}", f"\n{left}{new}{right}")
                break
        else:
            pytest.fail(f"{shown_at}: renew this diff, {name} has no lines\n{before}{after}")
    (folder / name).write_text(text, encoding="utf-8")
    return str(name)


def copy_project(folder: Path) -> None:
    """Make a repository of what is in this one, or is about to be."""
    ran("git", "init", "--quiet", cwd=folder)
    listed = ran(
        "git",
        "-c",
        "core.quotepath=off",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        cwd=ROOT,
    )
    for name in filter(lambda name: (ROOT / name).is_file(), listed.splitlines()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def ran(*command: str, cwd: Path, refused: bool = False) -> str:
    """Run a tool in a copy of the project; give what it prints."""
    tool, *arguments = command
    called = [tool] if tool == "git" else [sys.executable, "-m", tool]
    done = subprocess.run(
        [*called, *arguments],
        cwd=cwd,
        env={
            **{name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON},
            "PYTHONPATH": os.pathsep.join(map(str, (cwd, cwd / "src", cwd / "tests"))),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == refused, done.stdout + done.stderr
    return done.stdout


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
