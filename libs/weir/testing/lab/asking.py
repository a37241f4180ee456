"""A client as a process: so many HTTP/1.1 requests, each with a path of its own, or DNS queries, each for its own name.

    python -m weir.testing.lab.asking http 10.1.0.3 8080 /bridge/ 10000 --rate 2500
    python -m weir.testing.lab.asking dns 10.96.0.10 53 bridge- 500

Paths and names are the prefix and a number. Several connections are in use at once, each for so many requests. Exits
with 0 if every request was answered. Only the standard library is used, so that it starts at once.
"""

from __future__ import annotations

import argparse
import socket
import struct
import time

PAUSE_S = 0.002
"""Shorter sleeps are not worth it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("http", "dns"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("prefix")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2500.0)
    parser.add_argument("--source-port", type=int, default=0)
    asked = parser.parse_args()
    (ask_http if asked.kind == "http" else ask_dns)(asked)


def ask_http(asked: argparse.Namespace) -> None:
    began, source, numbers = time.monotonic(), asked.source_port, range(asked.first, asked.first + asked.count)
    at = 0
    while at < asked.count:
        sockets = []
        for _ in range(asked.connections):
            sockets.append(_connect(asked.host, asked.port, source))
            source += 1 if source else 0
        for _ in range(asked.each):
            turn = [*zip(sockets, numbers[at : at + len(sockets)], strict=False)]
            for connection, number in turn:
                connection.sendall(f"GET {asked.prefix}{number} HTTP/1.1\r\nHost: {asked.host}\r\n\r\n".encode())
            for connection, number in turn:
                _answer(connection, f"{asked.prefix}{number}".encode())
            at += len(turn)
            _keep(began, at, asked.rate)
        for connection in sockets:
            connection.close()


def ask_dns(asked: argparse.Namespace) -> None:
    began = time.monotonic()
    for at in range(asked.count):
        name = f"{asked.prefix}{asked.first + at}.demo.svc"
        query = struct.pack("!6H", at & 0xFFFF, 0x0100, 1, 0, 0, 0) + b"".join(
            bytes((len(label),)) + label.encode() for label in name.split(".")
        ) + struct.pack("!BHH", 0, 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(10)
            sender.connect((asked.host, asked.port))
            sender.send(query)
            if sender.recv(4096)[:2] != query[:2]:
                raise SystemExit(f"a wrong answer to {name}")
        _keep(began, at, asked.rate)


def _connect(host: str, port: int, source: int) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if source:
        connection.bind((host, source))
    connection.connect((host, port))
    return connection


def _answer(connection: socket.socket, wanted: bytes) -> None:
    """Read one response, whose body has to be the path."""
    got = b""
    while not got.endswith(b"\r\n\r\n" + wanted):
        more = connection.recv(65536)
        if not more:
            raise SystemExit(f"the connection ended after {got!r}")
        got += more


def _keep(began: float, done: int, rate: float) -> None:
    ahead = done / rate - (time.monotonic() - began)
    if ahead > PAUSE_S:
        time.sleep(ahead)


if __name__ == "__main__":
    main()
