"""Turns the kernel's table of directed flows into tallies: which have news, and which are over. Pure.

Only outlines are told; of conversations that pass whole, the packets tell everything. A flow is over when its
conversation was closed or reset and has been quiet for a moment, or after a long silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from weir.capture.bpf.layout import FLOW, FLOW_KEY_BYTES, Flow, Verdict, flow_key_fields
from weir.model.flow import TCP
from weir.model.packets import TALLY, TALLY_LAST

_S = 1_000_000_000
_CLOSED_NS = 2 * _S
"""How long both directions of a closed conversation are quiet before their totals are final."""
_HALF_NS = 60 * _S
"""Likewise where only one direction closed."""
_TCP_NS = 900 * _S
_OTHER_NS = 60 * _S
_FIN, _RST = 1, 4
_WORDS = FLOW.size // 8
_LAST, _BITS = 3, 5
"""Words of a flow: when it was last seen, and interface, TCP flags and verdict."""
_PROTOCOL_AT, _FRAGMENT_AT = 36, 37
_TOLD = frozenset((Verdict.SHED, Verdict.SHAPE, Verdict.BARE))


class Tallies:
    """Follows the table from one reading to the next: `begin`, `read` for each part of it, then `over`."""

    def __init__(self) -> None:
        self.count = 0
        """Flows in the table at the last reading."""
        self._told_ns = -1
        """Flows that were seen since then have news."""
        self._now_ns = 0
        self._epoch_ns = 0
        self._closing: dict[bytes, tuple[int, int]] = {}
        """Flows with FIN or RST that have been quiet: their flags, and when they were last seen."""
        self._silent: list[bytes] = []

    def begin(self, now_ns: int, epoch_ns: int) -> None:
        """A reading begins at `now_ns` of the monotonic clock, whose 0 is `epoch_ns` after the epoch."""
        self._now_ns, self._epoch_ns = now_ns, epoch_ns
        self.count = 0
        self._closing.clear()
        self._silent.clear()

    def read(self, keys: memoryview, values: memoryview) -> Iterator[bytes]:
        """One part of the table; answers with the tallies of flows that have news."""
        words = values.cast("Q")
        lasts, bits = words[_LAST::_WORDS].tolist(), words[_BITS::_WORDS].tolist()
        self.count += len(lasts)
        quiet_ns = self._now_ns - _CLOSED_NS
        for n, last in enumerate(lasts):
            if last < quiet_ns:
                self._quiet(keys, n, last, bits[n] >> 32 & 0xFF)
            if last >= self._told_ns and bits[n] >> 40 & 0xFF in _TOLD and not keys[n * FLOW_KEY_BYTES + _FRAGMENT_AT]:
                key = bytes(keys[n * FLOW_KEY_BYTES : (n + 1) * FLOW_KEY_BYTES])
                yield self.tally(key, Flow(*FLOW.unpack_from(values, n * FLOW.size)))

    def over(self) -> list[bytes]:
        """All parts were read: the keys of flows that are over, to be taken out of the table."""
        self._told_ns = self._now_ns
        ended = [key for key, (flags, last) in self._closing.items() if self._closed(key, flags, last)]
        # The other direction of a reset is over with it.
        reset = (_reversed(key) for key in ended if self._closing[key][0] & _RST)
        return list(dict.fromkeys([*ended, *self._silent, *reset]))

    def tally(self, key: bytes, flow: Flow, *, last: bool = False) -> bytes:
        """One record of a `tallies` block."""
        src, dst, sport, dport, protocol, _ = flow_key_fields(key)
        return TALLY.pack(
            src, dst, sport, dport, protocol, flow.tcp_flags, TALLY_LAST if last else 0, flow.owner >> 1,
            flow.first + self._epoch_ns, flow.last + self._epoch_ns, flow.packets, flow.bytes,
        )

    def _quiet(self, keys: memoryview, n: int, last: int, flags: int) -> None:
        protocol = keys[n * FLOW_KEY_BYTES + _PROTOCOL_AT]
        if self._now_ns - last > (_TCP_NS if protocol == TCP else _OTHER_NS):
            self._silent.append(bytes(keys[n * FLOW_KEY_BYTES : (n + 1) * FLOW_KEY_BYTES]))
        elif flags & (_FIN | _RST):
            self._closing[bytes(keys[n * FLOW_KEY_BYTES : (n + 1) * FLOW_KEY_BYTES])] = flags, last

    def _closed(self, key: bytes, flags: int, last: int) -> bool:
        other = self._closing.get(_reversed(key))
        return bool(flags & _RST) or other is not None or self._now_ns - last > _HALF_NS


def is_told(key: bytes, flow: Flow) -> bool:
    """Whether this flow is one that tallies tell of."""
    return flow.verdict in _TOLD and not key[_FRAGMENT_AT]


def _reversed(key: bytes) -> bytes:
    return key[16:32] + key[:16] + key[34:36] + key[32:34] + key[36:]
