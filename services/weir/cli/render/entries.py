"""Entries on a terminal: a table that fits its width, one JSON object a line, everything there is, CSV or HAR."""

from __future__ import annotations

import base64
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

import msgspec

from weir.archive.codec import entry_json
from weir.cli.render.table import columns_of
from weir.cli.render.text import (
    clock_time,
    duration,
    fit,
    fit_middle,
    full_time,
    safe,
    safe_csv,
    safe_json,
    safe_lines,
    safe_text_of_json,
    size,
)
from weir.errors import SettingsError
from weir.model.entry import EntryMap

if TYPE_CHECKING:
    from weir.hub.export import Writer

Format = Literal["table", "json", "full", "csv", "har"]
FORMATS: tuple[Format, ...] = ("table", "json", "full", "csv", "har")

WIDE, MIDDLE = 100, 72
"""Columns from which a table has all of its own, and from which it names the protocol."""
WITH_PORT = 18
"""Columns of a source from which its port is shown."""
Layout = tuple[tuple[str, int], ...]
RED, DIM, PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"
FLOW_BYTES = ("conn_local_bytes", "conn_remote_bytes", "flow_local_bytes", "flow_remote_bytes")
SHOWN_ELSEWHERE = {
    "v", "id", "version", "instance", "cluster", "node_name", "timestamp", "elapsed_time", "protocol", "kind",
    "flow_id", "community_id", "transport", "src", "dst", "direction", "request", "response", "ok", "summary",
    "weird", "incomplete", "sample_rate", "source",
}


def renderer(form: Format, out: TextIO, color: bool, fields: Sequence[str] = ()) -> Renderer:
    """`fields`: names of the filter language, of which JSON and CSV consist then; SettingsError for unknown ones."""
    if form in ("table", "full"):
        if fields:
            raise SettingsError(f"--fields is not for {form}", hint="-o json or -o csv")
        return Table(out, color) if form == "table" else Full(out, color)
    # What the hub exports is written by the same code; it brings every dissector's declarations.
    from weir.hub import export, picked
    from weir.query.structured import QueryError

    try:
        if form == "json":
            return Json(out, picked.Picked(fields).of if fields else None)
        if form == "csv":
            return Written(out, export.writer_of("csv", fields, ""), safe_csv)
        if fields:
            raise SettingsError("HAR has fields of its own", hint="--fields is for -o json and -o csv")
        return Written(out, export.writer_of("har", (), _version()), safe_text_of_json)
    except QueryError as error:
        raise SettingsError(error.message, hint=error.hint) from None


def _version() -> str:
    try:
        return importlib.metadata.version("weir")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


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

    def end(self) -> None:
        """No entry follows."""

    def paint(self, text: str, code: str) -> str:
        return f"{code}{text}{PLAIN}" if self.color else text


class Json(Renderer):
    """One entry a line with the contract's field names; bytes as base64. Nothing in it is obeyed by a terminal."""

    def __init__(self, out: TextIO, picked: Callable[[EntryMap], EntryMap] | None = None) -> None:
        super().__init__(out, color=False)
        self._picked = picked

    def entry(self, entry: EntryMap) -> None:
        shown = entry if self._picked is None else self._picked(entry)
        self.out.write(safe_json(entry_json(shown)) + "\n")


class Written(Renderer):
    """A file of one of the forms in which the hub exports: CSV or HAR."""

    def __init__(self, out: TextIO, writer: Writer, inert: Callable[[str], str]) -> None:
        super().__init__(out, color=False)
        self._writer = writer
        self._inert = inert
        self._begun = False

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.out.write(self._writer.head())

    def entry(self, entry: EntryMap) -> None:
        self._begin()
        self.out.write(self._inert(self._writer.piece(entry)))

    def end(self) -> None:
        self._begin()
        self.out.write(self._inert(self._writer.tail("")))


class Table(Renderer):
    """One line an entry, as wide as the terminal: a narrow one has fewer columns, a wide one longer names."""

    def __init__(self, out: TextIO, color: bool) -> None:
        super().__init__(out, color)
        self._columns = 0
        self._cells: Layout = ()
        self._terminal = out.isatty()

    def entry(self, entry: EntryMap) -> None:
        if not self._columns or self._terminal:
            self._lay_out(columns_of(self.out))
        cells = [fit_middle(safe(_cell(head, wide, entry)), wide) for head, wide in self._cells]
        self._line(cells, RED if entry.get("ok") is False else "")

    def _lay_out(self, columns: int) -> None:
        """Terminals may change their width while they are written to."""
        if columns == self._columns:
            return
        self._columns = columns
        self._cells = layout(columns)
        self._line([fit(head, wide) for head, wide in self._cells], DIM)

    def _line(self, cells: list[str], code: str) -> None:
        text = " ".join(cells).rstrip()
        self.out.write((self.paint(text, code) if code else text) + "\n")


def layout(columns: int) -> Layout:
    """Heads and widths of the table's columns: names get about a quarter of what is left each, the summary the rest."""
    back: Layout
    if columns >= WIDE:
        front, back = 12, (("PROTOCOL", 8), (" ", 1), ("LATENCY", 8), ("SIZE", 7))
    elif columns >= MIDDLE:
        front, back = 8, (("PROTO", 5), (" ", 1), ("LATENCY", 7))
    else:
        front, back = 8, ((" ", 1), ("LATENCY", 7))
    left = columns - (front + 1) - sum(n + 1 for _, n in back) - 2
    # The server's port says more than the client's, which narrow tables leave out.
    source, target = max(min(left // 4, 40), 8), max(min(left // 3, 40), 8)
    return ("TIME", front), ("SOURCE", source), ("TARGET", target), *back, ("SUMMARY", max(left - source - target, 8))


def _cell(head: str, wide: int, entry: EntryMap) -> str:
    if head == "TIME":
        return clock_time(entry["timestamp"])[:wide]
    if head == "SOURCE":
        return peer(entry["src"], port=wide >= WITH_PORT)
    if head == "TARGET":
        return peer(entry["dst"])
    if head in ("PROTOCOL", "PROTO"):
        return str(entry["protocol"])
    if head == "LATENCY":
        return duration(entry["elapsed_time"]) if entry.get("elapsed_time") else "-"
    if head == "SIZE":
        return size(total_size(entry))
    if head == "SUMMARY":
        return str(entry.get("summary", ""))
    return "!" if entry.get("ok") is False else "?" if entry.get("incomplete") else " "


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


def peer(end: dict[str, Any], *, port: bool = True) -> str:
    """`checkout.prod:8080`, or `10.0.0.1:8080` where no name is known; without its port if that is not wanted."""
    name = end.get("name", "")
    if name and end.get("namespace"):
        name = f"{name}.{end['namespace']}"
    address = str(end.get("ip", ""))
    if not (port and end.get("port")):
        return name or address
    return f"{name or (f'[{address}]' if ':' in address else address)}:{end['port']}"


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
