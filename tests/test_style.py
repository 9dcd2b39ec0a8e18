"""The style guide as far as a machine can read it, and what the repository must never hold."""

import ast
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from documents import blocks
from salesflow.domain.catalogue import CATALOGUE
from salesflow.projections.registry import FOLDS, QUESTIONS
from salesflow.projections.table import OnState

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "salesflow"
MODULES = sorted(SOURCE.rglob("*.py"))
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 40
MATCH_LINES_MAX = 60
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}
CLOCK_OWNERS = ("engine", "adapters")
REGISTRY_HOSTS = ("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.", r"deb\." + "debian")
LATER = "TO" + "DO|FIX" + "ME|XX" + "X"
HOMES = r"/(?:home|root|Users)/\w"

UNPLAIN = ("Give ", "Say whether ", "Insist ")
"""Of a function that returns something its docstring says so: Return, Yield, Whether."""

HOW_TO = sorted((ROOT / "docs").glob("add-*.md"))
OF_A_PAGE = "ANN,D,E402,T20,TID251"
"""What ruff does not ask of a page: it prints, imports on its way, and turns its own clock."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def named(module: Path) -> str:
    return str(module.relative_to(SOURCE))


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def functions(module: Path) -> Iterator[Function]:
    for node in ast.walk(tree(module)):
        if isinstance(node, Function):
            yield node


def assigns_all(module: Path) -> bool:
    for node in tree(module).body:
        given = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            given = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in given):
            return True
    return False


def only_documents(module: Path) -> bool:
    return module.name == "__init__.py" and len(tree(module).body) <= 1


def texts() -> dict[str, str]:
    """Give every text file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found = {}
    for name in listed.stdout.splitlines():
        try:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return found


def lines_with(pattern: str) -> list[str]:
    wanted = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if wanted.search(line)
    ]


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_module_fits_six_hundred_lines(module: Path) -> None:
    lines = module.read_text(encoding="utf-8").count("\n")
    assert lines <= MODULE_LINES_MAX


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_function_fits_a_screen(module: Path) -> None:
    for function in functions(module):
        one_match = "domain" in module.parts and any(
            isinstance(node, ast.Match) for node in function.body
        )
        most = MATCH_LINES_MAX if one_match else FUNCTION_LINES_MAX
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= most, f"{function.name} has {lines} lines"


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_module_says_what_it_is_for_and_what_it_offers(module: Path) -> None:
    assert ast.get_docstring(tree(module)), "no docstring"
    assert assigns_all(module) or only_documents(module), "no __all__"


ELSEWHERE = {"Application", "array_send", "configure", "context", "sslmode"}
"""What docstrings name of libraries and databases."""
BACKTICKS = re.compile(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`")


def test_no_two_classes_have_one_name() -> None:
    found = defaultdict(list)
    for module in MODULES:
        for node in tree(module).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(named(module))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_what_a_docstring_names_is_there() -> None:
    names, told = set(ELSEWHERE), []
    for module in MODULES:
        names.update(*module.parts, [module.stem])
        with module.open("rb") as source:
            for token in tokenize.tokenize(source.readline):
                is_text = token.type == tokenize.STRING
                if token.type == tokenize.COMMENT or (is_text and '"""' in token.string[:4]):
                    told += [(named(module), text) for text in BACKTICKS.findall(token.string)]
                elif is_text or token.type == tokenize.NAME:
                    names.update(re.findall(r"\w+", token.string))
    missing = {
        (module, text)
        for module, text in told
        if not text.startswith("salesflow_")
        and not names.issuperset(text.rstrip(".").split("."))
    }
    assert not missing
    assert not [(module, text) for module, text in told if is_elsewhere(text)]


@cache
def homes() -> dict[str, set[str]]:
    """Return by the name of every function and class of the package the modules it is of."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for node in tree(module).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] |= {module.stem, *module.parts}
    return found


def is_elsewhere(text: str) -> bool:
    """Return whether `module.name` names a module that has no such function or class."""
    path, dot, name = text.rstrip(".").rpartition(".")
    module = path.rpartition(".")[2]
    if not dot or module[:1].isupper() or name in {each.stem for each in MODULES}:
        return False
    return name in homes() and module not in homes()[name]


def test_a_docstring_that_is_wrong_would_be_found() -> None:
    assert is_elsewhere("history.without_retracted")
    assert not is_elsewhere("event.without_retracted")
    assert BACKTICKS.findall("see `look_again` and `EventLog.append(…)`") == [
        "look_again",
        "EventLog.append",
    ]


def importers() -> dict[Path, set[Path]]:
    """Return who imports each module."""
    modules = {
        f"salesflow.{'.'.join(each.relative_to(SOURCE).with_suffix('').parts)}": each
        for each in MODULES
    }
    found: dict[Path, set[Path]] = {each: set() for each in MODULES}
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                found[modules[node.module]].add(module)
    return found


def test_a_module_that_one_other_uses_says_why_it_stands_alone() -> None:
    """One of its own folder: commands, questions and fronts of a layer are named elsewhere."""
    for module, users in importers().items():
        beside = {user for user in users if user.parent == module.parent}
        if len(users) == 1 and beside and not {"__init__.py"} & {user.name for user in users}:
            text = " ".join((ast.get_docstring(tree(module)) or "").split())
            assert "module of its own" in text, named(module)


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_docstring_begins_with_a_plain_verb(module: Path) -> None:
    for function in functions(module):
        text = ast.get_docstring(function) or ""
        returns = function.returns and ast.unparse(function.returns) != "None"
        if "with_context" not in "".join(map(ast.unparse, function.decorator_list)) and returns:
            assert not text.startswith(UNPLAIN), f"{function.name}: {text.splitlines()[0]}"


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_only_the_engine_and_the_adapters_read_a_clock(module: Path) -> None:
    if module.relative_to(SOURCE).parts[0] in CLOCK_OWNERS:
        return
    read = [
        node.lineno
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in CLOCKS
    ]
    assert read == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    assert lines_with(rf"\b({LATER})\b") == []


def test_no_registry_host_is_named() -> None:
    assert lines_with("|".join(REGISTRY_HOSTS)) == []


def test_no_path_of_one_machine_is_written_down() -> None:
    own = [re.escape(f"{folder}/") for folder in (ROOT, ROOT.parent) if folder != Path("/")]
    assert lines_with(rf"(?<![\w.])({'|'.join([HOMES, *own])})") == []


@pytest.mark.parametrize("listed", ["", "-dev", "-lowest"])
def test_every_package_installed_is_pinned_to_one_version(listed: str) -> None:
    lines = requirements(listed)
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_every_package_the_project_asks_for_is_pinned() -> None:
    pinned = {line.partition("==")[0] for line in [*requirements(), *requirements("-dev")]}
    assert {name for name, _ in asked_for()} - pinned == set()


def test_what_the_demo_needs_is_installed_apart_from_what_the_tests_need() -> None:
    lean = {line.partition("==")[0] for line in requirements()}
    assert lean.isdisjoint(line.partition("==")[0] for line in requirements("-dev"))
    assert lean.isdisjoint({"mypy", "pandas", "pyarrow", "pytest", "psycopg"})


def test_what_the_demo_installs_answers_every_question_on_the_command_line() -> None:
    lean = {line.partition("==")[0] for line in requirements()}
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = found["optional-dependencies"]
    needed = [*found["dependencies"], *extras["cli"]]
    assert {re.split(r"[<>=\[]", each)[0].lower() for each in needed} - lean == set()


def test_the_oldest_version_allowed_is_the_oldest_one_tested() -> None:
    oldest = dict(line.split("==") for line in requirements("-lowest"))
    floors = {name: floor for name, floor in asked_for("project") if floor}
    tested = {name: oldest.get(name, "none") for name in floors}
    assert {
        name: version for name, version in tested.items() if not same(version, floors[name])
    } == {}


def test_every_package_the_package_asks_for_is_imported() -> None:
    code = "\n".join(module.read_text(encoding="utf-8") for module in MODULES)
    named = {"currencyconverter": "currency_converter", "pyspark-client": "pyspark"}
    unused = {
        name
        for name, _ in asked_for("project")
        if not re.search(rf"\b{named.get(name, name)}\b", code)
    }
    assert unused == {"plotly"}  # what docs/notebooks.md draws with


def requirements(which: str = "") -> list[str]:
    file = ROOT / f"requirements{which}.txt"
    return file.read_text(encoding="utf-8").lower().splitlines()


def asked_for(*parts: str) -> list[tuple[str, str]]:
    """Give name and lowest version of what pyproject.toml asks for."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = found["project"]["optional-dependencies"].values()
    asked = [*found["project"]["dependencies"], *(each for extra in extras for each in extra)]
    if not parts:
        asked += [*found["dependency-groups"]["dev"], *found["build-system"]["requires"]]
    pairs = (re.match(r"([\w-]+)(?:\[[\w,]+\])?(?:>=([\d.]+))?", each) for each in asked)
    return [(pair[1].lower(), pair[2] or "") for pair in pairs if pair]


def same(version: str, floor: str) -> bool:
    """Say whether two versions are one, as 9.5 and 9.5.0 are."""
    parts = [each.split(".") for each in (version, floor)]
    longest = max(map(len, parts))
    first, second = ([*map(int, each), *[0] * (longest - len(each))] for each in parts)
    return first == second


def test_imports_run_one_way_only() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_fold_is_allowed_to_know_a_question() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(
        [layer.split(" | ") for layer in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["salesflow.projections"]
    )
    above = {name for layer in layers[: layers.index(["folds"])] for name in layer}
    assert {question.__module__.split(".")[2] for question in QUESTIONS.values()} <= above


AMONG_THE_FOLDS = ("salesflow.projections.folds.", "salesflow.projections.deal_bookings")
"""Where rows of folds are made; those of two are made in one place below them."""


def test_every_fold_lives_among_the_folds() -> None:
    for fold in FOLDS.values():
        rows = fold.start.rows if isinstance(fold.start, OnState) else fold.start
        assert rows.__module__.startswith(AMONG_THE_FOLDS)


def test_every_question_and_fact_is_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", glossary))
    offered = [*QUESTIONS.values(), *CATALOGUE]
    assert [named.__name__ for named in offered if named.__name__ not in words] == []


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_what_a_how_to_page_shows_is_as_clean_as_the_package(page: Path) -> None:
    shown = [block.text for block in blocks(page) if block.language == "python"]
    apart = shown if page.stem == "add-a-fact" else ["".join(shown)]
    for code in shown:
        assert ruff("format", "--diff", code=code) == ""
    for code in apart:
        assert ruff("check", "--quiet", f"--ignore={OF_A_PAGE}", code=code) == ""


def test_what_a_how_to_page_shows_is_as_well_typed_as_the_package(tmp_path: Path) -> None:
    """A fact is shown by its changes, which `test_docs.py` checks in a copy."""
    for page in HOW_TO:
        shown = [block.text for block in blocks(page) if block.language == "python"]
        if page.stem != "add-a-fact":
            (tmp_path / f"{page.stem.replace('-', '_')}.py").write_text(
                "\n".join(shown), "utf-8"
            )
    pages = sorted(map(str, tmp_path.iterdir()))
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *pages]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    wrong = [line for line in done.stdout.splitlines() if "[possibly-undefined]" not in line]
    assert len(pages) == len(HOW_TO) - 1
    assert wrong == []


def ruff(*options: str, code: str) -> str:
    """Run ruff over code as if it were a file of the documents; give its complaints."""
    command = [sys.executable, "-m", "ruff", *options, "--stdin-filename", "docs/shown.py", "-"]
    done = subprocess.run(
        command, cwd=ROOT, input=code, check=False, capture_output=True, text=True
    )
    return done.stdout
