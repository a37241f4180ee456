"""Names of DNS: domain names in messages, and the registries of types, classes, codes (IANA "DNS Parameters")."""

from __future__ import annotations

from weir.dissect.cursor import Cursor, Invalid

MAX_NAME = 255
"""Bytes of a name on the wire (RFC 1035 §2.3.4)."""
MAX_JUMPS = 128
"""Pointers followed for one name: no name has more labels. Each must also point backwards, so a loop is none."""

TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR", 13: "HINFO",
    15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 21: "RT", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV",
    35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY",
    46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA",
    55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
    99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI",
    257: "CAA", 32768: "TA", 32769: "DLV",
}  # fmt: skip
CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
    8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME",
    19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}  # fmt: skip

_SPECIAL = frozenset(b'"().;\\@$')


def type_name(number: int) -> str:
    return TYPES.get(number) or f"TYPE{number}"


def class_name(number: int) -> str:
    """The top bit says something else in mDNS (RFC 6762 §5.4, §10.2)."""
    return CLASSES.get(number) or CLASSES.get(number & 0x7FFF) or f"CLASS{number}"


class Names:
    """Reads the names of one message, whose first byte is the first of the cursor's data: pointers count from it."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[int, tuple[str, int, int]] = {}
        """What pointers led to, by place: text, size, pointers in it. Without it 500 records that point to one long
        name by way of each other cost 60 ms."""

    def read(self, cursor: Cursor) -> str:
        """The name at the cursor, which moves behind it, as text without the final dot (`.` for the root; RFC 1035
        §4.1.4). Raises `Invalid`."""
        data, at, end = cursor.data, cursor.pos, cursor.end
        labels: list[str] = []
        size = 1
        while True:
            if at >= end:
                raise Invalid("name ends early")
            length = data[at]
            at += 1
            if not length:
                break
            if length >= 0xC0:
                if at >= end:
                    raise Invalid("name ends early")
                suffix, more, _ = self._follow(data, (length & 0x3F) << 8 | data[at], cursor.pos, 1)
                at += 1
                size += more
                if suffix:
                    labels.append(suffix)
                break
            if length >= 0x40:
                raise Invalid("unknown kind of label")
            if at + length > end:
                raise Invalid("name ends early")
            size += length + 1
            labels.append(_label(data[at : at + length]))
            at += length
        if size > MAX_NAME:
            raise Invalid(f"name above {MAX_NAME} bytes")
        cursor.pos = at
        return ".".join(labels) or "."

    def _follow(self, data: bytes | bytearray, target: int, limit: int, jumps: int) -> tuple[str, int, int]:
        """What stands at `target`, which must lie before `limit`: text, bytes without the final one, pointers."""
        if target >= limit or jumps > MAX_JUMPS:
            raise Invalid("compression pointer that does not point back")
        found = self.known.get(target)
        if found is not None:
            return found
        at, last = target, len(data) - 1
        labels: list[str] = []
        size = used = 0
        while length := data[at]:
            if length >= 0xC0:
                if at == last:
                    raise Invalid("name ends early")
                place = (length & 0x3F) << 8 | data[at + 1]
                suffix, more, further = self._follow(data, place, target, jumps + 1)
                size += more
                used = further + 1
                if suffix:
                    labels.append(suffix)
                break
            if length >= 0x40:
                raise Invalid("unknown kind of label")
            size += length + 1
            if at + length >= last or size > MAX_NAME:
                raise Invalid("name ends early")
            labels.append(_label(data[at + 1 : at + 1 + length]))
            at += length + 1
        found = self.known[target] = (".".join(labels), size, used)
        return found


def _label(raw: bytes | bytearray) -> str:
    """A label as text: escaped where it would be read as something else (RFC 1035 §5.1); UTF-8 stays (RFC 6762 §16)."""
    text = raw.decode("latin-1")
    if text.isalnum() and text.isascii():
        return text
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "".join(_escape(byte) for byte in raw)
    return "".join(
        char if ord(char) > 127 and char.isprintable() else "".join(_escape(byte) for byte in char.encode())
        for char in text
    )


def _escape(byte: int) -> str:
    if byte in _SPECIAL:
        return "\\" + chr(byte)
    return chr(byte) if 0x20 < byte < 0x7F else f"\\{byte:03d}"
