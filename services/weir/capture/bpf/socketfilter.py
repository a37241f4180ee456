"""The eBPF filter of one capture: its program and maps in the kernel, changed in place while packets run through."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from weir.capture.bpf.elf import read_object
from weir.capture.bpf.layout import STATE, WORD, Mode, Stats, config_value, stats_sum
from weir.capture.bpf.maps import Map
from weir.capture.bpf.selection import Changes, Contents
from weir.capture.bpf.syscall import SOCKET_FILTER, load_program

EVERY_CONVERSATION = 0xFFFFFFFF
_ZERO = WORD.pack(0)


class KernelFilter:
    """Closed until the first `apply`. Raises OSError where the kernel refuses (`weir.capture.bpf.refusal`)."""

    def __init__(self, *, node: int, snaplen: int, flow_entries: int = 131_072) -> None:
        self._node, self._snaplen = node, snaplen
        self._mode = Mode.CLOSED
        self._share = EVERY_CONVERSATION
        self._state = 0
        self._maps: dict[str, Map] = {}
        self.descriptor = -1
        parsed = read_object(object_file())
        try:
            for name, spec in parsed.maps.items():
                if name == "flows":
                    spec = msgspec.structs.replace(spec, max_entries=flow_entries)
                self._maps[name] = Map(name, spec)
            descriptors = {name: created.descriptor for name, created in self._maps.items()}
            self._configure()
            self.descriptor = load_program(
                SOCKET_FILTER, parsed.programs["socket"].linked(descriptors), parsed.license, "weir"
            )
        except BaseException:
            self.close()
            raise

    @property
    def flows(self) -> Map:
        return self._maps["flows"]

    def apply(self, contents: Contents) -> None:
        """Everything that is new, then the configuration at once, then what goes: no packet meets less than before
        and after."""
        changes = (
            ("ends", contents.ends), ("nets", contents.nets), ("ports", contents.ports), ("asides", contents.asides),
        )
        for name, changed in changes:
            self._maps[name].put_all([(key, value) for key, value in changed.items() if value is not None])
        self._mode = contents.mode
        self._configure()
        if sum(self._remove(name, changed) for name, changed in changes):
            self._configure()

    def share(self, share: int) -> None:
        """Pass conversations whose hash is at most this; all of them by EVERY_CONVERSATION."""
        if share != self._share:
            self._share = share
            self._configure()

    def stats(self) -> Stats:
        return stats_sum(self._maps["counters"].get(_ZERO) or b"")

    def close(self) -> None:
        for created in self._maps.values():
            created.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _remove(self, name: str, changed: Changes) -> int:
        gone = [key for key, value in changed.items() if value is None]
        for key in gone:
            self._maps[name].delete(key)
        return len(gone)

    def _configure(self) -> None:
        """Write the configuration that is not in force and put it into force, which makes the program look at every
        flow anew."""
        self._state += 1  # its lowest bit is the slot
        config = config_value(node=self._node, flags=self._mode, share=self._share, snaplen=self._snaplen)
        self._maps["configs"].put(WORD.pack(self._state & 1), config)
        self._maps["states"].put(_ZERO, STATE.pack(self._state))


def object_file() -> bytes:
    """The program as `make bpf` made it."""
    return _folder().joinpath("weir.bpf.o").read_bytes()


def source_digest() -> str:
    """SHA-256 of what the object is made from; `make bpf` keeps it beside the object."""
    digest = hashlib.sha256()
    for name in ("bpf.h", "weir.bpf.c", "build.sh"):
        digest.update(_folder().joinpath(name).read_bytes())
    return digest.hexdigest()


def _folder() -> Traversable:
    return resources.files("weir.capture.bpf") / "kernel"
