"""`salesflow export lake` writes Parquet for other engines, `upgrade` lays the log out anew."""

from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.context import CommandContext, size_of, with_context
from salesflow.domain.time import from_instant
from salesflow.presentation.format import local_time

if TYPE_CHECKING:
    from salesflow.adapters.lake.lake_export import LakeExport

__all__ = ["export", "upgrade"]


@with_context
def export(
    context: CommandContext,
    *,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="A new folder, or one of this log, which is gone on with."
        ),
    ],
    bucket_digits: Annotated[
        int | None,
        typer.Option(
            "--bucket-digits",
            metavar="N",
            help="Cut into 16, 256, 4,096 … buckets by so many digits; 1 in a new folder.",
            show_default=False,
        ),
    ] = None,
    iceberg: Annotated[
        bool, typer.Option("--iceberg", help="Name the files as Iceberg tables as well.")
    ] = False,
) -> None:
    """Write the log and the read tables as Parquet, by tenant and bucket of the stream."""
    with context.open() as flow:
        with context.screen.progress(context.screen.word("Read tables")) as report:
            made = flow.exports.lake(
                folder, digits=bucket_digits, iceberg=iceberg, progress=report
            )
        _tell(context, made, folder, flow.settings().timezone)


def _tell(context: CommandContext, made: "LakeExport", folder: str, zone: ZoneInfo) -> None:
    manifest, size = made.manifest, sum(file.bytes for file in made.written)
    recorded = from_instant(manifest.recorded)
    context.screen.json(
        {
            "folder": folder,
            "tenant": manifest.tenant,
            "position": manifest.position,
            "recorded_at": recorded.isoformat(),
            "digest": manifest.digest,
            "files": len(manifest.files()),
            "files_written": len(made.written),
            "bytes_written": size,
        }
    )
    wrote = f"wrote {len(made.written):,} files ({size_of(size)}) into {folder}"
    context.screen.line(f"{wrote}, which holds {len(manifest.files()):,}")
    at = local_time(recorded, zone)
    context.screen.line(f"up to position {manifest.position:,}, recorded at {at}")
    context.screen.line(f"read it with: duckdb -init {folder}/{manifest.tenant}.sql")


@with_context
def upgrade(
    context: CommandContext,
    *,
    partition: Annotated[
        list[str] | None,
        typer.Option(
            "--partition",
            metavar="TENANT",
            help="Give a large tenant a partition of its own; may be said again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring a database to the newest schema version: on PostgreSQL, the log by tenant."""
    from salesflow.adapters.database.upgrade import upgrade as upgrade_database
    from salesflow.adapters.event_store.log import ensure_tenant

    for tenant in partition or ():
        ensure_tenant(tenant)
    with context.open() as flow:
        made = upgrade_database(flow.log.database, partition or ())
    context.screen.json(
        {"before": made.before, "after": made.after, "partitions": dict(made.partitions)}
    )
    went = f"schema version {made.before}, now {made.after}"
    stays = f"schema version {made.after}, the newest one of this kind of database"
    context.screen.line(stays if made.before == made.after else went)
    for name, bound in made.partitions.items():
        context.screen.line(f"{name}: {bound}")
