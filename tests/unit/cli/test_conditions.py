from __future__ import annotations

import argparse

import pytest

from weir.cli.conditions import FilterRefused, asked, both, last_of, moment, pointed, time_range
from weir.errors import SettingsError

NOON = 1_769_860_800 * 10**9
"""2026-01-31T12:00:00Z."""


def options(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**({"since": "", "until": "", "last": ""} | given))


@pytest.mark.parametrize(
    ("text", "start", "length", "shown"),
    [
        ("http && statu >= 5", 8, 5, ["http && statu >= 5", "        ^^^^^"]),
        ("http &&", 7, 1, ["http &&", "       ^"]),
        ("a &&\n  b", 7, 1, ["  b", "  ^"]),
        ("path == '漢字' && x", 16, 1, ["path == '漢字' && x", "                  ^"]),
        ("\x1b[2J && x", 8, 1, ["\\x1b[2J && x", "           ^"]),
        ("x", 900, 5, ["x", " ^"]),
        ("x", -3, 0, ["x", "^"]),
    ],
)
def test_the_mark_stands_below_what_is_wrong(text: str, start: int, length: int, shown: list[str]) -> None:
    assert pointed(text, start, length) == shown


def test_of_a_long_filter_the_surroundings_are_shown() -> None:
    text = "a || " * 200 + "wrong" + " || a" * 200
    line, mark = pointed(text, 1000, 5)
    assert len(line) <= 102
    assert line[0] == line[-1] == "…"
    assert line[mark.index("^") : mark.rindex("^") + 1] == "wrong"


def test_a_refused_filter_reads_well() -> None:
    refused = FilterRefused('unknown field "statu"', "status_code", "statu", 0, 5)
    assert str(refused).splitlines() == ['unknown field "statu"', "  statu", "  ^^^^^", "hint: status_code"]
    assert str(FilterRefused("bad", "", "x", 0, 1)).splitlines() == ["bad", "  x", "  ^"]
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""), ("15m", "15m"), ("500ms", "500ms"), ("1769860800000000000", "1769860800000000000"),
        ("2026-01-31T12:00:00Z", str(NOON)), ("2026-01-31T12:00:00", str(NOON)), ("2026-01-31 13:00+01:00", str(NOON)),
        ("11:59", str(NOON - 60 * 10**9)), ("12:00:00", str(NOON)), ("12:01", str(NOON - (86400 - 60) * 10**9)),
        ("2026-01-31", str(NOON - 43200 * 10**9)),
    ],
)
def test_times_as_people_write_them(text: str, value: str) -> None:
    assert moment("--since", text, NOON) == value


@pytest.mark.parametrize("text", ["yesterday", "25:00", "12:61", "15", "15 m", "2026-13-01", "-5m", "12345"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        moment("--since", text, NOON)
    assert "--since" in caught.value.message
    assert "15m" in caught.value.hint


def test_the_last_ones() -> None:
    assert (last_of(""), last_of("50"), last_of("15m")) == ((0, ""), (50, ""), (0, "15m"))
    for text in ("0", "-1", "many", "10001", "15 m"):
        with pytest.raises(SettingsError, match="--last"):
            last_of(text)


def test_a_range_of_time() -> None:
    assert time_range(options(since="15m", until="12:00"), NOON) == {"since": "15m", "until": str(NOON)}
    assert time_range(options(last="2h"), NOON) == {"since": "2h"}
    assert time_range(options(last="20", since="1h"), NOON, numbers=True) == {"since": "1h"}
    with pytest.raises(SettingsError, match="two beginnings"):
        time_range(options(last="2h", since="1h"), NOON)
    with pytest.raises(SettingsError, match="no time span"):
        time_range(options(last="20"), NOON)


def test_conditions_as_the_hub_takes_them() -> None:
    args = argparse.Namespace(filter="http", protocol=["http", "dns"], text="", hidden=True)
    assert asked(args) == {"filter": "http", "protocol": "http,dns", "hidden": "1"}


def test_filters_that_hold_both() -> None:
    assert both(["a || b", " ", "c"]) == "(a || b) && (c)"
    assert both(["a", ""]) == "a"
    assert both(["", ""]) == ""
