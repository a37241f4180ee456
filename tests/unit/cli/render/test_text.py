from __future__ import annotations

import pytest

from weir.cli.render.text import clock_time, duration, fit, full_time, safe, safe_lines, size, width


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
