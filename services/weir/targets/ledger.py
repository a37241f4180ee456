"""Pure: what stands on `weir.endpoints`, and which records have to be published so that it becomes what is wanted.

Whoever owns records (a pod, a service, a node) says what it wants; only differences are answered, endings before
beginnings. A record that is no longer wanted gets its end and stays until `expire` forgets it. Two records of one
address and port never hold at the same time: a new one begins when the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from weir.model.control import EndpointRecord

Place = tuple[str, int]
"""Address and port; port 0 for every port."""

MAX_ENDED = 131_072
"""Records that are kept after their end; half of what a `Directory` holds."""

_replace = msgspec.structs.replace
_FOREVER = 1 << 63


def endpoint_key(record: EndpointRecord) -> bytes:
    """Key on `weir.endpoints`."""
    return f"{record.address}:{record.port}/{record.uid}".encode()


class Ledger:
    def __init__(self) -> None:
        self.records: dict[bytes, EndpointRecord] = {}
        self.revision = 0
        """Of the newest record."""
        self._owners: dict[str, dict[Place, bytes]] = {}
        self._addresses: dict[str, set[bytes]] = {}
        self._ended: set[bytes] = set()

    def adopt(self, records: Mapping[bytes, EndpointRecord]) -> None:
        """Take what stands on the topic, in place of all that was known."""
        self.records, self._owners, self._addresses, self._ended = {}, {}, {}, set()
        for key, record in records.items():
            self._keep(key, record)
            self.revision = max(self.revision, record.revision)

    def owners(self) -> list[str]:
        """Uids of which some record is open."""
        return list(self._owners)

    def open_of(self, owner: str) -> list[EndpointRecord]:
        return [self.records[key] for key in self._owners.get(owner, {}).values()]

    def last_pod(self, address: str, but: str) -> EndpointRecord | None:
        """The record of a pod other than `but` that held the address last, or holds it."""
        found = [self.records[key] for key in self._addresses.get(address, ())]
        pods = [record for record in found if record.role == "pod" and not record.port and record.uid != but]
        return max(pods, key=lambda record: record.until_ns or _FOREVER, default=None)

    def close(
        self, owner: str, wanted: Iterable[EndpointRecord], until_ns: int, untils: Mapping[str, int] | None = None
    ) -> list[EndpointRecord]:
        """End the records of the owner that are not wanted: at `untils[address]`, else at `until_ns`."""
        places = {(record.address, record.port) for record in wanted}
        closed = []
        for place, key in list(self._owners.get(owner, {}).items()):
            if place in places:
                continue
            record = self.records[key]
            until = (untils or {}).get(record.address, until_ns)
            closed.append(self._publish(key, _replace(record, until_ns=max(until, record.since_ns + 1))))
        return closed

    def open(self, wanted: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        """Begin what is wanted and is not there, and tell what differs. `since_ns` is the earliest possible time of a
        beginning; what has begun keeps its own."""
        told = []
        for record in wanted:
            key = endpoint_key(record)
            known = self.records.get(key)
            if known is not None and not known.until_ns:
                fresh = _replace(record, since_ns=known.since_ns, until_ns=0, revision=known.revision)
                if fresh != known:
                    told.append(self._publish(key, fresh))
            else:
                told.append(self._publish(key, _replace(record, since_ns=self._begin(record), until_ns=0)))
        return told

    def amend(self, owner: str, address: str, until_ns: int) -> list[EndpointRecord]:
        """The owner lost the address earlier than was told."""
        told = []
        for key in self._addresses.get(address, set()) & self._ended:
            record = self.records[key]
            if record.uid == owner and record.until_ns > max(until_ns, record.since_ns + 1):
                told.append(self._publish(key, _replace(record, until_ns=max(until_ns, record.since_ns + 1))))
        return told

    def expire(self, before_ns: int) -> list[bytes]:
        """Forget what ended before this, and of more than `MAX_ENDED` what ended first; the keys are to be
        tombstones."""
        old = [key for key in self._ended if self.records[key].until_ns < before_ns]
        if len(self._ended) - len(old) > MAX_ENDED:
            old = sorted(self._ended, key=lambda key: self.records[key].until_ns)[:-MAX_ENDED]
        for key in old:
            self.forget(key)
        return old

    def forget(self, key: bytes) -> None:
        record = self.records.pop(key, None)
        if record is None:
            return
        self._ended.discard(key)
        self._addresses[record.address].discard(key)
        if not self._addresses[record.address]:
            del self._addresses[record.address]
        self._disown(record)

    def _begin(self, record: EndpointRecord) -> int:
        """Not before the end of whoever had the place."""
        others = [self.records[key] for key in self._addresses.get(record.address, ())]
        return max([record.since_ns, *(other.until_ns for other in others if other.port == record.port)])

    def _publish(self, key: bytes, record: EndpointRecord) -> EndpointRecord:
        self.revision += 1
        record = _replace(record, revision=self.revision)
        self._keep(key, record)
        return record

    def _keep(self, key: bytes, record: EndpointRecord) -> None:
        self.records[key] = record
        self._addresses.setdefault(record.address, set()).add(key)
        if record.until_ns:
            self._ended.add(key)
            self._disown(record)
        else:
            self._ended.discard(key)
            self._owners.setdefault(record.uid, {})[record.address, record.port] = key

    def _disown(self, record: EndpointRecord) -> None:
        held = self._owners.get(record.uid)
        if held is not None:
            held.pop((record.address, record.port), None)
            if not held:
                del self._owners[record.uid]
