from __future__ import annotations

import asyncio
import gzip
import os
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from weir.capture.streams import QUIET, BrokenStreamError, CaptureStream, Reader, is_regular
from weir.errors import SourceError

DATA = random.Random(5).randbytes(250_000) * 2 + random.Random(6).randbytes(300_000)


def everything(path: str, room: int = 50_000) -> bytes:
    stream, out, buffer = CaptureStream(path), b"", bytearray(room)
    try:
        while count := stream.readinto(memoryview(buffer)):
            out += buffer[:count]
    finally:
        stream.close()
    return out


PACKED = {
    "plain": DATA,
    "gzip": gzip.compress(DATA, 1),
    "gzip in members": gzip.compress(DATA[:1000], 1) + gzip.compress(DATA[1000:], 1),
    "gzip with padding": gzip.compress(DATA, 1) + bytes(512),
    "zstd": zstandard.ZstdCompressor(1, write_checksum=True).compress(DATA),
    "zstd in frames": zstandard.compress(DATA[:1000], 1) + zstandard.compress(DATA[1000:], 1),
}


@pytest.mark.parametrize("packed", PACKED)
def test_every_packing_gives_the_bytes(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACKED[packed])
    assert everything(str(path)) == DATA


@pytest.mark.parametrize("packed", PACKED)
def test_the_same_through_a_pipe(packed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("weir.capture.streams._open", lambda path: os.dup(reading))

    def write() -> None:
        left = PACKED[packed]
        while left:
            left = left[os.write(writing, left[:7001]) :]
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert everything("-") == DATA
    finally:
        os.close(reading)
        writer.join()


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_damaged_packing_gives_what_is_before_the_damage(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    whole = bytearray(PACKED[packed])
    whole[len(whole) // 2 : len(whole) // 2 + 64] = bytes(64)
    path.write_bytes(whole)
    stream, out, buffer = CaptureStream(str(path)), b"", bytearray(10_000)

    def read_on() -> None:
        nonlocal out
        while count := stream.readinto(memoryview(buffer)):
            out += buffer[:count]

    with pytest.raises(BrokenStreamError, match="damaged"):
        read_on()
    stream.close()
    assert 200_000 < len(out) <= len(DATA)
    assert DATA.startswith(out[: 200_000])


def test_gzip_that_breaks_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACKED["gzip"][:-500])
    with pytest.raises(BrokenStreamError, match="breaks off"):
        everything(str(path))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_bomb_is_unpacked_no_further_than_there_is_room(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(200 << 20)))
    assert path.stat().st_size < 1 << 20
    stream, room = CaptureStream(str(path)), memoryview(bytearray(1000))
    assert stream.readinto(room) == 1000
    assert room == bytes(1000)
    stream.close()


def test_a_zstd_frame_that_asks_for_a_huge_window_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    # RFC 8878 section 3.1.1.1.2: exponent 31 in the window descriptor is 2 TiB.
    path.write_bytes(bytes.fromhex("28b52ffd 00 f8") + bytes(100))
    with pytest.raises(BrokenStreamError):
        everything(str(path))


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "checkout.pcap").write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        CaptureStream(str(tmp_path / "chekout.pcap"))
    assert "there is no file" in caught.value.message
    assert str(tmp_path / "checkout.pcap") in caught.value.hint
    with pytest.raises(SourceError) as caught:
        CaptureStream(str(tmp_path / "nowhere" / "x.pcap"))
    assert "no folder" in caught.value.hint


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        everything(str(tmp_path))


def test_what_is_regular(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert not is_regular("-")
    assert not is_regular(str(fifo))
    assert is_regular(str(tmp_path / "missing"))


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """The other end of what is opened."""
    reading, end = os.pipe()
    monkeypatch.setattr("weir.capture.streams._open", lambda path: reading)
    with open(end, "wb", buffering=0) as file:
        yield file


async def test_a_quiet_pipe_is_told_and_read_on(writing: BinaryIO) -> None:
    reader, room = Reader("-", asyncio.Event()), memoryview(bytearray(100))
    assert await reader.read(room) == QUIET
    writing.write(b"abcde")
    count = await reader.read(room)
    assert (count, bytes(room[:5])) == (5, b"abcde")
    writing.close()
    assert await reader.read(room) == 0
    await reader.close()


async def test_a_quiet_pipe_ends_when_it_is_time_to_stop(writing: BinaryIO) -> None:
    stop = asyncio.Event()
    reader, room = Reader("-", stop), memoryview(bytearray(100))
    assert await reader.read(room) == QUIET
    stop.set()
    before = time.monotonic()
    assert await reader.read(room) == 0
    await reader.close()
    assert time.monotonic() - before < 1


async def test_closing_does_not_wait_for_a_quiet_pipe(writing: BinaryIO) -> None:
    reader = Reader("-", asyncio.Event())
    assert await reader.read(memoryview(bytearray(100))) == QUIET
    before = time.monotonic()
    await reader.close()
    assert time.monotonic() - before < 1


def test_zlib_limits_what_it_gives() -> None:
    """What `_Gzip` relies on."""
    inflate = zlib.decompressobj(wbits=31)
    assert len(inflate.decompress(gzip.compress(bytes(100_000)), 10)) == 10
