"""What is kept of an HTTP/1.x conversation between two calls, and the exchange that a pair becomes. Plain values."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from weir.dissect.api import Data, Exchange
from weir.dissect.bodies import BodyBuffer
from weir.dissect.buffer import Buffer
from weir.dissect.httpfields import Upgraded
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE
from weir.model.entry import Message
from weir.model.flow import Side

HELD_OVERHEAD = 128
"""What holding back one piece of data costs beside its bytes."""


class Phase(IntEnum):
    """What the next byte of one direction belongs to."""

    HEAD = 0
    LENGTH = 1
    """A body of known length, of which `left` bytes are to come."""
    CHUNK_SIZE = 2
    CHUNK_DATA = 3
    CHUNK_END = 4
    TRAILERS = 5
    CLOSE = 6
    """A body that ends with the connection."""
    LOST = 7
    """Nothing is known: a message's start is being sought."""
    WAIT = 8
    """It depends on what the other side answers: bytes are held back."""


class Half(msgspec.Struct, kw_only=True, gc=False):
    """One message."""

    offset: int
    message: Message
    fields: dict[str, Any]
    summary: str
    body: BodyBuffer | None = None
    """While it arrives."""
    codings: str = ""
    done: bool = False
    bare: bool = False
    """A request whose response has no body (HEAD)."""
    tunnel: bool = False
    """A request to open a tunnel (CONNECT)."""
    upgrade: str = ""
    """A request: what it offers to upgrade to. A 101 response: what is upgraded to."""
    along: bool = False
    """A request that was sent together with the one before it."""
    cost: int = 0
    """Bytes that it keeps while it waits, about."""
    weird: list[str] = []
    incomplete: list[str] = []
    cut: str = ""
    """What happened in place of its rest or, of a request, of a response, if that is known."""


class Pair(msgspec.Struct, gc=False):
    """A request, and its response as soon as that begins. Either may be missing, or still arrive."""

    request: Half | None = None
    response: Half | None = None


class Stream(msgspec.Struct):
    """One direction."""

    phase: Phase = Phase.HEAD
    buffer: Buffer = msgspec.field(default_factory=Buffer)
    """An incomplete head, chunk line or trailer section; while LOST the tail in which a start may begin."""
    scanned: int = 0
    """Bytes of `buffer` in which no end of a head was found."""
    left: int = 0
    next: int = 0
    """Stream offset behind the last byte that was taken up for reading."""
    began: bool = False
    """A message was read."""
    time: int = 0
    """Capture time of that byte."""
    passed: int = 0
    """Bytes that are not HTTP passed over since the last message; -1 where bytes are missing and none is counted."""
    again: bool = False
    """`buffer` holds bytes that were not looked at in this phase."""
    ended: bool = False
    """No more will be sent (FIN)."""
    held: list[Data] = []
    held_size: int = 0

    def hold(self, data: Data) -> None:
        self.held.append(data)
        self.held_size += len(data.data) + HELD_OVERHEAD

    def release(self) -> list[Data]:
        held, self.held, self.held_size = self.held, [], 0
        return held


class Conversation(msgspec.Struct):
    """All of it.

    `pairs` holds what is open, oldest first: while the client's message arrives it is the last pair's request, while
    the server's arrives it is the first pair's response. A finished response waits only for its own request's end.
    """

    client: Stream = msgspec.field(default_factory=Stream)
    server: Stream = msgspec.field(default_factory=Stream)
    pairs: list[Pair] = []
    held: int = 0
    """Bytes that waiting requests keep, about."""
    evicted: int = 0
    """Responses to come whose requests were given up waiting for."""
    lossy: bool = False
    """Something was not seen: requests and responses cannot simply be counted off against each other."""
    pipelined: bool = False
    """The client was seen to send on before the response to an earlier request had ended."""
    interim: list[dict[str, Any]] = []
    """As the field `interim_responses` shows them, until the final response begins."""
    reset: Side | None = None
    """Who ended it with a RST."""
    leaving: Upgraded | None = None
    """The conversation has left HTTP; both directions are held for whoever goes on."""
    over: bool = False


def exchange(pair: Pair) -> Exchange:
    """The entry of a pair; a missing half is said in `incomplete`."""
    request, response = pair.request, pair.response
    if request is None or response is None:
        half = request or response
        assert half is not None
        status = half.fields.get("status_code")
        missing = [] if half.cut else [NO_RESPONSE if request else NO_REQUEST]
        return Exchange(
            protocol="http",
            side=Side.CLIENT if request else Side.SERVER,
            offset=half.offset,
            request=request.message if request else None,
            response=response.message if response else None,
            fields=half.fields,
            ok=False if half.cut else None if status is None else status < 400,
            summary=f"{half.summary} → {half.cut}" if half.cut else half.summary,
            weird=half.weird,
            incomplete=half.incomplete + missing,
        )
    return Exchange(
        protocol="http",
        side=Side.CLIENT,
        offset=request.offset,
        request=request.message,
        response=response.message,
        fields={**response.fields, **request.fields},
        ok=response.fields["status_code"] < 400 and not response.cut,
        summary=f"{request.summary} → {response.summary}" + (f", {response.cut}" if response.cut else ""),
        weird=request.weird + response.weird,
        incomplete=request.incomplete + response.incomplete,
    )
