"""A rebuild beside people who record and ask."""

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.projections.funnel import Funnel, FunnelView


def test_a_rebuild_never_takes_a_table_back(database_url: str) -> None:
    with SalesFlow(database_url) as asking, SalesFlow(database_url) as rebuilding:
        with asking.session() as s:
            deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        views: list[FunnelView] = []

        def meanwhile(_done: int, _of: int) -> None:
            if not views:
                asking.run(lambda s: s.get(Deal, deal.id).lose(because="price"))
                views.append(asking.ask(Funnel()))

        rebuilding.rebuild("deal_state", progress=meanwhile)
        (view,) = views
        assert rebuilding.standings()["deal_state"].position == view.moment.position
        assert asking.ask(Funnel(), at=view.moment) == view


def test_a_question_waits_for_nobody_where_nothing_is_to_be_done(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        flow.ask(Funnel())
    with (
        SalesFlow(sqlite_url) as asking,
        SalesFlow(sqlite_url) as writing,
        writing._database.begin(),
    ):
        assert asking.ask(Funnel()).open_deals == 0
