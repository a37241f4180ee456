"""Entries as bytes: MessagePack for keeping, JSON for people. Any map can be carried."""

from __future__ import annotations

from typing import Any

import msgspec

from weir.model.entry import EntryMap

_json = msgspec.json.Encoder()
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()


def encode_entry(entry: EntryMap) -> bytes:
    """MessagePack of an entry; what UTF-8 or MessagePack cannot carry (lone surrogates, giant numbers) as text."""
    try:
        return _encoder.encode(entry)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        return _encoder.encode(_portable(entry))


def entry_json(entry: EntryMap) -> bytes:
    """JSON of an entry: bytes as base64, numbers that are none as null; whatever it holds, it is inert text."""
    try:
        return _json.encode(entry)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        return _json.encode(_portable(entry))


def decode_entry(data: bytes) -> EntryMap:
    entry: EntryMap = _decoder.decode(data)
    return entry


def _portable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(_portable(key)): _portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return value
    return str(value)
