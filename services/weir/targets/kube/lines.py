"""Pure: from the chunks of a watch to its lines, one JSON event each."""

from __future__ import annotations

LONGEST = 16 << 20
"""Bytes. etcd keeps no object above 1.5 MiB by default, and an event is one object."""


class LineTooLong(Exception):
    """What comes is no watch."""


class Lines:
    def __init__(self, longest: int = LONGEST) -> None:
        self._rest = bytearray()
        self._longest = longest

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends; empty ones are left out."""
        if b"\n" not in chunk:
            self._rest += chunk
            lines: list[bytes] = []
        else:
            first, *lines, rest = chunk.split(b"\n")
            lines.insert(0, bytes(self._rest) + first)
            self._rest = bytearray(rest)
        if len(self._rest) > self._longest:
            raise LineTooLong
        return [line for line in lines if line]
