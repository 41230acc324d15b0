"""Parts of a page that a program writes between two marks."""

import pytest

from tools import marked

PAGE = "before\n\n<!-- it -->\nold\n<!-- end of it -->\n\nafter\n"


def test_a_part_is_replaced_and_nothing_else():
    assert marked.put(PAGE, "it", "new\nlines") == PAGE.replace("old", "new\nlines")
    assert marked.put(marked.put(PAGE, "it", ""), "it", "old") == PAGE


def test_a_part_is_read_without_its_marks():
    assert marked.get(PAGE, "it") == "old"
    assert marked.get(marked.put(PAGE, "it", ""), "it") == ""


@pytest.mark.parametrize("lost", ["<!-- it -->", "<!-- end of it -->"])
def test_a_page_without_its_marks_is_refused(lost):
    with pytest.raises(ValueError, match="no <!-- it -->"):
        marked.put(PAGE.replace(lost, ""), "it", "new")
    with pytest.raises(ValueError, match="no <!-- it -->"):
        marked.get(PAGE.replace(lost, ""), "it")
