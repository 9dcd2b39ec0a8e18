"""What somebody assigned to an aggregate is found, whatever others of its kind hold."""

from salesflow.domain.assigned import State


def test_what_is_no_part_of_the_state_is_found_also_where_another_one_holds_as_much() -> None:
    state = State({"owner"}).grown({"owner": "ann", "reason": "price"})
    mine = {"owner": "ann"}
    seen = state.read(mine)
    assert state.changed(seen, mine) is None
    assert state.changed(seen, {"owner": "ann", "foo": "zoe"}) == "foo"
    assert state.changed(seen, {"owner": "zoe"}) == "owner"
    assert state.changed(seen, {}) == "owner"


def test_what_begins_with_an_underscore_is_the_aggregates_own() -> None:
    state = State({"owner"})
    assert state.changed(("ann",), {"owner": "ann", "_kept": 1}) is None
