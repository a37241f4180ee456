"""Foreign captures through the whole pipeline, against the answers that other implementations recorded for them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from weir.model.entry import EntryMap
from weir.testing.conversations import CORPORA
from weir.testing.reading import read_files

PACKETBEAT, DEEPFLOW = CORPORA / "packetbeat", CORPORA / "deepflow"

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="needs ../shared/corpora beside the project"),
]


def recorded(*kinds: str) -> list[Any]:
    """(capture, Packetbeat's records of these kinds), one for each capture that has some."""
    cases = []
    for path in sorted(PACKETBEAT.glob("*.jsonl")):
        told = [json.loads(line) for line in path.open()]
        if wanted := [record for record in told if record["type"] in kinds]:
            cases.append(pytest.param(path.with_suffix(""), wanted, id=path.name.partition(".")[0]))
    return cases


def ends(entry: EntryMap) -> tuple[Any, ...]:
    return entry["src"]["ip"], entry["src"]["port"], entry["dst"]["ip"], entry["dst"]["port"]


def ends_told(record: dict[str, Any]) -> tuple[Any, ...]:
    client, server = record["client"], record["server"]
    return client["ip"], client["port"], server["ip"], server["port"]


def as_packetbeat(entry: EntryMap) -> dict[str, Any]:
    """The fields that both have, in Packetbeat's terms."""
    same: dict[str, Any] = {"ends": ends(entry), "community": entry["community_id"]}
    if request := entry.get("request"):
        same |= {
            "method": entry["method"].lower(), "path": entry["path"], "bytes": request["size"],
            "body": entry["request_body_size"], "agent": entry.get("user_agent"),
        }  # fmt: skip
    if response := entry.get("response"):
        same |= {
            "status": entry["status_code"], "phrase": entry.get("reason", "").lower() or None,
            "version": entry["http_version"], "bytes back": response["size"], "body back": entry["response_body_size"],
            "type": entry.get("content_type"),
        }  # fmt: skip
    return same


def told(record: dict[str, Any]) -> dict[str, Any]:
    http = record["http"]
    same: dict[str, Any] = {"ends": ends_told(record), "community": record["network"]["community_id"]}
    if request := http.get("request"):
        same |= {
            "method": request["method"], "path": record["url"]["path"], "bytes": request["bytes"],
            "body": request.get("body", {}).get("bytes", 0), "agent": record.get("user_agent", {}).get("original"),
        }  # fmt: skip
    if response := http.get("response"):
        same |= {
            "status": response["status_code"], "phrase": response.get("status_phrase"), "version": http["version"],
            "bytes back": response["bytes"], "body back": response.get("body", {}).get("bytes", 0),
            "type": response["headers"].get("content-type", "").partition(";")[0].lower() or None,
        }  # fmt: skip
    return same


@pytest.mark.parametrize(("capture", "records"), [c for c in recorded("http") if c.id != "http_unmatched"])
def test_packetbeat_http(capture: Path, records: list[dict[str, Any]]) -> None:
    found = read_files(capture).of("http")
    ours = [as_packetbeat(entry) for entry in found]
    for record in records:
        assert told(record) in ours
    assert len(ours) == len(records)
    for entry in found:
        assert not entry.get("weird")
        assert bool(entry.get("incomplete")) is not ({"request", "response"} <= entry.keys())


def test_packetbeat_http_unmatched() -> None:
    """A server that sends an answer half a second before it is asked, and another one then.

    Packetbeat goes by time: the first is unmatched, the second answers the request. Where nothing was lost weir goes
    by order alone, because the two directions may be captured by nodes whose clocks differ: the first answer counts,
    and the second has no request. A request that is never answered is an entry for weir; Packetbeat says nothing of it.
    """
    found = read_files(PACKETBEAT / "http_unmatched.pcap").of("http")
    assert sorted((e["summary"], *e.get("incomplete", [])) for e in found) == [
        ("200", "request not seen"),
        ("GET /someotherthing → 404",),
        ("GET /something → reset by client", "reset by client after the request"),
    ]


def records_of(entry: EntryMap) -> list[tuple[Any, ...]]:
    return [(r["section"], r["name"], r["type"], str(r["ttl"]), r["data"]) for r in entry.get("dns_records", [])]


@pytest.mark.parametrize(("capture", "records"), recorded("dns"))
def test_packetbeat_dns(capture: Path, records: list[dict[str, Any]]) -> None:
    found = {entry["dns_id"]: entry for entry in read_files(capture).of("dns")}
    assert found.keys() == {record["dns"]["id"] for record in records}
    for record in records:
        query, entry = record["dns"], found[record["dns"]["id"]]
        assert ends(entry) == ends_told(record)
        assert entry["community_id"] == record["network"]["community_id"]
        assert (entry["dns_name"], entry["dns_type"]) == (query["question"]["name"], query["question"]["type"])
        assert (entry["dns_rcode"], entry["dns_flags"]) == (query["response_code"], query["header_flags"])
        assert entry["ok"] is (record["status"] == "OK")
        assert entry["elapsed_time"] == record["event"]["duration"] // 1000
        theirs = [
            # Packetbeat spreads an SOA over fields of its own.
            (section, r["name"], r["type"], r["ttl"], r["data"])
            for section, name in (("answer", "answers"), ("authority", "authorities"), ("additional", "additionals"))
            for r in query.get(name, [])
        ]
        ours = [(*r[:4], r[4].split(" ")[0] if r[2] == "SOA" else r[4]) for r in records_of(entry)]
        assert ours == theirs


def test_packetbeat_tls() -> None:
    ((capture, records),) = (case.values for case in recorded("tls"))
    (record,) = records
    (entry,) = read_files(capture).of("tls")
    assert ends(entry) == ends_told(record)
    assert entry["tls_sni"] == record["tls"]["client"]["server_name"]
    assert entry["tls_ja3"] == record["tls"]["client"]["ja3"]
    assert entry["tls_version"] == "TLS " + record["tls"]["version"]
    assert entry["tls_ciphers_offered"] == record["tls"]["client"]["supported_ciphers"]
    assert entry["incomplete"] == ["reset by client within the handshake"]


@pytest.mark.parametrize("name", ["a-and-ns", "dns", "dns-tcp-multi", "nxdomain"])
def test_deepflow_dns(name: str) -> None:
    capture = DEEPFLOW / "dns" / f"{name}.pcap"
    lines = [json.loads(line.partition(" headers_offset")[0]) for line in capture.with_suffix(".result").open()]
    answers = [line for line in lines if line["msg_type"] == "Response"]
    found = {(entry["dns_id"], entry["dns_type"]): entry for entry in read_files(capture).of("dns")}
    assert found.keys() == {(line["request_id"], line["request_type"]) for line in answers}
    for line in answers:
        entry = found[line["request_id"], line["request_type"]]
        assert entry["dns_name"] == line["request_resource"]
        assert entry["dns_rcode"] == {0: "NOERROR", 3: "NXDOMAIN"}[line["response_code"]]
        assert entry["dns_response_length"] == line["captured_response_byte"]
        # DeepFlow measures between segments, weir between their first bytes: the same here. It says 0 for the later
        # ones of several answers that share a segment.
        assert line["rrt"] in (0, entry["elapsed_time"])
        told = [part.rsplit(" TTL=", 1) for part in line.get("response_result", "").split("; ") if part]
        ours = [[f"{r[2]}={r[4].split(' ')[0]}", r[3]] for r in records_of(entry) if r[0] != "additional"]
        assert ours == told


def deepflow_http(name: str) -> list[dict[str, str]]:
    """Requests and responses of a `.result`, as they print a Rust struct."""
    parts = re.compile(r'(\w+): (?:Some\()?"?([^",()\[\]{}]*)')
    lines = (DEEPFLOW / "http" / f"{name}.result").read_text().splitlines()
    found = [dict(parts.findall(line)) for line in lines if line.startswith("HttpInfo")]
    return [one for one in found if one["msg_type"] != "Other"]


@pytest.mark.parametrize(
    ("name", "calls"), [("grpc-segmented", 1), ("grpc-unknown", 1), ("http2-multi", 2), ("sw8", 3)]
)
def test_deepflow_http(name: str, calls: int) -> None:
    """Requests and answers, by stream where there are streams. gRPC that is known by its messages alone (the content
    type stands in a table that was not seen) is HTTP/2 for DeepFlow; weir says gRPC, and how it knows."""
    found = read_files(DEEPFLOW / "http" / f"{name}.pcap").of("http", "grpc")
    assert len(found) == calls
    for entry in found:
        mine = [one for one in deepflow_http(name) if one["stream_id"] in ("None", str(entry.get("stream_id")))]
        asked = next(one for one in mine if one["msg_type"] == "Request")
        assert entry.get("host", "") == asked["host"]
        assert entry.get("path", "") == asked["path"]
        if asked["method"] != "_RequestHeader":
            assert entry["method"] == asked["method"].upper()
        for one in mine:
            if one["status_code"] != "None":
                assert entry["status_code"] == int(one["status_code"])
            if one["resp_content_length"] != "None":
                assert entry["response_body_size"] == int(one["resp_content_length"])
    if name == "sw8":
        assert [entry["request_body_size"] for entry in found] == [351, 247, 350]
    if name == "http2-multi":
        assert Counter(entry["protocol"] for entry in found) == {"grpc": 2}
        assert all("told to be gRPC by its messages" in str(entry["incomplete"]) for entry in found)
