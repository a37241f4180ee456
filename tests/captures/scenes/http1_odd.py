"""HTTP/1 that is rare, cut, or damaged on its way."""

from __future__ import annotations

import contextlib
import socket

from scenes import mangle
from scenes.http1 import PORT, curl, send, site
from scenes.scripted import abort, connect, read_until, scripted, wait_for_reset
from scenes.stage import Packets, Stage, case


@case("http1/chunked-trailers")
def chunked_trailers(stage: Stage) -> Packets:
    """Both sides send their body in chunks with a trailer field (RFC 9112 section 7.1); scripted, since no usual
    server sends trailers without being asked."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"X-Sum: 11\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Took\r\nContent-Type: text/plain\r\n\r\n"
        connection.sendall(head + b"6\r\nhello \r\n")
        connection.sendall(b"5;note=1\r\nworld\r\n0\r\nX-Took: 3ms\r\n\r\n")

    with stage.recording() as recording, scripted(stage, PORT, handle), connect(stage, PORT) as client:
        client.sendall(b"POST /sum HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        client.sendall(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\nX-Sum: 11\r\n\r\n")
        assert read_until(client, b"").endswith(b"3ms\r\n\r\n")
    return recording.packets


@case("http1/until-close")
def until_close(stage: Stage) -> Packets:
    """A server of HTTP/1.0 that tells no length: its closing ends the body."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall that there is,\n")
        connection.sendall(b"in two parts\n")

    with stage.recording() as recording, scripted(stage, PORT, handle):
        curl(stage, "--http1.0", f"http://{stage.server.address}:{PORT}/report")
    return recording.packets


@case("http1/connect")
def tunnel(stage: Stage) -> Packets:
    """curl asks a proxy for a tunnel with CONNECT; HTTP within the tunnel is read on as what it is."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nbehind\n")

    with stage.recording() as recording, scripted(stage, PORT, handle):
        curl(stage, "-p", "-x", f"http://{stage.server.address}:{PORT}", "http://orders.example/inside")
    return recording.packets


@case("http1/no-answer")
def no_answer(stage: Stage) -> Packets:
    """A server that takes the request and closes the connection without a word."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")

    with stage.recording() as recording, scripted(stage, PORT, handle), connect(stage, PORT) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_until(client, b"") == b""
    return recording.packets


@case("http1/interim")
def interim(stage: Stage) -> Packets:
    """A scripted server says 100 to a client that waits for it, and 103 with a Link, before it answers: both are kept
    beside the answer."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        read_until(connection, b"an order")
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone")

    with stage.recording() as recording, scripted(stage, PORT, handle):
        url = f"http://{stage.server.address}:{PORT}/orders"
        curl(stage, "-H", "Expect: 100-continue", "-H", "Content-Type: text/plain", "--data-binary", "an order", url)
    return recording.packets


@case("http1/reset")
def reset(stage: Stage) -> Packets:
    """Three connections that end with a RST: the server's after the request, the client's after the request, and the
    server's in the middle of its answer."""

    def silent(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        abort(connection)

    def left(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            read_until(connection, b"")

    def halfway(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")
        read_until(connection, b"go on")
        abort(connection)

    with stage.recording() as recording:
        with scripted(stage, PORT, silent), connect(stage, PORT) as client:
            client.sendall(b"GET /silent HTTP/1.1\r\nHost: shop\r\n\r\n")
            wait_for_reset(client)
        with scripted(stage, PORT + 1, left), connect(stage, PORT + 1) as client:
            client.sendall(b"GET /patience HTTP/1.1\r\nHost: shop\r\n\r\n")
            abort(client)
        with scripted(stage, PORT + 2, halfway), connect(stage, PORT + 2) as client:
            client.sendall(b"POST /halfway HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\n")
            read_until(client, b"the beginning")
            client.sendall(b"go on")
            wait_for_reset(client)
    return recording.packets


@case("http1/one-direction")
def one_direction(stage: Stage) -> Packets:
    """Only what the server sends was captured, as where routes differ by direction: answers without requests."""
    url = site(stage)
    with stage.recording(f"src port {PORT}") as recording:
        curl(stage, f"{url}/", f"{url}/nothing")
    return recording.packets


@case("http1/joined")
def joined(stage: Stage) -> Packets:
    """The recording begins in the middle of an answer: the opening, the first request and most of its answer are
    missing; what follows on the connection is whole."""
    url = site(stage)
    with stage.recording() as recording:
        curl(stage, f"{url}/files/long.txt", "-o", "/dev/null", f"{url}/", f"{url}/orders")
    first = mangle.nth(recording.packets, 1, lambda p: mangle.carries(p, source=PORT))
    return recording.packets[first:]


@case("http1/lost-segment")
def lost_segment(stage: Stage) -> Packets:
    """The recorder lost a segment of a long answer: its body has a gap, and the next exchange is whole."""
    url = site(stage)
    stage.server.run("ip", "link", "set", stage.server.interface, "gso_max_size", "3000")
    with stage.recording() as recording:
        curl(stage, f"{url}/files/long.txt", "-o", "/dev/null", f"{url}/")
    return mangle.without(recording.packets, mangle.nth(recording.packets, 2, lambda p: mangle.carries(p, source=PORT)))


@case("http1/disordered")
def disordered(stage: Stage) -> Packets:
    """Segments in the wrong order and twice: nothing is odd about the exchange, and nothing is missing."""
    url = site(stage)
    stage.server.run("ip", "link", "set", stage.server.interface, "gso_max_size", "3000")
    with stage.recording() as recording:
        curl(stage, f"{url}/files/long.txt")
    packets = recording.packets
    of_server = [mangle.nth(packets, n, lambda p: mangle.carries(p, source=PORT)) for n in range(4)]
    return mangle.repeated(mangle.swapped(packets, of_server[1], of_server[2]), of_server[3])


@case("http1/snapped")
def snapped(stage: Stage) -> Packets:
    """Recorded with a snap length of 400 bytes: heads are whole, and the long body is cut at a stated size."""
    url = site(stage)
    with stage.recording() as recording:
        curl(stage, f"{url}/files/page.txt", f"{url}/")
    return mangle.snapped(recording.packets, 400)


@case("http1/nonsense")
def nonsense(stage: Stage) -> Packets:
    """After a good exchange the client sends what is no HTTP; nginx answers 400 and closes."""
    site(stage)
    with stage.recording() as recording:
        send(stage, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n\x00\x01\x02 nonsense\r\n\r\n", close=False)
    return recording.packets
