"""HTTP/1.x message heads: from bytes to a start line, header fields, and how the body is framed (RFC 9112).

llhttp (httptools) reads a complete head in one call and decides what is well-formed. What it refuses is read again
with tolerance, because an observer has to follow what two peers agree on, and llhttp's reason becomes `weird`. Bodies
are `protocols.http1`'s: llhttp's parser cannot be saved with a conversation, and it would copy every byte.

Most heads are plain: usual method, visible ASCII, every field once, one blank behind each colon. They take a short
cut, one pattern over the head where it lies, which gives what llhttp gives without its calls back for each field; a
property test holds it to that.
"""

from __future__ import annotations

import re
from enum import IntEnum

import httptools

from weir.dissect.api import Probe
from weir.dissect.bodies import codings_of

_METHODS = (
    rb"GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|CONNECT|TRACE|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|SEARCH|"
    rb"REPORT|MKACTIVITY|CHECKOUT|MERGE|M-SEARCH|NOTIFY|SUBSCRIBE|UNSUBSCRIBE|PURGE|MKCALENDAR|LINK|UNLINK|ACL|BIND|"
    rb"REBIND|UNBIND|QUERY|BREW"
)
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
LONGEST_METHOD = 24
LONGEST_LINE = 8192
"""Bytes of a start line that is recognised after a gap."""
TELLING = 2048
"""Bytes of a first line without an end after which it is told by its beginning alone."""
LONGEST_STATUS = 13
LONGEST_LENGTH = 18
"""Digits of a Content-Length that is believed."""

_REQUEST_PREFIX = re.compile(_TOKEN + rb"{1,%d}(?: |\Z)" % LONGEST_METHOD)
_METHOD = re.compile(_TOKEN + rb"{1,%d}" % LONGEST_METHOD)
_VERSION = re.compile(rb"HTTP/(1\.\d)")
_LONG_REQUEST = re.compile(rb"(?:" + _METHODS + rb") [!-~\x80-\xff]+\Z")
_STATUS_LINE = re.compile(rb"HTTP/(1\.\d) +(\d{3})(?: ([^\r\n]*))?\r?\n")
_STATUS_BEGINS = re.compile(rb"HTTP/1\.\d +\d")
_STATUS_PREFIX = b"HTTP/1."

FIND_REQUEST = re.compile(rb"(?:" + _METHODS + rb") [!-~\x80-\xff]{1,%d} HTTP/1\.[01]\r?\n" % LONGEST_LINE)
FIND_RESPONSE = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [^\r\n]{0,128})?\r?\n")
"""Start lines, sought anywhere after a gap. What they match the readers below accept."""

_FIELDS = rb"((?:" + _TOKEN + rb"++: [!-~][ -~]*+\r\n)*+)\r\n"
_PLAIN_REQUEST = re.compile(
    rb"(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) (/[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]*+) HTTP/(1\.[01])\r\n" + _FIELDS
).match
_PLAIN_RESPONSE = re.compile(rb"HTTP/(1\.[01]) ([2-9]\d\d) ([A-Za-z](?:[ '\-]?[A-Za-z])*+)\r\n" + _FIELDS).match
_FIELD = re.compile(r"([^:]++): ([^\r]++)\r\n").findall
_JUDGED = frozenset({"transfer-encoding", "upgrade"})
"""Fields whose values llhttp looks at, beside Content-Length."""

_BLANK_LINE = re.compile(rb"\n\r?\n").search


class Framing(IntEnum):
    """How the end of a body is found (RFC 9112 §6.3)."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3


class Head:
    """A parsed head. It is also what llhttp calls back, hence the `on_` methods."""

    __slots__ = ("headers", "method", "reason", "status", "target", "version", "weird")

    def __init__(self) -> None:
        self.version = ""
        self.method = ""
        self.target = ""
        self.status = 0
        self.reason = ""
        self.headers: dict[str, str] = {}
        """As `model.entry.Message.headers`."""
        self.weird: list[str] = []

    def on_url(self, url: bytes) -> None:
        self.target = text(url)

    def on_status(self, reason: bytes) -> None:
        self.reason = text(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        # The hottest line of this dissector: what is rare (a repeated name, bytes that are no UTF-8, which raises
        # through llhttp) is noticed afterwards, in `_complete`.
        self.headers[name.decode().lower()] = value.decode().rstrip(" \t")


def add_field(headers: dict[str, str], name: str, value: str) -> None:
    """Join repeated fields: with a comma (RFC 9110 §5.3), Set-Cookie, which may contain commas, with a line feed."""
    if name in headers:
        headers[name] += ("\n" if name == "set-cookie" else ", ") + value
    else:
        headers[name] = value


def text(raw: bytes) -> str:
    """Header bytes as text: UTF-8, else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def head_end(data: bytes | bytearray, start: int) -> int:
    """Position behind the blank line that ends the head, or -1. Bare line feeds count as line ends."""
    found = _BLANK_LINE(data, start)
    return found.end() if found is not None else -1


def may_begin(prefix: bytes, *, response: bool) -> bool:
    """Could a message begin with these bytes?"""
    if response:
        return prefix.startswith(_STATUS_PREFIX) or _STATUS_PREFIX.startswith(prefix)
    return not prefix or _REQUEST_PREFIX.match(prefix) is not None


def probe_request(head: bytes) -> Probe:
    """`Dissector.probe` for the client's first bytes. A line that ends is decided by the version at its end; one that
    does not end for long, by a usual method and a visible target."""
    head = head.lstrip(b"\r\n")
    if b"\n" in head:
        return Probe.YES if _request_line(head) is not None else Probe.NO
    if not may_begin(head, response=False):
        return Probe.NO
    if len(head) < TELLING:
        return Probe.MAYBE
    return Probe.YES if _LONG_REQUEST.match(head) else Probe.NO


def probe_response(head: bytes) -> Probe:
    """`Dissector.probe` for the server's first bytes."""
    head = head.lstrip(b"\r\n")[:LONGEST_STATUS]
    if len(head) < LONGEST_STATUS and b"\n" not in head:
        return Probe.MAYBE if may_begin(head, response=True) else Probe.NO
    return Probe.YES if _STATUS_BEGINS.match(head) else Probe.NO


def is_hex(digits: bytes) -> bool:
    """A chunk size that is one, and below 2^60."""
    return 0 < len(digits) <= 15 and not digits.strip(b"0123456789abcdefABCDEF")


def _request_line(data: bytes) -> tuple[bytes, bytes, bytes, int] | None:
    """Method, target, version and the position behind the line, with tolerance for blanks. By hand, because a pattern
    for this would go back and forth over a line of many blanks."""
    end = data.find(b"\n")
    method, _, rest = data[: max(end, 0)].rstrip().partition(b" ")
    target, _, last = rest.rpartition(b" ")
    version = _VERSION.fullmatch(last)
    if version is None or not _METHOD.fullmatch(method) or not target.strip():
        return None
    return method, target.strip(), version[1], end + 1


def read_request(data: bytes) -> Head | None:
    """`data` is a head with its blank line. None if it does not begin with a request line of HTTP/1."""
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        return tolerant_request(data, _reason(error))
    head.version = parser.get_http_version()
    if head.version[0] != "1" or data.find(b" HTTP/", 0, data.find(b"\n")) < 0:
        return None  # llhttp reads HTTP/0.9, RTSP and ICE as well
    head.method = parser.get_method().decode()
    _complete(head, data)
    return head


def read_response(data: bytes) -> Head | None:
    """`data` is a head with its blank line. None if it does not begin with a status line of HTTP/1."""
    if not data.startswith(_STATUS_PREFIX):
        return None
    head = Head()
    parser = httptools.HttpResponseParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        return tolerant_response(data, _reason(error))
    head.version = parser.get_http_version()
    head.status = parser.get_status_code()
    _complete(head, data)
    return head


def plain_head(data: bytes, at: int, *, response: bool) -> tuple[Head, int] | None:
    """The plain head that begins at `at`, and where it ends; None if there is none, or it is not plain."""
    found = (_PLAIN_RESPONSE if response else _PLAIN_REQUEST)(data, at)
    if found is None:
        return None
    first, second, third, raw = found.groups()
    lines = raw.decode()
    headers = {name.lower(): value for name, value in _FIELD(lines)}
    if len(headers) != lines.count("\n") or " \r" in lines or not _JUDGED.isdisjoint(headers):
        return None
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > LONGEST_LENGTH:
        return None
    head = Head()
    head.headers = headers
    if response:
        head.version, head.status, head.reason = first.decode(), int(second), third.decode()
    else:
        head.method, head.target, head.version = first.decode(), second.decode(), third.decode()
    return head, found.end()


def _reason(error: httptools.HttpParserError) -> str:
    return "" if isinstance(error, httptools.HttpParserCallbackError) else str(error)


def _complete(head: Head, data: bytes) -> None:
    """Where names are repeated there are more lines than fields: join them."""
    if data.count(b"\n") - 2 != len(head.headers):
        head.headers = {}
        for name, value in fields_of(data[data.find(b"\n") + 1 :]):
            add_field(head.headers, name, value)


def tolerant_request(data: bytes, reason: str) -> Head | None:
    """A request head as far as it can be read; `reason` says why that is weird, empty if it is not."""
    line = _request_line(data)
    if line is None:
        return None
    method, target, version, end = line
    head = Head()
    head.method, head.target, head.version = method.decode(), text(target), version.decode()
    _tolerant_fields(head, data[end:], reason)
    return head


def tolerant_response(data: bytes, reason: str) -> Head | None:
    line = _STATUS_LINE.match(data)
    if line is None:
        return None
    head = Head()
    head.version, head.status, head.reason = line[1].decode(), int(line[2]), text(line[3] or b"")
    _tolerant_fields(head, data[line.end() :], reason)
    return head


def _tolerant_fields(head: Head, data: bytes, reason: str) -> None:
    if reason:
        head.weird.append(f"malformed head: {reason}")
    for name, value in fields_of(data):
        add_field(head.headers, name, value)


def fields_of(data: bytes) -> list[tuple[str, str]]:
    """Header or trailer lines with tolerance: folded lines are unfolded (RFC 9112 §5.2), lines without a colon are
    passed over, blanks around the colon are ignored."""
    found: list[tuple[str, str]] = []
    for raw in data.split(b"\n"):
        line = text(raw)
        if line[:1] in (" ", "\t") and found:
            name, value = found[-1]
            found[-1] = name, f"{value} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        if colon and name.strip():
            found.append((name.strip().lower(), value.strip()))
    return found


def body_framing(head: Head, *, request: bool) -> tuple[Framing, int]:
    """How the body behind a head is framed, and its length for LENGTH. What the status or the method rule out is the
    caller's. Transfer-Encoding wins over Content-Length (RFC 9112 §6.3); what cannot be trusted is `weird`."""
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        last = coding.rpartition(",")[2].strip().lower()
        if last == "chunked":
            return Framing.CHUNKED, 0
        if last != "identity":
            if request:
                head.weird.append("request with a Transfer-Encoding that does not end in chunked")
            return Framing.CLOSE, 0
    announced = head.headers.get("content-length")
    if announced is None:
        return (Framing.NONE if request else Framing.CLOSE), 0
    length = _length(head, announced)
    if length < 0:
        return (Framing.NONE if request else Framing.CLOSE), 0
    return (Framing.LENGTH if length else Framing.NONE), length


def _length(head: Head, announced: str) -> int:
    if announced.isdecimal() and announced.isascii() and len(announced) <= LONGEST_LENGTH:
        return int(announced)
    values = [value.strip() for value in announced.split(",")]
    if not all(value.isdecimal() and value.isascii() and len(value) <= LONGEST_LENGTH for value in values):
        head.weird.append("invalid Content-Length")
        return -1
    if len({int(value) for value in values}) > 1:
        head.weird.append("conflicting Content-Length")
    return int(values[0])


def codings(head: Head) -> str:
    """Content codings and, outside of them, transfer codings."""
    content = head.headers.get("content-encoding")
    transfer = transfer_codings(head) if "transfer-encoding" in head.headers else ""
    if not content:
        return transfer
    content = codings_of(content)
    return f"{content}, {transfer}" if content and transfer else content or transfer


def transfer_codings(head: Head) -> str:
    """Codings that Transfer-Encoding applied besides chunked."""
    coding = head.headers.get("transfer-encoding", "")
    if coding.lower() in ("", "chunked"):
        return ""
    return ", ".join(
        name for part in coding.split(",") if (name := part.strip().lower()) not in ("", "chunked", "identity")
    )


def wants_upgrade(head: Head) -> str:
    """The first protocol in Upgrade, in lower case, if Connection says that it counts (RFC 9110 §7.8)."""
    offered = head.headers.get("upgrade")
    if not offered or "upgrade" not in head.headers.get("connection", "").lower():
        return ""
    return offered.partition(",")[0].strip().lower()
