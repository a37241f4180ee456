from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.hub.export import COLUMNS, Csv, Har, Lines, har_entry, instant
from weir.query.structured import QueryError

CALL: dict[str, Any] = {
    "id": "x", "timestamp": 1_700_000_000_123_456_789, "protocol": "http", "kind": "exchange", "method": "POST",
    "url": "http://pay.shop/charge?a=1", "path": "/charge", "query_string": {"a": "1"}, "status_code": 201,
    "reason": "Created", "http_version": "1.1", "elapsed_time": 2500, "flow_id": "f", "dst": {"ip": "10.0.0.2"},
    "request": {
        "timestamp": 1_000_000, "end": 3_000_000, "size": 10,
        "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "cookie": "k=v; l=w"},
        "body": {"text": "card=1&x=", "size": 9, "truncated": True},
    },
    "response": {
        "timestamp": 10_000_000, "end": 14_000_000, "size": 30,
        "headers": {"set-cookie": "a=b; Path=/\nc=d", "content-type": "image/png", "location": "/done"},
        "body": {"data": b"\x89PNG", "size": 4},
    },
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)
ENTRIES = st.dictionaries(st.sampled_from([*CALL, "src"]), VALUES) | st.just(CALL)


def whole(writer: Any, *entries: dict[str, Any], remark: str = "") -> str:
    return str(writer.head() + "".join(writer.piece(one) for one in entries) + writer.tail(remark))


def test_times_have_all_their_digits() -> None:
    assert instant(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    assert instant(2**62 * 1000).startswith("1970-")


def test_a_call_in_har() -> None:
    made = har_entry(CALL)
    assert made["startedDateTime"] == "2023-11-14T22:13:20.123456789Z"
    assert made["timings"] == {"send": 2.0, "wait": 7.0, "receive": 4.0}
    assert made["time"] == 13.0
    request, response = made["request"], made["response"]
    assert request["postData"]["params"] == [{"name": "card", "value": "1"}, {"name": "x", "value": ""}]
    assert "first bytes" in request["postData"]["comment"]
    assert request["cookies"] == [{"name": "k", "value": "v"}, {"name": "l", "value": "w"}]
    assert request["queryString"] == [{"name": "a", "value": "1"}]
    assert (response["status"], response["statusText"], response["redirectURL"]) == (201, "Created", "/done")
    assert response["content"] == {"size": 4, "mimeType": "image/png", "text": "iVBORw==", "encoding": "base64"}
    assert [one["value"] for one in response["headers"] if one["name"] == "set-cookie"] == ["a=b; Path=/", "c=d"]
    assert response["cookies"] == [{"name": "a", "value": "b"}, {"name": "c", "value": "d"}]


def test_har_says_what_it_left_out() -> None:
    log = json.loads(whole(Har("1"), CALL, {"id": "d", "protocol": "dns"}, CALL, remark="cut: 3 of 9 entries"))["log"]
    assert (log["version"], log["creator"]["name"], len(log["entries"])) == ("1.2", "weir", 2)
    assert log["comment"] == "cut: 3 of 9 entries; 1 entries that are not HTTP are left out"


@given(st.lists(ENTRIES, max_size=3))
def test_any_entries_make_a_har_with_what_the_format_demands(entries: list[dict[str, Any]]) -> None:
    for one in json.loads(whole(Har("1"), *entries))["log"]["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(one)
        assert {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"} <= set(
            one["request"])
        assert {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize",
                "bodySize"} <= set(one["response"])
        assert one["time"] >= 0


@given(st.lists(ENTRIES, max_size=3))
def test_any_entries_make_rows_without_formulas(entries: list[dict[str, Any]]) -> None:
    rows = list(csv.reader(io.StringIO(whole(Csv([]), *entries))))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == len(entries) + 1
    for row in rows[1:]:
        assert len(row) == len(COLUMNS)


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A1", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1"])
def test_a_formula_stands_behind_an_apostrophe(text: str) -> None:
    rows = list(csv.reader(io.StringIO(whole(Csv(["summary"]), {"summary": text}))))
    assert rows[1][0].startswith("'")


def test_numbers_stay_numbers() -> None:
    made = whole(Csv(["status_code", "ok", "timestamp"]), {"status_code": -5, "ok": False, "timestamp": 10**9})
    assert made.splitlines()[1] == "-5,false,1970-01-01T00:00:01.000000000Z"


@given(st.lists(ENTRIES, max_size=3))
def test_each_line_is_an_entry(entries: list[dict[str, Any]]) -> None:
    assert len([json.loads(line) for line in whole(Lines([]), *entries).split("\n")[:-1]]) == len(entries)


def test_unknown_fields_are_refused() -> None:
    for writer in (Csv, Lines):
        with pytest.raises(QueryError):
            writer(["status_cod"])
