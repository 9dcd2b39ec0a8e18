"""`salesflow check`: what is wrong is listed, and the exit code says so."""

import json
from pathlib import Path

from databases import tamper
from salesflow import Customer, Deal, SalesFlow
from salesflow.projections.folds.deal_state import DEAL_STATE
from simulated import ran


def test_the_command_lists_what_is_wrong_and_ends_with_one(db: str) -> None:
    whole = ran("check", "--db", db)
    assert (whole.code, whole.err) == (0, "")
    assert "nothing is wrong" in whole.out
    assert "未发现问题" in ran("check", "--all", "--lang", "zh", "--db", db).out
    with SalesFlow(f"sqlite:///{db}") as flow:
        flow.catch_up()
    tamper(f"sqlite:///{db}", f"UPDATE {DEAL_STATE.name} SET amount = 1")
    wrong = ran("check", "--db", db)
    assert wrong.code == 1
    assert "deal_state: rows of a read table are not what the log says" in wrong.out
    told = ran("check", "--all", "--json", "--db", db)
    assert told.code == 1
    found = json.loads(told.out)
    assert {problem["kind"] for problem in found["problems"]} == {"rows"}
    assert "读表的行与日志不符" in ran("check", "--lang", "zh", "--db", db).out


def test_the_command_line_tells_of_it_and_takes_it_back(db: str) -> None:
    url = f"sqlite:///{db}"
    with SalesFlow(url) as flow:
        deal = next(e.stream_id for e in flow.log.page(0, 99) if e.fact.kind == "deal.opened")
        flow.run(lambda s: s.get(Deal, deal).log_contact(channel="call", direction="in"))
        wrong = flow.history(deal)[-1]
        where = f"position = {wrong.position}"
        tamper(url, f"UPDATE salesflow_events SET payload = x'7b' WHERE {where}")
        flow.run(lambda s: s.add(Customer.register(name="Acme")))
    said = f"stream {deal} is left out from version {wrong.version}, position"
    for command in (("project",), ("ask", "kpis"), ("status",), ("rebuild",)):
        assert said in ran(*command, "--db", db).out, command
    rebuilt = json.loads(ran("rebuild", "pipeline", "--json", "--db", db).out)
    assert [each["stream_id"] for each in rebuilt["left_out"]] == [str(deal)]
    assert f"位置 {wrong.position}" in ran("project", "--lang", "zh", "--db", db).out
    history = ran("deal", "history", str(deal), "--db", db).out
    assert "left out" in history
    assert "deal.contact_logged:1" in history
    checked = ran("check", "--db", db)
    assert checked.code == 1
    assert str(wrong.event_id) in checked.out
    part = ran("retract", "01922212", "--because", "x", "--db", db)
    assert (part.code, "neither a position nor the id of an event" in part.err) == (2, True)
    for listed in ("1,2", "12,13", "1,2,3", "0,001", "1,0000", "+1", "-1"):
        refused = ran("retract", "--because=x", f"--db={db}", "--", listed)
        assert (refused.code, "neither a position nor" in refused.err) == (2, True), listed
    blank = ran("retract", str(wrong.event_id), "--because", " ", "--db", db)
    assert (blank.code, "needs a reason" in blank.err) == (2, True)
    told = ran("retract", str(wrong.event_id), "--because", "broken", "--db", db)
    assert told.code == 0
    again = ran("retract", str(wrong.event_id), "--because", "broken", "--db", db)
    assert again.code != 0
    assert "retract that retraction" in again.err
    assert ran("check", "--db", db).code == 0
    assert said not in ran("ask", "kpis", "--db", db).out


def test_what_was_not_compared_is_told_beside_what_is_right(db: str) -> None:
    filled = ran("check", "--db", db).out
    assert filled.startswith("nothing is wrong · ")
    assert "of a long log a sample of streams is compared; --all compares every one" in filled
    every = ran("check", "--all", "--db", db).out
    assert "the other streams hold nothing that a read table shows" in every
    assert "日志较长时抽样比对数据流" in ran("check", "--lang", "zh", "--db", db).out


def test_read_tables_that_are_not_filled_are_not_said_to_be_right(tmp_path: Path) -> None:
    db = str(tmp_path / "new.db")
    with SalesFlow(f"sqlite:///{db}", timezone="UTC") as flow, flow.session() as s:
        s.add(Customer.register(name="Acme"))
    told = ran("check", "--db", db)
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("nothing is wrong in the log · ")
    not_filled = (
        "the read tables are not filled yet, so nothing of them was compared; `salesflow"
    )
    assert f"{not_filled} project` fills them" in told.out
    chinese = ran("check", "--lang", "zh", "--db", db).out
    assert chinese.startswith("日志未发现问题 · ")
    assert "读表尚未填充，未作比对；用 salesflow project 填充" in chinese
    assert ran("ask", "deals", "--db", db).code == 0
    some = ran("check", "--all", "--db", db).out
    assert some.startswith("nothing is wrong · ")
    assert "not filled yet, so not compared: alert, booking, case, closing" in some
    assert "deal_state" not in some
    ran("project", "--db", db)
    assert "not filled" not in ran("check", "--db", db).out
