"""Entries on a terminal: a table that fits its width, one JSON object a line, or everything there is."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Literal, TextIO

import msgspec

from weir.cli.render.text import clock_time, duration, fit, full_time, safe, safe_lines, size
from weir.model.entry import EntryMap

Format = Literal["table", "json", "full"]
FORMATS: tuple[Format, ...] = ("table", "json", "full")

RED, DIM, PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"
FLOW_BYTES = ("conn_local_bytes", "conn_remote_bytes", "flow_local_bytes", "flow_remote_bytes")
SHOWN_ELSEWHERE = {
    "v", "id", "version", "instance", "cluster", "node_name", "timestamp", "elapsed_time", "protocol", "kind",
    "flow_id", "community_id", "transport", "src", "dst", "direction", "request", "response", "ok", "summary",
    "weird", "incomplete", "sample_rate", "source",
}


def renderer(form: Format, out: TextIO, color: bool) -> Renderer:
    return {"table": Table, "json": Json, "full": Full}[form](out, color)


def wants_color(choice: str, out: TextIO) -> bool:
    """`--color auto|always|never`, and NO_COLOR (https://no-color.org)."""
    if choice == "auto":
        return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


class Renderer:
    """Writes entries as they come."""

    def __init__(self, out: TextIO, color: bool) -> None:
        self.out = out
        self.color = color

    def entry(self, entry: EntryMap) -> None:
        raise TypeError(f"{type(self).__name__} renders nothing")

    def paint(self, text: str, code: str) -> str:
        return f"{code}{text}{PLAIN}" if self.color else text


class Json(Renderer):
    """One entry a line with the contract's field names; bytes as base64."""

    def __init__(self, out: TextIO, color: bool) -> None:
        super().__init__(out, color)
        self._encode: Callable[[EntryMap], bytes] = msgspec.json.Encoder().encode

    def entry(self, entry: EntryMap) -> None:
        self.out.write(self._encode(entry).decode() + "\n")


class Table(Renderer):
    """One line an entry; the summary takes what the terminal leaves."""

    FIXED = (("TIME", 12), ("SOURCE", 22), ("TARGET", 22), ("PROTOCOL", 8), (" ", 1), ("LATENCY", 8), ("SIZE", 7))

    def __init__(self, out: TextIO, color: bool) -> None:
        super().__init__(out, color)
        columns = shutil.get_terminal_size((120, 24)).columns if out.isatty() else 160
        used = sum(w + 1 for _, w in self.FIXED)
        self._summary = max(columns - used, 24)
        self._begun = False

    def entry(self, entry: EntryMap) -> None:
        if not self._begun:
            self._begun = True
            heads = [fit(name, w) for name, w in self.FIXED]
            self._line([*heads, "SUMMARY"], DIM)
        failed = entry.get("ok") is False
        cells = (
            clock_time(entry["timestamp"]), peer(entry["src"]), peer(entry["dst"]), entry["protocol"],
            "!" if failed else "?" if entry.get("incomplete") else " ",
            duration(entry["elapsed_time"]) if entry.get("elapsed_time") else "-", size(total_size(entry)),
        )
        line = [fit(safe(cell), w) for cell, (_, w) in zip(cells, self.FIXED, strict=True)]
        self._line([*line, fit(safe(entry.get("summary", "")), self._summary).rstrip()], RED if failed else "")

    def _line(self, cells: list[str], code: str) -> None:
        text = " ".join(cells).rstrip()
        self.out.write((self.paint(text, code) if code else text) + "\n")


class Full(Renderer):
    """Everything about an entry, for reading."""

    def entry(self, entry: EntryMap) -> None:
        mark = {True: "ok", False: "FAILED", None: ""}[entry.get("ok")]
        head = f"{full_time(entry['timestamp'])}  {peer(entry['src'])} → {peer(entry['dst'])}  {entry['protocol']}"
        self.out.write(self.paint(safe(f"{head}  {entry.get('summary', '')}  {mark}").rstrip(), "\x1b[1m") + "\n")
        self._pairs(_facts(entry))
        for name in ("request", "response"):
            if message := entry.get(name):
                self._message(name, message)
        self.out.write("\n")

    def _message(self, name: str, message: dict[str, Any]) -> None:
        self.out.write(f"  {name}  {full_time(message.get('timestamp', 0))}  {size(message.get('size', 0))}\n")
        self._pairs(message.get("headers", {}).items(), "    ")
        self._pairs(message.get("trailers", {}).items(), "    trailer ")
        if body := message.get("body"):
            cut = f", cut from {size(body.get('size', 0))}" if body.get("truncated") else ""
            self.out.write(f"    body {size(body.get('size', 0))}{cut}\n")
            for line in safe_lines(body_text(body)).splitlines():
                self.out.write(f"    | {line}\n")

    def _pairs(self, pairs: Any, indent: str = "  ") -> None:
        for key, value in pairs:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            self.out.write(f"{indent}{safe(str(key))}: {safe(text)}\n")


def _facts(entry: EntryMap) -> Iterator[tuple[str, Any]]:
    yield "id", entry["id"]
    yield "flow", f"{entry['flow_id']} {entry.get('community_id', '')}".rstrip()
    if entry.get("elapsed_time"):
        yield "elapsed", duration(entry["elapsed_time"])
    for key, value in entry.items():
        if key not in SHOWN_ELSEWHERE:
            yield key, value
    for key in ("weird", "incomplete"):
        if entry.get(key):
            yield key, "; ".join(entry[key])


def peer(end: dict[str, Any]) -> str:
    """`checkout.prod:8080`, or `10.0.0.1:8080` where no name is known."""
    name = end.get("name", "")
    if name and end.get("namespace"):
        name = f"{name}.{end['namespace']}"
    address = str(end.get("ip", ""))
    host = name or (f"[{address}]" if ":" in address else address)
    return f"{host}:{end['port']}" if end.get("port") else host


def total_size(entry: EntryMap) -> int:
    """Bytes of request and response; of a flow both directions."""
    messages = sum(int((entry.get(side) or {}).get("size", 0)) for side in ("request", "response"))
    return messages or sum(int(entry.get(name, 0)) for name in FLOW_BYTES)


def body_text(body: dict[str, Any]) -> str:
    """The kept bytes as text; base64 where they are none."""
    if "data" in body:
        data = body["data"]
        return data if isinstance(data, str) else base64.b64encode(data).decode()
    return str(body.get("text", ""))
