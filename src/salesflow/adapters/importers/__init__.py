"""Importing: what other systems say happened, recorded as it is, once, with its source named.

`import_table` takes any CSV file and a mapping (docs/import-a-table.md). Ids, the report and
the comparison with what is recorded (`table.reconcile`) are shared by every importer.
"""

from salesflow.adapters.importers.ids import fact_source_id, object_id, parse_object
from salesflow.adapters.importers.report import ImportReport
from salesflow.adapters.importers.table.importer import import_table
from salesflow.adapters.importers.table.mapping import TableMapping
from salesflow.adapters.importers.table.mapping_file import MappingFile, read_mapping

__all__ = [
    "ImportReport",
    "MappingFile",
    "TableMapping",
    "fact_source_id",
    "import_table",
    "object_id",
    "parse_object",
    "read_mapping",
]
