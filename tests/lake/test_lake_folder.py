"""A lake folder holds what the log and the read tables held at one position, whole or not at all.

Every question an analyst asks of it in SQL is answered as `flow.ask` answers it.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks.answers import question_of  # the questions and moments of the benchmark
from benchmarks.duckdb_sql import COMPARED, AnalystSql
from benchmarks.skewed_log import skewed_log
from lake.rows import content, only, tell
from properties.raw_log import rows_of
from salesflow import SalesFlow
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.lake import lake_export, log_export, manifest, tables_export
from salesflow.adapters.lake.log_columns import arrow_of_log, raw_rows
from salesflow.adapters.lake.manifest import LakeFolder, LakeManifest
from salesflow.domain.time import from_instant
from salesflow.errors import InputError
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import IntervalTable
from simulated import ran
