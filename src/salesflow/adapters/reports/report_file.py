"""The TOML file of the outbox as far as reports go: their tables, the template of links."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from salesflow.adapters.outbox.endpoints import TABLES, file_content
from salesflow.adapters.reports.definitions import (
    ReportDefinition,
    ensure_known_keys,
    read_reports,
)
from salesflow.domain.alike_names import perhaps
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = ["ReportFile", "read_report_file"]


class ReportFile(NamedTuple):
    """The reports of a file, and the template of the links to their answers."""

    path: str
    reports: Mapping[str, ReportDefinition]
    link: str | None

    def named(self, name: str) -> ReportDefinition:
        """Return the report of a name.

        Raises:
            InputError: when there is none, with those there are.
        """
        if name not in self.reports:
            there = ", ".join(self.reports) or "none"
            raise InputError(
                f"{self.path} defines no report {quoted(name)}{perhaps(name, self.reports)};"
                f" there are {there}"
            )
        return self.reports[name]


def read_report_file(file: str | PathLike[str]) -> ReportFile:
    """Read the reports of a TOML file.

    Raises:
        InputError: naming the file, the report, what is wrong and what to write instead.
    """
    path = Path(file)
    if not path.exists():
        raise InputError(
            f"there is no file {shortened(path)} with endpoints and reports; make it, or name"
            " another one"
        )
    try:
        raw = file_content(path)
        ensure_known_keys(raw, TABLES)
    except InputError as error:
        raise InputError(f"{shortened(path)}: {error}") from error
    reports = read_reports(raw.get("report", []), _endpoints(raw), kept_in=path.name)
    link = raw.get("link")
    if link is not None and not isinstance(link, str):
        raise InputError(f"{path.name}: link is {quoted(link)}; write a URL in quotes")
    return ReportFile(path.name, reports, link)


def _endpoints(raw: Mapping[str, Any]) -> dict[str, bool]:
    """Return the names of the endpoints, and whether texts about people go to each."""
    tables = raw.get("endpoint", [])
    listed = tables if isinstance(tables, list) else []
    return {
        each["name"]: each.get("personal") is True
        for each in listed
        if isinstance(each, Mapping) and isinstance(each.get("name"), str)
    }
