"""The automaton that cuts HTTP/1.x messages from two directions of bytes. See `protocols.http1`.

A message that lies in one piece of data is never copied to a buffer. `at` is everywhere the position in that piece;
a step answers where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable

from weir.dissect import http1_head as heads
from weir.dissect import http1_pairs as pairs
from weir.dissect.api import Data, GiveUp, Leave, Limits, Output
from weir.dissect.bodies import BodyBuffer, make_body
from weir.dissect.http1_head import Framing, Head
from weir.dissect.http1_state import Conversation, Half, Phase, Stream
from weir.dissect.httpfields import INTERIM, INTERIM_HEAD, interim_response, request_fields, response_fields
from weir.model.entry import Message
from weir.model.flow import Side

LINE = 16384
"""Bytes of a chunk-size line with its extensions, or of a trailer field."""
_NEWLINES = b"\r\n"


class Reader:
    """Stateless: all that is remembered is in the `Conversation`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    # Reading.

    def read(self, state: Conversation, stream: Stream, data: Data, out: list[Output]) -> None:
        """Take one piece of data through the automaton until it is used up or held back.

        What this side does may be what bytes of the other side were held back for: these are read at once, so that
        the order does not depend on how the bytes were cut.
        """
        at, size = 0, len(data.data)
        stream.next = data.offset + size
        stream.time = data.timestamp
        while (at < size or stream.again) and not state.over:
            if stream.phase is Phase.HEAD:
                at = self._head(state, stream, data, at, out)
            else:
                at = _STEPS[stream.phase](self, state, stream, data, at, out)
            if state.client.held or state.server.held:
                stream.next = data.offset + at
                self.release(state, out)
                stream.next = data.offset + size

    def _head(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        piece, size = data.data, len(data.data)
        if stream.buffer.data:
            return self._buffered_head(state, stream, data, at, out)
        while at < size and piece[at] in _NEWLINES:  # RFC 9112 §2.2: empty lines before a message are ignored
            at += 1
        if at == size:
            return at
        if data.side and not pairs.answerable(state):
            self.hold(state, stream, data, at, out)
            return size
        plain = heads.plain_head(piece, at, response=bool(data.side))
        if plain is not None and plain[1] - at <= self.limits.head:
            head, end = plain
            return self._begin(state, stream, data, head, data.offset + at, data.timestamp, end - at, end, out)
        end = heads.head_end(piece, at)
        if end < 0:
            return self._buffered_head(state, stream, data, at, out)
        return self._message(state, stream, data, piece[at:end], data.offset + at, data.timestamp, end, out)

    def _buffered_head(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        """A head that did not come in one piece. What is behind its end came with `data`, or it had ended before."""
        buffer, size = stream.buffer, len(data.data)
        stream.again = False
        if at < size:
            buffer.append(data.data[at:], data.offset + at, data.timestamp)
        end = heads.head_end(buffer.data, max(stream.scanned - 2, 0))
        if end < 0:
            stream.scanned = len(buffer)
            if not heads.may_begin(bytes(buffer.data[:32]), response=bool(data.side)):
                self._nonsense(state, stream, out)
            elif len(buffer) > self.limits.head:
                self._give_up(state, f"head above {self.limits.head} bytes", out)
            return size
        start, began = buffer.offset, buffer.time_at(buffer.offset)
        head, rest = bytes(buffer.data[:end]), len(buffer) - end
        buffer.reset(0)
        stream.scanned = 0
        return self._message(state, stream, data, head, start, began, size - rest, out)

    def _message(
        self, state: Conversation, stream: Stream, data: Data, raw: bytes, offset: int, began: int, at: int,
        out: list[Output],
    ) -> int:
        """A complete head, of which `data` from `at` on is what follows."""
        if len(raw) > self.limits.head:
            self._give_up(state, f"head above {self.limits.head} bytes", out)
            return at
        head = heads.read_response(raw) if data.side else heads.read_request(raw)
        if head is None:
            stream.buffer.append(raw, offset, began)
            stream.buffer.append(data.data[at:], data.offset + at, data.timestamp)
            self._nonsense(state, stream, out)
            return len(data.data)
        return self._begin(state, stream, data, head, offset, began, len(raw), at, out)

    def _begin(
        self, state: Conversation, stream: Stream, data: Data, head: Head, offset: int, began: int, size: int, at: int,
        out: list[Output],
    ) -> int:
        """A head of `size` bytes that was read; `data` goes on at `at`."""
        stream.began = True
        if data.side and 100 <= head.status < 200 and head.status != 101:
            # The final response follows (RFC 9110 §15.2).
            if len(state.interim) < INTERIM:
                headers = head.headers if size <= INTERIM_HEAD else {}
                state.interim.append(interim_response(head.status, began, headers))
            return at
        if stream.passed > 0:
            head.weird.append(f"{stream.passed} bytes before it are not HTTP")
        stream.passed = 0
        begin = self._begin_response if data.side else self._begin_request
        half, framing, length = begin(state, head, offset, began, size, out)
        return self._body(state, stream, data, half, framing, length, at, out)

    def _body(
        self, state: Conversation, stream: Stream, data: Data, half: Half, framing: Framing, length: int, at: int,
        out: list[Output],
    ) -> int:
        piece = data.data
        if framing is Framing.NONE:
            self._done(state, stream, data.side, half, 0, data.offset + at, data.timestamp, out)
        elif framing is Framing.LENGTH and len(piece) - at >= length and not state.server.held:
            half.message.body = make_body(piece[at : at + length], length, half.codings, self.limits)
            at += length
            self._done(state, stream, data.side, half, length, data.offset + at, data.timestamp, out)
        else:
            half.body = BodyBuffer(codings=half.codings)
            stream.left = length
            stream.phase = _BODY_PHASES[framing]
        return at

    def _begin_request(
        self, state: Conversation, head: Head, offset: int, began: int, size: int, out: list[Output]
    ) -> tuple[Half, Framing, int]:
        headers = head.headers
        fields = request_fields(head.method, head.target, headers)
        fields["http_version"] = head.version
        fields["request_headers_size"] = size
        half = Half(
            offset=offset,
            message=Message(timestamp=began, headers=headers),
            fields=fields,
            summary=f"{head.method} {fields['path'] or head.target}",
            weird=head.weird,
        )
        framing, length = heads.body_framing(head, request=True)
        if framing:
            half.codings = heads.codings(head)
        if head.method == "HEAD":
            half.bare = True
        elif head.method == "CONNECT":
            half.tunnel, framing = True, Framing.NONE
        if "upgrade" in headers:
            half.upgrade = heads.wants_upgrade(head)
        pairs.ask(state, half, began, self.limits, out)
        return half, framing, length

    def _begin_response(
        self, state: Conversation, head: Head, offset: int, began: int, size: int, out: list[Output]
    ) -> tuple[Half, Framing, int]:
        fields = response_fields(head.status, head.headers)
        if head.reason:
            fields["reason"] = head.reason
        fields["http_version"] = head.version
        fields["response_headers_size"] = size
        half = Half(
            offset=offset,
            message=Message(timestamp=began, headers=head.headers),
            fields=fields,
            summary=str(head.status),
            weird=head.weird,
        )
        request = pairs.answer(state, half, began, out)
        if head.status in (101, 204, 304):
            if head.status == 101:
                half.upgrade = heads.wants_upgrade(head) or "?"
            return half, Framing.NONE, 0
        if request is not None and (request.bare or (request.tunnel and head.status < 300)):
            half.tunnel = request.tunnel
            return half, Framing.NONE, 0
        framing, length = heads.body_framing(head, request=False)
        half.codings = heads.codings(head)
        return half, framing, length

    # Bodies.

    def _length(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        half = pairs.arriving(state, data.side)
        taken = min(stream.left, len(data.data) - at)
        if half.body is not None:
            half.body.add(data.data[at : at + taken], self.limits)
        stream.left -= taken
        at += taken
        if not stream.left:
            self._body_over(state, stream, data.side, half, data.offset + at, data.timestamp, out)
        return at

    def _body_over(
        self, state: Conversation, stream: Stream, side: Side, half: Half, end: int, time: int, out: list[Output]
    ) -> None:
        """The last byte that was announced has come: of the body, or of a chunk."""
        if stream.phase is Phase.CHUNK_DATA:
            stream.phase = Phase.CHUNK_END
        else:
            self._body_done(state, stream, side, half, end, time, out)

    def _close_body(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        half = pairs.arriving(state, data.side)
        if half.body is not None:
            half.body.add(data.data[at:], self.limits)
        return len(data.data)

    def _chunk_size(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        line, at = self._line(state, stream, data, at, out)
        if line is None:
            return at
        digits = line.partition(b";")[0].strip(b" \t")
        if not heads.is_hex(digits):
            return self._broken_chunk(state, stream, data, at, "invalid chunk size", out)
        stream.left = int(digits, 16)
        stream.phase = Phase.CHUNK_DATA if stream.left else Phase.TRAILERS
        return at

    def _chunk_end(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        line, at = self._line(state, stream, data, at, out)
        if line:
            return self._broken_chunk(state, stream, data, at, "chunk longer than its size", out)
        if line is not None:
            stream.phase = Phase.CHUNK_SIZE
        return at

    def _trailers(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        line, at = self._line(state, stream, data, at, out)
        half = pairs.arriving(state, data.side)
        if line:
            stream.left += len(line)
            if stream.left > self.limits.head:
                self._give_up(state, f"trailers above {self.limits.head} bytes", out)
                return at
            for name, value in heads.fields_of(line):
                heads.add_field(half.message.trailers, name, value)
        elif line is not None:
            self._body_done(state, stream, data.side, half, data.offset + at, data.timestamp, out)
        return at

    def _line(
        self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]
    ) -> tuple[bytes | None, int]:
        """A line without its end, and where the data goes on; None if it has not come to its end."""
        buffer, end = stream.buffer, data.data.find(b"\n", at)
        stop = end + 1 if end >= 0 else len(data.data)
        if end >= 0 and not buffer.data and stop - at <= LINE:
            return data.data[at:end].rstrip(b"\r"), stop
        buffer.append(data.data[at:stop], data.offset + at, data.timestamp)
        if len(buffer) > LINE:
            self._give_up(state, "line without an end in a chunked body", out)
            return None, stop
        if end < 0:
            return None, stop
        line = buffer.take(len(buffer))
        return line.rstrip(_NEWLINES), stop

    def _broken_chunk(
        self, state: Conversation, stream: Stream, data: Data, at: int, why: str, out: list[Output]
    ) -> int:
        half = pairs.arriving(state, data.side)
        half.weird.append(why)
        half.incomplete.append("end of the body not found")
        self._body_done(state, stream, data.side, half, data.offset + at, data.timestamp, out)
        self._lost_track(state, stream, 0)
        return at

    def _body_done(
        self, state: Conversation, stream: Stream, side: Side, half: Half, end: int, time: int, out: list[Output],
        *, cut: bool = False,
    ) -> None:
        body, half.body, size = half.body, None, 0
        if body is not None:
            size = body.size
            if body.lost:
                half.incomplete.append(f"{body.lost} bytes of the body lost")
            content = half.message.body = body.finish(self.limits)
            if content is not None and cut:
                content.truncated = True
        self._done(state, stream, side, half, size, end, time, out)

    def _done(
        self, state: Conversation, stream: Stream, side: Side, half: Half, size: int, end: int, time: int,
        out: list[Output],
    ) -> None:
        """A message has come to its end, which lies at stream offset `end`."""
        message = half.message
        message.end, message.size = time, end - half.offset
        half.done = True
        stream.phase = Phase.WAIT if half.tunnel or half.upgrade else Phase.HEAD
        if side:
            half.fields["response_body_size"] = size
            pairs.answered(state, out)
        else:
            half.fields["request_body_size"] = size
            half.cost = half.fields["request_headers_size"] + min(size, self.limits.body)
            pairs.asked(state, half, out)

    # What is not in order.

    def _nonsense(self, state: Conversation, stream: Stream, out: list[Output]) -> None:
        """No message begins where one should: the buffer's first byte and what follows."""
        if not stream.began and not state.lossy:
            self._give_up(state, "not HTTP/1", out)
            return
        self._lost_track(state, stream, 1)
        stream.buffer.consume(1)
        stream.again = True

    def _lost_track(self, state: Conversation, stream: Stream, passed: int) -> None:
        stream.phase, stream.passed, stream.left, stream.scanned = Phase.LOST, passed, 0, 0
        if stream is state.server:
            pairs.keep_interim(state)
        pairs.distrust(state)

    def _search(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        """Look for the next start line, wherever it may be; a part of one at the end is kept."""
        buffer, size = stream.buffer, len(data.data)
        stream.again = False
        if at < size:
            buffer.append(data.data[at:], data.offset + at, data.timestamp)
        searched = bytes(buffer.data)
        found = (heads.FIND_RESPONSE if data.side else heads.FIND_REQUEST).search(searched)
        if found is None:
            passed = max(searched.rfind(b"\n") + 1, len(searched) - heads.LONGEST_LINE)
        else:
            passed = found.start()
            stream.phase, stream.again = Phase.HEAD, True
        if stream.passed >= 0:
            stream.passed += passed
        buffer.consume(passed)
        return size

    def lose(self, state: Conversation, stream: Stream, side: Side, length: int, time: int, out: list[Output]) -> None:
        """Bytes up to `stream.next` are missing."""
        phase = stream.phase
        if phase is Phase.WAIT:
            return
        known = phase in (Phase.LENGTH, Phase.CHUNK_DATA) and length <= stream.left
        if known or phase is Phase.CLOSE:
            half = pairs.arriving(state, side)
            if half.body is not None:
                half.body.lose(length)
            if known:
                stream.left -= length
                if not stream.left:
                    self._body_over(state, stream, side, half, stream.next, time, out)
            return
        if phase is Phase.HEAD:
            self._cut_head(state, stream, side, f"{length} bytes of the head lost", out)
        elif phase is not Phase.LOST:
            half = pairs.arriving(state, side)
            if half.body is not None and phase is Phase.LENGTH:
                half.body.lose(stream.left)
            else:
                half.incomplete.append(f"{length} bytes of the body or behind it lost")
            self._body_done(state, stream, side, half, stream.next, time, out, cut=True)
        self._lost_track(state, stream, -1)
        stream.buffer.reset(stream.next)

    def end(self, state: Conversation, stream: Stream, side: Side, fin: bool, out: list[Output]) -> None:
        """No more will come in this direction: what is arriving is as complete as it gets."""
        stream.ended = True
        phase = stream.phase
        if state.over or phase is Phase.LOST or phase is Phase.WAIT:
            return
        if phase is Phase.HEAD:
            if fin and side and not stream.buffer.data:
                pairs.unanswered(state)
            self._cut_head(state, stream, side, "end of the head not seen", out)
            return
        half = pairs.arriving(state, side)
        complete = phase is Phase.CLOSE and fin
        if phase is Phase.LENGTH:
            half.incomplete.append(f"last {stream.left} bytes of the body not seen")
        elif not complete:
            half.incomplete.append("end of the body not seen")
        if not complete:
            pairs.cut(state, half, asked=False, answering=bool(side))
        stream.buffer.reset(stream.next)
        self._body_done(state, stream, side, half, stream.next, stream.time, out, cut=not complete)

    def _cut_head(self, state: Conversation, stream: Stream, side: Side, why: str, out: list[Output]) -> None:
        """Give what is known of a message whose head is not complete, if that is at least its first line."""
        buffer = stream.buffer
        start, began, end = buffer.offset, buffer.time_at(buffer.offset), buffer.end
        lines = bytes(buffer.data[: buffer.data.rfind(b"\n") + 1])
        buffer.reset(stream.next)
        stream.scanned = 0
        head = heads.tolerant_response(lines, "") if side else heads.tolerant_request(lines, "")
        if head is None or (side and head.status < 200):
            return
        begin = self._begin_response if side else self._begin_request
        half, _, _ = begin(state, head, start, began, end - start, out)
        half.incomplete.append(why)
        pairs.cut(state, half, asked=False, answering=bool(side))
        half.tunnel, half.upgrade = False, ""
        self._done(state, stream, side, half, 0, end, stream.time, out)

    # Holding back, handing over.

    def hold(self, state: Conversation, stream: Stream, data: Data, at: int, out: list[Output]) -> int:
        stream.hold(Data(data.side, data.data[at:], data.timestamp, data.offset + at) if at else data)
        if stream.held_size > self.limits.buffered and state.leaving is None:
            if stream.phase is Phase.WAIT:
                self._give_up(state, f"{self.limits.buffered} bytes behind an upgrade without an answer", out)
            else:
                pairs.distrust(state)
        return len(data.data)

    def release(self, state: Conversation, out: list[Output]) -> None:
        """Read what was held back, as far as what it waited for is there."""
        while not state.over:
            if state.client.held and state.client.phase is not Phase.WAIT:
                stream = state.client
            elif state.server.held and state.server.phase is not Phase.WAIT and pairs.answerable(state):
                stream = state.server
            else:
                return
            for data in stream.release():
                if stream.held:
                    stream.hold(data)
                elif not state.over:
                    self.read(state, stream, data, out)

    def leave(self, state: Conversation, out: list[Output]) -> None:
        """Hand both directions over from where HTTP ended."""
        leaving = state.leaving
        client, server = _rest(state.client), _rest(state.server)
        pairs.finish(state, out)
        http2 = leaving is not None and leaving.protocol == "h2c"
        out.append(
            Leave(
                protocol="http2" if http2 else "",
                rest=(client.data, server.data),
                offsets=(client.offset, server.offset),
                timestamps=(client.timestamp, server.timestamp),
                carry=leaving if http2 else None,
            )
        )

    def _give_up(self, state: Conversation, reason: str, out: list[Output]) -> None:
        for side, stream in ((Side.CLIENT, state.client), (Side.SERVER, state.server)):
            if stream.phase in _BODIES:
                half = pairs.arriving(state, side)
                half.incomplete.append(reason)
                self._body_done(state, stream, side, half, stream.next, stream.time, out, cut=True)
        pairs.finish(state, out)
        out.append(GiveUp(reason))


def _rest(stream: Stream) -> Data:
    """What was fed of a direction and not read."""
    buffer, held = stream.buffer, stream.held
    rest = bytes(buffer.data) + b"".join(data.data for data in held)
    if buffer.data:
        return Data(Side.CLIENT, rest, buffer.time_at(buffer.offset), buffer.offset)
    if held:
        return Data(Side.CLIENT, rest, held[0].timestamp, held[0].offset)
    return Data(Side.CLIENT, b"", stream.time, stream.next)


_BODY_PHASES = {Framing.LENGTH: Phase.LENGTH, Framing.CHUNKED: Phase.CHUNK_SIZE, Framing.CLOSE: Phase.CLOSE}
_BODIES = frozenset(
    {Phase.LENGTH, Phase.CHUNK_SIZE, Phase.CHUNK_DATA, Phase.CHUNK_END, Phase.TRAILERS, Phase.CLOSE}
)
_Step = Callable[[Reader, Conversation, Stream, Data, int, list[Output]], int]
_STEPS: dict[Phase, _Step] = {
    Phase.LENGTH: Reader._length,
    Phase.CHUNK_SIZE: Reader._chunk_size,
    Phase.CHUNK_DATA: Reader._length,
    Phase.CHUNK_END: Reader._chunk_end,
    Phase.TRAILERS: Reader._trailers,
    Phase.CLOSE: Reader._close_body,
    Phase.LOST: Reader._search,
    Phase.WAIT: Reader.hold,
}
