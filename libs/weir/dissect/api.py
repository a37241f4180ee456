"""What a dissector is, and what it gives.

A dissector is a stateless object with declarations; the state of each conversation is a msgspec struct of the type
`State`, made by `open`, changed by `feed`, `gap` and `close`, and saved and restored by decode at any point between
two calls. The outputs must not depend on how the bytes were split over calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from weir.model.entry import Kind, Message
from weir.model.flow import Side


class Probe(IntEnum):
    """Whether some first bytes of one direction are this protocol's."""

    NO = 0
    MAYBE = 1
    """Not enough bytes to tell; ask again with more."""
    YES = 2


class Field(msgspec.Struct, frozen=True):
    """A variable of the filter language that a dissector's entries carry at their top level."""

    name: str
    type: type
    """str, int, bool, float, list or dict; its empty value is the typed default where an entry lacks it."""
    doc: str
    column: str = ""
    """Heading, if the field is a column of lists."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings; each is there because somebody's bytes would otherwise grow without end."""

    body: int = 65536
    """Bytes kept of a body after decoding; its true size is counted all the same."""
    keep_bodies: bool = True
    inflate: int = 64 << 20
    """Bytes that a compressed body may inflate to before the rest is only counted as truncated (zip bombs)."""
    head: int = 262_144
    """Bytes of one message head or frame that is buffered before the stream is given up as not this protocol."""
    buffered: int = 1 << 20
    """Bytes that one direction of a conversation may hold back in a dissector."""
    pending: int = 1024
    """Requests that may wait for their responses in one conversation; the oldest becomes a half pair."""
    streams: int = 1024
    """Streams that may be open at once in one multiplexed conversation."""


class Data(msgspec.Struct, frozen=True):
    """Bytes of one direction in order, all captured at one time (one segment, or one datagram)."""

    side: Side
    data: bytes
    timestamp: int
    """Capture time, ns since epoch."""
    offset: int
    """Position of the first byte in its direction: 0 is the first byte after the SYN (or the first byte seen, of a
    conversation that was joined). For a datagram the number of its datagram in its direction."""


class Exchange(msgspec.Struct, kw_only=True):
    """What a dissector found: a pair, a half pair, a lone message or a handshake."""

    protocol: str
    kind: Kind = "exchange"
    side: Side = Side.CLIENT
    """Direction of the first byte that identifies this exchange (the request's, else the response's)."""
    offset: int
    """Stream offset of that byte (see `Data.offset`): decode derives the entry's id from it."""
    stream_id: int = 0
    request: Message | None = None
    response: Message | None = None
    fields: dict[str, Any] = {}
    """Values of the declared fields."""
    ok: bool | None = None
    summary: str = ""
    weird: list[str] = []
    incomplete: list[str] = []


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation goes on in another protocol (Upgrade, CONNECT, h2c, STARTTLS).

    `protocol` names the dissector to hand over to, or is empty to identify the bytes anew. The bytes of each
    direction from `offsets[side]` on go to it; the dissector that leaves has consumed everything before. `carry` is
    given to the new dissector's `open` (for example the upgrade request that HTTP/2 answers on stream 1).
    """

    protocol: str = ""
    rest: tuple[bytes, bytes] = (b"", b"")
    """Bytes (client, server) that were fed but not consumed."""
    offsets: tuple[int, int] = (0, 0)
    """Stream offset of the first byte of each `rest`, i.e. where the new protocol begins on each side."""
    timestamps: tuple[int, int] = (0, 0)
    """Capture time of each `rest`."""
    carry: Any = None


class GiveUp(msgspec.Struct, frozen=True):
    """The bytes are not this protocol after all, or cannot be followed any more: the rest is only counted."""

    reason: str


Output = Exchange | Leave | GiveUp


class Dissector(Protocol):
    """See the module docstring. `weir.dissect.protocols.<name>` holds one class of this shape. What are properties
    here are plain class attributes there."""

    @property
    def limits(self) -> Limits: ...

    @property
    def name(self) -> str:
        """`http`, `dns`, …: also the protocol boolean of the filter language. Some dissectors give entries of several
        protocols (`http2` gives `http` and `grpc`): see `protocols`."""
        ...

    @property
    def title(self) -> str: ...

    @property
    def protocols(self) -> tuple[str, ...]:
        """Values of `Exchange.protocol` that it gives."""
        ...

    @property
    def transports(self) -> frozenset[str]:
        """`tcp`, `udp`."""
        ...

    @property
    def ports(self) -> frozenset[int]:
        """Usual server ports: which dissector is asked first, and who is the server where nothing else tells."""
        ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    @property
    def State(self) -> type[msgspec.Struct]:  # noqa: N802 - a class
        """Type of a conversation's state."""
        ...

    def __init__(self, limits: Limits = ...) -> None:
        """Made once for each set of limits, by the registry."""
        ...

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        """Could `head` be the first bytes that `side` sent in this protocol? Asked for both sides where it is unknown
        who the client is: the answer then tells. Over UDP `head` is one datagram."""
        ...

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> Any:
        """State of a new conversation; `midstream`: its beginning was not seen."""
        ...

    def feed(self, state: Any, data: Data) -> Iterable[Output]: ...

    def gap(self, state: Any, side: Side, offset: int, length: int, timestamp: int) -> Iterable[Output]:
        """`length` bytes from `offset` on were lost; the next data of that side comes behind them."""
        ...

    def close(
        self, state: Any, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> Iterable[Output]:
        """One side will send no more (FIN), or with None the conversation is over (both FIN, RST, idle, end of
        capture): give what is still open, marked incomplete. Called with None exactly once, at the end; `reset` is who
        ended it with a RST, so that what is missing was never sent."""
        ...
