from __future__ import annotations

import socket

from weir.capture.bpf.layout import FLOW, Flow, FlowKey, Verdict, flow_key, wide
from weir.capture.bpf.tallies import Tallies, is_told
from weir.model.packets import TALLY, TALLY_LAST

S = 1_000_000_000
EPOCH = 1_700_000_000 * S
FIN, RST, ACK = 1, 4, 16
A, B = wide(socket.inet_aton("10.0.0.1")), wide(socket.inet_aton("10.0.0.2"))


class Table:
    """The kernel's table, as far as `Tallies` sees it."""

    def __init__(self) -> None:
        self.tallies = Tallies()
        self.flows: dict[bytes, Flow] = {}

    def see(
        self, key: bytes, at_s: float, *, flags: int = ACK, verdict: Verdict = Verdict.SHAPE, size: int = 100
    ) -> None:
        at = int(at_s * S)
        old = self.flows.get(key, Flow(0, 0, at, at, 1, 0, 0, verdict))
        self.flows[key] = Flow(
            old.packets + 1, old.bytes + size, old.first, at, 1, 3 << 1 | 1, old.tcp_flags | flags, verdict
        )

    def read(self, at_s: float) -> tuple[list[tuple[int, ...]], list[bytes]]:
        """Tallies with news, as they are published, and the keys of those that are over."""
        keys, values = b"".join(self.flows), b"".join(FLOW.pack(*flow) for flow in self.flows.values())
        self.tallies.begin(int(at_s * S), EPOCH)
        told = [TALLY.unpack(record) for record in self.tallies.read(memoryview(keys), memoryview(values))]
        over = self.tallies.over()
        for key in over:
            self.flows.pop(key, None)
        return told, over


def key(
    src: bytes = A, dst: bytes = B, sport: int = 5000, dport: int = 80, protocol: int = 6, fragment: int = 0
) -> bytes:
    return flow_key(FlowKey(src, dst, sport, dport, protocol, fragment))


BACK = key(B, A, 80, 5000)


def test_a_tally_tells_the_flow_in_times_of_the_wall_clock() -> None:
    table = Table()
    table.see(key(), 10)
    table.see(key(), 11, flags=FIN)
    told, over = table.read(12)
    assert told == [(A, B, 5000, 80, 6, FIN | ACK, 0, 3, EPOCH + 10 * S, EPOCH + 11 * S, 2, 200)]
    assert not over


def test_only_what_changed_is_told_again() -> None:
    table = Table()
    table.see(key(), 10)
    table.see(BACK, 10)
    assert len(table.read(12)[0]) == 2
    assert table.read(14) == ([], [])
    table.see(BACK, 14.5)
    assert [t[0] for t in table.read(16)[0]] == [B]


def test_only_outlines_are_told() -> None:
    table = Table()
    for n, verdict in enumerate(Verdict):
        table.see(key(sport=n + 1), 10, verdict=verdict)
    table.see(key(sport=99, fragment=1), 10)
    assert {t[2] - 1 for t in table.read(11)[0]} == {Verdict.SHED, Verdict.SHAPE, Verdict.BARE}
    assert not is_told(key(fragment=1), Flow(1, 1, 1, 1, 1, 1, 1, Verdict.SHAPE))
    assert table.tallies.count == len(Verdict) + 1


def test_a_connection_is_over_when_both_directions_closed_and_are_quiet() -> None:
    table = Table()
    table.see(key(), 10, flags=FIN)
    table.see(BACK, 10)
    assert table.read(20)[1] == []
    table.see(BACK, 20, flags=FIN)
    assert table.read(21)[1] == []
    assert sorted(table.read(23)[1]) == sorted([key(), BACK])


def test_a_reset_ends_both_directions() -> None:
    table = Table()
    table.see(key(), 10)
    table.see(BACK, 11, flags=RST)
    assert sorted(table.read(14)[1]) == sorted([key(), BACK])


def test_silence_ends_a_flow() -> None:
    table = Table()
    table.see(key(protocol=17), 10)
    table.see(key(), 10)
    table.see(key(sport=1), 10, flags=FIN)
    assert table.read(69)[1] == []
    assert sorted(table.read(71)[1]) == sorted([key(protocol=17), key(sport=1)])
    assert table.read(910)[1] == []
    assert table.read(911)[1] == [key()]


def test_the_last_tally_says_so() -> None:
    record = Tallies().tally(key(), Flow(1, 2, 3, 4, 5, 6, 7, Verdict.BARE), last=True)
    assert TALLY.unpack(record)[6] == TALLY_LAST
