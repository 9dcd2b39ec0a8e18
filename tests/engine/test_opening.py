"""Whoever opens an engine in a wrong way is told so, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest

from salesflow import Reactor, SalesFlow
from salesflow.domain.deal.outcomes import DealWon
from salesflow.errors import InputError

MAIL = Reactor("mail", [DealWon], act=print)
WRONG: dict[str, dict[str, Any]] = {
    "a time zone that is none": {"timezone": "Mars/Base"},
    "no time zone": {"timezone": ""},
    "a number as time zone": {"timezone": 8},
    "a tenant with a blank": {"tenant": "not a tenant"},
    "no tenant": {"tenant": ""},
    "a number as tenant": {"tenant": 7},
    "reactors that are none": {"reactors": ["mail"]},
    "two reactors of one name": {"reactors": [MAIL, MAIL]},
    "a clock that is no function": {"clock": 5},
    "ids that nothing makes": {"event_ids": 5},
    "nothing that makes ids": {"event_ids": None},
    "less than no time to wait": {"wait_seconds": -1},
    "less than no memory": {"memory_mb": -1},
    "a number as folder": {"columns_folder": 5},
    "folds that are none": {"folds": [3]},
    "facts that are none": {"facts": [3]},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_a_database_that_is_opened_in_a_wrong_way_is_not_made(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        SalesFlow(f"sqlite:///{tmp_path}/new.db", **given)
    assert [*tmp_path.iterdir()] == []


def test_a_database_that_is_opened_well_is_made(tmp_path: Path) -> None:
    given: dict[str, Any] = {"timezone": "Asia/Shanghai", "tenant": "east", "reactors": [MAIL]}
    with SalesFlow(f"sqlite:///{tmp_path}/new.db", **given) as flow:
        assert flow.settings().timezone.key == "Asia/Shanghai"
        assert (tmp_path / "new.db").exists()
