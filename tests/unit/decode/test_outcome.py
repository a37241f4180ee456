from __future__ import annotations

import pytest

from weir.decode.flows import Flow, new_flow
from weir.decode.outcome import icmp_error, summary, went_well
from weir.model.flow import ICMP, ICMP6, TCP, UDP
from weir.testing.segments import START, directed


def a_flow(protocol: int = TCP, *, syn: bool = True, answered: bool = True, weird: tuple[str, ...] = ()) -> Flow:
    wire = directed(protocol=protocol)
    flow = new_flow(wire.key(), wire, "node-a/0", "node-a", 0, START)
    flow.syn_at, flow.answered = (START if syn else 0), answered
    flow.weird = list(weird)
    flow.low.packets, flow.low.on_wire = 1, 60
    return flow


@pytest.mark.parametrize(
    ("flow", "how", "said", "well"),
    [
        (a_flow(), "fin", "tcp closed", True),
        (a_flow(), "rst", "tcp reset", False),
        (a_flow(answered=False), "rst", "tcp refused", False),
        (a_flow(answered=False), "idle", "tcp unanswered", False),
        (a_flow(answered=False), "capture_end", "tcp unanswered", None),
        (a_flow(), "idle", "tcp silent", None),
        (a_flow(), "", "tcp open", None),
        (a_flow(syn=False, answered=False), "rst", "tcp reset", False),
        (a_flow(), "evicted", "tcp let go", None),
        (a_flow(UDP), "idle", "udp silent", None),
        (a_flow(UDP, weird=("icmp: port unreachable",)), "idle", "udp port unreachable", False),
        (a_flow(UDP, weird=("icmp: too large to pass",)), "capture_end", "udp open", None),
    ],
)
def test_how_it_went(flow: Flow, how: str, said: str, well: bool | None) -> None:
    assert summary(flow, how) == f"{said}: 1 packet, 60 bytes"
    assert went_well(flow, how) is well


def test_more_packets_than_one() -> None:
    flow = a_flow()
    flow.high.packets = 1
    assert summary(flow, "fin") == "tcp closed: 2 packets, 60 bytes"


@pytest.mark.parametrize(
    ("protocol", "kind", "code", "said"),
    [
        (ICMP, 3, 3, "port unreachable"), (ICMP, 3, 13, "prohibited"), (ICMP, 11, 0, "time to live exceeded"),
        (ICMP, 3, 77, "error 3/77"), (ICMP6, 1, 4, "port unreachable"), (ICMP6, 2, 0, "too large to pass"),
        (ICMP6, 4, 1, "error 4/1"),
    ],
)  # fmt: skip
def test_icmp_errors_in_words(protocol: int, kind: int, code: int, said: str) -> None:
    assert icmp_error(protocol, kind, code) == f"icmp: {said}"
