"""A decoder's state as bytes, and as records of `weir.flows`.

Everything is a plain value; a dissector's state is stored under the dissector's name and read back as its `State`.
Unknown or damaged snapshots are refused, never half taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from weir.decode.core import Decoder
from weir.decode.flows import Flow, Kept, SavedFlow, Tomb
from weir.decode.origins import Origins
from weir.decode.vantages import Vantage
from weir.model.health import SnapshotChunk

FORMAT = 2
"""Raised when the state's form changes so that an older one cannot be read."""
CHUNK_BYTES = 512 << 10
SLOTS = 2
_DIGEST = 16


class Unreadable(ValueError):
    """A snapshot that this weir cannot take over."""


class SavedVantage(msgspec.Struct, array_like=True):
    name: str
    node: str
    run: int
    clock: int
    over: bool = False
    tallies: bool = False


class Snapshot(msgspec.Struct, kw_only=True):
    """All of a decoder's state."""

    format: int = FORMAT
    origins: Origins
    vantages: list[SavedVantage]
    flows: list[SavedFlow]
    tombs: dict[bytes, Tomb]


class Head(msgspec.Struct):
    """What can be read of a snapshot of any format."""

    format: int = 0


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def save(decoder: Decoder) -> bytes:
    """The state, with a digest before it. Costs time and memory in proportion to what is open."""
    state = {
        "format": FORMAT,
        "origins": decoder.origins,
        "vantages": [
            SavedVantage(v.name, v.node, v.run, v.clock, v.over, v.tallies) for v in decoder.vantages.values()
        ],
        "flows": list(decoder.flows.values()),
        "tombs": decoder.tombs,
    }
    body = _ENCODER.encode(state)
    return hashlib.blake2b(body, digest_size=_DIGEST).digest() + body


def restore(decoder: Decoder, saved: bytes) -> None:
    """Give a new decoder the state that was saved. Raises `Unreadable`, and then the decoder is as it was."""
    body = memoryview(saved)[_DIGEST:]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != saved[:_DIGEST]:
        raise Unreadable("damaged")
    try:
        found = msgspec.msgpack.decode(body, type=Head).format
        if found != FORMAT:
            raise Unreadable(f"format {found}, known is {FORMAT}")
        snapshot = _DECODER.decode(body)
        flows = [_flow(decoder, saved_flow) for saved_flow in snapshot.flows]
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)) from error
    vantages = [Vantage(v.name, v.node, v.run, v.clock, v.over, v.tallies) for v in snapshot.vantages]
    decoder.adopt(snapshot.origins, vantages, flows, snapshot.tombs)


def _flow(decoder: Decoder, saved: SavedFlow) -> Flow:
    """A flow whose dissector is gone, or reads its state no more, goes on undecoded: that costs one flow, not all."""
    flow = Flow(**{name: getattr(saved, name) for name in Kept.__struct_fields__})
    if flow.phase == "decoded":
        dissector = decoder.identifier.get(flow.dissector)
        try:
            if dissector is None:
                raise msgspec.ValidationError("switched off")
            flow.state = msgspec.msgpack.decode(saved.state, type=dissector.State)
        except msgspec.MsgspecError as error:
            decoder.counts.lose("decode.state_unreadable")
            decoder.talk.give_up(flow, f"state of {flow.dissector} not restored: {error}")
    return flow


def chunks_of(saved: bytes, *, shard: int, slot: int, offset: int) -> dict[bytes, SnapshotChunk]:
    """The records of a snapshot that stands for everything before `offset`, by key."""
    parts = [saved[at:at + CHUNK_BYTES] for at in range(0, len(saved), CHUNK_BYTES)]
    return {
        chunk_key(shard, slot, number): SnapshotChunk(
            shard=shard, slot=slot, offset=offset, chunk=number, chunks=len(parts), data=part
        )
        for number, part in enumerate(parts)
    }


def chunk_key(shard: int, slot: int, chunk: int) -> bytes:
    return b"%d/%d/%d" % (shard, slot, chunk)


def occupied(shard: int, records: Mapping[bytes, Any]) -> list[int]:
    """How many chunks each slot may have, complete or not: a shorter snapshot removes what is behind its own."""
    chunks = [value for value in records.values() if isinstance(value, SnapshotChunk) and value.shard == shard]
    return [max((c.chunk + 1 for c in chunks if c.slot == slot), default=0) for slot in range(SLOTS)]


class Stored(msgspec.Struct):
    """A complete snapshot as it was found."""

    slot: int
    offset: int
    chunks: int
    data: bytes


def complete(shard: int, records: Mapping[bytes, Any]) -> list[Stored]:
    """The complete snapshots of a shard among the newest records of `weir.flows`, the latest first."""
    found = []
    for slot in range(SLOTS):
        chunks = [
            value for value in records.values()
            if isinstance(value, SnapshotChunk) and (value.shard, value.slot) == (shard, slot)
        ]
        for offset in {chunk.offset for chunk in chunks}:
            stored = _join(slot, offset, (chunk for chunk in chunks if chunk.offset == offset))
            if stored is not None:
                found.append(stored)
    return sorted(found, key=lambda s: s.offset, reverse=True)


def _join(slot: int, offset: int, chunks: Iterable[SnapshotChunk]) -> Stored | None:
    parts = {chunk.chunk: chunk for chunk in chunks}
    number = max((chunk.chunks for chunk in parts.values()), default=0)
    if not number or any(n not in parts or parts[n].chunks != number for n in range(number)):
        return None
    return Stored(slot, offset, number, b"".join(parts[n].data for n in range(number)))
