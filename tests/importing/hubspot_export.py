"""A small export of HubSpot, as its interface answers: deals with the history of properties."""

from typing import Any, Final

__all__ = ["HUBSPOT", "LOST", "NEW", "SOLD", "deal", "entry"]


def pipeline_stage(
    id: str, label: str, order: int, probability: str, closed: str = "false"
) -> dict[str, Any]:
    metadata = {"probability": probability, "isClosed": closed}
    return {"id": id, "label": label, "displayOrder": order, "metadata": metadata}


PIPELINES = {
    "results": [
        {
            "id": "default",
            "label": "Sales Pipeline",
            "displayOrder": 0,
            "stages": [
                pipeline_stage("qualified", "Qualified to buy", 1, "0.6666666666666666"),
                pipeline_stage("appointment", "Appointment", 0, "0.2"),
                pipeline_stage("closedwon", "Closed won", 2, "1.0", "true"),
                pipeline_stage("closedlost", "Closed lost", 3, "0.0", "true"),
            ],
        },
        {
            "id": "77",
            "label": "Renewals",
            "displayOrder": 1,
            "stages": [
                pipeline_stage("9001", "Due", 0, "0.5"),
                pipeline_stage("9002", "Renewed", 1, "1.0", "true"),
                pipeline_stage("9003", "Not renewed", 2, "0.0", "true"),
            ],
        },
    ]
}


def entry(value: str, at: str, user: str = "5") -> dict[str, str]:
    return {
        "value": value,
        "timestamp": f"2026-{at}:00.000Z",
        "sourceType": "CRM_UI",
        "sourceId": f"userId:{user}",
        "updatedByUserId": user,
    }


def deal(
    id: str,
    history: dict[str, list[dict[str, str]]],
    properties: dict[str, str] | None = None,
    **more: object,
) -> dict[str, Any]:
    present = {name: entries[0]["value"] for name, entries in history.items() if entries}
    values = {
        "dealname": f"Deal {id}",
        "pipeline": "default",
        "createdate": "2026-01-05T09:00:00.000Z",
        "hs_lastmodifieddate": "2026-05-01T09:00:00.000Z",
        "deal_currency_code": "EUR",
        **present,
        **dict(properties or {}),
    }
    return {
        "id": id,
        "properties": values,
        "propertiesWithHistory": history,
        "createdAt": "2026-01-05T09:00:00.000Z",
        "updatedAt": "2026-05-01T09:00:00.000Z",
        "archived": False,
        **more,
    }


SOLD = deal(
    "1",
    {
        "dealstage": [
            entry("closedwon", "03-01T10:00"),
            entry("qualified", "02-01T10:00"),
            {**entry("appointment", "01-05T09:00"), "timestamp": "2026-01-05T09:00:00.412Z"},
        ],
        "amount": [entry("120", "03-01T10:00", "6"), entry("100.50", "01-05T09:00")],
        "closedate": [
            entry("2026-03-31T22:00:00Z", "02-01T10:00"),
            entry("2026-02-28T00:00:00Z", "01-05T09:00"),
        ],
        "hubspot_owner_id": [entry("501", "02-15T10:00"), entry("500", "01-05T09:00")],
    },
    associations={"companies": {"results": [{"id": "900", "type": "deal_to_company"}]}},
)
LOST = deal(
    "2",
    {
        "dealstage": [
            entry("closedlost", "04-02T10:00"),
            entry("qualified", "03-10T10:00"),
            entry("closedlost", "03-01T10:00"),
            entry("appointment", "01-05T09:00"),
        ],
        "closed_lost_reason": [entry("Too late", "04-02T10:00"), entry("Price", "03-01T10:05")],
    },
)
NEW = deal("3", {"dealstage": [entry("appointment", "01-05T09:00")]})
COMPANIES = [
    {
        "id": "900",
        "properties": {"name": "云帆科技", "domain": "yunfan.cn", "industry": "Software"},
        "createdAt": "2025-01-05T09:00:00Z",
        "archived": False,
    }
]

HUBSPOT: Final[dict[str, Any]] = {
    "pipelines.json": PIPELINES,
    "deals.json": {"results": [SOLD, LOST, NEW], "paging": {}},
    "companies.json": COMPANIES,
}
