"""Who the ends of a conversation are in entries: names of the packet's time, roles, labels, tags."""

from __future__ import annotations

from typing import Any

import pytest

from weir.decode.core import Decoder
from weir.decode.naming import Naming
from weir.decode.settings import DecodeSettings
from weir.directory import Directory
from weir.dissect.registry import Registry
from weir.model.control import EndpointRecord, Redaction
from weir.model.entry import EntryMap, Named
from weir.model.flow import UDP, Side, address_text
from weir.testing.segments import NS, START, Connection, Segment, block, datagram, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"
NODE, POD, CLIENT = "10.0.0.9", "10.0.0.2", "10.0.0.1"


def record(name: str, address: str = POD, **fields: Any) -> tuple[bytes, EndpointRecord]:
    made = EndpointRecord(**{"address": address, "uid": name, "name": name, "role": "pod", **fields})
    return f"{address}/{name}".encode(), made


POD_RECORD = record("web-1", namespace="shop", pod=Named("web-1", "shop"), node="node-a")
KUBELET = record("node-a", NODE, role="host", node="node-a")


class Run:
    def __init__(self, *records: tuple[bytes, EndpointRecord], dissectors: Any = None) -> None:
        self.names = Directory()
        self.names.follow(records)
        self.decoder = Decoder(DecodeSettings(), dissectors or [Toy()], names=self.names)
        self.entries: list[EntryMap] = []
        self.offset = 0

    def configure(self, **options: Any) -> None:
        self.decoder.configure([Toy()], Redaction(), bodies=True, **options)

    def feed(self, *segments: Segment, **options: Any) -> None:
        self.offset += 1
        self.entries += self.decoder.feed(block(segments, offset=self.offset, **options))

    def names_of(self, end: str = "dst", kind: str = "exchange") -> list[str]:
        return [entry[end].get("name", "") for entry in self.entries if entry["kind"] == kind]


def talk(at: int, sport: int = 40000, src: str = CLIENT, dst: str = POD, **options: Any) -> list[Segment]:
    c = Connection(directed(src, sport, dst, **options), ts_ns=at)
    return [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close()]


HANDED_OVER = (
    record("old", until_ns=START + NS), record("new", since_ns=START + NS + NS // 2),
)


def test_an_address_that_goes_to_another_pod_within_a_second_is_named_by_the_packets_time() -> None:
    run = Run(*HANDED_OVER)
    for n, at in enumerate((START + NS - 100_000_000, START + NS + NS // 4, START + 2 * NS)):
        run.feed(*talk(at, 40000 + n))
    assert run.names_of() == ["old", "", "new"]
    assert [sorted(entry["dst"]) for entry in run.entries if entry["kind"] == "exchange"][1] == ["ip", "port"]


def test_a_replay_still_names_who_it_was() -> None:
    run = Run(record("old", until_ns=START + NS), record("new", since_ns=START + 2 * NS))
    run.feed(*talk(START + 3600 * NS))
    run.feed(*talk(START, 40001), node="node-b")
    assert run.names_of() == ["new", "old"]


def test_a_connection_keeps_its_ends_when_the_pod_is_gone_before_it() -> None:
    run = Run(record("old", until_ns=START + NS), record("new", since_ns=START + 2 * NS))
    c = Connection(directed())
    run.feed(*c.open(), *c.send(C, ASK))
    c.ts_ns = START + 5 * NS
    run.feed(*c.send(S, ANSWER), *c.close(), end=True)
    assert {entry["dst"]["name"] for entry in run.entries} == {"old"}


def test_a_pod_whose_record_begins_after_its_first_packet_is_named() -> None:
    run = Run(record("new", since_ns=START + 10_000_000))
    c = Connection(directed())
    run.feed(*c.open())
    c.ts_ns = START + NS
    run.feed(*c.send(C, ASK), *c.send(S, ANSWER))
    assert run.names_of() == ["new"]


def test_datagrams_between_the_same_ports_are_named_each_by_its_time() -> None:
    run = Run(*HANDED_OVER)
    forth = directed(sport=5000, protocol=UDP)
    for n, at in enumerate((START, START + 2 * NS)):
        run.feed(datagram(forth, b"TOY %d ask\n" % n, at), datagram(forth.reversed(), b"TOY %d got\n" % n, at + 1))
    assert run.names_of() == ["old", "new"]


def test_labels_are_those_that_were_chosen() -> None:
    run = Run(record("web-1", labels={"app": "web", "tier": "x"}))
    found = []
    for n, labels in enumerate(([], ["app", "none"], ["*"])):
        run.configure(labels=labels)
        run.feed(*talk(START, 40000 + n))
        found.append(run.entries[-1]["dst"].get("labels"))
    assert found == [None, {"app": "web"}, {"app": "web", "tier": "x"}]


@pytest.mark.parametrize(
    ("address", "role"),
    [("8.8.8.8", "outside"), ("2a00:1450:4001::1", "outside"), ("10.9.9.9", None), ("192.168.1.1", None),
     ("169.254.169.254", None), ("100.64.0.1", None), ("127.0.0.1", None), ("224.0.0.251", None), ("fe80::1", None),
     ("fd00::1", None), ("ff02::fb", None)],
)
def test_only_what_is_routed_on_the_internet_is_called_outside(address: str, role: str | None) -> None:
    packed = directed(address, dst="2001:db8::1" if ":" in address else "10.0.0.1").src
    naming = Naming(Directory())
    assert "role" not in naming.peer(packed, 1, None)
    naming.configure([], cluster=True)
    assert naming.peer(packed, 1, None).get("role") == role
    assert address_text(packed) == address


def test_every_role_is_told() -> None:
    run = Run(
        record("node-a", NODE, role="host"),
        record("shop", NODE, port=30080, role="service", service=Named("shop", "prod"), namespace="prod"),
        record("db", "10.0.0.3", role="outside"),
    )
    run.feed(*talk(START, src=CLIENT, dst=NODE, dport=30080), *talk(START, src=NODE, dst="10.0.0.3", dport=8080))
    first, second = (entry for entry in run.entries if entry["kind"] == "exchange")
    assert "role" not in first["src"]
    assert (first["dst"]["role"], first["dst"]["name"], first["dst"]["service"]["name"]) == ("service", "shop", "shop")
    assert (second["src"]["role"], second["src"]["name"], second["dst"]["role"]) == ("host", "node-a", "outside")


def http(agent: bytes, src: str = NODE, node: str = "node-a", at: int = START) -> list[Segment]:
    c = Connection(directed(src, 41000, POD), ts_ns=at)
    request = b"GET /healthz HTTP/1.1\r\nhost: a\r\nuser-agent: " + agent + b"\r\n\r\n"
    return [*c.open(), *c.send(C, request), *c.send(S, b"HTTP/1.1 204 No\r\n\r\n"), *c.close()]


def tags(run: Run) -> dict[str, Any]:
    return {entry["kind"]: entry.get("tags") for entry in run.entries}


def test_probes_of_the_kubelet_are_tagged_with_their_flow() -> None:
    run = Run(POD_RECORD, KUBELET, dissectors=Registry())
    run.feed(*http(b"kube-probe/1.31"), end=True)
    assert tags(run) == {"exchange": ["probe"], "flow": ["probe"]}
    assert run.entries[0]["src"]["role"] == "host"


def test_an_unknown_address_on_the_pods_own_node_can_be_the_kubelet() -> None:
    run = Run(POD_RECORD, dissectors=Registry())
    run.feed(*http(b"kube-probe/1.31"), end=True)
    assert tags(run)["exchange"] == ["probe"]
    elsewhere = Run(POD_RECORD, dissectors=Registry())
    elsewhere.feed(*http(b"kube-probe/1.31"), node="node-b", end=True)
    assert tags(elsewhere) == {"exchange": None, "flow": None}


@pytest.mark.parametrize(
    "client",
    [record("web-2", NODE, node="node-a"), record("node-b", NODE, role="host", node="node-b"),
     record("x", NODE, role="service")],
)
def test_nobody_else_can_call_himself_the_kubelet(client: tuple[bytes, EndpointRecord]) -> None:
    run = Run(POD_RECORD, client, dissectors=Registry())
    run.feed(*http(b"kube-probe/1.31"), end=True)
    assert tags(run) == {"exchange": None, "flow": None}


def test_other_calls_of_host_processes_are_no_probes() -> None:
    run = Run(POD_RECORD, KUBELET, dissectors=Registry())
    run.feed(*http(b"curl/8"), end=True)
    assert tags(run) == {"exchange": None, "flow": None}


def outline(size: int, how: str = "fin") -> list[Segment]:
    c = Connection(directed(NODE, 41000, POD, outline=True))
    sent = [c.segment(C, b"x" * size)] if size else []
    return [*c.open(), *sent, *(c.close() if how == "fin" else [c.reset()])]


@pytest.mark.parametrize(
    ("segments", "found"),
    [(outline(0), ["probe"]), (outline(100), ["probe"]), (outline(0, "rst"), ["probe"]), (outline(5000), None)],
)
def test_a_brief_connection_from_the_pods_node_is_taken_for_a_probe(
    segments: list[Segment], found: list[str] | None
) -> None:
    run = Run(POD_RECORD, KUBELET)
    run.feed(*segments)
    run.feed(clock_ns=START + 60 * NS)
    assert run.entries[-1].get("tags") == found
    assert "tags" not in run.entries[0] or len(run.entries) == 1


def test_a_front_address_marks_what_is_seen_again_behind_it() -> None:
    run = Run(record("shop", role="service", front=True))
    run.feed(*talk(START), end=True)
    assert tags(run) == {"exchange": ["service-view"], "flow": ["service-view"]}
