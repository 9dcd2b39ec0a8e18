import pytest

from salesflow.adapters.importers.crm.chinese_forms import iso_time, plain_number
from salesflow.adapters.importers.crm.records import HistoryRecord
from salesflow.adapters.importers.crm.tied_steps import in_order_of_time
from salesflow.adapters.importers.times import ReadTime


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026年3月5日", "2026-03-05"),
        ("2026/3/5", "2026-03-05"),
        ("2026年3月5日 下午2:05", "2026-03-05T14:05:00"),
        ("2026年3月5日 上午12:05", "2026-03-05T00:05:00"),
        ("2026年3月5日 中午11:30", "2026-03-05T11:30:00"),
        ("2026年3月5日 中午12点30分", "2026-03-05T12:30:00"),
        ("2026年3月5日14时5分6秒", "2026-03-05T14:05:06"),
        ("２０２６-０３-０５ 10:00", "2026-03-05T10:00:00"),
        ("2026-03-05T10:00:00+08:00", "2026-03-05T10:00:00+08:00"),
        ("1755500000000", "2025-08-18T06:53:20+00:00"),
        ("99999999999999", "5138-11-16T09:46:39.999000+00:00"),
    ],
)
def test_a_time_with_its_year_first_is_read_as_chinese_programs_write_it(
    written: str, meant: str
) -> None:
    assert iso_time(written) == meant


@pytest.mark.parametrize("written", ["05/03/2026", "上午", "20260305", "soon", "", "12345"])
def test_what_is_no_such_time_is_left_as_it_is_written(written: str) -> None:
    assert iso_time(written) == written


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("￥1,234.50", "1,234.50"),
        ("12.5万", "125000"),
        ("1.5亿元", "150000000"),
        ("１２３", "123"),
        ("100元整", "100"),
        ("RMB 5万", "50000"),
        ("abc", "abc"),
    ],
)
def test_a_number_is_read_as_chinese_people_write_it(written: str, meant: str) -> None:
    assert plain_number(written) == meant


def test_steps_of_one_time_follow_one_another_as_each_says_what_it_became() -> None:
    at = ReadTime(0, "microsecond")
    became = {"A": "B", "B": "C"}
    steps = [
        HistoryRecord(
            place,
            "",
            at,
            None,
            {"stage": stage},
            then={"stage": became[stage]} if stage in became else {},
        )
        for place, stage in enumerate("CAB")
    ]
    ordered, tied = in_order_of_time(steps, {"stage": "C"})
    assert [step.after["stage"] for step in ordered] == ["A", "B", "C"]
    assert tied == {0, 1, 2}
