"""Address and port to endpoint, at a time.

An address changes hands within seconds in a cluster, so each holder is known with since and until, and a question
names the packet's time. An address that cannot be told is unknown, never its previous owner. The most exact record
answers: this port of the address, the address, then networks from the longest prefix on, again with the port first.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable

from weir.model.control import EndpointRecord

MAX_RECORDS = 262_144
"""Records that are kept; of more, those go first that ended first."""
MAX_CACHED = 65_536
_MAPPED = bytes(10) + b"\xff\xff"
"""::ffff:0:0/96, IPv4-mapped addresses (RFC 4291 §2.5.5.2)."""
_FOREVER = 1 << 63
_HOSTS = (32, 1128)
"""Lengths (as in `Directory._holders`) of prefixes that are one address."""

_Place = tuple[bytes, int]
"""Address and port; port 0 for every port."""
_Answer = tuple[int, int, EndpointRecord | None]
"""An answer, and from when until when (exclusive) it holds."""


class Directory:
    """Bounded, and fast for the addresses that are asked again and again."""

    def __init__(self, *, max_records: int = MAX_RECORDS, max_cached: int = MAX_CACHED) -> None:
        self.version = 0
        """Rises with every change that may change an answer."""
        self.refused = 0
        """Records that were not taken: not an address, or one too many of those that are in force."""
        self._max_records = max_records
        self._max_cached = max_cached
        self._records: dict[bytes, tuple[EndpointRecord, int, _Place]] = {}
        self._holders: dict[int, dict[_Place, list[EndpointRecord]]] = {}
        """By length of the prefix in bits (with 1,000 added for IPv6), then by network address and port."""
        self._lengths: list[int] = []
        self._cache: dict[bytes, dict[int, _Answer]] = {}
        """By address, so that what becomes known of one address leaves the answers about all others."""
        self._cached = 0
        """Answers that were put there since it was empty."""
        self._ports: Counter[int] = Counter()
        """Ports that records name."""

    def __len__(self) -> int:
        return len(self._records)

    def put(self, key: bytes, record: EndpointRecord) -> None:
        """Take a record, in place of the one that had this key."""
        known = self._records.get(key)
        if known is not None and known[0] == record:
            return
        place = _place_of(record)
        if place is None:
            self.refused += 1
            self.remove(key)
            return
        self.remove(key)
        if len(self._records) >= self._max_records and not self._make_room():
            self.refused += 1
            return
        length, at = place
        if length not in self._holders:
            self._holders[length] = {}
            self._lengths = sorted(self._holders, reverse=True)
        holders = self._holders[length].setdefault(at, [])
        holders.append(record)
        holders.sort(key=lambda r: r.since_ns, reverse=True)
        self._records[key] = record, length, at
        self._ports[at[1]] += 1
        self._changed(length, at)

    def remove(self, key: bytes) -> None:
        """Forget the record with this key, if there is one."""
        known = self._records.pop(key, None)
        if known is None:
            return
        record, length, at = known
        self._ports[at[1]] -= 1
        if not self._ports[at[1]]:
            del self._ports[at[1]]
        holders = self._holders[length]
        holders[at].remove(record)
        if not holders[at]:
            del holders[at]
        if not holders:
            del self._holders[length]
            self._lengths.remove(length)
        self._changed(length, at)

    def get(self, key: bytes) -> EndpointRecord | None:
        """The record with this key."""
        known = self._records.get(key)
        return known[0] if known is not None else None

    def apply(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """Take what changed in a table; None for what is gone from it."""
        for key, record in changes:
            if record is None:
                self.remove(key)
            else:
                self.put(key, record)

    def follow(self, items: Iterable[tuple[bytes, EndpointRecord]]) -> None:
        """Become what a table holds: put what is new, remove what is gone."""
        gone = set(self._records)
        for key, record in items:
            gone.discard(key)
            self.put(key, record)
        for key in gone:
            self.remove(key)

    def lookup(self, address: bytes | str, port: int, ts_ns: int) -> EndpointRecord | None:
        """Who held `address` (4 or 16 bytes, or text) with `port` at `ts_ns`; None if that is unknown."""
        if isinstance(address, str):
            address = ipaddress.ip_address(address).packed
        address = _plain(address)
        if port not in self._ports:
            port = 0  # clients use every port there is: one answer serves all that no record names
        answers = self._cache.get(address)
        cached = answers.get(port) if answers is not None else None
        if cached is None or not cached[0] <= ts_ns < cached[1]:
            cached = self._answer(address, port, ts_ns)
            if self._cached >= self._max_cached:
                self._cache.clear()
                self._cached = 0
            self._cache.setdefault(address, {})[port] = cached
            self._cached += 1
        return cached[2]

    def known(self, address: bytes, port: int, ts_ns: int) -> bool:
        """Whether somebody is known to hold this very address (with this port or with all) at `ts_ns`; a network
        around it says nothing."""
        address = _plain(address)
        holders = self._holders.get(len(address) * 8 + (1000 if len(address) == 16 else 0))
        if holders is None:
            return False
        return _held(holders.get((address, 0), ()), ts_ns) or _held(holders.get((address, port), ()), ts_ns)

    def _answer(self, address: bytes, port: int, ts_ns: int) -> _Answer:
        begin, end = -_FOREVER, _FOREVER
        family = 1000 if len(address) == 16 else 0
        bits = len(address) * 8
        number = int.from_bytes(address, "big")
        for length in self._lengths:
            if not family <= length <= family + bits:
                continue
            spare = bits - (length - family)
            network = (number >> spare << spare).to_bytes(len(address), "big")
            for ported in (port, 0) if port else (0,):
                for record in self._holders[length].get((network, ported), ()):
                    until = record.until_ns or _FOREVER
                    if record.since_ns <= ts_ns < until:
                        return max(begin, record.since_ns), min(end, until), record
                    # What does not hold now may hold before or later: the answer ends there.
                    if until <= ts_ns:
                        begin = max(begin, until)
                    else:
                        end = min(end, record.since_ns)
        return begin, end, None

    def _changed(self, length: int, at: _Place) -> None:
        self.version += 1
        if length in _HOSTS:
            self._cache.pop(at[0], None)
        else:
            self._cache.clear()
            self._cached = 0

    def _make_room(self) -> bool:
        """Forget a tenth of those that have ended, the first ones first; False if none has."""
        ended = sorted(
            (record.until_ns, key) for key, (record, _, _) in self._records.items() if record.until_ns
        )
        for _, key in ended[: max(len(ended) // 10, 1)]:
            self.remove(key)
        return bool(ended)


def _held(records: Iterable[EndpointRecord], ts_ns: int) -> bool:
    return any(record.since_ns <= ts_ns < (record.until_ns or _FOREVER) for record in records)


def _plain(address: bytes) -> bytes:
    """An IPv4-mapped address is the IPv4 address that it stands for."""
    return address[12:] if len(address) == 16 and address[:12] == _MAPPED else address


def _place_of(record: EndpointRecord) -> tuple[int, _Place] | None:
    if "%" in record.address:
        return None
    try:
        network = ipaddress.ip_network(record.address, strict=False)
    except ValueError:
        return None
    packed, length = network.network_address.packed, network.prefixlen
    if len(packed) == 16 and length >= 96 and packed[:12] == _MAPPED:
        return length - 96, (packed[12:], record.port)
    return length + (1000 if len(packed) == 16 else 0), (packed, record.port)
