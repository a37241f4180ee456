"""A base for protocols that consist of frames: a subclass tells what one frame is, this does everything else.

It keeps one bounded buffer for each side, cuts frames from it whatever the split of the bytes, stamps them with offset
and capture times, pairs requests with responses (in order, or by `Frame.key`), holds responses back whose request is
still to come, finds a frame's start again after a gap, and gives half pairs at the end. A datagram is one frame.

A subclass declares what `api.Dissector` declares and writes `probe` and `frame`; where the defaults do not fit also
`boundary`, `pair`, `summarize`. State of its own goes into a subclass of `FramedState`, made in `new_state`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from weir.dissect.api import Data, Exchange, Field, GiveUp, Leave, Limits, Output, Probe
from weir.dissect.buffer import Buffer
from weir.dissect.cursor import Cursor, Invalid, NeedMore
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE, reset_by
from weir.model.entry import Body, Kind, Message
from weir.model.flow import Side

Role = Literal["", "request", "response", "message"]


class Frame(msgspec.Struct, kw_only=True):
    """One message of the protocol, as `frame` tells it. All values are plain, because frames wait in the state."""

    fields: dict[str, Any] = {}
    """Values of declared fields; where both frames of a pair give one, the request's counts."""
    role: Role = ""
    """What it is to the pairing; empty: a request from the client, a response from the server. A `message` is given
    alone."""
    key: str = ""
    """Pairs with the first waiting frame of the other role with the same key; empty: in order."""
    protocol: str = ""
    """`Exchange.protocol`, if it is not the dissector's name."""
    kind: Kind = "exchange"
    """Kind of the exchange, for frames that are given alone (`message` is implied by that role)."""
    headers: dict[str, str] = {}
    body: Body | None = None
    ok: bool | None = None
    summary: str = ""
    weird: list[str] = []
    incomplete: list[str] = []
    skip: int = 0
    """Bytes behind the cursor that belong to the frame too and are passed over unread (a value above the ceiling)."""

    side: Side = Side.CLIENT
    """Filled in, as all that follow; a frame that was put together from several keeps what it set itself."""
    offset: int = -1
    timestamp: int = 0
    end: int = 0
    size: int = 0

    def message(self) -> Message:
        return Message(
            timestamp=self.timestamp, end=self.end, size=self.size, headers=self.headers, body=self.body
        )


class FramedSide(msgspec.Struct):
    """One direction."""

    buffer: Buffer = msgspec.field(default_factory=Buffer)
    need: int = 0
    """Bytes the buffer must hold before another attempt is worth it."""
    skip: int = 0
    """Bytes to come that belong to a frame that was given already."""
    lost: bool = False
    """A gap or nonsense came: a frame's start must be found before anything is read."""


class FramedState(msgspec.Struct):
    """State of a conversation. Subclasses add plain values."""

    client: FramedSide = msgspec.field(default_factory=FramedSide)
    server: FramedSide = msgspec.field(default_factory=FramedSide)
    transport: str = "tcp"
    midstream: bool = False
    over: bool = False
    """Left or given up: nothing more is read."""
    serial: int = 0
    requests: dict[int, Frame] = {}
    """Requests without a response, by serial, oldest first."""
    responses: dict[int, Frame] = {}
    """Responses held back until their request comes."""
    waiting: dict[str, list[int]] = {}
    """Serials of `requests` by key."""
    held: dict[str, list[int]] = {}
    """Serials of `responses` by key."""


class FramedDissector:
    """See the module docstring."""

    name: str
    title: str
    protocols: tuple[str, ...]
    transports: frozenset[str] = frozenset({"tcp"})
    ports: frozenset[int] = frozenset()
    fields: tuple[Field, ...] = ()
    State: type[msgspec.Struct] = FramedState
    lookback: ClassVar[int] = 0
    """Bytes kept while a frame's start is sought: as many as `boundary` needs to recognise one, less one."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits

    # What a protocol writes.

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        raise NotImplementedError

    def frame(self, state: Any, side: Side, cursor: Cursor, timestamp: int) -> Frame | Leave | GiveUp | None:
        """Read one frame; `timestamp` is when its first byte was captured. None: it was read, and is no message.

        Raises `NeedMore` if it goes on (with the total length where that is known) and `Invalid` if it is none. State
        may be changed only once nothing can raise any more, since an attempt is repeated from the frame's beginning.
        """
        raise NotImplementedError

    def new_state(self, midstream: bool, carry: Any, transport: str) -> FramedState:
        return FramedState(midstream=midstream, transport=transport)

    def boundary(self, state: Any, side: Side, data: bytes) -> int:
        """Where in `data` a frame begins, or -1; `NeedMore` if that cannot be told yet. Asked after a gap and in a
        conversation that was joined. By default a frame begins where data that probes YES begins."""
        verdict = self.probe(side, data, state.transport)
        if verdict is Probe.MAYBE:
            raise NeedMore
        return 0 if verdict is Probe.YES else -1

    def pair(self, state: Any, request: Frame | None, response: Frame | None) -> Exchange | None:
        """The exchange of two frames, or of one that stays alone."""
        return self.exchange(request, response)

    def summarize(self, request: Frame | None, response: Frame | None) -> str:
        return " → ".join(frame.summary for frame in (request, response) if frame and frame.summary)

    # What decode calls.

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> FramedState:
        state = self.new_state(midstream, carry, transport)
        state.client.lost = state.server.lost = midstream
        return state

    def feed(self, state: FramedState, data: Data) -> list[Output]:
        out: list[Output] = []
        if state.over or not data.data:
            return out
        if state.transport == "tcp":
            self._stream(state, data, out)
        else:
            self._datagram(state, data, out)
        return out

    def gap(self, state: FramedState, side: Side, offset: int, length: int, timestamp: int) -> list[Output]:
        out: list[Output] = []
        stream = _side(state, side)
        if state.over:
            return out
        passed = min(stream.skip, length)
        stream.skip -= passed
        if passed == length:
            stream.buffer.reset(offset + length)
            return out
        broken = bool(stream.buffer.data) and not stream.lost
        lost = len(stream.buffer) + length
        stream.buffer.reset(offset + length)
        stream.need, stream.lost = 0, True
        state.midstream = True
        if broken and side is Side.SERVER and "" in state.waiting:
            self._lone(state, self._next(state.requests, state.waiting, ""), f"{lost} bytes of the response lost", out)
        return out

    def close(
        self, state: FramedState, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> list[Output]:
        out: list[Output] = []
        if side is None:
            self._end(state, "", out, reset)
        return out

    # How it is done.

    def _stream(self, state: FramedState, data: Data, out: list[Output]) -> None:
        stream = _side(state, data.side)
        payload, offset = data.data, data.offset
        if stream.skip:
            passed = min(stream.skip, len(payload))
            stream.skip -= passed
            payload, offset = payload[passed:], offset + passed
            if not payload:
                return
        stream.buffer.append(payload, offset, data.timestamp)
        while stream.buffer.data and not state.over and self._step(state, data.side, stream, out):
            pass

    def _step(self, state: FramedState, side: Side, stream: FramedSide, out: list[Output]) -> bool:
        """One attempt; False if nothing more can be had from the buffer now."""
        buffer = stream.buffer
        if stream.lost and not self._find(state, side, stream):
            return False
        if len(buffer) < stream.need:
            return False
        stream.need = 0
        cursor = Cursor(buffer.data)
        try:
            found = self.frame(state, side, cursor, buffer.time_at(buffer.offset))
            if not cursor.read:
                raise Invalid("empty frame")
        except NeedMore as more:
            if max(more.total, len(buffer) + 1) > self.limits.head:
                self._give_up(state, f"frame above {self.limits.head} bytes", out)
            stream.need = more.total
            return False
        except Invalid as invalid:
            return self._nonsense(state, side, stream, invalid.reason, out)
        if cursor.read > self.limits.head:
            self._give_up(state, f"frame above {self.limits.head} bytes", out)
            return False
        self._consume(stream, found, cursor.read, side)
        self._found(state, found, out)
        return True

    def _consume(self, stream: FramedSide, found: Frame | Leave | GiveUp | None, size: int, side: Side) -> None:
        buffer = stream.buffer
        skip = 0
        if isinstance(found, Frame):
            skip = found.skip
            found.side = side
            found.end = buffer.time_at(buffer.offset + size - 1)
            if found.offset < 0:
                found.offset = buffer.offset
            found.timestamp = found.timestamp or buffer.time_at(buffer.offset)
            found.size = found.size or size + skip
        passed = min(skip, len(buffer) - size)
        buffer.consume(size + passed)
        stream.skip = skip - passed

    def _datagram(self, state: FramedState, data: Data, out: list[Output]) -> None:
        try:
            cursor = Cursor(data.data, closed=True)
            found = self.frame(state, data.side, cursor, data.timestamp)
        except (NeedMore, Invalid):
            return
        if isinstance(found, Frame):
            found.side, found.offset = data.side, data.offset
            found.timestamp = found.end = data.timestamp
            found.size = len(data.data)
        self._found(state, found, out)

    def _find(self, state: FramedState, side: Side, stream: FramedSide) -> bool:
        """After a gap: move the buffer to the next frame's start."""
        buffer = stream.buffer
        try:
            at = self.boundary(state, side, bytes(buffer.data))
        except NeedMore:
            if len(buffer) <= self.limits.head:
                return False
            at = -1
        if at < 0:
            buffer.consume(max(len(buffer) - self.lookback, 0))
            return False
        buffer.consume(at)
        stream.lost = False
        return bool(buffer.data)

    def _nonsense(
        self, state: FramedState, side: Side, stream: FramedSide, reason: str, out: list[Output]
    ) -> bool:
        if type(self).boundary is FramedDissector.boundary:
            self._give_up(state, reason, out)
            return False
        stream.lost = True
        stream.buffer.consume(1)
        return True

    def _found(self, state: FramedState, found: Frame | Leave | GiveUp | None, out: list[Output]) -> None:
        if isinstance(found, Frame):
            self._match(state, found, out)
        elif isinstance(found, Leave):
            self._leave(state, found, out)
        elif isinstance(found, GiveUp):
            self._give_up(state, found.reason, out)

    def _match(self, state: FramedState, frame: Frame, out: list[Output]) -> None:
        role = frame.role or ("request" if frame.side is Side.CLIENT else "response")
        if role == "message":
            frame.kind = "message" if frame.kind == "exchange" else frame.kind
            _put(out, self.pair(state, frame, None) if frame.side is Side.CLIENT else self.pair(state, None, frame))
        elif role == "request":
            if frame.key in state.held:
                _put(out, self.pair(state, frame, self._next(state.responses, state.held, frame.key)))
            else:
                self._wait(state, frame, state.requests, state.waiting)
                if len(state.requests) > self.limits.pending:
                    self._lone(state, self._oldest(state.requests, state.waiting), NO_RESPONSE, out)
        elif frame.key in state.waiting:
            _put(out, self.pair(state, self._next(state.requests, state.waiting, frame.key), frame))
        elif state.midstream:
            self._lone(state, frame, NO_REQUEST, out)
        else:
            self._wait(state, frame, state.responses, state.held)
            if len(state.responses) > self.limits.pending:
                self._lone(state, self._oldest(state.responses, state.held), NO_REQUEST, out)

    @staticmethod
    def _wait(state: FramedState, frame: Frame, frames: dict[int, Frame], keys: dict[str, list[int]]) -> None:
        state.serial += 1
        frames[state.serial] = frame
        keys.setdefault(frame.key, []).append(state.serial)

    @staticmethod
    def _next(frames: dict[int, Frame], keys: dict[str, list[int]], key: str) -> Frame:
        serials = keys[key]
        serial = serials.pop(0)
        if not serials:
            del keys[key]
        return frames.pop(serial)

    def _oldest(self, frames: dict[int, Frame], keys: dict[str, list[int]]) -> Frame:
        return self._next(frames, keys, frames[next(iter(frames))].key)

    def _lone(self, state: FramedState, frame: Frame, reason: str, out: list[Output]) -> None:
        frame.incomplete = [*frame.incomplete, reason]
        request = frame.role == "request" or (not frame.role and frame.side is Side.CLIENT)
        _put(out, self.pair(state, frame, None) if request else self.pair(state, None, frame))

    def _leave(self, state: FramedState, leave: Leave, out: list[Output]) -> None:
        """Hand over what was not consumed; what still waits stays alone."""
        client, server = state.client.buffer, state.server.buffer
        leave = msgspec.structs.replace(
            leave,
            rest=(bytes(client.data), bytes(server.data)),
            offsets=(client.offset, server.offset),
            timestamps=(client.time_at(client.offset), server.time_at(server.offset)),
        )
        self._end(state, "", out)
        out.append(leave)

    def _give_up(self, state: FramedState, reason: str, out: list[Output]) -> None:
        self._end(state, reason, out)
        out.append(GiveUp(reason))

    def _end(self, state: FramedState, reason: str, out: list[Output], reset: Side | None = None) -> None:
        while state.requests:
            frame, why = self._oldest(state.requests, state.waiting), reason or NO_RESPONSE
            if reset is not None and not state.midstream:
                frame.ok, why = False, reset_by(reset)
            self._lone(state, frame, why, out)
        while state.responses:
            self._lone(state, self._oldest(state.responses, state.held), reason or NO_REQUEST, out)
        state.over = True
        for stream in (state.client, state.server):
            stream.buffer.reset(stream.buffer.end)

    def exchange(self, request: Frame | None, response: Frame | None) -> Exchange | None:
        """Both frames as one value: the request's fields before the response's, `ok` as the response tells it."""
        first = request or response
        if first is None:
            return None
        second = response if request else None
        return Exchange(
            protocol=first.protocol or self.name,
            kind=first.kind,
            side=first.side,
            offset=first.offset,
            request=request.message() if request else None,
            response=response.message() if response else None,
            fields={**second.fields, **first.fields} if second else first.fields,
            ok=second.ok if second else first.ok,
            summary=self.summarize(request, response),
            weird=first.weird + second.weird if second else first.weird,
            incomplete=first.incomplete + second.incomplete if second else first.incomplete,
        )


def _side(state: FramedState, side: Side) -> FramedSide:
    return state.client if side is Side.CLIENT else state.server


def _put(out: list[Output], exchange: Exchange | None) -> None:
    if exchange is not None:
        out.append(exchange)
