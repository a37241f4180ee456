"""Where a conversation's payload is kept when two nodes see it."""

from __future__ import annotations

from typing import Literal
from zlib import crc32

from weir.directory import Directory
from weir.model.flow import DirectedFlow

View = Literal["payload", "outline"]


def vantage(flow: DirectedFlow, directory: Directory, node: str, ts_ns: int) -> View:
    """What `node` keeps of the conversation.

    Between two known nodes a symmetric hash of the pair of addresses picks one of them, and the other keeps the
    outline; every node computes this alike, from the endpoints alone. Whoever is neither of both (a mirror port, a
    capture file), or does not know both, keeps payload: nobody else can be relied upon to have it.
    """
    here, there = directory.lookup(flow.src, flow.sport, ts_ns), directory.lookup(flow.dst, flow.dport, ts_ns)
    nodes = sorted({record.node for record in (here, there) if record is not None and record.node})
    if len(nodes) < 2 or node not in nodes:
        return "payload"
    chosen = nodes[crc32(b"".join(sorted((flow.src, flow.dst)))) % 2]
    return "payload" if node == chosen else "outline"
