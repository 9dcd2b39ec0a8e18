"""The folder that a pull writes, page by page, and what it needs to go on after an interrupt.

A page is a file as it came. The state stands beside the pages in a hidden file, which importers
do not read; it holds no secret. A page is written before the state says so: after an interrupt
between the two it is fetched again, and stands there once.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["PulledFolder", "ensure_complete", "read_credentials"]


STATE: Final = ".salesflow-pull.json"
OTHERS: Final = 0o077


class PulledFolder:
    """A folder with the pages of one pull."""

    def __init__(self, path: Path, system: str) -> None:
        """Open a folder, or make it.

        Raises:
            InputError: when it holds anything else, or the pull in it is complete.
        """
        self.path = path
        self._system = system
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            there = sorted(each.name for each in path.iterdir())
        except OSError as error:
            raise InputError(
                f"{shortened(path)} cannot be written: {error.strerror}"
            ) from error
        self.state: dict[str, Any] = self._read() if STATE in there else {"system": system}
        if there and STATE not in there:
            raise InputError(
                f"{shortened(path)} is not empty ({there[0]}); name a new folder for a pull"
            )
        if self.state.get("system") != system:
            raise InputError(
                f"{shortened(path)} holds a pull of {self.state.get('system')}, not of {system}"
            )
        if self.state.get("complete"):
            raise InputError(
                f"the pull in {shortened(path)} is complete; import it, or name a new folder"
            )

    def part(self, name: str) -> dict[str, Any]:
        """Return what is known of one part of the pull; changes are kept by `write`."""
        parts: dict[str, dict[str, Any]] = self.state.setdefault("parts", {})
        return parts.setdefault(name, {})

    @property
    def left(self) -> list[str]:
        """What could not be read, and why, also before an interrupt."""
        left: list[str] = self.state.setdefault("left", [])
        return left

    def write(self, name: str, page: int, content: bytes) -> None:
        """Write a page and, once it stands there, that it does."""
        self._replace(f"{name}_{page:05}.json", content)
        self.save()

    def drop(self, name: str) -> None:
        """Delete the pages of a part that begins anew."""
        for path in self.path.glob(f"{name}_*.json"):
            path.unlink()
        self.state["parts"][name] = {}
        self.save()

    def save(self) -> None:
        """Keep how far the pull is."""
        self._replace(STATE, json.dumps(self.state, indent=1).encode())

    def complete(self) -> None:
        """Keep that nothing is left to fetch."""
        self.state["complete"] = True
        self.save()

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads((self.path / STATE).read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{shortened(self.path / STATE)} cannot be read; name a new folder for a pull"
            ) from error
        return state if isinstance(state, dict) else {}

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; it is readable by its owner alone."""
        descriptor, written = tempfile.mkstemp(prefix=".", dir=self.path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(written).replace(self.path / name)
        except OSError as error:
            Path(written).unlink(missing_ok=True)
            message = f"{shortened(self.path / name)} cannot be written: {error.strerror}"
            raise InputError(message) from error


def ensure_complete(path: Path, system: str) -> None:
    """Raise InputError for a folder whose pull was interrupted: half of it is no export."""
    if not (path / STATE).is_file():
        return
    try:
        state = json.loads((path / STATE).read_bytes())
    except (OSError, ValueError):
        state = {}
    if not (isinstance(state, dict) and state.get("complete")):
        raise InputError(
            f"the pull in {shortened(path)} was interrupted; finish it first:"
            f" salesflow pull {system} {shortened(path)}"
        )


def read_credentials(
    path: Path | None, names: tuple[str, ...], prefix: str, optional: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return secrets, each from a file of lines NAME=VALUE, or from the environment.

    `prefix` begins their names, as in ZOHO_CLIENT_ID; those of `optional` may be missing.

    Raises:
        InputError: when one is missing, or others may read the file.
    """
    given = dict(os.environ) if path is None else _lines_of(path)
    found = {
        name: given[f"{prefix}{name.upper()}"]
        for name in (*names, *optional)
        if given.get(f"{prefix}{name.upper()}")
    }
    missing = [f"{prefix}{name.upper()}" for name in names if name not in found]
    if missing:
        where = "the environment" if path is None else shortened(path)
        raise InputError(
            f"{where} has no {', '.join(missing)}; set them there, or name a file with lines"
            " NAME=VALUE by --credentials; they are never given on the command line"
        )
    return found


def _lines_of(path: Path) -> dict[str, str]:
    try:
        if os.name == "posix" and path.stat().st_mode & OTHERS:
            raise InputError(
                f"{shortened(path)} can be read by others; chmod 600 {shortened(path)}"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{shortened(path)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shortened(path)} is no text in UTF-8") from error
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, mark, value in pairs if mark}
