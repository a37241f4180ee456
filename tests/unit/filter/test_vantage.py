from __future__ import annotations

from weir.directory import Directory
from weir.filter.vantage import vantage
from weir.model.control import EndpointRecord
from weir.model.flow import DirectedFlow
from weir.testing.packets import address


def directory(**nodes: str) -> Directory:
    made = Directory()
    for n, (pod, node) in enumerate(nodes.items()):
        made.put(pod.encode(), EndpointRecord(address=f"10.0.0.{n + 1}", uid=pod, node=node))
    return made


def flow(here: int = 1, there: int = 2) -> DirectedFlow:
    return DirectedFlow(
        protocol=6, src=address(f"10.0.0.{here}"), sport=40000, dst=address(f"10.0.0.{there}"), dport=80
    )


def test_one_of_two_nodes_keeps_payload_in_both_directions() -> None:
    d = directory(a="east", b="west")
    views = {node: vantage(flow(), d, node, 5) for node in ("east", "west")}
    assert sorted(views.values()) == ["outline", "payload"]
    assert {node: vantage(flow().reversed(), d, node, 5) for node in views} == views


def test_pairs_are_shared_out() -> None:
    d = directory(**{f"pod{n}": "east" if n % 2 else "west" for n in range(40)})
    views = [vantage(flow(n, n + 1), d, "east", 5) for n in range(1, 40)]
    assert 10 < views.count("payload") < 30


def test_without_two_known_nodes_payload_is_kept() -> None:
    assert vantage(flow(), Directory(), "east", 5) == "payload"
    assert vantage(flow(), directory(a="east"), "east", 5) == "payload"
    assert vantage(flow(), directory(a="east"), "west", 5) == "payload"
    assert vantage(flow(), directory(a="east", b="east"), "east", 5) == "payload"
    assert vantage(flow(), directory(a="east", b="west"), "capture.pcap", 5) == "payload"
