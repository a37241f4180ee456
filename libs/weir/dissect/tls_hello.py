"""ClientHello and ServerHello (RFC 5246 §7.4.1, RFC 8446 §4.1): what they offer and choose, and their fingerprints.

A hello that is broken somewhere is told as far as it could be read; nothing here raises.
"""

from __future__ import annotations

import hashlib

import msgspec

from weir.dissect.cursor import Cursor, Invalid
from weir.dissect.tls_names import is_grease

CLIENT_HELLO, SERVER_HELLO = 1, 2
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3)."""
_SNI, _GROUPS, _FORMATS, _ALPN, _PRE_SHARED_KEY, _VERSIONS = 0, 10, 11, 16, 41, 43
_TICKET = 35


class Hello(msgspec.Struct, kw_only=True):
    """Either hello; lists without GREASE."""

    version: int = 0
    """The field of that name; TLS 1.3 leaves it at 1.2 and tells in `versions`."""
    session: bytes = b""
    retry: bool = False
    ciphers: list[int] = []
    """Offered, or the one that was chosen."""
    extensions: list[int] = []
    groups: list[int] = []
    formats: list[int] = []
    versions: list[int] = []
    """Of the extension supported_versions: offered, or the one that was chosen."""
    alpn: list[str] = []
    """Offered, or the one that was chosen (up to TLS 1.2; later it is encrypted)."""
    sni: str = ""
    ticket: bool = False
    """The client brought a session ticket (up to TLS 1.2)."""
    pre_shared: bool = False
    """Extension pre_shared_key: the client offers to resume, or the server does."""
    broken: str = ""
    """Why it could not be read to its end."""

    @property
    def chosen(self) -> int:
        """The version of a ServerHello."""
        return self.versions[0] if self.versions else self.version


def read_hello(body: bytes, *, client: bool) -> Hello:
    hello = Hello()
    cursor = Cursor(body, closed=True)
    try:
        hello.version = cursor.u16()
        hello.retry = cursor.take(32) == RETRY
        hello.session = cursor.take(cursor.u8())
        if client:
            suites = cursor.sub(cursor.u16())
            hello.ciphers = _numbers(suites)
            cursor.skip(cursor.u8())  # compression methods
        else:
            hello.ciphers = [cursor.u16()]
            cursor.skip(1)
        if cursor.left:
            _read_extensions(hello, cursor.sub(cursor.u16()), client)
    except Invalid as error:
        hello.broken = error.reason
    return hello


def _numbers(cursor: Cursor) -> list[int]:
    found = []
    while cursor.left:
        number = cursor.u16()
        if not is_grease(number):
            found.append(number)
    return found


def _read_extensions(hello: Hello, cursor: Cursor, client: bool) -> None:
    while cursor.left:
        kind = cursor.u16()
        value = cursor.sub(cursor.u16())
        if is_grease(kind):
            continue
        hello.extensions.append(kind)
        if kind == _SNI and client and value.left:
            hello.sni = _server_name(value)
        elif kind == _GROUPS and client:
            hello.groups = _numbers(value.sub(value.u16()))
        elif kind == _FORMATS:
            hello.formats = list(value.take(value.u8()))
        elif kind == _ALPN:
            names = value.sub(value.u16())
            while names.left:
                name = names.take(names.u8())
                # GREASE here is two equal bytes that are no text (RFC 8701 §3.1).
                if len(name) != 2 or not is_grease(int.from_bytes(name)):
                    hello.alpn.append(name.decode("utf-8", "replace"))
        elif kind == _VERSIONS:
            hello.versions = _numbers(value.sub(value.u8())) if client else [value.u16()]
        elif kind == _TICKET:
            hello.ticket = value.left > 0
        elif kind == _PRE_SHARED_KEY:
            hello.pre_shared = True


def _server_name(value: Cursor) -> str:
    """RFC 6066 §3: a list of which only the kind host_name was ever used."""
    names = value.sub(value.u16())
    while names.left:
        kind, name = names.u8(), names.take(names.u16())
        if kind == 0:
            return name.decode("utf-8", "replace")
    return ""


def ja3_client(hello: Hello) -> str:
    """Fingerprint of a client (https://github.com/salesforce/ja3)."""
    return _md5(hello.version, [hello.ciphers, hello.extensions, hello.groups, hello.formats])


def ja3_server(hello: Hello) -> str:
    """Fingerprint of what a server chose."""
    return _md5(hello.version, [hello.ciphers, hello.extensions])


def _md5(version: int, lists: list[list[int]]) -> str:
    text = ",".join([str(version), *("-".join(map(str, numbers)) for numbers in lists)])
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
