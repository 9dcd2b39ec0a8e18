"""A small export of Pipedrive, as its interface answers: deals, and their changes."""

from typing import Any, Final

__all__ = [
    "LOST",
    "NEW",
    "ORGANIZATIONS",
    "PIPEDRIVE",
    "SOLD",
    "STAGES",
    "answer",
    "change",
    "deal",
]


def answer(*data: object) -> dict[str, Any]:
    pagination = {"start": 0, "limit": 100, "more_items_in_collection": False}
    return {"success": True, "data": list(data), "additional_data": {"pagination": pagination}}


STAGES = answer(
    {"id": 12, "name": "Proposal", "pipeline_id": 1, "order_nr": 2, "deal_probability": 60},
    {"id": 10, "name": "Qualified", "pipeline_id": 1, "order_nr": 0, "deal_probability": 10},
    {"id": 11, "name": "Demo", "pipeline_id": 1, "order_nr": 1, "deal_probability": 30},
    {"id": 20, "name": "Due", "pipeline_id": 2, "order_nr": 0, "deal_probability": 50},
)
PIPELINES = answer(
    {"id": 1, "name": "Sales", "order_nr": 0, "active": True},
    {"id": 2, "name": "Renewals", "order_nr": 1, "active": True},
)
ORGANIZATIONS = answer({"id": 7, "name": "云帆科技", "add_time": "2025-01-05 09:00:00"})
PERSONS = answer(
    {
        "id": 70,
        "name": "王芳",
        "org_id": {"name": "云帆科技", "value": 7},
        "email": [{"value": "b@a.cn"}, {"value": "w@a.cn", "primary": True}],
        "add_time": "2025-02-05 09:00:00",
    },
    {"id": 71, "name": "Ann Lee", "org_id": None, "add_time": "2025-02-05 09:00:00"},
)


def deal(id: int, **values: object) -> dict[str, Any]:
    return {
        "id": id,
        "title": f"Deal {id}",
        "value": 120,
        "currency": "EUR",
        "status": "open",
        "stage_id": 10,
        "pipeline_id": 1,
        "expected_close_date": "2026-03-31",
        "add_time": "2026-01-05 09:00:00",
        "update_time": "2026-05-01 09:00:00",
        "user_id": {"id": 501, "name": "Ann", "value": 501},
        "org_id": {"name": "云帆科技", "value": 7},
        **values,
    }


def change(
    deal: int, number: int, at: str, field: str, old: object, new: object
) -> dict[str, Any]:
    data = {
        "id": number,
        "item_id": deal,
        "user_id": 9,
        "field_key": field,
        "old_value": old,
        "new_value": new,
        "log_time": f"2026-{at}:00",
    }
    return {"object": "dealChange", "timestamp": f"2026-{at}:00", "data": data}


SOLD = deal(1, status="won", stage_id=12, won_time="2026-03-01 10:00:00")
SOLD_FLOW = answer(
    change(1, 106, "03-01 10:00", "status", "open", "won"),
    change(1, 105, "02-20 10:00", "value", "100", "120"),
    change(1, 104, "02-15 10:00", "user_id", "500", "501"),
    change(1, 103, "02-01 10:00", "stage_id", "11", "12"),
    change(1, 102, "02-01 10:00", "stage_id", "10", "11"),
    change(1, 101, "01-05 09:00", "add_time", None, "2026-01-05 09:00:00"),
    {"object": "activity", "timestamp": "2026-02-01 11:00:00", "data": {"id": 1}},
)
LOST = deal(2, status="lost", stage_id=11, lost_time="2026-04-02 10:00:00", lost_reason="Late")
LOST_FLOW = answer(
    change(2, 206, "04-02 10:00", "lost_reason", "Price", "Late"),
    change(2, 205, "04-02 10:00", "status", "open", "lost"),
    change(2, 204, "03-10 10:00", "status", "lost", "open"),
    change(2, 203, "03-01 10:00", "lost_reason", None, "Price"),
    change(2, 202, "03-01 10:00", "status", "open", "lost"),
    change(2, 201, "02-01 10:00", "stage_id", "10", "11"),
)
NEW = deal(3, stage_id=11, stage_change_time="2026-02-03 08:00:00", value=0, org_id=None)
GONE = deal(4, status="deleted")

PIPEDRIVE: Final[dict[str, Any]] = {
    "stages.json": STAGES,
    "pipelines.json": PIPELINES,
    "organizations.json": ORGANIZATIONS,
    "persons.json": PERSONS,
    "deals.json": answer(SOLD, LOST, NEW, GONE),
    "flow_1.json": SOLD_FLOW,
    "flow_2.json": LOST_FLOW,
}
