"""The processes of a log: what alerts and people name stages and processes by."""

from typing import TYPE_CHECKING, Final

from salesflow.adapters.event_store.search import beginning_with
from salesflow.domain.process import ProcessPublished, SalesProcess

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = ["published_processes"]

PROCESSES_MAX: Final = 10_000


def published_processes(flow: "SalesFlow") -> list[SalesProcess]:
    """Return the processes that were published."""
    ids = beginning_with(flow.log, "", opened_by=ProcessPublished, limit=PROCESSES_MAX)
    return [flow.get(SalesProcess, id) for id in ids]
