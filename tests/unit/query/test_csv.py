from __future__ import annotations

import csv as reader
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.query import csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "=cmd|' /C calc'!A0"]
)
def test_no_text_is_a_formula(text: str) -> None:
    assert str(csv.cell(text)).startswith("'")


def test_values() -> None:
    assert [csv.cell(value) for value in (None, True, False, 3, -1.5, "a=b", "", {"a": 1})] == [
        "", "true", "false", 3, -1.5, "a=b", "", '{"a":1}',
    ]


@given(st.lists(st.text()))
def test_a_line_is_one_record_that_no_terminal_obeys(values: list[str]) -> None:
    text = csv.line(values)
    assert text.endswith("\r\n")
    assert text[:-2].isprintable()
    if values:
        [row] = reader.reader(io.StringIO(text))
        assert len(row) == len(values)


def test_an_entry_of_any_shape_is_a_record() -> None:
    shapes: list[dict[str, Any]] = [
        {}, {"src": 7, "timestamp": "x", "request": None}, {"timestamp": 1 << 80, "weird": ["a", "b"]},
    ]
    for entry in shapes:
        [row] = reader.reader(io.StringIO(csv.entry_line(entry)))
        assert len(row) == len(csv.COLUMNS)
    [row] = reader.reader(io.StringIO(csv.entry_line(
        {"timestamp": 1_700_000_000_123_456_789, "src": {"service": {"name": "web"}}, "weird": ["a", "b"]}
    )))
    told = dict(zip(csv.COLUMNS, row, strict=True))
    assert told["timestamp"] == "2023-11-14T22:13:20.123456Z"
    assert (told["src.service.name"], told["weird"]) == ("web", "a; b")
