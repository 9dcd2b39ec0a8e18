"""The figures of a run of `benchmarks.questions`, and how they stand in docs/performance.md.

    python -m benchmarks.report FILE …

Each file is what `--json` wrote; several are shown as one run. It prints Markdown: for each
database and mix a table of all questions by size, and one of those that SQL answers too.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

__all__ = ["Asked", "Figures", "by_question", "exponent"]


class Figures(NamedTuple):
    """What one question came to at one moment on one log."""

    question: str
    moment: str
    database: str
    mix: str
    events: int
    ms_median: float
    ms_p95: float
    mb_peak: float
    duckdb_ms_median: float | None
    """None where no SQL is written for it."""


class Asked(NamedTuple):
    """Of what figures are beside one another, one for each size."""

    database: str
    mix: str
    question: str
    moment: str


def by_question(found: Sequence[Figures]) -> dict[Asked, list[Figures]]:
    """Return the figures of all sizes of what was asked, the small ones first."""
    points: defaultdict[Asked, list[Figures]] = defaultdict(list)
    for each in sorted(found, key=lambda each: each.events):
        points[Asked(each.database, each.mix, each.question, each.moment)].append(each)
    return points


def exponent(points: Sequence[Figures]) -> float | None:
    """Return the power of the events by which time grows; None of fewer than two sizes.

    It is the slope of the line nearest to the logarithms of times over those of sizes.
    """
    if len(points) < 2:
        return None
    sizes = [math.log(each.events) for each in points]
    times = [math.log(each.ms_median) for each in points]
    return linear_regression(sizes, times).slope


def main(files: Sequence[str]) -> None:
    """Print what the files hold."""
    read = (json.loads(Path(file).read_text(encoding="utf-8")) for file in files)
    points = by_question([Figures(**figures) for found in read for figures in found])
    for where in dict.fromkeys((asked.database, asked.mix) for asked in points):
        rows = {asked: points[asked] for asked in points if asked[:2] == where}
        print(f"### {where[0]}, {where[1]} mix\n")
        print("\n".join(all_of(rows)), end="\n\n")
        print("\n".join(beside_sql(rows)), end="\n\n")


def all_of(rows: dict[Asked, list[Figures]]) -> Iterator[str]:
    """Yield the table of all questions: median (95th percentile) and peak by size, power."""
    first = next(iter(rows.values()))
    yield f"| question | moment |{''.join(f' {each.events:,} |' for each in first)} power |"
    yield "|---|---|" + "---|" * (len(first) + 1)
    for asked, found in rows.items():
        cells = [
            f"{milliseconds(each.ms_median)} ({milliseconds(each.ms_p95)}) ms,"
            f" {each.mb_peak:,.0f} MB"
            for each in found
        ]
        power = exponent(found)
        cells.append("" if power is None else f"{power:.2f}")
        yield f"| {asked.question} | {asked.moment} | {' | '.join(cells)} |"


def beside_sql(rows: dict[Asked, list[Figures]]) -> Iterator[str]:
    """Yield the table of what SQL answers too: both medians by size."""
    first = next(iter(rows.values()))
    yield f"| salesflow, DuckDB | moment |{''.join(f' {each.events:,} |' for each in first)}"
    yield "|---|---|" + "---|" * len(first)
    for asked, found in rows.items():
        if all(each.duckdb_ms_median is not None for each in found):
            cells = [
                f"{milliseconds(each.ms_median)}, {milliseconds(each.duckdb_ms_median or 0)} ms"
                for each in found
            ]
            yield f"| {asked.question} | {asked.moment} | {' | '.join(cells)} |"


def milliseconds(time: float) -> str:
    """Write a time with one place where it is short."""
    return f"{time:,.1f}" if time < 10 else f"{time:,.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
