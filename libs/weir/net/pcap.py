"""The classic capture file format: a file header of 24 bytes, then records.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-06.html
"""

from __future__ import annotations

import struct

from weir.net.records import MAX_CAPLEN, MAX_SECONDS, NANO, RECORD, Damage, Records, Walked, canonical_linktype, lie

MAGICS = {
    bytes.fromhex("d4c3b2a1"): ("<", 1_000_000),
    bytes.fromhex("a1b2c3d4"): (">", 1_000_000),
    bytes.fromhex("4d3cb2a1"): ("<", NANO),
    bytes.fromhex("a1b23c4d"): (">", NANO),
}
"""The first four bytes: byte order, and units of the stamps in a second."""

HEADER = 24


class Pcap:
    """One classic file."""

    lost = 0
    """The format has no place where a recorder could tell what it lost."""

    def __init__(self, header: bytes) -> None:
        order, self._units = MAGICS[header[:4]]
        self._native = order == "<" and self._units == NANO
        self._unpack = struct.Struct(order + "IIII").unpack_from
        self._linktype = canonical_linktype(struct.unpack_from(order + "I", header, 20)[0])
        self.title = f"pcap, {'little' if order == '<' else 'big'}-endian, {'ns' if self._units == NANO else 'µs'}"

    def walk(self, buffer: bytearray, end: int, at: int) -> Walked:
        """See `weir.net.pcapfile.Format`."""
        if end < 16:
            return Walked([], 0)
        count, used, low, high, damage = self._rewrite(buffer, end, at)
        if not count:
            return Walked([], used, damage)
        scale = NANO // self._units
        return Walked([Records(
            linktype=self._linktype, data=bytes(memoryview(buffer)[:used]), count=count,
            low_ns=low * scale, high_ns=high * scale,
        )], used, damage)

    def _rewrite(self, buffer: bytearray, end: int, at: int) -> tuple[int, int, int, int, Damage | None]:
        """Find the records, and rewrite their headers in place where that is not what the file has already.

        Answers count, bytes used, earliest and latest stamp in the file's units, damage. This is the one loop over
        every packet of a file, so it does all that needs one.
        """
        unpack, pack, units, rewrite = self._unpack, RECORD.pack_into, self._units, not self._native
        scale = NANO // units
        seconds, fraction, _, _ = unpack(buffer, 0)
        low = high = seconds * units + fraction
        position = count = 0
        last = end - 16
        while position <= last:
            seconds, fraction, caplen, wirelen = unpack(buffer, position)
            following = position + 16 + caplen
            if following > end or caplen > MAX_CAPLEN:
                if caplen > MAX_CAPLEN:
                    return count, position, low, high, lie(at + position, caplen)
                break
            if rewrite:
                if fraction >= units:  # some recorders let the fraction run over
                    seconds, fraction = min(seconds + fraction // units, MAX_SECONDS), fraction % units
                pack(buffer, position, seconds, fraction * scale, caplen, wirelen)
            stamp = seconds * units + fraction
            if stamp >= high:
                high = stamp
            elif stamp < low:
                low = stamp
            count += 1
            position = following
        return count, position, low, high, None
