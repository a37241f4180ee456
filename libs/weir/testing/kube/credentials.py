"""Who may do what in a control plane of the tests: certificates, tokens, and the key that signs service accounts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

API_NAMES = ("127.0.0.1", "localhost", "10.96.0.1", "kubernetes.default", "kubernetes.default.svc")
"""What clients call the server, besides its own address; the first address of the services' range among them."""


class Credentials:
    """Files in `folder`. `users`: name to groups; each has a token."""

    def __init__(self, folder: Path, address: str, users: Mapping[str, Sequence[str]]) -> None:
        self.ca_file = folder / "ca.pem"
        self.api_certificate = folder / "api.pem"
        self.api_key = folder / "api.key"
        self.client_certificate = folder / "client.pem"
        self.client_key = folder / "client.key"
        """With which the API server calls kubelets."""
        self.accounts_key = folder / "accounts.pem"
        self.token_file = folder / "tokens.csv"
        self.tokens = {user: secrets.token_hex(16) for user in users}
        self._users = dict(users)
        self._address = address

    def write(self) -> None:
        """Again: does nothing."""
        if self.ca_file.exists():
            return
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        server = authority.issue_cert(*dict.fromkeys((self._address, *API_NAMES)))
        _write(server, self.api_certificate, self.api_key)
        # A name besides, though nobody reads it: Go refuses a certificate whose list of names is empty.
        name = "kube-apiserver"
        client = authority.issue_cert(name, common_name=name, organization_name="system:masters")
        _write(client, self.client_certificate, self.client_key)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.accounts_key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        lines = [f'{self.tokens[user]},{user},{user},"{",".join(groups)}"\n' for user, groups in self._users.items()]
        self.token_file.write_text("".join(lines))


def kubeconfig(file: Path, url: str, ca_file: Path, token: str) -> Path:
    """Written to `file`, which is returned."""
    cluster = {"server": url, "certificate-authority": str(ca_file)}
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }))  # fmt: skip
    file.chmod(0o600)
    return file


def _write(issued: trustme.LeafCert, certificate: Path, key: Path) -> None:
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
