"""Entries as bytes, the same for keeping and for people: JSON, with bytes as base64. Any map can be carried.

JSON and not MessagePack, although that is the form on the topic: the archive's SQL reads fields out of it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

import msgspec

from weir.model.entry import EntryMap

_json = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_packed: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()
_OBJECT = b"{"


def entry_json(entry: EntryMap) -> bytes:
    """JSON of an entry: bytes as base64, numbers that are none as null; whatever it holds, it is inert text."""
    try:
        return _json.encode(entry)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        return _json.encode(_portable(entry))


def decode_entry(data: bytes) -> EntryMap:
    """The entry again; of bytes only the bodies' are bytes again. Older archives have MessagePack."""
    if data[:1] != _OBJECT:
        packed: EntryMap = _packed.decode(data)
        return packed
    entry: EntryMap = _decoder.decode(data)
    for name in ("request", "response"):
        message = entry.get(name)
        body = message.get("body") if type(message) is dict else None
        if type(body) is dict and "data" in body:
            body["data"] = _bytes(body["data"])
    return entry


def _bytes(value: Any) -> Any:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return value


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
