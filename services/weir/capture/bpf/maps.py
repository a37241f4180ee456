"""Maps of the kernel: keys and values are bytes, as `weir.capture.bpf.layout` packs them."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from weir.capture.bpf.elf import MapSpec
from weir.capture.bpf.syscall import Command, attributes, call

PERCPU_ARRAY = 6
_BATCH = 4096
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUPP if hasattr(errno, "ENOTSUPP") else 524, errno.EOPNOTSUPP)
"""What kernels without batches (before 5.6; for LPM tries before 5.7) answer."""


class Map:
    """One map; closed with `close`, and kept by the kernel as long as a loaded program uses it."""

    def __init__(self, name: str, spec: MapSpec) -> None:
        self.name = name
        self.spec = spec
        self.descriptor = call(Command.MAP_CREATE, attributes(
            "IIIIIII16s", spec.type, spec.key_size, spec.value_size, spec.max_entries, spec.flags, 0, 0,
            name.encode()[:15],
        ))
        self._key = ctypes.create_string_buffer(spec.key_size)
        per_cpu = (spec.value_size + 7) // 8 * 8
        self._value = ctypes.create_string_buffer(
            per_cpu * possible_cpus() if spec.type == PERCPU_ARRAY else spec.value_size
        )
        self._both = attributes(
            "IxxxxQQQ", self.descriptor, ctypes.addressof(self._key), ctypes.addressof(self._value), 0
        )
        self._only_key = attributes("IxxxxQ", self.descriptor, ctypes.addressof(self._key))

    def put(self, key: bytes, value: bytes) -> None:
        self._key.raw, self._value.raw = key, value
        call(Command.MAP_UPDATE, self._both)

    def put_all(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """In batches where the kernel has them. Raises OSError (E2BIG if the map is full)."""
        for at in range(0, len(items), _BATCH):
            self._put_batch(items[at : at + _BATCH])

    def _put_batch(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        keys = ctypes.create_string_buffer(b"".join(key for key, _ in items), self.spec.key_size * len(items))
        values = ctypes.create_string_buffer(b"".join(value for _, value in items), self.spec.value_size * len(items))
        attr = attributes(
            "QQQQIIQQ", 0, 0, ctypes.addressof(keys), ctypes.addressof(values), len(items), self.descriptor, 0, 0
        )
        try:
            call(Command.MAP_UPDATE_BATCH, attr)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            for key, value in items:
                self.put(key, value)

    def get(self, key: bytes) -> bytes | None:
        self._key.raw = key
        try:
            call(Command.MAP_LOOKUP, self._both)
        except FileNotFoundError:
            return None
        return self._value.raw

    def delete(self, key: bytes) -> None:
        """No error if there is none."""
        self._key.raw = key
        try:
            call(Command.MAP_DELETE, self._only_key)
        except FileNotFoundError:
            return

    def take(self, key: bytes) -> bytes | None:
        """The value, removed at once (hash maps; kernels before 5.14 do it in two steps)."""
        self._key.raw = key
        try:
            call(Command.MAP_LOOKUP_AND_DELETE, self._both)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            value = self.get(key)
            self.delete(key)
            return value
        return self._value.raw

    def dump(self, batch: int = 8192) -> Iterator[tuple[memoryview, memoryview]]:
        """All keys and all values, in parts; an entry that changes meanwhile may be missed or come twice."""
        keys = ctypes.create_string_buffer(self.spec.key_size * batch)
        values = ctypes.create_string_buffer(self.spec.value_size * batch)
        # The cursor of a hash map is the number of a bucket, of others a key.
        cursor = ctypes.create_string_buffer(max(self.spec.key_size, 8))
        begun = False
        while True:
            attr = attributes(
                "QQQQIIQQ", ctypes.addressof(cursor) if begun else 0, ctypes.addressof(cursor),
                ctypes.addressof(keys), ctypes.addressof(values), batch, self.descriptor, 0, 0,
            )
            more = True
            try:
                call(Command.MAP_LOOKUP_BATCH, attr)
            except FileNotFoundError:
                more = False
            count = int.from_bytes(attr.raw[32:36], "little")
            if count:
                yield (
                    memoryview(keys).cast("B")[: count * self.spec.key_size],
                    memoryview(values).cast("B")[: count * self.spec.value_size],
                )
            if not more:
                return
            begun = True

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def possible_cpus() -> int:
    """How many values a per-CPU map has for each key."""
    text = Path("/sys/devices/system/cpu/possible").read_text(encoding="ascii").strip()
    return int(text.replace(",", "-").split("-")[-1]) + 1
