"""The program of a process that helps with a rebuild; see `rebuild`.

The first line of its input is the task, each further one a slice; each slice is answered with
a line, null when it is filled, else what went wrong. It ends when its input does.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.projector.rebuild import StreamRange, TableFiller
from salesflow.errors import SalesflowError
from salesflow.projections.registry import FOLDS

__all__ = ["main"]


WAIT_SECONDS = 60.0
"""How long it waits for other writers; what it writes itself takes a moment."""


def main(asked: TextIO, answers: TextIO) -> None:
    """Fill slices until none comes."""
    task = json.loads(asked.readline() or "null")
    if task is None:
        return
    try:
        url = sa.URL.create(**task["url"])
        with Database(url, shared=True, create=False, wait_seconds=WAIT_SECONDS) as database:
            tables = _tables(task, EventLog(database, tenant=task["tenant"]))
            for line in asked:
                tables.fill(StreamRange(*map(UUID, json.loads(line))))
                _answer(answers, None)
    except SalesflowError as error:
        _answer(answers, {"error": type(error).__name__, "message": str(error)})


def _tables(task: Mapping[str, Any], log: EventLog) -> TableFiller:
    folds = {name: FOLDS[label] for name, label in task["tables"].items()}
    return TableFiller(log, folds, PublishedProcesses(log), task["through"])


def _answer(answers: TextIO, words: object) -> None:
    answers.write(json.dumps(words) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
