from __future__ import annotations

import io
import json
from typing import Any

import pytest

from weir.cli.render.entries import Format, renderer, wants_color


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


@pytest.mark.parametrize("form", ["table", "full"])
def test_no_escape_sequence_reaches_the_terminal(form: Format) -> None:
    hostile = "\x1b]0;owned\x07\u202e"
    text = rendered(
        form,
        entry(
            summary=hostile, method=hostile, weird=[hostile],
            src={"ip": hostile, "name": hostile},
            request={"headers": {hostile: hostile}, "body": {"text": hostile, "size": 1}},
        ),
    )
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


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
