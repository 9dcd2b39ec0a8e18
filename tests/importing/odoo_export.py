"""A small export of Odoo, as its interface answers: opportunities, and what is tracked."""

from typing import Any, Final

__all__ = ["NEW", "ODOO", "QUALIFIED", "WON", "lead", "message", "tracking"]


def lead(id: int, **values: object) -> dict[str, Any]:
    return {
        "id": id,
        "name": f"Opportunity {id}",
        "type": "opportunity",
        "active": True,
        "stage_id": [1, "New"],
        "expected_revenue": 120.5,
        "probability": 20.0,
        "automated_probability": 20.0,
        "user_id": [2, "Mitchell Admin"],
        "partner_id": [8, "云帆科技, 王芳"],
        "company_currency": [1, "EUR"],
        "date_deadline": "2026-03-31",
        "create_date": "2026-01-05 09:00:00",
        "write_date": "2026-05-01 09:00:00",
        "date_conversion": False,
        "date_closed": False,
        "date_last_stage_update": "2026-01-05 09:00:00",
        "lost_reason_id": False,
        **values,
    }


def message(id: int, lead: int, at: str, subject: object = False, **values: object) -> Any:  # noqa: ANN401
    return {
        "id": id,
        "model": "crm.lead",
        "res_id": lead,
        "date": f"2026-{at}:00",
        "author_id": [3, "Mitchell Admin"],
        "subject": subject,
        **values,
    }


def tracking(id: int, message: int, field: str, old: object, new: object) -> dict[str, Any]:
    """A change of one field; a reference is an id and a label."""
    found: dict[str, Any] = {
        "id": id,
        "mail_message_id": [message, "Opportunity"],
        "field_id": [FIELDS[field], f"{field} (crm.lead)"],
    }
    for side, value in (("old", old), ("new", new)):
        found |= dict.fromkeys((f"{side}_value_integer", f"{side}_value_float"), 0)
        found |= dict.fromkeys((f"{side}_value_char", f"{side}_value_datetime"), False)
        match value:
            case (number, label):
                found |= {f"{side}_value_integer": number, f"{side}_value_char": label}
            case bool():
                found[f"{side}_value_integer"] = int(value)
            case float():
                found[f"{side}_value_float"] = value
            case str():
                found[f"{side}_value_datetime"] = value
            case _:
                pass
    return found


FIELDS: Final = {
    "stage_id": 100,
    "user_id": 101,
    "expected_revenue": 102,
    "active": 103,
    "lost_reason_id": 104,
    "date_deadline": 105,
    "priority": 106,
}
NEW, QUALIFIED, WON = (1, "New"), (2, "Qualified"), (4, "Won")
ODOO: Final[dict[str, list[dict[str, Any]]]] = {
    "crm.stage.json": [
        {"id": 4, "name": "Won", "sequence": 70, "is_won": True},
        {"id": 1, "name": "New", "sequence": 0, "is_won": False},
        {"id": 2, "name": "Qualified", "sequence": 1, "is_won": False},
        {"id": 3, "name": "Proposition", "sequence": 2, "is_won": False},
    ],
    "crm.lost.reason.json": [{"id": 1, "name": "Too expensive", "active": True}],
    "ir.model.fields.json": [
        {"id": id, "name": name, "field_description": name, "ttype": "char"}
        for name, id in FIELDS.items()
    ],
    "res.partner.json": [
        {"id": 7, "name": "云帆科技", "is_company": True, "parent_id": False},
        {
            "id": 8,
            "name": "王芳",
            "is_company": False,
            "parent_id": [7, "云帆科技"],
            "email": "w@a.cn",
            "function": "CFO",
        },
        {"id": 9, "name": "Ann Lee", "is_company": False, "parent_id": False},
    ],
    "crm.lead.json": [
        lead(1, stage_id=list(WON), probability=100.0, date_closed="2026-03-01 10:00:00"),
        lead(
            2,
            active=False,
            stage_id=list(QUALIFIED),
            probability=0.0,
            lost_reason_id=[1, "Too expensive"],
            date_closed="2026-04-02 10:00:00",
        ),
        lead(3, expected_revenue=0.0, partner_id=[9, "Ann Lee"]),
        lead(4, type="lead"),
    ],
    "mail.message.json": [
        message(50, 1, "01-05 09:00"),
        message(51, 1, "02-01 10:00"),
        message(52, 1, "03-01 10:00"),
        message(53, 1, "02-15 10:00", "From Old deal : Stage changed"),
        message(60, 2, "02-01 10:00"),
        message(61, 2, "03-01 10:00"),
        message(62, 2, "03-10 10:00"),
        message(63, 2, "04-02 10:00"),
        message(70, 33, "01-05 09:00", model="sale.order"),
    ],
    "mail.tracking.value.json": [
        tracking(500, 51, "stage_id", NEW, QUALIFIED),
        tracking(501, 51, "user_id", (1, "OdooBot"), (2, "Mitchell Admin")),
        tracking(502, 52, "stage_id", QUALIFIED, WON),
        tracking(503, 52, "expected_revenue", 100.0, 120.5),
        tracking(504, 53, "stage_id", NEW, QUALIFIED),
        tracking(505, 52, "priority", 0.0, 1.0),
        tracking(600, 60, "stage_id", NEW, QUALIFIED),
        tracking(601, 61, "active", True, False),
        tracking(602, 62, "active", False, True),
        tracking(603, 63, "lost_reason_id", None, (1, "Too expensive")),
        tracking(604, 63, "active", True, False),
        tracking(605, 99, "stage_id", NEW, QUALIFIED),
    ],
}
