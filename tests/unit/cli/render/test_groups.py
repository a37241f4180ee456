from __future__ import annotations

import json
from typing import Any

import pytest

from weir.archive.api import Statistics
from weir.cli.render.groups import SORTS, Group, joined, json_line, lines, row
from weir.cli.render.text import width


def told(key: tuple[str | int, ...], count: float = 1.0, **more: Any) -> Statistics:
    numbers: dict[str, Any] = {"entries": int(count), "errors": 0.0, "p50_us": 0, "p95_us": 0, "p99_us": 0, "bytes": 0}
    return Statistics(key=key, count=count, **(numbers | more))


CALLS = told(("web", "cart", 1), 1200.0, errors=12.0, p50_us=900, p95_us=45_000, p99_us=2_000_000, bytes=20_100_000)
FLOWS = told(("web", "cart", 0), 7.0, flow_bytes=30_000_000)


def test_calls_and_flows_of_a_group_are_one_line() -> None:
    [one] = joined([FLOWS, CALLS])
    assert (one.calls, one.flows) == (CALLS, FLOWS)
    head, line = lines(["src.service", "dst.service"], [one], 160, buckets=False, color=False)
    assert head.split()[:6] == ["src.service", "dst.service", "COUNT", "ERRORS", "ERR%", "P50"]
    assert head.split()[6:] == ["P95", "P99", "BYTES", "FLOWS", "FLOW", "BYTES"]
    assert line.split() == ["web", "cart", "1,200", "12", "1.0%", "900µs", "45.0ms", "2.0s", "20.1MB", "7", "30.0MB"]


def test_where_only_flows_are_known_calls_are_not_zero_but_unknown() -> None:
    [_, line] = lines(["target"], joined([told(("db", 0), 3.0, flow_bytes=10)]), 160, buckets=False, color=False)
    assert line.split() == ["db", "-", "-", "-", "-", "-", "-", "-", "3", "10B"]


def test_without_flows_there_are_no_columns_for_them() -> None:
    head, _ = lines(["target"], joined([told(("db", 1))]), 160, buckets=False, color=False)
    assert "FLOW" not in head


@pytest.mark.parametrize("columns", [50, 60, 80, 100, 120])
def test_numbers_go_before_names_are_unreadable(columns: int) -> None:
    long = told(("a" * 80, "b" * 80, 1), 1234.0, errors=3.0, p95_us=77_000)
    made = lines(["src.service", "dst.service"], joined([long, FLOWS]), columns, buckets=False, color=False)
    assert max(map(width, made)) <= columns
    assert "1,234" in made[1]
    assert "COUNT" in made[0]


def test_times_stand_in_front_and_are_whole() -> None:
    one = told(("x" * 99, 1), since_ns=1_700_000_000 * 10**9)
    [_, line] = lines(["path"], joined([one]), 70, buckets=True, color=False)
    assert line.startswith("2023-11-14T22:13:20Z  x")


def test_colour_marks_errors_and_nothing_else() -> None:
    made = lines(["a", "b"], joined([CALLS, told(("x", "y", 1))]), 160, buckets=False, color=True)
    assert "\x1b[31m" in made[1]
    assert "\x1b[31m" not in made[2]


def test_names_of_groups_are_inert() -> None:
    hostile = joined([told(("\x1b[2J\u202e", 1))])
    assert all(line.isprintable() for line in lines(["path"], hostile, 160, buckets=False, color=False))
    text = json_line(row(["path"], hostile[0], buckets=False))
    assert text.isprintable()
    assert json.loads(text)["path"] == "\x1b[2J\u202e"


def test_numbers_for_programs_are_exact() -> None:
    [one] = joined([CALLS, FLOWS])
    assert row(["src", "dst"], one, buckets=False) == {
        "src": "web", "dst": "cart", "count": 1200, "errors": 12, "p50_us": 900, "p95_us": 45_000, "p99_us": 2_000_000,
        "bytes": 20_100_000, "flows": 7, "flow_bytes": 30_000_000, "entries": 1207,
    }
    assert "since" in row(["src", "dst"], one, buckets=True)
    assert row(["a"], Group(key=("x",), since_ns=0, calls=told(("x", 1), 3.3333333)), buckets=False)["count"] == 3.333


def test_every_order_has_a_meaning() -> None:
    slow, busy = joined([told(("slow", 1), 1.0, p50_us=9, p95_us=9, p99_us=9, errors=1.0, bytes=1),
                         told(("busy", 1), 9.0, bytes=9)])
    for name, key in SORTS.items():
        assert (key(slow) < key(busy)) == (name in ("count", "bytes"))
