"""Values to MessagePack and back, with their size, type and version checked on both sides.

A struct travels as a map of its fields with its tag in `t` and its major version in `v`; an entry is the flat map that
it is. Unknown fields are ignored, so that additions need no new version. Whatever cannot be understood becomes
`Undecodable`, never an exception: topics are written by other programs, too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgpack
import msgspec

from weir.bus.api import Topic, Undecodable
from weir.model.entry import ENTRY_VERSION

MAX_ITEMS = 32768
"""Elements of one array or map. msgpack allocates an array as large as it is declared before it reads an element, and
again at each of up to 1,024 levels; without this a message of 4 MiB could ask for 32 GiB."""
_BINARY = (bytes, bytearray, memoryview)
_REASON_CHARS = 200
_PACKER = msgpack.Packer(buf_size=1 << 20)
"""Kept, because a new one for each block costs six times the copy itself in page faults."""


class OversizedValue(ValueError):
    """A value is larger than its topic allows: who makes it has to split or cut it first."""

    def __init__(self, topic: Topic, size: int) -> None:
        super().__init__(f"a value of {size} bytes on {topic.name}, which allows {topic.max_bytes}")
        self.size = size
        self.limit = topic.max_bytes


def encode(topic: Topic, value: Any) -> bytes:
    """The value as it travels. Raises OversizedValue, and TypeError for a value of another topic."""
    form = _Form.of(topic.value)
    if form.tag:
        if type(value) is not topic.value:
            raise TypeError(f"{topic.name} carries {topic.value.__name__}, not {type(value).__name__}")
        fields = msgspec.to_builtins(value, builtin_types=_BINARY, str_keys=True)
    else:
        if type(value) is not dict:
            raise TypeError(f"{topic.name} carries maps, not {type(value).__name__}")
        fields = value
    if "v" not in fields:
        fields = {"v": form.version, **fields}
    encoded = _pack(fields)
    if len(encoded) > topic.max_bytes:
        raise OversizedValue(topic, len(encoded))
    return encoded


def decode(topic: Topic, encoded: bytes) -> Any:
    """A value of the topic's type, or `Undecodable`."""
    size = len(encoded)
    if size > topic.max_bytes:
        return Undecodable(f"{size} bytes, more than the {topic.max_bytes} allowed on {topic.name}", size)
    try:
        fields = msgpack.unpackb(
            encoded, raw=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0,
        )
        return _understand(topic, fields, size)
    except Exception as error:  # whatever foreign bytes provoke in msgpack or msgspec
        return Undecodable(_reason(error), size)


def _understand(topic: Topic, fields: Any, size: int) -> Any:
    form = _Form.of(topic.value)
    if type(fields) is not dict:
        return Undecodable(f"not a map but {type(fields).__name__}", size)
    version = fields.get("v")
    if type(version) is not int or version < 1:
        return Undecodable("without a version", size)
    if version > form.version:
        return Undecodable(f"version {version}, known is {form.version}", size, newer=True)
    if not form.tag:
        if type(fields.get("id")) is not str or type(fields.get("timestamp")) is not int:
            return Undecodable("an entry without id or timestamp", size)
        return fields
    if fields.get("t") != form.tag:
        return Undecodable(f"of type {str(fields.get('t'))[:40]!r}, expected {form.tag!r}", size)
    return msgspec.convert(fields, topic.value, builtin_types=_BINARY, str_keys=True)


def _pack(fields: dict[str, Any]) -> bytes:
    try:
        packed: bytes = _PACKER.pack(fields)
    except UnicodeEncodeError:
        # Text from the wire may hold lone surrogates, which have no UTF-8.
        packed = msgpack.packb(fields, unicode_errors="replace")
    return packed


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_REASON_CHARS]


class _Form(msgspec.Struct, frozen=True):
    """What the type of a topic's values says about their form on the wire; no tag: a flat map."""

    tag: str
    version: int

    @staticmethod
    @lru_cache(maxsize=64)
    def of(value_type: Any) -> _Form:
        config = getattr(value_type, "__struct_config__", None)
        if config is None:
            return _Form("", ENTRY_VERSION)
        if config.tag_field != "t":
            raise TypeError(f"{value_type.__name__} needs tag_field='t'")
        version = next(field.default for field in msgspec.structs.fields(value_type) if field.name == "v")
        return _Form(str(config.tag), int(version))
