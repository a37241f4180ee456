"""A header engine, a policy made by hand, and the packets of one conversation, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weir.engine.api import Decision, Drop
from weir.engine.pure import PureHeaderEngine
from weir.model.flow import DirectedFlow
from weir.model.packets import Promise
from weir.model.segments import ACK, PSH
from weir.testing.packets import Seen, Segment, block, ethernet, ipv4, rows, tcp

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"


class Want:
    """A policy made by hand."""

    def __init__(
        self, *, outline: bool = False, bare: bool = False, refused: Drop | None = None, elsewhere: bool = False
    ) -> None:
        self.generation = 4
        self.revision = 0
        self.version = 0
        self.waiting = False
        """No answer is settled."""
        self.excuses = False
        self.outline = outline or bare
        self.bare = bare
        self.refused = refused
        self.elsewhere = elsewhere
        self.asked: list[tuple[DirectedFlow, str, int]] = []

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        self.asked.append((flow, node, ts_ns))
        decided = DirectedFlow(
            scope=flow.scope, protocol=flow.protocol, src=flow.src, sport=flow.sport, dst=flow.dst, dport=flow.dport,
            sample_rate=0.5, outline=self.outline, bare=self.bare,
        )
        return Decision(decided, self.refused, self.elsewhere)

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        return self.waiting

    def excused(self, flow: DirectedFlow, promise: Promise, ts_ns: int) -> bool:
        return self.excuses


def request(payload: bytes = b"GET /", *, sport: int = 40000, seq: int = 5, flags: int = PSH | ACK) -> bytes:
    return ethernet(ipv4(A4, B4, 6, tcp(sport, 80, payload, flags=flags, seq=seq, ack=9)))


def response(payload: bytes = b"200", *, sport: int = 40000) -> bytes:
    return ethernet(ipv4(B4, A4, 6, tcp(80, sport, payload, flags=ACK, seq=9, ack=6)))


def engine(policy: Want | None = None, shards: int = 1, **options: Any) -> PureHeaderEngine:
    return PureHeaderEngine(policy or Want(), shards=shards, **options)


def run(
    frames: Iterable[Seen | bytes], policy: Want | None = None, **fields: Any
) -> tuple[list[Segment], dict[str, int]]:
    """The rows of one block with one shard, and what was dropped, by reason."""
    it = engine(policy)
    made = it.segments(block(frames, **fields), 0, 0)
    return [row for m in made for row in rows(m)], dropped(it)


def dropped(it: PureHeaderEngine) -> dict[str, int]:
    reasons = {name[15:-1]: n for name, n in it.counts.items() if name.startswith("filter.dropped{")}
    assert it.counts["filter.packets"] == it.counts["filter.segments"] + sum(reasons.values())
    assert set(reasons) <= set(Drop)
    return reasons


def fragments_of(protocol: int, payload: bytes, size: int, *, ident: int = 1) -> list[bytes]:
    return [
        ethernet(
            ipv4(
                A4, B4, protocol, payload[at : at + size], ident=ident,
                fragment=at // 8 | (0x2000 if at + size < len(payload) else 0),
            )
        )
        for at in range(0, len(payload), size)
    ]
