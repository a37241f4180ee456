"""HTTP/2 without TLS: nghttpd with nghttp, curl and h2load, and h2 at both ends."""

from __future__ import annotations

import contextlib
import socket

import h2.config
import h2.connection
import h2.events
from scenes import mangle
from scenes.scripted import abort, connect, scripted, wait_for_reset
from scenes.stage import Packets, Stage, case

from weir.testing.servers import nghttpd

PORT = 8081


def site(stage: Stage, *options: str) -> str:
    root = stage.folder / "root"
    root.mkdir()
    (root / "index.html").write_text('<link rel="stylesheet" href="style.css">\n')
    (root / "style.css").write_text("p { color: teal }\n")
    nghttpd(stage.server, root, PORT, *options)
    return f"http://{stage.server.address}:{PORT}"


def nghttp(stage: Stage, *arguments: str) -> str:
    return stage.client.run("nghttp", "-n", *arguments).stdout


class Server:
    """h2 on a socket; `answer(connection, request)` says what happens on a request that ended."""

    def __init__(self, answer: object, *, upgraded: bool = False) -> None:
        self._answer = answer
        self._upgraded = upgraded

    def __call__(self, wire: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        if self._upgraded:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += wire.recv(65536)
            settings = next(x for x in asked.split(b"\r\n") if x.lower().startswith(b"http2-settings")).split(b": ")[1]
            wire.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            connection.initiate_upgrade_connection(settings)
            self._answer(connection, 1)  # type: ignore[operator]
        else:
            connection.initiate_connection()
        wire.sendall(connection.data_to_send())
        while data := wire.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.StreamEnded):
                    self._answer(connection, event.stream_id)  # type: ignore[operator]
            if out := connection.data_to_send():
                wire.sendall(out)


def plain(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain"), ("content-length", "6")])
    connection.send_data(stream, b"hello\n", end_stream=True)


@case("http2/prior-knowledge")
def prior_knowledge(stage: Stage) -> Packets:
    """nghttp speaks HTTP/2 to nghttpd at once: two pages and one that is not there; then curl POSTs."""
    url = site(stage, "--echo-upload")
    with stage.recording() as recording:
        nghttp(stage, f"{url}/index.html", f"{url}/style.css?v=2", f"{url}/nothing")
        stage.client.run("curl", "-s", "--http2-prior-knowledge", "--json", '{"n": 1}', f"{url}/echo")
    return recording.packets


@case("http2/multiplexed")
def multiplexed(stage: Stage) -> Packets:
    """h2load sends 12 requests, up to six at once, on each of two connections to nghttpd."""
    url = site(stage)
    with stage.recording() as recording:
        stage.client.run("h2load", "-n", "24", "-c", "2", "-m", "6", f"{url}/style.css")
    return recording.packets


@case("http2/upgrade")
def upgrade(stage: Stage) -> Packets:
    """curl asks over HTTP/1.1 and offers h2c; h2 accepts, and the answer to that request comes as stream 1 of HTTP/2.
    A second request follows on the same connection."""
    url = f"http://{stage.server.address}:{PORT}"
    with stage.recording() as recording, scripted(stage, PORT, Server(plain, upgraded=True)):
        stage.client.run("curl", "-s", "--http2", f"{url}/first", f"{url}/second")
    return recording.packets


@case("http2/push")
def push(stage: Stage) -> Packets:
    """nghttpd pushes the style sheet with the page: an exchange that nobody asked for."""
    url = site(stage, "-p/index.html=/style.css")
    with stage.recording() as recording:
        nghttp(stage, f"{url}/index.html")
    return recording.packets


@case("http2/continuation")
def continuation(stage: Stage) -> Packets:
    """nghttp sends a header field of 20,000 bytes: HEADERS and CONTINUATION frames (RFC 9113 section 6.10)."""
    url = site(stage)
    with stage.recording() as recording:
        nghttp(stage, "-H", "x-long: " + "0123456789" * 2000, f"{url}/style.css")
    return recording.packets


@case("http2/reset")
def reset(stage: Stage) -> Packets:
    """The server resets one stream (REFUSED_STREAM), the client another in the middle of its answer (CANCEL), and a
    third is answered."""

    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        if stream == 1:
            connection.reset_stream(stream, 7)
        elif stream == 3:
            connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
            connection.send_data(stream, b"the beginning, ")
        else:
            plain(connection, stream)

    with stage.recording() as recording, scripted(stage, PORT, Server(answer)), connect(stage, PORT) as wire:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        for stream in (1, 3, 5):
            head = {":method": "GET", ":scheme": "http", ":authority": "shop", ":path": f"/{stream}"}
            connection.send_headers(stream, list(head.items()), end_stream=True)
            wire.sendall(connection.data_to_send())
            _wait(connection, wire, stream)
        connection.close_connection()
        wire.sendall(connection.data_to_send())
    return recording.packets


def _wait(connection: h2.connection.H2Connection, wire: socket.socket, stream: int) -> None:
    """Until the stream is over; the client cancels stream 3 when it has data."""
    while True:
        for event in connection.receive_data(wire.recv(65536)):
            if stream == 3 and isinstance(event, h2.events.DataReceived):
                connection.reset_stream(stream, 8)
                wire.sendall(connection.data_to_send())
                return
            ends = h2.events.StreamReset, h2.events.StreamEnded
            if isinstance(event, ends) and event.stream_id == stream:
                return


@case("http2/interim")
def interim(stage: Stage) -> Packets:
    """h2 answers 103 with a Link, then 200: the first is kept beside the second."""

    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", "103"), ("link", "</style.css>; rel=preload")])
        plain(connection, stream)

    with stage.recording() as recording, scripted(stage, PORT, Server(answer)):
        url = f"http://{stage.server.address}:{PORT}/page"
        stage.client.run("curl", "-s", "--http2-prior-knowledge", url)
    return recording.packets


@case("http2/connection-reset")
def connection_reset(stage: Stage) -> Packets:
    """The server answers the first request, begins to answer the second, has the third, and ends the connection with a
    RST: each says what became of it."""

    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        if stream == 1:
            plain(connection, stream)
        elif stream == 3:
            connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])

    def handle(wire: socket.socket) -> None:
        with contextlib.suppress(TimeoutError):
            wire.settimeout(0.5)
            Server(answer)(wire)
        abort(wire)

    with stage.recording() as recording, scripted(stage, PORT, handle), connect(stage, PORT) as wire:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        for stream in (1, 3, 5):
            head = {":method": "GET", ":scheme": "http", ":authority": "shop", ":path": f"/{stream}"}
            connection.send_headers(stream, list(head.items()), end_stream=True)
        wire.sendall(connection.data_to_send())
        wait_for_reset(wire)
    return recording.packets


@case("http2/joined")
def joined(stage: Stage) -> Packets:
    """The recording begins after the first of three rounds of requests: what stands in the header tables since then is
    unknown, and told to be so."""
    url = site(stage)
    with stage.recording() as recording:
        stage.client.run("h2load", "-n", "3", "-c", "1", "-m", "1", f"{url}/style.css")
    first = mangle.nth(recording.packets, 0, lambda p: b"color: teal" in p.frame)
    return recording.packets[first + 1 :]
