"""Two captures of the same connections, taken at both ends of a veth as on two nodes with clocks that differ."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import dns.message
import dns.query
import pytest

from weir.cli.demo.grpc import GrpcConnection, GrpcServer
from weir.model.entry import EntryMap
from weir.testing.capturefiles import Packet, pcap
from weir.testing.netns import Namespace, joined, may_make_namespaces
from weir.testing.reading import Reading, read_files
from weir.testing.recording import recording
from weir.testing.servers import dns_server, missing, nginx, run_in, serving

SITE = 'server { listen 8080; location / { return 200 "hello\\n"; } location /missing { return 404; } }'
GRPC = 50051
PER_NODE = {"node_name", "timestamp", "end", "elapsed_time", "handshake_rtt"}
"""What each node sees with its own clock."""
EXPECTED = {"http": 40, "grpc": 20, "dns": 12}

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(bool(missing("nginx", "curl", "tcpdump")), reason="needs nginx, curl and tcpdump"),
]


async def answer(messages: list[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


@contextlib.asynccontextmanager
async def grpc_server(address: str) -> AsyncIterator[None]:
    server = GrpcServer({"/shop.Orders/Place": answer})
    await server.start(address, GRPC)
    try:
        yield
    finally:
        await server.stop()


async def place_orders(address: str) -> None:
    _, client = await asyncio.get_running_loop().create_connection(GrpcConnection, address, GRPC)
    async with asyncio.TaskGroup() as tasks:
        for number in range(EXPECTED["grpc"]):
            tasks.create_task(client.call("shop", "/shop.Orders/Place", b"order %d" % number, {}))
    client.close()


def traffic(client: Namespace, server: Namespace) -> None:
    urls = [f"http://{server.address}:8080/{page}" for page in ("", "missing")]
    for _ in range(EXPECTED["http"] // 4):
        client.run("curl", "-s", *urls, *urls)
    with serving(server, lambda: grpc_server(server.address)):
        run_in(client, place_orders(server.address))
    with serving(server, lambda: dns_server(server.address)), client.entered():
        for number in range(EXPECTED["dns"]):
            query = dns.message.make_query(f"shop{number}.demo.svc", "A")
            dns.query.udp(query, server.address, timeout=10)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Packet], list[Packet]]:
    """The same traffic as the client's node and as the server's node captured it."""
    folder = tmp_path_factory.mktemp("two")
    with joined("client", "server") as (client, server):
        nginx(server, folder, SITE, 8080)
        with recording(client, server, folder) as left, recording(server, client, folder) as right:
            traffic(client, server)
    # The marker of the right end's recording crosses the left one, too.
    assert len(left.packets) == len(right.packets)
    return left.packets, right.packets


@pytest.fixture(params=[1.5, -1.5, 0.0], ids=lambda skew: f"{skew:+}s")
def files(
    ends: tuple[list[Packet], list[Packet]], request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Path, Path]:
    """As files whose clocks differ, told so that a minute turns in the middle of them."""
    left, right = ends
    middle = (left[0].ts_ns + left[-1].ts_ns) // 2
    turn = 60 * 10**9 - middle % (60 * 10**9)
    skew = turn + int(request.param * 10**9)
    paths = tmp_path / "left.pcap", tmp_path / "right.pcap"
    for path, packets, shift in zip(paths, (left, right), (turn, skew), strict=True):
        path.write_bytes(pcap([packet._replace(ts_ns=packet.ts_ns + shift) for packet in packets]))
    return paths


def odd(entry: EntryMap) -> bool:
    return bool(entry.get("incomplete") or entry.get("weird"))


def without_time(entry: EntryMap) -> EntryMap:
    """What both nodes must agree on."""
    return {
        name: without_time(value) if isinstance(value, dict) else value
        for name, value in entry.items()
        if name not in PER_NODE
    }


def told(reading: Reading) -> dict[str, EntryMap]:
    return {key: without_time(entry) for key, entry in reading.newest().items()}


def test_both_nodes_tell_the_same(files: tuple[Path, Path]) -> None:
    left, right = (read_files(file) for file in files)
    assert {name for entry in left.entries for name in [entry["node_name"]]} == {"left"}
    assert {name for entry in right.entries for name in [entry["node_name"]]} == {"right"}
    for reading in (left, right):
        kinds = Counter(entry["protocol"] for entry in reading.newest().values())
        assert {name: kinds[name] for name in EXPECTED} == EXPECTED
        assert [(e["summary"], e.get("incomplete"), e.get("weird")) for e in reading.entries if odd(e)] == []
    ids = [{key: e for key, e in told(reading).items() if e.get("transport") != "udp"} for reading in (left, right)]
    assert ids[0] == ids[1]


def test_both_together_give_each_once_in_either_order(files: tuple[Path, Path]) -> None:
    left, right = files
    for first, second in ((left, right), (right, left)):
        alone, both = read_files(first), read_files(first, second)
        assert told(both) == told(alone)
        kinds = Counter(entry["protocol"] for entry in both.newest().values())
        assert {name: kinds[name] for name in EXPECTED} == EXPECTED
        assert both.counts["capture.packets"] == 2 * alone.counts["capture.packets"]
