"""The hub's certificate: given as files, which others replace while the hub runs (cert-manager does)."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from weir.errors import SettingsError

log = logging.getLogger("weir.hub")


class Certificate:
    def __init__(self, cert_file: str, key_file: str) -> None:
        """SettingsError for files that are no certificate and its key."""
        self._files = Path(cert_file), Path(key_file)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._state()
        self._load()

    def _load(self) -> None:
        cert, key = self._files
        try:
            self.context.load_cert_chain(cert, key, password=_no_password)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise SettingsError(
                f"hub.tls_cert_file {cert} with hub.tls_key_file {key}: {said}",
                hint="both are PEM files; the key belongs to the first certificate and has no password",
            ) from None

    def _state(self) -> tuple[tuple[int, int], ...]:
        try:
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (file.stat() for file in self._files))
        except OSError:
            return ()

    def refresh(self) -> bool:
        """Take the files again if they have changed; what is wrong with them leaves the old ones in force."""
        state = self._state()
        if not state or state == self._seen:
            return False
        self._seen = state
        try:
            self._load()
        except SettingsError as error:
            log.warning("%s; the certificate from before stays in force", error.message)
            return False
        log.info("the certificate was read again")
        return True


def certificate(cert_file: str, key_file: str) -> Certificate | None:
    """None without TLS."""
    if bool(cert_file) != bool(key_file):
        raise SettingsError(
            "hub.tls_cert_file and hub.tls_key_file belong together", hint="give both for HTTPS, or neither"
        )
    return Certificate(cert_file, key_file) if cert_file else None


def _no_password() -> str:
    raise ValueError("the key is encrypted")
