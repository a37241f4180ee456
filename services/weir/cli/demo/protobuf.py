"""Just enough protobuf for the shop's messages: varint and string fields (protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from collections.abc import Mapping

VARINT, BYTES = 0, 2

Value = int | str


def encode(fields: Mapping[int, Value]) -> bytes:
    """Field number to value; zero and the empty string are left out, as proto3 does."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, str):
            data = value.encode()
            if data:
                out += _varint(number << 3 | BYTES) + _varint(len(data)) + data
        elif value:
            out += _varint(number << 3 | VARINT) + _varint(value)
    return bytes(out)


def decode(data: bytes) -> dict[int, Value]:
    """Field number to value. Raises ValueError for what `encode` does not make."""
    fields: dict[int, Value] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if tag & 7 == VARINT:
            fields[tag >> 3] = value
        elif tag & 7 == BYTES and at + value <= len(data):
            fields[tag >> 3] = data[at : at + value].decode()
            at += value
        else:
            raise ValueError(f"field {tag >> 3}: wire type {tag & 7} with {len(data) - at} bytes left")
    return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError(f"varint without an end at byte {at}")
