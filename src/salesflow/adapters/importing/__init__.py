"""Importing: what other systems say happened, recorded as it is, once, with its source named.

`import_table` takes any CSV file and a mapping (docs/import-a-table.md). Ids, the report and
the comparison with what is recorded (`recording`) are shared by every importer. A name is
imported when it is first used, so that whoever wants the ids alone loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from salesflow.adapters.importing.ids import fact_source_id, object_id, parse_object
    from salesflow.adapters.importing.mapping import Mapping
    from salesflow.adapters.importing.mapping_file import MappingFile, read_mapping
    from salesflow.adapters.importing.report import ImportReport
    from salesflow.adapters.importing.table import import_table

__all__ = [
    "ImportReport",
    "Mapping",
    "MappingFile",
    "fact_source_id",
    "import_table",
    "object_id",
    "parse_object",
    "read_mapping",
]

_HOMES = {
    "ImportReport": "report",
    "Mapping": "mapping",
    "MappingFile": "mapping_file",
    "fact_source_id": "ids",
    "import_table": "table",
    "object_id": "ids",
    "parse_object": "ids",
    "read_mapping": "mapping_file",
}

if not TYPE_CHECKING:  # so that a type checker still refuses a name that is not there

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return __all__
