"""TLS handshakes (RFC 5246, RFC 8446), so that encrypted traffic has a name: who was asked for, and what was agreed.

One entry for a conversation: as soon as the ServerHello of TLS 1.3 is there, up to TLS 1.2 when both sides change to
encryption (an alert may come before), else at the end. From then on the conversation is opaque and nothing is held.
A conversation that was joined behind its handshake is told once, as TLS whose handshake was not seen.

Left out: certificates, which TLS 1.3 encrypts and which need a parser of their own, and SSL 2.0 hellos.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weir.dissect.api import Data, Exchange, Field, GiveUp, Limits, Output, Probe
from weir.dissect.buffer import Buffer
from weir.dissect.tls_hello import CLIENT_HELLO, SERVER_HELLO, Hello, ja3_client, ja3_server, read_hello
from weir.dissect.tls_names import alert_name, cipher_name, version_name
from weir.model.entry import Message
from weir.model.flow import Side

_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _DATA, _HEARTBEAT = 20, 21, 22, 23, 24
_RECORD = 5
_MAX_RECORD = 16_384 + 2_048
"""Bytes of a record's content with the expansion that TLS 1.2 allows (RFC 5246 §6.2.3)."""
_MAX_HELLO = 65_536
_MESSAGE = 4
_FATAL = 2
_TLS13 = 0x0304


class HelloSeen(msgspec.Struct):
    """A hello, and the message that carried it."""

    hello: Hello
    offset: int
    message: Message


class TlsSide(msgspec.Struct):
    """One direction."""

    buffer: Buffer = msgspec.field(default_factory=Buffer)
    left: int = 0
    """Bytes of the current handshake record that are still to come."""
    skip: int = 0
    """Bytes of another record to pass over."""
    message: bytearray = msgspec.field(default_factory=bytearray)
    """Handshake message that is being put together from records."""
    pass_over: int = 0
    """Bytes to come of a handshake message that is not read."""
    record: tuple[int, int] = (0, 0)
    """Offset and capture time of the first byte of the current record."""
    begin: tuple[int, int] = (0, 0)
    """The same of the record in which `message` began."""
    encrypted: bool = False
    """ChangeCipherSpec was seen: handshake records are no longer readable."""
    blind: bool = False
    """Bytes were lost: nothing more is read of this side."""


class TlsState(msgspec.Struct):
    client: TlsSide = msgspec.field(default_factory=TlsSide)
    server: TlsSide = msgspec.field(default_factory=TlsSide)
    asked: HelloSeen | None = None
    answered: HelloSeen | None = None
    retried: bool = False
    alert: str = ""
    alert_by: str = ""
    reset: str = ""
    """Who ended the connection within the handshake, if somebody did with a RST."""
    place: tuple[int, int, int] = (0, 0, 0)
    """Side, offset and capture time of what is told where no hello was seen."""
    missing: str = ""
    """What was lost."""
    midstream: bool = False
    opaque: bool = False


class Tls:
    name = "tls"
    title = "TLS handshake"
    protocols = ("tls",)
    transports = frozenset({"tcp"})
    ports = frozenset({443, 465, 636, 853, 989, 990, 992, 993, 995, 5061, 6443, 8443, 10250})
    fields = (
        Field("tls_sni", str, "Server name that the client asked for", "Server name"),
        Field("tls_version", str, "Version that was agreed, e.g. `TLS 1.3`", "Version"),
        Field("tls_cipher", str, "Cipher suite that was agreed", "Cipher"),
        Field("tls_alpn", str, "Application protocol that was agreed; TLS 1.3 encrypts it"),
        Field("tls_alpn_offered", list, "Application protocols that the client offered"),
        Field("tls_versions_offered", list, "Versions that the client offered"),
        Field("tls_ciphers_offered", list, "Cipher suites that the client offered"),
        Field("tls_resumed", bool, "The server agreed to go on with an earlier session"),
        Field("tls_retried", bool, "The server asked for another hello (HelloRetryRequest)"),
        Field("tls_alert", str, "Alert that ended the handshake, e.g. `handshake_failure`"),
        Field("tls_alert_by", str, "Who sent it: `client` or `server`"),
        Field("tls_ja3", str, "JA3 fingerprint of the client"),
        Field("tls_ja3s", str, "JA3S fingerprint of the server's answer"),
        Field("tls_summary", str, "Server name, version and outcome in one line"),
        Field("tls_info", str, "Version, cipher suite and application protocol in one line"),
        Field("tls_request_size", int, "Bytes of the ClientHello"),
        Field("tls_response_size", int, "Bytes of the ServerHello"),
        Field("tls_total_size", int, "Bytes of both hellos"),
    )
    State = TlsState

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if transport != "tcp":
            return Probe.NO
        return _probe_record(side, head)

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> TlsState:
        return TlsState(midstream=midstream)

    def feed(self, state: TlsState, data: Data) -> list[Output]:
        out: list[Output] = []
        stream = state.client if data.side is Side.CLIENT else state.server
        if state.opaque or stream.blind or not data.data:
            return out
        stream.buffer.append(data.data, data.offset, data.timestamp)
        while stream.buffer.data and not state.opaque and self._step(state, data.side, stream, out):
            pass
        return out

    def gap(self, state: TlsState, side: Side, offset: int, length: int, timestamp: int) -> list[Output]:
        out: list[Output] = []
        stream = state.client if side is Side.CLIENT else state.server
        if state.opaque or stream.blind:
            return out
        passed = min(stream.skip, length)
        if passed == length:
            stream.skip -= passed
            stream.buffer.reset(offset + length)
        elif stream.left >= length and stream.pass_over >= length:
            stream.left -= length
            stream.pass_over -= length
            stream.buffer.reset(offset + length)
        else:
            if state.place == (0, 0, 0):
                state.place = (int(side), offset, timestamp)
            state.missing = state.missing or f"{length} bytes of the handshake lost"
            state.place = (int(side), offset, timestamp)
            stream.blind = True
            stream.buffer.reset(offset + length)
            if state.answered is not None or (state.client.blind and state.server.blind):
                self._over(state, out)
        return out

    def close(
        self, state: TlsState, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> list[Output]:
        out: list[Output] = []
        if side is None and not state.opaque:
            if reset is not None and not (state.midstream or state.missing or state.alert):
                state.reset = f"reset by {reset.name.lower()}"
            missing = ""
            if state.answered is not None and not state.alert:
                missing = f"{state.reset} within the handshake" if state.reset else "handshake not finished"
            self._over(state, out, missing)
        return out

    def _step(self, state: TlsState, side: Side, stream: TlsSide, out: list[Output]) -> bool:
        """Read one thing; False if more bytes are needed for it."""
        buffer = stream.buffer
        if stream.skip:
            passed = min(stream.skip, len(buffer))
            stream.skip -= passed
            buffer.consume(passed)
            return True
        if stream.left:
            self._handshake(state, side, stream, out)
            return True
        if len(buffer) < _RECORD:
            return False
        kind, version, size = buffer.data[0], buffer.data[1] << 8 | buffer.data[2], buffer.data[3] << 8 | buffer.data[4]
        if not _plausible_record(kind, version, size):
            reason = f"no TLS record from the {side.name.lower()}"
            self._over(state, out, reason if state.asked else "")
            out.append(GiveUp(reason))
            return False
        if kind == _ALERT and size == 2 and not stream.encrypted:
            return self._alert(state, side, stream, out)
        stream.record = (buffer.offset, buffer.time_at(buffer.offset))
        buffer.consume(_RECORD)
        if kind == _HANDSHAKE and not stream.encrypted:
            stream.left = size
            return True
        stream.skip = size
        self._beyond(state, side, stream, kind, out)
        return True

    def _beyond(self, state: TlsState, side: Side, stream: TlsSide, kind: int, out: list[Output]) -> None:
        """A record that is not a readable handshake: encryption begins, or began before we came."""
        if kind == _CHANGE_CIPHER:
            stream.encrypted = True
            both = state.client.encrypted and state.server.encrypted
            # TLS 1.3 sends it for the sake of old middleboxes, also before a second ClientHello (RFC 8446 §D.4).
            if state.retried and not state.answered:
                stream.encrypted = False
            elif both and state.answered:
                self._over(state, out)
        elif state.answered is not None:
            if state.asked or state.midstream or state.client.blind or side is Side.CLIENT:
                self._over(state, out)
        elif state.server.blind:
            self._over(state, out)
        elif state.asked is None or side is Side.SERVER:
            # Not the client's early data: the handshake was before.
            state.place = (int(side), *stream.record)
            self._over(state, out, "handshake not seen")

    def _alert(self, state: TlsState, side: Side, stream: TlsSide, out: list[Output]) -> bool:
        buffer = stream.buffer
        if len(buffer) < _RECORD + 2:
            return False
        level, description = buffer.data[5], buffer.data[6]
        if level == _FATAL or (description and state.answered is None):
            state.alert, state.alert_by = alert_name(description), side.name.lower()
            state.place = (int(side), buffer.offset, buffer.time_at(buffer.offset))
            self._over(state, out)
            return False
        buffer.consume(_RECORD + 2)
        return True

    def _handshake(self, state: TlsState, side: Side, stream: TlsSide, out: list[Output]) -> None:
        """Pass on what is there of a handshake record; messages may span records, and records hold several."""
        buffer = stream.buffer
        size = min(stream.left, len(buffer))
        if stream.pass_over:
            size = min(size, stream.pass_over)
            stream.pass_over -= size
            stream.left -= size
            buffer.consume(size)
            return
        if not stream.message:
            stream.begin = stream.record
        total = _MESSAGE
        if len(stream.message) >= _MESSAGE:
            total += int.from_bytes(stream.message[1:_MESSAGE])
        size = min(size, total - len(stream.message))
        end = buffer.time_at(buffer.offset + size - 1)
        place = buffer.offset + size
        stream.message += buffer.take(size)
        stream.left -= size
        if len(stream.message) < _MESSAGE:
            return
        kind, length = stream.message[0], int.from_bytes(stream.message[1:_MESSAGE])
        if kind not in (CLIENT_HELLO, SERVER_HELLO) or length > _MAX_HELLO:
            stream.pass_over = length
            stream.message.clear()
        elif len(stream.message) == _MESSAGE + length:
            body = bytes(stream.message[_MESSAGE:])
            stream.message.clear()
            offset, timestamp = stream.begin
            message = Message(timestamp=timestamp, end=end, size=place - offset)
            self._hello(state, HelloSeen(read_hello(body, client=kind == CLIENT_HELLO), offset, message), kind, out)

    def _hello(self, state: TlsState, seen: HelloSeen, kind: int, out: list[Output]) -> None:
        if kind == CLIENT_HELLO:
            # The second one after a HelloRetryRequest offers the same.
            state.asked = state.asked or seen
        elif seen.hello.retry:
            state.retried = True
        else:
            state.answered = state.answered or seen
        answered = state.answered
        alone = state.midstream or state.client.blind
        if answered and answered.hello.chosen >= _TLS13 and (state.asked or alone):
            self._over(state, out)

    def _over(self, state: TlsState, out: list[Output], missing: str = "") -> None:
        """Tell what is known, and go opaque."""
        found = _exchange(state, missing or state.missing)
        state.opaque = True
        state.client, state.server = TlsSide(), TlsSide()
        if found is not None:
            out.append(found)


def _exchange(state: TlsState, missing: str) -> Exchange | None:
    asked, answered = state.asked, state.answered
    first = asked or answered
    if first is None and not state.alert and not missing:
        return None
    side, offset, timestamp = state.place
    if first is not None:
        side, offset = (0 if asked else 1), first.offset
    incomplete = [missing] if missing else []
    if asked is None and answered is not None:
        incomplete.append("ClientHello not seen")
    if answered is None and asked is not None and not state.alert:
        incomplete.append(f"{state.reset} after the ClientHello" if state.reset else "ServerHello not seen")
    weird = [f"malformed hello: {seen.hello.broken}" for seen in (asked, answered) if seen and seen.hello.broken]
    fields = _fields(state)
    alone = Message(timestamp=timestamp, end=timestamp) if first is None else None
    return Exchange(
        protocol="tls",
        kind="handshake",
        side=Side(side),
        offset=offset,
        request=asked.message if asked else alone if side == Side.CLIENT else None,
        response=answered.message if answered else alone if side == Side.SERVER else None,
        fields=fields,
        ok=False if state.alert or state.reset else True if answered and not missing else None,
        summary=fields["tls_summary"],
        weird=weird,
        incomplete=incomplete,
    )


def _fields(state: TlsState) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if state.asked is not None:
        hello = state.asked.hello
        fields["tls_sni"] = hello.sni
        fields["tls_alpn_offered"] = hello.alpn
        fields["tls_versions_offered"] = [version_name(number) for number in hello.versions or [hello.version]]
        fields["tls_ciphers_offered"] = [cipher_name(number) for number in hello.ciphers]
        fields["tls_ja3"] = ja3_client(hello)
        fields["tls_request_size"] = state.asked.message.size
    if state.answered is not None:
        fields.update(_chosen(state.answered.hello, state.asked.hello if state.asked else None))
        fields["tls_response_size"] = state.answered.message.size
    if state.retried:
        fields["tls_retried"] = True
    if state.alert:
        fields["tls_alert"], fields["tls_alert_by"] = state.alert, state.alert_by
    fields["tls_total_size"] = fields.get("tls_request_size", 0) + fields.get("tls_response_size", 0)
    agreed = [fields.get(name, "") for name in ("tls_version", "tls_cipher", "tls_alpn")]
    fields["tls_info"] = ", ".join(part for part in agreed if part)
    asked_for = fields.get("tls_sni") or ("TLS" if state.alert or state.reset else "")
    outcome = state.alert or state.reset or fields.get("tls_version", "")
    fields["tls_summary"] = " → ".join(part for part in (asked_for, outcome) if part) or "TLS"
    return {name: value for name, value in fields.items() if value or name == "tls_summary"}


def _chosen(hello: Hello, asked: Hello | None) -> dict[str, Any]:
    by_id = asked is not None and bool(hello.session) and hello.session == asked.session
    return {
        "tls_version": version_name(hello.chosen),
        "tls_cipher": cipher_name(hello.ciphers[0]) if hello.ciphers else "",
        "tls_alpn": hello.alpn[0] if hello.alpn else "",
        # In TLS 1.3 the session id is only echoed (RFC 8446 §4.1.3).
        "tls_resumed": hello.pre_shared if hello.chosen >= _TLS13 else by_id,
        "tls_ja3s": ja3_server(hello),
    }


def _plausible_record(kind: int, version: int, size: int) -> bool:
    return (
        _CHANGE_CIPHER <= kind <= _HEARTBEAT
        and 0x0300 <= version <= 0x0304
        and size <= _MAX_RECORD
        and (size > 0 or kind == _DATA)
        and (kind != _CHANGE_CIPHER or size == 1)
    )


def _probe_record(side: Side, head: bytes) -> Probe:
    """A hello of this side, or the records of a connection that was joined between two of them."""
    known = head[:_RECORD].ljust(_RECORD, b"\1")
    if len(head) < 3:
        # What is there must fit the beginning of some record.
        fits = _CHANGE_CIPHER <= (head or b"\x16")[0] <= _HEARTBEAT and (len(head) < 2 or head[1] == 3)
        return Probe.MAYBE if fits else Probe.NO
    kind, version, size = known[0], known[1] << 8 | known[2], known[3] << 8 | known[4]
    if len(head) < _RECORD:
        return Probe.MAYBE if _CHANGE_CIPHER <= kind <= _HEARTBEAT and 0x0300 <= version <= 0x0304 else Probe.NO
    if not _plausible_record(kind, version, size):
        return Probe.NO
    if kind == _HANDSHAKE:
        return _probe_handshake(side, head[_RECORD:], size)
    if kind == _CHANGE_CIPHER and len(head) > _RECORD:
        return Probe.YES if head[_RECORD] == 1 else Probe.NO
    if kind == _DATA:
        # Ciphertext is never shorter than its tag; this and 24 fixed bits make chance unlikely.
        return Probe.YES if version == 0x0303 and size >= 16 else Probe.NO
    if kind == _ALERT and size == 2:
        return Probe.MAYBE if len(head) < 7 else Probe.YES if head[5] in (1, 2) else Probe.NO
    return _probe_next(head[_RECORD + size :])


def _probe_handshake(side: Side, body: bytes, size: int) -> Probe:
    if not body:
        return Probe.MAYBE
    kind = body[0]
    if kind == (SERVER_HELLO if side is Side.CLIENT else CLIENT_HELLO):
        return Probe.NO
    if kind not in (CLIENT_HELLO, SERVER_HELLO):
        # Joined within a handshake; encrypted ones look like anything.
        return _probe_next(body[size:])
    if len(body) < _MESSAGE + 2:
        return Probe.MAYBE
    length = int.from_bytes(body[1:_MESSAGE])
    return Probe.YES if body[_MESSAGE] == 3 and 38 <= length <= _MAX_HELLO else Probe.NO


def _probe_next(following: bytes) -> Probe:
    """The record before tells too little; the next one's header decides."""
    if len(following) < _RECORD:
        return Probe.MAYBE
    kind, version, size = following[0], following[1] << 8 | following[2], following[3] << 8 | following[4]
    return Probe.YES if _plausible_record(kind, version, size) else Probe.NO
