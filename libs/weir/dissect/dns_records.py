"""DNS record data as text, in the presentation form of each type's RFC; names stand without the final dot.

A type that is not known here, or data that does not fit its type, is shown as RFC 3597 §5 says: `\\# length hex`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address

from weir.dissect.cursor import Cursor, Invalid
from weir.dissect.dns_names import Names, type_name

Render = Callable[[Cursor, Names], str]
"""Takes a closed cursor over the record's data, and what reads names."""

_NO_NAMES = Names()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BASE32HEX = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
SVC_KEYS = {
    0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech", 6: "ipv6hint", 7: "dohpath",
    8: "ohttp",
}  # fmt: skip


def render(kind: int, cursor: Cursor, names: Names) -> tuple[str, bool]:
    """The data that `cursor` spans as text, and whether it fits its type."""
    begin = cursor.pos
    show = _RENDER.get(kind)
    if show is not None:
        try:
            text = show(cursor, names)
            if not cursor.left:
                return text, True
        except Invalid:
            pass
    cursor.pos = begin
    return unknown(cursor.rest()), show is None


def unknown(data: bytes) -> str:
    return f"\\# {len(data)} {data.hex()}".rstrip()


def _a(cursor: Cursor, names: Names) -> str:
    a, b, c, d = cursor.take(4)
    return f"{a}.{b}.{c}.{d}"


def _aaaa(cursor: Cursor, names: Names) -> str:
    return str(IPv6Address(cursor.take(16)))


def _name(cursor: Cursor, names: Names) -> str:
    return names.read(cursor)


def _two_names(cursor: Cursor, names: Names) -> str:
    return f"{names.read(cursor)} {names.read(cursor)}"


def _preference(cursor: Cursor, names: Names) -> str:
    return f"{cursor.u16()} {names.read(cursor)}"


def _soa(cursor: Cursor, names: Names) -> str:
    both = _two_names(cursor, names)
    return " ".join([both, *(str(cursor.u32()) for _ in range(5))])


def _strings(cursor: Cursor, names: Names) -> str:
    found = [_string(cursor)]
    while cursor.left:
        found.append(_string(cursor))
    return " ".join(found)


def _string(cursor: Cursor) -> str:
    return quote(cursor.take(cursor.u8()))


def quote(raw: bytes) -> str:
    """A character string as in master files (RFC 1035 §5.1)."""
    return '"' + "".join(
        "\\" + chr(b) if b in b'"\\' else chr(b) if 0x20 <= b < 0x7F else f"\\{b:03d}" for b in raw
    ) + '"'


def _srv(cursor: Cursor, names: Names) -> str:
    return f"{cursor.u16()} {cursor.u16()} {cursor.u16()} {names.read(cursor)}"


def _naptr(cursor: Cursor, names: Names) -> str:
    """RFC 3403 §4."""
    numbers = f"{cursor.u16()} {cursor.u16()}"
    return f"{numbers} {_string(cursor)} {_string(cursor)} {_string(cursor)} {names.read(cursor)}"


def _caa(cursor: Cursor, names: Names) -> str:
    """RFC 8659 §4."""
    flags = cursor.u8()
    tag = cursor.take(cursor.u8())
    if not tag.isalnum():
        raise Invalid("tag")
    return f"{flags} {tag.decode()} {quote(cursor.rest())}"


def _uri(cursor: Cursor, names: Names) -> str:
    """RFC 7553 §4.5."""
    return f"{cursor.u16()} {cursor.u16()} {quote(cursor.rest())}"


def _ds(cursor: Cursor, names: Names) -> str:
    """RFC 4034 §5."""
    return f"{cursor.u16()} {cursor.u8()} {cursor.u8()} {cursor.rest().hex()}"


def _dnskey(cursor: Cursor, names: Names) -> str:
    """RFC 4034 §2."""
    return f"{cursor.u16()} {cursor.u8()} {cursor.u8()} {_base64(cursor.rest())}"


def _rrsig(cursor: Cursor, names: Names) -> str:
    """RFC 4034 §3."""
    head = f"{type_name(cursor.u16())} {cursor.u8()} {cursor.u8()} {cursor.u32()}"
    times = f"{_time(cursor.u32())} {_time(cursor.u32())}"
    return f"{head} {times} {cursor.u16()} {names.read(cursor)} {_base64(cursor.rest())}"


def _nsec(cursor: Cursor, names: Names) -> str:
    """RFC 4034 §4."""
    return f"{names.read(cursor)}{_bitmap(cursor)}"


def _nsec3(cursor: Cursor, names: Names) -> str:
    """RFC 5155 §3."""
    head = _nsec3param(cursor, names)
    owner = base64.b32encode(cursor.take(cursor.u8())).decode().rstrip("=").translate(_BASE32HEX).lower()
    return f"{head} {owner}{_bitmap(cursor)}"


def _nsec3param(cursor: Cursor, names: Names) -> str:
    """RFC 5155 §4."""
    numbers = f"{cursor.u8()} {cursor.u8()} {cursor.u16()}"
    return f"{numbers} {cursor.take(cursor.u8()).hex() or '-'}"


def _bitmap(cursor: Cursor) -> str:
    """Types of a bit map (RFC 4034 §4.1.2), each with a space before it."""
    types = []
    window = -1
    while cursor.left:
        number, size = cursor.u8(), cursor.u8()
        if number <= window or not 1 <= size <= 32:
            raise Invalid("bit map")
        window = number
        for at, byte in enumerate(cursor.take(size)):
            types += [window << 8 | at << 3 | bit for bit in range(8) if byte & 0x80 >> bit]
    return "".join(f" {type_name(number)}" for number in types)


def _tlsa(cursor: Cursor, names: Names) -> str:
    """RFC 6698 §2."""
    return f"{cursor.u8()} {cursor.u8()} {cursor.u8()} {cursor.rest().hex()}"


def _sshfp(cursor: Cursor, names: Names) -> str:
    """RFC 4255 §3."""
    return f"{cursor.u8()} {cursor.u8()} {cursor.rest().hex()}"


def _cert(cursor: Cursor, names: Names) -> str:
    """RFC 4398 §2."""
    return f"{cursor.u16()} {cursor.u16()} {cursor.u8()} {_base64(cursor.rest())}"


def _svcb(cursor: Cursor, names: Names) -> str:
    """RFC 9460 §2."""
    parts = [str(cursor.u16()), names.read(cursor)]
    last = -1
    while cursor.left:
        key = cursor.u16()
        if key <= last:
            raise Invalid("keys out of order")
        last = key
        value = _svc_value(key, cursor.sub(cursor.u16()))
        name = SVC_KEYS.get(key) or f"key{key}"
        parts.append(f'{name}="{value}"' if value else name)
    return " ".join(parts)


def _svc_value(key: int, value: Cursor) -> str:
    found: list[str] = []
    if key == 0:
        while value.left:
            number = value.u16()
            found.append(SVC_KEYS.get(number) or f"key{number}")
    elif key == 1:
        while value.left:
            found.append(quote(value.take(value.u8()))[1:-1])
    elif key == 3:
        found.append(str(value.u16()))
    elif key == 4:
        while value.left:
            found.append(_a(value, _NO_NAMES))
    elif key == 5:
        found.append(_base64(value.rest()))
    elif key == 6:
        while value.left:
            found.append(_aaaa(value, _NO_NAMES))
    else:
        found.append(quote(value.rest())[1:-1])
    if value.left:
        raise Invalid("value")
    return ",".join(found)


def _time(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _base64_alone(cursor: Cursor, names: Names) -> str:
    return _base64(cursor.rest())


def _eui(cursor: Cursor, names: Names) -> str:
    return cursor.rest().hex("-")


_RENDER: dict[int, Render] = {
    1: _a, 2: _name, 5: _name, 6: _soa, 7: _name, 8: _name, 9: _name, 12: _name, 13: _strings, 15: _preference,
    16: _strings, 17: _two_names, 18: _preference, 21: _preference, 24: _rrsig, 25: _dnskey, 28: _aaaa, 33: _srv,
    35: _naptr, 36: _preference, 37: _cert, 39: _name, 43: _ds, 44: _sshfp, 46: _rrsig, 47: _nsec, 48: _dnskey,
    50: _nsec3, 51: _nsec3param, 52: _tlsa, 53: _tlsa, 59: _ds, 60: _dnskey, 61: _base64_alone, 64: _svcb, 65: _svcb,
    99: _strings, 108: _eui, 109: _eui, 256: _uri, 257: _caa, 32769: _ds,
}  # fmt: skip
