"""Importing: what other systems say happened, recorded as it is, once, with its source named.

`import_table` takes any CSV file and a mapping (docs/import-a-table.md). Ids, the report and
the comparison with what is recorded (`recording`) are shared by every importer.
"""

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
