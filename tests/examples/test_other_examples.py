"""The worker, the event loop, the package and the notebook: each does what its README says."""

import json
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from documents import blocks
from examples.newcomer import EXAMPLES, Newcomer, newcomer
from properties.effort import TORTURE
from salesflow import STANDARD, Deal, Funnel, Money, SalesFlow, Session
from salesflow.projections.pipeline.funnel import FunnelView
from simulated import demo

READMES = sorted(EXAMPLES.rglob("README.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")


@pytest.fixture
def somebody(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newcomer]:
    with newcomer(request.param, tmp_path) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"] if TORTURE > 1 else ["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    """A fresh database; a long run is on both kinds."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


def named(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


@pytest.mark.parametrize("readme", READMES, ids=named)
def test_a_link_of_an_example_leads_somewhere(readme: Path) -> None:
    links = LINK.findall(readme.read_text(encoding="utf-8"))
    assert [link for link in links if not (readme.parent / link).exists()] == []


def test_the_index_names_every_example_and_installs_what_they_need() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = {named(readme.parent) for readme in READMES} - {"."}
    assert [name for name in listed if f"({name}/README.md)" not in index] == []
    [install] = [block.text for block in blocks(EXAMPLES / "README.md")]
    needed = EXAMPLES.glob("*/requirements.txt")
    assert [each for each in needed if f"-r examples/{named(each)}" not in install] == []


@pytest.mark.parametrize("somebody", ["worker"], indirect=True)
def test_two_workers_write_one_letter_for_each_win_and_end_in_order(
    somebody: Newcomer, database: str
) -> None:
    somebody.follow(instead={"sqlite:///sales.db": database})
    with SalesFlow(database) as flow:

        def win(number: int) -> None:
            def work(s: Session) -> None:
                deal = s.add(Deal.open(STANDARD, title=f"商机 {number}", owner="ann"))
                deal.win(Money(number, "CNY"))

            flow.run(work, actor="ann")

        with ThreadPoolExecutor(4) as pool:
            [*pool.map(win, range(1, 21))]
        [first] = [e for e in flow.log.page(0, 99) if e.fact.kind == "deal.won"][:1]
        with flow.session(actor="ann") as s:
            s.retract(first.event_id, because="they signed nothing")
        for terminal in somebody.terminals:
            terminal.says(f"tables at event no. {flow.log.head().position} of")
        told, said = somebody.told(), letters(somebody)
        while len(said) < 22:
            told, said = somebody.wait_for_news(told), letters(somebody)
    ends = [*zip(somebody.terminals, (signal.SIGTERM, signal.SIGINT), strict=True)]
    assert [terminal.end(number) for terminal, number in ends] == [0, 0]
    assert all(each.printed.endswith("ended in order\n") for each in somebody.terminals)
    written = [each.read_text("utf-8") for each in (somebody.folder / "letters").iterdir()]
    assert sorted(f"letter: {text}" for text in written) == sorted(said)
    assert "We were wrong about ERP rollout.\n" in written
    with SalesFlow(database) as flow:
        assert flow.reactors.positions() == {"letters": flow.log.head().position}
    assert len({*written}) == len(written) == 22


def letters(somebody: Newcomer) -> list[str]:
    """Give the letters that workers have told of."""
    lines = [line for terminal in somebody.terminals for line in terminal.lines]
    return [line for line in lines if line.startswith("letter: ")]


@pytest.mark.parametrize("somebody", ["asynchronous"], indirect=True)
def test_a_hundred_requests_in_threads_leave_the_event_loop_free(
    somebody: Newcomer, database: str
) -> None:
    somebody.follow(instead={"sqlite:///requests.db": database})
    with SalesFlow(database) as flow:
        assert flow.ask(Funnel()).open_deals == 1 + 100 + 100 + 1 + 1


@pytest.mark.parametrize("somebody", ["plugin"], indirect=True)
def test_a_package_is_installed_and_its_question_asked(somebody: Newcomer) -> None:
    somebody.follow()
    odd = somebody.run("python -m acme_demos 4711 MES-LINE")
    assert (odd.returncode, "Traceback" in odd.stdout) == (1, False)
    assert "python -m acme_demos DEAL PRODUCT" in odd.stdout


@pytest.mark.parametrize("somebody", ["notebook"], indirect=True)
def test_the_notebook_runs_from_beginning_to_end_and_its_plots_say_what_the_log_says(
    somebody: Newcomer,
) -> None:
    made = Path(demo().url.removeprefix("sqlite:///"))
    (somebody.folder / "demo.db").write_bytes(made.read_bytes())
    somebody.follow(but={"salesflow demo --db demo.db"})
    executed = somebody.folder / "executed.ipynb"
    done = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    outputs = [each for cell in done.cells for each in cell.get("outputs", [])]
    plots = [
        each.data["application/vnd.plotly.v1+json"]
        for each in outputs
        if "application/vnd.plotly.v1+json" in each.get("data", {})
    ]
    titles = [plot["layout"]["title"]["text"] for plot in plots]
    assert len(titles) == 3
    pipeline, sales, learned = plots
    assert {bar["name"] for bar in sales["data"]} == {"as believed then", "as known now"}
    assert len(pipeline["data"][0]["x"]) >= 12
    assert sales["layout"]["yaxis"]["title"]["text"] == "million CNY"
    with SalesFlow(demo().url, create=False) as flow:
        then = flow.ask(
            Funnel(report_currency="CNY"), as_of="2026-04-30", known_at="2026-04-30"
        )
        now = flow.ask(Funnel(report_currency="CNY"), as_of="2026-04-30")
    difference = open_millions(now) - open_millions(then)
    shown = dict(zip(learned["data"][0]["x"], learned["data"][0]["y"], strict=True))
    assert shown["2026-04"] == pytest.approx(difference)
    assert difference != 0
    text = "".join(each.text for each in outputs if each.output_type == "stream")
    assert "The report of 2026-04 was" in text
    assert json.dumps(done.cells).count("Traceback") == 0


def open_millions(view: FunnelView) -> float:
    return float(sum(total.amount for each in view.stages for total in each.amounts)) / 1e6
