"""TLS handshakes of OpenSSL with certificates signed by themselves. What follows them stays dark."""

from __future__ import annotations

import subprocess

from scenes.stage import Packets, Stage, case

from weir.testing.recording import NOISE
from weir.testing.servers import certificate, listening

PORT = 8443


def session(stage: Stage, server: list[str], client: list[str]) -> Packets:
    """One connection: the client sends a line and closes."""
    key, cert = certificate(stage.folder, "shop.example")
    stage.server.spawn("openssl", "s_server", "-accept", str(PORT), "-key", str(key), "-cert", str(cert), "-quiet",
                       "-naccept", "2", *server)  # fmt: skip
    listening(stage.server, PORT)
    with stage.recording(NOISE) as recording:
        subprocess.run(
            stage.client.command("openssl", "s_client", "-connect", f"{stage.server.address}:{PORT}", *client),
            input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=10,
        )  # fmt: skip
    return recording.packets


NAMED = ["-servername", "shop.example"]


@case("tls/v1.3")
def v1_3(stage: Stage) -> Packets:
    """TLS 1.3 with SNI; the client offers h2 and http/1.1, and what was chosen is encrypted."""
    return session(stage, ["-tls1_3", "-alpn", "h2,http/1.1"], [*NAMED, "-alpn", "h2,http/1.1"])


@case("tls/v1.2")
def v1_2(stage: Stage) -> Packets:
    """TLS 1.2 with SNI: the server's choice of ALPN and its certificate are in clear."""
    return session(stage, ["-tls1_2", "-alpn", "http/1.1"], [*NAMED, "-alpn", "h2,http/1.1"])


@case("tls/no-common-version")
def no_common_version(stage: Stage) -> Packets:
    """The client wants TLS 1.3, the server only speaks 1.2: the server ends the handshake with an alert."""
    return session(stage, ["-tls1_2"], [*NAMED, "-tls1_3"])


@case("tls/distrusted")
def distrusted(stage: Stage) -> Packets:
    """The client does not trust the certificate and says so in an alert (TLS 1.2, in clear)."""
    return session(stage, ["-tls1_2"], [*NAMED, "-verify_return_error"])


@case("tls/nameless")
def nameless(stage: Stage) -> Packets:
    """A client that sends no SNI and offers no ALPN."""
    return session(stage, ["-tls1_3"], ["-noservername"])


