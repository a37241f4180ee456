"""Message bodies: kept up to a ceiling, content codings undone, text told from bytes.

Decompressors cannot be saved with a conversation's state, so the bytes of a coded body are kept as they came (under
`Limits.buffered`) and undone at the end. Plain bodies are cut at `Limits.body` as they come. What a body inflates to
is never held as a whole: decoders give pieces, and stop at `Limits.inflate`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli
import msgspec
import zstandard

from weir.dissect.api import Limits
from weir.model.entry import Body

PIECE = 65536
"""Bytes that a decoder gives at a time."""
STACKED = 4
"""Codings that may lie over one another; each layer multiplies what a few bytes can make us do."""
ZSTD_WINDOW = 8 << 20
"""Largest window: RFC 9659 §3 limits the content coding to 8 MB."""
ZSTD_STEP = 512

Pieces = Iterable[bytes]


class BodyBuffer(msgspec.Struct):
    """A body while it arrives: plain values, to be part of a dissector's state."""

    codings: str = ""
    """Content codings in the order in which they were applied, as in Content-Encoding; empty for none."""
    size: int = 0
    """Bytes so far, transfer coding undone, lost ones included."""
    kept: bytearray = msgspec.field(default_factory=bytearray)
    lost: int = 0
    """Bytes that were not captured. What came before the first of them is kept, nothing behind it."""

    def add(self, data: bytes | memoryview, limits: Limits) -> None:
        self.size += len(data)
        room = ceiling(self.codings, limits) - len(self.kept)
        if room > 0 and not self.lost:
            self.kept += data if len(data) <= room else data[:room]

    def lose(self, n: int) -> None:
        self.size += n
        self.lost += n

    def finish(self, limits: Limits) -> Body | None:
        return make_body(bytes(self.kept), self.size, self.codings, limits)


def ceiling(codings: str, limits: Limits) -> int:
    """Bytes worth keeping of a body in these codings."""
    if not limits.keep_bodies:
        return 0
    return limits.buffered if codings else limits.body


def codings_of(header: str) -> str:
    """A Content-Encoding value, normalised; empty if there is nothing to undo."""
    if not header:
        return ""
    names = [name.strip().lower() for name in header.split(",")]
    return ", ".join(name for name in names if name and name != "identity")


def make_body(raw: bytes, size: int, codings: str, limits: Limits) -> Body | None:
    """The body of a message: its first bytes `raw` of `size` after transfer decoding. None if it was empty.

    A coding that is unknown or whose bytes are broken is named with a `?`, and the bytes are kept as they came. Where
    only the beginning of a coded body is known, `size` is what could be decoded, and the body is truncated.
    """
    if not size:
        return None
    if not codings:
        return _plain(raw, size, "", limits.body)
    if not limits.keep_bodies:
        return Body(size=size, truncated=True, encoding="?" + codings)
    decoded = _decode(raw, codings, limits, whole=len(raw) == size)
    if decoded is None:
        return _plain(raw, size, "?" + codings, limits.body)
    kept, total, ended = decoded
    body = _plain(kept, total, codings, limits.body)
    body.truncated = body.truncated or not ended
    return body


def _plain(raw: bytes, size: int, encoding: str, limit: int) -> Body:
    if len(raw) > limit:
        raw = raw[:limit]
    truncated = len(raw) < size
    try:
        return Body(size=size, text=raw.decode(), truncated=truncated, encoding=encoding)
    except UnicodeDecodeError as error:
        # A cut through a character does not make a text binary.
        if truncated and error.start > len(raw) - 4 and error.reason == "unexpected end of data":
            return Body(size=size, text=raw[: error.start].decode(), truncated=True, encoding=encoding)
        return Body(size=size, data=raw, truncated=truncated, encoding=encoding)


def _decode(raw: bytes, codings: str, limits: Limits, *, whole: bool) -> tuple[bytes, int, bool] | None:
    """(first bytes, total bytes, whether that is all); None if the codings cannot be undone."""
    names = codings.split(", ")
    if len(names) > STACKED:
        return None
    pieces: Pieces = (raw,)
    for name in reversed(names):
        decoder = DECODERS.get(name)
        if decoder is None:
            return None
        pieces = decoder(pieces)
    kept = bytearray()
    total = 0
    try:
        for piece in pieces:
            total += len(piece)
            if len(kept) < limits.body:
                kept += piece[: limits.body - len(kept)]
            if total > limits.inflate:
                return bytes(kept), total, False
    except (zlib.error, brotli.error, zstandard.ZstdError):
        return None
    except EOFError:
        # The coded bytes end early: the rest was cut by us or lost, or the sender never sent it.
        if whole and not total:
            return None
        return bytes(kept), total, False
    return bytes(kept), total, whole


def _inflate(pieces: Pieces, wbits: int) -> Iterator[bytes]:
    """zlib streams, one behind the other (gzip members); what follows the last one is ignored, as browsers do."""
    stream = zlib.decompressobj(wbits)
    for piece in pieces:
        while piece:
            out = stream.decompress(piece, PIECE)
            if out:
                yield out
            piece = stream.unconsumed_tail
            if stream.eof:
                piece = stream.unused_data
                if piece[:2] != b"\x1f\x8b":
                    return
                stream = zlib.decompressobj(wbits)
            elif not piece and len(out) == PIECE:
                while out := stream.decompress(b"", PIECE):
                    yield out
    if not stream.eof:
        raise EOFError


def _gzip(pieces: Pieces) -> Iterator[bytes]:
    return _inflate(pieces, 31)


def _deflate(pieces: Pieces) -> Iterator[bytes]:
    """RFC 9110 §8.4.1.2 says zlib; some servers send the bare deflate stream."""
    source = iter(pieces)
    head = b""
    for piece in source:
        head += piece
        if len(head) >= 2:
            break
    zlib_header = len(head) >= 2 and head[0] & 0x0F == 8 and int.from_bytes(head[:2]) % 31 == 0
    return _inflate(_chain(head, source), 15 if zlib_header else -15)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _brotli(pieces: Pieces) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    for piece in pieces:
        out = stream.process(piece, output_buffer_limit=PIECE)
        while out:
            yield out
            out = stream.process(b"", output_buffer_limit=PIECE)
        if stream.is_finished():
            return
    raise EOFError


def _zstd(pieces: Pieces) -> Iterator[bytes]:
    """Frames, one behind the other (RFC 8878 §3.1). The decoder takes no output limit, so it gets a few bytes at a
    time: four of them make at most one block of 128 KiB."""
    context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    stream = context.decompressobj()
    for piece in pieces:
        for at in range(0, len(piece), ZSTD_STEP):
            data = piece[at : at + ZSTD_STEP]
            while data:
                if stream.eof:
                    stream = context.decompressobj()
                out = stream.decompress(data)
                if out:
                    yield out
                data = stream.unused_data
    if not stream.eof:
        raise EOFError


DECODERS: dict[str, Callable[[Pieces], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
"""Content codings that can be undone (RFC 9110 §8.4.1, RFC 7932, RFC 9659)."""
