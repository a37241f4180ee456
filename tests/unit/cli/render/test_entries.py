from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from weir.cli.render.entries import FORMATS, Format, layout, renderer, wants_color
from weir.cli.render.text import width


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def entry(**more: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": "0a", "timestamp": 1_700_000_000_000_000_000, "elapsed_time": 1500, "protocol": "http",
        "kind": "exchange", "flow_id": "f1", "ok": True, "summary": "GET /cart → 200", "method": "GET",
        "src": {"ip": "10.0.0.1", "port": 4000},
        "dst": {"ip": "10.0.0.2", "port": 80, "name": "cart", "namespace": "shop"},
        "request": {"size": 100, "headers": {"host": "cart"}},
        "response": {"size": 400, "headers": {}, "body": {"size": 9, "text": '{"a": 1}\n'}},
        **more,
    }


def rendered(form: Format, *entries: dict[str, Any], color: bool = False) -> str:
    out = io.StringIO()
    render = renderer(form, out, color)
    for one in entries:
        render.entry(one)
    render.end()
    return out.getvalue()


def test_a_table_has_a_head_and_a_line_for_each_entry() -> None:
    head, line = rendered("table", entry()).splitlines()
    assert head.split() == ["TIME", "SOURCE", "TARGET", "PROTOCOL", "LATENCY", "SIZE", "SUMMARY"]
    assert line.split()[:6] == ["22:13:20.000", "10.0.0.1:4000", "cart.shop:80", "http", "1.5ms", "500B"]
    assert line.endswith("GET /cart → 200")


def test_a_failure_is_marked_without_colour() -> None:
    assert " ! " in rendered("table", entry(ok=False)).splitlines()[1]
    assert "\x1b" not in rendered("table", entry(ok=False))
    assert "\x1b[31m" in rendered("table", entry(ok=False), color=True)


def test_json_is_one_entry_a_line_with_bytes_as_base64() -> None:
    text = rendered("json", entry(response={"body": {"data": b"\xff\x00"}}), entry(id="0b"))
    first, second = map(json.loads, text.splitlines())
    assert first["response"]["body"]["data"] == "/wA="
    assert second["id"] == "0b"


def test_full_shows_headers_body_and_fields() -> None:
    text = rendered("full", entry(weird=["bare LF"], incomplete=["10 bytes lost"]))
    assert "host: cart" in text
    assert '| {"a": 1}' in text
    assert "method: GET" in text
    assert "weird: bare LF" in text
    assert "incomplete: 10 bytes lost" in text
    assert "elapsed: 1.5ms" in text


HOSTILE = "\x1b]0;owned\x07\x9b31m\u202e\x7f\u2066"


@pytest.mark.parametrize("form", FORMATS)
def test_no_escape_sequence_reaches_the_terminal(form: Format) -> None:
    text = rendered(
        form,
        entry(
            summary=HOSTILE, method=HOSTILE, url=HOSTILE, weird=[HOSTILE], protocol=HOSTILE, odd={HOSTILE: [HOSTILE]},
            src={"ip": HOSTILE, "name": HOSTILE, "namespace": HOSTILE},
            request={"headers": {HOSTILE: HOSTILE}, "body": {"text": HOSTILE, "size": 1}},
        ),
    )
    assert "owned" in text
    assert all(c.isprintable() or c in "\r\n" for c in text)


def test_json_stays_exact() -> None:
    told = json.loads(rendered("json", entry(summary=HOSTILE + "\U000e0041")))
    assert told["summary"] == HOSTILE + "\U000e0041"


def test_csv_has_the_names_of_the_filter_language_and_no_formulas() -> None:
    first, second = csv.DictReader(io.StringIO(rendered("csv", entry(url="=1+1", status_code=200), entry(id="0b"))))
    assert first["url"] == "'=1+1"
    assert (first["dst.name"], first["status_code"], first["ok"]) == ("cart", "200", "true")
    assert first["timestamp"] == "2023-11-14T22:13:20.000000000Z"
    assert (second["id"], second["status_code"]) == ("0b", "")


@pytest.mark.parametrize("columns", [20, 60, 71, 72, 80, 99, 100, 160, 300])
def test_the_table_is_as_wide_as_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    far = entry(
        summary="GET /" + "漢字/" * 200 + " → 200", ok=False,
        src={"ip": "fd00::1", "name": "x" * 90, "namespace": "prod"},
    )
    lines = rendered("table", entry(), far).splitlines()
    assert max(map(width, lines)) <= max(columns, 45)
    assert lines[2].endswith("200")
    assert " ! " in lines[2]


def test_har_is_one_document_whatever_comes() -> None:
    assert json.loads(rendered("har"))["log"]["entries"] == []
    log = json.loads(rendered("har", entry(url="http://cart/cart"), entry(protocol="dns", method="")))["log"]
    [one] = log["entries"]
    assert one["request"]["url"] == "http://cart/cart"


def test_part_of_an_entry() -> None:
    out = io.StringIO()
    render = renderer("json", out, False, ["dst.name", "ok"])
    render.entry(entry())
    assert json.loads(out.getvalue()) == {
        "id": "0a", "timestamp": 1_700_000_000_000_000_000, "dst": {"name": "cart"}, "ok": True,
    }


def test_a_wide_table_says_more() -> None:
    assert [head for head, _ in layout(50)] == ["TIME", "SOURCE", "TARGET", " ", "LATENCY", "SUMMARY"]
    assert "PROTO" in dict(layout(80))
    assert "SIZE" in dict(layout(100))
    assert dict(layout(200))["SOURCE"] > dict(layout(120))["SOURCE"]


def test_a_terminal_that_is_made_narrower_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    render = renderer("table", out, False)
    render.entry(entry())
    monkeypatch.setenv("COLUMNS", "60")
    render.entry(entry())
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["TIME", "22:13:20.000", "TIME", "22:13:20"]
    assert max(map(width, lines[2:])) <= 60


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color("auto", Terminal())
    assert not wants_color("auto", io.StringIO())
    assert wants_color("always", io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color("auto", Terminal())
