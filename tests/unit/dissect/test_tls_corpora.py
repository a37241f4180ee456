"""Packetbeat's TLS capture with its answer, and a joined TLS connection in another one."""

from __future__ import annotations

import json

import pytest

from weir.dissect.protocols.tls import Tls
from weir.testing.conversations import CORPORA, conversations
from weir.testing.transcript import every, exchanges, play

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="no folder `../shared/corpora` beside the project"),
]


def test_packetbeat() -> None:
    path = CORPORA / "packetbeat" / "tls-sample1.pcap"
    (told,) = [json.loads(line)["tls"] for line in path.with_suffix(".pcap.jsonl").open() if '"type":"tls"' in line]
    (talk,) = conversations(path)
    (found,) = exchanges(play(Tls(), talk.lines))
    assert [found] == play(Tls(), talk.lines, split=every(7), snapshot=True)
    hello = told["detailed"]["client_hello"]
    assert found.fields["tls_ja3"] == told["client"]["ja3"]
    assert found.fields["tls_sni"] == told["client"]["server_name"]
    assert found.fields["tls_ciphers_offered"] == told["client"]["supported_ciphers"]
    assert found.fields["tls_versions_offered"] == hello["extensions"]["supported_versions"]
    assert found.fields["tls_alpn_offered"] == hello["extensions"]["application_layer_protocol_negotiation"]
    assert found.fields["tls_version"] == "TLS " + told["version"]
    # The client closes at once: Packetbeat tells nothing of the server, whose hello is in the capture all the same.
    assert found.fields["tls_cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert found.fields["tls_alpn"] == "h2"
    assert (found.ok, found.incomplete) == (None, ["handshake not finished"])


def test_a_joined_connection_is_told_once() -> None:
    """Packetbeat has nothing to say about it."""
    talks = conversations(CORPORA / "packetbeat" / "http_basicauth.pcap")
    (talk,) = [talk for talk in talks if talk.transport == "tcp" and talk.server[1] == 443]
    (found,) = exchanges(play(Tls(), talk.lines, midstream=talk.midstream))
    assert (found.kind, found.incomplete) == ("handshake", ["handshake not seen"])
