"""Whole conversations of the toy protocol through a decoder, and all that it gave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.model.control import EndpointRecord
from weir.model.entry import EntryMap
from weir.model.flow import Side
from weir.testing.segments import Connection, Segment, block
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"


class Listeners:
    """A directory that knows of nothing but listeners."""

    version = 1

    def __init__(self, *places: tuple[bytes, int]) -> None:
        self.places = places

    def lookup(self, address: bytes | str, port: int, ts_ns: int) -> EndpointRecord | None:
        listens = (address, port) in self.places
        return EndpointRecord(address="x", uid="x", port=port, listens=True, name="listener") if listens else None


class Run:
    """A decoder and all that it gave."""

    def __init__(self, settings: DecodeSettings | None = None, **options: Any) -> None:
        self.settings = settings or DecodeSettings()
        self.decoder = Decoder(self.settings, [Toy()], **options)
        self.entries: list[EntryMap] = []
        self.offset = 0

    def feed(self, *segments: Segment, **options: Any) -> list[EntryMap]:
        made = self.decoder.feed(block(segments, offset=self.offset, **options))
        self.offset += 1
        self.entries += made
        return made

    def end(self, **options: Any) -> list[EntryMap]:
        return self.feed(end=True, **options)

    @property
    def exchanges(self) -> list[EntryMap]:
        return [e for e in self.entries if e["kind"] != "flow"]

    @property
    def flows(self) -> list[EntryMap]:
        return [e for e in self.entries if e["kind"] == "flow"]


def conversation(connection: Connection | None = None) -> list[Segment]:
    c = connection or Connection()
    return [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close()]


def decoded(segments: Iterable[Segment], settings: DecodeSettings | None = None, **options: Any) -> Run:
    run = Run(settings, **options)
    run.feed(*segments)
    run.end()
    return run
