"""Every foreign capture through DNS, TLS and HTTP/2: nothing raises, and nothing is taken for what it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dpkt
import pytest

from weir.dissect.api import Dissector, Probe
from weir.dissect.protocols.dns import Dns
from weir.dissect.protocols.http2 import Http2
from weir.dissect.protocols.tls import Tls
from weir.model.flow import Side
from weir.testing.conversations import CORPORA, Conversation, conversations
from weir.testing.transcript import play

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="no folder `../shared/corpora` beside the project"),
]
JUDGES: tuple[Dissector, ...] = (Dns(), Tls(), Http2())
PORTS = {"dns": {53, 8053}, "tls": {443}, "http2": {20035, 7000, 3550}}
"""Where each protocol is in these captures."""
FEW = 10
"""Bytes that tell little: with so few a dissector may still ask for more."""


def captures() -> list[Any]:
    found = sorted(path for path in CORPORA.rglob("*") if path.suffix in (".pcap", ".pcapng"))
    return [pytest.param(path, id=str(path.relative_to(CORPORA))) for path in found]


def heads(talk: Conversation) -> list[tuple[Side, bytes]]:
    """First bytes of each side: the first datagram, or all of the stream."""
    found: dict[Side, bytes] = {}
    for line in talk.lines:
        if isinstance(line, tuple) and (talk.transport == "tcp" or line[0] not in found):
            found[line[0]] = found.get(line[0], b"") + line[1]
    return list(found.items())


@pytest.mark.parametrize("path", captures())
def test_captures(path: Path) -> None:
    try:
        talks = conversations(path)
    except (ValueError, dpkt.Error):
        return  # Not a capture that the reader of this test can open; weir's own is tried with these elsewhere.
    for talk in talks:
        for judge in JUDGES:
            if talk.transport not in judge.transports:
                continue
            for side, head in heads(talk):
                answer = judge.probe(side, head, talk.transport)
                if not PORTS[judge.name] & {talk.client[1], talk.server[1]}:
                    assert answer is Probe.NO or (answer is Probe.MAYBE and len(head) <= FEW)
            for midstream in (False, True):
                play(judge, talk.lines, transport=talk.transport, midstream=midstream)
