from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.cli.render.text import (
    MARKS,
    clock_time,
    duration,
    fit,
    fit_middle,
    full_time,
    number,
    right,
    safe,
    safe_json,
    safe_lines,
    share,
    size,
    width,
)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb", "a\\r\\nb"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("plain ünïcode 漢字", "plain ünïcode 漢字"),
    ],
)
def test_nothing_that_a_terminal_obeys_gets_through(hostile: str, shown: str) -> None:
    assert safe(hostile) == shown


def test_lines_keep_their_feeds_and_nothing_else() -> None:
    assert safe_lines("a\n\tb\x07") == "a\n\tb\\x07"


def test_text_fits_its_columns() -> None:
    assert fit("abc", 5) == "abc  "
    assert fit("abcdef", 4) == "abc…"
    assert width(fit("漢字漢字", 4)) == 4
    assert width(fit("漢字", 6)) == 6


def test_numbers_are_short() -> None:
    assert (duration(850), duration(1200), duration(3_400_000)) == ("850µs", "1.2ms", "3.4s")
    assert (size(512), size(1500), size(20_100_000)) == ("512B", "1.5kB", "20.1MB")


def test_times_are_utc() -> None:
    at = 1_700_000_000_123_456_789
    assert clock_time(at) == "22:13:20.123"
    assert full_time(at) == "2023-11-14T22:13:20.123456Z"


@given(st.text())
def test_json_says_the_same_and_is_obeyed_by_no_terminal(text: str) -> None:
    told = safe_json(json.dumps({"a": text}, ensure_ascii=False).encode("utf-8", "replace"))
    assert told.isprintable()
    assert json.loads(told) == {"a": text.encode("utf-8", "replace").decode()}


@given(st.text(), st.integers(1, 60))
def test_any_text_has_exactly_the_columns_that_there_are(text: str, columns: int) -> None:
    shown = safe(text)
    for made in (fit(shown, columns), fit_middle(shown, columns), right(shown, columns)):
        assert width(made) == columns
        assert made.isprintable()


def test_the_middle_is_cut_out_of_names_and_paths() -> None:
    assert fit_middle("/api/v1/customers/42/orders", 15) == "/api/v1…/orders"
    assert fit_middle("GET /é/è/ê → 200", 9) == "GET … 200"
    assert width(fit_middle("漢字漢字漢字漢字", 9)) == 9
    assert fit_middle("abc", 5) == "abc  "


@pytest.mark.parametrize(
    ("text", "columns"),
    [("日本", 4), ("e\u0301", 1), ("→ µs…", 5), ("\uff57", 2), ("👍", 2), ("한글", 4), ("\u2764\ufe0f", 2)],
)
def test_columns_are_those_of_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns


def test_marks_are_not_piled_up() -> None:
    assert safe("a" + "\u0301" * 500) == "a" + "\u0301" * MARKS
    assert safe("e\u0301e\u0301") == "e\u0301e\u0301"


def test_numbers_and_shares() -> None:
    assert number(1234.4) == "1,234"
    assert [share(*of) for of in ((0, 10), (1, 300), (1, 2), (0, 0))] == ["0%", "0.3%", "50%", "-"]
    assert right("12", 4) == "  12"


@pytest.mark.parametrize("at", [-1, 1 << 62, (1 << 64) - 1])
def test_a_time_that_no_calendar_has_is_no_exception(at: int) -> None:
    assert clock_time(at)
    assert full_time(at)
