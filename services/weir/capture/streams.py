"""The bytes of a capture file, whatever it is packed in: regular files, pipes and the standard input; gzip and zstd.

Reads pull: no more is unpacked than there is room for, so that a small file that unpacks to terabytes costs time, not
memory. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import fcntl
import os
import select
import stat
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TypeVar, cast

import zstandard

from weir.errors import SourceError

_GZIP = b"\x1f\x8b"
_ZSTD = bytes.fromhex("28b52ffd")
_PACKED_CHUNK = 128 * 1024
_PIPE_BYTES = 1 << 20
_POLL_S = 0.1
_GATHER_S = 0.05
_QUIET_S = 0.2
QUIET = -1
"""A pipe has given nothing for a while: what is held back should go out."""


_T = TypeVar("_T")


class BrokenStreamError(Exception):
    """The bytes cannot be read or unpacked any further."""


class CaptureStream:
    """One capture file. Opening it never waits; the first read finds out how it is packed."""

    def __init__(self, path: str, stopped: Callable[[], bool] = lambda: False) -> None:
        """`-` is the standard input. A pipe ends early once `stopped` says so."""
        self._raw = _Raw(_open(path), stopped)
        self._unpacked: _Unpacked | None = None
        self._broken: BrokenStreamError | None = None

    @property
    def regular(self) -> bool:
        """Reading never waits for another process."""
        return self._raw.regular

    def readinto(self, room: memoryview) -> int:
        """Fill `room` as far as bytes are there; 0 only at the end. Raises BrokenStreamError once all that comes
        before the damage was given."""
        if self._broken:
            raise self._broken
        filled, until = 0, time.monotonic() + _GATHER_S
        while filled < len(room):
            # A pipe gives little at a time: to gather for a moment makes fewer and larger blocks.
            if filled and not self._raw.ready(max(until - time.monotonic(), 0.0)):
                break
            try:
                count = self._some(room[filled:])
            except BrokenStreamError as error:
                if not filled:
                    raise
                self._broken = error
                break
            if not count:
                break
            filled += count
        return filled

    def close(self) -> None:
        self._raw.close()

    def _some(self, room: memoryview) -> int:
        if self._unpacked is None:
            head = self._raw.peek(len(_ZSTD))
            packing = _Gzip if head.startswith(_GZIP) else _Zstd if head == _ZSTD else None
            self._unpacked = packing(self._raw) if packing else self._raw
        return self._unpacked.some(room)


class _Unpacked(Protocol):
    def some(self, room: memoryview) -> int:
        """Put at least one byte into `room`; 0 at the end."""
        ...


class Reader:
    """Reads a capture stream without holding up the event loop."""

    def __init__(self, path: str, stop: asyncio.Event) -> None:
        self._over = False
        self._stream = CaptureStream(path, lambda: self._over or stop.is_set())
        self._pending: asyncio.Future[int] | None = None

    async def read(self, room: memoryview) -> int:
        """Bytes that were put into `room`; 0 at the end, `QUIET` if a pipe gives nothing for now (call again with the
        same room). Raises BrokenStreamError."""
        if self._stream.regular:
            # A read of the page cache takes less time than handing it to a thread.
            await asyncio.sleep(0)
            return self._stream.readinto(room)
        if self._pending is None:
            self._pending = asyncio.ensure_future(asyncio.to_thread(self._stream.readinto, room))
        if not (await asyncio.wait({self._pending}, timeout=_QUIET_S))[0]:
            return QUIET
        done, self._pending = self._pending, None
        return done.result()

    async def close(self) -> None:
        self._over = True
        if self._pending is not None:
            await asyncio.gather(self._pending, return_exceptions=True)
        self._stream.close()


def is_regular(path: str) -> bool:
    """False for what can be read only once. What does not exist is told when it is opened."""
    return path != "-" and (os.path.isfile(path) or not os.path.exists(path))


def _open(path: str) -> int:
    if path == "-":
        return os.dup(0)
    if os.path.isdir(path):
        raise SourceError(f"{path} is a folder", hint="name the capture files in it")
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SourceError(f"there is no file {path}", hint=_similar(Path(path))) from None
    except PermissionError:
        raise SourceError(f"{path} may not be read by this user", hint=f"ls -l {path}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror}", hint="name a capture file") from None


def _similar(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    close = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()], n=1)
    return f"did you mean {folder / close[0]}?" if close else f"look into {folder.absolute()}"


class _Raw:
    """A file descriptor as it is."""

    def __init__(self, fd: int, stopped: Callable[[], bool]) -> None:
        self._fd = fd
        self._stopped = stopped
        self._head = b""
        self.regular = stat.S_ISREG(os.fstat(fd).st_mode)
        if not self.regular:
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (more := self._read(size - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read(size)

    def some(self, room: memoryview) -> int:
        if self._head:
            count = len(self._head)
            room[:count], self._head = self._head, b""
            return count
        return self._checked(lambda: os.readv(self._fd, [room])) if self._wait() else 0

    def close(self) -> None:
        os.close(self._fd)

    def ready(self, timeout: float = 0.0) -> bool:
        return self.regular or bool(select.select([self._fd], [], [], timeout)[0])

    def _wait(self) -> bool:
        """Until there is something to read; False if it is time to stop."""
        while not self.ready(_POLL_S):
            if self._stopped():
                return False
        return True

    def _read(self, size: int) -> bytes:
        return self._checked(lambda: os.read(self._fd, size)) if self._wait() else b""

    def _checked(self, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except OSError as error:
            raise BrokenStreamError(str(error.strerror)) from error


class _Gzip:
    """RFC 1952, several members included."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(wbits=31)
        self._packed = b""

    def some(self, room: memoryview) -> int:
        data = b""
        while not data:
            if not self._packed:
                self._packed = self._raw.read(_PACKED_CHUNK)
                if not self._packed and not self._inflate.eof:
                    raise BrokenStreamError("the compressed data breaks off")
            if self._inflate.eof and not self._next_member():
                return 0
            data = self._unpack(len(room))
        room[: len(data)] = data
        return len(data)

    def _next_member(self) -> bool:
        if not self._packed.startswith(_GZIP):
            return False  # padding behind the last one
        self._inflate = zlib.decompressobj(wbits=31)
        return True

    def _unpack(self, limit: int) -> bytes:
        try:
            data = self._inflate.decompress(self._packed, limit)
        except zlib.error as error:
            raise BrokenStreamError(f"the compressed data is damaged ({error})") from error
        self._packed = self._inflate.unconsumed_tail or self._inflate.unused_data
        return data


class _Zstd:
    """RFC 8878, several frames included."""

    def __init__(self, raw: _Raw) -> None:
        # The window is memory that the file asks for: no more than `zstd -d` allows without being told to.
        unpack = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._reader = unpack.stream_reader(cast(IO[bytes], raw), read_size=_PACKED_CHUNK, read_across_frames=True)

    def some(self, room: memoryview) -> int:
        try:
            return self._reader.readinto1(room)
        except zstandard.ZstdError as error:
            raise BrokenStreamError(f"the compressed data is damaged ({error})") from error
