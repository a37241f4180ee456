"""The anchor of `read`: dpkt, the simplest assembly that works on clean traffic, and the same output.

    python anchor_dpkt.py FILE > entries.json

Reads packets, puts each direction together in order (segments that are not the next one are dropped), cuts messages
with dpkt.http, pairs them, and prints each pair with all headers and its bodies as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from typing import Any

import dpkt


def text(body: bytes) -> str:
    return body.decode("latin-1")


class Direction:
    def __init__(self, parse: Any) -> None:
        self.parse = parse
        self.next = -1
        self.buffer = b""
        self.messages: deque[tuple[float, Any]] = deque()

    def take(self, ts: float, tcp: Any) -> None:
        if tcp.flags & dpkt.tcp.TH_SYN:
            self.next = tcp.seq + 1 & 0xFFFFFFFF
            return
        data = tcp.data
        if not data or tcp.seq != self.next:
            return
        self.next = self.next + len(data) & 0xFFFFFFFF
        self.buffer += data
        while self.buffer:
            try:
                message = self.parse(self.buffer)
            except dpkt.UnpackError:
                return
            self.buffer = message.data
            self.messages.append((ts, message))


def main() -> None:
    flows: dict[tuple[bytes, bytes, int, int], tuple[Direction, Direction]] = {}
    write = sys.stdout.write
    with open(sys.argv[1], "rb") as file:
        for ts, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if type(ip) is not dpkt.ip.IP or type(ip.data) is not dpkt.tcp.TCP:
                continue
            tcp = ip.data
            key = (ip.src, ip.dst, tcp.sport, tcp.dport)
            pair = flows.get(key)
            if pair is None:
                if tcp.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK) != dpkt.tcp.TH_SYN:
                    continue
                asks, answers = Direction(dpkt.http.Request), Direction(dpkt.http.Response)
                pair = flows[key] = (asks, answers)
                flows[ip.dst, ip.src, tcp.dport, tcp.sport] = (answers, asks)
            here, there = pair
            here.take(ts, tcp)
            asks, answers = (here, there) if here.parse is dpkt.http.Request else (there, here)
            while asks.messages and answers.messages:
                (began, asked), (answered, answer) = asks.messages.popleft(), answers.messages.popleft()
                write(json.dumps({
                    "ts": began, "elapsed": answered - began, "src": key[0].hex(), "dst": key[1].hex(),
                    "method": asked.method, "uri": asked.uri, "status": answer.status, "reason": answer.reason,
                    "request_headers": asked.headers, "response_headers": answer.headers,
                    "request_body": text(asked.body), "response_body": text(answer.body),
                }))
                write("\n")


main()
