"""Importing: what other systems say happened, recorded as it is, once, with its source named.

`import_table` takes any CSV file and a mapping (docs/import-a-table.md); what is about tables
lies in `table`. `import_xes` and `import_ocel` take event logs by the same mapping.
Everything else is shared by every importer and knows no table: ids and keys,
reading times and numbers, ordering facts, comparing them with what is recorded (`reconcile`),
appending them batch by batch (`pipeline`), and the report.
"""

from salesflow.adapters.importers.event_logs.importer import import_ocel, import_xes
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
    "import_ocel",
    "import_table",
    "import_xes",
    "object_id",
    "parse_object",
    "read_mapping",
]
