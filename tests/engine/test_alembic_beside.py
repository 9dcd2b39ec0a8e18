"""A service's migrations leave the log alone, whatever Alembic finds beside its models."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.embedding import include_name, include_object
from salesflow.errors import SchemaError
from salesflow.projections.pipeline.funnel import Funnel

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("orders", metadata, sa.Column("number", sa.Integer, primary_key=True),
         sa.Column("deal", sa.Text, index=True){more})
"""
ENV = """
import runpy
import sqlalchemy as sa
from alembic import context
from salesflow.embedding import include_name, include_object

models = runpy.run_path({models!r})
engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"),
                          poolclass=sa.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=models["metadata"],
                      render_as_batch=connection.dialect.name == "sqlite",
                      include_schemas={schemas}{option})
    with context.begin_transaction():
        context.run_migrations()
"""


class Service:
    """A service with models, migrations and a log in one database."""

    def __init__(self, folder: Path, url: str, option: str, *, schemas: bool = False) -> None:
        self.folder, self.url = folder, url
        self.models = folder / "models.py"
        self.write_models("")
        self.config = Config(folder / "alembic.ini")
        self.config.set_main_option("script_location", str(folder / "migrations"))
        self.config.set_main_option("path_separator", "os")
        self.config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        command.init(self.config, str(folder / "migrations"))
        (folder / "migrations" / "env.py").write_text(
            ENV.format(models=str(self.models), schemas=schemas, option=option)
        )

    def write_models(self, more: str) -> None:
        self.models.write_text(MODELS.format(more=more))

    def revise(self) -> str:
        """Write a migration of what is different, and give its text."""
        script = command.revision(self.config, "next", autogenerate=True)
        assert script is not None
        assert not isinstance(script, list)
        return Path(script.path).read_text()

    def upgrade(self) -> None:
        command.upgrade(self.config, "head")


def open_a_deal(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Deal.open(STANDARD, title="Order 7", owner="shop"))


@pytest.mark.parametrize(
    ("option", "schemas"),
    [
        (", include_name=include_name", False),
        (", include_name=include_name", True),
        (", include_object=include_object", True),
    ],
)
def test_migrations_of_a_service_leave_the_log_alone(
    url: str, option: str, schemas: bool, tmp_path: Path
) -> None:
    service = Service(tmp_path, url, option, schemas=schemas)
    with SalesFlow(url, shared=True) as flow:
        open_a_deal(flow)
        assert flow.ask(Funnel()).open_deals == 1
    first = service.revise()
    assert "create_table('orders'" in first
    assert "salesflow" not in first
    service.upgrade()
    service.write_models(', sa.Column("paid", sa.Boolean, nullable=False)')
    second = service.revise()
    assert "add_column(sa.Column('paid'" in second or "add_column('orders'" in second
    assert "salesflow" not in second
    service.upgrade()
    command.check(service.config)
    command.downgrade(service.config, "base")
    with SalesFlow(url) as flow:
        open_a_deal(flow)
        assert flow.ask(Funnel()).open_deals == 2


def test_without_the_helper_a_migration_would_drop_the_log(url: str, tmp_path: Path) -> None:
    service = Service(tmp_path, url, "")
    with SalesFlow(url, shared=True) as flow:
        flow.ask(Funnel())
    assert "drop_table('salesflow_events')" in service.revise()


def test_a_log_whose_tables_were_dropped_says_so(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        flow.ask(Funnel())
    engine = sa.create_engine(sqlite_url, poolclass=sa.NullPool)  # noqa: TID251
    found = sa.MetaData()
    found.reflect(engine)
    with engine.begin() as connection:
        for table in found.sorted_tables:
            connection.execute(sa.schema.DropTable(table))
    for shared in (False, True):
        with pytest.raises(SchemaError, match=r"no salesflow_schema.*put it back from"):
            SalesFlow(sqlite_url, shared=shared)


@pytest.mark.parametrize(
    ("name", "kind", "table", "seen"),
    [
        ("salesflow_events", "table", None, False),
        ("SALESFLOW_EVENTS", "table", None, False),
        ("salesflow_deal_state", "view", None, False),
        ("tenant", "column", "salesflow_events", False),
        ("ix_1", "index", "salesflow_deal_state_1", False),
        ("orders", "table", None, True),
        ("sales", "table", None, True),
        ("number", "column", "orders", True),
        (None, "schema", None, True),
        ("salesflow_south", "schema", None, True),
    ],
)
def test_all_that_begins_with_our_prefix_is_ours_and_nothing_else(
    name: str | None, kind: str, table: str | None, seen: bool
) -> None:
    assert include_name(name, kind, {"table_name": table, "schema_name": "public"}) is seen
    if kind != "schema":
        column = sa.Column(name or "", sa.Text)
        thing = column if table else sa.Table(name or "", sa.MetaData())
        if table:
            sa.Table(table, sa.MetaData(), column)
        assert include_object(thing, name, kind, reflected=True, compare_to=None) is seen
