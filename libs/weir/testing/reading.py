"""Capture files through the whole pipeline, as `weir read` does it, for tests that look at entries and counters."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from weir.cli.offline import STAGES, Offline, with_files
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.runtime.process import load_settings

KEY = "captures"
"""Key of the digests that stand for masked values."""


class Reading(NamedTuple):
    entries: list[EntryMap]
    """In the order in which they became complete."""
    counts: Counts

    def of(self, *protocols: str) -> list[EntryMap]:
        """Entries of these protocols, the oldest first."""
        return sorted((e for e in self.entries if e["protocol"] in protocols), key=lambda e: (e["timestamp"], e["id"]))

    def newest(self) -> dict[str, EntryMap]:
        """By id: the fullest version, as an archive keeps it."""
        found: dict[str, EntryMap] = {}
        for entry in self.entries:
            have = found.get(entry["id"])
            if have is None or entry.get("version", 1) >= have.get("version", 1):
                found[entry["id"]] = entry
        return found

    def dropped(self) -> dict[str, int]:
        """Packets that filter left out, by reason."""
        return {name[15:-1]: n for name, n in self.counts.items() if name.startswith("filter.dropped{")}


def read_files(*files: Path, **settings: Any) -> Reading:
    """Read capture files one after the other; `capture_rings=2` sets `capture.rings`."""
    flags = {"targets.redaction_key": KEY} | {name.replace("_", ".", 1): value for name, value in settings.items()}
    loaded = load_settings(list(STAGES), with_files(flags, [str(file) for file in files]), environ={})
    return asyncio.run(_read(Offline(loaded)))


async def _read(offline: Offline) -> Reading:
    found = [entry async for entries in offline.entries() for entry in entries]
    return Reading(found, offline.counts)
