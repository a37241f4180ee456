"""What is kept of an HTTP/2 stream while it is open, and the exchange that it becomes; gRPC is told apart here.

Plain values only. Frames, header tables and the question which stream a frame belongs to are `protocols.http2`'s.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from weir.dissect.api import Exchange, Limits
from weir.dissect.bodies import BodyBuffer
from weir.dissect.hpack_state import UNKNOWN
from weir.dissect.httpfields import Upgraded, request_fields, response_fields
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE, reset_by
from weir.model.entry import Message
from weir.model.flow import Side

UNKNOWN_TABLE = "headers refer to a table that was not seen"
_SHOWN_ELSEWHERE = frozenset({":method", ":path", ":authority", ":status"})
NOTES = 16
"""Reasons that are kept of one kind for one stream: a connection may lose bytes again and again."""
_GRPC_PREFIX = 5
GRPC_STATUS = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)


class Grpc(msgspec.Struct):
    """Messages of one direction, counted by their prefixes: a flag byte and a length of four bytes."""

    messages: int = 0
    """That were begun."""
    size: int = 0
    """Their announced bytes together, prefixes left out."""
    compressed: bool = False
    """At least one is."""
    prefix: bytes = b""
    left: int = 0
    lost: bool = False
    """Prefixes cannot be found (any more): bytes are missing, or these are no messages."""

    def feed(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and not self.lost:
            if self.left:
                step = min(self.left, size - at)
                self.left -= step
                at += step
                continue
            step = _GRPC_PREFIX - len(self.prefix)
            self.prefix += data[at : at + step]
            at += step
            if len(self.prefix) == _GRPC_PREFIX:
                flags, self.left = self.prefix[0], int.from_bytes(self.prefix[1:])
                self.prefix = b""
                if flags & 0x7E:
                    self.lost, self.left = True, 0
                    return
                if flags & 0x80:  # the trailers of gRPC-Web
                    continue
                self.messages += 1
                self.size += self.left
                self.compressed = self.compressed or bool(flags & 1)


    def whole(self) -> bool:
        """What came is a series of complete messages."""
        return bool(self.messages) and not (self.lost or self.left or self.prefix)


class Half(msgspec.Struct):
    """One direction of a stream."""

    timestamp: int
    end: int
    size: int = 0
    """Bytes of frames, their headers included."""
    header_size: int = 0
    """Bytes of header blocks as they were encoded."""
    headers: list[tuple[str, str]] | None = None
    trailers: list[tuple[str, str]] = []
    body: BodyBuffer = msgspec.field(default_factory=BodyBuffer)
    grpc: Grpc | None = None
    closed: bool = False

    def get(self, name: str) -> str:
        for fields in (self.headers or (), self.trailers):
            for key, value in fields:
                if key == name:
                    return value
        return ""

    def held(self) -> int:
        """Bytes that this keeps in memory, about."""
        return len(self.body.kept) + field_cost(self.headers or []) + field_cost(self.trailers)


def field_cost(fields: list[tuple[str, str]]) -> int:
    """Bytes that header fields are counted with, as RFC 7541 §4.1 does."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


class Stream(msgspec.Struct):
    offset: int
    side: Side
    request: Half | None = None
    response: Half | None = None
    pushed: bool = False
    upgrade: Upgraded | None = None
    """The HTTP/1.1 request that this stream answers (h2c)."""
    interim: list[dict[str, Any]] = []
    """As the field `interim_responses` shows them."""
    interim_cost: int = 0
    """Bytes that they keep in memory, about."""
    reset: str = ""
    """Why nothing more comes of it, if that is known."""
    weird: list[str] = []
    incomplete: list[str] = []

    def half(self, side: Side) -> Half | None:
        return self.request if side is Side.CLIENT else self.response

    def note(self, reason: str) -> None:
        if reason not in self.incomplete and len(self.incomplete) < NOTES:
            self.incomplete.append(reason)

    def odd(self, what: str) -> None:
        if what not in self.weird and len(self.weird) < NOTES:
            self.weird.append(what)

    def cut(self, what: str, side: Side, error: str = "") -> None:
        """`side` ended it: the stream, or what it is part of."""
        self.reset = f"{what}reset by {side.name.lower()}" + (f": {error}" if error else "")
        asked = self.request is None or self.request.closed
        when = reset_by(side, asked=asked, answering=self.response is not None)
        self.note(what + when + (f": {error}" if error else ""))

    def is_grpc(self) -> bool:
        """By content type; or by the status, where that is all that can be read."""
        halves = [half for half in (self.request, self.response) if half is not None]
        return any(half.get("content-type").startswith("application/grpc") for half in halves) or (
            self.response is not None and self.response.get("grpc-status") != ""
        )

    def may_be_grpc(self) -> bool:
        """The content type stands in a table that was not seen, and both bodies are series of messages: a gRPC
        connection is open for days, and all that its headers refer to is said once."""
        request, response = self.request, self.response
        return (
            UNKNOWN_TABLE in self.incomplete
            and request is not None
            and request.get(":method") == "POST"
            and not any(half.get("content-type") for half in (request, response) if half)
            and request.grpc is not None
            and request.grpc.whole()
            and (response is None or (response.grpc is not None and response.grpc.whole()))
        )


def exchange(number: int, stream: Stream, limits: Limits) -> Exchange:
    """The entry of a stream that is over, or of which no more will be seen."""
    request, response = stream.request, stream.response
    guessed = not stream.is_grpc() and stream.may_be_grpc()
    grpc = guessed or stream.is_grpc()
    fields = _http_fields(stream)
    if stream.pushed:
        fields["http_pushed"] = True
    ok = _http_ok(fields, stream)
    if grpc:
        fields.update(_grpc_fields(fields.get("path", ""), request, response))
        ok = _grpc_ok(ok, fields["grpc_status"])
    incomplete = list(stream.incomplete)
    if guessed:
        incomplete.append("content type not seen: told to be gRPC by its messages")
    if request is None:
        incomplete.append(NO_REQUEST)
    elif not request.closed and not stream.reset:
        incomplete.append("end of the request not seen")
    if response is None and not stream.reset:
        incomplete.append(NO_RESPONSE)
    elif response is not None and not response.closed and not stream.reset:
        incomplete.append("end of the response not seen")
    return Exchange(
        protocol="grpc" if grpc else "http",
        side=stream.side,
        offset=stream.offset,
        stream_id=number,
        request=stream.upgrade.request if stream.upgrade else _message(request, limits),
        response=_message(response, limits),
        fields=fields,
        ok=ok,
        summary=_summary(fields, grpc, stream),
        weird=stream.weird,
        incomplete=incomplete,
    )


def join(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Header fields as entries show them; pseudo-fields that have variables of their own are left to these."""
    headers: dict[str, str] = {}
    for name, value in fields:
        if name in _SHOWN_ELSEWHERE:
            continue
        if name == UNKNOWN:
            # It may be a credential, and redaction goes by name.
            value = UNKNOWN
        if name in headers:
            # A cookie may be split into crumbs (RFC 9113 §8.2.3); a Set-Cookie may contain commas.
            between = "; " if name == "cookie" else "\n" if name == "set-cookie" else ", "
            headers[name] += between + value
        else:
            headers[name] = value
    return headers


def _message(half: Half | None, limits: Limits) -> Message | None:
    if half is None:
        return None
    return Message(
        timestamp=half.timestamp,
        end=half.end,
        size=half.size,
        headers=join(half.headers or []),
        trailers=join(half.trailers),
        body=half.body.finish(limits),
    )


def _http_fields(stream: Stream) -> dict[str, Any]:
    request, response = stream.request, stream.response
    fields: dict[str, Any] = {}
    if stream.upgrade is not None:
        fields.update(stream.upgrade.fields)
    elif request is not None:
        if request.headers is not None:
            fields.update(_request_fields(request))
        fields["request_headers_size"] = request.header_size
        fields["request_body_size"] = request.body.size
    if response is not None:
        status = response.get(":status")
        if status.isdecimal() and len(status) == 3:
            fields.update(response_fields(int(status), join(response.headers or [])))
        fields["response_headers_size"] = response.header_size
        fields["response_body_size"] = response.body.size
    if stream.interim:
        fields["interim_responses"] = stream.interim
    fields["http_version"] = "2"
    return fields


def _request_fields(request: Half) -> dict[str, Any]:
    """Like those of HTTP/1; what stands in a table that was not seen is left out."""
    headers = join(request.headers or [])
    if authority := request.get(":authority"):
        headers["host"] = authority
    scheme = request.get(":scheme") or "http"
    fields = request_fields(request.get(":method"), request.get(":path"), headers, scheme)
    return {name: value for name, value in fields.items() if value}


def _http_ok(fields: dict[str, Any], stream: Stream) -> bool | None:
    if stream.reset:
        return False
    status = fields.get("status_code")
    return None if status is None else 100 <= status < 400


def _grpc_ok(http_ok: bool | None, status: int) -> bool | None:
    """A failure of HTTP is one of gRPC; a status that was not seen is neither."""
    if http_ok is False or status > 0:
        return False
    return True if status == 0 else None


def _grpc_fields(path: str, request: Half | None, response: Half | None) -> dict[str, Any]:
    service, _, _ = path.removeprefix("/").rpartition("/")
    status = response.get("grpc-status") if response else ""
    message = unquote(response.get("grpc-message")) if response else ""
    named = {"grpc_method": path.removeprefix("/"), "grpc_service": service, "grpc_message": message}
    fields: dict[str, Any] = {name: value for name, value in named.items() if value}
    fields["grpc_status"] = int(status) if status.isdecimal() and len(status) < 6 else -1
    for name, half in (("request", request), ("response", response)):
        if half is not None and half.grpc is not None:
            fields[f"grpc_{name}_messages"] = half.grpc.messages
            fields[f"grpc_{name}_size"] = half.grpc.size
            if half.grpc.compressed:
                fields["grpc_compressed"] = True
    return fields


def _summary(fields: dict[str, Any], grpc: bool, stream: Stream) -> str:
    if grpc:
        status = fields["grpc_status"]
        end = GRPC_STATUS[status] if 0 <= status < len(GRPC_STATUS) else ""
        what = fields.get("grpc_method", UNKNOWN)
    else:
        end = str(fields.get("status_code", ""))
        what = f"{fields.get('method', UNKNOWN)} {fields.get('path', UNKNOWN)}" if stream.request else ""
    return " → ".join(part for part in (what, stream.reset or end) if part)
