"""Says what a lake folder holds: which files, up to which position of the log, with its digest.

A reader goes by the manifest, which is replaced in one step by a whole one; so nobody ever sees
half an export. Files are never written over. Those that a manifest no longer names stay for a
while, for readers that are at them still.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Any, Final, NamedTuple, Self

from salesflow.adapters.exporters.new_files import named_once_whole
from salesflow.errors import InputError

__all__ = ["LakeFile", "LakeFolder", "LakeManifest", "LakeTable", "first_digest", "next_digest"]


FORMAT: Final = 1
KEPT_SECONDS: Final = 3_600
"""So long files stay that no manifest names any more."""


class LakeFile(NamedTuple):
    """One file: where it lies in the folder, of which bucket it is, and what it holds."""

    path: str
    bucket: str
    rows: int
    bytes: int
    first: int = 0
    """The first position of the log in it; 0 in files of read tables."""
    last: int = 0


class LakeTable(NamedTuple):
    """The files of one read table, and the revision of its fold."""

    revision: int
    files: tuple[LakeFile, ...]


class LakeManifest(NamedTuple):
    """What a folder holds of one tenant."""

    tenant: str
    digits: int
    """A bucket is named by so many hexadecimal digits at the end of the ids of its streams."""
    position: int = 0
    recorded: int = 0
    """When the event at this position was recorded."""
    checksum: int = 0
    """Its checksum, which tells it from others with the time."""
    digest: str = ""
    """What the checksums of all events up to there come to, one after the other."""
    log: tuple[LakeFile, ...] = ()
    tables: Mapping[str, LakeTable] = {}
    tables_at: int = 0
    """Up to which position the read tables go; 0 where none was written."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a manifest as it is written."""
        told: dict[str, Any] = json.loads(text)
        if told.pop("format", None) != FORMAT:
            raise InputError("it is of another version of salesflow; export into a new folder")
        tables = {
            label: LakeTable(table["revision"], _files(table["files"]))
            for label, table in told.pop("tables").items()
        }
        return cls(**{**told, "log": _files(told["log"])}, tables=tables)

    def text(self) -> str:
        """Write it down."""
        tables = {
            label: {"revision": each.revision, "files": [file._asdict() for file in each.files]}
            for label, each in self.tables.items()
        }
        told = {**self._asdict(), "log": [file._asdict() for file in self.log]}
        return json.dumps({"format": FORMAT, **told, "tables": tables}, indent=1) + "\n"

    def files(self) -> list[LakeFile]:
        """Return all files, those of the log first."""
        return [*self.log, *(file for table in self.tables.values() for file in table.files)]


def _files(told: Iterable[Mapping[str, Any]]) -> tuple[LakeFile, ...]:
    return tuple(LakeFile(**each) for each in told)


def first_digest(tenant: str) -> str:
    """Return what a log comes to that holds nothing."""
    return sha256(f"salesflow log of {tenant}".encode()).hexdigest()


def next_digest(digest: str, checksums: Iterable[int]) -> str:
    """Go on with the checksums of the next events, in the order of the log.

    However a log is cut into exports, it comes to the same.
    """
    found = bytes.fromhex(digest)
    for checksum in checksums:
        found = sha256(found + checksum.to_bytes(8, signed=True)).digest()
    return found.hex()


class LakeFolder:
    """A folder on a disk that holds logs and read tables of any number of tenants."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root: Final = Path(root)

    def manifest(self, tenant: str) -> LakeManifest | None:
        """Return what is there of a tenant; None where nothing is.

        Raises:
            InputError: when the folder holds a manifest that cannot be read.
        """
        path = self._manifest(tenant)
        try:
            return LakeManifest.read(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not what an export wrote: {error}") from error

    def manifests(self) -> list[LakeManifest]:
        """Return what is there of all tenants."""
        names = sorted(path.stem for path in self._manifest("any").parent.glob("*.json"))
        return [found for name in names if (found := self.manifest(name)) is not None]

    def replace(self, manifest: LakeManifest) -> None:
        """Let a manifest take the place of the one before, in one step."""
        self.write_text(self._manifest(manifest.tenant), manifest.text())

    def write_text(self, path: Path, text: str) -> None:
        """Write a file that is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        between = path.with_name(f".{path.name}.{token_hex(4)}")
        with named_once_whole(between, path), between.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def remove_unnamed(self, *kept: LakeManifest) -> None:
        """Remove files of a tenant that no manifest names, once nobody can be at them."""
        named = {file.path for manifest in kept for file in manifest.files()}
        long_ago = time() - KEPT_SECONDS
        for path in self.root.glob(f"*/**/tenant={kept[0].tenant}/bucket=*/*.parquet*"):
            with suppress(OSError):  # somebody else removed it
                name = path.relative_to(self.root).as_posix()
                if name not in named and path.stat().st_mtime < long_ago:
                    path.unlink()

    def _manifest(self, tenant: str) -> Path:
        return self.root / "manifests" / f"{tenant}.json"
