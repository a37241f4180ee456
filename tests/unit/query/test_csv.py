from __future__ import annotations

import csv as reader
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.query import csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "=cmd|' /C calc'!A0"]
)
def test_no_text_is_a_formula(text: str) -> None:
    assert csv.guarded(text) == f"'{text}"
    assert csv.line([text]).lstrip('"').startswith("'")


@pytest.mark.parametrize("text", ["", "a=b", "GET /x", "10.0.0.1", "'=1"])
def test_other_texts_stay(text: str) -> None:
    assert csv.guarded(text) == text


def test_numbers_are_numbers() -> None:
    assert csv.line([-1, 2.5, "x,y"]) == '-1,2.5,"x,y"\r\n'


@given(st.lists(st.text()))
def test_a_line_is_one_record_that_no_terminal_obeys(values: list[str]) -> None:
    text = csv.line(values)
    assert text.endswith("\r\n")
    assert text[:-2].isprintable()
    if values:
        [row] = reader.reader(io.StringIO(text))
        assert len(row) == len(values)
