"""Captures with the entries that are expected of them: folders `<protocol>/<case>/{capture.pcap,expect.jsonl}`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from weir.model.entry import EntryMap
from weir.testing.reading import read_files

CAPTURE, EXPECTED = "capture.pcap", "expect.jsonl"


def cases(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.glob(f"*/*/{CAPTURE}"))


def found(case: Path) -> list[EntryMap]:
    """Entries of a case as JSON tells them, the oldest first; every version of each."""
    told = msgspec.json.decode(msgspec.json.encode(read_files(case / CAPTURE).entries))
    return sorted(told, key=lambda entry: (entry["timestamp"], entry["id"], entry.get("version", 1)))


def expected(case: Path) -> list[EntryMap]:
    return [msgspec.json.decode(line) for line in (case / EXPECTED).read_bytes().splitlines()]


def write(case: Path) -> bool:
    """Write what is expected of a case anew; whether that changed it."""
    file = case / EXPECTED
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in found(case))
    changed = not file.exists() or file.read_bytes() != lines
    file.write_bytes(lines)
    return changed
