"""Reading files without a bus: source, filter and decode, one after the other in one loop (docs/adr/0005)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from typing import Any

from weir.bus.api import Received
from weir.capture.service import CaptureService
from weir.capture.sources import choose
from weir.decode.core import Decoder
from weir.decode.service import DecodeService
from weir.directory import Directory
from weir.dissect.api import Limits
from weir.dissect.registry import Registry
from weir.filter.core import FilterCore
from weir.filter.service import FilterService
from weir.model.control import Control, EndpointRecord
from weir.model.entry import EntryMap
from weir.runtime.service import Context
from weir.settings import Loaded
from weir.targets.service import TargetsService
from weir.targets.static import control_document, endpoint_key, endpoint_records

STAGES = (CaptureService, FilterService, DecodeService, TargetsService)
"""Whose settings `weir read` takes."""


class NoBus:
    """Stands where stages expect a bus: files are read without one."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no bus to {name} while files are read")


class Offline:
    """The cores of the stages for one reading."""

    def __init__(self, loaded: Loaded) -> None:
        runtime = loaded["runtime"]
        self.context = Context(bus=NoBus(), instance=runtime.instance, cluster=runtime.cluster)
        self.counts = self.context.counts
        targets = loaded["targets"]
        self.control: Control = control_document(targets, None, secrets.token_bytes(16))
        endpoints = [(endpoint_key(record), record) for record in endpoint_records(targets)]
        self.source = choose(loaded["capture"])(loaded["capture"], self.context)
        self.source.follow(self.control)
        self.filter = FilterCore(loaded["filter"], shards=1, counts=self.counts)
        self.filter.configure(self.control, endpoints)
        self.decoder = Decoder(
            loaded["decode"],
            names=_directory(endpoints),
            instance=runtime.instance,
            cluster=runtime.cluster,
            counts=self.counts,
        )
        limits = Limits(body=self.control.body_limit, keep_bodies=self.control.bodies)
        registry = Registry(limits, self.control.dissectors)
        self.decoder.configure(registry, self.control.redaction, bodies=self.control.bodies)

    async def entries(self) -> AsyncGenerator[list[EntryMap], None]:
        """Entries as they become complete, a list for each block of packets; the last ones come with the files' end."""
        offset = 0
        async for block in self.source.blocks():
            self.counts.add("capture.packets", block.count)
            out: list[EntryMap] = []
            for record in self.filter.step(Received(0, offset, b"", block)):
                out += self.decoder.feed(record.value)
            offset += 1
            yield out


def _directory(endpoints: list[tuple[bytes, EndpointRecord]]) -> Directory:
    directory = Directory()
    directory.follow(endpoints)
    return directory


async def read_entries(loaded: Loaded) -> list[EntryMap]:
    """All entries of the files that the settings name, for tests and small files."""
    found: list[EntryMap] = []
    async for entries in Offline(loaded).entries():
        found += entries
    return found


def with_files(flags: dict[str, Any], files: list[str]) -> dict[str, Any]:
    """Flags for reading these files: a file that is named is its own target."""
    return {"targets.static": ["all"], **flags, "capture.files": files, "capture.source": "pcap", "bus.url": ""}
