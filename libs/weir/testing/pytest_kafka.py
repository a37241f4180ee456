"""The fixture `kafka`: one real Apache Kafka for a test run, with plaintext, TLS and SASL listeners.

Without Java, Maven or a repository the tests that need it are skipped, or fail where `WEIR_REQUIRE=1` says that nothing
may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from weir.testing.kafka.jars import HERE, KafkaMissing
from weir.testing.kafka.realkafka import RealKafka, ensure_archive

USER, PASSWORD = "weir", "weir-secret"
STRANGER, STRANGER_PASSWORD = "stranger", "stranger-secret"


class SecuredKafka(RealKafka):
    """With listeners `ssl` (client certificates wanted), `sasl` and `saslssl`; STRANGER may log in and do nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.other_ca_file = folder / "other-ca.pem"
        self.client_pem = folder / "client.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        trustme.CA().cert_pem.write_to_path(str(self.other_ca_file))
        broker = folder / "broker.pem"
        broker.write_bytes(_certificate_and_key(authority.issue_cert("localhost", "127.0.0.1")))
        self.client_pem.write_bytes(_certificate_and_key(authority.issue_cert("client.weir", common_name="client")))
        security = (HERE / "security.properties").read_text()
        super().__init__(
            folder,
            listeners={"ssl": "SSL", "sasl": "SASL_PLAINTEXT", "saslssl": "SASL_SSL"},
            extra=security.replace("@BROKER_PEM@", str(broker)).replace("@CA_PEM@", str(self.ca_file)),
        )

    def at(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"


def _certificate_and_key(issued: trustme.LeafCert) -> bytes:
    """One PEM file as Kafka reads it: the certificate, then its key as PKCS#8."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    certificates = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    return certificates + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    folder = tmp_path_factory.mktemp("kafka")
    try:
        node = SecuredKafka(folder / "node")
    except KafkaMissing as error:
        if os.environ.get("WEIR_REQUIRE"):
            raise
        pytest.skip(f"no real Kafka: {error}")
    ensure_archive(folder / "archive")
    node.format({USER: PASSWORD, STRANGER: STRANGER_PASSWORD})
    try:
        node.start()
        yield node
    finally:
        node.stop()
