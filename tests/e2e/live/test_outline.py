"""Without a target: who talks to whom, how it went, names from DNS; and nothing of what is said. Then ^C."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from weir.testing.netns import Namespace, may_make_namespaces
from weir.testing.servers import dns_server, missing, nginx, serving

PORT = 8080
SITE = 'server { listen 8080; listen [::]:8080; location / { return 200 "a secret\\n"; } }'
Pair = tuple[Namespace, Namespace]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(missing("nginx", "curl")), reason="needs nginx and curl"),
]


def curl(pair: Pair, url: str, times: int = 1) -> None:
    for _ in range(times):
        pair[0].run("curl", "-s", "-H", "X-Password: a secret", url)


def flows(entries: list[dict[str, Any]], address: str) -> list[dict[str, Any]]:
    return [e for e in entries if e["dst"] == {"ip": address, "port": PORT} and e.get("conn_state") == "closed"]


def test_connections_and_names_and_no_payload(pair: Pair, watch: Any, tmp_path: Path) -> None:
    client, server = pair
    nginx(server, tmp_path, SITE, PORT)
    with watch(server, tmp_path) as weir:
        told = weir.get("health")["target"]
        assert told["outline"]
        assert told["says"] == "connections only, no payload; add --target all or name what you want"
        tap = weir.tap("--limit", "4", "-o", "json")
        curl(pair, f"http://{server.address}:{PORT}/secret", 7)
        curl(pair, f"http://[{server.address6}]:{PORT}/secret", 3)
        with serving(server, lambda: dns_server(server.address)), client.entered():
            dns.query.udp(dns.message.make_query("shop.demo.svc", "A"), server.address, timeout=10)
        (asked,) = weir.wait_for(lambda found: len(found) > 0, protocol="dns")
        entries = weir.wait_for(
            lambda found: len(flows(found, server.address)) >= 7 and len(flows(found, server.address6)) >= 3
        )
        seen, warned = tap.communicate(timeout=20)
        assert weir.get("health")["losses"] == []
        assert weir.interrupt() == 0
        summary = weir.output()
    assert (asked["dns_name"], asked["dns_answers"]) == ("shop.demo.svc", ["192.0.2.7"])
    assert {entry["protocol"] for entry in entries if entry["kind"] != "flow"} == {"dns"}
    for entry in flows(entries, server.address) + flows(entries, server.address6):
        assert entry["direction"] == "syn"
        assert entry["conn_end"] == "fin"
        assert entry["handshake_rtt"] >= 0
        assert "conn_l7_detected" not in entry
    assert len(flows(entries, server.address)) == 7
    assert len(flows(entries, server.address6)) == 3
    assert not any(word in str(entries) + seen for word in ("secret", "GET", "curl", "nginx"))
    assert all(not {"request", "response"} & entry.keys() for entry in entries if entry["protocol"] == "tcp")
    assert "connections only, no payload" in warned
    assert len(seen.splitlines()) == 4
    assert "connections only, no payload" in summary
    assert "packets captured" in summary
    assert "entries stored" in summary
    assert "nothing was lost" in summary


def test_interrupted_in_the_middle_it_tells_what_it_saw(pair: Pair, watch: Any, tmp_path: Path) -> None:
    """Connections that are still open are told at the end, and the counts agree with one another."""
    server = pair[1]
    nginx(server, tmp_path, SITE, PORT)
    with watch(server, tmp_path, "--target", f"port:{PORT}") as weir:
        with pair[0].entered(), socket.create_connection((server.address, PORT)) as open_one:
            open_one.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert open_one.recv(1000).startswith(b"HTTP/1.1 200")
            weir.wait_for(lambda found: len(found) >= 1, protocol="http")
            assert weir.interrupt() == 0
        told = weir.output().splitlines()
    counts = dict(reversed(part.strip().split(" ", 1)) for part in told[-2].removeprefix("weir: ").split(","))
    assert counts["entries decoded"] == counts["entries stored"]
    assert int(counts["entries stored"]) >= 2
    assert int(counts["packets captured"]) == int(counts["packets filtered"])
    assert told[-1] == "weir: nothing was lost"
