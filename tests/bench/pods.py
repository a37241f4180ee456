"""Ten pods on one node, in network namespaces: each asks the next one over HTTP/1.1, and now and then its resolver.

    with ten_pods(folder) as node:
        node.where.run("weir", …)      # on the node, where all pods' interfaces are seen
        made = node.traffic(seconds, rate)

The pods are known to a played Kubernetes API on the node's loopback (`node.kubeconfig`). This file run as a program is
the traffic: it lives in all ten namespaces at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from inputs import SIZES, request

from weir.testing.kubefake import FakeKube
from weir.testing.netns import Namespace

PODS = 10
NODE = "n1"
SPACE = "shop"
RANGE = "10.88.0"
PORT, DNS = 8080, 53
EXCHANGES = 1000
"""Calls of a connection, after which nginx closes it unless told otherwise."""
REMEMBERED = 10
"""Connections for which a resolver's answer is remembered."""
START_S = 30.0


class Made(msgspec.Struct, frozen=True):
    """What a round of traffic was: of each pair (the one who asks, the one who answers)."""

    begun_ns: int
    ended_ns: int
    calls: list[int]
    names: list[int]
    """Questions to resolvers."""
    connections: list[int]

    def of(self, pod: int, counts: list[int], *, distance: int = 1) -> int:
        """The part of a count in which this pod is one of both ends."""
        return counts[pod] + counts[(pod - distance) % PODS]


RESOLVER = 3
"""A pod's resolver is so many places further."""


def address(number: int) -> str:
    return f"{RANGE}.{10 + number}"


def pod_name(number: int) -> str:
    return f"pod-{number}"


class Node:
    def __init__(self, where: Namespace, pods: list[Namespace], kubeconfig: Path) -> None:
        self.where = where
        self.pods = pods
        self.kubeconfig = kubeconfig
        names = json.dumps([pod.name for pod in pods])
        self._process = subprocess.Popen(
            [sys.executable, __file__, names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def traffic(self, seconds: float, rate: float, exchanges: int = EXCHANGES) -> Made:
        """`rate` calls a second of all pods together, so many to a connection; ends when all is answered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([seconds, rate, exchanges]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the traffic ended")
        return msgspec.json.decode(line, type=Made)

    def wire_bytes(self) -> list[int]:
        """Of each pod, what it sent and what it was sent since it began, as its interface counts."""
        found = []
        for number in range(PODS):
            told = json.loads(self.where.run("ip", "-j", "-s", "link", "show", "dev", f"p{number}").stdout)[0]
            found.append(told["stats64"]["rx"]["bytes"] + told["stats64"]["tx"]["bytes"])
        return found

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def ten_pods(folder: Path) -> Iterator[Node]:
    """Needs root (`weir.testing.netns.may_make_namespaces`)."""
    mark = secrets.token_hex(3)
    node = Namespace(f"weir-{mark}-node", "br0", f"{RANGE}.1", "")
    pods = [Namespace(f"weir-{mark}-{n}", "eth0", address(n), "") for n in range(PODS)]
    with contextlib.ExitStack() as stack:
        for each in (node, *pods):
            _ip("netns", "add", each.name)
            stack.callback(_ip, "netns", "delete", each.name)
            stack.callback(each.end)
            _ip("-n", each.name, "link", "set", "lo", "up")
        _ip("-n", node.name, "link", "add", "br0", "type", "bridge")
        _ip("-n", node.name, "addr", "add", f"{RANGE}.1/24", "dev", "br0")
        _ip("-n", node.name, "link", "set", "br0", "up")
        for number, pod in enumerate(pods):
            _join(node, pod, number)
        kubeconfig = stack.enter_context(_api(node, folder))
        there = Node(node, pods, kubeconfig)
        stack.callback(there.end)
        yield there


def _join(node: Namespace, pod: Namespace, number: int) -> None:
    _ip("link", "add", "eth0", "netns", pod.name, "type", "veth", "peer", "name", f"p{number}", "netns", node.name)
    _ip("-n", node.name, "link", "set", f"p{number}", "master", "br0", "up")
    _ip("-n", pod.name, "addr", "add", f"{pod.address}/24", "dev", "eth0")
    _ip("-n", pod.name, "link", "set", "eth0", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def _api(node: Namespace, folder: Path) -> Iterator[Path]:
    """The played API, in a thread that lives on the node."""
    loop, fake = asyncio.new_event_loop(), FakeKube()
    for kind, items in _objects().items():
        fake.replay(kind, items)
    started = threading.Event()

    def serve() -> None:
        with node.entered():
            loop.run_until_complete(fake.start())
            started.set()
            loop.run_forever()
            loop.run_until_complete(fake.stop())
            loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        if not started.wait(START_S):
            raise RuntimeError("the played API does not start")
        yield fake.kubeconfig(folder)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _objects() -> dict[str, list[dict[str, Any]]]:
    born = "2026-01-01T00:00:00Z"
    agent = {
        "app.kubernetes.io/name": "weir", "app.kubernetes.io/instance": "weir",
        "app.kubernetes.io/component": "capture",
    }  # fmt: skip

    def pod(name: str, where: str, ip: str, **more: Any) -> dict[str, Any]:
        return {
            "metadata": {
                "name": name, "namespace": where, "creationTimestamp": born, "labels": more.get("labels", {"app": name})
            },
            "spec": {"nodeName": NODE, "containers": [], "hostNetwork": more.get("host", False)},
            "status": {
                "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": born,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }  # fmt: skip

    return {
        "namespaces": [{"metadata": {"name": name, "creationTimestamp": born}} for name in (SPACE, "weir")],
        "nodes": [{
            "metadata": {"name": NODE, "creationTimestamp": born},
            "spec": {"podCIDR": f"{RANGE}.0/24", "podCIDRs": [f"{RANGE}.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
        }],
        "services": [], "endpointslices": [],
        "pods": [
            pod("weir-capture", "weir", "192.0.2.1", labels=agent, host=True),
            *(pod(pod_name(n), SPACE, address(n)) for n in range(PODS)),
        ],
    }  # fmt: skip


# The traffic


async def _traffic(names: list[str]) -> None:
    pods = [Namespace(name, "eth0", address(number), "") for number, name in enumerate(names)]
    loop = asyncio.get_running_loop()
    for pod in pods:
        with pod.entered():
            listener = socket.create_server(("0.0.0.0", PORT), backlog=256)
            resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            resolver.bind(("0.0.0.0", DNS))
        await loop.create_server(_Answering, sock=listener)
        await loop.create_datagram_endpoint(_Resolving, sock=resolver)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        seconds, rate, exchanges = json.loads(line)
        begun = time.time_ns()
        each = int(seconds * rate / PODS), rate / PODS, exchanges
        made = await asyncio.gather(*(_ask(n, pods, *each) for n in range(PODS)))
        calls, asked, connections = map(list, zip(*made, strict=True))
        told = Made(begun, time.time_ns(), calls, asked, connections)
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()


async def _ask(number: int, pods: list[Namespace], total: int, rate: float, exchanges: int) -> tuple[int, int, int]:
    """Calls, questions to the resolver and connections of one pod."""
    begun, calls, connections, asked = time.monotonic(), 0, 0, 0
    while calls < total:
        if connections % REMEMBERED == 0:
            await _resolve(pods[number], address((number + RESOLVER) % PODS), asked)
            asked += 1
        connections += 1
        with pods[number].entered():
            end = socket.socket()
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, (address((number + 1) % PODS), PORT))
        reader, writer = await asyncio.open_connection(sock=end, limit=1 << 20)
        for turn in range(min(exchanges, total - calls)):
            await asyncio.sleep(max(begun + calls / rate - time.monotonic(), 0))
            writer.write(request(turn))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
            calls += 1
        writer.close()
        await writer.wait_closed()
    return calls, asked, connections


async def _resolve(pod: Namespace, resolver: str, number: int) -> None:
    with pod.entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.setblocking(False)
    name = b"\x03app\x04shop\x03svc\x00"
    with asking:
        asking.connect((resolver, DNS))
        question = (number & 0xFFFF).to_bytes(2, "big") + b"\x01\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01"
        asking.send(question)
        await asyncio.get_running_loop().sock_recv(asking, 512)


class _Resolving(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, who: tuple[str, int]) -> None:
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04" + socket.inet_aton(address(0))
        answer = data[:2] + b"\x81\x80\x00\x01\x00\x01" + bytes(4) + data[12:] + record
        self._transport.sendto(answer, who)  # type: ignore[attr-defined]


class _Answering(asyncio.Protocol):
    """Answers each request with the next of the sizes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._held = b""
        self._turn = 0

    def data_received(self, data: bytes) -> None:
        self._held += data
        while b"\r\n\r\n" in self._held:
            self._held = self._held.partition(b"\r\n\r\n")[2]
            size = SIZES[self._turn % len(SIZES)]
            self._turn += 1
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
            self._transport.write(head.encode() + b"x" * size)  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(_traffic(json.loads(sys.argv[1])))
