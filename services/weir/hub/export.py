"""Entries as files that other programs open: JSON lines, CSV and HAR. Pure: text out, piece by piece.

HAR is HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/); it knows nothing but HTTP. What a spreadsheet
would take for a formula is written as the text that it is (`weir.query.csv`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl

from weir.archive.codec import entry_json
from weir.hub.picked import Picked, at
from weir.model.entry import EntryMap
from weir.query.csv import line
from weir.query.filter.derived import by_name, mapping, string

Format = Literal["jsonl", "csv", "har"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "har")

COLUMNS = (
    "timestamp", "protocol", "kind", "src.name", "src.namespace", "src.ip", "src.port", "dst.name", "dst.namespace",
    "dst.ip", "dst.port", "method", "url", "status_code", "ok", "elapsed_time", "request.size", "response.size",
    "summary", "id",
)
"""Of CSV, where nobody names others."""


class Writer(Protocol):
    media: str

    def head(self) -> str: ...

    def piece(self, entry: EntryMap) -> str:
        """An entry as text; empty if this format has no place for it."""
        ...

    def tail(self, remark: str) -> str:
        """The end; `remark` says what is missing, where the format has a place for that."""
        ...


def writer_of(form: Format, fields: Sequence[str], version: str) -> Writer:
    """QueryError for unknown fields."""
    if form == "har":
        return Har(version)
    return Csv(fields) if form == "csv" else Lines(fields)


class Lines:
    """One entry of the contract on each line."""

    media = "application/x-ndjson"

    def __init__(self, fields: Sequence[str]) -> None:
        self._picked = Picked(fields)

    def head(self) -> str:
        return ""

    def piece(self, entry: EntryMap) -> str:
        return entry_json(self._picked.of(entry)).decode() + "\n"

    def tail(self, remark: str) -> str:
        return ""


class Csv:
    """RFC 4180 with a header; times as RFC 3339, everything that is no single value as JSON."""

    media = "text/csv; charset=utf-8"

    def __init__(self, fields: Sequence[str]) -> None:
        self._names = tuple(fields) or COLUMNS
        self._picked = Picked(self._names)

    def head(self) -> str:
        return line(self._names)

    def piece(self, entry: EntryMap) -> str:
        picked = self._picked.of(entry)
        return line([_cell(name, at(picked, tuple(name.split(".")))) for name in self._names])

    def tail(self, remark: str) -> str:
        return ""


def _cell(name: str, value: Any) -> str | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and name.rpartition(".")[2] in ("timestamp", "end"):
        return instant(value)
    if isinstance(value, int | float | str):
        return value
    return entry_json({"": value}).decode()[4:-1]


class Har:
    """Entries with a method and a URL; of others it is counted how many were left out."""

    media = "application/json"

    def __init__(self, version: str) -> None:
        self._version = version
        self._written = 0
        self._others = 0

    def head(self) -> str:
        creator = json.dumps({"name": "weir", "version": self._version})
        return f'{{"log":{{"version":"1.2","creator":{creator},"entries":['

    def piece(self, entry: EntryMap) -> str:
        if not string(entry.get("method")) or not (string(entry.get("url")) or string(entry.get("path"))):
            self._others += 1
            return ""
        self._written += 1
        return ("," if self._written > 1 else "") + entry_json(har_entry(entry)).decode()

    def tail(self, remark: str) -> str:
        others = f"{self._others:,} entries that are not HTTP are left out" if self._others else ""
        return f'],"comment":{json.dumps("; ".join(filter(None, (remark, others))))}}}}}\n'


def instant(ns: int) -> str:
    """RFC 3339 with all nine digits; the begin of all time for a clock that was never set."""
    try:
        moment = datetime.fromtimestamp(ns // 10**9, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09}Z"


def har_entry(entry: EntryMap) -> dict[str, Any]:
    request, response = mapping(entry.get("request")), mapping(entry.get("response"))
    asked, answered = _number(request.get("timestamp")), _number(response.get("timestamp"))
    sent, ended = _number(request.get("end")) or asked, _number(response.get("end")) or answered
    elapsed = _number(entry.get("elapsed_time")) / 1000
    timings = {
        "send": _ms(sent - asked), "wait": _ms(answered - sent) if answered else elapsed,
        "receive": _ms(ended - answered),
    }
    version = string(entry.get("http_version")) or "1.1"
    made = {
        "startedDateTime": instant(_number(entry.get("timestamp"))), "time": round(sum(timings.values()), 6),
        "request": _har_request(entry, request, f"HTTP/{version}"),
        "response": _har_response(entry, response, f"HTTP/{version}"),
        "cache": {}, "timings": timings, "comment": string(entry.get("summary")), "_weir_id": string(entry.get("id")),
    }
    if address := string(mapping(entry.get("dst")).get("ip")):
        made["serverIPAddress"] = address
    if flow := string(entry.get("flow_id")):
        made["connection"] = flow
    return made


def _har_request(entry: EntryMap, message: dict[str, Any], version: str) -> dict[str, Any]:
    headers = by_name(message.get("headers"))
    made: dict[str, Any] = {
        "method": string(entry.get("method")), "url": string(entry.get("url")) or string(entry.get("path")),
        "httpVersion": version, "headers": _pairs(headers), "cookies": _cookies(headers.get("cookie", "").split(";")),
        "queryString": [
            {"name": name, "value": value} for name, value in by_name(entry.get("query_string")).items()
        ],
        "headersSize": _number(entry.get("request_headers_size"), -1),
        "bodySize": _number(entry.get("request_body_size"), -1),
    }
    body = mapping(message.get("body"))
    if body:
        mime = headers.get("content-type", "")
        text = string(body.get("text"))
        form = mime.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
        fields = parse_qsl(text, keep_blank_values=True) if form else []
        made["postData"] = {
            "mimeType": mime, "text": text, "params": [{"name": name, "value": value} for name, value in fields],
            "comment": _kept(body),
        }
    return made


def _har_response(entry: EntryMap, message: dict[str, Any], version: str) -> dict[str, Any]:
    headers = by_name(message.get("headers"))
    body = mapping(message.get("body"))
    content: dict[str, Any] = {"size": _number(body.get("size")), "mimeType": headers.get("content-type", "")}
    if text := string(body.get("text")):
        content["text"] = text
    elif isinstance(data := body.get("data"), bytes) and data:
        content |= {"text": base64.b64encode(data).decode(), "encoding": "base64"}
    if kept := _kept(body):
        content["comment"] = kept
    return {
        "status": _number(entry.get("status_code")), "statusText": string(entry.get("reason")),
        "httpVersion": version, "headers": _pairs(headers),
        "cookies": _cookies([one.partition(";")[0] for one in headers.get("set-cookie", "").split("\n")]),
        "content": content, "redirectURL": headers.get("location", ""),
        "headersSize": _number(entry.get("response_headers_size"), -1),
        "bodySize": _number(entry.get("response_body_size"), -1),
    }


def _kept(body: dict[str, Any]) -> str:
    return "weir kept the first bytes of this body only" if body.get("truncated") is True else ""


def _pairs(headers: dict[str, str]) -> list[dict[str, str]]:
    """Set-Cookie alone cannot be joined by commas, and comes joined by line feeds."""
    return [
        {"name": name, "value": value}
        for name, joined in headers.items() for value in (joined.split("\n") if name == "set-cookie" else [joined])
    ]


def _cookies(parts: Sequence[str]) -> list[dict[str, str]]:
    found = (part.strip().partition("=") for part in parts)
    return [{"name": name, "value": value} for name, mark, value in found if name and mark]


def _number(value: Any, default: int = 0) -> int:
    return value if type(value) is int and value >= 0 else default


def _ms(ns: int) -> float:
    return max(ns, 0) / 1_000_000
