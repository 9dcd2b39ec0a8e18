"""What an answer leaves out is said, whatever the text holds that says why."""

import pytest

from salesflow.projections.core.left_out import Behind, in_brief


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufb2c" * 500, id="longer when normalised"),
        pytest.param("\ufdd0" * 500, id="no characters"),
        pytest.param("\U0001fffe" * 500, id="no characters of another plane"),
        pytest.param("\u200b\u202e" * 300, id="marks nobody sees"),
        pytest.param("a\x00\x1b[31m" * 300, id="controls"),
        pytest.param("\ud800" * 500, id="lone surrogates"),
        pytest.param("𠮷 \n\t" * 500, id="long"),
    ],
)
def test_whatever_a_reason_holds_is_said_in_one_line(text: str) -> None:
    said = Behind(events=1, because=in_brief(text)).sentence()
    assert said.isprintable()
    assert len(said) < 500
