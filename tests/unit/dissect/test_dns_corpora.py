"""DNS captures with the answers of DeepFlow and Packetbeat, and tcpdump's DNS captures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weir.dissect.api import Exchange, Probe
from weir.dissect.dns_message import read_message
from weir.dissect.protocols.dns import Dns
from weir.model.flow import Side
from weir.testing.conversations import CORPORA, conversations
from weir.testing.transcript import every, exchanges, play

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="no folder `../shared/corpora` beside the project"),
]
PORTS = frozenset({53, 8053})
RCODES = {"NOERROR": 0, "NXDOMAIN": 3}


def answers(path: Path) -> list[Exchange]:
    found: list[Exchange] = []
    judge = Dns()
    for talk in conversations(path, PORTS):
        lines = [line for line in talk.lines if isinstance(line, tuple)]
        if not any(judge.probe(side, data, talk.transport) is Probe.YES for side, data in lines[:1]):
            continue
        how: dict[str, Any] = {"transport": talk.transport, "midstream": talk.midstream}
        given = play(judge, talk.lines, **how)
        assert given == play(judge, talk.lines, **how, split=every(3), snapshot=True)
        found += exchanges(given)
    return found


def deepflow_records(text: str) -> dict[tuple[str, str], str]:
    """`A=10.50.71.5 TTL=86400; NS=ns.zqytest.com TTL=86400` by type and data; of an SOA it tells the first name."""
    parts = [part.rsplit(" TTL=", 1) for part in text.split("; ")] if text else []
    return {tuple(data.split("=", 1)): ttl for data, ttl in parts}  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a-and-ns", "dns", "dns-tcp-multi", "nxdomain"])
def test_deepflow(name: str) -> None:
    folder = CORPORA / "deepflow" / "dns"
    found = {(e.fields["dns_id"], e.fields["dns_type"]): e for e in answers(folder / f"{name}.pcap")}
    told = [json.loads(line.partition(" headers_offset")[0]) for line in (folder / f"{name}.result").open()]
    responses = [record for record in told if record["msg_type"] == "Response"]
    assert len(found) == len(responses)
    for record in responses:
        one = found[record["request_id"], record["request_type"]]
        assert one.fields["dns_name"] == record["request_resource"]
        assert one.fields["dns_opcode"] == "QUERY"
        assert record["opcode"] == "StandardQuery"
        assert RCODES[one.fields["dns_rcode"]] == record["response_code"]
        assert one.fields["dns_response_length"] == record["captured_response_byte"]
        # DeepFlow calls one NXDOMAIN of these `ok` (the answer is for AAAA and empty); a name that does not exist is
        # not what was hoped for, whatever was asked: weir says the same of all of them.
        assert one.ok is (record["response_code"] == 0)
        assert one.incomplete == []
        records = one.fields.get("dns_records", [])
        ours = {(r["type"], r["data"].split(" ")[0]): str(r["ttl"]) for r in records if r["section"] != "additional"}
        assert ours == deepflow_records(record.get("response_result", ""))


def packetbeat_lines() -> list[Any]:
    return [
        pytest.param(path, json.loads(line), id=f"{path.name.partition('.')[0]}-{number}")
        for path in sorted((CORPORA / "packetbeat").glob("*.jsonl"))
        for number, line in enumerate(path.open())
        if json.loads(line).get("type") == "dns"
    ]


def as_packetbeat(record: dict[str, Any]) -> str:
    """Packetbeat spreads an SOA over fields of its own and keeps its first name as data."""
    data: str = record["data"]
    return data.split(" ")[0] if record["type"] == "SOA" else data


@pytest.mark.parametrize(("path", "told"), packetbeat_lines())
def test_packetbeat(path: Path, told: dict[str, Any]) -> None:
    query = told["dns"]
    found = {e.fields["dns_id"]: e for e in answers(path.with_suffix(""))}[query["id"]]
    assert found.fields["dns_name"] == query["question"]["name"]
    assert found.fields["dns_type"] == query["question"]["type"]
    assert found.fields["dns_rcode"] == query["response_code"]
    assert found.fields["dns_opcode"] == query["op_code"]
    assert found.fields["dns_flags"] == query["header_flags"]
    assert found.ok is (told["status"] == "OK")
    assert found.fields["dns_request_length"] == told["source"]["bytes"]
    assert found.fields["dns_response_length"] == told["destination"]["bytes"]
    for section, theirs in (("answer", "answers"), ("authority", "authorities"), ("additional", "additionals")):
        ours = [r for r in found.fields.get("dns_records", []) if r["section"] == section]
        assert len(ours) == query[f"{theirs}_count"]
        want = [(r["name"], r["type"], r["class"], r["ttl"], r["data"]) for r in query.get(theirs, [])]
        assert [(r["name"], r["type"], r["class"], str(r["ttl"]), as_packetbeat(r)) for r in ours] == want


def test_tcpdump_knows_uri_records() -> None:
    found = answers(CORPORA / "tcpdump" / "dns-uri.pcap")
    assert [e.fields["dns_rcode"] for e in found] == ["NOERROR", "NXDOMAIN"]
    assert found[0].fields["dns_answers"] == ['10 5 "http://www.dns.test:8000"']


@pytest.mark.parametrize("name", ["dns-zlip-1", "dns-zlip-2"])
def test_names_that_point_in_circles(name: str) -> None:
    messages = 0
    for talk in conversations(CORPORA / "tcpdump" / f"{name}.pcap", PORTS):
        for line in talk.lines:
            assert isinstance(line, tuple)
            message = read_message(line[1])
            assert message.cut
            messages += 1
            play(Dns(), [line], transport="udp")
    assert messages


def test_every_capture_of_dns_is_recognised_from_both_sides() -> None:
    judge = Dns()
    for name in ("dns_udp", "dns_udp_8053"):
        (talk,) = conversations(CORPORA / "tcpdump" / f"{name}.pcap", PORTS)
        for line in talk.lines:
            assert isinstance(line, tuple)
            assert judge.probe(line[0], line[1], "udp") is Probe.YES
            assert judge.probe(Side(1 - line[0]), line[1], "udp") is Probe.NO
